"""B, Order Cancellation, Deletion and Status over the wire."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import CUSTOMER
from tests.support.world import API, BASE_URL, MEDIA_TYPE, PAYMENT, Answer, Broker, World, outer, seller_id

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
UNKNOWN = "30000000-0000-4000-8000-000000000003"


def item_ids(answer: Answer) -> list[str]:
    return [item["@id"] for item in answer.json["orderedItem"]]


def statuses(answer: Answer) -> list[str]:
    return [item["orderItemStatus"].rsplit("/", 1)[1] for item in answer.json["orderedItem"]]


def test_a_whole_booking(world: World, broker: Broker) -> None:
    """C1 -> C2 -> B -> Status -> Cancellation -> Deletion; T1, T25, C2-01, B-02, B-04, B-09, B-10, B-11, B-12, B-15, STATUS-01."""
    yoga, court = world.session(spaces=5, price=12), world.slot(price=8)
    items = [yoga.item(0), yoga.item(1), court.item(2)]
    assert broker.c1(UUID, *items).status == 200
    quote = broker.c2(UUID, *items)
    assert quote.json["totalPaymentDue"]["price"] == 32
    booked = broker.b(UUID, *items, due=32)
    order = booked.json
    assert booked.status == 201
    assert booked.headers["Location"] == f"{BASE_URL}{API}/orders/{UUID}"
    assert booked.media_type == MEDIA_TYPE
    assert (order["@type"], order["@id"]) == ("Order", booked.headers["Location"])
    assert statuses(booked) == ["OrderItemConfirmed"] * 3
    assert len(set(item_ids(booked))) == 3
    assert all(item_id.startswith(f"{order['@id']}#/orderedItem/") for item_id in item_ids(booked))
    assert order["customer"] == CUSTOMER
    assert order["payment"] == PAYMENT  # PAY-05
    assert not {"lease", "orderRequiresApproval", "orderStatus", "orderProposalVersion"} & set(order)
    assert order["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 3
    assert order["orderedItem"][2]["orderedItem"]["remainingUses"] == 0

    status = broker.status(UUID)
    assert status.status == 200
    assert item_ids(status) == item_ids(booked)
    assert all("position" not in item for item in status.json["orderedItem"])  # STATUS-03
    assert status.json["orderedItem"][0]["orderedItem"]["superEvent"]["name"] == "Yoga"
    assert "remainingAttendeeCapacity" not in status.json["orderedItem"][0]["orderedItem"]

    cancelled = broker.cancel(UUID, item_ids(booked)[0], item_ids(booked)[2])
    assert (cancelled.status, cancelled.body) == (204, b"")
    status = broker.status(UUID)
    assert item_ids(status) == item_ids(booked)  # GEN-14: what is cancelled stays an item of the Order
    assert statuses(status) == ["CustomerCancelled", "OrderItemConfirmed", "CustomerCancelled"]
    assert status.json["totalPaymentDue"]["price"] == 12
    assert status.json["totalPaymentTax"][0]["price"] == 2
    assert (world.held(yoga), world.held(court)) == (1, 0)

    deleted = broker.delete(UUID)
    assert (deleted.status, deleted.body) == (204, b"")
    assert world.held(yoga) == 0
    assert world.capacity(yoga).spaces_left == 5
    assert (broker.status(UUID).status, broker.status(UUID).json["@type"]) == (410, "GoneError")


def test_booking_again_is_answered_byte_for_byte(world: World, broker: Broker) -> None:
    """B-08, T1, T22, GEN-02: 201 with Location again, whatever has happened since."""
    yoga = world.session(spaces=2)
    first = broker.b(UUID, yoga.item(0), yoga.item(1), due=20)
    again = broker.b(UUID, yoga.item(0), yoga.item(1), due=20)
    reordered = broker.b(UUID, yoga.item(1), yoga.item(0), due=20)
    assert (first.status, again.status, reordered.status) == (201, 201, 201)
    assert first.body == again.body == reordered.body
    assert again.headers["Location"] == first.headers["Location"]
    broker.cancel(UUID, item_ids(first)[0])
    world.clock.advance(days=30)
    assert broker.b(UUID, yoga.item(0), yoga.item(1), due=20).body == first.body
    assert world.held(yoga) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"customer": {**CUSTOMER, "givenName": "Other"}},
        {"customer": {"@type": "Person", "email": "other@example.com"}},
        {"twice": True},
        {"another": True},
    ],
)
def test_another_order_under_the_same_uuid_is_refused(
    world: World, broker: Broker, changes: dict[str, Any]
) -> None:
    """B-08, GEN-05."""
    yoga, cycling = world.session(), world.session()
    broker.b(UUID, yoga.item())
    items = [yoga.item()]
    if changes.pop("twice", False):
        items.append(yoga.item(1))
    if changes.pop("another", False):
        items = [cycling.item()]
    answer = broker.b(UUID, *items, due=10 * len(items), **changes)
    assert (answer.status, answer.json["@type"]) == (500, "OrderAlreadyExistsError")
    assert world.held(yoga) == 1
    assert world.held(cycling) == 0


@pytest.mark.shows("OrderAlreadyExistsError")
def test_deleted_uuid_is_never_booked_again(world: World, broker: Broker) -> None:
    """DEL-05, B-08, GEN-05."""
    yoga = world.session()
    broker.b(UUID, yoga.item())
    broker.delete(UUID)
    answer = broker.b(UUID, yoga.item())
    assert (answer.status, answer.json["@type"]) == (500, "OrderAlreadyExistsError")
    assert world.held(yoga) == 0


def test_either_all_items_are_booked_or_none(world: World, broker: Broker) -> None:
    """B-03."""
    yoga, full = world.session(), world.session(spaces=0)
    answer = broker.b(UUID, yoga.item(), full.item(1), due=20)
    assert answer.status == 409
    assert answer.error_types() == [[], ["OpportunityIsFullError"]]
    assert all("@id" not in item for item in answer.json["orderedItem"])
    assert world.held(yoga) == 0
    assert broker.status(UUID).status == 404


@pytest.mark.shows("OpportunityIsFullError")
def test_last_space_is_sold_and_no_more(world: World, broker: Broker) -> None:
    """BOOKABLE-09, T6, BOOKABLE-11."""
    yoga = world.session(spaces=2)
    assert broker.b(UUID, yoga.item(0), yoga.item(1), due=20).status == 201
    assert broker.b(OTHER, yoga.item()).error_types() == [["OpportunityIsFullError"]]
    assert world.capacity(yoga).spaces_left == 0


@pytest.mark.parametrize(
    ("price", "due", "payment", "status", "kind"),
    [
        (0, 0, ..., 201, None),  # PAY-16
        (0, 0, PAYMENT, 400, "UnnecessaryPaymentDetailsError"),  # PAY-10
        (0, 0, {"@type": "Payment"}, 400, "UnnecessaryPaymentDetailsError"),
        (0, 1, ..., 400, "TotalPaymentDueMismatchError"),
        (0, None, ..., 400, "TotalPaymentDueMismatchError"),
        (10, 10, PAYMENT, 201, None),
        (10, "10.00", PAYMENT, 201, None),  # MEDIA-10: a price may come as text
        (10, 10, ..., 400, "MissingPaymentDetailsError"),
        (10, 10, {"@type": "Payment"}, 400, "IncompletePaymentDetailsError"),
        (10, 9.99, ..., 400, "TotalPaymentDueMismatchError"),  # PAY-15: the total first
    ],
)
def test_payment_at_b(
    world: World, broker: Broker, price: float, due: Any, payment: Any, status: int, kind: str | None
) -> None:
    """B-05, PAY-09, PAY-10, PAY-11, PAY-15, PAY-16."""
    total = ... if due is None else {"@type": "PriceSpecification", "price": due}
    answer = broker.b(UUID, world.session(price=price).item(), payment=payment, totalPaymentDue=total)
    assert (answer.status, answer.json["@type"]) == (status, kind or "Order")
    assert ("payment" in answer.json) is (status == 201 and price > 0)


@pytest.mark.parametrize(
    ("prepayment", "payment", "status"),
    [
        ("Unavailable", ..., 201),
        ("Unavailable", PAYMENT, 400),
        ("Optional", ..., 201),
        ("Optional", PAYMENT, 201),
        ("Optional", {"@type": "Payment"}, 400),
        ("Required", ..., 400),
        ("Required", PAYMENT, 201),
    ],
)
def test_prepayment_at_b(world: World, broker: Broker, prepayment: str, payment: Any, status: int) -> None:
    """PAY-09, PAY-10, PAY-13."""
    yoga = world.session(offer={"openBookingPrepayment": f"https://openactive.io/{prepayment}"})
    assert broker.b(UUID, yoga.item(), payment=payment).status == status


@pytest.mark.shows("OrderCreationFailedError")
def test_what_needs_approval_is_not_booked_at_once(world: World, broker: Broker) -> None:
    """B-21; OrderCreationFailedError in the error table."""
    offer = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    answer = broker.b(UUID, world.session(offer=offer).item())
    assert (answer.status, answer.json["@type"]) == (500, "OrderCreationFailedError")


def test_two_partners_may_use_the_same_uuid(world: World, broker: Broker) -> None:
    """GEN-04, AUTH-02, AUTH-03, STATUS-04: two Orders, and neither partner sees or touches the other's."""
    yoga, other = world.session(spaces=5), Broker(world, "partner-2")
    mine = broker.b(UUID, yoga.item())
    assert other.status(UUID).json["@type"] == "UnknownOrderError"
    assert other.cancel(UUID, *item_ids(mine)).json["@type"] == "UnknownOrderError"
    assert other.delete(UUID).json["@type"] == "UnknownOrderError"
    theirs = other.b(UUID, yoga.item(0), yoga.item(1), due=20)
    assert theirs.status == 201
    assert set(item_ids(theirs)).isdisjoint(item_ids(mine))
    answer = other.cancel(UUID, *item_ids(mine))
    assert (answer.status, answer.json["@type"]) == (500, "OrderItemIdInvalidError")
    assert answer.json["instance"] == item_ids(mine)[0]
    assert other.delete(UUID).status == 204
    assert statuses(broker.status(UUID)) == ["OrderItemConfirmed"]
    assert world.held(yoga) == 1


