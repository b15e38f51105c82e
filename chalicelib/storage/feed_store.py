"""The rows of the feeds: appended in order of commit, read a page at a time.

A feed has a counter, its items by change number, and for each item a pointer to where it stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, Protocol

from chalicelib.storage.calls import Raw, batch_get, passing_faults
from chalicelib.storage.port import CommitRefused
from chalicelib.storage.rows import to_seconds
from chalicelib.storage.tables import Tables
from chalicelib.storage.transaction import Transaction

# Three rows an item (the new one, the old one, the pointer) and the counter: 100 in a transaction.
MAX_ENTRIES = 33

# A deleted item stays readable for at least seven days (RPDE-11); TTL takes it some time later.
DELETED_KEPT_FOR = timedelta(days=8)

# Where an item has moved on, its old row stays a while, empty, so that change numbers have no gaps
# among those that may still be on their way (see `_settled`).
VACATED_KEPT_FOR = timedelta(hours=1)
SETTLES_WITHIN = timedelta(minutes=10)

_COUNTER = "counter"
_CHANGE = "change#"
_ITEM = "item#"


@dataclass(frozen=True)
class Pointer:
    """Where an item stands in its feed (0: it was gone before it was ever shown), and its version."""

    change_number: int
    version: int


@dataclass(frozen=True)
class FeedEntry:
    """An item rendered for its change number; without a text only its version is noted.

    `replaces` is where it stood before.
    """

    item_id: str
    change_number: int
    version: int
    text: str | None
    replaces: Pointer | None = None
    is_deleted: bool = False

    @property
    def vacates(self) -> int:
        """The change number whose row it leaves, 0 for none."""
        return self.replaces.change_number if self.replaces else 0


@dataclass(frozen=True)
class FeedState:
    """The feed's counter, and the pointers of the items that were asked for."""

    counter: int = 0
    pointers: dict[str, Pointer] = field(default_factory=dict)


@dataclass(frozen=True)
class PageRows:
    """The stored items of one page, its last change number, and whether it is full: more may follow.

    A page without items has no last change number: whoever reads it is at the end, for now.
    """

    items: tuple[str, ...]
    last: int | None
    more: bool


class FeedMoved(Exception):
    """Another writer has appended to the feed since it was read. Nothing was written."""


class FeedStore(Protocol):
    """The feeds. Every method may raise StoreBusy."""

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        """The counter and the pointers, strongly consistent."""

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        """Append at most MAX_ENTRIES if the counter still is `counter`. Raises FeedMoved."""

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        """What stands after change number `after`, in order; rows without an item only as far as one follows."""

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        """The ids of all items that ever stood in an Orders feed, those after `after`, in their order."""


