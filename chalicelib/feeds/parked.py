"""Stream records that can never be published, kept with their content until an operator handles them.

They are entries of the `pending` table, which DynamoDB encrypts at rest. The listed entry has no personal
data. The content has; it is stored separately, compressed, and is read only for a replay. DynamoDB's TTL
removes both.
"""

import base64
import traceback
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import PurePath

from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import PendingStore, PendingWork
from chalicelib.storage.records import Record
from chalicelib.values import dataclass, replace

STREAMS = ("orders", "inventory")

# The prefixes of the stream in the kinds of the two entries.
PARKED, PARKED_CONTENT = "parked#", "parked-content#"

# A row can hold 400 KB; a record with two images of an Order takes about a megabyte as text.
_PART_BYTES = 300_000
_ON_ONE_PAGE = 100


@dataclass(frozen=True)
class ParkedRecord:
    """A parked record without its content: ids, instants and the kind of error."""

    stream: str
    id: str
    row: str
    error: str
    parked_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class _Head:
    """The document of the listed entry."""

    row: str
    parts: int


def where(error: BaseException) -> str:
    """The type of an error and the place in this code that raised it, without its message.

    A message may quote the content that could not be read, which may be personal data.
    """
    name = type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = PurePath(frame.filename).parts
        if "chalicelib" in path:
            inside = path[len(path) - path[::-1].index("chalicelib") :]
            return f"{name} at {'/'.join(inside)}:{frame.lineno}"
    return name


class ParkedRecords:
    """The parked records of all streams. Every method may raise StoreBusy."""

    def __init__(self, store: PendingStore, kept_for: timedelta) -> None:
        self._store = store
        self._kept_for = kept_for

    def park(
        self, stream: str, position: str, row: str, record: Record, error: BaseException, now: datetime
    ) -> tuple[ParkedRecord, bool]:
        """Keep a record with its content. Returns whether it is new: a batch may be retried."""
        # The sequence number is unique in a shard, and all records of a row are in one shard.
        record_id = f"{position}-{zlib.crc32(row.encode()):08x}"
        if known := self.find(stream, record_id):
            return replace(known, error=where(error)), False
        text = base64.b64encode(codec.pack(record)).decode()
        parts = [text[start : start + _PART_BYTES] for start in range(0, len(text), _PART_BYTES)]
        expires_at = now + self._kept_for
        head = PendingWork(
            _heads(stream),
            record_id,
            codec.to_json(_Head(row, len(parts))),
            error=where(error),
            failed_at=now,
            expires_at=expires_at,
        )
        contents = [
            PendingWork(_contents(stream), _part_id(record_id, number), part, expires_at=expires_at)
            for number, part in enumerate(parts)
        ]
        self._store.exchange((), [head, *contents])
        return _read(stream, head), True

    def listed(self, stream: str) -> Iterator[ParkedRecord]:
        """All parked records of a stream, in the order of their ids."""
        after = ""
        while heads := self._store.entries(_heads(stream), _ON_ONE_PAGE, after):
            yield from (_read(stream, head) for head in heads)
            after = heads[-1].id

    def find(self, stream: str, record_id: str) -> ParkedRecord | None:
        """One of them."""
        head = self._store.entry(_heads(stream), record_id)
        return None if head is None else _read(stream, head)

    def content(self, parked: ParkedRecord) -> Record:
        """The record itself. Raises Undecodable if a part of it is missing."""
        text = "".join(part.document for part in self._parts(parked))
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise Undecodable("the content is not base64") from error
        return codec.unpack(data, Record)

    def discard(self, parked: ParkedRecord) -> bool:
        """Remove a record and its content; False if it was removed already."""
        head = self._store.entry(_heads(parked.stream), parked.id)
        if head is None:
            return False
        try:
            self._store.exchange([head, *self._parts(parked)], ())
        except CommitRefused:  # another call discards it
            return False
        return True

    def _parts(self, parked: ParkedRecord) -> list[PendingWork]:
        found: list[PendingWork] = []
        number = 0
        while part := self._store.entry(_contents(parked.stream), _part_id(parked.id, number)):
            found.append(part)
            number += 1
        return found


def _heads(stream: str) -> str:
    return f"{PARKED}{stream}"


def _contents(stream: str) -> str:
    return f"{PARKED_CONTENT}{stream}"


def _part_id(record_id: str, number: int) -> str:
    return f"{record_id}#{number:03d}"


def _read(stream: str, head: PendingWork) -> ParkedRecord:
    try:
        row = codec.from_json(head.document, _Head).row
    except Undecodable:
        row = ""
    return ParkedRecord(stream, head.id, row, head.error or "", head.failed_at, head.expires_at)