@pytest.mark.parametrize("verb", ["GET", "PATCH", "DELETE", "PUT"])
def test_order_of_another_seller_is_not_touched(world: World, broker: Broker, verb: str) -> None:
    """AUTH-06, AUTH-12: the same credentials, the other Seller's authorisation; also not by a repeated B."""
    yoga = world.session()
    booked = broker.b(UUID, yoga.item())
    other = Broker(world, seller=2)
    answer = {
        "GET": lambda: other.status(UUID),
        "PATCH": lambda: other.cancel(UUID, *item_ids(booked)),
        "DELETE": lambda: other.delete(UUID),
        "PUT": lambda: other.b(UUID, yoga.item()),
    }[verb]()
    expected = (
        (500, "OrderAlreadyExistsError") if verb == "PUT" else (401, "InvalidAuthorizationDetailsError")
    )
    assert (answer.status, answer.json["@type"]) == expected
    assert statuses(broker.status(UUID)) == ["OrderItemConfirmed"]


@pytest.mark.parametrize("verb", ["GET", "PATCH", "DELETE"])
def test_caller_without_a_seller_touches_no_order(world: World, verb: str) -> None:
    """AUTH-06."""
    body = Broker(world).body("Order") | {"orderedItem": [{"@type": "OrderItem"}]}
    answer = Broker(world, seller=None).send(verb, f"{API}/orders/{UUID}", body if verb == "PATCH" else None)
    assert (answer.status, answer.json["@type"]) == (401, "InvalidAuthorizationDetailsError")


