from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openbooking.local.delivery import DeadLetters, Handler
from openbooking.local.engine import Engine, dynamodb_client, streams_client
from openbooking.local.pump import Pauses, Pump, StreamPump, StreamStuckError
from openbooking.local.streams import Positions, StreamReader
from openbooking.local.tables import create_tables

_prefixes = (f"pump{number}" for number in itertools.count())


class Table:
    """A separate orders table on the engine."""

    def __init__(self, engine: Engine) -> None:
        self.dynamodb = dynamodb_client(engine.url)
        self.streams = streams_client(engine.url)
        prefix = next(_prefixes)
        create_tables(self.dynamodb, prefix)
        self.name = f"{prefix}-orders"

    def put(self, *keys: str, **attributes: Any) -> None:
        for key in keys:
            item = {"order_key": {"S": key}, **attributes}
            self.dynamodb.put_item(TableName=self.name, Item=item)

    def reader(self, positions: Positions | None = None) -> StreamReader:
        return StreamReader(self.dynamodb, self.streams, self.name, positions or Positions())

    def pump(self, handler: Handler, reader: StreamReader | None = None, **more: Any) -> StreamPump:
        more = {"pauses": Pauses(first=0, patience=3), **more}
        return StreamPump(
            "orders_stream",
            reader or self.reader(),
            handler,
            dead_letters=DeadLetters(None),
            **more,
        )

    def close(self) -> None:
        self.dynamodb.close()
        self.streams.close()


@pytest.fixture
def table(engine: Engine) -> Iterator[Table]:
    table = Table(engine)
    yield table
    table.close()


def keys(event: dict[str, Any]) -> list[str]:
    return [each["dynamodb"]["Keys"]["order_key"]["S"] for each in event["Records"]]


class Seen:
    """A handler that notes the keys, fails on the given ones, and can be waited for."""

    def __init__(self, *, fail_on: frozenset[str] = frozenset(), fails: int = 1000) -> None:
        self.keys: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._fail_on = fail_on
        self._fails = fails
        self._more = threading.Condition()

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        for each in event["Records"]:
            key = each["dynamodb"]["Keys"]["order_key"]["S"]
            if key in self._fail_on and self._fails:
                self._fails -= 1
                number = each["dynamodb"]["SequenceNumber"]
                return {"batchItemFailures": [{"itemIdentifier": number}]}
            with self._more:
                self.keys.append(key)
                self.events.append(each)
                self._more.notify_all()
        return {"batchItemFailures": []}

    def wait_for(self, count: int) -> bool:
        with self._more:
            return self._more.wait_for(lambda: len(self.keys) >= count, timeout=10)


# --- reading a stream, on each engine --------------------------------------------------------


def test_every_change_arrives_once_and_in_order(table: Table) -> None:
    seen = Seen()
    wanted = [f"{number:03}" for number in range(120)]
    table.put(*wanted)
    Pump([table.pump(seen, batch_size=50)]).drain()
    assert seen.keys == wanted


def test_an_event_shows_what_was_and_what_is(table: Table) -> None:
    seen = Seen()
    table.put("k", n={"N": "1"})
    table.put("k", n={"N": "2"})
    table.dynamodb.delete_item(TableName=table.name, Key={"order_key": {"S": "k"}})
    Pump([table.pump(seen)]).drain()
    changes = [each["dynamodb"] for each in seen.events]
    assert [each["eventName"] for each in seen.events] == ["INSERT", "MODIFY", "REMOVE"]
    assert [each.get("OldImage", {}).get("n") for each in changes] == [None, {"N": "1"}, {"N": "2"}]
    assert [each.get("NewImage", {}).get("n") for each in changes] == [{"N": "1"}, {"N": "2"}, None]
    assert {each["StreamViewType"] for each in changes} == {"NEW_AND_OLD_IMAGES"}
    assert all(isinstance(each["ApproximateCreationDateTime"], float) for each in changes)


def test_a_pump_that_comes_later_starts_at_the_beginning(table: Table) -> None:
    table.put("early")
    first, second = Seen(), Seen()
    Pump([table.pump(first)]).drain()
    table.put("late")
    Pump([table.pump(second)]).drain()
    assert (first.keys, second.keys) == (["early"], ["early", "late"])


