"""What is taken can be stored, changed and published: sizes are bounded before anything is written."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.api import streams
from chalicelib.booking.decisions import save_order
from chalicelib.domain.errors import OpportunityIsInConflictError, RequestTooLargeError
from chalicelib.domain.identifiers import API as BASE_API
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.limits import (
    MAX_ANSWER_BYTES,
    MAX_ATTENDEE_BYTES,
    MAX_BODY_BYTES,
    MAX_CUSTOMER_BYTES,
    MAX_DETAILS_BYTES,
    MAX_NOTE_BYTES,
    MAX_NOTES,
    MAX_OPPORTUNITIES_KEPT,
    MAX_ROW_BYTES,
    carried_bytes,
    json_bytes,
)
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import AccessMethod
from chalicelib.domain.shared_text import SHARED_FROM, is_shared, whole
from chalicelib.runtime.system import install
from chalicelib.storage.codec import pack_texts
from chalicelib.storage.errors import OrderTooLarge
from chalicelib.storage.order_documents import pack_order, packed
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics
from tests.support.builders import CUSTOMER
from tests.support.large import free, noise, places, prose
from tests.support.world import API, Answer, Bookable, Broker, Json, World, order_record, outer, seller_id

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}


@dataclass
class Shop:
    """A Broker in a world, and what has become of its Orders."""

    world: World
    broker: Broker

    def key(self, order_uuid: str = UUID) -> OrderKey:
        return OrderKey(self.broker.partner or "", order_uuid)

    def stored(self, order_uuid: str = UUID) -> Order:
        order = self.world.store.orders([self.key(order_uuid)])[self.key(order_uuid)]
        assert isinstance(order, Order)
        return order

    def publish(self, order_uuid: str = UUID) -> None:
        """Bring the Order as it stands to its feed; its item is there, and fits its row and a page."""
        order = self.stored(order_uuid)
        assert len(pack_order(order)) <= MAX_ROW_BYTES
        assert streams.orders_changed([order_record(order)]) == {"batchItemFailures": []}
        page = self.broker.send("GET", f"{API}/orders-rpde")
        assert carried_bytes(page.body.decode()) <= MAX_ANSWER_BYTES + 1000
        assert order_uuid in [item["id"] for item in page.json["items"]]
        for text in self.world.feeds.page(f"orders#{self.broker.partner}", 0, 500, self.world.now()).items:
            assert len(pack_texts(text)) <= MAX_ROW_BYTES

    def nothing_is_kept(self, *sessions: Bookable) -> None:
        assert self.broker.status(UUID).status == 404
        assert [self.world.held(session) for session in sessions] == [0] * len(sessions)


@pytest.fixture
def shop(world: World, broker: Broker) -> Shop:
    return Shop(world, broker)


def largest(accepted: Callable[[int], bool], low: int, high: int, step: int = 1) -> int:
    """By bisection, to within `step`: the largest size that is accepted, where `low` is and `high` is not."""
    assert accepted(low) and not accepted(high)
    while high - low > step:
        middle = (low + high) // 2
        low, high = (middle, high) if accepted(middle) else (low, middle)
    return low


def refused(answer: Answer, *named: str) -> None:
    assert (answer.status, answer.json["@type"]) == (413, "UnexpectedOrderTypeError")
    assert [name for name in named if name not in answer.json["description"]] == []


# --- many places, long texts ---------------------------------------------------------------


@pytest.mark.parametrize("count", [100, 150, 200])
def test_cancellation_in_an_order_of_many_places_reaches_the_feed(shop: Shop, count: int) -> None:
    session = free(shop.world)
    booked = shop.broker.b(UUID, *places([session], count), due=0)
    assert booked.status == 201
    assert shop.broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    shop.publish()


@pytest.mark.parametrize("count", [8, 9, 40, 100])
def test_an_answer_that_is_stored_with_its_values_once_is_sent_whole(shop: Shop, count: int) -> None:
    session = free(shop.world, prose(900))
    items = places([session], count)
    quoted = shop.broker.c2(UUID, *items)
    booked = shop.broker.b(UUID, *items, due=0)
    assert booked.status == 201
    opportunity = {**quoted.json["orderedItem"][0]["orderedItem"], "remainingAttendeeCapacity": 0}
    for item in booked.json["orderedItem"]:
        assert {**item["orderedItem"], "remainingAttendeeCapacity": 0} == opportunity
        assert item["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"
    assert shop.broker.b(UUID, *items, due=0).body == booked.body
    shown = shop.broker.status(UUID).json["orderedItem"]
    assert [item["@id"] for item in shown] == [item["@id"] for item in booked.json["orderedItem"]]
    kept = shop.stored().answer or ""
    assert is_shared(kept) is (len(booked.body) > SHARED_FROM)
    assert outer(whole(kept)) == booked.body.decode()


@pytest.mark.parametrize("size", [3_000, 30_000])
@pytest.mark.parametrize("sessions", [1, 24])
def test_200_places_on_sessions_with_long_texts(shop: Shop, sessions: int, size: int) -> None:
    """B, B again byte for byte, cancellation of one, Seller's cancellation of all; each is in the feed."""
    world, broker = shop.world, shop.broker
    on_sale = [free(world, prose(size, n)) for n in range(sessions)]
    items = places(on_sale, 200)
    for answer in (broker.c1(UUID, *items), broker.c2(UUID, *items)):
        assert answer.status == 200
        assert carried_bytes(answer.body.decode()) <= MAX_ANSWER_BYTES
    booked = broker.b(UUID, *items, due=0)
    assert booked.status == 201
    assert carried_bytes(booked.body.decode()) <= MAX_ANSWER_BYTES
    assert broker.b(UUID, *items, due=0).body == booked.body
    assert broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    shop.publish()
    world.system.seller_actions.cancel(shop.key(), message=prose(MAX_NOTE_BYTES))
    shop.publish()
    assert {item.status for item in shop.stored().items[1:]} == {OrderItemStatus.SellerCancelled}
    assert broker.status(UUID).status == 200
    assert sum(world.held(session) for session in on_sale) == 0


