"""Publish items again in their current state, whatever version their feed has.

The ledger never publishes an earlier version. A restore sets the store itself to an earlier time: items that
readers have seen since must still be replaced, at a higher change number.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chalicelib.feeds.contents import FeedContents
from chalicelib.feeds.ledger import FeedItem
from chalicelib.storage.errors import EntryRefused, FeedMoved, StoreBusy
from chalicelib.storage.feeds import MAX_ENTRIES, FeedEntry, FeedState, FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass
from chalicelib.wire.rpde import item_text

# DynamoDB accepts 4 MB in one transaction.
_MAX_BYTES = 3_000_000


@dataclass(frozen=True)
class Republisher:
    """Publishes items of any feed again, while the streams write to the same feeds."""

    feeds: FeedStore
    contents: FeedContents
    retry: RetryPolicy

    def publish(self, feed_id: str, item_ids: Sequence[str], now: datetime) -> int:
        """Publish these items as stored, and items missing in the store as deleted; the number written.

        Items that can never be written are skipped; the check reports them. Raises StillBusy.
        """
        waiting, written, size = list(dict.fromkeys(item_ids)), 0, MAX_ENTRIES
        while waiting:
            batch = waiting[:size]
            try:
                entries = self.retry.run(
                    lambda: self._append(feed_id, batch, now),  # noqa: B023 - it runs before the next iteration
                    on=(FeedMoved, StoreBusy),
                )
            except EntryRefused:
                if len(batch) > 1:  # find out which item it was
                    size = len(batch) // 2
                else:
                    waiting, size = waiting[1:], MAX_ENTRIES
                continue
            written, size = written + len(entries), MAX_ENTRIES
            waiting = [*waiting[len(entries) :], *self._overtaken(feed_id, entries)]
        return written

    def _append(self, feed_id: str, item_ids: Sequence[str], now: datetime) -> list[FeedEntry]:
        # The feed is read first: a stream that publishes after that moves the counter, and this write is
        # refused. So an item is never replaced by an older version than the one in its feed.
        state = self.feeds.state(feed_id, item_ids)
        current = self.contents.current(feed_id, item_ids)
        entries = _entries(state, [current[item_id] for item_id in item_ids])
        self.feeds.append(feed_id, state.counter, entries, now)
        return entries

    def _overtaken(self, feed_id: str, entries: Sequence[FeedEntry]) -> list[str]:
        """Items that were changed meanwhile, and whose change the streams skipped as an old one.

        This can only happen if the feed was ahead of the store. After this write it is not, and the streams
        skip no further change.
        """
        were_ahead = {
            entry.item_id: entry.version
            for entry in entries
            if entry.replaces is not None and entry.replaces.version > entry.version
        }
        if not were_ahead:
            return []
        current: Mapping[str, FeedItem] = self.retry.run(
            lambda: self.contents.current(feed_id, list(were_ahead)), on=(StoreBusy,)
        )
        return [item_id for item_id, version in were_ahead.items() if current[item_id].version > version]


def _entries(state: FeedState, items: Sequence[FeedItem]) -> list[FeedEntry]:
    """Entries for the first items, as many as fit one transaction."""
    entries: list[FeedEntry] = []
    size = 0
    for number, item in enumerate(items, state.counter + 1):
        state_term = "deleted" if item.data is None else "updated"
        text = item_text(state_term, item.kind, item.id, number, item.data)
        size += len(text.encode())
        if entries and size > _MAX_BYTES:
            break
        pointer = state.pointers.get(item.id)
        entries.append(FeedEntry(item.id, number, item.version, text, pointer, is_deleted=item.data is None))
    return entries
