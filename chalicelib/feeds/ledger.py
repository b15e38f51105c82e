"""Appending to a feed so that no reader can miss an item (RPDE-06).

Change numbers are drawn and written in one transaction that fails if another writer was faster, so
that the order of commits is the order of change numbers. Each item carries the version it was made
from: what arrives twice, late or out of order changes nothing.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json
from chalicelib.storage.errors import EntryRefused, FeedMoved, StillBusy, StoreBusy, StoreContended
from chalicelib.storage.feeds import MAX_ENTRIES, FeedEntry, FeedState, FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.wire.rpde import item_text

# DynamoDB takes 4 MB in one transaction.
_MAX_BYTES = 3_000_000

# Races that a writer loses before it asks the others for a turn: with some writers, chance alone lets one lose
# so often now and then. A turn takes a read and a transaction; it ends by itself where its writer has gone.
_LOSES_AT_MOST = 3
_TURN = timedelta(seconds=2)


@dataclass(frozen=True)
class FeedItem:
    """One version of an item; without `data` it is deleted."""

    id: str
    kind: str
    version: int
    data: Json | None


class ItemsRefused(Exception):
    """Some items can never be published. All others were."""

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
        """Bring the feed up to these items; how many of them were news to it.

        Raises StillBusy, and ItemsRefused once all others are published.
        """
        newest: dict[str, FeedItem] = {}
        for item in items:
            if item.id not in newest or item.version >= newest[item.id].version:
                newest[item.id] = item
        waiting, news, refused = list(newest.values()), 0, list[tuple[FeedItem, EntryRefused]]()
        size, began = MAX_ENTRIES, self._retry.clock()
        while waiting:
            part = waiting[:size]
            try:
                handled, appended = self._append(feed_id, part, now, began)
            except EntryRefused as error:
                if len(part) > 1:  # one of them: which is it?
                    size = len(part) // 2
                    continue
                refused.append((part[0], error))
                handled, appended = 1, 0
            waiting = waiting[handled:]
            news += appended
            size = MAX_ENTRIES
        if refused:
            raise ItemsRefused(refused)
        return news

    def _append(
        self, feed_id: str, items: Sequence[FeedItem], now: datetime, began: float
    ) -> tuple[int, int]:
        """Append as many of the items as one transaction takes; how many those are, and how many news.

        It was `now` when the clock of the retry policy said `began`. Raises EntryRefused, StillBusy.
        """
        # A writer that has lost the counter to another one does not wait longer each time: those that
        # win do not wait at all, and it would starve. Only a store that is busy is given more time.
        tries, turns = self._retry.tries(), self._retry.turns()
        next(tries), next(turns)
        lost, waits = 0, True
        while waits:
            present = now + timedelta(seconds=self._retry.clock() - began)
            try:
                state = self._store.state(feed_id, [item.id for item in items])
                if state.is_left_to_another(self._name, present):
                    self._retry.pause(_TURN.total_seconds() / 20)
                    waits = next(turns, None) is not None
                    continue
                handled, entries = _entries(state, items)
                if entries:
                    self._store.append(feed_id, state.counter, entries, now)
                return handled, sum(entry.text is not None for entry in entries)
            except (FeedMoved, StoreContended):
                lost += 1
                if lost >= _LOSES_AT_MOST:
                    with suppress(StoreBusy):
                        self._store.take_turn(feed_id, self._name, present, present + _TURN)
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
            # It has never been shown, so there is nothing to take back (DEL-03). Its version is noted:
            # an older one that comes late must not bring it to life.
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
    except Exception as error:  # whatever is in it, it is no text
        raise EntryRefused(f"the item {item.id} cannot be rendered") from error