def test_descriptions_are_shown_where_there_is_room_and_left_out_where_not(shop: Shop) -> None:
    """No rule requires them in an Order (requirements 3.3); everything else stays."""
    session = free(shop.world, prose(30_000))
    shown = shop.broker.c1(UUID, *places([session], 100)).json["orderedItem"][0]["orderedItem"]
    left = shop.broker.c1(UUID, *places([session], 200)).json["orderedItem"][0]["orderedItem"]
    assert shown.pop("description") == prose(30_000)
    assert {**shown, "remainingAttendeeCapacity": 0} == {**left, "remainingAttendeeCapacity": 0}


def test_proposal_for_200_places_can_be_accepted_and_booked(shop: Shop) -> None:
    """P-12 and B-08 keep both answers."""
    world, broker = shop.world, shop.broker
    sessions = [
        world.session(spaces=20, price=0, offer=APPROVAL, session={"description": prose(30_000, n)})
        for n in range(24)
    ]
    body = broker.body(
        "OrderProposal",
        *places(sessions, 200),
        customer=CUSTOMER,
        orderCustomerNote=prose(MAX_NOTE_BYTES),
        totalPaymentDue={"@type": "PriceSpecification", "price": 0},
    )
    proposed = broker.send("PUT", f"{API}/order-proposals/{UUID}", body)
    assert proposed.status == 201
    world.system.seller_actions.accept(shop.key(), note=noise(MAX_NOTE_BYTES))
    version = proposed.json["orderProposalVersion"]
    booking = {"@context": "https://openactive.io/", "@type": "Order", "orderProposalVersion": version}
    booked = broker.send("PUT", f"{API}/orders/{UUID}", booking)
    assert booked.status == 201
    assert broker.send("PUT", f"{API}/orders/{UUID}", booking).body == booked.body
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}", body).body == proposed.body
    world.system.seller_actions.cancel(shop.key(), message=noise(MAX_NOTE_BYTES))
    shop.publish()


