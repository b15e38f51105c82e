"""The interface of a feed store, and the values that it takes and returns.

A feed has a counter, its items by change number, and for each item a pointer to its change number.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.values import dataclass, field

# Three rows for each item (the new one, the old one, the pointer) and the counter: 100 in a transaction.
MAX_ENTRIES = 33


@dataclass(frozen=True)
class Pointer:
    """The change number of an item in its feed (0: it was deleted before it was ever shown), and its version."""

    change_number: int
    version: int


@dataclass(frozen=True)
class FeedEntry:
    """An item rendered for its change number; without a text only its version is noted.

    `replaces` is its pointer before.
    """

    item_id: str
    change_number: int
    version: int
    text: str | None
    replaces: Pointer | None = None
    is_deleted: bool = False

    @property
    def vacates(self) -> int:
        """The change number of the item's old row, 0 for none."""
        return self.replaces.change_number if self.replaces else 0


@dataclass(frozen=True)
class FeedState:
    """The feed's counter, and the pointers of the requested items.

    All writers except `turn_of` wait until `turn_ends_at`.
    """

    counter: int = 0
    pointers: dict[str, Pointer] = field(default_factory=dict)
    turn_of: str | None = None
    turn_ends_at: datetime | None = None

    def is_left_to_another(self, writer: str, now: datetime) -> bool:
        """Whether this writer must wait."""
        return self.turn_ends_at is not None and self.turn_of != writer and now < self.turn_ends_at


@dataclass(frozen=True)
class PageRows:
    """The stored items of one page, its last change number, and whether it is full: more may follow.

    A page without items normally has no last change number: its reader is at the current end. It has one only
    if the store has read as many empty rows as one request may. Then there is no item up to that number, more
    may follow, and the reader continues from there.
    """

    items: tuple[str, ...]
    last: int | None
    more: bool


@dataclass(frozen=True)
class StoredItem:
    """A stored row of a feed; without a text its item has moved to a later row."""

    change_number: int
    text: str | None


class FeedStore(Protocol):
    """The feeds. Every method may raise StoreBusy."""

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        """The counter and the pointers, strongly consistent."""

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        """Append at most MAX_ENTRIES if the counter still is `counter`.

        Raises FeedMoved, StoreContended; EntryRefused if one of them can never be written, for example because
        it is too large for a row.
        """

    def take_turn(self, feed_id: str, writer: str, now: datetime, until: datetime) -> None:
        """Make all other writers wait until this one has appended, at most until `until`.

        Does nothing if it is another writer's turn, or the feed is empty.
        """

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        """The items after change number `after`, in order; rows without an item only if an item follows.

        One call reads a bounded number of rows.
        """

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        """The ids after `after` of all items that were ever in an Orders feed, in order."""

    def feed_ids(self) -> Iterator[str]:
        """Every feed that has a row, each once. Reads the whole table: for commands."""

    def pointers(self, feed_id: str, after: str, limit: int) -> dict[str, Pointer]:
        """The pointers of the items after the id `after`, in order, strongly consistent."""

    def walk(self, feed_id: str, after: int, limit: int) -> list[StoredItem]:
        """The rows after a change number, in order, settled or not; fewer than `limit` only at the end.

        The text of a row that cannot be read is empty.
        """

    def stored(self, feed_id: str, change_numbers: Sequence[int]) -> dict[int, StoredItem]:
        """The existing rows of these change numbers, strongly consistent."""

    def last(self, feed_id: str) -> int:
        """The highest change number that has a row, 0 if there is none."""

    def raise_counter(self, feed_id: str, counter: int, to: int, now: datetime) -> None:
        """Set a counter that still is `counter` to a higher number. Raises FeedMoved.

        `page` continues after this gap at once; it does not wait as it does for other gaps.
        """

    def adopt(self, feed_id: str, pointers: Mapping[str, Pointer]) -> None:
        """Write pointers for items that have none here."""

    def vacate(self, feed_id: str, change_number: int, item_id: str, now: datetime) -> bool:
        """Empty a row that the item's pointer does not point to; False if it does."""
