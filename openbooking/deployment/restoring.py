"""Copies a restored table into the original row by row, so that streams, mappings and settings are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from openbooking.deployment.errors import DeploymentError

Item = Mapping[str, Any]

_PUTS, _GETS = 25, 100  # the limits of BatchWriteItem and BatchGetItem
_ATTEMPTS = 10


class NotACopyError(DeploymentError):
    sentence = "The tables have different keys: one is not a copy of the other."


class TableMissingError(DeploymentError):
    sentence = "There is no such table."


class StillThrottledError(DeploymentError):
    sentence = "DynamoDB keeps throttling. Run the same command again; it is safe to repeat."


@dataclass(frozen=True)
class Restored:
    """The result for one table."""

    table: str
    put: int
    deleted: int


def restore(
    client: Any, source: str, target: str, *, pause: Callable[[float], None], parts: int = 4
) -> Restored:
    """Copy every row of `source` into `target`, and delete rows that `source` does not have.

    It is safe to repeat, and must be repeated after an interruption. Nothing else may write to `target`. `client`
    is a boto3 DynamoDB client. Raises DeploymentError.
    """
    keys = _keys_of(client, source)
    if keys != _keys_of(client, target):
        raise NotACopyError(f"{source} and {target}")
    copying = Copying(client, source, target, keys, pause)
    with ThreadPoolExecutor(parts) as pool:
        put = sum(pool.map(lambda part: copying.put(part, parts), range(parts)))
        deleted = sum(pool.map(lambda part: copying.delete(part, parts), range(parts)))
    return Restored(target, put, deleted)


@dataclass(frozen=True)
class Copying:
    """The two steps, each for one segment of the tables."""

    client: Any
    source: str
    target: str
    keys: Sequence[str]
    pause: Callable[[float], None]

    def put(self, part: int, of: int) -> int:
        copied = 0
        for items in self._pages(self.source, part, of, _PUTS):
            self._write([{"PutRequest": {"Item": item}} for item in items])
            copied += len(items)
        return copied

    def delete(self, part: int, of: int) -> int:
        """Delete rows that `source` does not have."""
        deleted = 0
        for items in self._pages(self.target, part, of, _GETS):
            keys = [{name: item[name] for name in self.keys} for item in items]
            there = self._there(keys)
            gone = [key for key in keys if key not in there]
            for start in range(0, len(gone), _PUTS):
                self._write([{"DeleteRequest": {"Key": key}} for key in gone[start : start + _PUTS]])
            deleted += len(gone)
        return deleted

    def _pages(self, table: str, part: int, of: int, size: int) -> Iterator[list[Item]]:
        pages = self.client.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True, Segment=part, TotalSegments=of
        )
        for page in pages:
            for start in range(0, len(page["Items"]), size):
                yield page["Items"][start : start + size]

    def _there(self, keys: list[dict[str, Any]]) -> list[Item]:
        names = {f"#{number}": name for number, name in enumerate(self.keys)}
        found: list[Item] = []
        asked = {
            self.source: {
                "Keys": keys,
                "ConsistentRead": True,
                "ProjectionExpression": ",".join(names),
                "ExpressionAttributeNames": names,
            }
        }
        for attempt in range(_ATTEMPTS):
            answer = self.client.batch_get_item(RequestItems=asked)
            found += answer["Responses"].get(self.source, [])
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                return found
            self.pause(2**attempt / 10)
        raise StillThrottledError(self.source)

    def _write(self, requests: list[dict[str, Any]]) -> None:
        asked = {self.target: requests}
        for attempt in range(_ATTEMPTS):
            asked = self.client.batch_write_item(RequestItems=asked).get("UnprocessedItems") or {}
            if not asked:
                return
            self.pause(2**attempt / 10)
        raise StillThrottledError(self.target)


def _keys_of(client: Any, table: str) -> list[str]:
    try:
        described = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        raise TableMissingError(table) from None
    return sorted(key["AttributeName"] for key in described["KeySchema"])
