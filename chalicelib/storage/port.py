"""What a store can do, and how it refuses. Two keep to it: DynamoDB's, and one in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.booking.decisions import Change, MoveHold, Snapshot, Wanted
from chalicelib.booking.opportunity_changes import OpportunityChange
from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Seller


@dataclass(frozen=True)
class TooFewSpaces:
    """Others were faster: not enough spaces are left."""

    opportunity_id: str
    spaces_left: int
    spaces_leased: int


@dataclass(frozen=True)
class OpportunityChanged:
    """The Seller has changed, closed or withdrawn it since it was read."""

    opportunity_id: str


@dataclass(frozen=True)
class LeaseEndsEarlier:
    """This lease ends earlier than any other on the Opportunity; it has to say so."""

    opportunity_id: str


@dataclass(frozen=True)
class HoldChanged:
    """What the Order holds is not what was read: its lease has ended, or it was changed elsewhere."""

    opportunity_id: str


@dataclass(frozen=True)
class OrderChanged:
    """The Order is not the version that was read: another request came in between."""

    key: OrderKey


Reason = TooFewSpaces | OpportunityChanged | LeaseEndsEarlier | HoldChanged | OrderChanged


class CommitRefused(Exception):
    """A condition of the commit no longer holds. Nothing was written; decide again on a fresh snapshot."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(map(str, reasons)))
        self.reasons = tuple(reasons)


class StoreBusy(Exception):
    """The store could not do it just now: a conflict, a throttle, a timeout. Try again after a pause."""


class OrderTooLarge(Exception):
    """The order does not fit one row, or its changes do not fit one transaction. Nothing was written."""


def moves_counters(move: MoveHold) -> bool:
    """Whether a move of a hold changes the Opportunity's counters.

    A lease that is only prolonged does not: the hot row stays untouched. One that is cut short does,
    since no lease may end before `next_expiry_at`.
    """
    before = move.before.expires_at if move.before else None
    after = move.after.expires_at if move.after else None
    cut_short = before is not None and after is not None and after < before
    return bool(move.spaces_taken or move.leased_more or cut_short)


@dataclass(frozen=True)
class Listing:
    """An Opportunity in the inventory, with where it came from; `version` counts its changes.

    `source` and `source_digest` tell an import what it has brought in and whether it has changed.
    """

    opportunity: Opportunity
    version: int = 1
    deleted: bool = False
    source: str | None = None
    source_digest: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its spaces may be taken at all (BOOKABLE-08)."""
        return not self.deleted and self.opportunity.status not in NOT_TAKING_PLACE


@dataclass(frozen=True)
class Clearing:
    """Opportunities that are to go, with every Order that holds one of them.

    Those of a `dataset` stay until it is deleted.
    """

    id: str
    opportunity_ids: tuple[str, ...]
    dataset: str | None = None


class Store(Protocol):
    """Inventory, orders and sellers. Every method may raise StoreBusy."""

    def snapshot(self, wanted: Wanted) -> Snapshot:
        """Everything a stage may look at, in one strongly consistent read."""

    def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, Order | DeletedOrder]:
        """The rows of many Orders, as far as there are any."""

    def commit(self, changes: Sequence[Change]) -> None:
        """All changes or none. Raises CommitRefused, OrderTooLarge."""

    def reclaim(self, opportunity_id: str, now: datetime) -> int:
        """Give back the spaces of all leases on it that have ended; how many of them this call ended.

        Afterwards none holds a space, whoever ended it.
        """

    def expired(self, now: datetime, limit: int) -> list[str]:
        """Opportunities with leases that have ended, possibly a moment late."""

    def holds(self, opportunity_id: str) -> dict[OrderKey, Hold]:
        """The register: who holds spaces of it."""

    def listings(self, opportunity_ids: Sequence[str]) -> dict[str, tuple[Listing, Capacity | None]]:
        """What the inventory has of these, deleted ones included."""

    def imported_from(self, source: str) -> Iterator[Listing]:
        """Everything an import from `source` has brought in. May read the whole table."""

    def publish(self, listing: Listing, spaces: int | None, change: OpportunityChange | None = None) -> None:
        """Put a new Opportunity with `spaces` places (None: it has none to count, as a parent), or
        its next version, which keeps the counters. Raises CommitRefused."""

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]]) -> None:
        """The same of up to 50 at once, all or none."""

    def open_changes(self, limit: int) -> list[OpportunityChange]:
        """Changes that not everyone has followed yet."""

    def open_change(self, opportunity_id: str) -> OpportunityChange | None:
        """The change of one Opportunity that not everyone has followed yet."""

    def note_change(self, change: OpportunityChange) -> None:
        """Note how far a change has been followed, unless it is done or a later one has come since."""

    def close_change(self, change: OpportunityChange) -> None:
        """Cross off a change that everyone has followed, unless a later one has come since."""

    def note_clearing(self, clearing: Clearing, instead_of: Sequence[Clearing] = ()) -> None:
        """Note Opportunities that are to go, and cross off other notes of them in the same write."""

    def clearings(self, limit: int, dataset: str | None = None) -> list[Clearing]:
        """Of what is to go now, or with the dataset, as much as has not been crossed off."""

    def close_clearing(self, clearing: Clearing) -> None:
        """Cross off what has gone; nothing happens where that is done already."""

    def save_seller(self, seller: Seller) -> None:
        """Put a Seller."""

    def seller(self, seller_id: str) -> Seller | None:
        """A Seller by id."""

    def sellers(self) -> list[Seller]:
        """All Sellers. Reads a whole table: for commands."""
