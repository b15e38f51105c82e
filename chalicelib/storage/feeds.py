"""The rows of the feeds: what a feed store promises, and the values it takes and gives.

A feed has a counter, its items by change number, and for each item a pointer to its change number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

# Three rows an item (the new one, the old one, the pointer) and the counter: 100 in a transaction.
MAX_ENTRIES = 33


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
    """The feed's counter, and the pointers of the items that were asked for.

    `turn_of` is the writer whom all others leave the feed to until `turn_ends_at`.
    """

    counter: int = 0
    pointers: dict[str, Pointer] = field(default_factory=dict)
    turn_of: str | None = None
    turn_ends_at: datetime | None = None

    def is_left_to_another(self, writer: str, now: datetime) -> bool:
        """Whether this writer has to wait."""
        return self.turn_ends_at is not None and self.turn_of != writer and now < self.turn_ends_at


@dataclass(frozen=True)
class PageRows:
    """The stored items of one page, its last change number, and whether it is full: more may follow.

    A page without items has no last change number: whoever reads it is at the end, for now. Only where
    the store has looked through as many empty rows as one request may does it have one, up to which there
    is no item: more may follow, and the reader has to go on from there.
    """

    items: tuple[str, ...]
    last: int | None
    more: bool


@dataclass(frozen=True)
class StoredItem:
    """A row of a feed as it is stored; without a text its item has moved on."""

    change_number: int
    text: str | None


class FeedStore(Protocol):
    """The feeds. Every method may raise StoreBusy."""

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        """The counter and the pointers, strongly consistent."""

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        """Append at most MAX_ENTRIES if the counter still is `counter`.

        Raises FeedMoved, StoreContended; EntryRefused where one of them can never be written, such as one
        that is too large for a row.
        """

    def take_turn(self, feed_id: str, writer: str, now: datetime, until: datetime) -> None:
        """Ask all other writers to leave the feed to this one, until it has appended or that instant has come.

        Does nothing where another one has asked before, or the feed is empty.
        """

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        """What follows change number `after`, in order; rows without an item only as far as one follows.

        How many rows one call looks through is bounded.
        """

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        """The ids of all items that ever stood in an Orders feed, those after `after`, in their order."""

    def feed_ids(self) -> Iterator[str]:
        """Every feed that has any row, each once. Reads the whole table: for commands."""

    def pointers(self, feed_id: str, after: str, limit: int) -> dict[str, Pointer]:
        """The pointers of the items after the id `after`, in their order, strongly consistent."""

    def walk(self, feed_id: str, after: int, limit: int) -> list[StoredItem]:
        """The rows after a change number, in order, settled or not; fewer than `limit` only at the end.

        The text of one that cannot be read is empty.
        """

    def stored(self, feed_id: str, change_numbers: Sequence[int]) -> dict[int, StoredItem]:
        """The rows of these change numbers, as far as there are any, strongly consistent."""

    def last(self, feed_id: str) -> int:
        """The highest change number that has a row, 0 where there is none."""

    def raise_counter(self, feed_id: str, counter: int, to: int, now: datetime) -> None:
        """Set a counter that still is `counter` to a higher number. Raises FeedMoved.

        The next page goes on behind the gap at once, whatever `page` thinks of other gaps.
        """

    def adopt(self, feed_id: str, pointers: Mapping[str, Pointer]) -> None:
        """Put pointers for items that have none here."""

    def vacate(self, feed_id: str, change_number: int, item_id: str, now: datetime) -> bool:
        """Empty a row that the item's pointer does not point to; False where it does."""
