"""Leases that have ended: their spaces are given back even if nobody looks at the Opportunity."""

from collections.abc import Callable
from datetime import datetime

from chalicelib.services.pending import Observer
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.store import Store

KIND = "lease"

# Transactions between two looks at the time; each ends up to 99 leases.
_AT_A_TIME = 10


def sweep(
    store: Store,
    now: datetime,
    observer: Observer,
    *,
    limit: int = 500,
    goes_on: Callable[[], bool] = lambda: True,
) -> int:
    """Give back the spaces of leases that have ended, so that feeds show them; how many it ended.

    Nothing depends on it: whoever reads a lease that has ended reclaims it first. One Opportunity that
    fails does not stop the others. Ends early where `goes_on` says so; the next run continues. Raises StoreBusy.
    """
    ended = 0
    for opportunity_id in store.expired(now, limit):
        more = True
        while more and goes_on():
            try:
                reclaimed = store.reclaim(opportunity_id, now, set_aside=True, at_most=_AT_A_TIME)
            except StoreBusy:  # others are at it
                break
            except Exception as error:  # whatever it is, the leases of others end
                observer.work_failed(KIND, opportunity_id, error)
                break
            ended += reclaimed.ended
            more = reclaimed.more
            for row in reclaimed.set_aside:
                observer.work_set_aside(KIND, row, ValueError("not a lease"))
    return ended
