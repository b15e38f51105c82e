"""The checks that C1, C2, P and B share: parties, Seller, items, totals.

Checks run in the order of ERR-09, those of one item in the order of ERR-08.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from chalicelib.booking.decisions import Moment, Policy, Snapshot
from chalicelib.booking.requests import OrderRequest, RequestedItem
from chalicelib.booking.sub_events import as_taken, why_sub_events_prevent
from chalicelib.domain.capacity import Available, shortages
from chalicelib.domain.details import attendee_errors, intake_form_errors
from chalicelib.domain.errors import (
    IncompleteAttendeeDetailsError,
    IncompleteIntakeFormError,
    OpportunityIsInConflictError,
    OpportunityOfferPairNotBookableError,
    OrderItemError,
    SellerMismatchError,
    SellerNotFoundError,
    UnacceptableOfferError,
    UnknownOfferError,
    UnknownOpportunityError,
)
from chalicelib.domain.lifecycle import OrderState
from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, order_state
from chalicelib.domain.parties import BrokerRole, Seller, check_broker, check_customer, is_business
from chalicelib.domain.pricing import Totals, UnitPrice, payment_conflicts, total, unit_price
from chalicelib.values import dataclass, replace

# These two report missing details; the place is available and counts in the totals (C1-07).
_STILL_COUNTS = (IncompleteAttendeeDetailsError, IncompleteIntakeFormError)


@dataclass(frozen=True)
class Assessment:
    """The items as resolved and priced, each with its errors, and their totals."""

    seller: Seller
    broker_role: BrokerRole
    items: tuple[OrderItem, ...]
    errors: dict[int, tuple[OrderItemError, ...]]
    totals: Totals
    requires_approval: bool


def check_parties(
    request: OrderRequest, snapshot: Snapshot, *, with_customer: bool
) -> tuple[Seller, BrokerRole]:
    """The Seller and the role, after a check of Seller, Broker and Customer (ERR-09).

    Raises SellerNotFoundError, IncompleteBrokerDetailsError or IncompleteCustomerDetailsError.
    """
    if snapshot.seller is None:
        raise SellerNotFoundError("Unknown seller.", instance=request.seller_id)
    role = check_broker(request.broker_role, request.broker)
    if with_customer and not (request.at_desk and request.customer is None):
        check_customer(role, request.customer)
    return snapshot.seller, role


def assess(
    request: OrderRequest,
    snapshot: Snapshot,
    moment: Moment,
    *,
    with_customer: bool,
    as_quoted: bool = False,
) -> Assessment:
    """Resolve, check and price every item.

    At C1 there is no Customer yet, and details that only a Customer can supply are not required. With
    `as_quoted` a leased item has the price of its quote, whatever the Seller has changed since (LEASE-05).

    Raises the errors of `check_parties`, and SellerMismatchError if an item is another Seller's.
    """
    seller, role = check_parties(request, snapshot, with_customer=with_customer)
    customer = request.customer if with_customer and isinstance(request.customer, dict) else None
    tax_excluded = is_business(role, customer) and not moment.policy.business_tax_calculated

    quoted = _quoted_offers(snapshot, moment) if as_quoted else {}
    opportunities = _as_stored(request, snapshot, moment)
    spaces_remaining = {key: _spaces_remaining(each.takes, snapshot) for key, each in opportunities.items()}

    @cache  # many items may ask for the same two
    def pair_of(opportunity_id: str | None, offer_id: str | None) -> _Pair:
        pair = _resolved(opportunity_id, offer_id, snapshot)
        if pair.offer is None or opportunity_id not in opportunities:
            return pair
        # Whether it may be sold, and by which flow, is judged by the Offer as it is now.
        reason = _why_not_bookable(
            opportunities[opportunity_id], pair.offer, seller, snapshot, moment, at_desk=request.at_desk
        )
        errors = [OpportunityOfferPairNotBookableError(reason, instance=opportunity_id)] if reason else []
        offer = quoted.get((opportunity_id, offer_id), pair.offer)
        price = unit_price(offer, seller, tax_excluded=tax_excluded)
        return _Pair(offer, price, tuple(errors), needs_approval=pair.offer.needs_approval)

    items: list[OrderItem] = []
    found: list[list[OrderItemError]] = []
    requires_approval = False
    for requested in request.items:
        opportunity = opportunities.get(requested.opportunity_id or "")
        if opportunity is not None and opportunity.seller_id != seller.id:
            raise SellerMismatchError(
                "The opportunity belongs to another seller.", instance=requested.opportunity_id
            )
        pair = _Pair(errors=requested.errors)
        if not requested.errors:
            pair = pair_of(requested.opportunity_id, requested.offer_id)
        requires_approval = requires_approval or (pair.needs_approval and not request.at_desk)
        remaining = spaces_remaining.get(requested.opportunity_id or "")
        items.append(_item(requested, opportunity, pair, remaining, with_details=with_customer))
        found.append(list(pair.errors))

    if requires_approval:
        _add_started(items, found, moment)
    _add_capacity_errors(items, found, snapshot)
    if with_customer and not request.at_desk:
        for requested, item, errors in zip(request.items, items, found, strict=True):
            opportunity = item.opportunity
            if not errors and opportunity is not None and opportunity.asks_details:
                errors.extend(attendee_errors(opportunity.attendee_details_required, requested.attendee))
                errors.extend(intake_form_errors(opportunity.intake_form, requested.intake_answers))
    _add_conflicts(items, found, moment.policy, payable_together=request.at_desk)

    return Assessment(
        seller=seller,
        broker_role=role,
        items=tuple(items),
        errors={n: tuple(errors) for n, errors in enumerate(found) if errors},
        totals=total(
            _priced(item for item, errors in zip(items, found, strict=True) if _counts(errors)),
            tax_excluded=tax_excluded,
            prepayment_supported=moment.policy.prepayment_supported,
        ),
        requires_approval=requires_approval,
    )


def remaining_total(items: Iterable[OrderItem], *, tax_excluded: bool, prepayment_supported: bool) -> Totals:
    """The totals without the items that are cancelled (CANCEL-11, TAX-09)."""
    return total(
        _priced(item for item in items if item.holds_a_space),
        tax_excluded=tax_excluded,
        prepayment_supported=prepayment_supported,
    )


def _as_stored(request: OrderRequest, snapshot: Snapshot, moment: Moment) -> dict[str, Opportunity]:
    """The requested Opportunities, as an Order stores them: one value for all items that share it."""
    wanted = _wanted_spaces(request, snapshot)
    stored = {}
    for opportunity_id, known in snapshot.opportunities.items():
        # An Order stores only the one Offer it was made with, not the price list (B-13).
        opportunity = replace(known.opportunity, offers=(), unusable_offers=())
        if opportunity.sub_events:
            opportunity = as_taken(opportunity, snapshot, wanted, moment.now)
        stored[opportunity_id] = opportunity
    return stored


@dataclass(frozen=True)
class _Pair:
    """What the references of an item come to: its Offer, the price, and the errors of the two together."""

    offer: Offer | None = None
    price: UnitPrice | None = None
    errors: tuple[OrderItemError, ...] = ()
    needs_approval: bool = False


def _resolved(opportunity_id: str | None, offer_id: str | None, snapshot: Snapshot) -> _Pair:
    """The Offer that is referred to, or the error if it, or the Opportunity, cannot be resolved."""
    known = snapshot.opportunities.get(opportunity_id or "")
    if known is None:
        return _Pair(errors=(UnknownOpportunityError(instance=opportunity_id),))
    offer_id = offer_id or ""  # a missing one is among the errors of the request
    offer = known.opportunity.offer(offer_id)
    if offer is None and (reason := known.opportunity.why_unusable(offer_id)):
        return _Pair(errors=(OpportunityOfferPairNotBookableError(reason, instance=opportunity_id),))
    if offer is None:
        return _Pair(errors=(_offer_error(offer_id, snapshot),))
    return _Pair(offer)


def _item(
    requested: RequestedItem,
    opportunity: Opportunity | None,
    pair: _Pair,
    spaces_remaining: int | None,
    *,
    with_details: bool,
) -> OrderItem:
    return OrderItem(
        position=requested.position,
        opportunity_id=requested.opportunity_id,
        opportunity=opportunity,
        offer_id=requested.offer_id,
        offer=pair.offer,
        price=pair.price,
        spaces_remaining=spaces_remaining,
        attendee=requested.attendee if with_details else None,
        intake_answers=requested.intake_answers if with_details else (),
        broker_passes=requested.access_passes if with_details else (),
    )


def _quoted_offers(snapshot: Snapshot, moment: Moment) -> dict[tuple[str | None, str | None], Offer]:
    """The Offers as the quote has them that this UUID stands for, while its lease lives."""
    order = snapshot.order
    if not isinstance(order, Order) or order_state(order, moment.now) is not OrderState.quote:
        return {}
    return {(item.opportunity_id, item.offer_id): item.offer for item in order.items if item.offer}


def _offer_error(offer_id: str, snapshot: Snapshot) -> OrderItemError:
    """An Offer that exists elsewhere does not apply; any other is unknown (ERR-05)."""
    elsewhere = offer_id in snapshot.other_offers or any(
        known.opportunity.offer(offer_id) for known in snapshot.opportunities.values()
    )
    return (UnacceptableOfferError if elsewhere else UnknownOfferError)(instance=offer_id)


def _wanted_spaces(request: OrderRequest, snapshot: Snapshot) -> Counter[str]:
    """The spaces that the items would take, by Opportunity id."""
    found = (snapshot.opportunities.get(item.opportunity_id or "") for item in request.items)
    return Counter(each for known in found if known is not None for each in known.opportunity.takes)


def _why_not_bookable(
    opportunity: Opportunity,
    offer: Offer,
    seller: Seller,
    snapshot: Snapshot,
    moment: Moment,
    *,
    at_desk: bool,
) -> str | None:
    return (
        seller.why_no_bookings
        or opportunity.why_not_bookable(offer, moment.now, at_desk=at_desk)
        or why_sub_events_prevent(opportunity, snapshot)
    )


def _add_capacity_errors(
    items: Sequence[OrderItem], found: Sequence[list[OrderItemError]], snapshot: Snapshot
) -> None:
    """Add errors to the items that exceed the capacity, by ascending position (ERR-07)."""
    counted: list[int] = []
    for n in sorted(range(len(items)), key=lambda n: items[n].position or 0):
        opportunity = items[n].opportunity
        if found[n] or opportunity is None:
            continue
        if snapshot.opportunities[opportunity.id].capacity.open_for_booking:
            counted.append(n)
        else:
            error = OpportunityOfferPairNotBookableError("Booking is closed.", instance=opportunity.id)
            found[n].append(error)
    taken = [items[n].takes for n in counted]
    available = {
        key: Available(
            known.capacity.spaces_free_to(known.hold), known.capacity.spaces_leased_by_others(known.hold)
        )
        for key in {each for takes in taken for each in takes}
        if (known := snapshot.stored(key)) is not None
    }
    for n, takes, shortage in zip(counted, taken, shortages(taken, available), strict=True):
        if shortage is not None:
            # The session of a course that is short: others of it may have spaces.
            of_a_part = shortage.opportunity_id != takes[0]
            text = f"This is so for one of its sessions: {shortage.opportunity_id}." if of_a_part else None
            found[n].append(shortage.error(text, instance=shortage.opportunity_id))


def _add_started(items: Sequence[OrderItem], found: Sequence[list[OrderItemError]], moment: Moment) -> None:
    """Refuse an item that has started in an Order that needs approval: the Seller could not answer in time (P-17)."""
    for item, errors in zip(items, found, strict=True):
        starts_at = item.opportunity.starts_at if item.opportunity else None
        if not errors and starts_at is not None and starts_at <= moment.now:
            errors.append(
                OpportunityOfferPairNotBookableError(
                    "This activity has started: the seller can no longer approve it.",
                    instance=item.opportunity_id,
                )
            )


def _add_conflicts(
    items: Sequence[OrderItem],
    found: Sequence[list[OrderItemError]],
    policy: Policy,
    *,
    payable_together: bool,
) -> None:
    """Add errors to the items that cannot be combined in one Order."""
    offers: list[Offer | None] = [
        item.offer if _counts(errors) else None for item, errors in zip(items, found, strict=True)
    ]
    currency = next((offer.currency for offer in offers if offer and offer.currency), None)
    one_too_many = _beyond(items, policy.max_opportunities)
    checked = policy.prepayment_supported and not payable_together
    clashes = payment_conflicts(offers) if checked else [False] * len(items)
    for n, (item, offer) in enumerate(zip(items, offers, strict=True)):
        reason = None
        if clashes[n]:
            reason = (
                "Items whose payment is required cannot be combined with items whose payment is unavailable."
            )
        elif offer and offer.currency and offer.currency != currency:
            reason = "The items of one order must have the same currency."  # GEN-09
        elif item.opportunity and item.opportunity.id in one_too_many:
            reason = f"An order may have at most {policy.max_opportunities} different opportunities."
        if reason:
            found[n].append(OpportunityIsInConflictError(reason))


def _beyond(items: Sequence[OrderItem], most: int) -> set[str]:
    """The Opportunities of items with which the Order takes spaces of more than `most`."""
    taken: set[str] = set()
    beyond: set[str] = set()
    wanted = {item.opportunity.id: item.takes for item in items if item.opportunity is not None}
    for opportunity_id, takes in wanted.items():
        if len(takes) > MAX_OPPORTUNITIES:
            continue  # it cannot be booked in any Order, which is its error
        if len(taken.union(takes)) > most:
            beyond.add(opportunity_id)
        else:
            taken.update(takes)
    return beyond


def _spaces_remaining(takes: Iterable[str], snapshot: Snapshot) -> int | None:
    """The spaces that are left of the one that has the fewest; None without a limit."""
    known = [found for each in takes if (found := snapshot.stored(each)) is not None]
    limited = (each for each in known if not each.capacity.is_unlimited)
    return min((each.capacity.spaces_free_to(each.hold) for each in limited), default=None)


def _counts(errors: Sequence[OrderItemError]) -> bool:
    return not errors or all(isinstance(error, _STILL_COUNTS) for error in errors)


def _priced(items: Iterable[OrderItem]) -> list[tuple[Offer, UnitPrice]]:
    return [(item.offer, item.price) for item in items if item.offer is not None and item.price is not None]
