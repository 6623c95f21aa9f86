"""The command line: one file per command or group of commands.

What would make `--help` more than a tenth slower is imported where it is used: rich and asyncio cost a fifth each,
`everyskill.model` a seventh, `everyskill.handles` a half; Alembic and `everyskill.web` make it five times as slow.
"""

import signal
import sys
from io import TextIOWrapper

from everyskill.errors import MissingExtra
from everyskill.extras import extra


def main() -> None:
    """Runs the console script `everyskill`."""
    try:
        with extra("cli"):
            from everyskill.cli.app import app  # noqa: PLC0415 - an extra
    except MissingExtra as error:
        sys.exit(f"Error: {error}")
    _exit_on_signals()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show an arrow must not end the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="everyskill")


def _exit_on_signals() -> None:
    # The default action would skip the clean-up at exit, and leave an embedded server running.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP, and that must stay so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _: sys.exit(128 + received))
