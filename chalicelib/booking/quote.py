"""C1, C2 and OrderQuote Deletion: prices, availability, and leases."""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.booking.assessment import Assessment, assess, check_parties, remaining_total
from chalicelib.booking.decisions import (
    Answer,
    Change,
    Decision,
    Moment,
    Snapshot,
    outdated_counters,
    remove_order,
    save_order,
)
from chalicelib.booking.existing import check_seller
from chalicelib.booking.holding import holds_before, moves
from chalicelib.booking.leasing import with_lease
from chalicelib.booking.requests import OrderRequest
from chalicelib.booking.sub_events import unread_sub_events
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.lifecycle import OrderEvent, OrderState, next_order_state
from chalicelib.domain.orders import Order, OrderItem, OrderKind, next_version, order_state
from chalicelib.domain.pricing import check_reconciliation
from chalicelib.values import replace


def quote(
    request: OrderRequest, snapshot: Snapshot, moment: Moment, *, with_customer: bool
) -> Decision[Answer]:
    """C1 (without a Customer) and C2 (with one).

    If no item has an error and this stage leases, the spaces are leased; an existing lease is replaced by
    one for exactly these items (LEASE-03), or released if a limit of the partner does not allow it. A stage that
    does not lease keeps what an existing lease has of the same items. With any error nothing changes, including
    an older lease.

    Raises the order-level errors of C1 and C2 in the order of ERR-09.
    """
    check_parties(request, snapshot, with_customer=with_customer)
    existing, state = snapshot.order, order_state(snapshot.order, moment.now)
    next_order_state(state, OrderEvent.c2 if with_customer else OrderEvent.c1)
    assessment = assess(request, snapshot, moment, with_customer=with_customer)
    check_reconciliation(request.payment, moment.policy.reconciliation)

    order = _quoted(request, assessment, with_customer=with_customer)
    if assessment.errors:
        return Decision(Answer(order, assessment.errors))
    leases = moment.policy.anonymous_leases or (with_customer and moment.policy.named_leases)
    if not leases:
        is_leased = state is OrderState.quote
        if is_leased:
            return _with_kept_lease(order, snapshot, moment)
        return _without_lease(Answer(order), order.items, snapshot)

    order, usage = with_lease(order, snapshot, moment, with_customer=with_customer)
    before = holds_before(snapshot, moment.now)
    if order.lease_expires_at is None:
        answer = Answer(order, usage=usage)
        if existing is None or state is not OrderState.quote:
            return _without_lease(answer, order.items, snapshot)
        released: tuple[Change, ...] = (remove_order(existing), *moves(order.key, before, {}))
        return _without_lease(answer, order.items, snapshot, released)
    order = next_version(order, existing)
    held = (
        replace(move, limits=moment.policy.limits)
        for move in moves(order.key, before, order.holds(), snapshot, order.sold())
    )
    outdated = outdated_counters(order.key, snapshot, moment.now)
    saved = save_order(without_personal_data(order), existing, outdated=outdated)
    return Decision(Answer(order, usage=usage), (saved, *held))


def _without_lease(
    answer: Answer, items: Iterable[OrderItem], snapshot: Snapshot, changes: tuple[Change, ...] = ()
) -> Decision[Answer]:
    """The answer for items that are not leased: as no commit checks their sub-events, these are read."""
    return Decision(answer, changes, unread=unread_sub_events(items, snapshot))


def _with_kept_lease(order: Order, snapshot: Snapshot, moment: Moment) -> Decision[Answer]:
    """The answer of a stage that makes no lease, where an earlier stage has made one for this UUID.

    It takes nothing new and does not renew the lease. What is leased of the same items stays leased until the
    lease ends; the rest is released (LEASE-03). The answer has a `lease` only if it covers all items.
    """
    existing = snapshot.order
    assert isinstance(existing, Order)
    before = holds_before(snapshot, moment.now)
    left = {key: hold.spaces for key, hold in before.items() if hold.state is HoldState.leased}
    kept: list[OrderItem] = []
    others: list[OrderItem] = []
    for item in order.items:
        if item.takes and all(left.get(each, 0) > 0 for each in item.takes):
            for each in item.takes:
                left[each] -= 1
            kept.append(item)
        else:
            others.append(item)
    if not kept:
        released: tuple[Change, ...] = (remove_order(existing), *moves(order.key, before, {}))
        return _without_lease(Answer(order), others, snapshot, released)
    lease = replace(
        order,
        items=tuple(kept),
        lease_expires_at=existing.lease_expires_at,
        lease_kind=existing.lease_kind,
        leased_since=existing.leased_since,
    )
    if len(kept) == len(order.items):
        order = replace(order, lease_expires_at=existing.lease_expires_at)
    else:
        lease = replace(
            lease,
            totals=remaining_total(
                kept,
                tax_excluded=order.totals.tax_excluded,
                prepayment_supported=moment.policy.prepayment_supported,
            ),
        )
    held = moves(order.key, before, lease.holds(), snapshot, lease.sold())
    saved = save_order(without_personal_data(lease), existing)
    return _without_lease(Answer(order), others, snapshot, (saved, *held))


def delete_quote(snapshot: Snapshot, now: datetime, *, seller_id: str | None) -> Decision[None]:
    """OrderQuote Deletion: remove the quote and its lease; anything else under the UUID stays (QDEL-02, QDEL-03).

    Raises InvalidAuthorizationDetailsError if the quote is another Seller's.
    """
    order, state = snapshot.order, order_state(snapshot.order, now)
    if order is None or next_order_state(state, OrderEvent.delete_quote) is state:
        return Decision(None)
    check_seller(order.seller_id, seller_id)
    released = moves(order.key, holds_before(snapshot, now), {})
    return Decision(None, (remove_order(order), *released))


def without_personal_data(order: Order) -> Order:
    """The quote as it is stored (C2-05)."""
    return replace(
        order,
        customer=None,
        payment=None,
        items=tuple(
            replace(item, attendee=None, intake_answers=(), spaces_remaining=None) for item in order.items
        ),
    )


def _quoted(request: OrderRequest, assessment: Assessment, *, with_customer: bool) -> Order:
    customer = request.customer if with_customer and isinstance(request.customer, dict) else None
    return Order(
        key=request.key,
        kind=OrderKind.OrderQuote,
        seller_id=assessment.seller.id,
        seller=assessment.seller.document,
        broker_role=assessment.broker_role,
        broker=request.broker if isinstance(request.broker, dict) else None,
        customer=customer,
        payment=request.payment if assessment.totals.due else None,
        items=assessment.items,
        totals=assessment.totals,
        requires_approval=assessment.requires_approval,
    )
