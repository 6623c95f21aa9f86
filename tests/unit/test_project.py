"""The public names are there and documented, and what installs the project is consistent."""

import pydoc
import re
import tomllib
from importlib import import_module
from inspect import getdoc
from pathlib import Path

import pytest

import everyskill
from everyskill import model, services
from everyskill.handles import Tenant

ROOT = Path(__file__).parents[2]


def test_every_service_is_a_method_of_the_tenant_handle_and_says_what_it_promises() -> None:
    renamed = {"create_tenant": "create", "get_tenant": "get"}
    for name in services.__all__:
        function = getattr(services, name)
        assert getattr(Tenant, renamed.get(name, name)) is function
        assert getdoc(function), name


@pytest.mark.parametrize("module", [everyskill, model, services])
def test_every_public_name_is_there_and_documented(module: object) -> None:
    for name in module.__all__:  # type: ignore[attr-defined]
        assert getdoc(getattr(module, name)), name


def test_the_lazy_names_are_the_public_ones() -> None:
    assert sorted(everyskill._HOMES) == sorted(everyskill.__all__)
    for name, home in everyskill._HOMES.items():
        assert getattr(everyskill, name) is getattr(import_module(home), name)


def test_the_package_lists_its_public_names_before_any_is_used() -> None:
    assert set(everyskill.__all__) <= set(dir(everyskill))
    shown = pydoc.plain(pydoc.render_doc(everyskill))
    for name in everyskill.__all__:
        assert re.search(rf"\b{name}\b", shown), name


def test_a_tenant_shows_its_calls_and_nothing_of_how_they_are_made() -> None:
    renamed = {"create_tenant": "create", "get_tenant": "get"}
    calls = {renamed.get(name, name) for name in services.__all__}
    assert {name for name in dir(Tenant) if not name.startswith("_")} == {
        *calls,
        "file_limits",
        "run_in_worker",
        "tenant_id",
    }


def test_what_the_task_runner_runs_is_what_continuous_integration_checks() -> None:
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith(".venv/bin/nox")
    sessions = (ROOT / "noxfile.py").read_text()
    assert 'nox.options.sessions = ["lint", "types", "imports", "tests", "pooler"]' in sessions


def test_the_constraints_pin_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [
        need for needs in (project["dependencies"], *extras) for need in needs if not need.startswith("everyskill")
    ]
    names = {re.split(r"[=]", pin)[0].lower().replace("_", "-") for pin in pins}
    assert {re.split(r"[>=[]", need)[0].lower() for need in wanted} <= names


def test_the_changelog_speaks_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
