"""How a store refuses: what was found instead of what was expected, and what passes by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.orders import OrderKey


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
class SellerChanged:
    """The Seller is not the one that was read: another import or a command has put it."""

    seller_id: str


@dataclass(frozen=True)
class OrderChanged:
    """The Order is not the version that was read: another request came in between."""

    key: OrderKey


Reason = TooFewSpaces | OpportunityChanged | LeaseEndsEarlier | HoldChanged | OrderChanged | SellerChanged


class CommitRefused(Exception):
    """A condition of the commit no longer holds. Nothing was written; decide again on a fresh snapshot."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(map(str, reasons)))
        self.reasons = tuple(reasons)


class StoreBusy(Exception):
    """The store could not do it just now: a conflict, a throttle, a timeout. Try again after a pause."""


class StoreContended(StoreBusy):
    """Another transaction is changing the same rows at this moment. Nothing was written."""


class OrderTooLarge(Exception):
    """The order does not fit one row, or its changes do not fit one transaction. Nothing was written."""


class StillBusy(Exception):
    """Every attempt was refused or failed. Nothing was written, as far as was answered."""


class RecordChanged(Exception):
    """The row is no longer as it was read; nothing was written."""


class UnreadableRow(Exception):
    """A row lacks what every row of its kind has, or was written by a later release."""


class LaterFormat(UnreadableRow):
    """A row was written by a later release, in a format that this one does not know."""


class EntryRefused(Exception):
    """An entry of a feed that can never be written, such as one that is too large. Nothing was written."""


class FeedMoved(Exception):
    """Another writer has appended to the feed since it was read. Nothing was written."""
