"""The command line: one file a command or a group of commands. `--help` imports nothing that takes long."""

import signal
import sys
from io import TextIOWrapper

from everyskill.cli.app import app


def main() -> None:
    """The console script `everyskill`."""
    # So that the clean-up at exit runs: a server of ours is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show an arrow must not end the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="everyskill")
