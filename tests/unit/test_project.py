"""The project keeps its own rules: lint, types, the direction of imports, and what its documents say."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from inspect import getdoc
from pathlib import Path

import pytest

import everyskill
from everyskill import model, services
from everyskill.handles import Tenant

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent

CHECKS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-cache"],
}


@pytest.mark.parametrize("check", CHECKS)
def test_the_code_passes_its_checks(check: str) -> None:
    tool, *arguments = CHECKS[check]
    done = subprocess.run([TOOLS / tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_the_constraints_pin_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[=]", pin)[0].lower().replace("_", "-") for pin in pins}
    assert {re.split(r"[>=[]", need)[0].lower() for need in wanted} <= names


def test_the_changelog_speaks_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
