"""Unfinished work in DynamoDB: one partition for each kind, read as raw rows so that no row blocks another."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pynamodb.exceptions import DeleteError, PutError

from chalicelib.storage.dynamodb import earlier_rows
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults, row_name
from chalicelib.storage.dynamodb.rows import check_format, to_seconds
from chalicelib.storage.dynamodb.scans import scan_whole
from chalicelib.storage.dynamodb.tables import PendingRow, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import CommitRefused, UnreadableRow
from chalicelib.storage.pending import PendingWork


class DynamoPending:
    """The pending work in DynamoDB. `storage.pending.PendingStore` describes each method."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.pending

    def entries(self, kind: str, limit: int, after: str = "", *, before: str = "") -> list[PendingWork]:
        following = self._between(after, before)
        with passing_faults(row_name(self._rows.Meta.table_name, kind)):
            answer: dict[str, Any] = self._tables.connection.query(
                self._rows.Meta.table_name,
                kind,
                range_key_condition=following,
                consistent_read=True,
                limit=limit,
            )
        # BETWEEN includes both of its ends.
        return [_read(raw) for raw in answer["Items"] if not before or raw["id"]["S"] < before]

    def entry(self, kind: str, entry_id: str) -> PendingWork | None:
        table = self._rows.Meta.table_name
        key = (table, {"kind": {"S": kind}, "id": {"S": entry_id}})
        found = batch_get(self._tables.connection, [key]).get(table)
        return _read(found[0]) if found else None

    def count(self, kind: str, at_most: int, *, before: str = "") -> int:
        with passing_faults(row_name(self._rows.Meta.table_name, kind)):
            answer: dict[str, Any] = self._tables.connection.query(
                self._rows.Meta.table_name,
                kind,
                range_key_condition=self._between("", before),
                consistent_read=True,
                limit=at_most,
                select="COUNT",
            )
        return int(answer["Count"])

    def _between(self, after: str, before: str) -> Any:
        """The condition on ids. A key condition has one range at most."""
        ids = self._rows.id
        if before:
            return ids.between(f"{after}\0", before) if after else ids < before
        return ids > after if after else None

    def exchange(self, finished: Sequence[PendingWork], added: Sequence[PendingWork]) -> None:
        transaction = Transaction(self._tables.connection)
        for entry in finished:
            transaction.delete(self._row(entry), self._as_read(entry))
        for entry in added:
            transaction.put(self._row(entry))
        transaction.write()

    def save(self, entry: PendingWork) -> None:
        with self._unless_changed():
            self._row(entry).save(self._as_read(entry))

    def finish(self, entry: PendingWork) -> None:
        with self._unless_changed():
            self._row(entry).delete(self._as_read(entry))

    def take_over(self, dataset: str | None = None) -> int:
        taken = 0
        for earlier in earlier_rows.unfinished_work(self._tables, dataset):
            transaction = Transaction(self._tables.connection)
            transaction.delete(earlier.row, earlier.unchanged)
            transaction.put(self._row(earlier.entry), self._rows.id.does_not_exist())
            with suppress(CommitRefused):  # it has changed, or a later one must be finished first
                transaction.write()
                taken += 1
        return taken

    def kinds(self) -> list[str]:
        found = scan_whole(self._tables, self._rows.Meta.table_name, attributes=("kind",))
        return sorted({raw["kind"]["S"] for raw in found})

    def _row(self, entry: PendingWork) -> PendingRow:
        return pending_row(self._tables, entry)

    def _as_read(self, entry: PendingWork) -> Any:
        """The condition that the entry is not finished and no later one has replaced it."""
        if entry.revision is None:
            return self._rows.id.exists()
        return self._rows.revision == entry.revision

    @contextmanager
    def _unless_changed(self) -> Iterator[None]:
        try:
            with passing_faults(self._rows.Meta.table_name):
                yield
        except (PutError, DeleteError) as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise


def pending_row(tables: Tables, entry: PendingWork) -> PendingRow:
    """The row of an entry, also for transactions that write other rows too."""
    row: PendingRow = tables.pending(
        entry.kind,
        entry.id,
        document=entry.document,
        progress=entry.progress,
        attempts=entry.attempts,
        revision=entry.revision,
        error=entry.error,
        failed_at=None if entry.failed_at is None else to_seconds(entry.failed_at),
        expires_at=None if entry.expires_at is None else to_seconds(entry.expires_at),
    )
    return row


def _read(raw: Raw) -> PendingWork:
    kind, entry_id = raw["kind"]["S"], raw["id"]["S"]
    try:
        check_format(raw)
        return PendingWork(
            kind,
            entry_id,
            raw["document"]["S"],
            progress=raw["progress"]["S"],
            attempts=int(raw["attempts"]["N"]),
            revision=int(raw["revision"]["N"]),
            error=raw["error"]["S"] if "error" in raw else None,
            failed_at=_instant(raw, "failed_at"),
            expires_at=_instant(raw, "expires_at"),
        )
    except (KeyError, ValueError, UnreadableRow):
        # The handler finds that this is not a document of its kind, and sets it aside with its whole content.
        return PendingWork(kind, entry_id, json.dumps(raw, default=str), revision=None)


def _instant(raw: Raw, name: str) -> datetime | None:
    return datetime.fromtimestamp(int(raw[name]["N"]), UTC) if name in raw else None
