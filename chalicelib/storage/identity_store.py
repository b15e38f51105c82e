"""The identity table: small documents that change only as they were read, and counters that never pass a limit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Protocol

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException, UpdateError

from chalicelib.storage.calls import batch_get, passing_faults
from chalicelib.storage.port import CommitRefused
from chalicelib.storage.tables import Tables
from chalicelib.storage.transaction import Transaction

_CONDITION_FAILED = "ConditionalCheckFailedException"


class RecordChanged(Exception):
    """The row is no longer as it was read; nothing was written."""


@dataclass(frozen=True)
class Record:
    """One row. `version` counts its writes; 0 is a row that is not there yet.

    After `expires_at` DynamoDB removes it in its own time: readers look at the instant themselves.
    """

    principal: str
    part: str
    document: str
    version: int = 0
    expires_at: datetime | None = None


class IdentityStore(Protocol):
    """Who may call. Every method may raise StoreBusy."""

    def get(self, principal: str, part: str) -> Record | None:
        """The row as it stands, read consistently."""

    def save(self, record: Record, *others: Record) -> Record:
        """Write the next version of what was read at `record.version`; of `others` too, all or none.

        Raises RecordChanged.
        """

    def delete(self, record: Record) -> None:
        """Remove the row, whatever has become of it."""

    def parts(self, principal: str) -> list[Record]:
        """All rows of one principal, in the order of their parts."""

    def all(self, kind: str) -> Iterator[Record]:
        """All rows whose principal begins with `kind` and a #. Reads the whole table: for commands only."""

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        """Add `amount` to a counter unless it would pass `limit`; whether it was added. A negative one gives back."""


class DynamoIdentities:
    """In DynamoDB. See `IdentityStore` for what each method promises."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.identity

    def get(self, principal: str, part: str) -> Record | None:
        key = (self._tables.name("identity"), {"principal": {"S": principal}, "part": {"S": part}})
        found = batch_get(self._tables.connection, [key]).get(self._tables.name("identity"))
        return _record(found[0]) if found else None

    def save(self, record: Record, *others: Record) -> Record:
        rows = self._rows
        transaction = Transaction(self._tables.connection)
        for each in (record, *others):
            row = rows(
                each.principal,
                each.part,
                document=each.document,
                version=each.version + 1,
                expires_at=_seconds(each.expires_at),
            )
            as_read = rows.version == each.version if each.version else rows.principal.does_not_exist()
            transaction.put(row, as_read)
        try:
            transaction.write()
        except CommitRefused as refusal:
            raise RecordChanged(f"{record.principal} {record.part}") from refusal
        return replace(record, version=record.version + 1)

    def delete(self, record: Record) -> None:
        with passing_faults():
            self._rows(record.principal, record.part).delete()

    def parts(self, principal: str) -> list[Record]:
        with passing_faults():
            return [
                _record(row.to_dynamodb_dict()) for row in self._rows.query(principal, consistent_read=True)
            ]

    def all(self, kind: str) -> Iterator[Record]:
        with passing_faults():
            ours = self._rows.principal.startswith(f"{kind}#")
            for row in self._rows.scan(ours, consistent_read=True):
                yield _record(row.to_dynamodb_dict())

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        rows = self._rows
        below = rows.counted.does_not_exist() | (rows.counted <= limit - amount)
        actions: list[Any] = [rows.counted.add(amount), rows.expires_at.set(int(expires_at.timestamp()))]
        if amount > limit:
            return False
        with passing_faults():
            try:
                rows(principal, part).update(actions, condition=below)
            except UpdateError as error:
                if _condition_failed(error):
                    return False
                raise
        return True


class MemoryIdentities:
    """The same in memory, for tests of what stands on it."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._records: dict[tuple[str, str], Record] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.calls = 0

    def get(self, principal: str, part: str) -> Record | None:
        self.calls += 1
        return self._records.get((principal, part))

    def save(self, record: Record, *others: Record) -> Record:
        with self._lock:
            self.calls += 1
            for each in (record, *others):
                stored = self._records.get((each.principal, each.part))
                if (stored.version if stored else 0) != each.version:
                    raise RecordChanged(f"{each.principal} {each.part}")
            for each in (record, *others):
                self._records[each.principal, each.part] = replace(each, version=each.version + 1)
        return replace(record, version=record.version + 1)

    def delete(self, record: Record) -> None:
        with self._lock:
            self.calls += 1
            self._records.pop((record.principal, record.part), None)

    def parts(self, principal: str) -> list[Record]:
        with self._lock:
            self.calls += 1
            return [record for key, record in sorted(self._records.items()) if key[0] == principal]

    def all(self, kind: str) -> Iterator[Record]:
        with self._lock:
            self.calls += 1
            found = [r for key, r in sorted(self._records.items()) if key[0].startswith(f"{kind}#")]
        return iter(found)

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        with self._lock:
            self.calls += 1
            counted = self._counts.get((principal, part), 0) + amount
            if counted > limit:
                return False
            self._counts[principal, part] = counted
        return True


def _condition_failed(error: PynamoDBException) -> bool:
    # PynamoDB's own `cause_response_code` fails where there was no answer.
    cause = error.cause
    return isinstance(cause, ClientError) and cause.response["Error"].get("Code") == _CONDITION_FAILED


def _record(raw: Any) -> Record:
    expires = raw.get("expires_at")
    return Record(
        raw["principal"]["S"],
        raw["part"]["S"],
        raw["document"]["S"] if "document" in raw else "",
        int(raw["version"]["N"]) if "version" in raw else 0,
        datetime.fromtimestamp(float(expires["N"]), UTC) if expires else None,
    )


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())
