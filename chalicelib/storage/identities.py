"""What an identity store promises: small documents that change only as they were read, and bounded counters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.storage.pending import PendingWork


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

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
        """Write the next version of what was read at `record.version`; of `others` too, all or none.

        `pending` is what is to follow, written in the same transaction.

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