# --- cancellation ------------------------------------------------------------------------


def test_cancelling_again_is_204_and_changes_nothing(world: World, broker: Broker) -> None:
    """CANCEL-02, CANCEL-03, GEN-02: also when it would be too late."""
    yoga = world.session()
    booked = broker.b(UUID, yoga.item())
    assert broker.cancel(UUID, *item_ids(booked)).status == 204
    version = getattr(world.order(UUID), "version", None)
    world.clock.advance(days=9)
    assert broker.cancel(UUID, *item_ids(booked)).status == 204
    assert getattr(world.order(UUID), "version", None) == version
    assert world.capacity(yoga).spaces_left == 10


@pytest.mark.parametrize(
    ("offer", "starts_in", "status"),
    [
        ({}, timedelta(hours=1), 204),
        ({"allowCustomerCancellationFullRefund": False}, timedelta(days=2), 400),
        ({"latestCancellationBeforeStartDate": "P1D"}, timedelta(hours=25), 204),
        ({"latestCancellationBeforeStartDate": "P1D"}, timedelta(hours=23), 400),
        ({}, timedelta(minutes=-10), 400),  # CANCEL-08: it has started
    ],
)
def test_cancellation_policy(
    world: World, broker: Broker, offer: dict[str, Any], starts_in: timedelta, status: int
) -> None:
    """CANCEL-06, CANCEL-07, CANCEL-08."""
    booked = broker.b(UUID, world.session(offer=offer, starts_in=starts_in).item())
    answer = broker.cancel(UUID, *item_ids(booked))
    assert answer.status == status
    if status == 400:
        assert answer.json["@type"] == "CancellationNotPermittedError"
        assert answer.json["description"].endswith(".")
        assert answer.json["instance"] == item_ids(booked)[0]  # ERR-01: a URI
        assert statuses(broker.status(UUID)) == ["OrderItemConfirmed"]


