"""The OpenActive Test Interface: Opportunities made to measure, and a Seller's actions on demand.

Each action is a thin call of what a Seller can do anyway. Only where the setting TEST_INTERFACE is on;
elsewhere there is no such endpoint (TESTIF-07).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, register
from chalicelib.booking.decisions import Wanted
from chalicelib.domain.errors import MalformedRequestError, UnknownOrIncorrectEndpointError
from chalicelib.domain.lifecycle import ItemEvent, TransitionRefused
from chalicelib.domain.orders import Order, OrderItem, OrderKey
from chalicelib.services import clearing
from chalicelib.services.seller_actions import SellerActions
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.store import Listing
from chalicelib.wire.jsonld import CONTEXT, read_body
from chalicelib.wire.logistics import Logistics
from chalicelib.wire.test_interface import (
    BookingFlow,
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

# Seconds of the 29 that API Gateway waits for a request; the sweep clears the rest.
_CLEARS_FOR = 15.0

T = TypeVar("T")

# What each action does to the Order or OrderProposal that it names.
ACTIONS: Mapping[SimulatedAction, Callable[[SellerActions, OrderKey], None]] = {
    SimulatedAction.SellerRequestedCancellation: lambda seller, key: seller.cancel(key),
    SimulatedAction.SellerRequestedCancellationWithMessage: lambda seller, key: seller.cancel(
        key, message=_CANCELLED
    ),
    SimulatedAction.CustomerNotice: lambda seller, key: seller.notify(key, _NOTICE),
    SimulatedAction.AttendeeAttended: lambda seller, key: seller.record_attendance(key, ItemEvent.attends),
    SimulatedAction.AttendeeAbsent: lambda seller, key: seller.record_attendance(key, ItemEvent.is_absent),
    SimulatedAction.AccessCodeUpdate: lambda seller, key: seller.renew_access(key, codes=True),
    SimulatedAction.AccessPassUpdate: lambda seller, key: seller.renew_access(key, passes=True),
    SimulatedAction.AccessChannelUpdate: lambda seller, key: seller.renew_access(key, channel=True),
    SimulatedAction.SellerAcceptOrderProposal: lambda seller, key: seller.accept(key),
    SimulatedAction.SellerRejectOrderProposal: lambda seller, key: seller.reject(key),
    SimulatedAction.SellerAmendOrderProposal: lambda seller, key: seller.amend(key),
}


def delete_dataset(call: Call) -> Reply:
    """A test dataset goes: its Opportunities, their parents, every Order that has a place in one (TESTIF-01).

    All that stands now is noted; what does not go within the request goes with the next sweeps.
    """
    _only_if_on(call)
    system = call.system
    clearing.note_clearing(system.pending, call.params["dataset"], system.new_id)
    with suppress(StoreBusy):  # the sweep continues
        system.worker.run_kind(clearing.KIND, _CLEARS_FOR)
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
    key = OrderKey(caller.partner_id, action.uuid)
    try:
        if action.name is SimulatedAction.Replacement:
            _replace(call, key)
        elif action.name in ACTIONS:
            ACTIONS[action.name](call.system.seller_actions, key)
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
    clearing.note_made(system.pending, dataset, made_ids, system.new_id())
    for each in published:
        listing = Listing(each.opportunity, source=_SOURCE + dataset)
        system.store.publish(listing, each.spaces)
    opportunity_id: str = made.document["@id"]
    return opportunity_id


def _replace(call: Call, key: OrderKey) -> None:
    """Another Opportunity, at the same price, in the place of each that the Order has."""
    order = call.system.store.snapshot(Wanted(key)).order
    if not isinstance(order, Order):
        raise MalformedRequestError("There is no such Order.")
    choices = {item.id or "": _another(call, order, item) for item in order.items if item.holds_a_space}
    call.system.seller_actions.replace(key, choices)


def _another(call: Call, order: Order, item: OrderItem) -> tuple[str, str]:
    assert item.opportunity is not None and item.offer is not None
    prepayment = item.offer.effective_prepayment()
    request = TestOpportunityRequest(
        type=item.opportunity.type,
        parent_type=(item.opportunity.parent or {}).get("@type"),
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
    system = call.system
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
    system.seller_actions.change_logistics(opportunity.id, change)


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
