"""OrderProposals whose time is over: the sweep ends them, even if no request reads them again.

Requests do not depend on it: B, Order Status and every decision on a proposal check the time themselves. Each
open proposal has one entry, written in the transactions that write the proposal itself, with the time at which
it ends in its id. So one query finds those that are due.
"""

from datetime import datetime

from chalicelib.booking.decisions import Wanted
from chalicelib.booking.proposal_ends import end_if_over
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.pending import PROPOSAL_END, PendingWork, proposal_end
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

KIND = PROPOSAL_END


def scheduled_end(order: Order) -> PendingWork | None:
    """The entry that an open proposal must have; None for any other Order.

    Release 0.1.0 wrote proposals without one; these end at the start of their earliest Opportunity.
    """
    ends_at = order.ends_at or (order.earliest_start() if order.open_proposal else None)
    return proposal_end(order.key, ends_at) if ends_at is not None else None


def take_step(entry: PendingWork, store: Store, now: datetime, retry: RetryPolicy) -> Step:
    """End the proposal that an entry names, unless it was decided or booked since. Raises Undecodable, StillBusy."""
    key = codec.from_json(entry.document, OrderKey)
    ended = carry_out(store, Wanted(key), lambda snapshot: end_if_over(snapshot, now), now=now, retry=retry)
    return Step(int(ended))
