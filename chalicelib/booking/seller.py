"""A Seller's actions on an Order that is booked: one decision and one feed write each.

All of them look at the Order as it is and leave out the items that they do not concern; where nothing
changes, nothing is written. They raise UnknownOrderError or GoneError where there is no such Order, and
RequestTooLargeError where a notice or message is too long, or one too many.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from chalicelib.booking.access import with_access
from chalicelib.booking.cancel import change_items
from chalicelib.booking.decisions import Decision, Moment, Snapshot
from chalicelib.booking.existing import existing_order
from chalicelib.domain.errors import (
    OpportunityIsFullError,
    OpportunityIsInConflictError,
    OpportunityOfferPairNotBookableError,
    UnacceptableOfferError,
)
from chalicelib.domain.lifecycle import (
    CANCELLED,
    ItemEvent,
    OrderEvent,
    OrderItemStatus,
    next_item_status,
)
from chalicelib.domain.limits import MAX_OPPORTUNITIES_KEPT
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.pricing import unit_price

_Change: TypeAlias = Callable[[OrderItem], OrderItem]


def cancel_by_seller(
    snapshot: Snapshot,
    *,
    message: str | None = None,
    item_ids: Collection[str] | None = None,
) -> Decision[None]:
    """Cancel the items named, or all; with a message or without (CANCEL-14).

    Items that are cancelled already stay as they are. What was attended cannot be cancelled: then
    TransitionRefused is raised and nothing changes.
    """

    def cancelled(item: OrderItem) -> OrderItem:
        status = next_item_status(_status(item), ItemEvent.seller_cancels)
        return replace(item, status=status, cancellation_message=message)

    return _change(snapshot, cancelled, item_ids)


def record_attendance(
    snapshot: Snapshot, event: ItemEvent, *, item_ids: Collection[str] | None = None
) -> Decision[None]:
    """Record that the attendees came, or did not (NOTIF-03). Repeating it changes nothing."""

    def recorded(item: OrderItem) -> OrderItem:
        status = _status(item)
        already = {ItemEvent.attends: "AttendeeAttended", ItemEvent.is_absent: "AttendeeAbsent"}[event]
        return item if status == already else replace(item, status=next_item_status(status, event))

    return _change(snapshot, recorded, item_ids)


def notify_customer(
    snapshot: Snapshot, notice: str, *, item_ids: Collection[str] | None = None
) -> Decision[None]:
    """Send the Customer a notice (NOTIF-01)."""
    return _change(snapshot, lambda item: replace(item, customer_notice=notice), item_ids)


def renew_access(
    snapshot: Snapshot, moment: Moment, *, codes: bool = False, passes: bool = False, channel: bool = False
) -> Decision[None]:
    """Replace codes, passes or channels with new ones (NOTIF-02)."""
    order = _order_in(snapshot)
    return _change(
        snapshot,
        lambda item: with_access(
            item, order.access_methods, moment, codes=codes, passes=passes, channel=channel
        ),
    )


def replace_items(
    snapshot: Snapshot, moment: Moment, choices: Mapping[str, tuple[str, str]], *, notice: str | None = None
) -> Decision[None]:
    """Replace the Opportunity and Offer of items: `choices` by item id (REPL-01).

    The new pair must be bookable and not more expensive; the item keeps its id. Spaces move with it.

    Raises OpportunityOfferPairNotBookableError, OpportunityIsFullError, UnacceptableOfferError,
    OpportunityIsInConflictError.
    """

    def replaced(item: OrderItem) -> OrderItem:
        new = replacement(item, choices[item.id or ""], snapshot, moment)
        assert new.offer is not None and item.offer is not None
        if new.offer.price > item.offer.price:
            raise UnacceptableOfferError("A replacement may not be more expensive.", instance=new.offer_id)
        return replace(new, customer_notice=notice)

    order = _order_in(snapshot)
    check_opportunities(order.items, choices)
    return _change(snapshot, replaced, choices.keys())


def check_opportunities(items: tuple[OrderItem, ...], choices: Mapping[str, tuple[str, str]]) -> None:
    """Refuse a replacement that leaves an Order with more Opportunities than its row and a transaction hold.

    Raises OpportunityIsInConflictError.
    """
    after = {choices[item.id or ""][0] if item.id in choices else item.opportunity_id for item in items}
    if len(after) > max(MAX_OPPORTUNITIES_KEPT, len({item.opportunity_id for item in items})):
        raise OpportunityIsInConflictError(
            f"An order may have at most {MAX_OPPORTUNITIES_KEPT} different opportunities."
        )


def replacement(item: OrderItem, choice: tuple[str, str], snapshot: Snapshot, moment: Moment) -> OrderItem:
    """The item with another Opportunity and Offer of the same Seller, at their current price.

    Raises OpportunityOfferPairNotBookableError, OpportunityIsFullError, UnacceptableOfferError.
    """
    order, seller = snapshot.order, snapshot.seller
    assert isinstance(order, Order) and seller is not None, "a replacement needs both in its snapshot"
    assert item.offer is not None
    opportunity_id, offer_id = choice
    known = snapshot.opportunities.get(opportunity_id)
    offer = known.opportunity.offer(offer_id) if known else None
    if known is None or offer is None or known.opportunity.seller_id != seller.id:
        raise UnacceptableOfferError(instance=offer_id)
    if reason := known.opportunity.why_not_bookable(offer, moment.now):
        raise OpportunityOfferPairNotBookableError(reason, instance=opportunity_id)
    if offer.currency != item.offer.currency:
        raise UnacceptableOfferError("The offer has another currency.", instance=offer_id)
    if known.capacity.spaces_left == 0 and known.hold is None:
        raise OpportunityIsFullError(instance=opportunity_id)
    return replace(
        item,
        opportunity_id=opportunity_id,
        offer_id=offer_id,
        opportunity=replace(known.opportunity, offers=()),
        offer=offer,
        price=unit_price(offer, seller, tax_excluded=order.totals.tax_excluded),
    )


def _change(snapshot: Snapshot, change: _Change, item_ids: Collection[str] | None = None) -> Decision[None]:
    order = _order_in(snapshot)
    items = tuple(change(item) if _is_concerned(item, item_ids) else item for item in order.items)
    return Decision(None, change_items(order, items, snapshot))


def _is_concerned(item: OrderItem, item_ids: Collection[str] | None) -> bool:
    return item.status not in CANCELLED and (item_ids is None or item.id in item_ids)


def _order_in(snapshot: Snapshot) -> Order:
    owner = snapshot.order.seller_id if snapshot.order else None
    return existing_order(snapshot, OrderEvent.cancel, seller_id=owner)


def _status(item: OrderItem) -> OrderItemStatus:
    assert item.status is not None
    return item.status
