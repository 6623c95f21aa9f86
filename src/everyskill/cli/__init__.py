"""The command line: one file a command or a group of commands. `--help` imports nothing that takes long."""

import signal
import sys
from io import TextIOWrapper

from everyskill.cli.app import app


def main() -> None:
    """The console script `everyskill`."""
    _leave_in_order()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show an arrow must not end the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="everyskill")


def _leave_in_order() -> None:
    # So that the clean-up at exit runs: a server of ours is not left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP, and that must stay so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _: sys.exit(128 + received))
