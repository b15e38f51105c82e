"""The interface of the store of inventory and orders. Its errors are in `storage.errors`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from chalicelib.booking.decisions import Change, Snapshot, Wanted
from chalicelib.domain.capacity import Capacity, Hold, SourceCount
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Seller
from chalicelib.domain.partner_limits import SHARDS
from chalicelib.storage import codec
from chalicelib.storage.lists import ListPage, OrderList
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.scans import WHOLE, BrokenRow, Part, ScanPage
from chalicelib.values import dataclass, field

# Rows that one commit can write: DynamoDB accepts no more in one transaction.
MAX_ACTIONS = 100


# The number of keys that one read can have, and how many a snapshot needs: for an Opportunity with its counters
# and the hold on it, and for an Order with its Seller and the counters of its partner.
KEYS_IN_ONE_READ = 100
KEYS_OF_ONE_OPPORTUNITY = 3
KEYS_OF_AN_ORDER = 2 + SHARDS


@dataclass(frozen=True)
class Packed:
    """An Opportunity with the `data` that `codec.pack` makes of it."""

    opportunity: Opportunity
    data: bytes


@dataclass(frozen=True)
class Listing:
    """An Opportunity in the inventory, with its source; `version` counts its changes.

    From `source` and `source_digest` an import knows what it has imported and whether that has changed.
    `closed`: its Seller has taken it off sale, whatever its source says, until it is opened again. `packed`: an
    Opportunity as a row keeps it, if it was packed already.
    """

    opportunity: Opportunity
    version: int = 1
    deleted: bool = False
    source: str | None = None
    source_digest: str | None = None
    closed: bool = False
    packed: Packed | None = field(default=None, compare=False)

    @property
    def packed_opportunity(self) -> bytes:
        """The Opportunity as a row keeps it."""
        known = self.packed
        # A later version may have been made of this listing.
        is_known = known is not None and known.opportunity is self.opportunity
        return known.data if known is not None and is_known else codec.pack(self.opportunity)

    @property
    def is_open(self) -> bool:
        """Whether its spaces may be booked or leased (BOOKABLE-08)."""
        return not self.deleted and not self.closed and self.opportunity.status not in NOT_TAKING_PLACE


@dataclass(frozen=True)
class ImportedPage:
    """Some Listings of a source, and the cursor of the next page (None: there is none)."""

    listings: tuple[Listing, ...]
    following: str | None


@dataclass(frozen=True)
class SellerEntry:
    """A Seller as stored, with the import that owns it; None where a command or the sample data added it.

    `is_of_0_1_0`: release 0.1.0 wrote the row, which noted no source.
    """

    seller: Seller
    source: str | None = None
    is_of_0_1_0: bool = False


@dataclass(frozen=True)
class StoredProposal:
    """An OrderProposal found by a scan; `order` is None if its row cannot be read."""

    key: OrderKey
    order: Order | None


@dataclass(frozen=True)
class Reclaimed:
    """How many leases a call has ended, the ids of the entries it has set aside, and whether more are left."""

    ended: int
    set_aside: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class HoldCorrection:
    """A hold as it was read and its correction. `order_version` is that of its Order, None for no Order."""

    order: OrderKey
    before: Hold | None
    after: Hold | None
    order_version: int | None = None


class Store(Protocol):
    """Inventory, orders and sellers. Every method may raise StoreBusy."""

    def snapshot(self, wanted: Wanted) -> Snapshot:
        """Everything that a stage may read, in one strongly consistent read."""

    def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, Order | DeletedOrder]:
        """The existing rows of these Orders."""

    def commit(self, changes: Sequence[Change]) -> None:
        """All changes or none. Raises CommitRefused, OrderTooLarge."""

    def reclaim(
        self, opportunity_id: str, now: datetime, *, set_aside: bool = False, at_most: int | None = None
    ) -> Reclaimed:
        """Release the spaces of leases on it that have ended: all, or as many as `at_most` transactions can.

        A transaction ends up to 99 leases. Unless more are left, none of them holds a space afterwards, also if
        another caller ended it. A row among the leases that cannot be read as one is skipped; with `set_aside`
        it is moved to the work set aside.
        """

    def expired(self, now: datetime, limit: int) -> list[str]:
        """Opportunities with leases that have ended; eventually consistent."""

    def holds(
        self, opportunity_id: str, *, after: str = "", limit: int | None = None
    ) -> dict[OrderKey, Hold]:
        """The register: the Orders after `after` that hold spaces of it, in the order of their keys as text."""

    def listings(self, opportunity_ids: Sequence[str]) -> dict[str, tuple[Listing, Capacity | None]]:
        """The listings of these Opportunities, deleted ones included."""

    def imported_page(self, source: str, after: str | None = None) -> ImportedPage:
        """A page of what was imported from `source`, strongly consistent. A page may be empty.

        All pages together read the whole table: for commands only.
        """

    def imported_from(self, source: str) -> Iterator[Listing]:
        """The same, page by page. May raise StoreBusy during the iteration."""

    def proposals(self) -> Iterator[StoredProposal]:
        """All OrderProposals, in no order. Reads the whole table page by page: for commands only."""

    def publish(
        self,
        listing: Listing,
        spaces: int | None,
        pending: PendingWork | None = None,
        *,
        if_unheld: bool = False,
    ) -> None:
        """Write a new Opportunity with `spaces` places (None: it has no places to count, as for a parent), or
        its next version, which keeps the counters; and with it the pending work.

        `if_unheld`: only if no Order holds a space of it. Raises CommitRefused.
        """

    def publish_together(
        self, listings: Sequence[tuple[Listing, int | None]], *, if_unheld: bool = False
    ) -> None:
        """The same for up to 50 at once, all or none. Raises OrderTooLarge if they do not fit one transaction."""

    def resize(
        self, opportunity_id: str, read: Capacity, spaces_total: int, count: SourceCount | None = None
    ) -> None:
        """Change how many spaces it has; those that are held stay held, and those left change by the difference.

        With `count`, remember this of its source's counter.

        Raises CommitRefused if its counters have changed since `read`. More must not be held than it then has.
        """

    def save_seller(self, seller: Seller) -> None:
        """Write a Seller that no import owns from now on."""

    def import_seller(self, seller: Seller, source: str) -> None:
        """Write a Seller that the import from `source` owns, if there is none.

        Replace an existing one only if this import owns it, or release 0.1.0 wrote it. Raises CommitRefused.
        """

    def seller(self, seller_id: str) -> Seller | None:
        """A Seller by id."""

    def seller_entry(self, seller_id: str) -> SellerEntry | None:
        """A Seller with the import that owns it."""

    def sellers(self) -> list[Seller]:
        """All Sellers. Reads the whole table page by page: for commands only."""

    def scan_orders(
        self, cursor: str = "", *, part: Part = WHOLE, limit: int = 500, partner_id: str | None = None
    ) -> ScanPage[Order | DeletedOrder | BrokenRow]:
        """A page of all Orders, or of one partner's; eventually consistent. Reads the whole table: for commands.

        `unlisted` are the keys of those that are missing from the list of their Seller.
        """

    def scan_opportunities(self, cursor: str = "", *, part: Part = WHOLE, limit: int = 1000) -> ScanPage[str]:
        """A page of the ids that have a row in the inventory; an id may be on several pages. For commands.

        `unlisted` are those that are missing from the list of their Seller, parents included, which belong to none.
        """

    def listed_orders(
        self,
        which: OrderList,
        seller_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> ListPage[OrderKey]:
        """A page of a Seller's Orders or open OrderProposals from `since` and before `until`.

        `after` is the cursor of the page before. Eventually consistent.
        """

    def listed_opportunities(
        self,
        seller_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
    ) -> ListPage[str]:
        """A page of the Opportunities of a Seller that can be booked, withdrawn ones included, by their start.

        The same; those without a start are last.
        """

    def unlisted_orders(self, keys: Sequence[OrderKey]) -> list[OrderKey]:
        """Which of these are missing from the list of their Seller; strongly consistent."""

    def unlisted_opportunities(self, opportunity_ids: Sequence[str]) -> list[str]:
        """The same for Opportunities."""

    def list_orders(self, keys: Sequence[OrderKey]) -> int:
        """Add those that are missing to the list of their Seller; how many. Nothing else in their rows changes."""

    def list_opportunities(self, opportunity_ids: Sequence[str]) -> int:
        """The same for Opportunities."""

    def hold_rows(self, keys: Sequence[tuple[str, OrderKey]]) -> dict[tuple[str, OrderKey], Hold | BrokenRow]:
        """The existing holds of these Orders on these Opportunities; strongly consistent."""

    def correct(
        self, opportunity_id: str, read: Capacity, corrected: Capacity, holds: Sequence[HoldCorrection] = ()
    ) -> None:
        """Write the counters of `corrected` and these holds, all or none: for repairs.

        Raises CommitRefused if the counters no longer have the version of `read`, a hold is not as it
        was read, or an Order has changed; OrderTooLarge beyond MAX_ACTIONS rows.
        """
