"""The program that injects faults notices what is lost."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from faults.accounts import Accounts
from faults.acts import Act, ActLog

from everyskill.errors import LockTimeout, OutcomeUnknown

RECORD = Act("record", "acme", "ann", "pdf", 2)
PUBLISH = Act("publish", "acme", "ann", "pdf")


def view(count: int, version: int | None = 2) -> dict[str, object]:
    return {"tenant_id": "acme", "user_id": "ann", "slug": "pdf", "view_count": count, "last_viewed_version": version}


async def accounts_of(log: Path, act: Act, outcomes: Iterable[Exception | None]) -> Accounts:
    """The accounts of a writer whose acts came to this."""
    writer = ActLog(log)
    for outcome in outcomes:

        async def call(outcome: Exception | None = outcome) -> None:
            if outcome is not None:
                raise outcome

        await writer.run(act, call)
    writer.close()
    accounts = Accounts()
    accounts.read(log)
    return accounts


@pytest.mark.parametrize(
    ("count", "version", "is_loss"), [(1, 2, True), (2, 2, False), (3, 2, False), (4, 2, True), (2, 1, True)]
)
async def test_views_are_those_acknowledged_and_at_most_those_unknown(
    tmp_path: Path, count: int, version: int, is_loss: bool
) -> None:
    accounts = await accounts_of(tmp_path / "log", RECORD, [None, None, OutcomeUnknown("cut"), LockTimeout()])
    assert bool(list(accounts.losses([view(count, version)], []))) == is_loss  # type: ignore[list-item]


async def test_a_view_that_is_gone_is_a_loss(tmp_path: Path) -> None:
    accounts = await accounts_of(tmp_path / "log", RECORD, [None])
    assert list(accounts.losses([], []))


@pytest.mark.parametrize(
    ("versions", "newest", "published", "is_loss"),
    [(2, 2, 2, False), (1, 1, 1, True), (3, 3, 3, True), (2, 3, 3, True), (2, 2, 1, True)],
)
async def test_versions_are_those_acknowledged_and_the_newest_is_published(
    tmp_path: Path, versions: int, newest: int, published: int, is_loss: bool
) -> None:
    accounts = await accounts_of(tmp_path / "log", PUBLISH, [None])
    rows = [("acme", "pdf", versions, newest, published)]
    assert bool(list(accounts.losses([], rows))) == is_loss  # type: ignore[arg-type]


async def test_what_a_killed_writer_had_tried_is_unknown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    accounts = await accounts_of(log, RECORD, [None])
    line = msgspec.json.decode(log.read_bytes().splitlines()[1])
    with log.open("ab") as file:
        file.write(msgspec.json.encode(line | {"number": 1}) + b'\n{"at": 1.0, "num')
    next_writer = ActLog(log)
    next_writer.close()
    accounts.read(log)
    accounts.close(log)
    assert not list(accounts.losses([view(2)], []))  # type: ignore[list-item]


async def test_an_error_without_a_type_is_reported(tmp_path: Path) -> None:
    accounts = await accounts_of(tmp_path / "log", RECORD, [ValueError("raw")])
    assert accounts.untyped == ["record: ValueError('raw')"]
