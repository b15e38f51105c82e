"""Leases that have ended: their spaces are released even if no request reads the Opportunity."""

from collections.abc import Callable
from datetime import datetime

from chalicelib.services.pending import Observer
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.store import Store

KIND = "lease"

# Transactions between two checks of the time; each ends up to 99 leases.
_AT_A_TIME = 10


def sweep(
    store: Store,
    now: datetime,
    observer: Observer,
    *,
    limit: int = 500,
    has_time: Callable[[], bool] = lambda: True,
) -> int:
    """Release the spaces of leases that have ended, so that feeds show them; how many leases it ended.

    Bookings do not depend on it: a request that finds an ended lease reclaims it first. An Opportunity that
    fails does not stop the others. Stops when `has_time` returns False; the next run continues. Raises StoreBusy.
    """
    ended = 0
    for opportunity_id in store.expired(now, limit):
        more = True
        while more and has_time():
            try:
                reclaimed = store.reclaim(opportunity_id, now, set_aside=True, at_most=_AT_A_TIME)
            except StoreBusy:  # another caller is ending them
                break
            except Exception as error:  # any error: the other Opportunities are still processed
                observer.work_failed(KIND, opportunity_id, error)
                break
            ended += reclaimed.ended
            more = reclaimed.more
            for row in reclaimed.set_aside:
                observer.work_set_aside(KIND, row, ValueError("not a lease"))
    return ended
