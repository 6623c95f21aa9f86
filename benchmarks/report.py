"""Writes what was seen: every row as JSON, a table of what was promised and what was reached, and plots."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

Rows = list[dict[str, Any]]

# What only some rows are about: one user's history, one size of the table.
_SPECIAL = ("user", "table_rows")

# One colour each, in all plots.
_ORDER = ["everyskill", "bare asyncpg", "sqlalchemy", "django", "drizzle", "pgbench", "everyskill http", "fastapi"]
_CALLS = {"record": "record a view", "badges": "badges for 50 skills", "visit": "visit", "whats_new": "What's New"}


def write(folder: Path, results: dict[str, Any]) -> None:
    """The JSON file, the plots, and the page beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    rows: Rows = results["rows"]
    draw(folder, rows)
    page = [
        _HEAD,
        _machine(results),
        _throughput(rows),
        _targets(rows),
        _histories(rows),
        _sizes(rows),
        _weights(rows),
        _LIMITS,
    ]
    folder.with_suffix(".md").write_text("\n".join(part for part in page if part))


def middle(rows: Rows, value: str, **wanted: Any) -> float | None:
    """The middle of what was seen where the row says all that is wanted, and is of no user or size that is not."""
    wanted = dict.fromkeys(_SPECIAL) | wanted
    found = [row[value] for row in rows if value in row and all(row.get(name) == wanted[name] for name in wanted)]
    return median(found) if found else None


_HEAD = """# Performance

What EverySkill costs beside what it is compared with: on one server, in one run, taking turns, the middle of several
rounds. The machine is shared and noisy, so only the ratios say something. EverySkill runs as installed, as its
unprivileged login with row-level security in force, and every recorded view is committed before its call returns. The
others have the same data in [plain tables](../benchmarks/plain_schema.sql) without row-level security, connect as the
owner, and have 10 connections as well: SQLAlchemy's ORM on asyncpg, Django's ORM on psycopg with a thread a caller, and
drizzle-orm on postgres.js. They decide in the client what is updated, as code on them does. pgbench asks EverySkill's
own tables as superuser, in bare prepared statements. Over HTTP one worker each is asked by another process, and every
user has a token of their own.
"""


_LIMITS = """## What bounds it

- **Records.** A view that is recorded looks up its user and its skill and passes two policies; that is most of what the
  server spends on it. With 64 callers all go in one batch, so client and server take turns, and runs of one day came
  to between 4.8 and 6.4 times Drizzle. Batches of 32 rows, which overlap, won a tenth there and lost a third at 256.
- **Badges.** Fifty keys are looked up in two tables however they are asked for; what batching saves is the client and
  the transaction.
- **What's New** looks at 64 skills at most, whoever asks; the first feed in 64 changes walks, and leaves a
  [checkpoint](decisions/0008-feed-checkpoints.md). Drizzle's query asks for the time alone and misses the updates that
  were committed after a view of them.
- **By size.** A visit asks four tables and writes one; in runs of one day it took 0.9 to 1.5 times as long at 20
  million rows, the other calls 0.9 to 1.2 times.
- **Over HTTP.** A record is a small answer, so it is all the worker's own work: half of that is routing, arguments and
  answers, a tenth logs and metrics, a fifteenth parsing HTTP. On h11 parsing was a quarter, and 4.3 to 5.7 times were
  seen ([decision](decisions/0010-connections.md)). The service shares the processors with its clients and the database,
  so a machine that is busy otherwise shows less. Neither uvloop nor sending head and body in one piece saved anything.
"""


