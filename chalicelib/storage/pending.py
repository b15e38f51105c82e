"""Unfinished work: one row shape for all work that continues later, and the interface of its store.

What each kind of work does and how often it is tried is defined in `services.pending`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

from chalicelib.domain.orders import OrderKey
from chalicelib.storage import codec
from chalicelib.values import dataclass

# The prefix of the kind of an entry that was set aside: it could not be handled and waits for an operator.
SET_ASIDE = "set-aside#"

# The prefix of the kinds of rows that are no work: pages of operators' feeds that were read (importing.page_log).
PAGES = "import-pages#"
# The kinds of work, which are also in rows. Here, so that the sweep loads the module of a kind only if there is work for it.
OPPORTUNITY_CHANGE = (
    "opportunity-change"  # brings a change to the Orders that hold an Opportunity (services.following)
)
HOLDER_CHANGE = "holder-change"  # one for each Order that such a change could not reach (services.following)
HOLDER_MESSAGE = "holder-message"  # a message to all who hold an Opportunity (services.informing)
FEED_REVIEW = (
    "feed-review"  # updates a partner's feeds after a Seller's authorisation changes (services.reviews)
)
CLEARING = "clearing"  # deletes a dataset of the Test Interface (services.clearing)

# The kinds of scheduled work: the ids of their entries begin with the time at which they are due (`due_at`), so that
# one query finds those that are (`due_before`).
PROPOSAL_END = "proposal-end"  # ends an OrderProposal
TIMETABLE = "timetable"  # extends a plan (services.timetables.due)
IMPORT = "import"  # imports a source (importing.sources)

# The kinds that are done once a day (`services.daily`); their ids are the times at which they are due.
RETENTION = "retention"
REPORTS = "reports"
DAILY = frozenset({RETENTION, REPORTS})
SCHEDULED = frozenset({PROPOSAL_END, TIMETABLE, IMPORT}) | DAILY


@dataclass(frozen=True)
class PendingWork:
    """One piece of work that has been accepted and is not finished.

    `document` describes the work, `progress` how much of it is done ("" for not started). `attempts` counts
    the failures since the last progress. `revision` distinguishes this entry from a later one under the same
    id, and does not change while the work progresses; it is None for a row without a valid one. `error` and
    `failed_at` are for an entry that was set aside, `expires_at` for one that is removed automatically.
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


def proposal_end(key: OrderKey, ends_at: datetime) -> PendingWork:
    """The entry that ends the proposal at `ends_at`."""
    return PendingWork(PROPOSAL_END, f"{due_at(ends_at)} {key}", codec.to_json(key))


def due_before(kind: str, now: datetime) -> str:
    """The ids of entries of this kind that are due by `now` are less than this; "" for all, if it has no times."""
    return due_at(now.replace(microsecond=0) + timedelta(seconds=1)) if kind in SCHEDULED else ""


def due_at(instant: datetime) -> str:
    """The time as the beginning of an id: seconds, rounded up, so that nothing is due too early."""
    return f"{ceil(instant.timestamp()):012d}"


class PendingStore(Protocol):
    """The entries of all kinds. Every method may raise StoreBusy."""

    def entries(self, kind: str, limit: int, after: str = "", *, before: str = "") -> list[PendingWork]:
        """The next entries of a kind after the id `after`, in the order of their ids, strongly consistent.

        With `before`, only those whose ids are less than it.

        A row that cannot be read is returned too, with its whole content as `document`.
        """

    def entry(self, kind: str, entry_id: str) -> PendingWork | None:
        """One entry, strongly consistent."""

    def count(self, kind: str, at_most: int, *, before: str = "") -> int:
        """How many entries a kind has, counted up to `at_most`; with `before` as in `entries`."""

    def exchange(self, finished: Sequence[PendingWork], added: Sequence[PendingWork]) -> None:
        """Remove some entries and add others, all or none.

        Raises CommitRefused if one of `finished` no longer exists, or a later one has replaced it.
        """

    def save(self, entry: PendingWork) -> None:
        """Save progress and attempts. Does nothing if the entry is finished or a later one has replaced it."""

    def finish(self, entry: PendingWork) -> None:
        """Remove a finished entry. Does nothing if it was removed already or a later one has replaced it."""

    def take_over(self, dataset: str | None = None) -> int:
        """Turn unfinished work in rows of earlier releases into entries; how many.

        With `dataset`, the notes of that test dataset.
        """

    def kinds(self) -> list[str]:
        """Every kind that has an entry. Reads the whole table: for commands."""
