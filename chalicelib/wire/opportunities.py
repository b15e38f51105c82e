"""Opportunities as published JSON-LD: showing one in a feed or inside an OrderItem."""

from decimal import Decimal

from chalicelib.domain.limits import MAX_CHANNEL_BYTES, MAX_ID_BYTES, MAX_OPPORTUNITY_BYTES, json_bytes
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import NOT_IN_ORDERS, Opportunity, without_terms
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass
from chalicelib.wire.jsonld import CONTEXT, number

# What an Offer shows in open data only (OPEN-03).
_NOT_IN_ACCEPTED_OFFERS = frozenset({"openBookingFlowRequirement", "availableChannel"})

# What the row says of an Offer beside its document.
_AROUND_AN_OFFER_BYTES = 400


@dataclass(frozen=True)
class Published:
    """The Opportunity in a published document, and how many spaces it had left (UNLIMITED: it has no limit)."""

    opportunity: Opportunity
    spaces: int | None


def too_large(opportunity: Opportunity, whole_bytes: int | None = None) -> str | None:
    """Why an Opportunity does not fit its row or the Orders that it is booked in, or None.

    `whole_bytes` is the size of all of it as JSON, if it is known: if even that fits, its parts are not measured.
    """
    for iri in (opportunity.id, *(offer.id for offer in opportunity.offers)):
        if len(iri.encode()) > MAX_ID_BYTES:
            return f"its @id {iri[:40]}... has more than {MAX_ID_BYTES} bytes"
    offers = [offer.document for offer in opportunity.offers]
    around = _AROUND_AN_OFFER_BYTES * (len(offers) + len(opportunity.unusable_offers))
    size = around + (whole_bytes or 0)
    if whole_bytes is None or size > MAX_OPPORTUNITY_BYTES:
        size = json_bytes([opportunity.document, opportunity.parent, offers, opportunity.intake_form])
        size += around + sum(len(each.id.encode()) for each in opportunity.unusable_offers)
        size += sum(len(each.encode()) for each in opportunity.sub_events)
    if size > MAX_OPPORTUNITY_BYTES:
        return f"it takes more than the {MAX_OPPORTUNITY_BYTES // 1000} KB that can be kept of one"
    channel = opportunity.access_channel
    if channel is not None and json_bytes(channel) > MAX_CHANNEL_BYTES:
        return f"its accessChannel has more than {MAX_CHANNEL_BYTES:,} bytes"
    return None


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
    """The Opportunity as the open feed publishes it, with the current number of spaces left; None: without a limit."""
    document = {"@context": [CONTEXT], **opportunity.document}
    term = opportunity.type.traits.family.spaces_term
    document.pop(term, None)
    if spaces_left is not None:
        document[term] = spaces_left
    return document
