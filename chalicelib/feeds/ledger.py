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

# How long the others leave the feed to a writer that has lost a race: a read and a transaction. The turn ends by
# itself where its writer has gone.
_TURN = timedelta(seconds=2)

# Seconds after which a writer that waits looks again whether the turn has ended.
_LOOKS_EVERY = 0.1


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
        size, began, is_contended = MAX_ENTRIES, self._retry.clock(), False
        while waiting:
            part = waiting[:size]
            try:
                handled, appended, has_lost = self._append(feed_id, part, now, began)
            except EntryRefused as error:
                if len(part) > 1:  # one of them: which is it?
                    size = len(part) // 2
                    continue
                refused.append((part[0], error))
                handled, appended, has_lost = 1, 0, False
            waiting = waiting[handled:]
            news += appended
            size = MAX_ENTRIES
            is_contended |= has_lost
            if waiting and is_contended:  # the rest of the batch in one go
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
        """Append as many of the items as one transaction takes.

        How many those are, how many of them were news, and whether another writer was faster once. It was `now` when the clock of the retry policy said `began`. Raises EntryRefused, StillBusy.
        """
        # A writer that has lost the counter to another one does not wait longer each time: those that
        # win do not wait at all, and it would starve. Only a store that is busy is given more time.
        tries, turns = self._retry.tries(), self._retry.turns()
        next(tries), next(turns)
        has_lost, waits, waited = False, True, 0
        while waits:
            present = now + timedelta(seconds=self._retry.clock() - began)
            try:
                state = self._store.state(feed_id, [item.id for item in items])
                if state.is_left_to_another(self._name, present):
                    waited += 1  # who has waited longest looks most often, and so is next
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
