"""Reads one table's stream from the beginning, or from the position of the last run.

Knows shards, iterators and positions, not the contents of records.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from openbooking.local.discovery import write_atomically

# The position is no longer valid: trimmed after a day, or of a stream that was recreated.
_POSITION_GONE = {
    "TrimmedDataAccessException",
    "ValidationException",
    "ResourceNotFoundException",
}
_ITERATOR_GONE = _POSITION_GONE | {"ExpiredIteratorException"}


@dataclass(frozen=True)
class Batch:
    """Records in the order of their changes, from one shard."""

    stream_arn: str
    shard_id: str
    records: list[dict[str, Any]]


class Positions:
    """How far each stream was handled, stored in a file if one is given.

    Losing the file does no harm: the streams are then handled from their beginning again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, str]] = {}
        if path is not None:
            try:
                self._kept = dict(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                self._kept = {}

    def after(self, stream_arn: str, shard_id: str) -> str | None:
        """The sequence number of the last record handled."""
        return self._kept.get(stream_arn, {}).get(shard_id)

    def keep(self, stream_arn: str, shard_id: str, sequence_number: str) -> None:
        with self._lock:
            self._kept.setdefault(stream_arn, {})[shard_id] = sequence_number
            if self._path is not None:
                write_atomically(self._path, json.dumps(self._kept))

    def drop(self, stream_arn: str, shard_id: str) -> None:
        with self._lock:
            self._kept.get(stream_arn, {}).pop(shard_id, None)


class StreamReader:
    """The records of one table's stream; each is returned until `handled` is called for it."""

    def __init__(self, dynamodb: Any, streams: Any, table: str, positions: Positions) -> None:
        """`dynamodb` and `streams` are boto3 clients of the two services."""
        self._dynamodb = dynamodb
        self._streams = streams
        self._table = table
        self._positions = positions
        self._stream_arn = ""
        self._open: dict[str, str | None] = {}
        """Shards that are not read to their end, and the parent of each."""
        self._ended: set[str] = set()
        self._iterators: dict[str, str] = {}

    def read(self, limit: int) -> Batch | None:
        """The next records, at most `limit`; None if there are none at the moment."""
        self._list_shards()
        for shard_id, parent in list(self._open.items()):
            if parent in self._open:
                # The records of a child shard come after those of its parent.
                continue
            records = self._records(shard_id, limit)
            if records:
                return Batch(self._stream_arn, shard_id, records)
        return None

    def handled(self, batch: Batch, count: int) -> None:
        """Record that the first `count` records are handled; the others are read again."""
        if count:
            number = batch.records[count - 1]["dynamodb"]["SequenceNumber"]
            self._positions.keep(batch.stream_arn, batch.shard_id, number)
        if count < len(batch.records):
            self.rewind()

    def rewind(self) -> None:
        """Read again from the stored positions."""
        self._open = {}
        self._ended = set()
        self._iterators = {}

    def _list_shards(self) -> None:
        if self._open:
            return
        if not self._stream_arn:
            table = self._dynamodb.describe_table(TableName=self._table)["Table"]
            self._stream_arn = table["LatestStreamArn"]
        page: dict[str, str] = {}
        while True:
            answer = self._streams.describe_stream(StreamArn=self._stream_arn, **page)
            described = answer["StreamDescription"]
            for shard in described["Shards"]:
                if shard["ShardId"] not in self._ended:
                    self._open[shard["ShardId"]] = shard.get("ParentShardId")
            if not described.get("LastEvaluatedShardId"):
                return
            page = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def _records(self, shard_id: str, limit: int) -> list[dict[str, Any]]:
        iterator = self._iterators.get(shard_id) or self._iterator(shard_id)
        try:
            answer = self._streams.get_records(ShardIterator=iterator, Limit=limit)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ITERATOR_GONE:
                raise
            answer = self._streams.get_records(ShardIterator=self._iterator(shard_id), Limit=limit)
        following = answer.get("NextShardIterator")
        if following:
            self._iterators[shard_id] = following
        else:
            self._iterators.pop(shard_id, None)
            self._ended.add(shard_id)
            del self._open[shard_id]
        records: list[dict[str, Any]] = answer["Records"]
        return records

    def _iterator(self, shard_id: str) -> str:
        shard = {"StreamArn": self._stream_arn, "ShardId": shard_id}
        after = self._positions.after(self._stream_arn, shard_id)
        if after is not None:
            try:
                answer = self._streams.get_shard_iterator(
                    **shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=after
                )
                return str(answer["ShardIterator"])
            except ClientError as error:
                if error.response["Error"]["Code"] not in _POSITION_GONE:
                    raise
                self._positions.drop(self._stream_arn, shard_id)
        answer = self._streams.get_shard_iterator(**shard, ShardIteratorType="TRIM_HORIZON")
        return str(answer["ShardIterator"])
