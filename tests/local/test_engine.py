from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from openbooking.local.embedded import EmbeddedEngine, EngineRunningError
from openbooking.local.engine import (
    REGION,
    Engine,
    EngineUnreachableError,
    dynamodb_client,
    environment,
    streams_client,
)
from openbooking.local.server import PortTakenError, bind
from openbooking.local.stack import environment_variables
from openbooking.local.tables import create_tables


def test_tables_and_their_streams_exist_on_the_engine(engine: Engine) -> None:
    client, streams = dynamodb_client(engine.url), streams_client(engine.url)
    create_tables(client, "there")
    arn = client.describe_table(TableName="there-orders")["Table"]["LatestStreamArn"]
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    client.close()
    streams.close()
    assert described["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert len(described["Shards"]) == 1


def test_its_environment_is_all_that_a_library_needs_to_reach_it(engine: Engine) -> None:
    mixed_up = {"AWS_PROFILE": "another", "AWS_SESSION_TOKEN": "theirs"}
    with environment_variables({**mixed_up, **environment(engine.url)}):
        assert "AWS_PROFILE" not in os.environ
        client = boto3.client("dynamodb", endpoint_url=os.environ["DYNAMODB_URL"])
        create_tables(client, "environment")
        names = client.list_tables()["TableNames"]
        client.close()
    assert client.meta.region_name == REGION
    assert "environment-orders" in names


def test_the_environment_is_as_before_afterwards() -> None:
    os.environ["OPENBOOKING_TEST_KEPT"] = "before"
    with environment_variables({"OPENBOOKING_TEST_KEPT": None, "OPENBOOKING_TEST_NEW": "x"}):
        assert "OPENBOOKING_TEST_KEPT" not in os.environ
        assert os.environ["OPENBOOKING_TEST_NEW"] == "x"
    assert os.environ.pop("OPENBOOKING_TEST_KEPT") == "before"
    assert "OPENBOOKING_TEST_NEW" not in os.environ


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:abc", "localhost:8002", "http://"])
def test_an_engine_that_cannot_be_reached_is_named_as_it_was_given(url: str) -> None:
    with pytest.raises(EngineUnreachableError, match=f"^No DynamoDB engine answers at {url.rstrip('/')}"):
        Engine(url).start()


def test_the_embedded_engine_is_empty_at_every_start() -> None:
    for _ in range(2):
        engine = EmbeddedEngine()
        engine.start()
        client = dynamodb_client(engine.url)
        assert client.list_tables()["TableNames"] == []
        create_tables(client, "again")
        client.close()
        engine.stop()


def test_the_embedded_engine_takes_one_transaction_after_the_other() -> None:
    engine = EmbeddedEngine()
    engine.start()
    client = dynamodb_client(engine.url)
    create_tables(client, "race")
    client.put_item(TableName="race-orders", Item={"order_key": {"S": "k"}, "left": {"N": "5"}})

    def take_one(_: int) -> bool:
        try:
            client.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": "race-orders",
                            "Key": {"order_key": {"S": "k"}},
                            "UpdateExpression": "ADD #left :minus",
                            "ConditionExpression": "#left >= :one",
                            "ExpressionAttributeNames": {"#left": "left"},
                            "ExpressionAttributeValues": {
                                ":minus": {"N": "-1"},
                                ":one": {"N": "1"},
                            },
                        }
                    }
                ]
            )
        except client.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take_one, range(20)))
    left = client.get_item(TableName="race-orders", Key={"order_key": {"S": "k"}})["Item"]["left"]
    client.close()
    engine.stop()
    assert (taken, left) == (5, {"N": "0"})


class Ledger:
    """A table on an embedded engine, with a transaction that a condition can refuse."""

    def __init__(self, client: Any, streams: Any) -> None:
        self.client = client
        create_tables(client, "ledger")
        client.put_item(TableName="ledger-orders", Item={"order_key": {"S": "guard"}})
        arn = client.describe_table(TableName="ledger-orders")["Table"]["LatestStreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        self._streams = streams
        self._iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def write(self, *, allowed: bool) -> None:
        """Puts `new`, changes `old`, deletes `gone`, if the guard lets it."""
        guard = "attribute_exists(order_key)" if allowed else "attribute_not_exists(order_key)"
        self.client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "ledger-orders", "Item": {"order_key": {"S": "new"}}}},
                {
                    "Update": {
                        "TableName": "ledger-orders",
                        "Key": {"order_key": {"S": "old"}},
                        "UpdateExpression": "SET n = :n",
                        "ExpressionAttributeValues": {":n": {"N": "2"}},
                    }
                },
                {"Delete": {"TableName": "ledger-orders", "Key": {"order_key": {"S": "gone"}}}},
                {"Delete": {"TableName": "ledger-inventory", "Key": INVENTORY_KEY}},
                {
                    "ConditionCheck": {
                        "TableName": "ledger-orders",
                        "Key": {"order_key": {"S": "guard"}},
                        "ConditionExpression": guard,
                    }
                },
            ]
        )

    def rows(self) -> dict[str, str | None]:
        rows = self.client.scan(TableName="ledger-orders")["Items"]
        return {row["order_key"]["S"]: row.get("n", {}).get("N") for row in rows}

    def inventory(self) -> int:
        return int(self.client.scan(TableName="ledger-inventory")["Count"])

    def news(self) -> list[tuple[str, str]]:
        """What the stream has had since the last call, read with the iterator of then."""
        answer = self._streams.get_records(ShardIterator=self._iterator)
        self._iterator = answer["NextShardIterator"]
        return [(each["eventName"], each["dynamodb"]["Keys"]["order_key"]["S"]) for each in answer["Records"]]


