"""Large Orders on tables: rows, transactions and feeds take what the bounds let in."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.api import streams
from chalicelib.booking.decisions import save_order
from chalicelib.domain.limits import MAX_NOTE_BYTES, MAX_ROW_BYTES
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.order_documents import packed
from chalicelib.values import replace
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE, dynoxide, moto, new_tables
from tests.support.large import free, noise, places, prose
from tests.support.world import API, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"
Row = dict[str, Any]


@pytest.fixture(scope="module", params=["moto", pytest.param("dynoxide", marks=pytest.mark.dynoxide)])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    if request.param == "dynoxide" and not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    with moto() if request.param == "moto" else dynoxide() as url:
        made = new_tables("sizes", url)
        yield made
        made.connection.client.close()


@pytest.fixture
def world(tables: Tables) -> Iterator[World]:
    yield World(store=DynamoStore(tables), feeds=DynamoFeeds(tables), pending=DynamoPending(tables))
    install(None)


def order_row(tables: Tables, key: OrderKey) -> Row:
    row: Row = tables.connection.client.get_item(
        TableName=tables.name("orders"), Key={"order_key": {"S": str(key)}}
    )["Item"]
    assert len(row["document"]["B"]) <= MAX_ROW_BYTES
    return row


def published(tables: Tables, broker: Broker, key: OrderKey) -> list[str]:
    """Bring the Order's row to the feed as its stream does; the ids in the feed afterwards."""
    row = order_row(tables, key)
    image = {**row, "document": {"B": base64.b64encode(row["document"]["B"]).decode()}}
    record = {"dynamodb": {"Keys": {"order_key": row["order_key"]}, "NewImage": image, "SequenceNumber": "1"}}
    assert streams.orders_changed([record]) == {"batchItemFailures": []}
    return [item["id"] for item in broker.send("GET", f"{API}/orders-rpde").json["items"]]


def test_200_places_on_24_sessions_with_texts_of_30_kb(world: World, tables: Tables) -> None:
    """B, cancellation of one, Seller's cancellation of all: 201, 204, in the feed."""
    broker, key = Broker(world, "many"), OrderKey("many", UUID)
    sessions = [free(world, prose(30_000, n)) for n in range(24)]
    items = places(sessions, 200)
    assert broker.c2(UUID, *items).status == 200
    booked = broker.b(UUID, *items, due=0)
    assert booked.status == 201
    assert broker.b(UUID, *items, due=0).body == booked.body
    assert broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    assert published(tables, broker, key) == [UUID]
    world.system.seller_actions.cancel(key, message=noise(MAX_NOTE_BYTES))
    assert published(tables, broker, key) == [UUID]
    assert sum(world.held(session) for session in sessions) == 0


def test_row_of_the_largest_size_is_written_changed_and_published(world: World, tables: Tables) -> None:
    """What release 0.1.0 took may fill the whole row; so may what grows after B."""
    broker, key = Broker(world, "largest"), OrderKey("largest", UUID)
    booked = broker.b(UUID, free(world).item(), due=0)
    order = world.store.orders([key])[key]
    assert isinstance(order, Order)

    def with_passes(size: int) -> Order:
        passes = ({"@type": "Barcode", "text": noise(size)},)
        return replace(order, items=tuple(replace(item, access_passes=passes) for item in order.items))

    size = next(
        size for size in range(500_000, 0, -500) if len(packed(with_passes(size))) <= MAX_ROW_BYTES - 200
    )
    world.store.commit([save_order(with_passes(size), order)])
    assert broker.cancel(UUID, booked.json["orderedItem"][0]["@id"]).status == 204
    assert published(tables, broker, key) == [UUID]
    [stored] = [row for row in feed_rows(tables, "orders#largest") if "item" in row]
    assert MAX_ROW_BYTES - 20_000 < len(stored["item"]["B"]) <= MAX_ROW_BYTES


def feed_rows(tables: Tables, feed_id: str) -> list[Row]:
    rows: list[Row] = tables.connection.client.query(
        TableName=tables.name("feeds"),
        KeyConditionExpression="feed_id = :feed",
        ExpressionAttributeValues={":feed": {"S": feed_id}},
    )["Items"]
    return rows
