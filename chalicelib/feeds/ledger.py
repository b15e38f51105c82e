"""Appending to a feed so that no reader can miss an item (RPDE-06).

Change numbers are drawn and written in one transaction that fails if another writer was faster, so
that the order of commits is the order of change numbers. Each item carries the version it was made
from: what arrives twice, late or out of order changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.parties import Json
from chalicelib.storage.errors import FeedMoved, StillBusy, StoreBusy
from chalicelib.storage.feeds import MAX_ENTRIES, FeedEntry, FeedState, FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.wire.rpde import item_text

# DynamoDB takes 4 MB in one transaction.
_MAX_BYTES = 3_000_000


@dataclass(frozen=True)
class FeedItem:
    """One version of an item; without `data` it is deleted."""

    id: str
    kind: str
    version: int
    data: Json | None


class Ledger:
    """The writer's side of all feeds."""

    def __init__(self, store: FeedStore, retry: RetryPolicy) -> None:
        self._store = store
        self._retry = retry

    def publish(self, feed_id: str, items: Iterable[FeedItem], now: datetime) -> int:
        """Bring the feed up to these items; how many of them were news to it. Raises StillBusy."""
        newest: dict[str, FeedItem] = {}
        for item in items:
            if item.id not in newest or item.version >= newest[item.id].version:
                newest[item.id] = item
        waiting, news = list(newest.values()), 0
        while waiting:
            handled, appended = self._append(feed_id, waiting[:MAX_ENTRIES], now)
            waiting = waiting[handled:]
            news += appended
        return news

    def _append(self, feed_id: str, items: Sequence[FeedItem], now: datetime) -> tuple[int, int]:
        """Append as many of the items as one transaction takes; how many those are, and how many news."""
        for _ in self._retry.tries():
            try:
                state = self._store.state(feed_id, [item.id for item in items])
                handled, entries = _entries(state, items)
                if entries:
                    self._store.append(feed_id, state.counter, entries, now)
                return handled, sum(entry.text is not None for entry in entries)
            except (FeedMoved, StoreBusy):
                continue
        raise StillBusy(f"the feed {feed_id} could not be written")


def _entries(state: FeedState, items: Sequence[FeedItem]) -> tuple[int, list[FeedEntry]]:
    """The entries to append for the first items, and how many items those are."""
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
        state_term = "deleted" if item.data is None else "updated"
        text = item_text(state_term, item.kind, item.id, number + 1, item.data)
        size += len(text.encode())
        if entries and size > _MAX_BYTES:
            return handled, entries
        number += 1
        entries.append(FeedEntry(item.id, number, item.version, text, pointer, is_deleted=item.data is None))
    return len(items), entries
