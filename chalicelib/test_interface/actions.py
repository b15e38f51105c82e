"""A Seller's actions on request. Each is one call of `services.seller_actions` (TESTIF-06)."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from chalicelib.booking.decisions import Wanted
from chalicelib.booking.existing import existing_order
from chalicelib.domain.lifecycle import ItemEvent, OrderEvent
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKey
from chalicelib.runtime.serving import Serving
from chalicelib.sandbox.opportunities import build_opportunity, new_number
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.services.clearing import note_made
from chalicelib.services.inventory import NotListed
from chalicelib.services.seller_actions import SellerActions
from chalicelib.storage.store import Listing
from chalicelib.test_interface.requests import SimulatedAction, TestAction
from chalicelib.wire.logistics import Logistics

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

# The channel that a Seller would enter after moving a video call; differs from the Opportunity's own.
_CHANNEL = {
    "@type": "VirtualLocation",
    "name": "Video call",
    "description": "With a new link.",
    "url": "https://video.example/new-link",
    "accessId": "new-link",
    "accessCode": "731664",
}

# The source of a listing begins with this; the name of its dataset follows.
_SOURCE = "test-interface:"

# What each action does to its Order or OrderProposal.
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
    SimulatedAction.AccessChannelUpdate: lambda seller, key: seller.renew_access(key, channel=_CHANNEL),
    SimulatedAction.SellerAcceptOrderProposal: lambda seller, key: seller.accept(key),
    SimulatedAction.SellerRejectOrderProposal: lambda seller, key: seller.reject(key),
    SimulatedAction.SellerAmendOrderProposal: lambda seller, key: seller.amend(key),
}

# What each action changes in an Opportunity.
LOGISTICS: Mapping[SimulatedAction, Callable[[Opportunity], Logistics]] = {
    SimulatedAction.ChangeOfLogisticsName: lambda _: Logistics(name="Under another name"),
    SimulatedAction.ChangeOfLogisticsLocation: lambda _: Logistics(location=_PLACE),
    SimulatedAction.ChangeOfLogisticsTime: lambda opportunity: Logistics(
        starts_at=opportunity.starts_at + timedelta(hours=1) if opportunity.starts_at else None
    ),
}


def publish(system: Serving, request: TestOpportunityRequest, dataset: str) -> str:
    """Make an Opportunity and publish it under a dataset; its id. Raises TestInterfaceRefused, StoreBusy."""
    seller = system.store.seller(request.seller_id)
    if seller is None:
        raise TestInterfaceRefused("Unknown seller.")
    number = new_number(system.new_id())
    made = build_opportunity(request, number=number, now=system.clock(), seller=seller.document)
    published = made.published()
    # Recorded first, so that after a crash the deletion of the dataset still finds everything.
    made_ids = tuple(each.opportunity.id for each in published)
    note_made(system.pending, dataset, made_ids, system.new_id())
    for each in published:
        listing = Listing(each.opportunity, source=_SOURCE + dataset)
        system.store.publish(listing, each.spaces)
    opportunity_id: str = made.document["@id"]
    return opportunity_id


def act(system: Serving, action: TestAction, partner_id: str) -> None:
    """Run the action, for the partner that the Order belongs to.

    Raises TestInterfaceRefused if there is no such Opportunity, TransitionRefused, and the errors of the
    action itself: UnknownOrderError, GoneError, UnacceptableOfferError and others.
    """
    if action.opportunity_id is not None:
        _change_logistics(system, action.name, action.opportunity_id)
        return
    assert action.uuid is not None
    key = OrderKey(partner_id, action.uuid)
    if action.name is SimulatedAction.Replacement:
        _replace(system, key)
    elif action.name in ACTIONS:
        ACTIONS[action.name](system.seller_actions, key)
    else:
        for opportunity_id in _order(system, key).sold():
            _change_logistics(system, action.name, opportunity_id)


def _replace(system: Serving, key: OrderKey) -> None:
    """Replace each Opportunity of the Order by another one at the same price."""
    order = _order(system, key)
    choices = {item.id or "": _another(system, order, item) for item in order.items if item.holds_a_space}
    system.seller_actions.replace(key, choices)


def _another(system: Serving, order: Order, item: OrderItem) -> tuple[str, str]:
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
    # It belongs to the dataset of the Opportunity that it replaces.
    replaced, _ = system.store.listings([item.opportunity.id]).get(item.opportunity.id, (None, None))
    source = (replaced.source if replaced else None) or ""
    dataset = source.removeprefix(_SOURCE) if source.startswith(_SOURCE) else "replacements"
    opportunity_id = publish(system, request, dataset)
    listing = system.store.listings([opportunity_id])[opportunity_id][0]
    return opportunity_id, listing.opportunity.offers[0].id


def _order(system: Serving, key: OrderKey) -> Order:
    """Raises UnknownOrderError, GoneError."""
    snapshot = system.store.snapshot(Wanted(key))
    owner = snapshot.order.seller_id if snapshot.order else None
    return existing_order(snapshot, OrderEvent.cancel, seller_id=owner)


def _change_logistics(system: Serving, name: SimulatedAction, opportunity_id: str) -> None:
    found, _ = system.store.listings([opportunity_id]).get(opportunity_id, (None, None))
    try:
        if found is None:
            raise NotListed(opportunity_id)
        change = LOGISTICS[name](found.opportunity)
        if change == Logistics():
            raise TestInterfaceRefused(f"A {found.opportunity.type} without a start cannot be moved.")
        system.seller_actions.change_logistics(opportunity_id, change)
    except NotListed:
        raise TestInterfaceRefused("There is no such Opportunity.") from None