def _machine(results: dict[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    command = f"python -m benchmarks {results['command']}".strip()
    remark = f" {results['remark']}" if "remark" in results else ""
    return f"Run with `{command}` on: {facts}.{remark} All rows are in [results.json](performance/results.json).\n"


def _throughput(rows: Rows) -> str:
    lines = ["## Calls a second", "", "![Throughput by callers](performance/throughput.png)", ""]
    lines += ["| call | contender | 1 caller | 16 | 64 | 256 | at 64: p50 / p99 ms | client CPU µs | server CPU µs |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for call, name in _CALLS.items():
        for who in _names(rows, call):
            rates = [middle(rows, "rate", call=call, contender=who, callers=callers) for callers in (1, 16, 64, 256)]
            at_64 = [
                middle(rows, value, call=call, contender=who, callers=64)
                for value in ("p50", "p99", "client_cpu", "database_cpu")
            ]
            p50, p99, client, server = (_number(value) for value in at_64)
            shown = " | ".join(_number(rate) for rate in rates)
            lines.append(f"| {name} | {who} | {shown} | {p50} / {p99} | {client} | {server} |")
    bulk = middle(rows, "rate", call="bulk")
    lines += ["", f"One upsert of 50,000 rows in SQL records {_number(bulk)} views a second."]
    return "\n".join(lines) + "\n"


def _targets(rows: Rows) -> str:
    lines = ["## What it is to reach", "", "| | against | wanted | seen |", "|---|---|---|---|"]
    for what, against, wanted, seen in targets(rows):
        lines.append(f"| {what} | {against} | {wanted} | {'not measured' if seen is None else f'{seen:.2f}×'} |")
    return "\n".join(lines) + "\n"


def targets(rows: Rows) -> list[tuple[str, str, str, float | None]]:
    """What was promised, against whom, how much, and the ratio that was seen."""

    def ratio(value: str, ours: dict[str, Any], theirs: dict[str, Any]) -> float | None:
        one, two = middle(rows, value, **ours), middle(rows, value, **theirs)
        return one / two if one is not None and two else None

    def at(who: str, call: str, callers: int) -> dict[str, Any]:
        return {"contender": who, "call": call, "callers": callers}

    def rates(call: str, callers: int, who: str) -> float | None:
        return ratio("rate", at("everyskill", call, callers), at(who, call, callers))

    def floor(call: str, callers: int) -> float | None:
        best = [middle(rows, "rate", **at("pgbench", call, clients)) or 0 for clients in (8, 16, 32)]
        ours = middle(rows, "rate", **at("everyskill", call, callers))
        return ours / max(best) if ours is not None and any(best) else None

    found: list[tuple[str, str, str, float | None]] = [
        ("record, 64 callers", "drizzle", "≥ 6×", rates("record", 64, "drizzle")),
        ("record, 256 callers", "drizzle", "≥ 7×", rates("record", 256, "drizzle")),
        ("record, 256 callers", "pgbench, single rows, best", "≥ 2.5×", floor("record", 256)),
        ("badges, 64 callers", "drizzle", "≥ 7×", rates("badges", 64, "drizzle")),
        ("badges, 64 callers", "pgbench, best", "≥ 0.5×", floor("badges", 64)),
    ]
    for call in ("record", "badges"):
        p50 = ratio("p50", at("everyskill", call, 1), at("bare asyncpg", call, 1))
        found.append((f"{call}, 1 caller, p50", "bare asyncpg", "≤ 1.2×", p50))
    for call in _CALLS:
        found += [(f"{call}, 16 callers", who, "≥ 6×", rates(call, 16, who)) for who in ("sqlalchemy", "django")]
    for call in ("record", "badges"):
        seen = ratio("rate", at("everyskill http", call, 64), at("fastapi", call, 64))
        found.append((f"{call} over HTTP, 64 callers", "FastAPI and the ORM", "≥ 5×", seen))
    slowest = max((row["p50"] for row in _of_histories(rows, "whats_new")), default=None)
    shortest = middle(rows, "p50", contender="everyskill", call="whats_new", user="u0")
    slow = slowest / shortest if slowest and shortest else None
    found.append(("What's New, slowest user of the large tenant, p50", "the 10-view user", "≤ 3×", slow))
    caught_up = {"call": "whats_new_extreme", "user": "caught-up"}
    feed = ratio("p50", caught_up | {"contender": "drizzle"}, caught_up | {"contender": "everyskill"})
    found.append(("What's New, extreme tenant, caught up", "drizzle", "≥ 5×", feed))
    found.append(("What's New, slowest user of the large tenant, p50", "2.5 ms", "≤ 1×", slowest and slowest / 2.5))
    hot = middle(rows, "hot_share", contender="everyskill", call="weigh")
    found.append(("HOT updates", "all re-views", "≥ 0.99×", hot))
    wal = ratio("wal_bytes", {"contender": "everyskill", "call": "weigh"}, {"contender": "drizzle", "call": "weigh"})
    found.append(("WAL bytes a re-view", "drizzle", "≤ 0.5×", wal))
    sizes = sorted({row["table_rows"] for row in rows if "table_rows" in row})
    for call in _CALLS if len(sizes) > 1 else ():
        shape = {"contender": "everyskill", "call": call}
        grown = ratio("p50", shape | {"table_rows": sizes[-1]}, shape | {"table_rows": sizes[0]})
        label = f"{call}, p50 at {sizes[-1] / 1e6:.0f} million rows"
        found.append((label, f"at {sizes[0] / 1e6:.0f} million", "≤ 1.3×", grown))
    return found


def _of_histories(rows: Rows, call: str) -> Rows:
    users = sorted({(row["views"], row["user"]) for row in rows if row["call"] == call and "user" in row})
    return [
        {"user": user, "views": views, "p50": p50}
        for views, user in users
        if (p50 := middle(rows, "p50", contender="everyskill", call=call, user=user)) is not None
    ]


def _histories(rows: Rows) -> str:
    lines = ["## What's New by length of history", "", "![Latency by history](performance/histories.png)", ""]
    lines += ["| tenant | user | views | everyskill p50 ms | its first feed | sqlalchemy | drizzle |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for call, tenant in (("whats_new", "20,000 skills"), ("whats_new_extreme", "200,000 skills")):
        for row in _of_histories(rows, call):
            others = [
                middle(rows, "p50", contender=who, call=call, user=row["user"]) for who in ("sqlalchemy", "drizzle")
            ]
            first = middle(rows, "p50", contender="everyskill", call=f"{call}_first", user=row["user"])
            shown = " | ".join(_number(value) for value in [row["p50"], first, *others])
            lines.append(f"| {tenant} | {row['user']} | {row['views']:,} | {shown} |")
    lines += [
        "",
        "A first feed has no [checkpoint](decisions/0008-feed-checkpoints.md) yet, or one that is 64 changes old.",
    ]
    return "\n".join(lines) + "\n"


def _sizes(rows: Rows) -> str:
    sizes = sorted({row["table_rows"] for row in rows if "table_rows" in row})
    lines = ["## By size of the table, 16 callers", "", "![Latency by size](performance/sizes.png)", ""]
    lines += [
        "| call, p50 ms | " + " | ".join(f"{size:,} rows" for size in sizes) + " |",
        "|---|" + "---|" * len(sizes),
    ]
    for call, name in _CALLS.items():
        values = [middle(rows, "p50", contender="everyskill", call=call, table_rows=size) for size in sizes]
        lines.append(f"| {name} | " + " | ".join(_number(value) for value in values) + " |")
    return "\n".join(lines) + "\n"


def _weights(rows: Rows) -> str:
    lines = ["## Bytes", "", "| | WAL bytes a re-view | HOT share of re-views | bytes a row, indexes included |"]
    lines += ["|---|---|---|---|"]
    for row in rows:
        if row["call"] == "weigh":
            facts = f"{row['wal_bytes']:,.0f} | {row['hot_share']:.1%} | {row['bytes_a_row']:,.0f}"
            lines.append(f"| {row['contender']} | {facts} |")
    for row in rows:
        if row["call"] == "memory":
            lines += ["", f"10,000 waiting calls add {row['queued_mib']:.1f} MiB to a process,"]
            lines += [f"1,000 tenants that do nothing {max(row['idle_tenants_mib'], 0):.1f} MiB."]
    return "\n".join(lines) + "\n"


def draw(folder: Path, rows: Rows) -> None:
    """Throughput by callers, latency by history, and latency by size of the table."""
    import matplotlib as mpl  # noqa: PLC0415 - it takes a second, and only the end needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, len(_CALLS), figsize=(16, 4), layout="constrained")
    for axis, (call, name) in zip(axes, _CALLS.items(), strict=True):
        for who in _names(rows, call):
            points = [(n, middle(rows, "rate", call=call, contender=who, callers=n)) for n in (1, 16, 64, 256)]
            _line(axis, points, who)
        axis.set(title=name, xscale="log", yscale="log", xlabel="callers", ylabel="calls a second")
    axes[0].legend(fontsize="small")
    figure.savefig(folder / "throughput.png", dpi=80)

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, (call, name) in zip(
        axes, (("whats_new", "20,000 skills"), ("whats_new_extreme", "200,000 skills")), strict=True
    ):
        for who in ("everyskill", "sqlalchemy", "drizzle"):
            users = sorted({(row["views"], row["user"]) for row in rows if row["call"] == call and "user" in row})
            points = [(views, middle(rows, "p50", call=call, contender=who, user=user)) for views, user in users]
            _line(axis, points, who, "o")
        axis.set(title=f"What's New, {name}", xscale="log", yscale="log", xlabel="views of the user", ylabel="p50, ms")
    axes[0].legend(fontsize="small")
    figure.savefig(folder / "histories.png", dpi=80)

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    sizes = sorted({row["table_rows"] for row in rows if "table_rows" in row})
    for call, name in _CALLS.items():
        _line(axis, [(n, middle(rows, "p50", call=call, contender="everyskill", table_rows=n)) for n in sizes], name)
    axis.set(title="16 callers", xscale="log", xlabel="rows of the table", ylabel="p50, ms", ylim=(0, None))
    axis.legend(fontsize="small")
    figure.savefig(folder / "sizes.png", dpi=80)
    plt.close("all")


def _line(axis: Any, points: Iterable[tuple[float, float | None]], label: str, style: str = "o-") -> None:
    seen = [(x, y) for x, y in points if y is not None]
    if seen:
        colour = f"C{_ORDER.index(label)}" if label in _ORDER else None
        axis.plot(*zip(*seen, strict=True), style, color=colour, label=label)


def _names(rows: Rows, call: str) -> list[str]:
    return list(dict.fromkeys(row["contender"] for row in rows if row["call"] == call and "callers" in row))


def _number(value: float | None) -> str:
    # Less than nothing: a process ended meanwhile.
    if value is None or value < 0:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
