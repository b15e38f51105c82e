"""One batch of a stream: what becomes of each record in it.

A record that can never be published is parked with its content, and its neighbours go on. Whatever else
fails is tried again for as long as the stream keeps the record: the position of the first record that has
to come again is returned, and what was published already is a no-op then. Each feed is written by itself,
several at a time, so that one that is busy, or full of large items, holds up no other.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.feeds.ledger import FeedItem, ItemsRefused, Ledger
from chalicelib.feeds.parked import ParkedRecord, ParkedRecords
from chalicelib.storage.errors import LaterFormat, StillBusy, StoreBusy
from chalicelib.storage.records import Record, RecordReader
from chalicelib.storage.retry import RetryPolicy

BUSY = (StillBusy, StoreBusy)

# Feeds that are written at the same time.
_THREADS = 8

# Seconds after which no further feed is begun: the functions have 60, and a feed that is throttled takes
# up to 20 of them. What was not begun comes again with the batch.
_BEGINS_WITHIN = 25.0

# While one release replaces another, functions of both run. A row in a later format is left to the later
# release for so long; after that it was rolled back, and the row would hold up all others.
RELEASES_MEET_FOR = timedelta(minutes=15)


class Observer(Protocol):
    """Where a stream reports what people have to know. Ids and types of errors only, nothing personal."""

    def record_parked(self, parked: ParkedRecord, error: BaseException) -> None:
        """A record will not be tried again until an operator replays it.

        Reported once more where the batch of the record comes again.
        """

    def batch_retried(self, stream: str, position: str, error: BaseException, *, busy: bool) -> None:
        """The batch comes again from this position on; `busy` where that should pass by itself."""


@dataclass(frozen=True)
class FeedChange:
    """What one record brings to a feed."""

    record: Record
    feed_id: str
    item: FeedItem


@dataclass(frozen=True)
class Handled:
    """What became of a batch: the position from which it has to come again and why, and what was parked."""

    retry_from: str | None = None
    error: BaseException | None = None
    parked: tuple[ParkedRecord, ...] = ()


@dataclass(frozen=True)
class Outlet:
    """What every stream writes to and reports to. `now` is the present for what is written."""

    ledger: Ledger
    parked: ParkedRecords
    records: RecordReader
    retry: RetryPolicy
    now: Callable[[], datetime]
    observer: Observer


@dataclass
class Batch:
    """The records of one invocation, in their order, all of one stream."""

    stream: str
    records: Sequence[Record]
    outlet: Outlet
    _parked: list[ParkedRecord] = field(default_factory=list)
    _retried: dict[int, BaseException] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index: dict[int, int] = {}
        for index, record in enumerate(self.records):
            self._index.setdefault(id(record), index)
        self._began = self.outlet.retry.clock()

    def has_time(self) -> bool:
        """Whether more may be begun in this invocation."""
        return self.outlet.retry.clock() - self._began <= _BEGINS_WITHIN

    def retry(self, record: Record, error: BaseException) -> None:
        """This record, and so all after it, has to come again."""
        self._retried.setdefault(self._index[id(record)], error)

    def park(self, record: Record, error: BaseException) -> None:
        """This record can never be published: keep it, with its content, where an operator finds it."""
        outlet, now = self.outlet, self.outlet.now()
        if isinstance(error, LaterFormat):
            written_at = outlet.records.written_at(record)
            if written_at is not None and now - written_at < RELEASES_MEET_FOR:
                self.retry(record, error)
                return
        position, row = outlet.records.position(record), outlet.records.row_key(record)
        try:
            parked, _ = outlet.parked.park(self.stream, position, row, record, error, now)
        except Exception as failure:  # what was not parked must come again
            self.retry(record, failure)
            return
        self._parked.append(parked)
        # Also where it was parked before: the process may have been killed before it could report that.
        outlet.observer.record_parked(parked, error)

    def publish(self, changes: Iterable[FeedChange]) -> None:
        """Bring each feed up to its changes, several feeds at a time."""
        by_feed: dict[str, list[FeedChange]] = {}
        for change in changes:
            by_feed.setdefault(change.feed_id, []).append(change)
        waiting = self._rotated(list(by_feed.values()))
        if len(waiting) <= 1:
            outcomes = [self._attempt(each) for each in waiting]
        else:
            with ThreadPoolExecutor(min(_THREADS, len(waiting)), "feeds") as pool:
                outcomes = list(pool.map(self._attempt, waiting))
        for each, error in zip(waiting, outcomes, strict=True):
            if isinstance(error, ItemsRefused):
                self._refused(each, error)
            elif error is not None:
                self.retry(each[0].record, error)

    def handled(self) -> Handled:
        """What became of it, reported."""
        if not self._retried:
            return Handled(parked=tuple(self._parked))
        first = min(self._retried)
        position = self.outlet.records.position(self.records[first])
        # One line for each kind of reason: a store that is busy must not hide that something is broken.
        for busy in (True, False):
            reasons = [error for error in self._retried.values() if isinstance(error, BUSY) is busy]
            if reasons:
                self.outlet.observer.batch_retried(self.stream, position, reasons[0], busy=busy)
        return Handled(position, self._retried[first], tuple(self._parked))

    def _rotated(self, feeds: list[list[FeedChange]]) -> list[list[FeedChange]]:
        """Begun anywhere, so that feeds which use up the time are not always the same ones first."""
        first = int(self.outlet.retry.jitter() * len(feeds)) % len(feeds) if feeds else 0
        return [*feeds[first:], *feeds[:first]]

    def _attempt(self, changes: Sequence[FeedChange]) -> Exception | None:
        """Publish to one feed; what has failed. Runs in threads, and changes nothing of the batch."""
        if not self.has_time():
            return StoreBusy("no time is left in this invocation")
        try:
            self.outlet.ledger.publish(
                changes[0].feed_id, [change.item for change in changes], self.outlet.now()
            )
        except Exception as error:  # whatever it is, it concerns this feed alone
            return error
        return None

    def _refused(self, changes: Sequence[FeedChange], error: Exception | None) -> None:
        """Park what a feed can never take, and publish what these items were before."""
        waiting = list(changes)
        while isinstance(error, ItemsRefused):
            reasons = {(item.id, item.version): reason for item, reason in error.refused}
            items = {item.id for item, _ in error.refused}
            for change in waiting:
                if reason := reasons.get((change.item.id, change.item.version)):
                    self.park(change.record, reason.__cause__ or reason)
            waiting = [
                change
                for change in waiting
                if change.item.id in items and (change.item.id, change.item.version) not in reasons
            ]
            error = self._attempt(waiting) if waiting else None
        if error is not None:
            self.retry(waiting[0].record, error)
