"""How a Customer gets in, over the wire: what the Seller gave, what follows, and what the Broker brings."""

import json
from typing import Any

import pytest

from chalicelib.booking.access import CHANNEL_FOLLOWS
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import AccessMethod
from chalicelib.services.inventory import Document
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics
from chalicelib.wire.opportunities import Published, feed_data
from chalicelib.wire.orders import feed_document
from tests.api.test_proposals import APPROVAL, decide
from tests.api.test_proposals import b as book_proposal
from tests.api.test_proposals import p as propose
from tests.support.inventory import seller_id
from tests.support.world import Bookable, Broker, World

Json = dict[str, Any]
UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
KEY = OrderKey("partner-1", UUID)
ONLINE = {"eventAttendanceMode": "https://schema.org/OnlineEventAttendanceMode"}
MIXED = {"eventAttendanceMode": "https://schema.org/MixedEventAttendanceMode"}
CHANNEL = {"name": "Video call", "url": "https://video.example/1"}
ANOTHER = {"name": "Another call", "url": "https://video.example/2", "accessCode": "1234"}
AS_SHOWN = {"@type": "VirtualLocation"}


def give(world: World, session: Bookable, channel: Json) -> None:
    world.system.seller_actions.change_access_channel(session.id, channel)


def give_codes(world: World, *methods: AccessMethod) -> None:
    seller = world.store.seller(seller_id(1))
    assert seller is not None
    world.store.save_seller(replace(seller, access_methods=methods))


def in_feed(world: World) -> Json:
    order = world.order(UUID)
    assert isinstance(order, Order)
    assert order.published
    [item] = feed_document(order)["orderedItem"]
    return dict(item)


def test_nothing_is_made_up_about_where_a_session_is_held_online(world: World, broker: Broker) -> None:
    """ACCESS-06: until the Seller has said it, a notice says that it follows."""
    answer = broker.b(UUID, world.session(session=ONLINE).item())
    [item] = answer.json["orderedItem"]
    assert "accessChannel" not in item
    assert item["customerNotice"] == CHANNEL_FOLLOWS
    assert broker.status(UUID).json["orderedItem"][0]["customerNotice"] == CHANNEL_FOLLOWS


@pytest.mark.parametrize("mode", [ONLINE, MIXED])
def test_online_session_shows_exactly_what_the_seller_gave(world: World, broker: Broker, mode: Json) -> None:
    """ACCESS-06: no id and no code that the Seller did not give."""
    yoga = world.session(session=mode)
    give(world, yoga, CHANNEL)
    [item] = broker.b(UUID, yoga.item()).json["orderedItem"]
    assert item["accessChannel"] == CHANNEL | AS_SHOWN
    assert "customerNotice" not in item


def test_what_is_held_at_a_place_has_neither_channel_nor_notice(world: World, broker: Broker) -> None:
    yoga = world.session()
    give(world, yoga, CHANNEL)
    [item] = broker.b(UUID, yoga.item()).json["orderedItem"]
    assert not {"accessChannel", "customerNotice"} & set(item)


@pytest.mark.parametrize("stage", ["c1", "c2"])
def test_quote_shows_no_channel_and_no_notice(world: World, broker: Broker, stage: str) -> None:
    """ACCESS-07."""
    yoga = world.session(session=ONLINE)
    assert b"customerNotice" not in getattr(broker, stage)(OTHER, yoga.item()).body
    give(world, yoga, CHANNEL)
    answer = getattr(broker, stage)(UUID, yoga.item())
    assert b"video.example" not in answer.body and b"accessChannel" not in answer.body


def test_channel_that_is_filled_in_later_reaches_everyone(world: World, broker: Broker) -> None:
    """ACCESS-06, NOTIF-02: with one write each, and the notice that it follows goes."""
    yoga = world.session(session=ONLINE)
    broker.b(UUID, yoga.item())
    broker.b(OTHER, yoga.item())
    assert world.system.seller_actions.change_access_channel(yoga.id, CHANNEL) == 2
    shown = in_feed(world)
    assert shown["accessChannel"] == CHANNEL | AS_SHOWN
    assert "customerNotice" not in shown
    assert broker.status(OTHER).json["orderedItem"][0]["accessChannel"] == CHANNEL | AS_SHOWN
    give(world, yoga, ANOTHER)
    assert in_feed(world)["accessChannel"] == ANOTHER | AS_SHOWN


