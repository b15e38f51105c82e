"""Leases that have ended: their spaces are given back even if nobody looks at the Opportunity."""

from collections.abc import Callable
from datetime import datetime

from chalicelib.services.pending import Observer
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.store import Store

KIND = "lease"


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
    fails does not stop the others. Ends early where `goes_on` says so. Raises StoreBusy.
    """
    ended = 0
    for opportunity_id in store.expired(now, limit):
        if not goes_on():
            break
        try:
            reclaimed = store.reclaim(opportunity_id, now, set_aside=True)
        except StoreBusy:  # others are at it
            continue
        except Exception as error:  # whatever it is, the leases of others end
            observer.work_failed(KIND, opportunity_id, error)
            continue
        ended += reclaimed.ended
        for row in reclaimed.set_aside:
            observer.work_set_aside(KIND, row, ValueError("not a lease"))
    return ended