# --- bounds of what a Broker sends -----------------------------------------------------------


def test_body_larger_than_lambda_takes_is_refused_and_takes_no_place(shop: Shop) -> None:
    session = free(shop.world)
    customer = {**CUSTOMER, "description": "x" * MAX_BODY_BYTES}
    refused(shop.broker.b(UUID, *places([session], 18), due=0, customer=customer), f"{MAX_BODY_BYTES:,}")
    shop.nothing_is_kept(session)


def test_answer_that_lambda_could_not_return_is_never_made(shop: Shop) -> None:
    session = free(shop.world)
    customer = {**CUSTOMER, "description": "x" * 6_000_000}
    refused(shop.broker.b(UUID, *places([session], 18), due=0, customer=customer), "customer")
    shop.nothing_is_kept(session)


def test_customer_at_the_bound_is_taken_and_one_byte_more_is_not(shop: Shop) -> None:
    """Then the Seller moves the session, and cancels: this Order follows, and so does another's."""
    world, session = shop.world, free(shop.world)
    other = Shop(world, Broker(world, "partner-2"))
    assert other.broker.b(OTHER, session.item(), due=0).status == 201

    def customer(size: int) -> Json:
        return {**CUSTOMER, "description": noise(size)}

    def accepted(size: int) -> bool:
        order_uuid = str(uuid.uuid4())
        status = shop.broker.b(order_uuid, session.item(), due=0, customer=customer(size)).status
        assert status in (201, 413)
        assert world.store.orders([shop.key(order_uuid)]) == {} or status == 201
        return status == 201

    size = largest(accepted, 1_000, 400_000)
    assert json_bytes(customer(size)) == MAX_CUSTOMER_BYTES
    held = world.held(session)
    refused(
        shop.broker.b(UUID, session.item(), due=0, customer=customer(size + 1)),
        "customer",
        f"{MAX_CUSTOMER_BYTES:,}",
    )
    assert world.held(session) == held
    assert shop.broker.b(UUID, session.item(), due=0, customer=customer(size)).status == 201
    actions = world.system.seller_actions
    actions.change_logistics(session.id, Logistics(name="Moved"))
    for each, order_uuid in ((shop, UUID), (other, OTHER)):
        each.publish(order_uuid)
    actions.cancel(shop.key(), message=noise(MAX_NOTE_BYTES))
    shop.publish()


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"attendee": {"@type": "Person", "name": "x" * MAX_ATTENDEE_BYTES}}, "orderedItem[2].attendee"),
        ({"accessPass": [{"@type": "Barcode", "text": "A" * 410_000}]}, "orderedItem[2].accessPass"),
        (
            {"orderItemIntakeFormResponse": [{"propertyID": "https://a.example/1", "value": "x" * 20_000}]},
            "orderedItem[2].orderItemIntakeFormResponse",
        ),
    ],
    ids=["attendee", "passes", "answers"],
)
def test_details_of_an_item_that_are_too_large_are_named(shop: Shop, properties: Json, named: str) -> None:
    session = free(shop.world)
    items = [session.item(0), session.item(1), session.item(2, **properties)]
    refused(shop.broker.b(UUID, *items, due=0), named, "at most")
    refused(shop.broker.c2(UUID, *items), named)
    shop.nothing_is_kept(session)


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"broker": {"@type": "Organization", "name": "x" * 20_000}}, "broker"),
        ({"payment": {"@type": "Payment", "identifier": "x" * 5_000}}, "payment"),
        ({"orderCustomerNote": "é" * MAX_NOTE_BYTES}, "orderCustomerNote"),
    ],
)
def test_details_of_the_order_that_are_too_large_are_named(shop: Shop, properties: Json, named: str) -> None:
    session = free(shop.world)
    refused(shop.broker.b(UUID, session.item(), due=0, **properties), named, "at most")
    shop.nothing_is_kept(session)