def test_channel_is_bounded_like_everything_that_an_order_keeps(world: World, broker: Broker) -> None:
    """An Order has room for channels of 1,000 bytes (docs/limits.md)."""
    yoga = world.session(session=ONLINE)
    broker.b(UUID, yoga.item())
    before = world.order(UUID)
    for change in (
        lambda: give(world, yoga, {"name": "x" * 1000}),
        lambda: world.system.seller_actions.renew_access(KEY, channel={"name": "x" * 1000}),
    ):
        with pytest.raises(RequestTooLargeError, match="accessChannel"):
            change()
    assert world.order(UUID) == before


def test_channel_of_one_order_stays_while_something_else_changes(world: World, broker: Broker) -> None:
    """NOTIF-02, NOTIF-04: and another notice of the Seller stays too."""
    yoga, seller = world.session(session=ONLINE), world.system.seller_actions
    broker.b(UUID, yoga.item())
    seller.notify(KEY, "Bring a mat.")
    seller.renew_access(KEY, channel=ANOTHER)
    seller.change_logistics(yoga.id, Logistics(name="Pilates"))
    shown = in_feed(world)
    assert shown["accessChannel"] == ANOTHER | AS_SHOWN
    assert shown["customerNotice"] == "Bring a mat."
    assert shown["orderedItem"]["name"] == "Pilates"


def test_channel_never_enters_the_open_feed(world: World) -> None:
    yoga = world.session(session=ONLINE)
    give(world, yoga, CHANNEL)
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    assert "video.example" not in json.dumps(feed_data(listing.opportunity, 1))


def test_channel_survives_an_import_of_its_session(world: World) -> None:
    """ACCESS-06: open data has none, so that no import can take it away."""
    yoga = world.session(session=ONLINE)
    give(world, yoga, CHANNEL)
    listing, capacity = world.store.listings([yoga.id])[yoga.id]
    opportunity = replace(listing.opportunity, access_channel=None)
    document = Document(Published(opportunity, 5), "operator", ({"name": "new"},))
    world.system.inventory.put_in(document, (replace(listing, source="operator"), capacity))
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    assert listing.opportunity.access_channel == CHANNEL


def test_channel_given_while_a_proposal_waits_is_in_the_order(world: World, broker: Broker) -> None:
    """ACCESS-06, ACCESS-07."""
    yoga = world.session(session=ONLINE, offer=APPROVAL)
    proposed = propose(broker, yoga.item())
    assert not {"accessChannel", "customerNotice"} & set(proposed.json["orderedItem"][0])
    give(world, yoga, CHANNEL)
    decide(world, ProposalEvent.accept)
    answer = book_proposal(broker, proposed.json["orderProposalVersion"])
    assert answer.json["orderedItem"][0]["accessChannel"] == CHANNEL | AS_SHOWN


@pytest.mark.parametrize("term", ["beta:codeType", "ext:codeType"])
def test_barcode_of_the_broker_keeps_its_type(world: World, broker: Broker, term: str) -> None:
    """ACCESS-05: a scanner cannot read it otherwise. It stays beside our own, also when that is renewed."""
    give_codes(world, AccessMethod.code, AccessMethod.barcode)
    barcode = {"@type": "Barcode", "text": "0123456789", term: "code39", "acme:colour": "red"}
    answer = broker.b(UUID, world.session().item(accessPass=[barcode]))
    kept = {name: value for name, value in barcode.items() if name != "acme:colour"}
    [theirs, ours] = answer.json["orderedItem"][0]["accessPass"]
    assert theirs == kept
    assert ours["beta:codeType"] == "qrcode"
    world.system.seller_actions.renew_access(KEY, passes=True)
    [theirs, renewed] = in_feed(world)["accessPass"]
    assert theirs == kept
    assert renewed["text"] != ours["text"]


def test_renewed_codes_leave_the_channel_alone(world: World, broker: Broker) -> None:
    """NOTIF-02."""
    give_codes(world, AccessMethod.code)
    yoga = world.session(session=MIXED)
    give(world, yoga, CHANNEL)
    [booked] = broker.b(UUID, yoga.item()).json["orderedItem"]
    world.system.seller_actions.renew_access(KEY, codes=True)
    shown = in_feed(world)
    assert shown["accessCode"] != booked["accessCode"]
    assert shown["accessChannel"] == booked["accessChannel"]
