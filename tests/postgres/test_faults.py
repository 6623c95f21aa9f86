"""The program that injects faults runs from its beginning to its end, and nothing is lost (S14)."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_s14_a_tiny_run_of_faults_loses_nothing() -> None:
    command = [sys.executable, "-m", "faults", "--rounds", "2", "--fault", "kill_both", "--fault", "cut_connections"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rounds = re.findall(r"(\w+) +back in +[\d.]+ s, 0 losses", done.stdout)
    assert sorted(rounds) == ["cut_connections", "kill_both"]
