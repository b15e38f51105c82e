"""Read, decide, commit; and retry with a new snapshot if another request was faster. Attempts are limited."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.booking.decisions import Decision, Snapshot, Wanted
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.storage.errors import (
    CommitRefused,
    HoldChanged,
    LeaseEndsEarlier,
    LeasesLimited,
    OpportunityChanged,
    Reason,
    StillBusy,
    StoreBusy,
    TooFewSpaces,
)
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, replace

T = TypeVar("T")

# Transactions, of 99 leases each: at least 297 spaces, while an Order has 200 items at most. So a request never
# fails because ended leases hold its spaces, unless others take them first: then it is retried.
_RECLAIMED_BY_A_READER = 3


def carry_out(
    store: Store,
    wanted: Wanted,
    decide: Callable[[Snapshot], Decision[T]],
    *,
    now: datetime,
    retry: RetryPolicy,
    on_refusal: Callable[[tuple[Reason, ...]], None] = lambda reasons: None,
) -> T:
    """Decide on a snapshot and commit the decision's changes as one. Returns the decision's answer.

    Errors of `decide` are raised unchanged, with nothing written; the error in a decision after its changes are
    written. Raises StillBusy, from the last refusal.
    """
    last: Exception | None = None
    tries = retry.tries()
    for _ in tries:
        try:
            decision = decide(current_snapshot(store, wanted, now))
            if decision.unread:
                wanted = _with(wanted, decision.unread)
                decision = decide(current_snapshot(store, wanted, now))
            if decision.changes:
                store.commit(decision.changes)
            if decision.error is not None:
                raise decision.error
            return decision.answer
        except CommitRefused as refusal:
            last = refusal
            tries.failed(refusal)
            on_refusal(refusal.reasons)
            wanted = _with_refused(wanted, refusal.reasons)
        except StoreBusy as busy:
            last = busy
            tries.failed(busy)
    raise StillBusy(str(last)) from last


def carry_out_on_order(
    store: Store,
    key: OrderKey,
    decide: Callable[[Snapshot], Decision[T]],
    *,
    now: datetime,
    retry: RetryPolicy,
    also: tuple[str, ...] = (),
    on_refusal: Callable[[tuple[Reason, ...]], None] = lambda reasons: None,
) -> T:
    """The same for an Order of which only the key is known: its Opportunities and Seller are read too.

    This takes one more round trip. Seller actions and rejections need it; C1 to B do not.
    """

    def decide_with_opportunities(snapshot: Snapshot) -> Decision[T]:
        order = snapshot.order
        if not isinstance(order, Order):
            return decide(snapshot)
        # Also those that a refused commit has named: the sub-events of a replacement.
        named = (*order.holds(), *also, *snapshot.opportunities, *snapshot.absent)
        wanted = Wanted(key, order.seller_id, tuple(dict.fromkeys(named)))
        return decide(current_snapshot(store, wanted, now))

    return carry_out(
        store, Wanted(key), decide_with_opportunities, now=now, retry=retry, on_refusal=on_refusal
    )


def current_snapshot(store: Store, wanted: Wanted, now: datetime) -> Snapshot:
    """A snapshot in which no ended lease holds a space that the request could take.

    A Lease ends at its time, but its row stays: a request that finds ended leases first releases their spaces,
    but not many more than a request can need, so that it does not wait for thousands. The sweep ends the rest.
    """
    snapshot = store.snapshot(wanted)
    read = {**snapshot.withdrawn, **snapshot.opportunities}
    over = [key for key, known in read.items() if known.capacity.has_expired_leases(now)]
    if not over:
        return snapshot
    for opportunity_id in over:
        store.reclaim(opportunity_id, now, at_most=_RECLAIMED_BY_A_READER)
    # Read again even if nothing was released: then another request has released the spaces meanwhile.
    return store.snapshot(wanted)


def _with_refused(wanted: Wanted, reasons: Sequence[Reason]) -> Wanted:
    """The same, and the Opportunities that are not as the decision expected.

    Another request may have ended the lease of a quote between the decision and the commit; an Opportunity may
    have changed since it was proposed, or have too few spaces; the sub-events of a course are first read here.
    From what was read before, the next attempt would decide the same again.
    """
    expected = (HoldChanged, LeaseEndsEarlier, LeasesLimited, OpportunityChanged, TooFewSpaces)
    return _with(wanted, [reason.opportunity_id for reason in reasons if isinstance(reason, expected)])


def _with(wanted: Wanted, opportunity_ids: Sequence[str]) -> Wanted:
    return replace(wanted, opportunity_ids=tuple(dict.fromkeys([*wanted.opportunity_ids, *opportunity_ids])))


@dataclass(frozen=True)
class Attempts:
    """The two ways to carry out a decision, for one store; `on_refusal` reports each lost race."""

    store: Store
    retry: RetryPolicy
    on_refusal: Callable[[tuple[Reason, ...]], None] = lambda reasons: None

    def carry_out(self, wanted: Wanted, decide: Callable[[Snapshot], Decision[T]], now: datetime) -> T:
        """See the function `carry_out`. Raises what `decide` raises, and StillBusy."""
        return carry_out(self.store, wanted, decide, now=now, retry=self.retry, on_refusal=self.on_refusal)

    def carry_out_on_order(
        self,
        key: OrderKey,
        decide: Callable[[Snapshot], Decision[T]],
        now: datetime,
        *,
        also: tuple[str, ...] = (),
    ) -> T:
        """See the function `carry_out_on_order`; `also` are further Opportunities to read."""
        return carry_out_on_order(
            self.store, key, decide, now=now, retry=self.retry, also=also, on_refusal=self.on_refusal
        )
