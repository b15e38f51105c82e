"""`openbooking feeds` and `openbooking pending`: what was set aside is listed without its content, replayed, discarded."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.feeds.batches import Handled
from chalicelib.feeds.names import orders_feed
from chalicelib.services import following, leases
from chalicelib.storage.dynamodb.rows import order_row
from chalicelib.storage.dynamodb.tables import FORMAT
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.values import replace
from tests.support.builders import KEY, NOW
from tests.support.orders import an_order
from tests.support.terminal import Terminal

Record = dict[str, Any]
FEED = orders_feed(KEY.partner_id)


def record(terminal: Terminal, number: int, version: int = 1) -> Record:
    order = an_order(version=version)
    image = order_row(order)
    data = image["document"]["B"]
    image["document"] = {"B": data if isinstance(data, str) else base64.b64encode(data).decode()}
    keys = {"order_key": {"S": str(order.key)}}
    return {"dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}}


def of_a_later_release(terminal: Terminal, number: int, version: int = 1) -> Record:
    made = record(terminal, number, version)
    made["dynamodb"]["NewImage"]["row_format"] = {"N": str(FORMAT + 1)}
    return made


def broken(terminal: Terminal, number: int) -> Record:
    made = record(terminal, number)
    made["dynamodb"]["NewImage"]["document"] = {"B": base64.b64encode(b"geoff@example.com").decode()}
    return made


def handle(terminal: Terminal, *records: Record) -> Handled:
    return terminal.system.streams["orders"].handle(records)


def shown(terminal: Terminal) -> list[int]:
    page = terminal.system.feeds.page(FEED, 0, 100, NOW)
    return [json.loads(text)["modified"] for text in page.items]


def test_what_is_parked_is_listed_by_ids_without_its_content(terminal: Terminal) -> None:
    assert terminal.says("feeds", "parked") == "No record is parked.\n"
    assert handle(terminal, broken(terminal, 7)).retry_from is None
    [row] = terminal.rows("feeds", "parked")
    assert (row["stream"], row["row"]) == ("orders", str(KEY))
    assert row["error"].startswith("Undecodable at storage/codec.py:")
    assert "geoff" not in terminal.says("feeds", "parked") + json.dumps(row)


def test_a_parked_record_is_replayed_through_the_handler_of_its_stream(terminal: Terminal) -> None:
    """The release that can read it is there again: what has stood in its way here is taken out of the content."""
    handle(terminal, of_a_later_release(terminal, 7))
    [row] = terminal.rows("feeds", "parked")
    assert "still cannot be published: LaterFormat at" in refused(terminal, "feeds", "replay", row["record"])
    assert shown(terminal) == []
    mend(terminal, row["record"])
    assert terminal.says("feeds", "replay", row["record"]) == "Replayed: 1.\n"
    assert shown(terminal) == [1]
    assert terminal.rows("feeds", "parked") == []
    assert "stream record replayed" in [what for what, _ in terminal.journal()]


def test_replaying_all_publishes_what_can_be_and_keeps_the_rest(terminal: Terminal) -> None:
    handle(terminal, of_a_later_release(terminal, 7), broken(terminal, 8))
    mend(terminal, next(row["record"] for row in terminal.rows("feeds", "parked") if "Later" in row["error"]))
    assert "Replayed: 1. Not replayed: 1." in refused(terminal, "feeds", "replay", "--all")
    assert shown(terminal) == [1]
    assert [row["record"][:1] for row in terminal.rows("feeds", "parked")] == ["8"]


def test_a_replay_takes_back_no_later_version(terminal: Terminal) -> None:
    handle(terminal, of_a_later_release(terminal, 7, version=1), record(terminal, 8, version=2))
    [row] = terminal.rows("feeds", "parked")
    mend(terminal, row["record"])
    before = shown(terminal)
    terminal.says("feeds", "replay", row["record"])
    assert shown(terminal) == before == [1]


def test_content_that_is_incomplete_is_not_replayed(terminal: Terminal) -> None:
    handle(terminal, broken(terminal, 7))
    [row] = terminal.rows("feeds", "parked")
    pending = terminal.system.pending
    part = pending.entry("parked-content#orders", f"{row['record']}#000")
    assert part is not None
    pending.finish(part)
    assert f"The content of {row['record']} is incomplete." in refused(
        terminal, "feeds", "replay", row["record"]
    )
    terminal.says("feeds", "discard", row["record"], "--yes")
    assert terminal.rows("feeds", "parked") == []


def test_a_record_is_discarded_only_where_that_is_confirmed(terminal: Terminal) -> None:
    handle(terminal, broken(terminal, 7), broken(terminal, 8))
    [first, _] = terminal.rows("feeds", "parked")
    refused(terminal, "feeds", "discard", first["record"], typed="n\n")
    assert len(terminal.rows("feeds", "parked")) == 2
    terminal.says("feeds", "discard", first["record"], typed="y\n")
    assert len(terminal.rows("feeds", "parked")) == 1
    assert terminal.says("feeds", "discard", "--all", "--yes") == "Discarded: 1.\n"
    assert terminal.system.pending.count("parked-content#orders", 10) == 0
    assert [what for what, _ in terminal.journal()].count("stream record discarded") == 2


@pytest.mark.parametrize("group", ["feeds", "pending"])
@pytest.mark.parametrize("action", ["replay", "discard"])
def test_one_or_all_are_named(terminal: Terminal, group: str, action: str) -> None:
    assert "or use --all." in terminal.refuses(group, action)
    assert "or use --all." in terminal.refuses(group, action, "x", "--all")
    lists = "feeds parked" if group == "feeds" else "pending list"
    assert terminal.refuses(group, action, "x").endswith(f"'x': see {terminal.pasteable(lists)}.")


ASIDE = PendingWork(
    SET_ASIDE + following.KIND,
    "entry-1",
    "{}",
    progress="p#u",
    attempts=5,
    error="KeyError('geoff@example.com')",
    failed_at=NOW,
)


def test_work_that_was_set_aside_is_listed_and_replayed(terminal: Terminal) -> None:
    assert terminal.says("pending", "list") == "Nothing is set aside.\n"
    pending = terminal.system.pending
    pending.exchange((), [ASIDE])
    [row] = terminal.rows("pending", "list")
    assert {key: row[key] for key in ("entry", "kind", "error")} == {
        "entry": "entry-1",
        "kind": following.KIND,
        "error": "KeyError",
    }
    assert "geoff" not in terminal.says("pending", "list")
    assert terminal.says("pending", "replay", "entry-1") == "Replayed: 1.\n"
    entry = pending.entry(following.KIND, "entry-1")
    assert entry is not None
    assert (entry.attempts, entry.progress, entry.error) == (
        0,
        "",
        None,
    )  # an entry that was replaced starts from the beginning
    assert terminal.rows("pending", "list") == []


def test_work_that_was_set_aside_is_discarded_only_where_that_is_confirmed(terminal: Terminal) -> None:
    terminal.system.pending.exchange((), [ASIDE, replace(ASIDE, id="entry-2")])
    refused(terminal, "pending", "discard", "entry-1", typed="n\n")
    assert len(terminal.rows("pending", "list")) == 2
    assert terminal.says("pending", "discard", "entry-1", "--yes") == "Discarded: 1.\n"
    assert [row["entry"] for row in terminal.rows("pending", "list")] == ["entry-2"]


def test_a_row_among_the_leases_that_is_none_can_only_be_discarded(terminal: Terminal) -> None:
    terminal.system.pending.exchange((), [replace(ASIDE, kind=SET_ASIDE + leases.KIND)])
    assert "there is nothing to retry" in terminal.refuses("pending", "replay", "entry-1")
    terminal.says("pending", "discard", "--all", "--yes")
    assert terminal.rows("pending", "list") == []


def refused(terminal: Terminal, *arguments: str, typed: str = "") -> str:
    """What a command says that ends with 1; it may have changed something before."""
    result = terminal.run(*arguments, typed=typed)
    assert result.exit_code == 1, result.output
    return result.stderr


def mend(terminal: Terminal, record_id: str) -> None:
    """Let the content be what this release can read."""
    parked = terminal.system.parked
    [known] = [each for each in parked.listed("orders") if each.id == record_id]
    record = parked.content(known)
    del record["dynamodb"]["NewImage"]["row_format"]
    position = record["dynamodb"]["SequenceNumber"]
    parked.discard(known)
    parked.park("orders", position, known.row, record, KeyError(), NOW + timedelta(days=1))
