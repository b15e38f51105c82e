"""Unfinished work: one row shape for everything that has to continue later, and what its store promises.

Knows neither what a kind of work does nor how often it is tried: `services.pending` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# In front of the kind of an entry that could not be handled; it waits there for an operator.
SET_ASIDE = "set-aside#"


@dataclass(frozen=True)
class PendingWork:
    """One piece of work that has been accepted and is not finished.

    `document` says what is to be done, `progress` how far it has been done ("" for not begun). `attempts`
    counts the failures since the last progress. `revision` tells this entry from a later one under the same
    id, and does not change while the work progresses; it is None for a row without a valid one. `error` and
    `failed_at` belong to an entry that was set aside, `expires_at` to one that is removed by itself.
    """

    kind: str
    id: str
    document: str
    progress: str = ""
    attempts: int = 0
    revision: int | None = 0
    error: str | None = None
    failed_at: datetime | None = None
    expires_at: datetime | None = None


class PendingStore(Protocol):
    """The entries of all kinds. Every method may raise StoreBusy."""

    def entries(self, kind: str, limit: int, after: str = "") -> list[PendingWork]:
        """The next entries of a kind after the id `after`, in the order of their ids, strongly consistent.

        A row that cannot be read is returned as well, with its whole content as `document`.
        """

    def entry(self, kind: str, entry_id: str) -> PendingWork | None:
        """One entry, strongly consistent."""

    def count(self, kind: str, at_most: int) -> int:
        """How many entries a kind has, counted up to `at_most`."""

    def exchange(self, finished: Sequence[PendingWork], added: Sequence[PendingWork]) -> None:
        """Remove some entries and put others, all or none.

        Raises CommitRefused where one of `finished` is no longer there, or is a later one.
        """

    def save(self, entry: PendingWork) -> None:
        """Save progress and attempts. Does nothing where the entry is finished or a later one has come."""

    def finish(self, entry: PendingWork) -> None:
        """Remove a finished entry. Does nothing where that was done already or a later one has come."""

    def take_over(self, dataset: str | None = None) -> int:
        """Turn unfinished work in rows of earlier releases into entries; how many.

        With `dataset`, what a test dataset has noted there.
        """

    def kinds(self) -> list[str]:
        """Every kind that has an entry. Reads the whole table: for commands."""
