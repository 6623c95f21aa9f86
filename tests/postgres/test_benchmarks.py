"""The benchmark runs from its beginning to its end. How fast anything is, no test asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_tiny_run_writes_its_page_its_rows_and_its_plots(tmp_path: Path) -> None:
    arguments = ["--smoke", "--without-node", "--out"]
    out = tmp_path / "performance"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-m", "benchmarks", *arguments, out], cwd=ROOT, env=environment, check=True)
    rows = json.loads((out / "results.json").read_text())["rows"]
    seen = {(row["contender"], row["call"]) for row in rows}
    for call in ("record", "badges", "visit", "whats_new"):
        contenders = ("everyskill", "sqlalchemy", "django", "everyskill http", "fastapi")
        assert {(contender, call) for contender in contenders} <= seen
    for contender in ("pgbench", "bare asyncpg"):
        assert {(contender, "record"), (contender, "badges")} <= seen
    page = (tmp_path / "performance.md").read_text()
    assert "What it is to reach" in page
    assert {plot.name for plot in out.glob("*.png")} == {"throughput.png", "histories.png", "sizes.png"}
