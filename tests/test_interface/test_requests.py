"""What the Test Interface understands, and what it refuses."""

from typing import Any

import pytest

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import OrderKind
from chalicelib.sandbox.criteria import CRITERIA, ILLEGAL_CRITERIA
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.test_interface.requests import (
    SimulatedAction,
    TestAction,
    read_action,
    read_opportunity_request,
)

Json = dict[str, Any]

BASE_URL = "https://booking.example/dev"
SELLER_ID = "https://base.invalid/api/identifiers/sellers/1"
ORDER_UUID = "e11429ea-467f-4270-ab62-e47368996fe8"
APPROVAL = BookingFlow.OpenBookingApprovalFlow
TYPES = tuple((kind, parent) for kind in OpportunityType for parent in kind.traits.test_names.values())


def body(**changes: Any) -> Json:
    request = {
        "@context": ["https://openactive.io/", "https://openactive.io/test-interface"],
        "@type": "ScheduledSession",
        "superEvent": {
            "@type": "SessionSeries",
            "organizer": {"@type": "Organization", "@id": f"{BASE_URL}/api/identifiers/sellers/1"},
        },
        "test:testOpportunityCriteria": "https://openactive.io/test-interface#TestOpportunityBookable",
        "test:testOpenBookingFlow": "https://openactive.io/test-interface#OpenBookingSimpleFlow",
    } | changes
    return {term: value for term, value in request.items() if value is not None}


def action(name: str, kind: str = "Order", iri: str | None = None) -> Json:
    path = "order-proposals" if kind == "OrderProposal" else "orders"
    iri = iri or f"{BASE_URL}/api/openbooking/{path}/{ORDER_UUID}"
    return {"@type": f"test:{name}SimulateAction", "object": {"@type": kind, "@id": iri}}


@pytest.mark.parametrize("types", TYPES, ids=str)
@pytest.mark.parametrize("flow", BookingFlow)
@pytest.mark.parametrize("criteria", CRITERIA)
def test_reads_the_request_for_an_opportunity(
    criteria: str, flow: BookingFlow, types: tuple[OpportunityType, str | None]
) -> None:
    kind, parent_type = types
    seller = {"@type": "Organization", "@id": f"{BASE_URL}/api/identifiers/sellers/1"}
    traits = kind.traits
    parent = {"@type": parent_type, traits.family.seller_term: seller}
    asked = body(
        **{
            "@type": kind.value,
            "superEvent": None,
            **({traits.parent_term: parent} if traits.parent_term and parent_type else {}),
            **({} if parent_type else {traits.family.seller_term: seller}),
            "test:testOpportunityCriteria": f"https://openactive.io/test-interface#{criteria}",
            "test:testOpenBookingFlow": f"https://openactive.io/test-interface#{flow}",
        }
    )
    expected = TestOpportunityRequest(kind, parent_type, SELLER_ID, criteria, flow)
    assert read_opportunity_request(asked, BASE_URL) == expected


def test_reads_prefixed_names_and_a_seller_given_by_its_id_alone() -> None:
    asked = body(
        superEvent={"@type": "SessionSeries", "organizer": f"{BASE_URL}/api/identifiers/sellers/1"},
        **{
            "test:testOpportunityCriteria": "test:TestOpportunityBookable",
            "test:testOpenBookingFlow": "test:OpenBookingApprovalFlow",
        },
    )
    read = read_opportunity_request(asked, BASE_URL)
    assert (read.seller_id, read.criteria, read.flow) == (SELLER_ID, "TestOpportunityBookable", APPROVAL)


REFUSED_REQUESTS: dict[str, Json] = {
    "no type": {"@type": None},
    "unknown type": {"@type": "Picnic"},
    "type that is not a text": {"@type": ["ScheduledSession"]},
    "type that is not made here": {"@type": "Course"},
    "parent as type": {"@type": "SessionSeries"},
    "no parent": {"superEvent": None},
    "parent by id": {"superEvent": f"{BASE_URL}/api/identifiers/session-series/1"},
    "parent without type": {"superEvent": {"organizer": {"@id": SELLER_ID}}},
    "parent of another type": {"superEvent": {"@type": "FacilityUse", "provider": {"@id": SELLER_ID}}},
    "slot of a series": {
        "@type": "Slot",
        "facilityUse": {"@type": "SessionSeries", "organizer": {"@id": SELLER_ID}},
    },
    "no seller": {"superEvent": {"@type": "SessionSeries"}},
    "seller without id": {"superEvent": {"@type": "SessionSeries", "organizer": {"name": "Avonmead"}}},
    "no criteria": {"test:testOpportunityCriteria": None},
    "unknown criteria": {
        "test:testOpportunityCriteria": "https://openactive.io/test-interface#TestOpportunityOnTheMoon"
    },
    "criteria that are not a text": {"test:testOpportunityCriteria": {"@id": "TestOpportunityBookable"}},
    "no flow": {"test:testOpenBookingFlow": None},
    "unknown flow": {"test:testOpenBookingFlow": "https://openactive.io/test-interface#Whichever"},
}