def test_a_pump_continues_where_the_last_run_stopped(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    first, second = Seen(), Seen()
    table.put("a", "b")
    Pump([table.pump(first, table.reader(Positions(path)))]).drain()
    table.put("c")
    Pump([table.pump(second, table.reader(Positions(path)))]).drain()
    assert (first.keys, second.keys) == (["a", "b"], ["c"])


@pytest.mark.parametrize("text", ["", "[", "7", '{"other": {"shard": "1"}}'])
def test_a_position_that_is_lost_or_of_another_stream_costs_nothing(
    table: Table, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "positions.json"
    path.write_text(text)
    seen = Seen()
    table.put("a")
    Pump([table.pump(seen, table.reader(Positions(path)))]).drain()
    assert seen.keys == ["a"]


def test_what_was_not_handled_is_read_again(table: Table) -> None:
    table.put("a", "b", "c")
    reader = table.reader()
    batch = reader.read(10)
    assert batch is not None
    reader.handled(batch, 1)
    again = reader.read(10)
    assert again is not None
    assert keys({"Records": again.records}) == ["b", "c"]


# --- the pump --------------------------------------------------------------------------------


def test_a_change_is_seen_without_being_asked_for(table: Table) -> None:
    seen = Seen()
    with Pump([table.pump(seen)], idle_for=0.01):
        table.put("a")
        assert seen.wait_for(1)
        table.put("b")
        assert seen.wait_for(2)
    assert seen.keys == ["a", "b"]


def test_waking_the_pump_spares_the_wait(table: Table) -> None:
    seen = Seen()
    # Far longer than wait_for waits: only the call can bring the second record in time.
    with Pump([table.pump(seen)], idle_for=3600) as pump:
        pump.drain()
        table.put("a")
        pump.wake()
        assert seen.wait_for(1)


def test_draining_beside_the_running_threads_misses_and_repeats_nothing(table: Table) -> None:
    seen = Seen()
    wanted = [f"{number:03}" for number in range(40)]
    with Pump([table.pump(seen, batch_size=7)], idle_for=0.01) as pump:
        for key in wanted:
            table.put(key)
            if key.endswith("0"):
                pump.drain()
                assert seen.keys[-1] == key
        pump.drain()
        assert seen.keys == wanted


def test_a_batch_that_fails_is_tried_until_it_succeeds_in_order(table: Table) -> None:
    """A handler that reports a record is busy: what it cannot handle at all it parks itself."""
    seen = Seen(fail_on=frozenset({"b"}), fails=20)
    table.put("a", "b", "c")
    with Pump([table.pump(seen)], idle_for=0.01):
        assert seen.wait_for(3)
    assert seen.keys == ["a", "b", "c"]


def test_a_stream_that_cannot_be_read_out_is_named(table: Table) -> None:
    seen = Seen(fail_on=frozenset({"b"}))
    table.put("a", "b", "c")
    with pytest.raises(StreamStuckError, match="orders_stream"):
        Pump([table.pump(seen)]).drain()
    assert seen.keys == ["a"]


def test_stopping_does_not_wait_for_a_retry_and_loses_nothing(table: Table, tmp_path: Path) -> None:
    tried = threading.Event()
    positions = Positions(tmp_path / "positions.json")

    def fails(event: dict[str, Any], context: Any) -> None:
        tried.set()
        raise ValueError("cannot yet")

    table.put("a")
    slow = Pauses(first=3600, longest=3600)
    with Pump([table.pump(fails, table.reader(positions), pauses=slow)]):
        assert tried.wait(timeout=10)
    seen = Seen()
    Pump([table.pump(seen, table.reader(positions))]).drain()
    assert seen.keys == ["a"]


# --- odd streams -----------------------------------------------------------------------------


FAKE_ARN = "arn:aws:dynamodb:eu-west-2:1:table/t/stream/1"


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetRecords")


class FakeStream:
    """Shards as AWS has them: parents that end, their children, pages of descriptions.

    `errors` are what the next calls of GetRecords fail with.
    """

    def __init__(self, records: dict[str, list[str]], parents: dict[str, str]) -> None:
        self.records = records
        self.parents = parents
        self.errors: list[str] = []
        self.asked: list[str] = []

    def describe_table(self, **_: str) -> Any:
        return {"Table": {"LatestStreamArn": FAKE_ARN}}

    def describe_stream(self, **request: str) -> Any:
        shards = sorted(self.records, reverse=True)
        after = request.get("ExclusiveStartShardId")
        at = shards.index(after) + 1 if after else 0
        shard = {"ShardId": shards[at]}
        if shards[at] in self.parents:
            shard["ParentShardId"] = self.parents[shards[at]]
        more = {"LastEvaluatedShardId": shards[at]} if at + 1 < len(shards) else {}
        return {"StreamDescription": {"Shards": [shard], **more}}

    def get_shard_iterator(self, **request: str) -> Any:
        self.asked.append(request["ShardIteratorType"])
        after = request.get("SequenceNumber")
        if after == "trimmed":
            raise _error("TrimmedDataAccessException")
        start = self.records[request["ShardId"]].index(after) + 1 if after else 0
        return {"ShardIterator": f"{request['ShardId']}:{start}"}

    def get_records(self, **request: Any) -> Any:
        if self.errors:
            raise _error(self.errors.pop())
        shard, start = request["ShardIterator"].split(":")
        part = self.records[shard][int(start) : int(start) + request["Limit"]]
        end = int(start) + len(part)
        ended = shard in self.parents.values() and end == len(self.records[shard])
        return {
            "Records": [
                {"eventID": "e", "eventName": "INSERT", "dynamodb": {"SequenceNumber": number}}
                for number in part
            ],
            **({} if ended else {"NextShardIterator": f"{shard}:{end}"}),
        }


def read_all(reader: StreamReader) -> list[str]:
    read: list[str] = []
    while batch := reader.read(2):
        numbers = [each["dynamodb"]["SequenceNumber"] for each in batch.records]
        reader.handled(batch, len(numbers))
        read += numbers
    return read


def test_a_child_shard_is_read_after_its_parent() -> None:
    stream = FakeStream({"s1": ["1", "2", "3"], "s2": ["4"], "s3": ["5"]}, {"s2": "s1", "s3": "s2"})
    reader = StreamReader(stream, stream, "t", Positions())
    assert read_all(reader) == ["1", "2", "3", "4", "5"]
    stream.records["s3"].append("6")
    assert read_all(reader) == ["6"]


def test_a_shard_without_children_keeps_no_other_waiting() -> None:
    stream = FakeStream({"s1": ["1"], "s2": ["2"]}, {})
    reader = StreamReader(stream, stream, "t", Positions())
    assert sorted(read_all(reader)) == ["1", "2"]


def test_an_iterator_that_expired_is_replaced_where_it_stood() -> None:
    stream = FakeStream({"s1": ["1", "2", "3"]}, {})
    reader = StreamReader(stream, stream, "t", Positions())
    batch = reader.read(2)
    assert batch is not None
    reader.handled(batch, 2)
    stream.errors = ["ExpiredIteratorException"]
    assert read_all(reader) == ["3"]
    assert stream.asked == ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER"]


def test_a_position_that_was_trimmed_is_given_up() -> None:
    stream = FakeStream({"s1": ["8", "9"]}, {})
    positions = Positions()
    positions.keep(FAKE_ARN, "s1", "trimmed")
    assert read_all(StreamReader(stream, stream, "t", positions)) == ["8", "9"]


def test_an_engine_that_is_away_for_a_while_is_read_on_from_where_it_was() -> None:
    stream = FakeStream({"s1": ["1", "2"]}, {})
    stream.errors = ["InternalServerError", "InternalServerError"]
    arrived = threading.Event()

    def handler(event: dict[str, Any], context: Any) -> None:
        arrived.set()

    pump = StreamPump(
        "orders_stream",
        StreamReader(stream, stream, "t", Positions()),
        handler,
        dead_letters=DeadLetters(None),
        pauses=Pauses(first=0),
    )
    with Pump([pump]):
        assert arrived.wait(timeout=10)
    assert stream.errors == []
