"""Feeds published again: after rows were lost, and after tables were restored to an earlier time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from chalicelib.feeds.contents import FeedContents
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.feeds.republishing import Republisher
from chalicelib.services.checking.repair import Repair
from chalicelib.services.rebuilding import EPOCH, Rebuild, number_beyond_all
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.values import dataclass, field
from openbooking.deployment.restoring import NotACopyError, TableMissingError, restore
from openbooking.local.tables import create_tables
from tests.services.checking.site import FEED, PARTNER, SESSIONS, Site, site
from tests.support.engines import running_engine, tables_of
from tests.support.readers import Reader, in_store, readers

FEEDS = [
    FEED,
    orders_feed("partner-2"),
    proposals_feed(PARTNER),
    SESSIONS,
    "session-series",
    "slots",
    "facility-uses",
]
COPIED = ("inventory", "orders", "pending")
_numbers = count()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
def here(url: str) -> Iterator[Site]:
    with site(f"rebuild-{next(_numbers)}", url) as made:
        for number in range(12):
            made.book(f"more {number}", partner=f"partner-{1 + number % 2}")
            if number % 4 < 2:
                made.cancel(f"more {number}")
        made.pump.drain()
        yield made


@pytest.fixture
def broker(here: Site) -> dict[str, Reader]:
    """One that has read every feed to its end."""
    made = readers(FEEDS)
    agree(here, made)
    return made


def agree(here: Site, broker: Mapping[str, Reader]) -> None:
    """Everybody who reads on to the end knows what the store has."""
    known = {feed_id: reader.read(here.system).known for feed_id, reader in broker.items()}
    assert known == in_store(here.system, broker)


def rebuild(here: Site, wanted: Rebuild = Rebuild()) -> int:  # noqa: B008 - it is a value
    upkeep, entry = here.upkeep(), wanted.pending()
    here.system.pending.exchange((), [entry])
    return upkeep.worker.finish(entry.kind, entry.id)


def test_after_every_tenth_row_was_deleted(here: Site, broker: dict[str, Reader]) -> None:
    """Items, pointers and a counter: who had read everything, and who begins, end equal to the store."""
    rows = sorted(here.tables.feeds.scan(), key=lambda row: (row.feed_id, row.entry))
    for row in rows[::10]:
        row.delete()
    here.tables.feeds.get(SESSIONS, "counter").delete()
    here.cancel("booked")
    here.book("while it is broken")
    here.pump.drain()
    rebuild(here)
    here.cancel("while it is broken")
    here.pump.drain()
    agree(here, broker)
    agree(here, readers(FEEDS))
    assert here.found() == []


def test_a_second_rebuild_changes_nothing_that_a_broker_knows(here: Site, broker: dict[str, Reader]) -> None:
    known = {feed_id: dict(reader.known) for feed_id, reader in broker.items()}
    assert rebuild(here) == rebuild(here) > 0
    agree(here, broker)
    assert known == {feed_id: reader.known for feed_id, reader in broker.items()}


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (Rebuild(partner_id="partner-2"), {orders_feed("partner-2")}),
        (Rebuild(feed=SESSIONS), {SESSIONS}),
    ],
)
def test_of_one_partner_or_one_type(
    here: Site, broker: dict[str, Reader], wanted: Rebuild, written: set[str]
) -> None:
    before = {feed_id: here.system.feeds.state(feed_id, []).counter for feed_id in FEEDS}
    rebuild(here, wanted)
    after = {feed_id: here.system.feeds.state(feed_id, []).counter for feed_id in FEEDS}
    assert {feed_id for feed_id in FEEDS if after[feed_id] != before[feed_id]} == written
    agree(here, broker)


def test_goes_on_where_it_was_interrupted(here: Site, broker: dict[str, Reader]) -> None:
    for row in list(here.tables.feeds.query(FEED, here.tables.feeds.entry.startswith("item#"))):
        row.delete()
    entry = Rebuild().pending()
    here.system.pending.exchange((), [entry])
    steps = 0
    while (found := here.system.pending.entry(entry.kind, entry.id)) is not None:
        # Each step by another process: nothing is kept but the entry.
        worker = here.upkeep().worker
        worker._save(found, worker.steps[entry.kind](found))
        steps += 1
    assert steps > 5
    agree(here, broker)
    assert here.found() == []


# --- after a restore -------------------------------------------------------------------------


def snapshot(here: Site, tables: Sequence[str] = COPIED) -> str:
    """What a point-in-time restore gives: tables of another name, with the rows of this moment."""
    client, prefix = here.tables.connection.client, f"restored-{next(_numbers)}"
    create_tables(client, prefix)
    for table in tables:
        restore(client, here.tables.name(table), f"{prefix}-{table}", pause=time.sleep)
    return prefix


def go_on(here: Site) -> None:
    """What happens between the moment that is restored and the restore, and is read."""
    here.cancel("booked")
    here.delete("changed")
    here.cancel("more 2")
    here.book("later")
    here.cancel("later")
    here.installation.session(4)
    here.cancel("more 3")
    here.system.inventory.withdraw(here.court.id)
    here.pump.drain()


def bring_back(here: Site, prefix: str, tables: Sequence[str] = COPIED) -> None:
    client = here.tables.connection.client
    for table in tables:
        restore(client, f"{prefix}-{table}", here.tables.name(table), pause=time.sleep)
    here.pump.drain()


def changes_flow(here: Site, broker: Mapping[str, Reader]) -> None:
    """From here on every change arrives, as before."""
    here.cancel("booked")
    here.cancel("more 6")
    here.book("afterwards")
    here.cancel("afterwards")
    here.pump.drain()
    agree(here, broker)
    assert here.found() == []


def test_a_broker_that_had_read_beyond_the_restored_moment_ends_equal_to_the_store(
    here: Site, broker: dict[str, Reader]
) -> None:
    copies = snapshot(here)
    go_on(here)
    agree(here, broker)
    bring_back(here, copies)
    assert here.found() != []
    rebuild(here)
    agree(here, broker)
    # Booked before the restored moment and changed after it: it stands, as it was booked (OFEED-13).
    item = broker[FEED].known[here.uuids["booked"]]["orderedItem"][0]
    assert item["orderItemStatus"].endswith("OrderItemConfirmed")
    agree(here, readers(FEEDS))
    changes_flow(here, broker)


def test_a_repair_brings_feeds_in_line_after_a_restore_too(here: Site, broker: dict[str, Reader]) -> None:
    copies = snapshot(here)
    go_on(here)
    agree(here, broker)
    bring_back(here, copies)
    check = here.check()
    assert Repair(check).run(check.run().findings) == []
    here.pump.drain()
    agree(here, broker)
    changes_flow(here, broker)


def test_changes_that_come_between_restore_and_rebuild_are_not_lost(
    here: Site, broker: dict[str, Reader]
) -> None:
    """The streams take them for old: the feed has a higher version."""
    copies = snapshot(here)
    for _ in range(2):
        here.book("again")
        here.cancel("again")
    go_on(here)
    agree(here, broker)
    bring_back(here, copies)
    here.cancel("more 2")
    here.pump.drain()
    rebuild(here)
    agree(here, broker)


def test_where_the_feeds_table_was_restored_and_the_old_one_is_left(
    here: Site, broker: dict[str, Reader]
) -> None:
    """Ids and last numbers come from the old table: what only readers know is deleted."""
    tables = (*COPIED, "feeds")
    copies = snapshot(here, tables)
    go_on(here)
    agree(here, broker)
    old = snapshot(here, ["feeds"])
    bring_back(here, copies, tables)
    upkeep = here.upkeep()
    adopted = list(upkeep.rebuilder.adopt(DynamoFeeds(tables_of(old, here.installation.url)), Rebuild()))
    assert set(adopted) >= {FEED, SESSIONS}
    rebuild(here)
    agree(here, broker)
    agree(here, readers(FEEDS))
    changes_flow(here, broker)


def test_where_the_feeds_are_lost_altogether(here: Site, broker: dict[str, Reader]) -> None:
    """The counters jump beyond all numbers; Orders that nobody can know any more stay as they were read."""
    copies = snapshot(here)
    go_on(here)
    agree(here, broker)
    bring_back(here, copies)
    for row in list(here.tables.feeds.scan()):
        row.delete()
    rebuild(here, Rebuild(beyond=number_beyond_all(here.system.now())))
    # What was made after the restored moment has left no trace, and cannot be marked as deleted.
    lost = broker[FEED].known[here.uuids["later"]]
    session = broker[SESSIONS].known.keys() - in_store(here.system, [SESSIONS])[SESSIONS].keys()
    for reader in broker.values():
        reader.read(here.system)
    assert broker[FEED].known.pop(here.uuids["later"]) == lost
    assert [broker[SESSIONS].known.pop(each)["@type"] for each in session] == ["ScheduledSession"]
    for series in (
        broker["session-series"].known.keys()
        - in_store(here.system, ["session-series"])["session-series"].keys()
    ):
        broker["session-series"].known.pop(series)
    agree(here, broker)
    agree(here, readers(FEEDS))
    changes_flow(here, broker)


def test_a_feed_without_any_item_goes_on_above_what_was_read_too(here: Site) -> None:
    beyond = number_beyond_all(here.system.now())
    rebuild(here, Rebuild(beyond=beyond))
    assert here.system.feeds.state("courses", []).counter in (0, beyond)
    assert here.system.feeds.state(orders_feed("partner-2"), []).counter > beyond


def test_a_copy_with_another_key_is_refused(here: Site) -> None:
    client = here.tables.connection.client
    with pytest.raises(NotACopyError):
        restore(client, here.tables.name("orders"), here.tables.name("feeds"), pause=time.sleep)
    with pytest.raises(TableMissingError, match="nowhere-orders"):
        restore(client, "nowhere-orders", here.tables.name("orders"), pause=time.sleep)


# --- beside the streams ----------------------------------------------------------------------


@dataclass(frozen=True)
class Meanwhile(FeedContents):
    """Somebody changes an Order between the reading of the store and the write, and the stream brings it."""

    meanwhile: list[Site] = field(default_factory=list)

    def current(self, feed_id: str, item_ids: Sequence[str]) -> Mapping[str, FeedItem]:
        found = super().current(feed_id, item_ids)
        if self.meanwhile:
            here = self.meanwhile.pop()
            here.cancel("more 2")
            here.pump.drain()
        return found


@pytest.mark.parametrize("ahead", [0, 5])
def test_a_change_that_comes_while_its_item_is_written_again_is_not_lost(here: Site, ahead: int) -> None:
    """`ahead`: the feed has a higher version than the store, so that the stream takes the change for old."""
    uuid = here.uuids["more 2"]
    here.cancel("booked")
    here.pump.drain()
    if ahead:
        here.tables.feeds(FEED, f"item#{uuid}", change_number=0, version=ahead).save()
    contents = Meanwhile(here.system.store, here.system.consent.is_revoked, [here])
    Republisher(here.system.feeds, contents, here.system.retry).publish(FEED, [uuid], here.system.now())
    known = Reader(FEED).read(here.system).known
    assert known == in_store(here.system, [FEED])[FEED]
    assert known[uuid]["orderedItem"][0]["orderItemStatus"].endswith("CustomerCancelled")


def test_jumps_stay_below_what_javascript_can_read() -> None:
    """RPDE: whole numbers up to 2**53."""
    in_a_century: Any = EPOCH + timedelta(days=36_525)
    assert 20_000 * 86_400 * 36_525 == number_beyond_all(in_a_century) < 2**53 // 100
    assert number_beyond_all(EPOCH + timedelta(days=10**6)) < 2**53
