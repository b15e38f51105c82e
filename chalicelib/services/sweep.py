"""Runs once a minute: ends leases and proposals, and continues every kind of unfinished work, each with a share of the time."""

from collections.abc import Mapping
from datetime import datetime

from chalicelib.services import daily, leases
from chalicelib.services.pending import Chore, Observer, Worker
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.pending import (
    CLEARING,
    FEED_REVIEW,
    HOLDER_CHANGE,
    HOLDER_MESSAGE,
    OPPORTUNITY_CHANGE,
    PROPOSAL_END,
    REPORTS,
    RETENTION,
    TIMETABLE,
)
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

# Seconds for each kind of work, of the 50 that the function has; the rest is for steps that take longer. The
# kinds that have more to do share what others do not need.
SHARES = {
    leases.KIND: 8.0,
    PROPOSAL_END: 4.0,
    OPPORTUNITY_CHANGE: 10.0,
    HOLDER_CHANGE: 2.0,
    FEED_REVIEW: 6.0,
    CLEARING: 5.0,
    "sandbox": 3.0,
    HOLDER_MESSAGE: 2.0,
    TIMETABLE: 5.0,
    daily.KIND: 0.5,
    RETENTION: 2.0,
    REPORTS: 2.0,
}


def run_sweep(
    worker: Worker,
    store: Store,
    now: datetime,
    retry: RetryPolicy,
    observer: Observer,
    chores: Mapping[str, Chore],
) -> dict[str, int]:
    """One run; how many things were handled, by kind of work. `chores` are kinds that have their own rows."""
    try:
        worker.store.take_over()
    except StoreBusy:
        pass  # retried in the next minute
    except Exception as error:  # the work of an earlier release must not delay that of this one
        observer.work_failed("rows of an earlier release", "", error)

    def end_leases(seconds: float) -> int:
        ends_at = retry.clock() + seconds
        return leases.sweep(store, now, observer, has_time=lambda: retry.clock() < ends_at)

    return worker.run(SHARES, {leases.KIND: end_leases, **chores})
