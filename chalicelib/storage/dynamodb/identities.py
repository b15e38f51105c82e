"""The identity table: small documents with optimistic locking, and counters that never pass a limit."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException, UpdateError

from chalicelib.storage.dynamodb.calls import batch_get, passing_faults
from chalicelib.storage.dynamodb.pending import pending_row
from chalicelib.storage.dynamodb.rows import check_format
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import CommitRefused, RecordChanged
from chalicelib.storage.identities import Record
from chalicelib.storage.pending import PendingWork
from chalicelib.values import replace

_CONDITION_FAILED = "ConditionalCheckFailedException"


class DynamoIdentities:
    """The identity store in DynamoDB. `IdentityStore` describes each method."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.identity

    def get(self, principal: str, part: str) -> Record | None:
        key = (self._tables.name("identity"), {"principal": {"S": principal}, "part": {"S": part}})
        found = batch_get(self._tables.connection, [key]).get(self._tables.name("identity"))
        return _record(found[0]) if found else None

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
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
        for entry in pending:
            transaction.put(pending_row(self._tables, entry))
        try:
            transaction.write()
        except CommitRefused as refusal:
            raise RecordChanged(f"{record.principal} {record.part}") from refusal
        return replace(record, version=record.version + 1)

    def delete(self, record: Record) -> None:
        with passing_faults(self._rows.Meta.table_name):
            self._rows(record.principal, record.part).delete()

    def parts(self, principal: str) -> list[Record]:
        with passing_faults(self._rows.Meta.table_name):
            return [
                _record(row.to_dynamodb_dict()) for row in self._rows.query(principal, consistent_read=True)
            ]

    def parts_before(self, principal: str, before: str, limit: int) -> list[Record]:
        rows = self._rows
        with passing_faults(rows.Meta.table_name):
            found = rows.query(
                principal,
                rows.part < before if before else None,
                consistent_read=True,
                scan_index_forward=False,
                limit=limit,
            )
            return [_record(row.to_dynamodb_dict()) for row in found]

    def all(self, kind: str) -> Iterator[Record]:
        with passing_faults(self._rows.Meta.table_name):
            ours = self._rows.principal.startswith(f"{kind}#")
            for row in self._rows.scan(ours, consistent_read=True):
                yield _record(row.to_dynamodb_dict())

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        rows = self._rows
        below = rows.counted.does_not_exist() | (rows.counted <= limit - amount)
        actions: list[Any] = [rows.counted.add(amount), rows.expires_at.set(int(expires_at.timestamp()))]
        if amount > limit:
            return False
        with passing_faults(self._rows.Meta.table_name):
            try:
                rows(principal, part).update(actions, condition=below)
            except UpdateError as error:
                if _condition_failed(error):
                    return False
                raise
        return True


def _condition_failed(error: PynamoDBException) -> bool:
    # PynamoDB's own `cause_response_code` fails if there was no answer.
    cause = error.cause
    return isinstance(cause, ClientError) and cause.response["Error"].get("Code") == _CONDITION_FAILED


def _record(raw: Any) -> Record:
    check_format(raw)
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