def test_note_of_a_proposal_update_is_bounded(shop: Shop) -> None:
    body = {"@type": "OrderProposal", "orderCustomerNote": "x" * (MAX_NOTE_BYTES + 1)}
    refused(shop.broker.send("PATCH", f"{API}/order-proposals/{UUID}", body), "orderCustomerNote", "2,000")


def test_details_of_all_items_are_bounded_together(shop: Shop) -> None:
    """At the bound the Order is taken; one byte above it is refused, with the number of its items."""
    session = free(shop.world)

    def attendee(size: int) -> Json:
        return {"@type": "Person", "name": "x" * size}

    def booked(last: int) -> Answer:
        items = [session.item(n, attendee=attendee(1000 if n < 100 else last)) for n in range(101)]
        return shop.broker.b(UUID, *items, due=0, customer=customer)

    others = 100 * json_bytes(attendee(1000)) + json_bytes(attendee(0))
    others += json_bytes(shop.broker.body("Order")["broker"])
    padding = MAX_DETAILS_BYTES - others - 5_000 - json_bytes({**CUSTOMER, "description": ""})
    customer = {**CUSTOMER, "description": "x" * padding}
    refused(booked(5_001), "customer", "101 items", f"{MAX_DETAILS_BYTES:,}")
    shop.nothing_is_kept(session)
    assert booked(5_000).status == 201


# --- room for what comes later ---------------------------------------------------------------


def describe_seller(world: World, size: int) -> None:
    """Give Seller 1 all kinds of passes, and so much to say of itself."""
    world.sell(1, description=noise(size))
    seller = world.store.seller(seller_id(1))
    assert seller is not None
    world.store.save_seller(replace(seller, access_methods=tuple(AccessMethod)))


