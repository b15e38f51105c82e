"""Our answers before the official validators: not one failure."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import streams
from chalicelib.domain.opportunity_types import OPEN_FEEDS
from openbooking.samples.inventory import sample_inventory
from openbooking.samples.seeding import load_samples
from tests.support.builders import BUSINESS, NOW
from tests.support.memory import MemoryStore
from tests.support.validator import FeedPage, Validator, start_or_skip
from tests.support.world import (
    ADDRESS,
    API,
    BASE_URL,
    Answer,
    Bookable,
    Broker,
    World,
    capacity_record,
    order_record,
    outer,
)

pytestmark = pytest.mark.node

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"

QUESTIONS: tuple[dict[str, Any], ...] = (
    {
        "@type": "ShortAnswerFormFieldSpecification",
        "@id": "https://base.invalid/api/identifiers/session-series/1#/intakeForm/1",
        "name": "Allergies",
        "valueRequired": True,
    },
    {
        "@type": "BooleanFormFieldSpecification",
        "@id": "https://base.invalid/api/identifiers/session-series/1#/intakeForm/2",
        "name": "Photos",
    },
)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


def judged(validator: Validator, answer: Answer, mode: str) -> None:
    assert validator.failures(answer.json, mode) == []


def answers_to(asked: tuple[dict[str, Any], ...], *values: Any) -> list[dict[str, Any]]:
    return [
        {"@type": "PropertyValue", "propertyID": outer(question["@id"]), "value": value}
        for question, value in zip(asked, values, strict=True)
    ]


KINDS: dict[str, Callable[[World], tuple[Bookable, dict[str, Any]]]] = {
    "a session": lambda world: (world.session(price=12), {}),
    "a free session": lambda world: (world.session(price=0), {}),
    "a court": lambda world: (world.slot(price=8), {}),
    "a session of a seller who adds tax": lambda world: (world.session(seller=2, price=9.99), {}),
    "a session that asks": lambda world: (
        world.session(attendee=("https://schema.org/givenName",), form=QUESTIONS),
        {
            "attendee": {"@type": "Person", "givenName": "Geoff"},
            "orderItemIntakeFormResponse": answers_to(QUESTIONS, "None", False),
        },
    ),
    "a session paid at the desk": lambda world: (
        world.session(offer={"openBookingPrepayment": "https://openactive.io/Unavailable"}),
        {},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_a_whole_booking(world: World, validator: Validator, kind: str) -> None:
    """C1, C2, B, Status, and the item in the Orders feed."""
    bookable, details = KINDS[kind](world)
    broker = Broker(world, seller=bookable.seller)
    item = bookable.item(**details)
    judged(validator, broker.c1(UUID, item), "C1Response")
    quote = broker.c2(UUID, item, payment={"@type": "Payment", "identifier": "1", "name": "Points"})
    judged(validator, quote, "C2Response")
    due = quote.json["totalPaymentDue"]
    payment = {} if due["openBookingPrepayment"].endswith("Required") else {"payment": ...}
    booked = broker.b(UUID, item, due=due["price"], **payment)
    assert booked.status == 201
    judged(validator, booked, "BResponse")
    judged(validator, broker.status(UUID), "OrderStatus")
    assert broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    judged(validator, broker.status(UUID), "OrderStatus")
    order = world.order(UUID)
    assert order is not None
    streams.orders_changed([order_record(order)])
    page = broker.send("GET", f"{API}/orders-rpde")
    [entry] = page.json["items"]
    assert validator.failures(entry["data"], "OrdersFeed") == []
    walk_is_sound(validator, broker, f"{API}/orders-rpde", orders_feed=True)


def test_businesses_and_their_tax(world: World, validator: Validator) -> None:
    """TAX-03; an Organization as a customer, and a Reseller without one."""
    world.set(business_tax=False)
    broker, yoga = Broker(world), world.session(price=12)
    customer = BUSINESS | {"address": ADDRESS}
    judged(validator, broker.c2(UUID, yoga.item(), customer=customer), "C2Response")
    judged(validator, broker.b(UUID, yoga.item(), customer=customer), "BResponse")
    judged(validator, broker.status(UUID), "OrderStatus")
    reseller = {"brokerRole": "https://openactive.io/ResellerBroker", "customer": ...}
    judged(validator, broker.c2(OTHER, yoga.item(), **reseller), "C2Response")
    judged(validator, broker.b(OTHER, yoga.item(), **reseller), "BResponse")


def item_errors(world: World) -> dict[str, dict[str, Any]]:
    full, over, asking = (
        world.session(spaces=0),
        world.session(starts_in=timedelta(hours=-3)),
        world.session(attendee=("https://schema.org/givenName",), form=QUESTIONS),
    )
    yoga = world.session()
    return {
        "full": full.item(),
        "over": over.item(),
        "unknown opportunity": yoga.item(orderedItem=f"{yoga.outer_id}00"),
        "unknown offer": yoga.item(acceptedOffer=f"{outer(yoga.offer_id)}00"),
        "nothing filled in": asking.item(),
        "filled in wrongly": asking.item(orderItemIntakeFormResponse=answers_to(QUESTIONS, True, "yes")),
    }


@pytest.mark.parametrize(
    "kind", ["full", "over", "unknown opportunity", "unknown offer", "nothing filled in", "filled in wrongly"]
)
def test_answers_with_item_errors(world: World, validator: Validator, kind: str) -> None:
    """C1-04, B-07, ERR-02."""
    broker, good = Broker(world), world.session()
    items = [good.item(), item_errors(world)[kind] | {"position": 1}]
    asks_only_later = kind in ("nothing filled in", "filled in wrongly")
    c1 = broker.c1(UUID, *items)
    assert c1.status == (200 if asks_only_later else 409)
    judged(validator, c1, "C1Response" if asks_only_later else "C1ResponseOrderItemError")
    c2, b = broker.c2(UUID, *items), broker.b(UUID, *items)
    assert (c2.status, b.status) == (409, 409)
    judged(validator, c2, "C2ResponseOrderItemError")
    judged(validator, b, "BResponseOrderItemError")


def test_errors_of_the_order(world: World, validator: Validator) -> None:
    """ERR-01, ERR-06: every error that this flow can give."""
    broker, yoga, others = Broker(world), world.session(), world.session(seller=2)
    fixed = world.session(offer={"allowCustomerCancellationFullRefund": False})
    needing = world.session(
        offer={"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    )
    booked = broker.b(UUID, fixed.item())
    item_id = booked.json["orderedItem"][0]["@id"]
    stranger = Broker(world, partner=None)
    given = [
        broker.c1(OTHER, yoga.item(), **{"@type": "Order"}),
        broker.c1(OTHER, yoga.item(), broker=...),
        broker.c2(OTHER, yoga.item(), customer=...),
        broker.c1(OTHER, others.item()),
        broker.c1(OTHER, yoga.item(), seller=...),
        broker.c1(OTHER, yoga.item(), seller=outer("https://base.invalid/api/identifiers/sellers/2")),
        broker.c1(UUID, fixed.item()),
        broker.b(OTHER, yoga.item(), due=9),
        broker.b(OTHER, yoga.item(), payment=...),
        broker.b(OTHER, yoga.item(), payment={"@type": "Payment"}),
        broker.b(
            OTHER, world.session(price=0).item(), due=0, payment={"@type": "Payment", "identifier": "1"}
        ),
        broker.b(OTHER, yoga.item(), payment={"@type": "DynamicPayment", "identifier": "1"}),
        broker.b(OTHER, needing.item()),
        broker.cancel(UUID, item_id),
        broker.cancel(UUID, item_id, customer={"@type": "Person"}),
        broker.cancel(UUID, "nonsense"),
        broker.cancel(OTHER, item_id),
        broker.status(OTHER),
        broker.send("POST", f"{API}/orders/{UUID}"),
        broker.send("GET", f"{API}/orders/nonsense"),
        broker.send("PUT", f"{API}/orders/{UUID}", b"nonsense"),
        broker.send("PUT", f"{API}/orders/{UUID}", b"{}", {"Content-Type": "text/plain"}),
        stranger.status(UUID),
        stranger.send("GET", f"{API}/orders/{UUID}", None, {"Authorization": "Bearer x"}),
        broker.delete(OTHER),
    ]
    assert broker.delete(UUID).status == 204
    given.append(broker.status(UUID))
    assert {answer.json["@type"] for answer in given} == {
        "UnexpectedOrderTypeError",
        "IncompleteBrokerDetailsError",
        "IncompleteCustomerDetailsError",
        "SellerMismatchError",
        "SellerNotFoundError",
        "InvalidAuthorizationDetailsError",
        "OrderAlreadyExistsError",
        "TotalPaymentDueMismatchError",
        "MissingPaymentDetailsError",
        "IncompletePaymentDetailsError",
        "UnnecessaryPaymentDetailsError",
        "InvalidPaymentDetailsError",
        "OrderCreationFailedError",
        "CancellationNotPermittedError",
        "PatchContainsExcessivePropertiesError",
        "OrderItemIdInvalidError",
        "OrderItemNotWithinOrderError",
        "UnknownOrderError",
        "MethodNotAllowedError",
        "UnknownOrIncorrectEndpointError",
        "UnauthenticatedError",
        "GoneError",
    }
    found = {
        answer.json["@type"]: failures
        for answer in given
        if (failures := validator.failures(answer.json, "OpenBookingError"))
    }
    assert found == {}


def walk_is_sound(validator: Validator, broker: Broker, path: str, *, orders_feed: bool = False) -> list[Any]:
    pages, items, url = [], [], BASE_URL + path
    while True:
        answer = broker.send("GET", url.removeprefix(BASE_URL))
        page = answer.json
        pages.append(
            FeedPage(url, page, str(answer.media_type), answer.headers.get("Cache-Control"), answer.status)
        )
        items += page["items"]
        if page["next"] == url:
            break
        url = page["next"]
    assert validator.rpde_failures(pages, orders_feed=orders_feed) == []
    return items


def test_open_feeds_of_the_sample_inventory(world: World, validator: Validator) -> None:
    """OPEN-01, RPDE: every page, and every item of it, for a Broker who reads from the beginning."""
    world.system.store = MemoryStore()  # without the Sellers of this world, whose ids the samples use
    load_samples(world.system.inventory, NOW)
    inventory = sample_inventory(NOW)
    ids = [document["@id"] for document in inventory.parents]
    ids += [opportunity.document["@id"] for opportunity in inventory.opportunities]
    for occasion in inventory.occasions:
        ids += [each.document["@id"] for each in (occasion.whole, *occasion.parts)]
    for start in range(0, len(ids), 20):
        streams.inventory_changed([capacity_record(each) for each in ids[start : start + 20]])
    stranger, items = Broker(world, partner=None, seller=None), []
    for feed in OPEN_FEEDS:
        items += walk_is_sound(validator, stranger, f"/feeds/{feed}")
    assert len(items) == len(ids)
    found = {
        item["id"]: failures
        for item in items
        if (failures := validator.failures(item["data"], "BookableRPDEFeed"))
    }
    assert found == {}


@pytest.mark.parametrize(
    "named",
    [{}, {"publisher_email": "data@kings.example", "service_url": "https://kings.example/"}],
    ids=["least", "more"],
)
def test_dataset_site(world: World, validator: Validator, named: dict[str, str]) -> None:
    """DATASET-01, DATASET-02."""
    world.set(**named)
    page = Broker(world).send("GET", "/openactive").body.decode()
    match = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert match
    assert validator.failures(json.loads(match[1]), "DatasetSite") == []
