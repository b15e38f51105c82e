"""From a plan to the documents that are published: the series or facility, and its sessions or slots."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Document
from chalicelib.services.timetables.plans import Plan, Unit
from chalicelib.services.timetables.recurrence import Occurrence
from chalicelib.storage import codec
from chalicelib.storage.store import Listing
from chalicelib.wire.opportunities import Published
from chalicelib.wire.reading import read_opportunity

# What a Seller changes with a session itself, and not with its series.
_TIMES = ("startDate", "endDate", "duration", "eventStatus", "previousStartDate")
_PLACE = ("name", "location")


def source_of(seller_id: str) -> str:
    """The source of everything that the Seller's timetable publishes; no other source may change it."""
    return f"timetable#{seller_id}"


def parent_document(plan: Plan) -> Document:
    """The series or facility. Raises Unreadable."""
    return Document(read_opportunity(plan.parent), source_of(plan.seller_id), (plan.parent,))


def child_document(
    plan: Plan, unit: Unit, occurrence: Occurrence, own: Mapping[str, Any] | None = None
) -> Document:
    """One session or slot; `own` has what the Seller changed of it alone. Raises Unreadable."""
    traits, opportunity_id = plan.child_type.traits, plan.child_id(unit, occurrence)
    document: Json = {
        "@context": "https://openactive.io/",
        "@type": plan.child_type.value,
        "@id": opportunity_id,
        "identifier": opportunity_id[opportunity_id.rindex(f"/{plan.id}/") + 1 :],
        str(traits.parent_term): unit.id,
        **plan.child,
        **traits.times.state(occurrence.starts_at, occurrence.ends_at),
        **(own or {}),
        traits.family.capacity_term: plan.spaces,
        traits.family.spaces_term: plan.spaces,
    }
    if plan.prices:
        document["offers"] = [
            {**price, "@id": f"{opportunity_id}#/offers/{price['identifier']}"} for price in plan.prices
        ]
    parent = _parent_of(plan, unit)
    published = read_opportunity(
        document,
        parent,
        attendee_details_required=plan.details,
        intake_form=plan.form,
        access_channel=plan.access_channel,
    )
    more: Json = {
        "details": list(plan.details),
        "form": list(plan.form),
        "access": plan.access_channel,
        "tax": {name: codec.to_json(rate) for name, rate in plan.tax_rates.items()},
    }
    return Document(_taxed(plan, published), source_of(plan.seller_id), (document, parent, more))


def own_logistics(listing: Listing, planned: Occurrence | None, plan: Plan) -> Json:
    """What the Seller has changed of one session alone, which an edit of its series does not undo.

    `planned` is when it took place by the plan that it was made from, None if that is not known.
    """
    opportunity, document = listing.opportunity, listing.opportunity.document
    kept = [term for term in _PLACE if term not in plan.child]
    times = (opportunity.starts_at, opportunity.ends_at)
    if planned is not None and times != (planned.starts_at, planned.ends_at):
        kept += _TIMES
    return {term: document[term] for term in kept if term in document}


def is_called_off(listing: Listing) -> bool:
    """Whether the Seller has cancelled or postponed it: an edit of the timetable does not undo that."""
    return not listing.deleted and listing.opportunity.status in (
        EventStatus.EventCancelled,
        EventStatus.EventPostponed,
    )


def _parent_of(plan: Plan, unit: Unit) -> Json:
    for court in plan.parent.get("individualFacilityUse") or ():
        if court["@id"] == unit.id:
            return {**court, "aggregateFacilityUse": plan.parent}
    return plan.parent


def _taxed(plan: Plan, published: Published) -> Published:
    """With the tax rates of its prices, which open data does not contain."""
    if not plan.tax_rates:
        return published
    offers = tuple(
        replace(offer, tax_rate=plan.tax_rates.get(str(offer.document.get("identifier"))))
        for offer in published.opportunity.offers
    )
    return replace(published, opportunity=replace(published.opportunity, offers=offers))
