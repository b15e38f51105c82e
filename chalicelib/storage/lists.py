"""The lists of a Seller: which rows are in them, and in which order. Written with the rows themselves.

A row names its list and its place in it; the index `by_seller` of its table sorts by both. An index is eventually
consistent: a row appears in its list a moment after it was written. The rows that a list names are then read
consistently.
"""

from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Generic, TypeVar

from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.values import dataclass

T = TypeVar("T")


class OrderList(StrEnum):
    """The lists of Orders. An OrderQuote and a deleted Order are in none."""

    bookings = "bookings"  # Orders, also cancelled ones, by the time of B
    proposals = "proposals"  # OrderProposals that are neither rejected nor booked, by the time of P
    rejected = (
        "rejected"  # OrderProposals that were rejected, by either side or by the clock, by the time of P
    )


# The list of sessions and slots, by their start. Withdrawn ones stay in it, since people may have booked.
OPPORTUNITIES = "opportunities"

# The places of rows without a time: after all others in a list of starts, before them in a list of past times.
_NO_START = "undated"
_NO_TIME = "0000"


@dataclass(frozen=True)
class Place:
    """Where a row is: the key of its list, and its place, a text that sorts by time and is unique in the list."""

    list_key: str
    place: str


@dataclass(frozen=True)
class ListPage(Generic[T]):
    """Some keys of a list, and the place of the last of them if more follow: the cursor of the next page."""

    keys: tuple[T, ...]
    following: str | None = None


def list_key(which: str, seller_id: str) -> str:
    """The key of a list of one Seller."""
    return f"{which}#{seller_id}"


def instant(at: datetime) -> str:
    """The time as places begin with it. Texts of this form sort by time."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def place_of_order(order: Order | DeletedOrder) -> Place | None:
    """Where the row of an Order is; None if it is in no list."""
    if not isinstance(order, Order):
        return None
    if order.kind is OrderKind.Order:
        which = OrderList.bookings
    elif order.kind is OrderKind.OrderProposal:
        which = OrderList.proposals if order.open_proposal else OrderList.rejected
    else:
        return None
    at = order.placed_at
    return Place(list_key(which, order.seller_id), _place(instant(at) if at else _NO_TIME, str(order.key)))


def place_of_opportunity(opportunity: Opportunity) -> Place | None:
    """Where the row of an Opportunity is; None for a parent, which cannot be booked itself."""
    if not opportunity.type.is_bookable:
        return None
    at = opportunity.starts_at
    place = _place(instant(at) if at else _NO_START, opportunity.id)
    return Place(list_key(OPPORTUNITIES, opportunity.seller_id), place)


def _place(time: str, key: str) -> str:
    # Of fixed length, because a key may be longer than the sort key of an index.
    return f"{time}.{blake2b(key.encode(), digest_size=8).hexdigest()}"
