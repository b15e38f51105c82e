"""Order Cancellation and Order Deletion: release some or all spaces of an Order."""

from datetime import datetime

from chalicelib.booking.assessment import remaining_total
from chalicelib.booking.decisions import Change, Decision, Moment, Snapshot, save_order
from chalicelib.booking.existing import check_seller, existing_order
from chalicelib.booking.holding import moves
from chalicelib.booking.requests import CancellationRequest
from chalicelib.domain.errors import (
    CancellationNotPermittedError,
    OrderItemIdInvalidError,
    RequestTooLargeError,
)
from chalicelib.domain.lifecycle import CANCELLED, ItemEvent, OrderEvent, TransitionRefused, next_item_status
from chalicelib.domain.limits import MAX_NOTES, check_text
from chalicelib.domain.orders import DeletedOrder, Order, OrderItem
from chalicelib.values import replace


def cancel_items(
    request: CancellationRequest, snapshot: Snapshot, moment: Moment, *, seller_id: str | None
) -> Decision[None]:
    """The Customer's cancellation of some items: all in the request, or none (CANCEL-02).

    Raises UnknownOrderError, GoneError, OrderItemIdInvalidError, CancellationNotPermittedError.
    """
    order = existing_order(snapshot, OrderEvent.cancel, seller_id=seller_id)
    unknown = set(request.item_ids) - {item.id for item in order.items}
    if unknown:
        raise OrderItemIdInvalidError("There is no such item in this order.", instance=min(unknown))
    items = tuple(_cancelled(item, moment) if item.id in request.item_ids else item for item in order.items)
    return Decision(None, change_items(order, items, snapshot))


def change_items(
    order: Order, items: tuple[OrderItem, ...], snapshot: Snapshot, *, before: Order | None = None
) -> tuple[Change, ...]:
    """The one write for a change of an Order's items: totals, spaces, and its feed item.

    `before` is the Order as it was read, if `order` differs from it in more than its items.

    Spaces that are newly taken, as by a replacement, are taken at the revision in the snapshot.
    Raises RequestTooLargeError for notices and messages beyond their bounds.
    """
    if items == order.items:
        return ()
    check_notes(order.items, items)
    changed = replace(
        order,
        items=items,
        totals=remaining_total(
            items,
            tax_excluded=order.totals.tax_excluded,
            prepayment_supported=order.totals.prepayment is not None,
        ),
        published=True,
    )
    # Spaces are released whatever has happened to the Opportunity since.
    held = (
        move if move.spaces_taken > 0 else replace(move, revision=None)
        for move in moves(order.key, order.holds(), changed.holds(), snapshot, changed.sold())
    )
    return (save_order(changed, before or order), *held)


def check_notes(before: tuple[OrderItem, ...], after: tuple[OrderItem, ...]) -> None:
    """Refuse notices and messages that are too long or too many for the row. Raises RequestTooLargeError."""
    notes = notes_of(after)
    new = notes - notes_of(before)
    for note in new:
        check_text("A notice or message", note)
    if new and len(notes) > MAX_NOTES:
        raise RequestTooLargeError(f"An order may have at most {MAX_NOTES} different notices and messages.")


def notes_of(items: tuple[OrderItem, ...]) -> set[str]:
    """The different notices and messages on the items."""
    return {note for item in items for note in (item.customer_notice, item.cancellation_message) if note}


def delete_order(snapshot: Snapshot, *, seller_id: str | None) -> Decision[None]:
    """Order Deletion: reverse the whole booking and keep a stub (DEL-04, DEL-07).

    A second deletion changes nothing (DEL-06). Raises UnknownOrderError, InvalidAuthorizationDetailsError.
    """
    if isinstance(snapshot.order, DeletedOrder):
        check_seller(snapshot.order.seller_id, seller_id)
        return Decision(None)
    order = existing_order(snapshot, OrderEvent.delete, seller_id=seller_id)
    return Decision(None, (save_order(_stub(order), order), *moves(order.key, order.holds(), {})))


def erase(snapshot: Snapshot, now: datetime) -> Decision[None]:
    """Delete whatever is stored under the UUID, without a check of the caller: for the deletion of test data."""
    order = snapshot.order
    if not isinstance(order, Order):
        return Decision(None)
    held = {} if order.has_lapsed(now) else order.holds()
    return Decision(None, (save_order(_stub(order), order), *moves(order.key, held, {})))


def _stub(order: Order) -> DeletedOrder:
    return DeletedOrder(order.key, order.seller_id, published=order.published)


def _cancelled(item: OrderItem, moment: Moment) -> OrderItem:
    if item.status in CANCELLED:
        return item  # CANCEL-03: succeeds and changes nothing
    assert item.status is not None and item.offer is not None and item.opportunity is not None
    try:
        status = next_item_status(item.status, ItemEvent.customer_cancels)
    except TransitionRefused:
        raise CancellationNotPermittedError(
            "An activity that has been attended cannot be cancelled.", instance=item.id
        ) from None
    reason = item.offer.why_not_cancellable(item.opportunity.starts_at, moment.now)
    if reason:
        raise CancellationNotPermittedError(reason, instance=item.id)
    return replace(item, status=status)
