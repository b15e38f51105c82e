"""Builds the documents of an Opportunity that meets a criterion.

The time and the ids are passed in; publishing is done by the caller.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.opportunity_types import DAYS, EVENTS, UNIT_TYPES, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.sandbox.criteria import CRITERIA, Features
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.values import dataclass
from chalicelib.wire.jsonld import CONTEXT, term_iri
from chalicelib.wire.opportunities import Published
from chalicelib.wire.reading import kind_of, read_opportunity

_LASTS = timedelta(hours=1)
_PLENTY = 10
_PRICE = 14.95
_ATTENDEE_DETAILS = tuple(
    f"https://schema.org/{term}" for term in ("givenName", "familyName", "email", "telephone")
)


@dataclass(frozen=True)
class TestOpportunity:
    """An Opportunity and its parent as the open feeds publish them, and details that feeds do not have.

    `parent` is the whole parent, even if the Opportunity belongs to one part of it.
    """

    __test__ = False

    document: Json
    parent: Json | None
    attendee_details_required: tuple[str, ...] = ()
    intake_form: tuple[Json, ...] = ()
    access_channel: Json | None = None

    def published(self) -> tuple[Published, ...]:
        """Both in the form for the inventory, the parent first: no feed may show an orphan."""
        parent = self.parent
        for part in (parent or {}).get("individualFacilityUse", []):
            parent = {**part, "aggregateFacilityUse": self.parent}
        details: dict[str, Any] = {
            "attendee_details_required": self.attendee_details_required,
            "intake_form": self.intake_form,
            "access_channel": self.access_channel,
        }
        opportunity = read_opportunity(self.document, parent, **details)
        if self.parent is None:
            return (opportunity,)
        if kind_of(self.parent).is_whole:
            whole = read_opportunity(self.parent, **details, sub_events=[opportunity.opportunity.id])
            return whole, opportunity
        return read_opportunity(self.parent), opportunity


def build_opportunity(
    request: TestOpportunityRequest, *, number: int, now: datetime, seller: Json, name: str | None = None
) -> TestOpportunity:
    """An Opportunity that meets the criteria, with one Offer.

    `number` is part of the ids, so each call needs its own; if the criteria do not state a price, an even
    number gives a free Opportunity and an odd one a paid one. `seller` is the Seller's document, `name` what
    is added to the name of the activity.

    Raises TestInterfaceRefused for criteria that such an Opportunity or Seller cannot meet.
    """
    features = CRITERIA[request.criteria]
    if features.seller_terms and not seller.get("termsOfService"):
        raise TestInterfaceRefused("The seller has no terms of service.")
    if features.tax_mode and seller.get("taxMode") != term_iri(features.tax_mode):
        raise TestInterfaceRefused(f"The seller's taxMode is not {features.tax_mode}.")
    document, parent = _made(request, features, number, now, seller, name or "for a test")
    return TestOpportunity(
        document=document,
        parent=parent,
        attendee_details_required=(
            _ATTENDEE_DETAILS if FlowRequirement.OpenBookingAttendeeDetails in features.needs else ()
        ),
        intake_form=(
            _intake_form((parent or document)["@id"])
            if FlowRequirement.OpenBookingIntakeForm in features.needs
            else ()
        ),
        access_channel=_access_channel(number)
        if features.online or not request.type.traits.is_scheduled
        else None,
    )


def new_number(new_id: str) -> int:
    """The number for a new Opportunity, from a new UUID."""
    return int(new_id.replace("-", ""), 16) % 10**12


def ids(request: TestOpportunityRequest, number: int) -> tuple[str, str | None]:
    """The ids that an Opportunity of this number has, and its parent if its type has one."""
    own = f"{IDENTIFIERS}/{request.type.traits.feed}/{number}"
    if request.parent_type is None:
        return own, None
    return own, f"{IDENTIFIERS}/{_parent_kind(request).traits.feed}/{number}"


def most_spaces(request: TestOpportunityRequest) -> int:
    """How many spaces such an Opportunity has if its criterion does not say."""
    return _PLENTY if request.parent_type not in UNIT_TYPES else 1


def _parent_kind(request: TestOpportunityRequest) -> OpportunityType:
    """The published type that contains the parent: a unit is published with its whole."""
    parents = request.type.traits.parents
    return next(each for each in parents if request.parent_type in (each, each.traits.units))


def _made(
    request: TestOpportunityRequest, features: Features, number: int, now: datetime, seller: Json, name: str
) -> tuple[Json, Json | None]:
    """The Opportunity, and its parent if its type has one."""
    traits = request.type.traits
    family = traits.family
    if features.online and not family.may_be_online:
        raise TestInterfaceRefused(f"A {request.type} cannot be online.")
    opportunity_id, parent_id = ids(request, number)
    document: Json = {
        "@context": CONTEXT,
        "@type": request.type.value,
        "@id": opportunity_id,
        "identifier": number,
        **_held(request, request.type, features, now),
    }
    parent: Json | None = None
    if request.parent_type is None:
        document |= _described(request, features, number, seller, name)
    else:
        assert traits.parent_term is not None and parent_id is not None
        parent = {
            "@context": CONTEXT,
            "@type": _parent_kind(request).value,
            "@id": parent_id,
            "identifier": number,
            **_described(request, features, number, seller, name),
        }
        document[traits.parent_term] = parent["@id"]
        if _parent_kind(request).is_whole:
            parent |= _held(request, _parent_kind(request), features, now)
            parent["offers"] = [_offer(f"{parent_id}#/offers/1", request, features, number)]
            document |= _described(request, features, number, seller, name)
        if request.parent_type in UNIT_TYPES:
            part = _part(request, parent["@id"])
            parent["individualFacilityUse"] = [part]
            document[traits.parent_term] = part["@id"]
    offering = parent if parent is not None and traits.offers_are_the_parents else document
    offering["offers"] = [_offer(f"{offering['@id']}#/offers/1", request, features, number)]
    return document, parent


def _held(request: TestOpportunityRequest, kind: OpportunityType, features: Features, now: datetime) -> Json:
    """When something of this type takes place, and for how many."""
    traits = kind.traits
    family, most = traits.family, most_spaces(request)
    held: Json = {}
    if traits.is_scheduled:
        starts_at = now.replace(second=0, microsecond=0) + features.starts_in
        held = traits.times.state(starts_at, starts_at + _LASTS)
        if traits.times is DAYS:
            held["eventSchedule"] = [_schedule(starts_at)]
        if family is EVENTS:
            held["eventStatus"] = "https://schema.org/EventScheduled"
    elif features.offline:
        raise TestInterfaceRefused(f"A {request.type} is always online.")
    elif features.needs_start:
        raise TestInterfaceRefused(f"A {request.type} has no start, which {request.criteria} needs.")
    elif features.spaces is not None:
        raise TestInterfaceRefused(f"A {request.type} has no limit, and may state no number of spaces.")
    else:
        return held
    return {**held, family.capacity_term: most, family.spaces_term: _spaces(features, most)}


def _described(
    request: TestOpportunityRequest, features: Features, number: int, seller: Json, name: str
) -> Json:
    """What is said once for all times at which it takes place."""
    family = request.type.traits.family
    activity, path, subject = _SUBJECTS[family.subject_term]
    described: Json = {
        "name": f"{activity} {name}",
        "description": _description(request),
        "url": f"https://venue.example/{path}/{number}",
        family.subject_term: [subject],
        family.seller_term: seller,
    }
    if not request.type.traits.is_scheduled:
        return described
    if family is EVENTS:
        mode = "OnlineEventAttendanceMode" if features.online else "OfflineEventAttendanceMode"
        described["eventAttendanceMode"] = f"https://schema.org/{mode}"
    if features.online:
        described["attendeeInstructions"] = "The booking says how to join."
    else:
        described["location"] = _place()
    return described


def _schedule(starts_at: datetime) -> Json:
    """When a course takes place, which is stated as a schedule or as sub-events."""
    return {
        "@type": "PartialSchedule",
        "startDate": f"{starts_at:%Y-%m-%d}",
        "startTime": f"{starts_at:%H:%M}",
        "endTime": f"{starts_at + _LASTS:%H:%M}",
        "byDay": [f"https://schema.org/{starts_at:%A}"],
        "scheduleTimezone": "Etc/UTC",
    }


def _part(request: TestOpportunityRequest, whole_id: str) -> Json:
    return {
        "@type": request.parent_type,
        "@id": f"{whole_id}/individual-facility-uses/1",
        "identifier": 1,
        "name": "Court 1",
        "description": _description(request),
    }


def _offer(offer_id: str, request: TestOpportunityRequest, features: Features, number: int) -> Json:
    is_paid = features.is_paid if features.is_paid is not None else number % 2 == 1
    needs = features.needs
    if request.flow is BookingFlow.OpenBookingApprovalFlow:
        needs = (*needs, FlowRequirement.OpenBookingApproval)
    offer: Json = {
        "@type": "Offer",
        "@id": offer_id,
        # A sub-event's Offer takes the place of the whole's, which has the same identifier: readers that merge the
        # Offers of both, such as the official suite, would try to book the sub-event at that of the whole.
        "identifier": "standard",
        "name": "Standard",
        "price": _PRICE if is_paid else 0,
        "priceCurrency": "GBP",
        "openBookingInAdvance": f"{CONTEXT}Required",
        "allowCustomerCancellationFullRefund": features.refund,
    }
    if is_paid:
        offer["openBookingPrepayment"] = term_iri(features.prepayment)
    if features.opens:
        offer["validFromBeforeStartDate"] = features.opens
    if features.refund_until:
        offer["latestCancellationBeforeStartDate"] = features.refund_until
    if needs:
        offer["openBookingFlowRequirement"] = [term_iri(need) for need in needs]
    return offer


def _spaces(features: Features, most: int) -> int:
    spaces = most if features.spaces is None else features.spaces
    if spaces > most:
        raise TestInterfaceRefused(f"This has {most} space at most, not {spaces}.")
    return spaces


def _intake_form(parent_id: str) -> tuple[Json, ...]:
    """A field of each kind (DETAILS-06)."""
    fields: tuple[Json, ...] = (
        {
            "@type": "ShortAnswerFormFieldSpecification",
            "name": "Level",
            "description": "How long you have practised.",
            "valueRequired": True,
        },
        {
            "@type": "DropdownFormFieldSpecification",
            "name": "Mat",
            "description": "Whether to lay one out for you.",
            "valueRequired": True,
            "valueOption": ["I bring one", "I need one"],
        },
        {
            "@type": "ParagraphFormFieldSpecification",
            "name": "Injuries",
            "description": "What the teacher should know.",
            "valueRequired": False,
        },
        {
            "@type": "BooleanFormFieldSpecification",
            "name": "Photographs",
            "description": "I am happy to be in photographs.",
        },
    )
    return tuple({"@id": f"{parent_id}#/intakeForm/{k}", **field} for k, field in enumerate(fields, 1))


def _access_channel(number: int) -> Json:
    return {
        "@type": "VirtualLocation",
        "name": "Video call",
        "description": "Opens ten minutes before the start, if there is one.",
        "url": f"https://video.example/{number}",
        "accessId": str(number),
        "accessCode": f"{number % 10**6:06}",
    }


def _place() -> Json:
    return {
        "@type": "Place",
        "name": "Test Hall",
        "address": {
            "@type": "PostalAddress",
            "streetAddress": "1 Test Street",
            "addressLocality": "Bristol",
            "addressRegion": "Avon",
            "postalCode": "BS1 1AA",
            "addressCountry": "GB",
        },
        "geo": {"@type": "GeoCoordinates", "latitude": 51.4545, "longitude": -2.5879},
    }


def _concept(scheme: str, identifier: str, label: str) -> Json:
    return {
        "@type": "Concept",
        "@id": f"{CONTEXT}{scheme}#{identifier}",
        "inScheme": f"{CONTEXT}{scheme}",
        "prefLabel": label,
    }


# The activity of an Opportunity made for a test: its name, the path of its page, its concept.
_SUBJECTS: Mapping[str, tuple[str, str, Json]] = {
    "activity": (
        "Yoga",
        "classes",
        _concept("activity-list", "bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e", "Yoga"),
    ),
    "facilityType": (
        "Squash",
        "facilities",
        _concept("facility-types", "a1f82b7a-1258-4d9a-8dc5-bfc2ae961651", "Squash Court"),
    ),
}


def _description(request: TestOpportunityRequest) -> str:
    return f"Made for {request.criteria}, {request.flow}. Nothing takes place."
