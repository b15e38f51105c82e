"""Requests to the Test Interface: an Opportunity that meets a criterion, or a Seller's action."""

from enum import StrEnum
from typing import Any, TypeVar

from chalicelib.domain.identifiers import inward
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import OrderKind
from chalicelib.domain.parties import Json
from chalicelib.sandbox.criteria import CRITERIA, ILLEGAL_CRITERIA
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.values import dataclass
from chalicelib.wire.jsonld import CONTEXT, reference
from chalicelib.wire.links import is_identifier, order_id, parse_uuid

_E = TypeVar("_E", bound=StrEnum)

_VOCABULARY = f"{CONTEXT}test-interface#"
_PREFIX = "test:"


class SimulatedAction(StrEnum):
    """An action of a Seller or an operator that a test can request."""

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
    """The requested Opportunity. Raises TestInterfaceRefused."""
    kind = _member(OpportunityType, body.get("@type"), "@type")
    traits = kind.traits
    if not traits.test_names:
        made = " or ".join(f"a {each}" for each in OpportunityType if each.traits.test_names)
        raise TestInterfaceRefused(f"A {kind} cannot be created here, only {made}.")
    parent = body.get(traits.parent_term) if traits.parent_term else None
    if parent is None and None in traits.test_names.values():
        parent = {}
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
        raise TestInterfaceRefused(f"{criteria} is not allowed: a free Offer takes no payment.")
    if criteria not in CRITERIA:
        raise TestInterfaceRefused(f"Unknown criteria: {criteria!r}.")
    flow = _name(body.get("test:testOpenBookingFlow"))
    return TestOpportunityRequest(
        type=kind,
        parent_type=parent.get("@type"),
        seller_id=inward(seller_id, base_url),
        criteria=criteria,
        flow=_member(BookingFlow, flow, "test:testOpenBookingFlow"),
    )


def read_action(body: Json, base_url: str) -> TestAction:
    """The requested action. Raises TestInterfaceRefused."""
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


def _order_uuid(iri: str) -> str:
    """The UUID of an Order or OrderProposal: B keeps the UUID of P, and a test may use either id."""
    for kind in (OrderKind.Order, OrderKind.OrderProposal):
        start = order_id(kind, "")
        if iri.startswith(start) and (order_uuid := parse_uuid(iri.removeprefix(start))):
            return order_uuid
    raise TestInterfaceRefused(f"{iri} is not the id of an Order of this system.")


def _name(iri: Any) -> str:
    """A name in the Test Interface's vocabulary, given as an IRI or with its prefix."""
    return str(iri or "").removeprefix(_VOCABULARY).removeprefix(_PREFIX)


def _member(members: type[_E], value: Any, term: str) -> _E:
    found = next((member for member in members if member.value == value), None)
    if found is None:
        raise TestInterfaceRefused(f"{term} is {value!r}; one of these was expected: {', '.join(members)}.")
    return found
