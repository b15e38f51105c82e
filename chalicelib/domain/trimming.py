"""An Order with less detail of its Opportunities and Offers, so that it always fits where it has to go.

What people have booked, who they are and what it costs is never left out; only how an Opportunity and an
Offer are described. No rule requires a description inside an Order (requirements 3.3).
"""

from enum import IntEnum
from typing import Any

from chalicelib.domain.limits import json_bytes
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order
from chalicelib.domain.parties import Json
from chalicelib.values import replace


class Detail(IntEnum):
    """How much an Order says of its Opportunities and Offers, from all to least."""

    whole = 0
    without_descriptions = 1
    essential = 2  # what requirements 3.3 names, without its intake form
    minimal = 3  # the same, cut to a fixed size


# What one minimal copy takes at most.
MINIMAL_OPPORTUNITY_BYTES = 2_500
MINIMAL_OFFER_BYTES = 1_700

_PARENTS = ("superEvent", "facilityUse", "aggregateFacilityUse")
_ESSENTIAL = frozenset(
    (
        *("@type", "@id", "identifier", "name", "url", "startDate", "endDate", "duration", "eventStatus"),
        *("activity", "facilityType", "location", "ageRange", "ageRestriction", "genderRestriction"),
        *("maximumAttendeeCapacity", "maximumUses", "eventAttendanceMode", *_PARENTS),
    )
)
_ESSENTIAL_PLACE = frozenset(("@type", "@id", "identifier", "name", "address", "geo"))
_ESSENTIAL_OFFER = frozenset(
    (
        *("@type", "@id", "name", "price", "priceCurrency", "ageRestriction", "openBookingPrepayment"),
        *("openBookingInAdvance", "allowCustomerCancellationFullRefund", "validFromBeforeStartDate"),
        *("validThroughBeforeStartDate", "latestCancellationBeforeStartDate"),
    )
)
_LAST = frozenset(("@type", "@id", "name", "startDate", "endDate", "duration", "price", "priceCurrency"))

_MINIMAL_TEXT = 80  # characters
_LAST_TEXT = 25
_UNCUT = frozenset(("@type", "@id", "url", "startDate", "endDate"))  # half of one would be wrong


def trimmed(order: Order, detail: Detail) -> Order:
    """The Order with no more than this detail."""
    if detail is Detail.whole:
        return order
    opportunities: dict[int, Opportunity] = {}  # an Order holds the same one many times
    offers: dict[int, Offer] = {}
    items = []
    for item in order.items:
        opportunity, offer = item.opportunity, item.offer
        if opportunity is not None:
            if id(opportunity) not in opportunities:
                opportunities[id(opportunity)] = _opportunity(opportunity, detail)
            opportunity = opportunities[id(opportunity)]
        if offer is not None:
            if id(offer) not in offers:
                offers[id(offer)] = replace(offer, document=_offer(offer.document, detail))
            offer = offers[id(offer)]
        items.append(replace(item, opportunity=opportunity, offer=offer))
    return replace(order, items=tuple(items))


def _opportunity(opportunity: Opportunity, detail: Detail) -> Opportunity:
    document, parent = opportunity.document, opportunity.parent
    if detail is Detail.without_descriptions:
        return replace(opportunity, document=_undescribed(document), parent=_undescribed(parent))
    document, parent = _essential(document), _essential(parent) if parent else None
    opportunity = replace(opportunity, document=document, parent=parent, intake_form=())
    if detail is Detail.essential:
        return opportunity
    document, parent = _cut(document), _cut(parent)
    if json_bytes([document, parent]) > MINIMAL_OPPORTUNITY_BYTES:
        document, parent = _last(document), _last({"@type": parent.get("@type")}) if parent else None
    return replace(opportunity, document=document, parent=parent, attendee_details_required=())


def _offer(document: Json, detail: Detail) -> Json:
    if detail is Detail.without_descriptions:
        undescribed: Json = _undescribed(document)
        return undescribed
    essential = _only(document, _ESSENTIAL_OFFER)
    if detail is Detail.essential:
        return essential
    cut: Json = _cut(essential)
    return cut if json_bytes(cut) <= MINIMAL_OFFER_BYTES else _last(cut)


def _undescribed(value: Any) -> Any:
    """Without `description`, `formattedDescription` and their like, at any depth."""
    if isinstance(value, dict):
        return {
            term: _undescribed(inner)
            for term, inner in value.items()
            if not term.lower().endswith("description")
        }
    if isinstance(value, list):
        return [_undescribed(inner) for inner in value]
    return value


def _essential(document: Json) -> Json:
    kept: Json = _undescribed(_only(document, _ESSENTIAL))
    if isinstance(place := kept.get("location"), dict):
        kept["location"] = _only(place, _ESSENTIAL_PLACE)
    for term in _PARENTS:
        if isinstance(parent := kept.get(term), dict):
            kept[term] = _essential(parent)
    return kept


def _cut(value: Any, term: str = "") -> Any:
    """Texts cut to their beginning, lists to their first member; what is wrong when cut is left out."""
    if isinstance(value, dict):
        cut = {inner: _cut(each, inner) for inner, each in value.items()}
        return {inner: each for inner, each in cut.items() if each is not None}
    if isinstance(value, list):
        return [each for each in (_cut(inner, term) for inner in value[:1]) if each is not None]
    if isinstance(value, str) and len(value) > _MINIMAL_TEXT:
        if term in ("@id", "@type"):
            return value  # bounded where it was taken in
        return None if term in _UNCUT else value[:_MINIMAL_TEXT]
    return value


def _last(document: Json) -> Json:
    """What is left where even the cut copy is too large."""
    kept: Json = {}
    for term, value in document.items():
        short = value[:_LAST_TEXT] if term == "name" and isinstance(value, str) else value
        fits = not isinstance(short, str) or len(short) <= _LAST_TEXT or term == "@id"
        if term in _LAST and fits and isinstance(short, str | int | float | bool):
            kept[term] = short
    return kept


def _only(document: Json, terms: frozenset[str]) -> Json:
    return {term: value for term, value in document.items() if term in terms}
