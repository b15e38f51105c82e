"""Rebuild whole feeds from the store, at change numbers above any that a reader may have seen.

The steps are bounded and may be repeated, while the system runs: a write is refused if a stream was faster,
and is then retried.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import ClassVar

from chalicelib.booking.decisions import Decision, Snapshot, Wanted, save_order
from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.contents import FeedContents, feed_of, is_known, partner_feeds, partner_of
from chalicelib.feeds.republishing import Republisher
from chalicelib.services.attempts import carry_out
from chalicelib.services.checking.feeds import read_item
from chalicelib.services.checking.inventory import StoredOrder
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.errors import FeedMoved, StoreBusy
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.scans import BrokenRow
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, field, replace

# Items in one step.
STEP = 200

# One counter row allows at most 1,000 write units a second; a transaction on it takes two and appends at most 33
# items: 16,500. So no feed that began after EPOCH can have reached this many a second since.
ITEMS_A_SECOND = 20_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# JavaScript cannot represent all integers above 2**53; this is reached after 7,000 years.
_HIGHEST = 2**52


def number_beyond_all(now: datetime) -> int:
    """A change number that no feed can have reached before `now`, and to which every feed may jump."""
    return min(_HIGHEST, int((now - EPOCH).total_seconds()) * ITEMS_A_SECOND)


@dataclass(frozen=True)
class Rebuild:
    """Which feeds to publish again.

    `partner_id`: those of one booking partner. `feed`: one open feed. Neither: all. `beyond` is the least
    counter to continue from, 0 if the existing counters are correct.
    """

    KIND: ClassVar[str] = "feed-rebuild"

    partner_id: str | None = None
    feed: str | None = None
    beyond: int = 0

    def pending(self) -> PendingWork:
        """Its pending entry. A second one for the same feeds replaces one that is not finished."""
        return PendingWork(self.KIND, self.partner_id or self.feed or "all", codec.to_json(self))

    def includes(self, feed_id: str) -> bool:
        if self.partner_id is not None:
            return partner_of(feed_id) == self.partner_id
        return is_known(feed_id) and self.feed in (None, feed_id)


def is_beyond(entry: PendingWork) -> bool:
    """Whether an unfinished rebuild jumps beyond all change numbers. Raises Undecodable."""
    return codec.from_json(entry.document, Rebuild).beyond > 0


@dataclass(frozen=True)
class Reached:
    """The progress of a rebuild: its phase, the current feed, and the position in it."""

    phase: int = 0
    feed_id: str = ""
    cursor: str = ""


@dataclass
class Rebuilder:
    """Carries out rebuilds. Raises StillBusy and StoreBusy; the work done until then is kept."""

    store: Store
    feeds: FeedStore
    contents: FeedContents
    retry: RetryPolicy
    clock: Callable[[], datetime]
    partner_ids: Callable[[], Iterable[str]]
    _ready: set[str] = field(default_factory=set)

    def take_step(self, entry: PendingWork) -> Step:
        """Publish the next items of a rebuild. Repeating a step publishes them again. Raises Undecodable."""
        rebuild = codec.from_json(entry.document, Rebuild)
        reached = codec.from_json(entry.progress, Reached) if entry.progress else Reached()
        phases = (self._counters, self._orders, self._listings, self._pointers, self._rows)
        handled, following = phases[reached.phase](rebuild, reached)
        if following is None:
            following = Reached(reached.phase + 1)
        return Step(handled, codec.to_json(following) if following.phase < len(phases) else None)

    def adopt(self, old: FeedStore, rebuild: Rebuild) -> Iterator[str]:
        """Copy from the feeds of `old` tables which items readers know, and how far they have read.

        Yields the id of each copied feed. Repeating it changes nothing.
        """
        for feed_id in filter(rebuild.includes, old.feed_ids()):
            self._raise(feed_id, max(old.state(feed_id, []).counter, old.last(feed_id)))
            after = ""
            while pointers := old.pointers(feed_id, after, STEP):
                self.feeds.adopt(feed_id, pointers)
                after = list(pointers)[-1]
            yield feed_id

    # --- phases: counters, what the store has, what only the feeds have, rows that nothing points to -------

    def _counters(self, rebuild: Rebuild, reached: Reached) -> tuple[int, Reached | None]:
        """Also for feeds without items: their next change number must be above those that readers have seen."""
        some = [each for each in self._known_feeds if each > reached.cursor and rebuild.includes(each)][:STEP]
        for feed_id in some:
            self._make_ready(feed_id, rebuild.beyond)
        return 0, _following(reached, some[-1] if len(some) == STEP else None)

    def _orders(self, rebuild: Rebuild, reached: Reached) -> tuple[int, Reached | None]:
        if rebuild.feed is not None:
            return 0, None
        page = self.store.scan_orders(reached.cursor, limit=STEP, partner_id=rebuild.partner_id)
        owed: dict[str, list[str]] = {}
        for order in page.rows:
            if not isinstance(order, BrokenRow):  # the check reports it
                for feed_id in partner_feeds(order.key.partner_id):
                    self._make_ready(feed_id, rebuild.beyond)
                # If feeds are lost, it is unknown which Orders readers have seen: it may be any of them.
                shown = self._noted(order) if rebuild.beyond else order
                for feed_id, item in self.contents.of_order(shown).items():
                    owed.setdefault(feed_id, []).append(item.id)
        return self._publish(rebuild, owed), _following(reached, page.cursor)

    def _listings(self, rebuild: Rebuild, reached: Reached) -> tuple[int, Reached | None]:
        if rebuild.partner_id is not None:
            return 0, None
        page = self.store.scan_opportunities(reached.cursor, limit=STEP)
        owed: dict[str, list[str]] = {}
        for opportunity_id, (listing, _) in self.store.listings(page.rows).items():
            feed_id = listing.opportunity.type.traits.feed
            if not listing.deleted and rebuild.includes(feed_id):
                owed.setdefault(feed_id, []).append(opportunity_id)
        return self._publish(rebuild, owed), _following(reached, page.cursor)

    def _pointers(self, rebuild: Rebuild, reached: Reached) -> tuple[int, Reached | None]:
        """Items that readers may know and the store does not show are published as deleted (RPDE-11)."""
        feed_id = reached.feed_id or self._feed_after(rebuild, "")
        if feed_id is None:
            return 0, None
        pointers = self.feeds.pointers(feed_id, reached.cursor, STEP)
        ids = list(pointers)
        seen = [item_id for item_id in ids if pointers[item_id].change_number]
        noted = self._note_seen(feed_id, seen)
        current = self.contents.current(feed_id, ids)
        gone = [item_id for item_id in ids if current[item_id].data is None]
        written = self._publish(rebuild, {feed_id: [*gone, *noted]})
        return written, self._next(rebuild, reached, feed_id, ids[-1] if len(ids) == STEP else None)

    def _rows(self, rebuild: Rebuild, reached: Reached) -> tuple[int, Reached | None]:
        """Rows without a pointer to them are emptied; those of an item without a pointer after it is deleted."""
        feed_id = reached.feed_id or self._feed_after(rebuild, "")
        if feed_id is None:
            return 0, None
        rows = self.feeds.walk(feed_id, int(reached.cursor or 0), STEP)
        shown = {row.change_number: item for row in rows if row.text is not None and (item := read_item(row))}
        pointers = self.feeds.state(feed_id, list({item.id: None for item in shown.values()})).pointers
        unknown = [item.id for item in shown.values() if item.id not in pointers]
        written = self._publish(rebuild, {feed_id: unknown})
        for number, item in shown.items():
            if item.id not in pointers or pointers[item.id].change_number != number:
                self.feeds.vacate(feed_id, number, item.id, self.clock())
        last = str(rows[-1].change_number) if len(rows) == STEP else None
        return written, self._next(rebuild, reached, feed_id, last)

    # --- the rest ---------------------------------------------------------------------------

    def _note_seen(self, feed_id: str, ids: Sequence[str]) -> list[str]:
        """Note the Orders that readers know although the store says that they were never published."""
        partner_id = partner_of(feed_id)
        found = self.store.orders([OrderKey(partner_id, item_id) for item_id in ids]) if partner_id else {}
        return [
            key.uuid
            for key, order in found.items()
            if isinstance(order, Order)
            and feed_of(order) == feed_id
            and not order.published
            and self._noted(order).published
        ]

    def _noted(self, order: StoredOrder) -> StoredOrder:
        if isinstance(order, Order) and not order.published and feed_of(order):
            return note_shown(self.store, order.key, self.clock(), self.retry) or order
        return order

    def _publish(self, rebuild: Rebuild, owed: dict[str, list[str]]) -> int:
        publisher, written = Republisher(self.feeds, self.contents, self.retry), 0
        for feed_id, ids in owed.items():
            if ids:
                self._make_ready(feed_id, rebuild.beyond)
                written += publisher.publish(feed_id, ids, self.clock())
        return written

    def _make_ready(self, feed_id: str, beyond: int) -> None:
        """Ensure, once for each feed, that the counter is above all numbers that readers may have seen."""
        if feed_id in self._ready:
            return
        last = self.feeds.last(feed_id)
        counter = self.feeds.state(feed_id, []).counter
        if counter < last or (not counter and self.feeds.pointers(feed_id, "", 1)):
            # The counter itself was lost, and its last value is unknown.
            beyond = max(beyond, number_beyond_all(self.clock()))
        self._raise(feed_id, beyond)
        self._ready.add(feed_id)

    def _raise(self, feed_id: str, to: int) -> None:
        def attempt() -> None:
            counter = self.feeds.state(feed_id, []).counter
            if counter < to:
                self.feeds.raise_counter(feed_id, counter, to, self.clock())

        self.retry.run(attempt, on=(FeedMoved, StoreBusy))

    @cached_property
    def _known_feeds(self) -> Sequence[str]:
        partners = (feed_id for partner_id in self.partner_ids() for feed_id in partner_feeds(partner_id))
        return sorted({*self._feed_ids, *OPEN_FEEDS, *partners})

    @cached_property
    def _feed_ids(self) -> Sequence[str]:
        return sorted(self.feeds.feed_ids())

    def _feed_after(self, rebuild: Rebuild, feed_id: str) -> str | None:
        return next((each for each in self._feed_ids if each > feed_id and rebuild.includes(each)), None)

    def _next(self, rebuild: Rebuild, reached: Reached, feed_id: str, cursor: str | None) -> Reached | None:
        if cursor is not None:
            return Reached(reached.phase, feed_id, cursor)
        following = self._feed_after(rebuild, feed_id)
        return Reached(reached.phase, following) if following is not None else None


def note_shown(store: Store, key: OrderKey, now: datetime, retry: RetryPolicy) -> StoredOrder | None:
    """Mark an Order as seen by its Broker, also if a restore had undone that mark. Raises StillBusy."""

    def decide(snapshot: Snapshot) -> Decision[StoredOrder | None]:
        order = snapshot.order
        if not isinstance(order, Order) or order.published or not feed_of(order):
            return Decision(order)
        change = save_order(replace(order, published=True), order)
        return Decision(change.order, (change,))

    return carry_out(store, Wanted(key), decide, now=now, retry=retry)


def _following(reached: Reached, cursor: str | None) -> Reached | None:
    return None if cursor is None else Reached(reached.phase, cursor=cursor)
