"""The interface of an identity store: small documents with optimistic locking, and bounded counters."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.storage.pending import PendingWork
from chalicelib.values import dataclass


@dataclass(frozen=True)
class Record:
    """One row. `version` counts its writes; 0 is a row that does not exist yet.

    DynamoDB removes it some time after `expires_at`: readers check the instant themselves.
    """

    principal: str
    part: str
    document: str
    version: int = 0
    expires_at: datetime | None = None


class IdentityStore(Protocol):
    """The identities of callers. Every method may raise StoreBusy."""

    def get(self, principal: str, part: str) -> Record | None:
        """The current row, strongly consistent."""

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
        """Write the next version of a record that was read at `record.version`, and of `others`: all or none.

        `pending` is the follow-up work, written in the same transaction.

        Raises RecordChanged.
        """

    def delete(self, record: Record) -> None:
        """Remove the row, in any version."""

    def parts(self, principal: str) -> list[Record]:
        """All rows of one principal, in the order of their parts."""

    def parts_before(self, principal: str, before: str, limit: int) -> list[Record]:
        """At most `limit` rows of one principal, the last parts first; with `before`, only parts less than it."""

    def all(self, kind: str) -> Iterator[Record]:
        """All rows whose principal begins with `kind` and a #. Reads the whole table: for commands only."""

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        """Add `amount` to a counter unless it would pass `limit`; whether it was added. It may be negative."""
