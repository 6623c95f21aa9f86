"""The floor: the same SQL by pgbench, prepared, with no program around it."""

import re
import subprocess
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.dataset import BADGES, LARGE, Scale, skill_id

_PAIR = """\\set u random({first}, {last})
\\set k random(0, {positions})
\\set n (:u * 977 + :k * 3) % {skills}
"""
_RECORD = (
    "INSERT INTO user_skill_views AS v (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)"
    f" VALUES ('{LARGE}', 'u' || :u, md5('{LARGE}-' || :n)::uuid::text, now(), 1)"
    " ON CONFLICT (tenant_id, user_id, skill_id) DO UPDATE SET"
    " last_viewed_at = greatest(v.last_viewed_at, excluded.last_viewed_at),"
    " last_viewed_version = greatest(v.last_viewed_version, excluded.last_viewed_version),"
    " view_count = v.view_count + excluded.view_count;\n"
)
BULK = """
INSERT INTO user_skill_views AS v (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT tenant_id, user_id, skill_id, now(), last_viewed_version FROM user_skill_views WHERE tenant_id = $1 LIMIT 50000
ON CONFLICT (tenant_id, user_id, skill_id) DO UPDATE SET
  last_viewed_at = greatest(v.last_viewed_at, excluded.last_viewed_at),
  last_viewed_version = greatest(v.last_viewed_version, excluded.last_viewed_version),
  view_count = v.view_count + excluded.view_count
"""
_BADGES = """SELECT v.skill_id FROM user_skill_views AS v
  JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id
 WHERE v.tenant_id = '{tenant}' AND v.user_id = 'u' || :u AND v.skill_id = ANY('{{{ids}}}'::text[])
   AND s.tenant_id = '{tenant}' AND s.status = 'published'
   AND (s.published_version > v.last_viewed_version OR s.updated_at > v.last_viewed_at);
"""


def write_scripts(scale: Scale, folder: Path) -> dict[str, list[Path]]:
    """A script for records, and some for badges, each with its own list of skills."""
    # Users with enough views for every position to be a re-view.
    first = scale.large_users // 2
    positions = round(10 * (scale.large_skills / 10) ** (first / (scale.large_users - 1))) - 1
    pair = _PAIR.format(first=first, last=scale.large_users - 1, positions=positions, skills=scale.large_skills)
    record = folder / "record.sql"
    record.write_text(pair + _RECORD)
    chance = Random(1)
    lists = []
    for number in range(20):
        start = chance.randrange(scale.large_skills - BADGES)
        ids = ",".join(skill_id(LARGE, start + place) for place in range(BADGES))
        lists.append(folder / f"badges-{number}.sql")
        user = f"\\set u random(0, {scale.large_users - 1})\n"
        lists[-1].write_text(user + " ".join(_BADGES.format(tenant=LARGE, ids=ids).split()) + "\n")
    return {"record": [record], "badges": lists}


def run(program: Path, url: str, scripts: list[Path], *, clients: int, seconds: float) -> dict[str, Any]:
    """Transactions a second, and the mean milliseconds of one."""
    files = [part for script in scripts for part in ("-f", str(script))]
    shape = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(round(seconds), 1))]
    done = subprocess.run([program, *shape, *files, url], capture_output=True, text=True, check=True)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    latency = re.search(r"latency average = ([\d.]+) ms", done.stdout)
    if rate is None or latency is None:
        raise RuntimeError(done.stdout + done.stderr)
    return {"rate": float(rate[1]), "p50": float(latency[1])}