def test_order_that_leaves_just_enough_room_can_follow_everything(shop: Shop) -> None:
    """At the bound 201, a little above it 413 and nothing written; and all that may be added still fits."""
    world, broker, actions = shop.world, shop.broker, shop.world.system.seller_actions
    sessions = [free(world, noise(9_000, n), name=noise(200, n)) for n in range(24)]
    items = places(sessions, 200, attendee={"@type": "Person", "name": "Geoff"})
    taken: list[str] = []

    def accepted(size: int) -> bool:
        describe_seller(world, size)
        order_uuid = str(uuid.uuid4())
        answer = broker.b(order_uuid, *items, due=0)
        if answer.status == 201:
            for earlier in taken[-1:]:
                broker.delete(earlier)
            taken.append(order_uuid)
            return True
        refused(answer, "200 items")
        assert broker.status(order_uuid).status == 404
        assert [world.held(session) for session in sessions] == held
        return False

    held = [9] * 8 + [8] * 16
    largest(accepted, 1_000, 300_000, step=500)
    order_uuid = taken[-1]
    key = shop.key(order_uuid)
    ids = [item.id or "" for item in shop.stored(order_uuid).items]
    for n, session in enumerate(sessions):
        place = {"@type": "Place", "name": noise(300, n), "description": noise(100_000, n)}
        actions.change_logistics(session.id, Logistics(name=noise(2_000, n), location=place))
    shop.publish(order_uuid)
    others = [free(world, noise(30_000, n), name=noise(3_000, n)) for n in range(50, 58)]
    actions.replace(key, {ids[n]: (new.id, new.offer_id) for n, new in enumerate(others)})
    shop.publish(order_uuid)
    one_more = free(world)
    with pytest.raises(OpportunityIsInConflictError):
        actions.replace(key, {ids[10]: (one_more.id, one_more.offer_id)})
    for n in range(MAX_NOTES // 2):
        actions.notify(key, noise(MAX_NOTE_BYTES, n), item_ids=[ids[n]])
    actions.renew_access(key, codes=True, passes=True, channel=True)
    shop.publish(order_uuid)
    for n, session in enumerate(sessions):
        actions.cancel_opportunity(session.id, message=noise(MAX_NOTE_BYTES, 100 + n))
    shop.publish(order_uuid)
    actions.cancel(key)
    shop.publish(order_uuid)
    assert {item.status for item in shop.stored(order_uuid).items} == {OrderItemStatus.SellerCancelled}
    messages = {item.cancellation_message for item in shop.stored(order_uuid).items}
    assert (
        len(messages - {None}) == MAX_NOTES // 2
    )  # those that came later were left out, not the cancellation
    assert len({item.opportunity_id for item in shop.stored(order_uuid).items}) == MAX_OPPORTUNITIES_KEPT
    assert broker.status(order_uuid).status == 200
    assert broker.b(order_uuid, *items, due=0).status == 201


@pytest.mark.parametrize("act", ["notify", "cancel", "reject"])
def test_texts_of_the_seller_are_bounded(shop: Shop, act: str) -> None:
    session = shop.world.session(price=0, offer=APPROVAL if act == "reject" else None)
    if act == "reject":
        due = {"@type": "PriceSpecification", "price": 0}
        body = shop.broker.body("OrderProposal", session.item(), customer=CUSTOMER, totalPaymentDue=due)
        assert shop.broker.send("PUT", f"{API}/order-proposals/{UUID}", body).status == 201
    else:
        assert shop.broker.b(UUID, session.item(), due=0).status == 201
    actions, before = shop.world.system.seller_actions, shop.stored()
    ways: dict[str, Callable[[str], None]] = {
        "notify": lambda text: actions.notify(shop.key(), text),
        "cancel": lambda text: actions.cancel(shop.key(), message=text),
        "reject": lambda text: actions.reject(shop.key(), note=text),
    }
    with pytest.raises(RequestTooLargeError, match="2,001 bytes; it may have at most 2,000"):
        ways[act]("x" * (MAX_NOTE_BYTES + 1))
    assert shop.stored() == before
    ways[act]("x" * MAX_NOTE_BYTES)
    assert shop.stored() != before


def test_message_for_a_whole_opportunity_is_bounded_before_anything_is_cancelled(shop: Shop) -> None:
    session = free(shop.world)
    with pytest.raises(RequestTooLargeError, match="at most 2,000"):
        shop.world.system.seller_actions.cancel_opportunity(session.id, message="x" * (MAX_NOTE_BYTES + 1))
    assert shop.broker.b(UUID, session.item(), due=0).status == 201


def test_opportunity_cannot_be_changed_into_one_that_fits_no_row(shop: Shop) -> None:
    session = free(shop.world)
    place = {"@type": "Place", "name": "x" * 400_000}
    with pytest.raises(RequestTooLargeError, match="more than the 360 KB"):
        shop.world.system.seller_actions.change_logistics(session.id, Logistics(location=place))
    assert shop.broker.c1(UUID, session.item()).json["orderedItem"][0]["orderedItem"].get("location") is None


def test_order_has_a_bounded_number_of_different_notices(shop: Shop) -> None:
    session = free(shop.world)
    assert shop.broker.b(UUID, *places([session], MAX_NOTES + 1), due=0).status == 201
    actions, ids = shop.world.system.seller_actions, [item.id or "" for item in shop.stored().items]
    for n, item_id in enumerate(ids[:MAX_NOTES]):
        actions.notify(shop.key(), f"Notice {n}", item_ids=[item_id])
    with pytest.raises(RequestTooLargeError, match="at most 40 different"):
        actions.notify(shop.key(), "One more", item_ids=[ids[MAX_NOTES]])
    actions.notify(shop.key(), "For all of them")
    shop.publish()


def test_order_of_an_earlier_release_above_the_bounds_is_read_cancelled_and_published(shop: Shop) -> None:
    """Release 0.1.0 took passes of 400 KB. Only what makes the Order larger still is refused."""
    session = free(shop.world)
    booked = shop.broker.b(UUID, session.item(0), session.item(1), due=0)
    order = shop.stored()

    def with_passes(size: int) -> Order:
        passes = ({"@type": "Barcode", "text": noise(size)},)
        return replace(order, items=tuple(replace(item, access_passes=passes) for item in order.items))

    def fits(size: int) -> bool:
        return len(packed(with_passes(size))) <= MAX_ROW_BYTES

    size = largest(fits, 400_000, 500_000, step=100) - 1_000
    shop.world.store.commit([save_order(with_passes(size), order)])
    [code] = shop.broker.status(UUID).json["orderedItem"][0]["accessPass"]
    assert len(code["text"]) == size
    with pytest.raises(OrderTooLarge):
        shop.world.system.seller_actions.notify(shop.key(), noise(MAX_NOTE_BYTES, 99))
    assert shop.broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    shop.publish()


texts = st.sampled_from([prose, noise])


# Shrinking would take minutes: an example is up to 200 places with long texts.
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(
    count=st.integers(1, 200),
    sessions=st.integers(1, 24),
    described=st.integers(0, 30_000),
    named=st.integers(1, 3_000),
    details=st.integers(0, 8_000),
    passes=st.integers(0, 2_000),
    later=st.integers(0, 100_000),
    write=texts,
)
def test_whatever_is_booked_can_be_cancelled_replaced_noticed_and_published(
    count: int,
    sessions: int,
    described: int,
    named: int,
    details: int,
    passes: int,
    later: int,
    write: Callable[..., str],
) -> None:
    world = World()
    try:
        shop = Shop(world, Broker(world))
        on_sale = [
            free(world, write(described, n), name=write(named, n), url=f"https://a.example/{write(named, n)}")
            for n in range(sessions)
        ]
        items = [
            on_sale[n % sessions].item(
                n,
                attendee={"@type": "Person", "name": write(details, n)} if details else ...,
                accessPass=[{"@type": "Barcode", "text": write(passes, n)}] if passes else ...,
            )
            for n in range(count)
        ]
        booked = shop.broker.b(UUID, *items, due=0)
        assert booked.status in (201, 413)
        if booked.status == 413:
            shop.nothing_is_kept(*on_sale)
            return
        assert carried_bytes(booked.body.decode()) <= MAX_ANSWER_BYTES
        assert shop.broker.b(UUID, *items, due=0).body == booked.body
        _happens_to(shop, on_sale, write, later)
    finally:
        install(None)


def _happens_to(shop: Shop, sessions: list[Bookable], write: Callable[..., str], later: int) -> None:
    """Everything that a Broker or a Seller can do to an Order, one after another; each is in the feed."""
    actions, world = shop.world.system.seller_actions, shop.world
    first = shop.stored().items[0].id or ""
    actions.notify(shop.key(), write(MAX_NOTE_BYTES, 1))
    shop.publish()
    longer = {"@type": "Place", "name": write(500, 2), "description": write(later, 2)}
    for session in sessions[:3]:
        actions.change_logistics(session.id, Logistics(name=write(1_000, 3), location=longer))
    shop.publish()
    new = free(world, write(later, 4), name=write(1_000, 4))
    actions.replace(shop.key(), {first: (new.id, new.offer_id)}, notice=write(MAX_NOTE_BYTES, 5))
    shop.publish()
    actions.renew_access(shop.key(), codes=True, passes=True, channel=True)
    shop.publish()
    assert shop.broker.cancel(UUID, outer(f"{BASE_API}/orders/{UUID}#/orderedItem/{first}")).status == 204
    shop.publish()
    actions.cancel(shop.key(), message=write(MAX_NOTE_BYTES, 6))
    shop.publish()
    assert shop.broker.status(UUID).status == 200
    assert shop.broker.delete(UUID).status == 204
    assert sum(world.held(session) for session in [*sessions, new]) == 0