@pytest.mark.shows("CancellationNotPermittedError")
def test_cancellation_is_of_all_or_none(world: World, broker: Broker) -> None:
    """CANCEL-02."""
    yoga = world.session()
    fixed = world.session(offer={"allowCustomerCancellationFullRefund": False})
    booked = broker.b(UUID, yoga.item(), fixed.item(1), due=20)
    assert broker.cancel(UUID, *item_ids(booked)).status == 400
    assert statuses(broker.status(UUID)) == ["OrderItemConfirmed"] * 2
    assert broker.cancel(UUID, item_ids(booked)[0]).status == 204
    assert statuses(broker.status(UUID)) == ["CustomerCancelled", "OrderItemConfirmed"]


def test_offer_changed_since_does_not_change_the_policy_that_was_booked(world: World, broker: Broker) -> None:
    """CANCEL-06, B-13."""
    yoga = world.session()
    booked = broker.b(UUID, yoga.item())
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    seller = world.store.seller(listing.opportunity.seller_id)
    assert seller is not None
    strict = {"@type": "Offer", "@id": yoga.offer_id, "price": 99, "priceCurrency": "GBP"}
    document = listing.opportunity.document | {"offers": [strict], "organizer": seller.document}
    world.publish(document, listing.opportunity.parent)
    assert broker.status(UUID).json["orderedItem"][0]["acceptedOffer"]["price"] == 10
    assert broker.cancel(UUID, *item_ids(booked)).status == 204


