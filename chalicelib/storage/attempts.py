"""Read, decide, commit; and again on a fresh snapshot where somebody else was faster. Bounded."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from chalicelib.booking.decisions import Decision, Snapshot, Wanted
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.storage.port import CommitRefused, HoldChanged, Reason, Store, StoreBusy

T = TypeVar("T")


class StillBusy(Exception):
    """Every attempt was refused or failed. Nothing was written, as far as was answered."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to try.

    `pause` sleeps for some seconds, `jitter` gives a number from 0 to 1 and `clock` seconds that
    only grow; all are passed in so that tests neither sleep nor gamble. Pauses double from
    `first_pause` up to `longest_pause`; no attempt starts later than `gives_up_after` seconds.
    A request that loses every time is given up after about 5 seconds, and one whose calls all
    time out before API Gateway gives it up, at 29.
    """

    pause: Callable[[float], None]
    jitter: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    attempts: int = 16
    first_pause: float = 0.02
    longest_pause: float = 1.0
    gives_up_after: float = 12.0

    def tries(self) -> Iterator[int]:
        """The number of each attempt, with a pause before each but the first."""
        started = self.clock()
        for attempt in range(self.attempts):
            if attempt:
                ceiling = min(self.longest_pause, self.first_pause * 2 ** (attempt - 1))
                self.pause(ceiling * self.jitter())
                if self.clock() - started > self.gives_up_after:
                    return
            yield attempt


def carry_out(
    store: Store,
    wanted: Wanted,
    decide: Callable[[Snapshot], Decision[T]],
    *,
    now: datetime,
    patience: Patience,
    on_refusal: Callable[[tuple[Reason, ...]], None] = lambda reasons: None,
) -> T:
    """Decide on a snapshot and commit the decision's changes as one; the decision's answer.

    What `decide` raises passes through, with nothing written. Raises StillBusy.
    """
    for _ in patience.tries():
        try:
            decision = decide(current_snapshot(store, wanted, now))
            if decision.changes:
                store.commit(decision.changes)
            return decision.answer
        except CommitRefused as refusal:
            on_refusal(refusal.reasons)
            wanted = _with_holds(wanted, refusal.reasons)
        except StoreBusy:
            continue
    raise StillBusy


def carry_out_on_order(
    store: Store,
    key: OrderKey,
    decide: Callable[[Snapshot], Decision[T]],
    *,
    now: datetime,
    patience: Patience,
    also: tuple[str, ...] = (),
    on_refusal: Callable[[tuple[Reason, ...]], None] = lambda reasons: None,
) -> T:
    """The same for an Order of which only the key is known: its Opportunities and Seller are read too.

    A round trip more, for what a Seller does and for rejections; C1 to B do not need it.
    """

    def decide_with_opportunities(snapshot: Snapshot) -> Decision[T]:
        order = snapshot.order
        if not isinstance(order, Order):
            return decide(snapshot)
        wanted = Wanted(key, order.seller_id, tuple(dict.fromkeys((*order.holds(), *also))))
        return decide(current_snapshot(store, wanted, now))

    return carry_out(
        store, Wanted(key), decide_with_opportunities, now=now, patience=patience, on_refusal=on_refusal
    )


def current_snapshot(store: Store, wanted: Wanted, now: datetime) -> Snapshot:
    """A snapshot in which no lease that has ended holds any space.

    A Lease ends by the clock: whoever comes across one that has ended gives its spaces back first.
    """
    snapshot = store.snapshot(wanted)
    over = [key for key, known in snapshot.opportunities.items() if known.capacity.has_expired_leases(now)]
    if not over:
        return snapshot
    for opportunity_id in over:
        store.reclaim(opportunity_id, now)
    # Also where there was nothing to give back: then somebody else has done it since the first look.
    return store.snapshot(wanted)


def sweep(store: Store, now: datetime, limit: int = 500) -> int:
    """Give back the spaces of leases that have ended though nobody has looked, so that feeds show them.

    Nothing depends on it: who looks, reclaims. How many leases it ended.
    """
    ended = 0
    for opportunity_id in store.expired(now, limit):
        with suppress(StoreBusy):  # others are at it
            ended += store.reclaim(opportunity_id, now)
    return ended


def _with_holds(wanted: Wanted, reasons: Sequence[Reason]) -> Wanted:
    """The same, and the holds that turned out not to be what the Order says.

    The lease of a quote may have ended, by another's clock, between the decision and the commit. From
    the Order alone the same would be decided again.
    """
    changed = [reason.opportunity_id for reason in reasons if isinstance(reason, HoldChanged)]
    return replace(wanted, opportunity_ids=tuple(dict.fromkeys([*wanted.opportunity_ids, *changed])))
