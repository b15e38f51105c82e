"""Opportunities as published JSON-LD: reading one, and showing it in a feed or inside an OrderItem."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import isodate

from chalicelib.domain.currencies import DECIMAL_PLACES, rounded
from chalicelib.domain.limits import MAX_CHANNEL_BYTES, MAX_ID_BYTES, MAX_OPPORTUNITY_BYTES, json_bytes
from chalicelib.domain.offers import FlowRequirement, Offer, Prepayment
from chalicelib.domain.opportunities import NOT_IN_ORDERS, EventStatus, Opportunity, without_terms
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, Seller, TaxMode, TaxRate
from chalicelib.wire.jsonld import CONTEXT, number, read_amount, without_empty

# What an Offer shows in open data only (OPEN-03).
_NOT_IN_ACCEPTED_OFFERS = frozenset({"openBookingFlowRequirement", "availableChannel"})

# What the row says of an Offer beside its document.
_AROUND_AN_OFFER_BYTES = 400

# No place costs more; a price above it is a mistake of the source.
MAX_PRICE = 1_000_000

_ONLINE = "https://schema.org/OnlineEventAttendanceMode"
_MIXED = "https://schema.org/MixedEventAttendanceMode"

# The required details of an attendee if a Seller requires them without naming them (DETAILS-03).
_USUAL_ATTENDEE_DETAILS = ("https://schema.org/givenName", "https://schema.org/familyName")


class Unreadable(Exception):
    """The document cannot be added to the inventory."""


@dataclass(frozen=True)
class Published:
    """The Opportunity in a published document, and how many spaces it had left."""

    opportunity: Opportunity
    spaces: int | None


def kind_of(document: Json) -> OpportunityType:
    """The type of a published document. Raises Unreadable."""
    try:
        return OpportunityType(document.get("@type", ""))
    except ValueError:
        raise Unreadable(f"its type {document.get('@type')!r} is not supported") from None


def read_seller(document: Json, tax_rate: TaxRate | None = None) -> Seller:
    """The Seller in an `organizer` or `provider`. Raises Unreadable (BOOKABLE-06)."""
    seller_id, tax_mode = document.get("@id"), str(document.get("taxMode", "")).removeprefix(CONTEXT)
    if not isinstance(seller_id, str) or not seller_id:
        raise Unreadable("its organizer or provider has no @id")
    mode = next((mode for mode in TaxMode if mode == tax_mode), None)
    if mode is None:
        raise Unreadable("its organizer or provider states no taxMode")
    return Seller(
        id=seller_id,
        tax_mode=mode,
        document=without_empty(document),
        tax_rate=tax_rate,
        open_booking_allowed=document.get("isOpenBookingAllowed") is not False,
    )


def seller_document(document: Json, parent: Json | None) -> Json:
    """The `organizer` or `provider` that applies. Raises Unreadable."""
    whole = parent or {}
    for source in (document, whole, whole.get("aggregateFacilityUse") or {}):
        for term in ("organizer", "provider"):
            if isinstance(found := source.get(term), dict):
                return found
    raise Unreadable("it has no organizer or provider")


def read_opportunity(
    document: Json,
    parent: Json | None = None,
    *,
    attendee_details_required: Sequence[str] = (),
    intake_form: Sequence[Json] = (),
    access_channel: Json | None = None,
) -> Published:
    """The Opportunity in a published document, with the properties it inherits from `parent`.

    For a Slot of an IndividualFacilityUse, `parent` is that one with the FacilityUse as its
    `aggregateFacilityUse`. Raises Unreadable, with a reason for people.
    """
    document = _with_rounded_prices(without_empty(document))
    kind, opportunity_id = kind_of(document), document.get("@id")
    if not isinstance(opportunity_id, str) or not opportunity_id:
        raise Unreadable("it has no @id")
    traits = kind.traits
    if traits.parent_term and parent is None and not traits.may_stand_alone:
        raise Unreadable(f"it has no {traits.parent_term}")
    organizer = seller_document(document, parent)
    seller = read_seller(organizer)
    times = traits.times.read(document)
    starts_at = _instant(times, "startDate")
    if kind.is_bookable and starts_at is None:
        raise Unreadable("it has no startDate")
    ends_at = _instant(times, "endDate")
    if ends_at is None and starts_at is not None and (lasts := _duration(times, "duration", starts_at)):
        ends_at = starts_at + lasts
    offers = tuple(read_offers(document, parent, organizer, starts_at))
    wants_attendee = any(FlowRequirement.OpenBookingAttendeeDetails in offer.requirements for offer in offers)
    modes = {(source or {}).get("eventAttendanceMode") for source in (document, parent)}
    opportunity = Opportunity(
        id=opportunity_id,
        type=kind,
        seller_id=seller.id,
        starts_at=starts_at,
        ends_at=ends_at,
        status=_status(document, parent),
        is_online=bool(modes & {_ONLINE, _MIXED}),
        is_physical=_ONLINE not in modes,
        offers=offers,
        attendee_details_required=tuple(attendee_details_required)
        or (_USUAL_ATTENDEE_DETAILS if wants_attendee else ()),
        intake_form=tuple(intake_form),
        access_channel=access_channel,
        document={term: value for term, value in document.items() if term != "@context"},
        parent=without_terms(parent, NOT_IN_ORDERS) if parent else None,
    )
    if reason := too_large(opportunity):
        raise Unreadable(reason)
    return Published(opportunity, _spaces(document, kind) if kind.is_bookable else None)


def too_large(opportunity: Opportunity) -> str | None:
    """Why an Opportunity does not fit its row or the Orders that it is booked in, or None."""
    for iri in (opportunity.id, *(offer.id for offer in opportunity.offers)):
        if len(iri.encode()) > MAX_ID_BYTES:
            return f"its @id {iri[:40]}... has more than {MAX_ID_BYTES} bytes"
    offers = [offer.document for offer in opportunity.offers]
    size = json_bytes([opportunity.document, opportunity.parent, offers, opportunity.intake_form])
    size += _AROUND_AN_OFFER_BYTES * len(offers)
    if size > MAX_OPPORTUNITY_BYTES:
        return f"it takes more than the {MAX_OPPORTUNITY_BYTES // 1000} KB that can be kept of one"
    if json_bytes(opportunity.access_channel) > MAX_CHANNEL_BYTES:
        return f"its accessChannel has more than {MAX_CHANNEL_BYTES:,} bytes"
    return None


def read_offers(
    document: Json, parent: Json | None, organizer: Json, starts_at: datetime | None
) -> Iterable[Offer]:
    """The Offers that apply: its own, then inherited ones that it does not replace (BOOKABLE-02).

    Raises Unreadable for an invalid price or window.
    """
    whole = parent or {}
    sources = (document, whole, whole.get("aggregateFacilityUse") or {})
    seen: set[str] = set()
    for source in sources:
        for offer in source.get("offers") or []:
            names = {name for name in (offer.get("@id"), str(offer.get("identifier") or "")) if name}
            if not offer.get("@id") or names & seen:
                continue
            seen |= names
            yield _read_offer(offer, organizer, starts_at)


def ordered_item(opportunity: Opportunity, spaces_remaining: int | None) -> Json:
    """The Opportunity as an OrderItem shows it, its parent inside it, without Offers and Seller."""
    document: Json = without_terms(opportunity.document, NOT_IN_ORDERS)
    traits = opportunity.type.traits
    if opportunity.parent is not None and traits.parent_term is not None:
        document[traits.parent_term] = opportunity.parent
    term = traits.family.spaces_term
    document.pop(term, None)
    if spaces_remaining is not None:
        document[term] = spaces_remaining
    return document


def ordered_item_in_feed(opportunity: Opportunity, seller: Json) -> Json:
    """The Opportunity as the Orders feed shows it: in full, so that a change of time or place is visible.

    The official validator requires every facility in a feed to name its provider.
    """
    document = ordered_item(opportunity, None)
    provider = {term: seller[term] for term in ("@type", "@id", "name") if term in seller}
    facility = document.get("facilityUse")
    if isinstance(facility, dict):
        facility = {**facility, "provider": provider}
        if isinstance(whole := facility.get("aggregateFacilityUse"), dict):
            facility["aggregateFacilityUse"] = {**whole, "provider": provider}
        document["facilityUse"] = facility
    return document


def accepted_offer(offer: Offer, amount: Decimal | None) -> Json:
    """The Offer as an OrderItem shows it, at the price that is charged (MODEL-04, TAX-03)."""
    document: Json = without_terms(offer.document, _NOT_IN_ACCEPTED_OFFERS)
    # Also where the Offer was published with its price as text (MEDIA-10).
    document["price"] = number(offer.price if amount is None else amount)
    return document


def feed_data(opportunity: Opportunity, spaces_left: int | None) -> Json:
    """The Opportunity as the open feed publishes it, with the current number of spaces left."""
    document = {"@context": [CONTEXT], **opportunity.document}
    if spaces_left is not None:
        document[opportunity.type.traits.family.spaces_term] = spaces_left
    return document


def _read_offer(document: Json, organizer: Json, starts_at: datetime | None) -> Offer:
    prepayment = document.get("openBookingPrepayment", document.get("prepayment"))  # T2: both are read
    in_advance = document.get("openBookingInAdvance", document.get("advanceBooking"))
    channels = document.get("availableChannel")
    if channels:  # BOOKABLE-03, T5
        sold_here = CONTEXT + "OpenBookingPrepayment" in channels
    else:
        sold_here = organizer.get("isOpenBookingAllowed") is True
    requirements = document.get("openBookingFlowRequirement") or []
    return Offer(
        id=document["@id"],
        price=_price(document),
        currency=document.get("priceCurrency"),
        prepayment=next((member for member in Prepayment if prepayment == CONTEXT + member), None),
        bookable_in_advance=sold_here and in_advance != CONTEXT + "Unavailable",
        opens_before=_duration(document, "validFromBeforeStartDate", starts_at),
        closes_before=_duration(document, "validThroughBeforeStartDate", starts_at),
        cancellable_until_before=_duration(document, "latestCancellationBeforeStartDate", starts_at),
        allows_cancellation=document.get("allowCustomerCancellationFullRefund") is True,
        requirements=tuple(member for member in FlowRequirement if CONTEXT + member in requirements),
        document=document,
    )


def _price(document: Json) -> Decimal:
    """The price, rounded once and for all; it is what is charged. Raises Unreadable."""
    named = f"its offer {document.get('@id')}"
    price, currency = document.get("price"), document.get("priceCurrency")
    amount = read_amount(price)
    if amount is None:
        stated = "" if price is None else f" that is an amount, but {str(price)[:40]!r}"
        raise Unreadable(f"{named} has no price{stated}")
    if not 0 <= amount <= MAX_PRICE:
        raise Unreadable(f"{named} has the price {str(price)[:40]}; it must be from 0 to {MAX_PRICE:,}")
    if currency is None and amount:
        raise Unreadable(f"{named} has no priceCurrency")
    if currency is not None and (not isinstance(currency, str) or currency not in DECIMAL_PLACES):
        raise Unreadable(
            f"{named} has the priceCurrency {str(currency)[:40]!r}, which is not one of ISO 4217"
        )
    return rounded(amount, currency)


def _with_rounded_prices(document: Json) -> Json:
    """The document with the prices that are charged, where the source states finer ones.

    Open data and an `acceptedOffer` must not differ. Raises Unreadable.
    """
    changed = dict(document)
    for term in ("offers", "individualFacilityUse"):
        if isinstance(found := document.get(term), list):
            round_one = _with_rounded_price if term == "offers" else _with_rounded_prices
            changed[term] = [round_one(each) if isinstance(each, dict) else each for each in found]
    return changed


def _with_rounded_price(offer: Json) -> Json:
    if not offer.get("@id"):
        return offer  # it cannot be named, and so not be booked with
    price = _price(offer)
    return offer if read_amount(offer["price"]) == price else {**offer, "price": number(price)}


def _instant(document: Json, term: str) -> datetime | None:
    value = document.get(term)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Unreadable(f"its {term} {value!r} is not a date and time") from None
    if instant.tzinfo is None:
        raise Unreadable(f"its {term} {value!r} has no time zone")
    return instant.astimezone(UTC)


def _duration(document: Json, term: str, starts_at: datetime | None) -> timedelta | None:
    """A duration; months and years are those before the start."""
    value = document.get(term)
    if value is None:
        return None
    try:
        duration = isodate.parse_duration(value, as_timedelta_if_possible=True)
        if isinstance(duration, timedelta):
            return duration
        fixed: timedelta | None = duration.totimedelta(end=starts_at) if starts_at else None
    except (TypeError, ValueError, OverflowError, isodate.ISO8601Error):
        raise Unreadable(f"its {term} {value!r} is not a duration") from None
    return fixed


def _status(document: Json, parent: Json | None) -> EventStatus:
    for source in (document, parent or {}):
        name = str(source.get("eventStatus", "")).rsplit("/", 1)[-1]
        for status in EventStatus:
            if status == name:
                return status
    return EventStatus.EventScheduled


def _spaces(document: Json, kind: OpportunityType) -> int:
    term = kind.traits.family.spaces_term
    spaces = document.get(term)
    if isinstance(spaces, bool) or not isinstance(spaces, int):
        raise Unreadable(f"it states no {term}")
    return max(spaces, 0)  # a source that has oversold has nothing left
