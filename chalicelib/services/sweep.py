"""What runs once a minute: leases that have ended, and every kind of unfinished work, each with its share."""

from datetime import datetime

from chalicelib.services import clearing, following, leases, reviews
from chalicelib.services.pending import Observer, Worker
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

# Seconds for each kind of work, of the 50 that the function has; the rest is for steps that take longer. What
# one kind does not need, those that have more to do share.
SHARES = {
    leases.KIND: 8.0,
    following.KIND: 12.0,
    following.HOLDER_KIND: 2.0,
    reviews.KIND: 6.0,
    clearing.KIND: 8.0,
}


def run_sweep(
    worker: Worker, store: Store, now: datetime, retry: RetryPolicy, observer: Observer
) -> dict[str, int]:
    """One run; how many things were handled, by kind of work."""
    try:
        worker.store.take_over()
    except StoreBusy:
        pass  # in the next minute
    except Exception as error:  # the work of this release is not held up by that of an earlier one
        observer.work_failed("rows of an earlier release", "", error)

    def end_leases(seconds: float) -> int:
        ends_at = retry.clock() + seconds
        return leases.sweep(store, now, observer, goes_on=lambda: retry.clock() < ends_at)

    return worker.run(SHARES, {leases.KIND: end_leases})
