"""Reading requests."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import (
    MalformedRequestError,
    OpenBookingError,
    OrderItemIdInvalidError,
    OrderItemNotWithinOrderError,
    PatchContainsExcessivePropertiesError,
    PatchNotAllowedOnPropertyError,
    RequestTooLargeError,
    UnexpectedOrderTypeError,
)
from chalicelib.domain.orders import OrderKind
from chalicelib.domain.parties import BrokerRole
from chalicelib.wire.requests import MAX_ITEMS, read_cancellation, read_order
from tests.support.builders import BROKER, CUSTOMER, KEY

Json = dict[str, Any]

BASE_URL = "https://booking.example/dev"
SESSION = f"{BASE_URL}/api/identifiers/scheduled-sessions/1"
OFFER = f"{BASE_URL}/api/identifiers/session-series/1#/offers/1"
INSIDE = "https://base.invalid/api/identifiers"


def an_item(position: Any = 0, **changes: Any) -> Json:
    item = {
        "@type": "OrderItem",
        "position": position,
        "orderedItem": SESSION,
        "acceptedOffer": OFFER,
        **changes,
    }
    return {name: value for name, value in item.items() if value is not ...}


def a_body(*items: Any, **changes: Any) -> Json:
    body = {
        "@type": "OrderQuote",
        "seller": f"{BASE_URL}/api/identifiers/sellers/1",
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": BROKER,
        "orderedItem": list(items) or [an_item()],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not ...}


def read(body: Json) -> Any:
    return read_order(body, KEY, OrderKind.OrderQuote, BASE_URL)


def test_both_forms_of_a_reference_mean_the_same() -> None:
    """MEDIA-09, and our own ids become what they are inside."""
    bare = read(a_body())
    objects = read(
        a_body(
            an_item(
                orderedItem={"@type": "ScheduledSession", "@id": SESSION, "name": "ignored"},
                acceptedOffer={"@type": "Offer", "@id": OFFER, "price": 0},
            ),
            seller={"@type": "Organization", "@id": f"{BASE_URL}/api/identifiers/sellers/1"},
        )
    )
    assert bare == objects
    assert bare.seller_id == f"{INSIDE}/sellers/1"
    assert bare.items[0].opportunity_id == f"{INSIDE}/scheduled-sessions/1"
    assert bare.items[0].offer_id == f"{INSIDE}/session-series/1#/offers/1"


def test_ids_of_others_are_kept_as_they_came() -> None:
    request = read(a_body(an_item(orderedItem="https://operator.example/1")))
    assert request.items[0].opportunity_id == "https://operator.example/1"


@pytest.mark.parametrize(
    "kind", [None, "Order", "OrderProposal", "https://openactive.io/OrderQuote", 7, ["OrderQuote"]]
)
def test_another_type_is_refused(kind: Any) -> None:
    """C1-01, B-01."""
    with pytest.raises(UnexpectedOrderTypeError):
        read(a_body(**{"@type": kind}))


@pytest.mark.parametrize("items", [..., [], {}, "items", 7, {"@type": "OrderItem"}])
def test_order_without_items_is_refused(items: Any) -> None:
    """C1-02."""
    with pytest.raises(MalformedRequestError):
        read(a_body() | {"orderedItem": items})


def test_order_has_a_limit_of_places() -> None:
    assert len(read(a_body(*(an_item(n) for n in range(MAX_ITEMS)))).items) == MAX_ITEMS
    with pytest.raises(RequestTooLargeError):
        read(a_body(*(an_item(n) for n in range(MAX_ITEMS + 1))))


@pytest.mark.parametrize(
    ("item", "errors"),
    [
        (an_item(), []),
        (an_item(acceptedOffer=...), ["IncompleteOrderItemError"]),
        (an_item(orderedItem=...), ["IncompleteOrderItemError"]),
        (an_item(orderedItem=..., acceptedOffer=...), ["IncompleteOrderItemError"] * 2),
        (an_item(orderedItem={"@type": "Slot"}), ["IncompleteOrderItemError"]),
        (an_item(position=...), ["IncompleteOrderItemError"]),
        (an_item("0"), ["IncompleteOrderItemError"]),
        (an_item(True), ["IncompleteOrderItemError"]),
        (an_item(-1), ["IncompleteOrderItemError"]),
        (an_item(1.5), ["IncompleteOrderItemError"]),
        ("item", ["IncompleteOrderItemError"] * 3),
        (an_item(orderedItem="session 1"), ["InvalidOpportunityOrOfferIdError"]),
        (an_item(acceptedOffer=f"{BASE_URL}/elsewhere"), ["InvalidOpportunityOrOfferIdError"]),
        # ERR-08: what is missing comes before what is wrong
        (an_item(orderedItem="session 1", acceptedOffer=...), ["IncompleteOrderItemError"]),
        (
            an_item(acceptedOffer={"@type": "OfferOverride", "@id": OFFER, "price": 1}),  # OVR-02, T18
            ["UnacceptableOfferError"],
        ),
        (an_item(acceptedOffer={"@type": "OfferOverride", "price": 1}), ["UnacceptableOfferError"]),
    ],
)
def test_item_that_cannot_be_read_says_why(item: Any, errors: list[str]) -> None:
    """C1-02, C1-04, ERR-08: in its place, and the others are read all the same."""
    first, second = read(a_body(item, an_item(9))).items
    assert [error.term for error in first.errors] == errors
    assert second.errors == ()


def test_position_that_is_used_twice_is_no_position() -> None:
    """C1-11: answers are matched by position."""
    items = read(a_body(an_item(1), an_item(2), an_item(1))).items
    assert [bool(item.errors) for item in items] == [True, False, True]


def test_order_of_items_and_their_positions_are_kept() -> None:
    """C1-11."""
    assert [item.position for item in read(a_body(an_item(5), an_item(0), an_item(3))).items] == [5, 0, 3]


@pytest.mark.parametrize(
    ("value", "role"),
    [
        ("https://openactive.io/AgentBroker", BrokerRole.AgentBroker),
        ("https://openactive.io/ResellerBroker", BrokerRole.ResellerBroker),
        ("https://openactive.io/NoBroker", BrokerRole.NoBroker),
        ("AgentBroker", None),
        ("https://openactive.io/OtherBroker", None),
        ({"@id": "https://openactive.io/AgentBroker"}, None),
        (..., None),
    ],
)
def test_broker_role(value: Any, role: BrokerRole | None) -> None:
    """ROLE-01 to ROLE-04."""
    assert read(a_body(brokerRole=value)).broker_role is role


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        ({"@type": "PriceSpecification", "price": 10}, Decimal(10)),
        ({"price": 10.5}, Decimal("10.5")),
        ({"price": "10.50"}, Decimal("10.50")),  # MEDIA-10: as text
        ({"price": 0}, Decimal(0)),
        ({"price": 0.1 + 0.1 + 0.1}, Decimal("0.30000000000000004")),
        ({"price": "-1"}, Decimal(-1)),
        ({"price": True}, None),
        ({"price": "ten"}, None),
        ({"price": "1_0"}, None),
        ({"price": "\u0661\u0660.\u0665"}, None),
        ({"price": "1e1"}, None),
        ({"price": "+10"}, None),
        ({"price": " 10"}, None),
        ({"price": "10."}, None),
        ({"price": "9" * 21}, None),
        ({"price": 10**400}, None),
        ({"price": "NaN"}, None),
        ({"price": "Infinity"}, None),
        ({"price": [10]}, None),
        ({}, None),
        (10, None),
        (..., None),
    ],
)
def test_total_that_the_broker_expects(total: Any, expected: Decimal | None) -> None:
    """B-05, MEDIA-10."""
    assert read(a_body(totalPaymentDue=total)).total_payment_due == expected


@pytest.mark.parametrize(
    ("position", "expected"),
    [(0, 0), (0.0, 0), (3.0, 3), (2**53 - 1, 2**53 - 1), (-0.0, 0)]
    + [(wrong, None) for wrong in (-1, 0.5, -1.0, 2**53, 1e300, True, "0", [0])],
)
def test_position_is_a_whole_number_however_it_is_written(position: Any, expected: int | None) -> None:
    """C1-06: JSON has one kind of number, and 0.0 is 0."""
    [item] = read(a_body(orderedItem=[an_item(position=position)])).items
    assert item.position == expected
    assert isinstance(item.position, int) is (expected is not None)
    assert bool(item.errors) is (expected is None)


def test_parties_keep_what_the_specification_knows() -> None:
    """GEN-10, DETAILS-02, MEDIA-04: extensions and unknown properties are not kept."""
    customer = {
        **CUSTOMER,
        "identifier": "C-1",
        "givenName": "Geoff",
        "familyName": "Capes",
        "telephone": "020 811 8055",
        "acme:rank": 1,
        "shoeSize": 49,
    }
    request = read(a_body(customer=customer))
    assert request.customer == {
        name: value for name, value in customer.items() if name not in ("acme:rank", "shoeSize")
    }


@pytest.mark.parametrize("party", [None, "Acme", 7, ["Acme"], True])
def test_party_that_is_no_object_is_left_to_be_judged(party: Any) -> None:
    request = read(a_body(broker=party, customer=party))
    assert (request.broker, request.customer) == (party, party)


def test_payment_keeps_what_is_implemented() -> None:
    """PAY-06: paymentMethod is reserved and not reflected."""
    payment = {
        "@type": "Payment",
        "identifier": "1",
        "name": "AcmeBroker Points",
        "accountId": "SN1593",
        "paymentProviderId": "STRIPE",
    }
    assert read(a_body(payment={**payment, "paymentMethod": "card", "acme:x": 1})).payment == payment
    assert read(a_body(payment="card")).payment is None


def test_attendee_may_have_any_property_that_is_no_extension() -> None:
    """DETAILS-03: the Seller chooses what it asks for."""
    attendee = {"@type": "Person", "givenName": "Geoff", "birthDate": "1949-08-23"}
    item = read(a_body(an_item(attendee={**attendee, "acme:x": 1}))).items[0]
    assert item.attendee == attendee
    assert read(a_body(an_item(attendee="Geoff"))).items[0].attendee is None


def test_answers_to_our_own_questions_are_known_inside() -> None:
    """DETAILS-07: `propertyID` is one of our ids, or any other."""
    answers = [
        {"@type": "PropertyValue", "propertyID": f"{BASE_URL}/api/identifiers/x#/intakeForm/1", "value": "a"},
        {"@type": "PropertyValue", "propertyID": "https://operator.example/1", "value": True, "acme:x": 1},
        {"@type": "PropertyValue", "propertyID": {"@id": "x"}},
        "nonsense",
    ]
    item = read(a_body(an_item(orderItemIntakeFormResponse=answers))).items[0]
    assert item.intake_answers == (
        {"@type": "PropertyValue", "propertyID": f"{INSIDE}/x#/intakeForm/1", "value": "a"},
        {"@type": "PropertyValue", "propertyID": "https://operator.example/1", "value": True},
        {"@type": "PropertyValue", "propertyID": {"@id": "x"}},
    )
    assert read(a_body(an_item(orderItemIntakeFormResponse="yes"))).items[0].intake_answers == ()


# --- cancellation ------------------------------------------------------------------------

OTHER_UUID = "30000000-0000-4000-8000-000000000003"
ITEM_UUID = "20000000-0000-4000-8000-000000000002"
ITEM_ID = f"{BASE_URL}/api/openbooking/orders/{KEY.uuid}#/orderedItem/{ITEM_UUID}"
ELSEWHERE = f"{BASE_URL}/api/openbooking/orders/{OTHER_UUID}#/orderedItem/{ITEM_UUID}"


def a_cancellation(*items: Any, **changes: Any) -> Json:
    return {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": list(items), **changes}


def to_cancel(item_id: Any = ITEM_ID, **changes: Any) -> Json:
    item = {
        "@type": "OrderItem",
        "@id": item_id,
        "orderItemStatus": "https://openactive.io/CustomerCancelled",
        **changes,
    }
    return {name: value for name, value in item.items() if value is not ...}


def test_items_to_cancel_are_read_each_once() -> None:
    """CANCEL-01."""
    body = a_cancellation(to_cancel(), to_cancel())
    assert read_cancellation(body, KEY, BASE_URL).item_ids == (ITEM_UUID,)


def test_properties_of_other_namespaces_are_ignored() -> None:
    """CANCEL-05."""
    body = a_cancellation(to_cancel(**{"acme:x": 1}), **{"acme:reason": "rain"})
    assert read_cancellation(body, KEY, BASE_URL).item_ids == (ITEM_UUID,)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (a_cancellation(to_cancel(), **{"@type": "OrderQuote"}), UnexpectedOrderTypeError),
        (
            a_cancellation(to_cancel(), **{"@id": "https://a.example/1"}),
            PatchContainsExcessivePropertiesError,
        ),
        (a_cancellation(to_cancel(), customer=CUSTOMER), PatchContainsExcessivePropertiesError),
        (a_cancellation(to_cancel(position=0)), PatchContainsExcessivePropertiesError),
        (a_cancellation(), MalformedRequestError),
        (a_cancellation("item"), MalformedRequestError),
        (a_cancellation(to_cancel(orderItemStatus=...)), PatchNotAllowedOnPropertyError),
        (
            a_cancellation(to_cancel(orderItemStatus="https://openactive.io/OrderItemConfirmed")),
            PatchNotAllowedOnPropertyError,
        ),
        (a_cancellation(to_cancel(orderItemStatus="CustomerCancelled")), PatchNotAllowedOnPropertyError),
        (a_cancellation(to_cancel(f"{ITEM_ID}-0-")), OrderItemIdInvalidError),
        (a_cancellation(to_cancel(...)), OrderItemIdInvalidError),
        (a_cancellation(to_cancel(7)), OrderItemIdInvalidError),
        (a_cancellation(to_cancel(), to_cancel("https://a.example/1")), OrderItemIdInvalidError),
        (a_cancellation(to_cancel(), to_cancel(ELSEWHERE)), OrderItemNotWithinOrderError),
        # CANCEL-15: the order of the checks
        (a_cancellation(to_cancel(position=0), **{"@type": "Nothing"}), UnexpectedOrderTypeError),
        (
            a_cancellation(to_cancel(orderItemStatus="x"), to_cancel(position=0)),
            PatchContainsExcessivePropertiesError,
        ),
        (a_cancellation(to_cancel("x"), to_cancel(orderItemStatus="x")), PatchNotAllowedOnPropertyError),
        (a_cancellation(to_cancel(ELSEWHERE), to_cancel("x")), OrderItemIdInvalidError),
    ],
)
def test_cancellation_that_asks_for_something_else_is_refused(
    body: Json, error: type[OpenBookingError]
) -> None:
    """CANCEL-04, CANCEL-05, CANCEL-09, CANCEL-10, CANCEL-15."""
    with pytest.raises(error):
        read_cancellation(body, KEY, BASE_URL)


def test_cancellation_may_name_its_own_order() -> None:
    """CANCEL-05."""
    body = a_cancellation(to_cancel(), **{"@id": f"{BASE_URL}/api/openbooking/orders/{KEY.uuid}"})
    request = read_cancellation(body, KEY, BASE_URL)
    assert len(request.item_ids) == 1


@pytest.mark.parametrize(
    "iri", [f"{BASE_URL}/api/openbooking/order-quotes/{KEY.uuid}", KEY.uuid, {"@id": KEY.uuid}, [], "", 7]
)
def test_cancellation_may_name_no_other_order(iri: Any) -> None:
    """CANCEL-05."""
    with pytest.raises(PatchContainsExcessivePropertiesError, match="@id"):
        read_cancellation(a_cancellation(to_cancel(), **{"@id": iri}), KEY, BASE_URL)


def test_properties_that_cannot_be_changed_are_named_while_they_are_few() -> None:
    """CANCEL-05."""
    with pytest.raises(PatchContainsExcessivePropertiesError, match="changed: customer, seller"):
        read_cancellation(a_cancellation(to_cancel(), seller="x", customer="y"), KEY, BASE_URL)


@pytest.mark.parametrize(
    "excessive",
    [{f"property{n}": n for n in range(50_000)}, {"x" * 1_000_000: 1}],
    ids=["many", "long"],
)
def test_properties_that_cannot_be_changed_are_not_echoed(excessive: dict[str, int]) -> None:
    """CANCEL-05: an answer is never as large as what was sent."""
    for body in (a_cancellation(to_cancel(), **excessive), a_cancellation(to_cancel(**excessive))):
        with pytest.raises(PatchContainsExcessivePropertiesError) as refused:
            read_cancellation(body, KEY, BASE_URL)
        assert len(str(refused.value)) < 200
        assert str(refused.value).startswith(f"{len(excessive)} properties cannot be changed.")
