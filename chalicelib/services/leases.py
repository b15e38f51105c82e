"""Leases that have ended: their spaces are given back even if nobody looks at the Opportunity."""

from contextlib import suppress
from datetime import datetime

from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.store import Store


def sweep(store: Store, now: datetime, limit: int = 500) -> int:
    """Give back the spaces of leases that have ended, so that feeds show them; how many it ended.

    Nothing depends on it: whoever reads a lease that has ended reclaims it first.
    """
    ended = 0
    for opportunity_id in store.expired(now, limit):
        with suppress(StoreBusy):  # others are at it
            ended += store.reclaim(opportunity_id, now)
    return ended
