"""Spaces: how many an Opportunity has, who holds them, and which OrderItem gets which error.

Invariant, checkable at any time: spaces_total = spaces_left + the sum of the spaces taken by holds. An Opportunity
without a limit has UNLIMITED spaces in all, so that the same arithmetic applies to it.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from chalicelib.domain.errors import (
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OrderItemError,
)
from chalicelib.values import dataclass, field

# `spaces_total` of an Opportunity that any number of people can book: more than any other can state.
UNLIMITED = 10**12


class HoldState(StrEnum):
    """The way in which an Order holds spaces."""

    leased = "leased"  # for a quote, until the lease ends
    requested = "requested"  # for an OrderProposal without leasing: recorded, but no space is taken before B
    proposed = "proposed"  # for an OrderProposal that is waiting or accepted
    booked = "booked"  # for an Order


class LeaseKind(StrEnum):
    """How a lease counts against the limits of its partner."""

    anonymous = "anonymous"  # made at C1, without a Customer
    named = "named"  # made at C2, or left by a rejected proposal


@dataclass(frozen=True)
class Share:
    """The spaces of one Opportunity that one partner leases, and how many of them without a Customer."""

    spaces: int = 0
    anonymous: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(self.spaces + other.spaces, self.anonymous + other.anonymous)

    def __sub__(self, other: "Share") -> "Share":
        return Share(self.spaces - other.spaces, self.anonymous - other.anonymous)

    def __bool__(self) -> bool:
        return bool(self.spaces or self.anonymous)


_NO_SHARE = Share()


@lru_cache(maxsize=1000)
def share_key(partner_id: str) -> str:
    """A short text for a partner, which does not make the counters of an Opportunity too large: 72 bits."""
    return base64.urlsafe_b64encode(hashlib.sha256(partner_id.encode()).digest()[:9]).decode()


@dataclass(frozen=True)
class Hold:
    """The spaces of one Opportunity that one Order holds; only a lease has an end.

    Spaces that are only requested stay available to others: the hold records who must follow a change of the
    Opportunity.
    A lease without a `lease_kind` was made by an earlier release and is not counted for its partner.
    """

    spaces: int
    state: HoldState
    expires_at: datetime | None = None
    lease_kind: LeaseKind | None = None

    @property
    def share(self) -> Share:
        """What this hold adds to the share of its partner."""
        if self.lease_kind is None or self.state is not HoldState.leased:
            return _NO_SHARE
        return Share(self.spaces, self.spaces if self.lease_kind is LeaseKind.anonymous else 0)

    @property
    def taken_spaces(self) -> int:
        return 0 if self.state is HoldState.requested else self.spaces

    @property
    def leased_spaces(self) -> int:
        return self.spaces if self.state is HoldState.leased else 0

    @property
    def requested_spaces(self) -> int:
        return self.spaces if self.state is HoldState.requested else 0

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class SourceCount:
    """What we know of a source's counter of one Opportunity; see `source_counts`.

    `stated` is the number of spaces left that it stated last, `unknown` how many of the held spaces it did not know
    then, `oversold` how many spaces are missing: they are held, and the source has sold them, too.
    """

    stated: int
    unknown: int = 0
    oversold: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether it stays as it is until the source states another number."""
        return not self.unknown and not self.oversold


@dataclass(frozen=True)
class Capacity:
    """The counters of one Opportunity.

    `spaces_leased` is the part of the held spaces that is only leased. `spaces_requested` are not held: they
    are those of OrderProposals that take no space before B. No lease on it ends before `next_expiry_at`.
    `revision` is that of the Opportunity the spaces are sold at; `version` counts every change of this row.
    `shares` are the leased spaces of each partner, by `share_key`. `source_count` is what is known of the counter
    of the source that it was imported from.
    """

    spaces_total: int
    spaces_left: int
    spaces_leased: int = 0
    revision: int = 1
    version: int = 1
    open_for_booking: bool = True
    next_expiry_at: datetime | None = None
    spaces_requested: int = 0
    shares: Mapping[str, Share] = field(default_factory=dict)
    source_count: SourceCount | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether any number of people can book it; then no number of spaces is shown."""
        return self.spaces_total >= UNLIMITED

    @property
    def spaces_shown(self) -> int | None:
        """The number of spaces left that open data shows; None: without a limit."""
        return None if self.is_unlimited else self.spaces_left

    @property
    def has_holds(self) -> bool:
        """Whether an Order, OrderProposal or lease is in the register of the Opportunity."""
        return self.spaces_left != self.spaces_total or self.spaces_requested > 0

    def has_expired_leases(self, now: datetime) -> bool:
        return self.next_expiry_at is not None and self.next_expiry_at <= now

    def spaces_free_to(self, own: Hold | None) -> int:
        """The spaces that one Order could still take, including its own hold (C1-09)."""
        return self.spaces_left + (own.taken_spaces if own else 0)

    def spaces_leased_by_others(self, own: Hold | None) -> int:
        return self.spaces_leased - (own.leased_spaces if own else 0)

    def share_of(self, partner_id: str) -> Share:
        """What the partner leases of this Opportunity."""
        return self.shares.get(share_key(partner_id), _NO_SHARE) if self.shares else _NO_SHARE


@dataclass(frozen=True)
class Available:
    """The spaces of one Opportunity for one Order: free to it, and leased by others."""

    free: int
    leased_by_others: int = 0


@dataclass(frozen=True)
class Shortage:
    """The Opportunity that has too few spaces for an OrderItem, and the error that the item gets."""

    opportunity_id: str
    error: type[OrderItemError]


def shortages(wanted: Sequence[Sequence[str]], available: Mapping[str, Available]) -> list[Shortage | None]:
    """For each OrderItem, in order, the shortage of the Opportunities that it takes a space of, or None (ERR-07).

    Of each Opportunity, the first items get its free spaces; then as many as others have leased get the error for
    leased spaces; the rest exceed the capacity. If no space is free or leased, it is full. An item that gets no
    space of one Opportunity takes none of the others. Opportunities that are not in `available` are not counted.
    """
    free = {key: max(each.free, 0) for key, each in available.items()}
    leased = {key: max(each.leased_by_others, 0) for key, each in available.items()}
    full = {key for key in available if not free[key] and not leased[key]}
    found: list[Shortage | None] = []
    for takes in wanted:
        short = [key for key in takes if key in available and not free[key]]
        if not short:
            for key in takes:
                if key in available:
                    free[key] -= 1
            found.append(None)
            continue
        worst = max(
            (_shortage(key, is_full=key in full, is_leased=leased[key] > 0) for key in short),
            key=lambda each: _GRAVITY.index(each.error),
        )
        for key in short:
            leased[key] -= 1
        found.append(worst)
    return found


# An item that lacks spaces of several Opportunities gets the last of these that applies.
_GRAVITY: tuple[type[OrderItemError], ...] = (
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
)


def _shortage(opportunity_id: str, *, is_full: bool, is_leased: bool) -> Shortage:
    if is_full:
        return Shortage(opportunity_id, OpportunityIsFullError)
    error = (
        OpportunityCapacityIsReservedByLeaseError if is_leased else OpportunityHasInsufficientCapacityError
    )
    return Shortage(opportunity_id, error)
