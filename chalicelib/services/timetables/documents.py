"""From a plan to the documents that are published: the series, course or facility, and its sessions or slots."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Document
from chalicelib.services.timetables.plans import Plan, Unit, Whole
from chalicelib.services.timetables.recurrence import Occurrence
from chalicelib.storage import codec
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.opportunities import Published
from chalicelib.wire.reading import kind_of, read_opportunity
from chalicelib.wire.unreadable import Cause, Unreadable

# The sources of what timetables publish begin with this.
TIMETABLES = "timetable#"

# What a Seller changes with a session itself, and not with its series.
_TIMES = ("startDate", "endDate", "duration", "eventStatus", "previousStartDate")
_PLACE = ("name", "location")


def source_of(seller_id: str) -> str:
    """The source of everything that the Seller's timetable publishes; no other source may change it."""
    return f"{TIMETABLES}{seller_id}"


def parent_document(
    plan: Plan,
    own: Mapping[str, Any] | None = None,
    sold: Collection[str] = (),
    listed: Mapping[str, Opportunity] | None = None,
) -> Document:
    """The series, course or facility. Raises Unreadable.

    Of a course, `own` has what the Seller changed of it alone; `sold` are the @ids of its sessions that are also sold
    singly, and `listed` those of them that are in the inventory, at the times to which the Seller may have moved them.
    """
    if plan.whole is None:
        return Document(read_opportunity(plan.parent), source_of(plan.seller_id), (plan.parent,))
    document = {
        **_course(plan),
        **(own or {}),
        **_spaces(kind_of(plan.parent), plan.whole.spaces),
        "subEvent": list(_sub_events(plan, listed or {})),
    }
    return _priced(plan, plan.whole, document, sub_events=sorted(sold))


def child_document(
    plan: Plan, unit: Unit, occurrence: Occurrence, own: Mapping[str, Any] | None = None
) -> Document:
    """One session or slot; `own` has what the Seller changed of it alone. Raises Unreadable."""
    traits, opportunity_id = plan.child_type.traits, plan.child_id(unit, occurrence)
    document: Json = {
        "@context": "https://openactive.io/",
        "@type": plan.child_type.value,
        "@id": opportunity_id,
        "identifier": _identifier(plan, opportunity_id),
        str(traits.parent_term): unit.id,
        **plan.child,
        **traits.times.state(occurrence.starts_at, occurrence.ends_at),
        **(own or {}),
        **_spaces(plan.child_type, plan.spaces),
    }
    if plan.prices:
        document["offers"] = [
            {**price, "@id": f"{opportunity_id}#/offers/{price['identifier']}"} for price in plan.prices
        ]
    return _priced(plan, plan, document, _parent_of(plan, unit))


def _priced(
    plan: Plan,
    terms: Plan | Whole,
    document: Json,
    parent: Json | None = None,
    sub_events: Sequence[str] = (),
) -> Document:
    """What can be booked, with the terms that open data does not contain."""
    published = read_opportunity(
        document,
        parent,
        attendee_details_required=terms.details,
        intake_form=terms.form,
        access_channel=terms.access_channel,
        sub_events=sub_events,
    )
    more: Json = {
        "details": list(terms.details),
        "form": list(terms.form),
        "access": terms.access_channel,
        "tax": {name: codec.to_json(rate) for name, rate in terms.tax_rates.items()},
    }
    if sub_events:
        more["sub_events"] = list(sub_events)
    return Document(_taxed(terms, published), source_of(plan.seller_id), (document, parent, more))


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
    return not listing.deleted and listing.opportunity.status in NOT_TAKING_PLACE


def own_of_course(listing: Listing, before: Collection[Plan]) -> Json:
    """The name and place that the Seller has given a course alone: those that no plan `before` has."""
    document = listing.opportunity.document
    return {
        term: document[term]
        for term in _PLACE
        if before and term in document and all(document[term] != plan.parent.get(term) for plan in before)
    }


def _course(plan: Plan) -> Json:
    """A course without its sessions, and its spaces, which change without them."""
    if plan.lasts is None:
        raise Unreadable("it has no session", Cause.time)
    times = kind_of(plan.parent).traits.times
    return {**plan.parent, **times.state(plan.lasts.starts_at, plan.lasts.ends_at)}


def _sub_events(plan: Plan, listed: Mapping[str, Opportunity]) -> Iterator[Json]:
    """The sessions of a course as its document lists them."""
    for opportunity_id, occurrence in plan.programme:
        known = listed.get(opportunity_id)
        starts_at = (known and known.starts_at) or occurrence.starts_at
        ends_at = (known and known.ends_at) or occurrence.ends_at
        session: Json = {
            "@type": plan.child_type.value,
            "@id": opportunity_id,
            "identifier": _identifier(plan, opportunity_id),
            "name": known.name if known else plan.parent["name"],
            **plan.child_type.traits.times.state(starts_at, ends_at),
        }
        if known is not None and known.status in NOT_TAKING_PLACE:
            session["eventStatus"] = f"https://schema.org/{known.status}"
        yield session


def _identifier(plan: Plan, opportunity_id: str) -> str:
    return opportunity_id[opportunity_id.rindex(f"/{plan.id}/") + 1 :]


def _spaces(kind: OpportunityType, spaces: int) -> Json:
    family = kind.traits.family
    return {family.capacity_term: spaces, family.spaces_term: spaces}


def _parent_of(plan: Plan, unit: Unit) -> Json:
    for court in plan.parent.get("individualFacilityUse") or ():
        if court["@id"] == unit.id:
            return {**court, "aggregateFacilityUse": plan.parent}
    # Valid open data: a course states its sessions wherever it is shown.
    return plan.parent if plan.whole is None else {**_course(plan), "subEvent": list(_sub_events(plan, {}))}


def _taxed(terms: Plan | Whole, published: Published) -> Published:
    """With the tax rates of its prices, which open data does not contain."""
    if not terms.tax_rates:
        return published
    offers = tuple(
        replace(offer, tax_rate=terms.tax_rates.get(str(offer.document.get("identifier"))))
        for offer in published.opportunity.offers
    )
    return replace(published, opportunity=replace(published.opportunity, offers=offers))
