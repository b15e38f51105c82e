"""C1, C2 and OrderQuote Deletion: prices, availability, and leases."""

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.booking.assessment import Assessment, assess, check_parties
from chalicelib.booking.decisions import Answer, Decision, Moment, RemoveOrder, Snapshot, save_order
from chalicelib.booking.existing import check_seller
from chalicelib.booking.holding import holds_before, moves
from chalicelib.booking.requests import OrderRequest
from chalicelib.domain.lifecycle import OrderEvent, OrderState, next_order_state
from chalicelib.domain.orders import Order, OrderKind, next_version, order_state
from chalicelib.domain.pricing import check_reconciliation


def quote(
    request: OrderRequest, snapshot: Snapshot, moment: Moment, *, with_customer: bool
) -> Decision[Answer]:
    """C1 (without a Customer) and C2 (with one).

    If no item has an error and leasing is on, the spaces are leased; an existing lease is replaced by
    one for exactly these items (LEASE-03). With any error nothing changes, including an older lease.

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
    if not leases and state is not OrderState.quote:
        return Decision(Answer(order))

    order = replace(order, lease_expires_at=lease_end(moment.now, moment.policy.lease_for))
    order = next_version(order, existing)
    held = moves(order.key, holds_before(snapshot, moment.now), order.holds(), snapshot)
    return Decision(Answer(order), (save_order(without_personal_data(order), existing), *held))


def delete_quote(snapshot: Snapshot, now: datetime, *, seller_id: str | None) -> Decision[None]:
    """OrderQuote Deletion: remove the quote and its lease; anything else under the UUID stays (QDEL-02, QDEL-03).

    Raises InvalidAuthorizationDetailsError if the quote is another Seller's.
    """
    order, state = snapshot.order, order_state(snapshot.order, now)
    if order is None or next_order_state(state, OrderEvent.delete_quote) is state:
        return Decision(None)
    check_seller(order.seller_id, seller_id)
    released = moves(order.key, holds_before(snapshot, now), {})
    return Decision(None, (RemoveOrder(order.key, order.version), *released))


def lease_end(now: datetime, lease_for: timedelta) -> datetime:
    """When a lease that starts now ends, rounded up to a whole second.

    Whole seconds keep leases that are made at nearly the same moment from ending out of order.
    """
    end = now + lease_for
    return end.replace(microsecond=0) + timedelta(seconds=1 if end.microsecond else 0)


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
