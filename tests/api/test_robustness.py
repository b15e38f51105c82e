"""Whatever is sent: an answer in our form, and never a fault of ours."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from chalicelib.runtime.system import install
from tests.support.world import API, MEDIA_TYPE, PAYMENT, Broker, World, outer, seller_id

UUID = "10000000-0000-4000-8000-000000000001"
QUESTION = {
    "@type": "DropdownFormFieldSpecification",
    "@id": "https://base.invalid/api/identifiers/session-series/1#/intakeForm/1",
    "name": "Level",
    "valueOption": ["a", "b"],
    "valueRequired": True,
}

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "Order",
        "OrderQuote",
        "Person",
        "Organization",
        "https://openactive.io/NoBroker",
        "https://openactive.io/CustomerCancelled",
        outer(seller_id(1)),
        outer(seller_id(2)),
        "https://a.example/" + "x" * 3000,
        "http://[",
        "constructor",
        "\x00",
    ]
)
numbers = st.integers() | st.integers(10**18, 10**40) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            texts | st.sampled_from(["@id", "@type", "name", "email", "price"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield World()
    install(None)


@pytest.fixture(scope="module")
def bodies(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    """A body for each endpoint that takes one, which would be accepted as it stands."""
    broker = Broker(world)
    asking = world.session(spaces=1000, attendee=("https://schema.org/givenName",), form=(QUESTION,))
    item = asking.item(
        attendee={"@type": "Person", "givenName": "Geoff"},
        orderItemIntakeFormResponse=[
            {"@type": "PropertyValue", "propertyID": outer(QUESTION["@id"]), "value": "a"}
        ],
    )
    customer = {
        "@type": "Person",
        "email": "geoff@example.com",
        "address": {"@type": "PostalAddress", "postalCode": "OX1 1AA"},
    }
    quote = broker.body("OrderQuote", item, item | {"position": 1}, customer=customer, payment=PAYMENT)
    order = quote | {"@type": "Order", "totalPaymentDue": {"@type": "PriceSpecification", "price": 20}}
    made = broker.send("PUT", f"{API}/orders/{UUID}", order)
    assert made.status == 201
    cancellation = {
        "@context": "https://openactive.io/",
        "@type": "Order",
        "orderedItem": [
            {
                "@type": "OrderItem",
                "@id": made.json["orderedItem"][0]["@id"],
                "orderItemStatus": "https://openactive.io/CustomerCancelled",
            }
        ],
    }
    return {
        ("PUT", "order-quote-templates"): quote,
        ("PUT", "order-quotes"): quote,
        ("PUT", "orders"): order,
        ("PATCH", "orders"): cancellation,
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document where something stands."""
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for key, inner in value.items() for place in places(inner, (*path, key))]
    if isinstance(value, list):
        return found + [place for n, inner in enumerate(value) for place in places(inner, (*path, n))]
    return found


def mutated(body: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """The body with one to three of its values dropped, replaced or repeated, or one added."""
    document: dict[str, Any] = copy.deepcopy(body)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(document) or [("@type",)]))
        holder: Any = document
        for step in place[:-1]:
            holder = holder[step]
        match data.draw(st.sampled_from(["drop", "replace", "add", "repeat"])):
            case "drop":
                if isinstance(holder, list) or place[-1] in holder:
                    del holder[place[-1]]
            case "replace":
                holder[place[-1]] = data.draw(values)
            case "add" if isinstance(holder, dict):
                holder[data.draw(texts)] = data.draw(values)
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[place[-1]]))
            case _:
                pass
    return document


def values_in(value: Any) -> list[Any]:
    """Everything at any depth that is no object or list."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [each for one in inner for each in values_in(one)]
    return [value]


ENDPOINTS = [
    ("PUT", "order-quote-templates"),
    ("PUT", "order-quotes"),
    ("PUT", "orders"),
    ("PATCH", "orders"),
]


@pytest.mark.parametrize(("verb", "path"), ENDPOINTS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_mutation_of_a_body_is_answered(
    world: World, bodies: dict[tuple[str, str], dict[str, Any]], verb: str, path: str, data: st.DataObject
) -> None:
    """ERR-03, ERR-04, ERR-06, MEDIA-03."""
    number = data.draw(st.integers(1, 5))
    body = mutated(bodies[verb, path], data)
    answer = Broker(world).send(verb, f"{API}/{path}/10000000-0000-4000-8000-00000000000{number}", body)
    if answer.status == 204:
        assert answer.body == b""
        return
    assert answer.media_type == MEDIA_TYPE
    document = answer.json
    assert document["@context"]
    assert document["@type"] not in ("InternalApplicationError", "OpenBookingError")
    assert answer.status in (200, 201, 400, 401, 404, 409, 410, 413, 500)
    assert document["@type"].endswith("Error") or document["@type"] in ("Order", "OrderQuote")
    assert None not in values_in(document)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()),
    endpoint=st.sampled_from(ENDPOINTS),
)
def test_any_bytes_are_answered(world: World, body: bytes, endpoint: tuple[str, str]) -> None:
    """ERR-04, ERR-06."""
    assume(b"@type" not in body)  # else there may be another error
    verb, path = endpoint
    answer = Broker(world).send(verb, f"{API}/{path}/{UUID}", body)
    assert answer.status in (400, 500)
    assert answer.json["@type"] == "UnexpectedOrderTypeError"
    assert answer.json["@context"] == "https://openactive.io/"
