"""Measures the throughput of one process and of four: bookings, and rows of a feed's ledger."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from statistics import median
from typing import Any

from bench.crew import Crew
from bench.installation import Installation, ask, booking, new_uuid
from chalicelib.feeds.ledger import FeedItem
from chalicelib.runtime.system import install
from chalicelib.storage.feeds import MAX_ENTRIES
from tests.support.inventory import Bookable

ROUNDS = 3
BOOKINGS = 120
BATCHES = 12
WORKERS = 4

# When a process began and ended, by a clock that all processes of a machine share.
Span = tuple[float, float]


def throughput(installation: Installation) -> dict[str, float]:
    """Bookings and rows per second, by kind of work."""
    with Crew(1) as alone, Crew(WORKERS) as four:
        ways: dict[str, Callable[[], float]] = {
            "bookings of one session, 1 process": lambda: _bookings(installation, alone, of_one=True),
            "bookings of one session, 4 processes": lambda: _bookings(installation, four, of_one=True),
            "bookings of many sessions, 1 process": lambda: _bookings(installation, alone, of_one=False),
            "bookings of many sessions, 4 processes": lambda: _bookings(installation, four, of_one=False),
            "rows of one feed, 1 writer": lambda: _rows(installation, alone, of_one=True),
            "rows of one feed, 4 writers": lambda: _rows(installation, four, of_one=True),
            "rows of four feeds, 4 writers": lambda: _rows(installation, four, of_one=False),
        }
        # Interleaved, so that other load on the machine affects all of them equally.
        rounds = [{what: measure() for what, measure in ways.items()} for _ in range(ROUNDS)]
        return {what: median(each[what] for each in rounds) for what in ways}


def _bookings(installation: Installation, crew: Crew, *, of_one: bool) -> float:
    count = BOOKINGS // crew.size
    shared = [installation.session(10 * BOOKINGS)] * count if of_one else None
    work = [shared or [installation.session(10) for _ in range(count)] for _ in range(crew.size)]
    return BOOKINGS / _seconds(crew, _book, [(installation.prefix, installation.url, each) for each in work])


def _rows(installation: Installation, crew: Crew, *, of_one: bool) -> float:
    count, shared = BATCHES // crew.size, new_uuid()
    feeds = [shared if of_one else new_uuid() for _ in range(crew.size)]
    work = [(installation.prefix, installation.url, feed, count) for feed in feeds]
    return BATCHES * MAX_ENTRIES / _seconds(crew, _publish, work)


def _seconds(crew: Crew, function: Callable[..., Span], work: list[tuple[Any, ...]]) -> float:
    # Once without work, so that opening a connection is not measured.
    crew.run(_warm, [each[:2] for each in work])
    spans = crew.run(function, work)
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


@lru_cache
def _installation(prefix: str, url: str) -> Installation:
    installation = Installation(prefix, url)
    install(installation.system())
    return installation


def _warm(prefix: str, url: str) -> None:
    _installation(prefix, url).store.seller("unknown")


def _book(prefix: str, url: str, sessions: list[Bookable]) -> Span:
    requests = [booking(new_uuid(), session) for session in sessions]
    began = time.perf_counter()
    for request in requests:
        answer = ask(request)
        if answer.status != 201:
            raise RuntimeError(answer.body)
    return began, time.perf_counter()


def _publish(prefix: str, url: str, feed: str, batches: int) -> Span:
    ledger = _installation(prefix, url).system().ledger
    data = {"@type": "ScheduledSession", "description": "x" * 1000}
    began = time.perf_counter()
    for _ in range(batches):
        items = [FeedItem(new_uuid(), "ScheduledSession", 1, data) for _ in range(MAX_ENTRIES)]
        ledger.publish(feed, items, datetime.now(UTC))
    return began, time.perf_counter()
