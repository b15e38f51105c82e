"""What a store of inventory and orders promises. `storage.errors` has the ways in which it refuses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.booking.decisions import Change, Snapshot, Wanted
from chalicelib.booking.opportunity_changes import OpportunityChange
from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Seller

# Rows that one commit can write: DynamoDB takes no more in one transaction.
MAX_ACTIONS = 100


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
