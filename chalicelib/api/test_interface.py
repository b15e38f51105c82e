"""The OpenActive Test Interface: Opportunities made to measure, and a Seller's actions on demand.

Each action is a thin call of what a Seller can do anyway. Only where the setting TEST_INTERFACE is on;
elsewhere there is no such endpoint (TESTIF-07).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, register
from chalicelib.booking.decisions import Decision, Moment, Snapshot, Wanted
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.booking.seller import (
    cancel_by_seller,
    notify_customer,
    record_attendance,
    renew_access,
    replace_items,
)
from chalicelib.domain.errors import MalformedRequestError, UnknownOrIncorrectEndpointError
from chalicelib.domain.lifecycle import ItemEvent, ProposalEvent, TransitionRefused
from chalicelib.domain.opportunities import OpportunityType
from chalicelib.domain.orders import Order, OrderItem, OrderKey
from chalicelib.services.clearing import clear, note_clearing
from chalicelib.services.following import finish_change
from chalicelib.services.inventory import change_listing
from chalicelib.storage.store import Clearing, Listing
from chalicelib.wire.jsonld import CONTEXT, read_body
from chalicelib.wire.logistics import Logistics, with_logistics
from chalicelib.wire.test_interface import (
    BookingFlow,
    ParentType,
    SimulatedAction,
    TestAction,
    TestInterfaceRefused,
    TestOpportunityRequest,
    build_opportunity,
    read_action,
    read_opportunity_request,
)

blueprint = Blueprint(__name__)

_TEST_CONTEXT = [CONTEXT, "https://openactive.io/test-interface"]
_NOTICE = "Please bring your own mat."
_CANCELLED = "The instructor is unwell."
_PLACE = {
    "@type": "Place",
    "name": "Another hall",
    "address": {
        "@type": "PostalAddress",
        "streetAddress": "2 Mead Lane",
        "addressLocality": "Oxford",
        "addressRegion": "Oxfordshire",
        "postalCode": "OX1 1AB",
        "addressCountry": "GB",
    },
    "geo": {"@type": "GeoCoordinates", "latitude": 51.76, "longitude": -1.26},
}

# Where a listing says that it comes from; the name of its dataset follows.
_SOURCE = "test-interface:"

T = TypeVar("T")
Decide = Callable[[Snapshot, Moment], Decision[None]]

# What each action does to the Order or OrderProposal that it names.
ACTIONS: Mapping[SimulatedAction, Decide] = {
    SimulatedAction.SellerRequestedCancellation: lambda snapshot, _: cancel_by_seller(snapshot),
    SimulatedAction.SellerRequestedCancellationWithMessage: lambda snapshot, _: cancel_by_seller(
        snapshot, message=_CANCELLED
    ),
    SimulatedAction.CustomerNotice: lambda snapshot, _: notify_customer(snapshot, _NOTICE),
    SimulatedAction.AttendeeAttended: lambda snapshot, _: record_attendance(snapshot, ItemEvent.attends),
    SimulatedAction.AttendeeAbsent: lambda snapshot, _: record_attendance(snapshot, ItemEvent.is_absent),
    SimulatedAction.AccessCodeUpdate: partial(renew_access, codes=True),
    SimulatedAction.AccessPassUpdate: partial(renew_access, passes=True),
    SimulatedAction.AccessChannelUpdate: partial(renew_access, channel=True),
    SimulatedAction.SellerAcceptOrderProposal: lambda snapshot, moment: decide_proposal(
        snapshot, ProposalEvent.accept, moment
    ),
    SimulatedAction.SellerRejectOrderProposal: lambda snapshot, moment: decide_proposal(
        snapshot, ProposalEvent.seller_rejects, moment
    ),
    SimulatedAction.SellerAmendOrderProposal: amend_proposal,
}


def delete_dataset(call: Call) -> Reply:
    """A test dataset goes: its Opportunities, their parents, every Order that has a place in one (TESTIF-01).

    All that stands now is noted; what does not go within the request goes with the next sweeps.
    """
    _only_if_on(call)
    system = call.system
    note_clearing(system.store, call.params["dataset"], system.new_id)
    clear(system.store, system.clock(), system.retry)
    return Reply(204)


def create_opportunity(call: Call) -> Reply:
    """An Opportunity that meets the criteria, published like any other (TESTIF-02)."""
    _only_if_on(call)
    call.caller()
    request = _understood(lambda: read_opportunity_request(read_body(call.body()), call.base_url))
    opportunity_id = _publish(call, request, call.params["dataset"])
    return Reply(201, {"@context": _TEST_CONTEXT, "@type": request.type.value, "@id": opportunity_id})


def simulate(call: Call) -> Reply:
    """What a Seller would do, done now (TESTIF-06)."""
    _only_if_on(call)
    caller = call.caller()
    action = _understood(lambda: read_action(read_body(call.body()), call.base_url))
    if action.opportunity_id is not None:
        _change_logistics(call, action)
        return Reply(204)
    assert action.uuid is not None
    key, moment = OrderKey(caller.partner_id, action.uuid), call.system.moment()
    try:
        if action.name is SimulatedAction.Replacement:
            _replace(call, key, moment)
        elif action.name in ACTIONS:
            decide = ACTIONS[action.name]
            call.system.carry_out_on_order(key, lambda snapshot: decide(snapshot, moment), moment.now)
        else:
            _change_logistics_of_order(call, key, action)
    except TransitionRefused as refusal:
        raise MalformedRequestError(str(refusal)) from None
    return Reply(204)


def _publish(call: Call, request: TestOpportunityRequest, dataset: str) -> str:
    system = call.system
    seller = system.store.seller(request.seller_id)
    if seller is None:
        raise MalformedRequestError("The seller is not known here.")
    number = int(system.new_id().replace("-", ""), 16) % 10**12
    made = _understood(
        lambda: build_opportunity(request, number=number, now=system.clock(), seller=seller.document)
    )
    published = made.published()
    # Noted first, so that a crash in between leaves nothing that the dataset would not take with it.
    made_ids = tuple(each.opportunity.id for each in published)
    system.store.note_clearing(Clearing(system.new_id(), made_ids, dataset))
    for each in published:
        listing = Listing(each.opportunity, source=_SOURCE + dataset)
        system.store.publish(listing, each.spaces)
    opportunity_id: str = made.document["@id"]
    return opportunity_id


def _replace(call: Call, key: OrderKey, moment: Moment) -> None:
    """Another Opportunity, at the same price, in the place of each that the Order has."""
    order = call.system.store.snapshot(Wanted(key)).order
    if not isinstance(order, Order):
        raise MalformedRequestError("There is no such Order.")
    choices = {item.id or "": _another(call, order, item) for item in order.items if item.holds_a_space}
    call.system.carry_out_on_order(
        key,
        lambda snapshot: replace_items(snapshot, moment, choices),
        moment.now,
        also=tuple(opportunity_id for opportunity_id, _ in choices.values()),
    )


def _another(call: Call, order: Order, item: OrderItem) -> tuple[str, str]:
    assert item.opportunity is not None and item.offer is not None
    is_session = item.opportunity.type is OpportunityType.ScheduledSession
    parent_type = (item.opportunity.parent or {}).get("@type", ParentType.IndividualFacilityUse)
    prepayment = item.offer.effective_prepayment()
    request = TestOpportunityRequest(
        type=item.opportunity.type,
        parent_type=ParentType.SessionSeries if is_session else ParentType(parent_type),
        seller_id=order.seller_id,
        criteria="TestOpportunityBookableFree"
        if item.offer.is_free
        else f"TestOpportunityBookableNonFreePrepayment{prepayment}",
        flow=BookingFlow.OpenBookingSimpleFlow,
    )
    # It goes with the dataset of what it replaces.
    source = call.system.store.listings([item.opportunity.id])[item.opportunity.id][0].source or ""
    dataset = source.removeprefix(_SOURCE) if source.startswith(_SOURCE) else "replacements"
    opportunity_id = _publish(call, request, dataset)
    listing = call.system.store.listings([opportunity_id])[opportunity_id][0]
    return opportunity_id, listing.opportunity.offers[0].id


def _change_logistics_of_order(call: Call, key: OrderKey, action: TestAction) -> None:
    order = call.system.store.snapshot(Wanted(key)).order
    for opportunity_id in order.holds() if isinstance(order, Order) else ():
        _change_logistics(call, TestAction(action.name, opportunity_id=opportunity_id))


def _change_logistics(call: Call, action: TestAction) -> None:
    assert action.opportunity_id is not None
    system, moment = call.system, call.system.moment()
    found = system.store.listings([action.opportunity_id]).get(action.opportunity_id)
    if found is None:
        raise MalformedRequestError("There is no such Opportunity.")
    opportunity = found[0].opportunity
    starts_at = opportunity.starts_at
    change = {
        SimulatedAction.ChangeOfLogisticsName: Logistics(name="Under another name"),
        SimulatedAction.ChangeOfLogisticsLocation: Logistics(location=_PLACE),
        SimulatedAction.ChangeOfLogisticsTime: Logistics(
            starts_at=starts_at + timedelta(hours=1) if starts_at else None
        ),
    }[action.name]
    change_listing(
        system.store,
        opportunity.id,
        lambda current: with_logistics(current, change),
        OpportunityChange(opportunity.id, ChangeKind.logistics),
    )
    finish_change(system.store, opportunity.id, moment, system.retry)


def _only_if_on(call: Call) -> None:
    if not call.system.settings.test_interface:
        raise UnknownOrIncorrectEndpointError("There is no such endpoint.")


def _understood(read: Callable[[], T]) -> T:
    try:
        return read()
    except TestInterfaceRefused as refusal:
        raise MalformedRequestError(str(refusal)) from None


for _resource in (
    Resource("/api/openbooking/test-interface/datasets/{dataset}", {"DELETE": delete_dataset}),
    Resource(
        "/api/openbooking/test-interface/datasets/{dataset}/opportunities", {"POST": create_opportunity}
    ),
    Resource("/api/openbooking/test-interface/actions", {"POST": simulate}),
):
    register(blueprint, _resource)