INVENTORY_KEY = {"opportunity_id": {"S": "session"}, "part": {"S": "details"}}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    engine = EmbeddedEngine()
    engine.start()
    client, streams = dynamodb_client(engine.url), streams_client(engine.url)
    ledger = Ledger(client, streams)
    client.put_item(TableName="ledger-orders", Item={"order_key": {"S": "old"}, "n": {"N": "1"}})
    client.put_item(TableName="ledger-orders", Item={"order_key": {"S": "gone"}})
    client.put_item(TableName="ledger-inventory", Item=INVENTORY_KEY)
    ledger.news()
    yield ledger
    client.close()
    streams.close()
    engine.stop()


def test_a_refused_transaction_leaves_neither_rows_nor_records(ledger: Ledger) -> None:
    with pytest.raises(ledger.client.exceptions.TransactionCanceledException):
        ledger.write(allowed=False)
    assert ledger.rows() == {"guard": None, "old": "1", "gone": None}
    assert ledger.inventory() == 1
    assert ledger.news() == []


def test_after_a_refused_transaction_the_stream_continues(ledger: Ledger) -> None:
    with pytest.raises(ledger.client.exceptions.TransactionCanceledException):
        ledger.write(allowed=False)
    ledger.write(allowed=True)
    ledger.client.put_item(TableName="ledger-orders", Item={"order_key": {"S": "later"}})
    assert ledger.rows() == {"guard": None, "old": "2", "new": None, "later": None}
    assert ledger.inventory() == 0
    written = [("INSERT", "new"), ("MODIFY", "old"), ("REMOVE", "gone"), ("INSERT", "later")]
    assert ledger.news() == written


def test_a_transaction_that_is_not_understood_changes_nothing(ledger: Ledger) -> None:
    put = {"Put": {"TableName": "ledger-orders", "Item": {"order_key": {"S": "new"}}}}
    nowhere = {"Put": {"TableName": "nowhere", "Item": {"order_key": {"S": "x"}}}}
    keyless = {"Delete": {"TableName": "ledger-orders", "Key": {"other": {"S": "x"}}}}
    for other in (nowhere, keyless, put):
        with pytest.raises(ClientError):
            ledger.client.transact_write_items(TransactItems=[put, other])
    assert ledger.rows() == {"guard": None, "old": "1", "gone": None}
    assert ledger.news() == []


def test_polling_a_stream_does_not_fill_the_embedded_engines_memory() -> None:
    from moto.dynamodbstreams.models import dynamodbstreams_backends

    engine = EmbeddedEngine()
    engine.start()
    iterators = dynamodbstreams_backends["123456789012"][REGION].shard_iterators
    for number in range(3000):
        iterators[str(number)] = number
    engine.stop()
    assert len(iterators) == 1000
    assert "2999" in iterators


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8000", "ftp://127.0.0.1"])
def test_an_engine_that_does_not_answer_is_named(url: str) -> None:
    with pytest.raises(EngineUnreachableError, match=url):
        Engine(url).start()


def test_a_port_that_is_taken_is_named() -> None:
    sockets = bind("localhost", 0)
    sockets[0].listen()
    port = sockets[0].getsockname()[1]
    with pytest.raises(PortTakenError, match=str(port)):
        EmbeddedEngine(port)
    for each in sockets:
        each.close()


def test_an_engine_that_was_never_started_can_be_stopped() -> None:
    before = threading.active_count()
    EmbeddedEngine().stop()
    assert threading.active_count() == before


def test_dynoxide_keeps_its_data(tmp_path: Path, dynoxide: Any) -> None:
    for expected in ([], ["kept-feeds", "kept-identity", "kept-inventory", "kept-orders", "kept-pending"]):
        with dynoxide(tmp_path) as url:
            client = dynamodb_client(url)
            assert client.list_tables()["TableNames"] == expected
            create_tables(client, "kept")
            client.close()


def test_there_is_one_embedded_engine_in_a_process() -> None:
    with EmbeddedEngine() as engine:
        second = EmbeddedEngine()
        with pytest.raises(EngineRunningError, match="can have only one"):
            second.start()
        second.stop()
        client = dynamodb_client(engine.url)
        create_tables(client, "kept")
        client.close()
    with EmbeddedEngine():
        pass
