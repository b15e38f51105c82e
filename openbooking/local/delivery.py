"""Hands stream records to a handler as Lambda's event source mapping does.

Decides what has to be delivered again; does not know what a record means, nor how long to wait.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from openbooking.local.streams import Batch

Handler = Callable[[dict[str, Any], Any], Any]

log = logging.getLogger(__name__)


# A stream keeps a record for a day; the event source mappings of a stage are set to the same.
GIVEN_UP_AFTER = timedelta(days=1)


def lambda_record(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record of GetRecords in the form of a Lambda event.

    boto3 returns the time as a datetime and binary values as bytes; an event is JSON.
    """
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime", 0)
    if isinstance(created, datetime):
        created = created.timestamp()
    change["ApproximateCreationDateTime"] = float(created)
    for image in ("Keys", "NewImage", "OldImage"):
        if image in change:
            change[image] = _as_json(change[image])
    # In moto, an image that does not exist is empty instead of absent.
    change = {name: value for name, value in change.items() if value != {}}
    change.setdefault("SizeBytes", 0)
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": stream_arn.split(":")[3],
        "dynamodb": change,
        "eventSourceARN": stream_arn,
        **({"userIdentity": record["userIdentity"]} if record.get("userIdentity") else {}),
    }


def _as_json(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(each) for each in value]
    return value


class DeadLetters:
    """Records that have grown too old unhandled, one JSON line each, in the shape Lambda gives a queue.

    As there, a line has the position of the record in its stream, and not its contents.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, batch: Batch, record: Mapping[str, Any], now: datetime) -> None:
        number = record["dynamodb"]["SequenceNumber"]
        at = datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], UTC).isoformat()
        log.error("Record %s of %s was not handled within a day: given up", number, batch.stream_arn)
        if self._path is None:
            return
        line = {
            "requestContext": {"condition": "RecordAgeExceeded", "approximateInvokeCount": 1},
            "version": "1.0",
            "timestamp": now.isoformat(),
            "DDBStreamBatchInfo": {
                "shardId": batch.shard_id,
                "startSequenceNumber": number,
                "endSequenceNumber": number,
                "approximateArrivalOfFirstRecord": at,
                "approximateArrivalOfLastRecord": at,
                "batchSize": 1,
                "streamArn": batch.stream_arn,
            },
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def deliver(
    batch: Batch,
    handler: Handler,
    *,
    context: Callable[[], Any],
    dead_letters: DeadLetters,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """How many records, from the first on, are done with: handled, or too old to be tried again.

    Where it is fewer than all, the next one has failed and is to be delivered again, after a pause, however
    often: only its age ends that.
    """
    records = [lambda_record(record, batch.stream_arn) for record in batch.records]
    done, size = 0, len(records)
    while done < len(records):
        part = records[done : done + size]
        handled, is_culprit_known = _invoke(handler, part, context())
        done += handled
        if handled == len(part):
            size = len(records)
        elif not is_culprit_known and size > 1:
            # Somewhere in here one record fails the whole call: halve until it is alone.
            size = max(1, len(part) // 2)
        elif _age(records[done], clock()) > GIVEN_UP_AFTER:
            dead_letters.add(batch, records[done], clock())
            done += 1
            size = len(records)
        else:
            return done
    return done


def _age(record: Mapping[str, Any], now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], UTC)


def _invoke(handler: Handler, records: Sequence[Mapping[str, Any]], context: Any) -> tuple[int, bool]:
    """(number of records handled, whether the next record is known to be the one that failed)."""
    try:
        answer = handler({"Records": list(records)}, context)
    except Exception:
        log.exception("The handler failed on a batch of %d records", len(records))
        return 0, len(records) == 1
    failures = (answer or {}).get("batchItemFailures") or []
    if not failures:
        return len(records), False
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    named = [failure.get("itemIdentifier") for failure in failures]
    if not all(name in numbers for name in named):
        # As in Lambda, an unknown identifier fails the whole batch.
        return 0, len(records) == 1
    return min(numbers.index(name) for name in named), True
