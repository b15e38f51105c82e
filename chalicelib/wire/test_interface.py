"""What a test asks for through the Test Interface: an Opportunity that meets a criterion, or an action.

Reads the requests and builds the documents (TESTIF). Knows neither clock nor ids of its own, and
nothing of how a document is published or an action carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from chalicelib.domain.identifiers import IDENTIFIERS, inward
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.opportunity_types import EVENTS, UNIT_TYPES, OpportunityType
from chalicelib.domain.orders import OrderKind
from chalicelib.domain.parties import Json
from chalicelib.wire.jsonld import CONTEXT, reference, term_iri
from chalicelib.wire.links import is_identifier, order_id, parse_uuid
from chalicelib.wire.opportunities import Published, read_opportunity

_E = TypeVar("_E", bound=StrEnum)

_VOCABULARY = f"{CONTEXT}test-interface#"
_PREFIX = "test:"

# A run lasts about an hour, and the suite wants two hours more on each side of every limit.
_STARTS_IN = timedelta(days=7)
_LONG_OVER = timedelta(days=-2)
_LASTS = timedelta(hours=1)
_REACHED = "P10D"  # before the start: three days ago
_TO_COME = "P1D"  # before the start: in six days

_PLENTY = 10
_PRICE = 14.95
_ATTENDEE_DETAILS = tuple(
    f"https://schema.org/{term}" for term in ("givenName", "familyName", "email", "telephone")
)


class TestInterfaceRefused(Exception):
    """The Test Interface cannot do what is asked."""

    __test__ = False  # nothing here is a test, whatever its name


class BookingFlow(StrEnum):
    """By which flow a test is going to book."""

    OpenBookingSimpleFlow = "OpenBookingSimpleFlow"
    OpenBookingApprovalFlow = "OpenBookingApprovalFlow"


@dataclass(frozen=True)
class Features:
    """How an Opportunity must be to meet a criterion; what is left out is as usual.

    `is_paid` None: either. `spaces` None: plenty, or one where there cannot be more. The windows are
    ISO 8601 durations before the start.
    """

    is_paid: bool | None = None
    prepayment: Prepayment = Prepayment.Required
    spaces: int | None = None
    starts_in: timedelta = _STARTS_IN
    opens: str | None = None
    refund: bool = True
    refund_until: str | None = None
    needs: tuple[FlowRequirement, ...] = ()
    online: bool = False
    seller_terms: bool = False


# Each criterion in one line. Which of them a Seller's tax mode meets is the caller's choice of Seller.
CRITERIA: Mapping[str, Features] = {
    "TestOpportunityBookable": Features(),
    "TestOpportunityBookableFree": Features(is_paid=False),
    "TestOpportunityBookableNonFree": Features(is_paid=True),
    "TestOpportunityBookableUsingPayment": Features(is_paid=True),
    "TestOpportunityBookableNonFreePrepaymentRequired": Features(is_paid=True),
    "TestOpportunityBookableNonFreePrepaymentOptional": Features(
        is_paid=True, prepayment=Prepayment.Optional
    ),
    "TestOpportunityBookableNonFreePrepaymentUnavailable": Features(
        is_paid=True, prepayment=Prepayment.Unavailable
    ),
    "TestOpportunityBookableNonFreeTaxGross": Features(is_paid=True),
    "TestOpportunityBookableNonFreeTaxNet": Features(is_paid=True),
    "TestOpportunityBookableNoSpaces": Features(spaces=0),
    "TestOpportunityBookableOneSpace": Features(spaces=1),
    "TestOpportunityBookableFiveSpaces": Features(spaces=5),
    "TestOpportunityBookableInPast": Features(starts_in=_LONG_OVER),
    "TestOpportunityBookableWithinValidFromBeforeStartDate": Features(opens=_REACHED),
    "TestOpportunityBookableOutsideValidFromBeforeStartDate": Features(opens=_TO_COME),
    "TestOpportunityBookableCancellable": Features(),
    "TestOpportunityBookableFreeCancellable": Features(is_paid=False),
    "TestOpportunityBookableNonFreeCancellable": Features(is_paid=True),
    "TestOpportunityBookableCancellableNoWindow": Features(),
    "TestOpportunityBookableCancellableWithinWindow": Features(refund_until=_TO_COME),
    "TestOpportunityBookableCancellableOutsideWindow": Features(refund_until=_REACHED),
    "TestOpportunityBookableNotCancellable": Features(refund=False),
    "TestOpportunityBookableAttendeeDetails": Features(needs=(FlowRequirement.OpenBookingAttendeeDetails,)),
    "TestOpportunityBookableAdditionalDetails": Features(needs=(FlowRequirement.OpenBookingIntakeForm,)),
    "TestOpportunityBookableWithNegotiation": Features(needs=(FlowRequirement.OpenBookingNegotiation,)),
    "TestOpportunityBookableSellerTermsOfService": Features(seller_terms=True),
    "TestOpportunityOnlineBookable": Features(online=True),
    "TestOpportunityOfflineBookable": Features(),
}

# A test may name these to see them refused: what is free takes no payment (PAY-03).
ILLEGAL_CRITERIA = frozenset(
    {"TestOpportunityBookableFreePrepaymentOptional", "TestOpportunityBookableFreePrepaymentRequired"}
)


@dataclass(frozen=True)
class TestOpportunityRequest:
    """An Opportunity that a test needs (TESTIF-02). `parent_type` may be that of a part of the parent."""

    __test__ = False

    type: OpportunityType
    parent_type: str | None
    seller_id: str
    criteria: str
    flow: BookingFlow


@dataclass(frozen=True)
class TestOpportunity:
    """An Opportunity and its parent as the open feeds publish them, and what the feeds do not say.

    `parent` is the whole parent, also where the Opportunity is of one part of it.
    """

    __test__ = False

    document: Json
    parent: Json | None
    attendee_details_required: tuple[str, ...] = ()
    intake_form: tuple[Json, ...] = ()
    access_channel: Json | None = None

    def published(self) -> tuple[Published, ...]:
        """Both as the inventory takes them, the parent first: no feed may show an orphan."""
        parent = self.parent
        for part in (parent or {}).get("individualFacilityUse", []):
            parent = {**part, "aggregateFacilityUse": self.parent}
        opportunity = read_opportunity(
            self.document,
            parent,
            attendee_details_required=self.attendee_details_required,
            intake_form=self.intake_form,
            access_channel=self.access_channel,
        )
        return (opportunity,) if self.parent is None else (read_opportunity(self.parent), opportunity)


class SimulatedAction(StrEnum):
    """What a Seller or an operator does, as a test asks for it."""

    AccessChannelUpdate = "AccessChannelUpdate"
    AccessCodeUpdate = "AccessCodeUpdate"
    AccessPassUpdate = "AccessPassUpdate"
    AttendeeAbsent = "AttendeeAbsent"
    AttendeeAttended = "AttendeeAttended"
    ChangeOfLogisticsLocation = "ChangeOfLogisticsLocation"
    ChangeOfLogisticsName = "ChangeOfLogisticsName"
    ChangeOfLogisticsTime = "ChangeOfLogisticsTime"
    CustomerNotice = "CustomerNotice"
    Replacement = "Replacement"
    SellerAcceptOrderProposal = "SellerAcceptOrderProposal"
    SellerAmendOrderProposal = "SellerAmendOrderProposal"
    SellerRejectOrderProposal = "SellerRejectOrderProposal"
    SellerRequestedCancellation = "SellerRequestedCancellation"
    SellerRequestedCancellationWithMessage = "SellerRequestedCancellationWithMessage"

    @property
    def acts_on(self) -> OrderKind:
        is_for_proposals = self.value.endswith("OrderProposal")
        return OrderKind.OrderProposal if is_for_proposals else OrderKind.Order

    @property
    def may_act_on_opportunity(self) -> bool:
        return self.value.startswith("ChangeOfLogistics")


@dataclass(frozen=True)
class TestAction:
    """An action on an Order or OrderProposal (`kind` and `uuid`), or else on an Opportunity (TESTIF-06)."""

    __test__ = False

    name: SimulatedAction
    kind: OrderKind | None = None
    uuid: str | None = None
    opportunity_id: str | None = None


def read_opportunity_request(body: Json, base_url: str) -> TestOpportunityRequest:
    """The Opportunity that a body asks for. Raises TestInterfaceRefused."""
    kind = _member(OpportunityType, body.get("@type"), "@type")
    traits = kind.traits
    if not traits.test_names:
        made = " or ".join(f"a {each}" for each in OpportunityType if each.traits.test_names)
        raise TestInterfaceRefused(f"A {kind} is not made here: {made} is.")
    parent = body.get(traits.parent_term) if traits.parent_term else {}
    if not isinstance(parent, dict):
        raise TestInterfaceRefused(f"{traits.parent_term} is missing.")
    if parent.get("@type") not in traits.test_names.values():
        raise TestInterfaceRefused(f"A {kind} does not belong to a {parent.get('@type')}.")
    sellers = (source.get(name) for source in (parent, body) for name in ("organizer", "provider"))
    seller_id = next(filter(None, map(reference, sellers)), None)
    if seller_id is None:
        raise TestInterfaceRefused("The organizer or provider is missing.")
    criteria = _name(body.get("test:testOpportunityCriteria"))
    if criteria in ILLEGAL_CRITERIA:
        raise TestInterfaceRefused(f"{criteria} is illegal: what is free takes no payment.")
    if criteria not in CRITERIA:
        raise TestInterfaceRefused(f"The criteria {criteria!r} are not known.")
    flow = _name(body.get("test:testOpenBookingFlow"))
    return TestOpportunityRequest(
        type=kind,
        parent_type=parent.get("@type"),
        seller_id=inward(seller_id, base_url),
        criteria=criteria,
        flow=_member(BookingFlow, flow, "test:testOpenBookingFlow"),
    )


def read_action(body: Json, base_url: str) -> TestAction:
    """The action that a body asks for. Raises TestInterfaceRefused."""
    name = _name(body.get("@type")).removesuffix("SimulateAction")
    action = _member(SimulatedAction, name, "@type")
    target = body.get("object")
    iri = reference(target)
    if not isinstance(target, dict) or iri is None:
        raise TestInterfaceRefused("The object of the action is missing.")
    kind, iri = target.get("@type"), inward(iri, base_url)
    if kind == action.acts_on:
        return TestAction(action, kind=action.acts_on, uuid=_order_uuid(iri))
    is_opportunity = any(kind == known.value for known in OpportunityType if known.is_bookable)
    if action.may_act_on_opportunity and is_opportunity and is_identifier(iri):
        return TestAction(action, opportunity_id=iri)
    raise TestInterfaceRefused(f"{action} does not act on {kind!r} {iri}.")


def build_opportunity(
    request: TestOpportunityRequest, *, number: int, now: datetime, seller: Json
) -> TestOpportunity:
    """An Opportunity that meets the criteria, with the one Offer that it is to be booked with.

    `number` goes into the ids, so each call needs its own; where price does not matter, an even one
    gives a free Opportunity and an odd one a paid one. `seller` is the Seller's document.

    Raises TestInterfaceRefused for criteria that such an Opportunity or Seller cannot meet.
    """
    features = CRITERIA[request.criteria]
    if features.seller_terms and not seller.get("termsOfService"):
        raise TestInterfaceRefused("The seller has no terms of service.")
    document, parent = _made(request, features, number, now, seller)
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
        access_channel=_access_channel(number) if features.online else None,
    )


def _made(
    request: TestOpportunityRequest, features: Features, number: int, now: datetime, seller: Json
) -> tuple[Json, Json | None]:
    """The Opportunity, and the parent that it has if its type has one."""
    traits = request.type.traits
    family = traits.family
    if features.online and not family.may_be_online:
        raise TestInterfaceRefused(f"A {request.type} cannot be online.")
    most = _PLENTY if request.parent_type not in UNIT_TYPES else 1
    document: Json = {
        "@context": CONTEXT,
        "@type": request.type.value,
        "@id": f"{IDENTIFIERS}/{traits.feed}/{number}",
        "identifier": number,
        **_times(now, features),
        family.capacity_term: most,
        family.spaces_term: _spaces(features, most),
    }
    if family is EVENTS:
        document["eventStatus"] = "https://schema.org/EventScheduled"
    parent: Json | None = None
    if traits.parent is None:
        document |= _described(request, features, number, seller)
    else:
        assert traits.parent_term is not None
        parent = {
            "@context": CONTEXT,
            "@type": traits.parent.value,
            "@id": f"{IDENTIFIERS}/{traits.parent.traits.feed}/{number}",
            "identifier": number,
            **_described(request, features, number, seller),
        }
        document[traits.parent_term] = parent["@id"]
        if request.parent_type in UNIT_TYPES:
            part = _part(request, parent["@id"])
            parent["individualFacilityUse"] = [part]
            document[traits.parent_term] = part["@id"]
    offering = parent if parent is not None and traits.offers_are_the_parents else document
    offering["offers"] = [_offer(f"{offering['@id']}#/offers/1", request, features, number)]
    return document, parent


def _described(request: TestOpportunityRequest, features: Features, number: int, seller: Json) -> Json:
    """What is said once for all times at which it takes place."""
    family = request.type.traits.family
    name, path, subject = _SUBJECTS[family.subject_term]
    described: Json = {
        "name": f"{name} for a test",
        "description": _description(request),
        "url": f"https://venue.example/{path}/{number}",
        family.subject_term: [subject],
        family.seller_term: seller,
    }
    if family is EVENTS:
        mode = "OnlineEventAttendanceMode" if features.online else "OfflineEventAttendanceMode"
        described["eventAttendanceMode"] = f"https://schema.org/{mode}"
    if features.online:
        described["attendeeInstructions"] = "The booking says how to join."
    else:
        described["location"] = _place()
    return described


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


def _times(now: datetime, features: Features) -> Json:
    starts_at = now.replace(second=0, microsecond=0) + features.starts_in
    return {
        "startDate": starts_at.isoformat(),
        "endDate": (starts_at + _LASTS).isoformat(),
        "duration": "PT1H",
    }


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
        "description": "Opens ten minutes before the start.",
        "url": f"https://video.example/{number}",
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


# What one does at an Opportunity made for a test: its name, where its page is, its concept.
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
    return f"Made by the test interface for {request.criteria}, {request.flow}. Nothing takes place."


def _order_uuid(iri: str) -> str:
    """Of an Order or OrderProposal: B keeps the UUID of P, and a test may hold either id."""
    for kind in (OrderKind.Order, OrderKind.OrderProposal):
        start = order_id(kind, "")
        if iri.startswith(start) and (order_uuid := parse_uuid(iri.removeprefix(start))):
            return order_uuid
    raise TestInterfaceRefused(f"{iri} is not the id of an Order here.")


def _name(iri: Any) -> str:
    """A name of the test interface's vocabulary, given as an IRI or with its prefix."""
    return str(iri or "").removeprefix(_VOCABULARY).removeprefix(_PREFIX)


def _member(members: type[_E], value: Any, term: str) -> _E:
    found = next((member for member in members if member.value == value), None)
    if found is None:
        raise TestInterfaceRefused(f"{term} is {value!r}; one of these was expected: {', '.join(members)}.")
    return found