class DynamoFeeds:
    """The feeds in DynamoDB."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        table = self._tables.feeds.Meta.table_name
        entries = [_COUNTER, *(f"{_ITEM}{item_id}" for item_id in item_ids)]
        keys = [(table, {"feed_id": {"S": feed_id}, "entry": {"S": entry}}) for entry in entries]
        counter, pointers = 0, {}
        for raw in batch_get(self._tables.connection, keys).get(table, []):
            entry, number = raw["entry"]["S"], int(raw["change_number"]["N"])
            if entry == _COUNTER:
                counter = number
            else:
                pointers[entry.removeprefix(_ITEM)] = Pointer(number, int(raw["version"]["N"]))
        return FeedState(counter, pointers)

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        feeds = self._tables.feeds
        transaction = Transaction(self._tables.connection)
        # The counter moves in the same transaction as the rows. If the number were drawn first, a
        # slower writer could publish 41 after readers had passed 42 (RPDE-06).
        last = max(counter, *(entry.change_number for entry in entries))
        stands = feeds.change_number == counter
        transaction.update(
            feeds(feed_id, _COUNTER),
            [feeds.change_number.set(last)],
            stands if counter else feeds.entry.does_not_exist() | stands,
        )
        for entry in entries:
            # The counter and the pointers were read together but not as one, so each is checked.
            unmoved = (
                feeds.version == entry.replaces.version if entry.replaces else feeds.entry.does_not_exist()
            )
            pointer = feeds(
                feed_id,
                f"{_ITEM}{entry.item_id}",
                change_number=entry.change_number,
                version=entry.version,
            )
            transaction.put(pointer, unmoved)
            if entry.text is not None:
                row = feeds(
                    feed_id, _change(entry.change_number), item=entry.text, written_at=to_seconds(now)
                )
                row.expires_at = to_seconds(now + DELETED_KEPT_FOR) if entry.is_deleted else None
                transaction.put(row)
            if entry.vacates:
                vacate = [feeds.item.remove(), feeds.expires_at.set(to_seconds(now + VACATED_KEPT_FOR))]
                transaction.update(feeds(feed_id, _change(entry.vacates)), vacate)
        try:
            transaction.write()
        except CommitRefused as refusal:
            raise FeedMoved(feed_id) from refusal

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        feeds = self._tables.feeds
        # Ids are UUIDs: a blank comes before all of their characters, a tilde after.
        following = feeds.entry.between(f"{_ITEM}{after} ", f"{_ITEM}~")
        with passing_faults():
            found = list(feeds.query(feed_id, following, consistent_read=True, limit=limit))
        return [row.entry.removeprefix(_ITEM) for row in found]

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        # One Query, also where it ends early because it has read a megabyte; more only where many items have
        # moved on and left nothing but empty rows. A page without items would end the feed (RPDE-09).
        found, more = self._rows_after(feed_id, after, limit, now)
        while more and not any("item" in raw for raw in found):
            found, more = self._rows_after(feed_id, _number(found[-1]), None, now)
        with_item = [position for position, raw in enumerate(found) if "item" in raw]
        if not with_item:
            return PageRows((), None, more=False)
        if len(with_item) > limit:
            found, more = found[: with_item[limit]], True
        return PageRows(
            items=tuple(raw["item"]["S"] for raw in found if "item" in raw),
            last=_number(found[-1]),
            more=more,
        )

    def _rows_after(
        self, feed_id: str, after: int, limit: int | None, now: datetime
    ) -> tuple[list[Raw], bool]:
        """The next rows that have settled, at most `limit`, and whether there may be more of these."""
        feeds = self._tables.feeds
        with passing_faults():
            answer: dict[str, Any] = self._tables.connection.query(
                feeds.Meta.table_name,
                feed_id,
                range_key_condition=feeds.entry.between(_change(after + 1), _change(10**16 - 1)),
                consistent_read=True,
                limit=limit,
            )
        settled = list(_settled(answer["Items"], after, now))
        return settled, "LastEvaluatedKey" in answer and len(settled) == len(answer["Items"])


def _settled(found: Sequence[Raw], after: int, now: datetime) -> Iterator[Raw]:
    """The rows of a Query up to the first that may come before one that is not visible yet.

    A transaction takes effect as one, but a Query that runs beside it may see some of its rows and
    not yet others. Whoever went on from the last one would miss those for ever (RPDE-06). Since no
    row goes within the hour, a gap before a row that was just written is such a case.
    """
    last, recently = after, (now - SETTLES_WITHIN).timestamp()
    for raw in found:
        number = _number(raw)
        if number != last + 1 and "written_at" in raw and int(raw["written_at"]["N"]) > recently:
            return
        last = number
        yield raw


class MemoryFeeds:
    """The same in memory, for tests of what stands on it."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._counters: dict[str, int] = {}
        self._items: dict[str, dict[int, str | None]] = {}
        self._pointers: dict[str, dict[str, Pointer]] = {}

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        with self._lock:
            pointers = self._pointers.get(feed_id, {})
            return FeedState(
                self._counters.get(feed_id, 0),
                {item_id: pointers[item_id] for item_id in item_ids if item_id in pointers},
            )

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        with self._lock:
            items = self._items.setdefault(feed_id, {})
            pointers = self._pointers.setdefault(feed_id, {})
            moved = any(pointers.get(entry.item_id) != entry.replaces for entry in entries)
            if moved or self._counters.get(feed_id, 0) != counter:
                raise FeedMoved(feed_id)
            for entry in entries:
                if entry.vacates:
                    items[entry.vacates] = None
                if entry.text is not None:
                    items[entry.change_number] = entry.text
                pointers[entry.item_id] = Pointer(entry.change_number, entry.version)
            self._counters[feed_id] = max(counter, *(entry.change_number for entry in entries))

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        with self._lock:
            items = self._items.get(feed_id, {})
            following = sorted(number for number in items if number > after)
            first = next((place for place, number in enumerate(following) if items[number] is not None), None)
            if first is None:
                return PageRows((), None, more=False)
            shown = following[: max(limit, first + 1)]
            return PageRows(
                items=tuple(text for number in shown if (text := items[number]) is not None),
                last=shown[-1],
                more=len(shown) >= limit,
            )

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        with self._lock:
            return sorted(item for item in self._pointers.get(feed_id, {}) if item > after)[:limit]


def _change(number: int) -> str:
    return f"{_CHANGE}{number:016d}"


def _number(raw: Raw) -> int:
    return int(raw["entry"]["S"].removeprefix(_CHANGE))