@pytest.mark.parametrize("changes", REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS)
def test_refuses_a_request_that_makes_no_sense(changes: Json) -> None:
    with pytest.raises(TestInterfaceRefused) as refusal:
        read_opportunity_request(body(**changes), BASE_URL)
    assert str(refusal.value)


@pytest.mark.parametrize("criteria", sorted(ILLEGAL_CRITERIA))
def test_refuses_illegal_criteria(criteria: str) -> None:
    iri = f"https://openactive.io/test-interface#{criteria}"
    with pytest.raises(TestInterfaceRefused, match="not allowed"):
        read_opportunity_request(body(**{"test:testOpportunityCriteria": iri}), BASE_URL)


def test_there_are_fifteen_actions_and_three_concern_proposals() -> None:
    assert len(SimulatedAction) == 15
    assert sum(name.acts_on is OrderKind.OrderProposal for name in SimulatedAction) == 3


@pytest.mark.parametrize("name", SimulatedAction)
def test_reads_each_action_on_its_order(name: SimulatedAction) -> None:
    expected = TestAction(name, kind=name.acts_on, uuid=ORDER_UUID)
    assert read_action(action(name, name.acts_on.value), BASE_URL) == expected


def test_reads_an_action_on_an_order_that_is_named_as_the_proposal_it_was() -> None:
    iri = f"{BASE_URL}/api/openbooking/order-proposals/{ORDER_UUID}"
    assert read_action(action("CustomerNotice", "Order", iri), BASE_URL).uuid == ORDER_UUID


@pytest.mark.parametrize("name", [name for name in SimulatedAction if name.may_act_on_opportunity])
@pytest.mark.parametrize("kind", ["ScheduledSession", "Slot"])
def test_reads_a_change_of_logistics_of_an_opportunity(name: SimulatedAction, kind: str) -> None:
    read = read_action(action(name, kind, f"{BASE_URL}/api/identifiers/slots/7"), BASE_URL)
    expected = "https://base.invalid/api/identifiers/slots/7"
    assert read == TestAction(name, opportunity_id=expected)


REFUSED_ACTIONS: dict[str, Json] = {
    "no type": {"object": {"@type": "Order", "@id": "x"}},
    "unknown action": action("Party"),
    "no object": {"@type": "test:ReplacementSimulateAction"},
    "object without id": {"@type": "test:ReplacementSimulateAction", "object": {"@type": "Order"}},
    "object by id alone": {
        "@type": "test:ReplacementSimulateAction",
        "object": f"{BASE_URL}/api/openbooking/orders/{ORDER_UUID}",
    },
    "order for a proposal": action("SellerAcceptOrderProposal", "Order"),
    "proposal for an order": action("CustomerNotice", "OrderProposal"),
    "opportunity for an order": action(
        "CustomerNotice", "Slot", "https://booking.example/dev/api/identifiers/slots/7"
    ),
    "series to be moved": action(
        "ChangeOfLogisticsTime", "SessionSeries", f"{BASE_URL}/api/identifiers/session-series/7"
    ),
    "opportunity with a bad id": action("ChangeOfLogisticsTime", "Slot", "slots 7"),
    "order of another system": action(
        "Replacement", "Order", f"https://other.example/api/openbooking/orders/{ORDER_UUID}"
    ),
    "order without a uuid": action("Replacement", "Order", f"{BASE_URL}/api/openbooking/orders/seven"),
    "quote": action("Replacement", "Order", f"{BASE_URL}/api/openbooking/order-quotes/{ORDER_UUID}"),
}


@pytest.mark.parametrize("asked", REFUSED_ACTIONS.values(), ids=REFUSED_ACTIONS)
def test_refuses_an_action_that_makes_no_sense(asked: Json) -> None:
    with pytest.raises(TestInterfaceRefused) as refusal:
        read_action(asked, BASE_URL)
    assert str(refusal.value)
