"""Append to a feed so that no reader can miss an item (RPDE-06).

Change numbers are assigned and written in one transaction that fails if another writer was faster, so
that the order of commits is the order of change numbers. Each item has the version that it was made
from: an item that arrives twice, late or out of order changes nothing.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json
from chalicelib.storage.errors import EntryRefused, FeedMoved, StillBusy, StoreBusy, StoreContended
from chalicelib.storage.feeds import MAX_ENTRIES, FeedEntry, FeedState, FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass
from chalicelib.wire.rpde import item_text

# DynamoDB accepts 4 MB in one transaction.
_MAX_BYTES = 3_000_000

# How long the other writers wait for a writer that has lost a race: a read and a transaction. If that writer
# has stopped, its turn expires.
_TURN = timedelta(seconds=2)

# Seconds after which a waiting writer checks again whether the turn has ended.
_LOOKS_EVERY = 0.1


@dataclass(frozen=True)
class FeedItem:
    """One version of an item; a deleted item has no `data`."""

    id: str
    kind: str
    version: int
    data: Json | None


class ItemsRefused(Exception):
    """Some items can never be published. All others were published."""

    def __init__(self, refused: Sequence[tuple[FeedItem, EntryRefused]]) -> None:
        super().__init__(f"{len(refused)} items cannot be published")
        self.refused = tuple(refused)


class Ledger:
    """The writer's side of all feeds."""

    def __init__(self, store: FeedStore, retry: RetryPolicy) -> None:
        self._store = store
        self._retry = retry
        self._name = str(retry.jitter())

    def publish(self, feed_id: str, items: Iterable[FeedItem], now: datetime) -> int:
        """Publish these items to the feed; the number of items that were new to it.

        Raises StillBusy, and ItemsRefused after all other items are published.
        """
        newest: dict[str, FeedItem] = {}
        for item in items:
            if item.id not in newest or item.version >= newest[item.id].version:
                newest[item.id] = item
        waiting, news, refused = list(newest.values()), 0, list[tuple[FeedItem, EntryRefused]]()
        size, began, is_contended = MAX_ENTRIES, self._retry.clock(), False
        while waiting:
            part = waiting[:size]
            try:
                handled, appended, has_lost = self._append(feed_id, part, now, began)
            except EntryRefused as error:
                if len(part) > 1:  # find out which item it was
                    size = len(part) // 2
                    continue
                refused.append((part[0], error))
                handled, appended, has_lost = 1, 0, False
            waiting = waiting[handled:]
            news += appended
            size = MAX_ENTRIES
            is_contended |= has_lost
            if waiting and is_contended:  # the rest of the batch in one transaction
                self._take_turn(feed_id, now + timedelta(seconds=self._retry.clock() - began))
        if refused:
            raise ItemsRefused(refused)
        return news

    def _take_turn(self, feed_id: str, present: datetime) -> None:
        with suppress(StoreBusy):
            self._store.take_turn(feed_id, self._name, present, present + _TURN)

    def _append(
        self, feed_id: str, items: Sequence[FeedItem], now: datetime, began: float
    ) -> tuple[int, int, bool]:
        """Append as many of the items as fit one transaction.

        Returns how many those are, how many of them were new, and whether another writer was ever faster. `began`
        is the retry policy's clock at the time `now`. Raises EntryRefused, StillBusy.
        """
        # A writer that has lost the counter to another one does not wait longer each time: the winners do
        # not wait at all, and it would never succeed. Only if the store is busy do the pauses grow.
        tries, turns = self._retry.tries(), self._retry.turns()
        next(tries), next(turns)
        has_lost, waits, waited = False, True, 0
        while waits:
            present = now + timedelta(seconds=self._retry.clock() - began)
            try:
                state = self._store.state(feed_id, [item.id for item in items])
                if state.is_left_to_another(self._name, present):
                    waited += 1  # the writer that has waited longest checks most often, and so is next
                    self._retry.pause(max(_LOOKS_EVERY / waited, self._retry.first_pause))
                    waits = next(turns, None) is not None
                    continue
                handled, entries = _entries(state, items)
                if entries:
                    self._store.append(feed_id, state.counter, entries, now)
                return handled, sum(entry.text is not None for entry in entries), has_lost
            except (FeedMoved, StoreContended):
                has_lost = True
                self._take_turn(feed_id, present)
                waits = next(turns, None) is not None
            except StoreBusy:
                waits = next(tries, None) is not None
        raise StillBusy(f"the feed {feed_id} could not be written")


def _entries(state: FeedState, items: Sequence[FeedItem]) -> tuple[int, list[FeedEntry]]:
    """The entries to append for the first items, and how many items those are. Raises EntryRefused."""
    number, size = state.counter, 0
    entries: list[FeedEntry] = []
    for handled, item in enumerate(items):
        pointer = state.pointers.get(item.id)
        if pointer is not None and pointer.version >= item.version:
            continue
        if item.data is None and (pointer is None or not pointer.change_number):
            # It was never shown, so there is nothing to delete (DEL-03). Its version is noted: an older
            # version that arrives late must not show it.
            entries.append(FeedEntry(item.id, 0, item.version, None, pointer))
            continue
        text, length = _rendered(item, number + 1)
        size += length
        if entries and size > _MAX_BYTES:
            return handled, entries
        number += 1
        entries.append(FeedEntry(item.id, number, item.version, text, pointer, is_deleted=item.data is None))
    return len(items), entries


def _rendered(item: FeedItem, number: int) -> tuple[str, int]:
    """The text of an item under a change number, and its size in bytes. Raises EntryRefused."""
    try:
        text = item_text("deleted" if item.data is None else "updated", item.kind, item.id, number, item.data)
        return text, len(text.encode())
    except Exception as error:  # whatever it contains cannot be written as text
        raise EntryRefused(f"the item {item.id} cannot be rendered") from error
