"""One check of a whole system, while it runs.

First everything is read, page by page, and every difference is noted as a suspicion: reading takes time, and many
differences are only temporary. After a pause in which streams and sweeps catch up, each suspicion is read again,
strongly consistent, and reported if it is still the same.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from threading import Lock
from typing import TypeVar

from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.feeds.contents import FeedContents, is_known, partner_of
from chalicelib.feeds.parked import PARKED, PARKED_CONTENT
from chalicelib.identity.consent import FeedReview
from chalicelib.services.checking.feeds import FeedLook
from chalicelib.services.checking.findings import Damage, Finding, Subject
from chalicelib.services.checking.inventory import (
    InventoryLook,
    read_listings,
    read_orders,
    unreadable_order,
)
from chalicelib.services.proposals import scheduled_end
from chalicelib.services.rebuilding import Rebuild
from chalicelib.storage import codec
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.pending import PAGES, SET_ASIDE, PendingStore, PendingWork, due_before
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.scans import BrokenRow, Part
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, field

T = TypeVar("T")

# Longer than a stream needs to update its feed, and longer than the minute between two sweeps.
PAUSE_SECONDS = 75.0
# Reads of a row that keeps changing; after these it is busy and not damaged.
ROUNDS = 3
# The sweep releases ended leases within a minute.
LEASE_OVERDUE_AFTER = timedelta(minutes=5)
# Findings of one kind that are read again and named; further ones are only counted.
MAX_NAMED = 1000

_TOGETHER = 100  # rows in one read
_HEAD = 25  # entries of a kind of work that are compared

# Kinds of entries on which no worker is expected to work, or that are never finished (those of a sandbox), and
# those that wait for an operator.
_NOTES = ("dataset#", "sandbox", PARKED_CONTENT, PAGES)
_ASIDE = {SET_ASIDE: Damage.WORK_SET_ASIDE, PARKED: Damage.RECORD_PARKED}


@dataclass
class Report:
    """The result of a check. `unnamed` counts, by kind, the suspicions that were not read again."""

    findings: list[Finding] = field(default_factory=list)
    unnamed: Counter[Damage] = field(default_factory=Counter)
    restless: tuple[str, ...] = ()
    looked_at: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self.unnamed


@dataclass
class Check:
    """A check of the rows in these stores. `pause` waits; `clock` returns the current time; both are passed in.

    `parts`: how many parts of each table are read in parallel. `max_named`: findings of a kind that are named.
    """

    store: Store
    feeds: FeedStore
    pending: PendingStore
    contents: FeedContents
    retry: RetryPolicy
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    pause_seconds: float = PAUSE_SECONDS
    parts: int = 4
    max_named: int = MAX_NAMED
    _lock: Lock = field(default_factory=Lock)
    _suspected: dict[Damage, dict[Finding, None]] = field(default_factory=dict)
    _restless: set[str] = field(default_factory=set)
    _report: Report = field(default_factory=Report)
    # None outside a run: then the contents are read as they are.
    _look_of_this_run: FeedLook | None = None

    @property
    def _feed_look(self) -> FeedLook:
        return self._look_of_this_run or FeedLook(self.feeds, self.contents)

    def run(self) -> Report:
        """All current damage. Raises StillBusy."""
        self._report, self._suspected, self._restless = Report(), {}, set()
        # During the whole read, each partner's revocation by a Seller is read once.
        known = FeedContents(self.contents.store, cache(self.contents.is_revoked))
        self._look_of_this_run = FeedLook(self.feeds, known)
        for scan in (self._scan_orders, self._scan_opportunities):
            with ThreadPoolExecutor(self.parts) as pool:
                list(pool.map(scan, [Part(number, self.parts) for number in range(self.parts)]))
        feed_ids = list(self._calmly(lambda: list(self.feeds.feed_ids())))
        with ThreadPoolExecutor(self.parts) as pool:
            list(pool.map(self._walk_feed, filter(is_known, feed_ids)))
        self._suspect(self._calmly(lambda: list(self._work())))
        self._suspect(self._calmly(lambda: list(self._leases())))
        self._look_of_this_run = None
        self._suspect(self.look_again(Subject("opportunity", each) for each in sorted(self._restless)))
        found = [finding for kind in self._suspected.values() for finding in kind]
        self._report.findings = self.confirmed(found)
        self._report.restless = tuple(sorted(self._restless))
        return self._report

    def confirmed(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that are still the same after a pause. Raises StillBusy."""
        confirmed: dict[Finding, None] = {}
        waiting = list(findings)
        for _ in range(ROUNDS):
            if not waiting:
                break
            self.pause(self.pause_seconds)
            again, before = self.look_again(each.subject for each in waiting), set(waiting)
            rows = {(finding.damage, finding.row) for finding in waiting}
            confirmed |= dict.fromkeys(finding for finding in again if finding in before)
            # Findings that have changed may be caused by current changes.
            waiting = [each for each in again if each not in before and (each.damage, each.row) in rows]
        kept = self._not_under_way(list(confirmed))
        return sorted(kept, key=lambda finding: (list(Damage).index(finding.damage), finding.row))

    def look_again(self, subjects: Iterable[Subject]) -> list[Finding]:
        """The findings of a strongly consistent read of these now. Raises StillBusy."""
        together: dict[tuple[str, str], dict[str, None]] = {}
        for subject in subjects:
            together.setdefault((subject.kind, subject.within), {})[subject.id] = None
        found: dict[Finding, None] = {}
        for (kind, within), ids in together.items():
            for some in _together(list(ids)):
                look = self._inventory_look()
                found |= dict.fromkeys(self._calmly(lambda: list(self._look(look, kind, within, some))))  # noqa: B023
                if kind == "opportunity":
                    self._restless = (self._restless - set(some)) | look.restless
        return list(found)

    # --- reading everything ---------------------------------------------------------------

    def _scan_orders(self, part: Part) -> None:
        look, cursor = self._inventory_look(), ""
        while True:
            page = self._calmly(lambda: self.store.scan_orders(cursor, part=part))  # noqa: B023
            self._suspect(unreadable_order(row) for row in page.rows if isinstance(row, BrokenRow))
            self._suspect(_unlisted("orders", key) for key in page.unlisted)
            orders = [row for row in page.rows if not isinstance(row, BrokenRow)]
            for some in _together(orders):
                self._suspect(self._calmly(lambda: list(look.orders(some))))  # noqa: B023
                self._suspect(self._calmly(lambda: list(self._feed_look.orders(some))))  # noqa: B023
                self._suspect(self._calmly(lambda: list(self._ends(some))))  # noqa: B023
            self._count("orders", len(orders))
            if page.cursor is None:
                return
            cursor = page.cursor

    def _scan_opportunities(self, part: Part) -> None:
        look, cursor, last = self._inventory_look(), "", ""
        while True:
            page = self._calmly(lambda: self.store.scan_opportunities(cursor, part=part))  # noqa: B023
            ids = [opportunity_id for opportunity_id in page.rows if opportunity_id != last]
            for some in _together(page.unlisted):  # parents among them belong to no list
                found = self._calmly(lambda: self.store.unlisted_opportunities(some))  # noqa: B023
                self._suspect(_unlisted("inventory", each) for each in found)
            for some in _together(ids):
                self._suspect(self._calmly(lambda: list(look.opportunities(some))))  # noqa: B023
                self._suspect(self._calmly(lambda: list(self._in_open_feeds(some))))  # noqa: B023
            self._count("opportunities", len(ids))
            if page.cursor is None:
                with self._lock:
                    self._restless |= look.restless
                return
            cursor, last = page.cursor, page.rows[-1] if page.rows else last

    def _walk_feed(self, feed_id: str) -> None:
        look = self._feed_look
        self._suspect(self._calmly(lambda: list(look.counter(feed_id))))
        after = ""
        while ids := self._calmly(lambda: list(self.feeds.pointers(feed_id, after, _TOGETHER))):  # noqa: B023
            self._suspect(self._calmly(lambda: list(look.items(feed_id, ids))))
            self._count("feed items", len(ids))
            after = ids[-1]
        number = 0
        while rows := self._calmly(lambda: self.feeds.walk(feed_id, number, _TOGETHER)):  # noqa: B023
            self._suspect(self._calmly(lambda: list(look.rows(feed_id, rows))))
            number = rows[-1].change_number

    def _in_open_feeds(self, ids: Sequence[str]) -> Iterator[Finding]:
        owed: dict[str, list[str]] = {}
        for opportunity_id, (listing, _) in read_listings(self.store, ids)[0].items():
            if not listing.deleted:
                owed.setdefault(listing.opportunity.type.traits.feed, []).append(opportunity_id)
        yield from self._feed_look.listings(owed)

    def _work(self, kinds: Iterable[str] | None = None) -> Iterator[Finding]:
        """Each entry that was set aside, and each kind of work whose first entries do not change."""
        for kind in self.pending.kinds() if kinds is None else kinds:
            if kind.startswith(_NOTES):
                continue
            if kind.startswith(tuple(_ASIDE)):
                yield from self._aside(kind)
                continue
            head = self.pending.entries(kind, _HEAD, before=due_before(kind, self.clock()))
            if head:
                moves = " ".join(
                    f"{each.id}@{each.progress}/{each.attempts}/{each.revision}" for each in head
                )
                row = f"pending {kind} {head[0].id}"
                yield Finding(Damage.WORK_STUCK, row, moves[:200], Subject("work", kind))

    def _aside(self, kind: str) -> Iterator[Finding]:
        after = ""
        while entries := self.pending.entries(kind, _TOGETHER, after):
            yield from map(_aside, entries)
            after = entries[-1].id

    def _ends(self, orders: Iterable[Order | DeletedOrder]) -> Iterator[Finding]:
        """The open proposals that the sweep would not find at their end."""
        for order in orders:
            entry = scheduled_end(order) if isinstance(order, Order) else None
            if entry is not None and not any(
                self.pending.entry(kind, entry.id) for kind in (entry.kind, SET_ASIDE + entry.kind)
            ):
                row, subject = f"pending {entry.kind} {entry.id}", Subject("order", str(order.key))
                yield Finding(Damage.END_MISSING, row, "", subject)

    def _leases(self) -> Iterator[Finding]:
        for opportunity_id in self.store.expired(self.clock() - LEASE_OVERDUE_AFTER, self.max_named):
            row = f"inventory {opportunity_id} hold#"
            yield Finding(Damage.LEASE_OVERDUE, row, "", Subject("lease", opportunity_id))

    # --- looking at some rows ---------------------------------------------------------------

    def _look(self, look: InventoryLook, kind: str, within: str, ids: Sequence[str]) -> Iterator[Finding]:
        match kind:
            case "opportunity":
                yield from look.opportunities(ids)
            case "order":
                keys = [OrderKey(*key.rsplit("#", 1)) for key in ids]
                orders, broken = read_orders(self.store, keys)
                yield from look.orders(list(orders.values()))
                yield from self._ends(orders.values())
                yield from broken.values()
            case "unlisted" if within == "orders":
                keys = [OrderKey(*key.rsplit("#", 1)) for key in ids]
                yield from (_unlisted(within, str(key)) for key in self.store.unlisted_orders(keys))
            case "unlisted":
                yield from (_unlisted(within, each) for each in self.store.unlisted_opportunities(ids))
            case "owed":
                yield from self._owed(within, ids)
            case "item":
                yield from self._feed_look.items(within, ids)
            case "row":
                rows = self.feeds.stored(within, [int(number) for number in ids])
                yield from self._feed_look.rows(within, list(rows.values()))
            case "feed":
                for feed_id in ids:
                    yield from self._counter(feed_id)
            case "work":
                yield from self._work(ids)
            case "aside":
                entries = [self.pending.entry(within, entry_id) for entry_id in ids]
                yield from (_aside(entry) for entry in entries if entry is not None)
            case "lease":
                yield from (finding for finding in self._leases() if finding.subject.id in ids)

    def _owed(self, feed_id: str, ids: Sequence[str]) -> Iterator[Finding]:
        if partner_id := partner_of(feed_id):
            orders = read_orders(self.store, [OrderKey(partner_id, item_id) for item_id in ids])[0]
            yield from self._feed_look.orders(list(orders.values()))
        else:
            yield from self._in_open_feeds(ids)

    def _counter(self, feed_id: str) -> Iterator[Finding]:
        """Compare the counter with the rows, or with the pointers if no rows are left."""
        found = list(self._feed_look.counter(feed_id))
        after = ""
        while not found and (ids := list(self.feeds.pointers(feed_id, after, _TOGETHER))):
            found = [each for each in self._feed_look.items(feed_id, ids) if each.subject.kind == "feed"]
            after = ids[-1]
        yield from found[:1]

    def _not_under_way(self, findings: Sequence[Finding]) -> list[Finding]:
        """Without those on feeds that are being reviewed or rebuilt: these are still changing."""
        if not findings:
            return []
        partners, everything = set[str](), False
        for kind in (FeedReview.KIND, Rebuild.KIND):
            after = ""
            while entries := self._calmly(lambda: self.pending.entries(kind, _TOGETHER, after)):  # noqa: B023
                after = entries[-1].id
                everything |= kind == Rebuild.KIND
                if kind == FeedReview.KIND:
                    partners |= {_partner(entry.document) for entry in entries}
        return [
            finding
            for finding in findings
            if finding.subject.kind not in ("owed", "item", "row", "feed")
            or not (everything or partner_of(finding.subject.within) in partners - {""})
        ]

    # --- the rest ---------------------------------------------------------------------------

    def _inventory_look(self) -> InventoryLook:
        return InventoryLook(self.store, self.clock())

    def _suspect(self, findings: Iterable[Finding]) -> None:
        with self._lock:
            for finding in findings:
                kind = self._suspected.setdefault(finding.damage, {})
                if finding in kind:
                    continue
                if len(kind) >= self.max_named:
                    self._report.unnamed[finding.damage] += 1
                else:
                    kind[finding] = None

    def _count(self, what: str, number: int) -> None:
        with self._lock:
            self._report.looked_at[what] += number

    def _calmly(self, read: Callable[[], T]) -> T:
        return self.retry.run(read, on=(StoreBusy,))


def _together(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]


def _unlisted(table: str, key: str) -> Finding:
    return Finding(Damage.UNLISTED, f"{table} {key}", "", Subject("unlisted", key, table))


def _aside(entry: PendingWork) -> Finding:
    detail = (entry.error or "").split("(")[0]  # the type of the error, without its content
    row, subject = f"pending {entry.kind} {entry.id}", Subject("aside", entry.id, entry.kind)
    damage = next(damage for kind, damage in _ASIDE.items() if entry.kind.startswith(kind))
    return Finding(damage, row, detail, subject)


def _partner(document: str) -> str:
    try:
        return codec.from_json(document, FeedReview).partner_id
    except codec.Undecodable:
        return ""
