"""The documents are true: their links lead somewhere, and what they name is in the code."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from everyskill import errors, services
from everyskill.cli import options
from everyskill.settings import Settings
from everyskill.web.settings import WebSettings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "everyskill"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SETTING = re.compile(r"^\| `(EVERYSKILL_\w+)` \| (.+?) \|", re.MULTILINE)
_PLACE = re.compile(r"`([\w/]+\.(?:py|html|js))`\s`(\w+)`")
_FILE = re.compile(r"`([\w/]+\.(?:py|html|js))`")

any_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def read(name: str) -> str:
    return (ROOT / name).read_text()


def without_blocks(text: str) -> str:
    return _BLOCK.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in _BLOCK.findall(text) if name == language]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as the usual renderers of Markdown make them."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(without_blocks(path.read_text())))
    return {title.replace(" ", "-") for title in plain}


def as_printed(default: object) -> str:
    """A setting's default as the table prints it."""
    if default is None:
        return "unset"
    if default is NODEFAULT:
        return "random"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`"


def settings_of(kind: type[Struct]) -> dict[str, str]:
    return {f"EVERYSKILL_{field.name.upper()}": as_printed(field.default) for field in fields(kind)}


def option_of(annotated: Any, default: str) -> dict[str, str]:
    return {annotated.__metadata__[0].envvar: as_printed(default)}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    [command] = [block.strip() for block in blocks(read("README.md"), "sh") if "nox" in block]
    assert command == read(".ci/run").splitlines()[-1]
    assert command in [block.strip() for block in blocks(read("CONTRIBUTING.md"), "sh")]


def test_the_table_of_settings_has_each_setting_with_its_default() -> None:
    wanted = settings_of(Settings) | settings_of(WebSettings)
    wanted |= option_of(options.TenantId, options.DEFAULT_TENANT) | option_of(options.UserId, options.DEFAULT_USER)
    listed = _SETTING.findall(read("docs/operating.md").partition("## Settings")[2].partition("\n## ")[0])
    assert dict(listed) == wanted
    assert len(listed) == len(wanted)


def test_every_setting_that_a_document_names_is_one() -> None:
    known = settings_of(Settings).keys() | settings_of(WebSettings).keys() | {"EVERYSKILL_TENANT", "EVERYSKILL_USER"}
    known |= {"EVERYSKILL_CITUS_URL", "EVERYSKILL_REPOSITORIES"}  # of the tests alone
    for document in DOCUMENTS:
        assert set(re.findall(r"\bEVERYSKILL_[A-Z_]+\b", document.read_text())) <= known, document.name


@any_document
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in _LINK.findall(without_blocks(document.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@any_document
def test_shell_and_python_blocks_can_be_parsed(document: Path) -> None:
    text = document.read_text()
    for script in blocks(text, "sh"):
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
    for program in blocks(text, "python"):
        compile(program, str(document), "exec")


@pytest.mark.parametrize(
    "name", ["architecture.md", *(f"decisions/{path.name}" for path in ROOT.glob("docs/decisions/0*"))]
)
def test_the_files_and_names_that_a_document_points_at_are_there(name: str) -> None:
    text = read(f"docs/{name}")
    for file in _FILE.findall(text):
        assert any((folder / file).is_file() for folder in (SOURCE, ROOT)) or file == "schema/updated.py", file
    for file, word in _PLACE.findall(text):
        assert re.search(rf"\b{word}\b", (SOURCE / file).read_text()), f"{word} is not in {file}"


def test_the_map_shows_every_room() -> None:
    [tree] = [block for block in blocks(read("docs/architecture.md"), "") if "batched_calls.py" in block]
    shown = set(re.findall(r"^ *(\w+)/", tree, re.MULTILINE)) | {"pages", "static"}
    rooms = {path.parent.name for path in [*SOURCE.glob("*/__init__.py"), *SOURCE.glob("database/*/__init__.py")]}
    assert rooms <= shown
    for file in SOURCE.glob("database/[a-z]*.py"):
        assert file.name in tree, file.name


def test_the_library_page_has_every_call_and_only_errors_that_exist() -> None:
    text = read("docs/library.md")
    renamed = {"create_tenant": "create", "get_tenant": "get"}
    for name in services.__all__:
        assert re.search(rf"`{renamed.get(name, name)}[(`]", text), name
    named = re.findall(r"`([A-Z][A-Za-z]+)`", text.partition("## Errors")[2].partition("\n## ")[0])
    assert named
    assert all(hasattr(errors, name) for name in named), named


def test_the_metrics_that_are_to_be_watched_exist() -> None:
    named = set(re.findall(r"`(everyskill_requests?_\w+)`", read("docs/operating.md")))
    assert named == set(re.findall(r'"(everyskill_requests?_\w+)"', (SOURCE / "web/middleware/metrics.py").read_text()))