CANCELLED = "https://openactive.io/CustomerCancelled"


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"@type": "OrderQuote"}, 500, "UnexpectedOrderTypeError"),
        ({"@id": "https://a.example/"}, 400, "PatchContainsExcessivePropertiesError"),
        ({"totalPaymentDue": {"price": 0}}, 400, "PatchContainsExcessivePropertiesError"),
        ({"item": {"position": 0}}, 400, "PatchContainsExcessivePropertiesError"),
        (
            {"item": {"orderItemStatus": "https://openactive.io/SellerCancelled"}},
            400,
            "PatchNotAllowedOnPropertyError",
        ),
        ({"item": {"@id": "nonsense"}}, 500, "OrderItemIdInvalidError"),
        ({"suffix": "-0-"}, 500, "OrderItemIdInvalidError"),
        ({"orderedItem": []}, 400, "UnexpectedOrderTypeError"),
        ({"acme:reason": "rain"}, 204, None),
    ],
)
def test_patch_that_asks_for_something_else(
    world: World, broker: Broker, change: dict[str, Any], status: int, kind: str | None
) -> None:
    """CANCEL-04, CANCEL-05, CANCEL-09, T16: and nothing is changed by it."""
    booked = broker.b(UUID, world.session().item())
    item = {
        "@type": "OrderItem",
        "@id": item_ids(booked)[0] + change.pop("suffix", ""),
        "orderItemStatus": CANCELLED,
        **change.pop("item", {}),
    }
    body = {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": [item], **change}
    answer = broker.send("PATCH", f"{API}/orders/{UUID}", body)
    assert answer.status == status
    if kind:
        assert answer.json["@type"] == kind
        assert statuses(broker.status(UUID)) == ["OrderItemConfirmed"]


@pytest.mark.shows("OrderItemNotWithinOrderError")
def test_item_of_another_order_is_told_before_the_order_is_looked_for(world: World, broker: Broker) -> None:
    """CANCEL-10, CANCEL-15."""
    booked = broker.b(UUID, world.session().item())
    answer = broker.cancel(UNKNOWN, *item_ids(booked))
    assert (answer.status, answer.json["@type"]) == (500, "OrderItemNotWithinOrderError")
    own = item_ids(booked)[0].replace(UUID, UNKNOWN)
    answer = broker.cancel(UNKNOWN, own)
    assert (answer.status, answer.json["@type"]) == (404, "UnknownOrderError")


@pytest.mark.shows("GoneError")
def test_deleted_order_is_gone(world: World, broker: Broker) -> None:
    """DEL-01, DEL-06, DEL-08, CANCEL-10; DEL-04: its stub knows nobody."""
    booked = broker.b(UUID, world.session().item())
    assert broker.delete(UUID).status == 204
    assert broker.delete(UUID).status == 204
    for answer in (broker.status(UUID), broker.cancel(UUID, *item_ids(booked))):
        assert (answer.status, answer.json["@type"]) == (410, "GoneError")
    assert "geoff" not in repr(world.order(UUID))


@pytest.mark.shows("UnknownOrderError")
def test_unknown_order(world: World, broker: Broker) -> None:
    """DEL-02, T10, STATUS-04."""
    for answer in (broker.delete(UNKNOWN), broker.status(UNKNOWN)):
        assert (answer.status, answer.json["@type"]) == (404, "UnknownOrderError")
        assert answer.media_type == MEDIA_TYPE


def test_uuid_is_the_same_in_capitals(world: World, broker: Broker) -> None:
    """T27, GEN-01."""
    uuid = "abcdef00-0000-4000-8000-00000000000f"
    booked = broker.b(uuid.upper(), world.session().item())
    assert booked.json["@id"].endswith(f"/orders/{uuid}")
    assert broker.status(uuid).status == 200


def test_ids_follow_the_base_url_that_is_set(world: World, broker: Broker) -> None:
    """MEDIA-05: stable, whichever host the request happened to use."""
    world.set(base_url="https://booking.example/dev")
    yoga = world.session()
    item = yoga.item() | {
        "orderedItem": yoga.id.replace("https://base.invalid", "https://booking.example/dev"),
        "acceptedOffer": yoga.offer_id.replace("https://base.invalid", "https://booking.example/dev"),
    }
    seller = seller_id(1).replace("https://base.invalid", "https://booking.example/dev")
    headers = {"X-OpenActive-Test-Seller-Id": seller}
    body = broker.body("OrderQuote", item, seller=seller)
    answer = broker.send("PUT", f"{API}/order-quote-templates/{UUID}", body, headers)
    assert answer.status == 200
    assert answer.json["@id"] == f"https://booking.example/dev{API}/order-quotes/{UUID}"
    assert BASE_URL.encode() not in answer.body
    assert outer("https://base.invalid").encode() not in answer.body
