"""The same, on tables: what the store in memory cannot show."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from chalicelib.api import streams
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from tests.support.engines import new_tables, simulated_aws
from tests.support.world import API, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"

_prefixes = (f"api{number}" for number in count())


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    """One set of tables for this module; each test has opportunities and partners of its own."""
    with simulated_aws():
        made = new_tables(next(_prefixes))
        yield made
        made.connection.client.close()


@pytest.fixture(scope="module")
def _world(tables: Tables) -> Iterator[World]:
    yield World(store=DynamoStore(tables), feeds=DynamoFeeds(tables), pending=DynamoPending(tables))
    install(None)


_partners = (f"partner-{number}" for number in count(1000))


@pytest.fixture
def world(_world: World) -> World:
    install(_world.system)
    return _world


@pytest.fixture
def broker(world: World) -> Broker:
    return Broker(world, next(_partners))


def stream(tables: Tables, table: str) -> list[dict[str, Any]]:
    """A record for each row that stands in a table, as its stream would bring it."""
    client = tables.connection.client
    rows = client.scan(TableName=tables.name(table))["Items"]
    keys = ("opportunity_id", "part") if table == "inventory" else ("order_key",)
    return [
        {
            "eventName": "MODIFY",
            "dynamodb": {
                "Keys": {key: row[key] for key in keys},
                "NewImage": row,
                "SequenceNumber": str(number),
            },
        }
        for number, row in enumerate(rows, start=1)
    ]


def test_a_whole_booking(world: World, broker: Broker, tables: Tables) -> None:
    """C1, C2, B, B again byte for byte, Status, Cancellation, feeds, Deletion: B-08, B-22, OFEED-02, DEL-04."""
    yoga, court = world.session(spaces=5, price=12), world.slot(price=8)
    items = [yoga.item(0), yoga.item(1), court.item(2)]
    assert broker.c1(UUID, *items).status == 200
    assert broker.c2(UUID, *items).json["totalPaymentDue"]["price"] == 32
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased) == (3, 2)
    booked = broker.b(UUID, *items, due=32)
    assert booked.status == 201
    assert broker.b(UUID, *reversed(items), due=32).body == booked.body
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased, world.held(yoga)) == (3, 0, 2)

    def fed() -> list[dict[str, Any]]:
        streams.orders_changed(stream(tables, "orders"))
        items: list[dict[str, Any]] = broker.send("GET", f"{API}/orders-rpde").json["items"]
        return items

    assert fed() == []
    item_id = booked.json["orderedItem"][0]["@id"]
    assert broker.cancel(UUID, item_id).status == 204
    assert broker.cancel(UUID, item_id).status == 204
    assert [(item["state"], item["id"]) for item in fed()] == [("updated", UUID)]
    assert broker.status(UUID).json["totalPaymentDue"]["price"] == 20
    assert broker.delete(UUID).status == 204
    assert [(item["state"], item["id"]) for item in fed()] == [("deleted", UUID)]
    assert broker.b(UUID, *items, due=32).json["@type"] == "OrderAlreadyExistsError"
    assert (world.held(yoga), world.capacity(yoga).spaces_left) == (0, 5)
    row = tables.connection.client.get_item(
        TableName=tables.name("orders"), Key={"order_key": {"S": f"{broker.partner}#{UUID}"}}
    )["Item"]
    assert set(row) == {
        "order_key",
        "kind",
        "version",
        "published",
        "seller_id",
        "row_format",
    }  # nothing personal


def test_leases_end_by_the_clock(world: World, broker: Broker) -> None:
    """LEASE-04, LEASE-07, LEASE-09: with no sweep; somebody else takes what has ended."""
    yoga = world.session(spaces=1)
    other = Broker(world, next(_partners))
    assert broker.c2(UUID, yoga.item()).status == 200
    assert other.c1(UUID, yoga.item()).error_types() == [["OpportunityCapacityIsReservedByLeaseError"]]
    world.clock.advance(hours=1)
    assert other.b(UUID, yoga.item()).status == 201
    assert broker.b(UUID, yoga.item()).error_types() == [["OpportunityIsFullError"]]
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased, world.held(yoga)) == (0, 0, 1)


def test_amended_quote_releases_what_it_no_longer_asks_for(world: World, broker: Broker) -> None:
    """LEASE-03, QDEL-02."""
    yoga, court = world.session(spaces=4), world.slot()
    broker.c1(UUID, yoga.item(0), yoga.item(1), court.item(2))
    broker.c2(UUID, yoga.item(0))
    assert (world.held(yoga), world.held(court)) == (1, 0)
    assert broker.delete_quote(UUID).status == 204
    assert broker.delete_quote(UUID).status == 204
    assert (world.held(yoga), world.capacity(yoga).spaces_leased) == (0, 0)


@pytest.mark.parametrize(
    "customer",
    [
        {"identifier": 10**30},
        {"identifier": 1.5e300},
        {"name": "Zoë 🚣 \x00"},
        {"address": {"@type": "PostalAddress", "streetAddress": "x" * 100_000}},
        {"sameAs": [False, 0, {"a": [{"b": 0.1}]}]},
    ],
    ids=["large number", "larger number", "letters", "long text", "nested"],
)
def test_whatever_a_customer_is_called_survives_the_row(
    world: World, broker: Broker, customer: dict[str, Any]
) -> None:
    """DETAILS-02, C2-04."""
    yoga = world.session()
    whole = {"@type": "Person", "email": "geoff@example.com", **customer}
    assert broker.b(UUID, yoga.item(), customer=whole).json["customer"] == whole
    assert broker.status(UUID).json["customer"] == whole


def test_order_that_fits_no_row_is_refused_and_nothing_is_written(world: World, broker: Broker) -> None:
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=900_000))
    yoga = world.session()
    answer = broker.b(
        UUID, yoga.item(), customer={"@type": "Person", "email": "a@example.com", "name": noise}
    )
    assert (answer.status, answer.json["@type"]) == (413, "UnexpectedOrderTypeError")
    assert world.held(yoga) == 0
    assert broker.status(UUID).status == 404


@pytest.mark.parametrize("term", ["orderedItem", "acceptedOffer"])
@pytest.mark.parametrize(
    "iri", ["https://a.example/" + "é" * 1100, "x" * 3000, "\x00", "https://a.example/\x00"]
)
def test_ids_that_no_row_can_have_are_an_error_of_their_item(
    world: World, broker: Broker, term: str, iri: str
) -> None:
    """InvalidOpportunityOrOfferIdError; and never a fault of ours."""
    answer = broker.c1(UUID, world.session().item(**{term: iri}))
    assert answer.status == 409
    assert answer.error_types()[0][0] in (
        "InvalidOpportunityOrOfferIdError",
        "UnknownOpportunityError",
        "UnknownOfferError",
    )


def test_open_feeds_from_the_rows_that_stand(world: World, broker: Broker, tables: Tables) -> None:
    """OPEN-01, LEASE-08, RPDE-06."""
    yoga = world.session(spaces=5)
    broker.c1(UUID, yoga.item())
    ours = [
        record for record in stream(tables, "inventory") if yoga.id in json.dumps(record["dynamodb"]["Keys"])
    ]
    assert streams.inventory_changed(ours) == {"batchItemFailures": []}
    items = broker.send("GET", "/feeds/scheduled-sessions").json["items"]
    [item] = [each for each in items if each["id"] == yoga.outer_id]
    assert item["data"]["remainingAttendeeCapacity"] == 4
    assert streams.inventory_changed(ours) == {"batchItemFailures": []}
    assert broker.send("GET", "/feeds/scheduled-sessions").json["items"] == items
