"""The contract of `storage.pending.PendingStore`, kept by every store."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.orders import OrderKey
from chalicelib.storage import codec
from chalicelib.storage.dynamodb.tables import FORMAT, Tables
from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import (
    PROPOSAL_END,
    SET_ASIDE,
    PendingStore,
    PendingWork,
    due_before,
    proposal_end,
)
from chalicelib.values import replace
from tests.storage.conftest import Stores

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
ENTRY = PendingWork("chore", "one", '{"do":"it"}', revision=3)


@pytest.fixture
def pending(stores: Stores) -> PendingStore:
    stores.pending.exchange((), [ENTRY])
    return stores.pending


def test_an_entry_is_read_as_it_was_written(pending: PendingStore) -> None:
    aside = PendingWork(SET_ASIDE + "chore", "two", "{}", "half", 5, 0, "ValueError()", AT, AT)
    pending.exchange((), [aside])
    assert pending.entry("chore", "one") == ENTRY
    assert pending.entry(aside.kind, "two") == aside
    assert pending.entry("chore", "two") is None


def test_entries_come_in_pages_in_the_order_of_their_ids(pending: PendingStore) -> None:
    pending.exchange((), [replace(ENTRY, id=f"e{number}") for number in (3, 1, 2)])
    pending.exchange((), [replace(ENTRY, kind="other", id="e0")])
    assert [entry.id for entry in pending.entries("chore", 2)] == ["e1", "e2"]
    assert [entry.id for entry in pending.entries("chore", 2, "e2")] == ["e3", "one"]
    assert pending.entries("chore", 2, "one") == []


def test_entries_before_an_id(pending: PendingStore) -> None:
    pending.exchange((), [replace(ENTRY, id=f"e{number}") for number in (1, 2, 3)])
    assert [entry.id for entry in pending.entries("chore", 9, before="e3")] == ["e1", "e2"]
    assert [entry.id for entry in pending.entries("chore", 9, "e1", before="e3")] == ["e2"]
    assert pending.entries("chore", 9, "e2", before="e3") == []
    assert (pending.count("chore", 9, before="e3"), pending.count("chore", 1, before="e3")) == (2, 1)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=999)])
def test_a_scheduled_entry_is_due_from_its_time_on(pending: PendingStore, ahead: timedelta) -> None:
    """Never before it, and less than a second after it."""
    key = OrderKey("partner#1", "uuid")
    entry = proposal_end(key, AT - ahead)
    pending.exchange((), [entry])
    due = [
        pending.entries(PROPOSAL_END, 9, before=due_before(PROPOSAL_END, AT + timedelta(seconds=seconds)))
        for seconds in (-1, 0, 1)
    ]
    assert due == [[], [entry], [entry]]
    assert codec.from_json(entry.document, OrderKey) == key
    assert due_before("chore", AT) == ""


def test_entries_are_counted_up_to_a_bound(pending: PendingStore) -> None:
    pending.exchange((), [replace(ENTRY, id=f"e{number}") for number in range(3)])
    assert (pending.count("chore", 10), pending.count("chore", 2), pending.count("other", 10)) == (4, 2, 0)


def test_progress_is_saved_and_the_entry_finished_once_and_again(pending: PendingStore) -> None:
    half_way = replace(ENTRY, progress="half", attempts=2)
    pending.save(half_way)
    assert pending.entries("chore", 10) == [half_way]
    pending.finish(half_way)
    pending.finish(half_way)
    assert pending.entries("chore", 10) == []


def test_whoever_works_on_an_earlier_entry_leaves_a_later_one_alone(pending: PendingStore) -> None:
    """Else those whom the earlier one has reached would never get the later."""
    later = replace(ENTRY, revision=4)
    pending.exchange((), [later])
    pending.save(replace(ENTRY, progress="half"))
    pending.finish(ENTRY)
    assert pending.entries("chore", 10) == [later]


def test_what_is_finished_is_not_saved_again_by_a_slower_worker(pending: PendingStore) -> None:
    pending.finish(ENTRY)
    pending.save(replace(ENTRY, progress="half"))
    assert pending.entries("chore", 10) == []


def test_entries_are_exchanged_all_or_none(pending: PendingStore) -> None:
    other = replace(ENTRY, id="other")
    with pytest.raises(CommitRefused):
        pending.exchange([ENTRY, replace(ENTRY, id="unknown")], [other])
    with pytest.raises(CommitRefused):
        pending.exchange([replace(ENTRY, revision=2)], [other])
    assert pending.entries("chore", 10) == [ENTRY]
    pending.exchange([ENTRY], [other])
    assert pending.entries("chore", 10) == [other]


@pytest.mark.parametrize(
    "damage",
    [
        {"document": {"N": "5"}},
        {"revision": {"S": "x"}},
        {"attempts": {"NULL": True}},
        {"row_format": {"N": str(FORMAT + 1)}},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_read_hides_no_other_and_can_be_exchanged(
    stores: Stores, engine_tables: Tables | None, damage: dict[str, dict[str, str]]
) -> None:
    if engine_tables is None:
        pytest.skip("rows are damaged on an engine only")
    client, table = engine_tables.connection.client, engine_tables.pending.Meta.table_name
    stores.pending.exchange((), [ENTRY, replace(ENTRY, id="two")])
    key = {"kind": {"S": "chore"}, "id": {"S": "one"}}
    row = client.get_item(TableName=table, Key=key)["Item"]
    client.put_item(TableName=table, Item={**row, **damage})
    broken, sound = stores.pending.entries("chore", 10)
    assert sound == replace(ENTRY, id="two")
    assert (broken.id, broken.revision) == ("one", None)
    assert "row_format" in broken.document  # the whole row
    stores.pending.exchange([broken], [replace(broken, kind=SET_ASIDE + "chore", revision=0)])
    assert stores.pending.entries("chore", 10) == [sound]
