"""Spaces: how many an Opportunity has, who holds them, and which OrderItem gets which error.

Invariant, checkable at any time: spaces_total = spaces_left + the sum of the spaces taken by holds.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.errors import (
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OrderItemError,
)


class HoldState(StrEnum):
    """The way in which an Order holds spaces."""

    leased = "leased"  # for a quote, until the lease ends
    requested = "requested"  # for an OrderProposal without leasing: recorded, but no space is taken before B
    proposed = "proposed"  # for an OrderProposal that is waiting or accepted
    booked = "booked"  # for an Order


@dataclass(frozen=True)
class Hold:
    """The spaces of one Opportunity that one Order holds; only a lease has an end.

    Spaces that are only requested stay available to others: the hold records who must follow a change of the
    Opportunity.
    """

    spaces: int
    state: HoldState
    expires_at: datetime | None = None

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
class Capacity:
    """The counters of one Opportunity.

    `spaces_leased` is the part of the held spaces that is only leased. `spaces_requested` are not held: they
    are those of OrderProposals that take no space before B. No lease on it ends before `next_expiry_at`. `revision` is that of the Opportunity the spaces are sold at; `version`
    counts every change of this row.
    """

    spaces_total: int
    spaces_left: int
    spaces_leased: int = 0
    revision: int = 1
    version: int = 1
    open_for_booking: bool = True
    next_expiry_at: datetime | None = None
    spaces_requested: int = 0

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


def capacity_errors(wanted: int, free: int, leased_by_others: int) -> list[type[OrderItemError] | None]:
    """For each of `wanted` OrderItems on one Opportunity, in order, the error it gets or None (ERR-07).

    The first `free` items get none; then as many as others have leased get the error for leased spaces;
    the rest exceed the capacity. If no space is free or leased, the Opportunity is full.
    """
    free, leased = max(free, 0), max(leased_by_others, 0)
    if free == 0 and leased == 0:
        return [OpportunityIsFullError] * wanted
    return [
        None
        if n < free
        else OpportunityCapacityIsReservedByLeaseError
        if n < free + leased
        else OpportunityHasInsufficientCapacityError
        for n in range(wanted)
    ]
