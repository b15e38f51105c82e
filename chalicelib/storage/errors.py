"""The errors of a store: conditions that did not hold, and temporary failures."""

from collections.abc import Sequence

from chalicelib.domain.orders import OrderKey
from chalicelib.values import dataclass


@dataclass(frozen=True)
class TooFewSpaces:
    """Others were faster: not enough spaces are left."""

    opportunity_id: str
    spaces_left: int
    spaces_leased: int


@dataclass(frozen=True)
class OpportunityChanged:
    """The Seller has changed, closed or withdrawn the Opportunity since it was read."""

    opportunity_id: str


@dataclass(frozen=True)
class LeaseEndsEarlier:
    """This lease ends earlier than any other on the Opportunity; the change must say so."""

    opportunity_id: str


@dataclass(frozen=True)
class LeasesLimited:
    """With this lease the partner would lease more of the Opportunity than its limits allow."""

    opportunity_id: str


@dataclass(frozen=True)
class HoldChanged:
    """The Order's hold is not as it was read: its lease has ended, or another request changed it."""

    opportunity_id: str


@dataclass(frozen=True)
class SellerChanged:
    """The Seller is not as it was read: another import or a command has written it."""

    seller_id: str


@dataclass(frozen=True)
class OrderChanged:
    """The Order is not the version that was read: another request changed it."""

    key: OrderKey


Reason = (
    TooFewSpaces
    | OpportunityChanged
    | LeaseEndsEarlier
    | LeasesLimited
    | HoldChanged
    | OrderChanged
    | SellerChanged
)


class CommitRefused(Exception):
    """A condition of the commit no longer holds. Nothing was written; decide again on a new snapshot."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(map(str, reasons)))
        self.reasons = tuple(reasons)


class StoreBusy(Exception):
    """A temporary failure of the store: a conflict, a throttle, a timeout. Try again after a pause."""


class StoreContended(StoreBusy):
    """Another transaction is changing the same rows. Nothing was written."""


class OrderTooLarge(Exception):
    """The order does not fit one row, or its changes do not fit one transaction. Nothing was written."""


class StillBusy(Exception):
    """Every attempt was refused or failed. Nothing was written, unless an answer was lost."""


class RecordChanged(Exception):
    """The row is no longer as it was read; nothing was written."""


class UnreadableRow(Exception):
    """A row has no valid value for a required attribute, or was written by a later release."""


class LaterFormat(UnreadableRow):
    """A row was written by a later release, in a format that this release cannot read."""


class EntryRefused(Exception):
    """A feed entry can never be written, for example because it is too large. Nothing was written."""


class FeedMoved(Exception):
    """Another writer has appended to the feed since it was read. Nothing was written."""
