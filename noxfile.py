"""The project's tasks: `nox` runs what CI runs, `nox --list` tells the others. All use the environment nox is in."""

import os
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "tests", "pooler"]

BIN = Path(sys.executable).parent


def run(session: nox.Session, program: str, *arguments: str, **variables: str) -> None:
    """Runs a program of this environment, which need not be on the PATH."""
    session.run(str(BIN / program), *arguments, env={**os.environ, **variables}, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format, by ruff."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy."""
    run(session, "mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """The direction of imports, by import-linter."""
    run(session, "lint-imports", "--no-cache")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; what follows -- goes to pytest: nox -s tests -- tests/unit."""
    run(session, "pytest", *session.posargs)


@nox.session
def pooler(session: nox.Session) -> None:
    """The tests of the data layer once more, through PgBouncer; but for those that bring their own, or none."""
    apart = [f"--ignore=tests/postgres/test_{name}.py" for name in ("benchmarks", "embedded", "poolers")]
    run(session, "pytest", "tests/postgres", "--pooler", *apart, *session.posargs)


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measures, and writes docs/performance.md: about 20 minutes, with Node.js for one of the contenders."""
    run(session, "python", "-m", "benchmarks", *(session.posargs or ["--seconds", "1", "--rounds", "2"]))


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Injects faults for ten minutes, and counts what is lost: docs/reliability.md."""
    run(session, "python", "-m", "faults", *(session.posargs or ["--minutes", "10"]))


@nox.session(default=False)
def screenshots(session: nox.Session) -> None:
    """Renews the pictures of the pages in docs/screenshots."""
    run(session, "pytest", "tests/browser", EVERYSKILL_SCREENSHOTS="docs/screenshots")
