from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chalice import Chalice

from openbooking.local.delivery import GIVEN_UP_AFTER, DeadLetters, Handler, deliver, lambda_record
from openbooking.local.streams import Batch

ARN = "arn:aws:dynamodb:eu-west-2:123456789012:table/t-orders/stream/2026-01-01T00:00:00.000"
AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def record(number: int, **images: Any) -> dict[str, Any]:
    return {
        "eventID": f"event-{number}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "elsewhere",
        "dynamodb": {
            "ApproximateCreationDateTime": AT,
            "Keys": {"order_key": {"S": str(number)}},
            "SequenceNumber": f"{number:021}",
            "SizeBytes": 10,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **images,
        },
    }


def batch(count: int) -> Batch:
    return Batch(ARN, "shard", [record(number) for number in range(count)])


def numbers(event: dict[str, Any]) -> list[int]:
    return [int(each["dynamodb"]["SequenceNumber"]) for each in event["Records"]]


def deliver_all(
    handler: Handler, count: int, dead_letters: Path | None = None, age: timedelta = timedelta(hours=23)
) -> int:
    return deliver(
        batch(count),
        handler,
        context=lambda: None,
        dead_letters=DeadLetters(dead_letters),
        clock=lambda: AT + age,
    )


def reporting(fails: Callable[[int], bool], calls: list[list[int]]) -> Handler:
    """A handler that stops at the first record it cannot handle, and says which."""

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        calls.append(numbers(event))
        for each in event["Records"]:
            if fails(int(each["dynamodb"]["SequenceNumber"])):
                number = each["dynamodb"]["SequenceNumber"]
                return {"batchItemFailures": [{"itemIdentifier": number}]}
        return {"batchItemFailures": []}

    return handler


def raising(fails: Callable[[int], bool], handled: list[int]) -> Handler:
    def handler(event: dict[str, Any], context: Any) -> None:
        if any(fails(number) for number in numbers(event)):
            raise ValueError("cannot")
        handled.extend(numbers(event))

    return handler


# --- the shape of an event -------------------------------------------------------------------


def test_a_record_is_json_as_lambda_sends_it() -> None:
    made = lambda_record(
        record(
            7,
            NewImage={"b": {"B": b"\x00\x01"}, "l": {"L": [{"B": b"x"}]}, "s": {"BS": [b"y"]}},
            OldImage={},
        ),
        ARN,
    )
    assert json.loads(json.dumps(made)) == made
    assert made["eventSourceARN"] == ARN
    assert made["awsRegion"] == "eu-west-2"
    assert made["dynamodb"]["ApproximateCreationDateTime"] == AT.timestamp()
    assert made["dynamodb"]["NewImage"] == {
        "b": {"B": "AAE="},
        "l": {"L": [{"B": "eA=="}]},
        "s": {"BS": ["eQ=="]},
    }
    assert "OldImage" not in made["dynamodb"]
    assert "userIdentity" not in made


def test_an_expiry_by_ttl_says_who_did_it() -> None:
    identity = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    made = lambda_record({**record(1), "userIdentity": identity}, ARN)
    assert made["userIdentity"] == identity


def test_chalice_understands_the_event() -> None:
    app = Chalice("stub", configure_logs=False)
    seen: list[Any] = []

    @app.on_dynamodb_record(stream_arn=ARN)
    def stream(event: Any) -> dict[str, Any]:
        seen.extend(event.to_dict()["Records"])
        return {"batchItemFailures": []}

    assert deliver_all(stream, 3) == 3
    assert [each["eventID"] for each in seen] == ["event-0", "event-1", "event-2"]


# --- failures --------------------------------------------------------------------------------


def test_without_failures_it_is_one_call() -> None:
    calls: list[list[int]] = []
    assert deliver_all(reporting(lambda _: False, calls), 5) == 5
    assert calls == [[0, 1, 2, 3, 4]]


def test_what_comes_before_the_lowest_reported_failure_is_done_with() -> None:
    calls: list[list[int]] = []
    assert deliver_all(reporting(lambda number: number == 2, calls), 5) == 2
    assert calls == [[0, 1, 2, 3, 4]]


def test_the_lowest_counts_in_whatever_order_they_are_reported() -> None:
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": f"{number:021}"} for number in (4, 1, 3)]}

    assert deliver_all(handler, 5) == 1


@pytest.mark.parametrize("poison", [0, 3, 6])
def test_an_exception_holds_up_only_the_record_that_causes_it_and_those_after(poison: int) -> None:
    handled: list[int] = []
    assert deliver_all(raising(lambda number: number == poison, handled), 7) == poison
    assert handled == list(range(poison))


def test_however_often_a_record_fails_it_is_given_up_for_its_age_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "dead-letters.jsonl"
    fails = reporting(lambda number: number == 2, [])
    for _ in range(50):
        assert deliver_all(fails, 5, path) == 2
    assert not path.exists()
    assert deliver_all(fails, 5, path, age=GIVEN_UP_AFTER + timedelta(seconds=1)) == 5
    [letter] = [json.loads(line) for line in path.read_text().splitlines()]
    info = letter["DDBStreamBatchInfo"]
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == f"{2:021}"
    assert info["streamArn"] == ARN
    assert info["approximateArrivalOfFirstRecord"] == "2026-05-01T12:00:00+00:00"
    assert letter["requestContext"]["condition"] == "RecordAgeExceeded"


def test_a_dead_letter_says_nothing_of_what_is_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / "dead-letters.jsonl"
    whole = Batch(ARN, "shard", [record(1, NewImage={"email": {"S": "geoff@example.com"}})])
    deliver(
        whole,
        reporting(lambda _: True, []),
        context=lambda: None,
        dead_letters=DeadLetters(path),
        clock=lambda: AT + timedelta(days=2),
    )
    assert path.exists()
    assert "geoff" not in path.read_text()


@pytest.mark.parametrize(
    "answer", [{"batchItemFailures": [{}]}, {"batchItemFailures": [{"itemIdentifier": "unknown"}]}]
)
def test_a_failure_of_no_known_record_fails_the_batch(answer: dict[str, Any]) -> None:
    calls: list[list[int]] = []

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        calls.append(numbers(event))
        return answer if len(calls) == 1 else {}

    assert deliver_all(handler, 4) == 4
    assert calls == [[0, 1, 2, 3], [0, 1], [2, 3]]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": None}])
def test_an_answer_without_failures_is_success(answer: Any) -> None:
    assert deliver_all(lambda event, context: answer, 3) == 3
