"""Publish one batch of a stream: publish, park or retry each record in it.

A record that can never be published is parked with its content, and the other records are published. Other
failures are retried for as long as the stream keeps the record: the batch returns the position of the first
record to retry, and publishing a record a second time changes nothing. Each feed is written separately,
several at a time, so that a feed that is busy or has large items does not delay the others.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.feeds.ledger import FeedItem, ItemsRefused, Ledger
from chalicelib.feeds.parked import ParkedRecord, ParkedRecords
from chalicelib.storage.errors import LaterFormat, StillBusy, StoreBusy
from chalicelib.storage.records import Record, RecordReader
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, field

BUSY = (StillBusy, StoreBusy)

# The number of feeds that are written at the same time.
_THREADS = 8

# Seconds after which no further feed is started: the functions have 60, and a feed that is throttled takes
# up to 20 of them. The feeds that were not started are written when the batch is retried.
_BEGINS_WITHIN = 25.0

# While one release replaces another, functions of both run. For this long, a row in a later format is left to
# the later release. After that, the later release was rolled back, and the row would block all others.
RELEASES_MEET_FOR = timedelta(minutes=15)


class Observer(Protocol):
    """Receives a stream's reports for operators: ids and types of errors only, no personal data."""

    def record_parked(self, parked: ParkedRecord, error: BaseException) -> None:
        """A record is not retried until an operator replays it.

        Reported again if the batch of the record is retried.
        """

    def batch_retried(self, stream: str, position: str, error: BaseException, *, busy: bool) -> None:
        """The batch is retried from this position on; `busy` if the cause is temporary."""


@dataclass(frozen=True)
class FeedChange:
    """The change to a feed that one record causes."""

    record: Record
    feed_id: str
    item: FeedItem


@dataclass(frozen=True)
class Handled:
    """The result of a batch: the position to retry from and the reason, and the parked records."""

    retry_from: str | None = None
    error: BaseException | None = None
    parked: tuple[ParkedRecord, ...] = ()


@dataclass(frozen=True)
class Outlet:
    """Where every stream writes and reports. `now` is the current time for what is written."""

    ledger: Ledger
    parked: ParkedRecords
    records: RecordReader
    retry: RetryPolicy
    now: Callable[[], datetime]
    observer: Observer


@dataclass
class Batch:
    """The records of one invocation of one stream, in order."""

    stream: str
    records: Sequence[Record]
    outlet: Outlet
    _parked: list[ParkedRecord] = field(default_factory=list)
    _retried: dict[int, BaseException] = field(default_factory=dict)
    _index: dict[int, int] = field(default_factory=dict)
    _began: float = 0.0

    def __post_init__(self) -> None:
        for index, record in enumerate(self.records):
            self._index.setdefault(id(record), index)
        self._began = self.outlet.retry.clock()

    def has_time(self) -> bool:
        """Whether more work may be started in this invocation."""
        return self.outlet.retry.clock() - self._began <= _BEGINS_WITHIN

    def retry(self, record: Record, error: BaseException) -> None:
        """Retry the batch from this record on."""
        self._retried.setdefault(self._index[id(record)], error)

    def park(self, record: Record, error: BaseException) -> None:
        """Keep a record that can never be published, with its content, for an operator."""
        outlet, now = self.outlet, self.outlet.now()
        if isinstance(error, LaterFormat):
            written_at = outlet.records.written_at(record)
            if written_at is not None and now - written_at < RELEASES_MEET_FOR:
                self.retry(record, error)
                return
        position, row = outlet.records.position(record), outlet.records.row_key(record)
        try:
            parked, _ = outlet.parked.park(self.stream, position, row, record, error, now)
        except Exception as failure:  # a record that was not parked must be retried
            self.retry(record, failure)
            return
        self._parked.append(parked)
        # Report it even if it was parked before: the process may have ended before it reported that.
        outlet.observer.record_parked(parked, error)

    def publish(self, changes: Iterable[FeedChange]) -> None:
        """Publish the changes to each feed, several feeds at a time."""
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
        """Report the result of the batch, and return it."""
        if not self._retried:
            return Handled(parked=tuple(self._parked))
        first = min(self._retried)
        position = self.outlet.records.position(self.records[first])
        # One line for each kind of reason: a busy store must not hide an error.
        for busy in (True, False):
            reasons = [error for error in self._retried.values() if isinstance(error, BUSY) is busy]
            if reasons:
                self.outlet.observer.batch_retried(self.stream, position, reasons[0], busy=busy)
        return Handled(position, self._retried[first], tuple(self._parked))

    def _rotated(self, feeds: list[list[FeedChange]]) -> list[list[FeedChange]]:
        """The feeds from a random start, so that slow feeds do not always come first and use up the time."""
        first = int(self.outlet.retry.jitter() * len(feeds)) % len(feeds) if feeds else 0
        return [*feeds[first:], *feeds[:first]]

    def _attempt(self, changes: Sequence[FeedChange]) -> Exception | None:
        """Publish to one feed and return what failed. Runs in threads and does not change the batch."""
        if not self.has_time():
            return StoreBusy("no time is left in this invocation")
        try:
            self.outlet.ledger.publish(
                changes[0].feed_id, [change.item for change in changes], self.outlet.now()
            )
        except Exception as error:  # any error affects only this feed
            return error
        return None

    def _refused(self, changes: Sequence[FeedChange], error: Exception | None) -> None:
        """Park the changes that a feed can never accept, and publish the earlier versions of their items."""
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
