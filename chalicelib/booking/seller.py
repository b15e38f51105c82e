"""A Seller's actions on an Order that is booked: one decision and one feed write each.

All of them look at the Order as it is and leave out the items that they do not concern; where nothing
changes, nothing is written. They raise UnknownOrderError or GoneError where there is no such Order, and
RequestTooLargeError where a notice or message is too long, or one too many.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from chalicelib.booking.access import (
    with_access,
    with_access_after_replacement,
    with_channel,
    with_code,
)
from chalicelib.booking.cancel import change_items
from chalicelib.booking.decisions import Decision, Moment, Snapshot
from chalicelib.booking.existing import existing_order
from chalicelib.booking.sub_events import as_taken, why_sub_events_prevent
from chalicelib.domain.errors import (
    OpportunityHasInsufficientCapacityError,
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
from chalicelib.domain.limits import MAX_MOVES, MAX_OPPORTUNITIES_KEPT
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, spaces_wanted
from chalicelib.domain.parties import Json
from chalicelib.domain.pricing import unit_price
from chalicelib.values import replace

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
    snapshot: Snapshot,
    moment: Moment,
    *,
    codes: bool = False,
    passes: bool = False,
    channel: Json | None = None,
    code: str | None = None,
    item_ids: Collection[str] | None = None,
) -> Decision[None]:
    """Replace codes or passes with new ones, or the code or channel with one that the Seller gives (NOTIF-02).

    `code` is set on items that have a place. `channel` holds properties of a VirtualLocation; it is set on items
    that are online.
    """
    methods = _order_in(snapshot).access_methods

    def renewed(item: OrderItem) -> OrderItem:
        item = with_access(item, methods, moment, codes=codes, passes=passes)
        item = with_code(item, code) if code else item
        return with_channel(item, channel) if channel else item

    return _change(snapshot, renewed, item_ids)


def replace_items(
    snapshot: Snapshot, moment: Moment, choices: Mapping[str, tuple[str, str]], *, notice: str | None = None
) -> Decision[None]:
    """Replace the Opportunity and Offer of items: `choices` by item id (REPL-01).

    The new pair must be bookable, have the same prepayment and not be more expensive, so that totals only fall
    (REPL-02). The item keeps its id. Spaces move with it. `notice` explains the change to the Customer (REPL-04).

    Raises OpportunityOfferPairNotBookableError, OpportunityIsFullError,
    OpportunityHasInsufficientCapacityError, OpportunityIsInConflictError, UnacceptableOfferError.
    """
    order = _order_in(snapshot)

    def replaced(item: OrderItem) -> OrderItem:
        new = replacement(item, choices[item.id or ""], snapshot, moment)
        _check_terms(item, new, prepayment_supported=order.totals.prepayment is not None)
        assert item.opportunity is not None
        new = replace(new, customer_notice=notice)
        return with_access_after_replacement(new, item.opportunity, order.access_methods, moment)

    check_opportunities(order.items, choices, snapshot)
    items = _changed(order, replaced, choices.keys())
    check_spaces(items, choices, snapshot)
    return Decision(None, change_items(order, items, snapshot))


def _check_terms(item: OrderItem, new: OrderItem, *, prepayment_supported: bool) -> None:
    """Refuse an Offer with worse terms for the Customer than the one it replaces (REPL-01).

    Raises UnacceptableOfferError.
    """
    assert item.offer is not None and item.price is not None
    assert new.offer is not None and new.price is not None
    # Both without and with tax: the tax may be higher although the price is not.
    if new.price.amount > item.price.amount or new.price.due > item.price.due:
        raise UnacceptableOfferError("A replacement may not be more expensive.", instance=new.offer_id)
    if prepayment_supported and new.offer.effective_prepayment() is not item.offer.effective_prepayment():
        raise UnacceptableOfferError("A replacement must have the same prepayment.", instance=new.offer_id)


def check_spaces(
    items: Sequence[OrderItem], choices: Mapping[str, tuple[str, str]], snapshot: Snapshot
) -> None:
    """Refuse replacements that need more spaces than are left, counted for all items together.

    Raises OpportunityIsFullError, OpportunityHasInsufficientCapacityError.
    """
    wanted = spaces_wanted(items)
    new = dict.fromkeys(each for item in items if item.id in choices for each in item.takes)
    for opportunity_id in new:
        known = snapshot.stored(opportunity_id)
        if opportunity_id not in wanted or known is None:
            continue
        free = known.capacity.spaces_free_to(known.hold)
        if free <= 0:
            raise OpportunityIsFullError(instance=opportunity_id)
        if wanted[opportunity_id] > free:
            raise OpportunityHasInsufficientCapacityError(instance=opportunity_id)


def check_opportunities(
    items: tuple[OrderItem, ...], choices: Mapping[str, tuple[str, str]], snapshot: Snapshot
) -> None:
    """Refuse a replacement with more Opportunities than the Order may keep, or than one transaction changes.

    Raises OpportunityIsInConflictError.
    """
    before = {each for item in items for each in (item.opportunity_id, *item.takes)}
    after = {each for item in items if item.id not in choices for each in (item.opportunity_id, *item.takes)}
    new: set[str] = set()
    for opportunity_id, _ in choices.values():
        known = snapshot.opportunities.get(opportunity_id)
        new.update(known.opportunity.takes if known else (opportunity_id,))
    after |= new
    if len(after) > max(MAX_OPPORTUNITIES_KEPT, len(before)):
        raise OpportunityIsInConflictError(
            f"An order may have at most {MAX_OPPORTUNITIES_KEPT} different opportunities."
        )
    moved = {each for item in items if item.id in choices for each in item.takes}
    if len(moved | new) > MAX_MOVES:
        raise OpportunityIsInConflictError(
            f"One replacement takes and releases spaces of at most {MAX_MOVES} opportunities: replace fewer items"
            " at once."
        )


def replacement(item: OrderItem, choice: tuple[str, str], snapshot: Snapshot, moment: Moment) -> OrderItem:
    """The item with another Opportunity and Offer of the same Seller, at their current price.

    Spaces are not checked here: see `check_spaces`.

    Raises OpportunityOfferPairNotBookableError, UnacceptableOfferError.
    """
    order, seller = snapshot.order, snapshot.seller
    assert isinstance(order, Order) and seller is not None, "a replacement needs both in its snapshot"
    assert item.offer is not None
    opportunity_id, offer_id = choice
    known = snapshot.opportunities.get(opportunity_id)
    offer = known.opportunity.offer(offer_id) if known else None
    if known is None or offer is None or known.opportunity.seller_id != seller.id:
        raise UnacceptableOfferError(instance=offer_id)
    reason = known.opportunity.why_not_bookable(offer, moment.now) or why_sub_events_prevent(
        known.opportunity, snapshot
    )
    if reason or not known.capacity.open_for_booking:
        raise OpportunityOfferPairNotBookableError(reason or "Booking is closed.", instance=opportunity_id)
    if offer.currency != item.offer.currency:
        raise UnacceptableOfferError("The offer has another currency.", instance=offer_id)
    return replace(
        item,
        opportunity_id=opportunity_id,
        offer_id=offer_id,
        opportunity=as_taken(
            replace(known.opportunity, offers=(), unusable_offers=()),
            snapshot,
            _as_many_as(known.opportunity, order),
            moment.now,
        ),
        offer=offer,
        price=unit_price(offer, seller, tax_excluded=order.totals.tax_excluded),
    )


def _as_many_as(opportunity: Opportunity, order: Order) -> Mapping[str, int]:
    """The most spaces that a replacement could take of each sub-event."""
    return dict.fromkeys(opportunity.sub_events, len(order.items))


def _change(snapshot: Snapshot, change: _Change, item_ids: Collection[str] | None = None) -> Decision[None]:
    order = _order_in(snapshot)
    return Decision(None, change_items(order, _changed(order, change, item_ids), snapshot))


def _changed(order: Order, change: _Change, item_ids: Collection[str] | None = None) -> tuple[OrderItem, ...]:
    return tuple(change(item) if _is_concerned(item, item_ids) else item for item in order.items)


def _is_concerned(item: OrderItem, item_ids: Collection[str] | None) -> bool:
    return item.status not in CANCELLED and (item_ids is None or item.id in item_ids)


def _order_in(snapshot: Snapshot) -> Order:
    owner = snapshot.order.seller_id if snapshot.order else None
    return existing_order(snapshot, OrderEvent.cancel, seller_id=owner)


def _status(item: OrderItem) -> OrderItemStatus:
    assert item.status is not None
    return item.status
