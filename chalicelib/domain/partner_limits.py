"""What one booking partner may hold without a booking, and how its leases and proposals are counted.

The counters of a partner are kept in several rows, and in each row by the time until which they apply. No caller
needs to remove what has ended (decision 21).
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.values import dataclass, field

# One row would be written by every request of a partner. Each row is read by C1, C2 and P.
SHARDS = 4

_MINUTE = 60
_DAY = 86_400


class LimitName(StrEnum):
    """The limits, named as their settings."""

    anonymous_lease_spaces = "ANONYMOUS_LEASE_SPACES"
    lease_spaces = "LEASE_SPACES"
    lease_longest = "LEASE_LONGEST_SECONDS"
    partner_leases = "PARTNER_LEASES"
    partner_proposals = "PARTNER_PROPOSALS"
    partner_spaces = "PARTNER_SPACES"


@dataclass(frozen=True)
class PartnerLimits:
    """The limits of each partner; 0 is no limit. The first two are for each Opportunity."""

    anonymous_lease_spaces: int = 8
    lease_spaces: int = 12
    partner_leases: int = 300
    partner_proposals: int = 100
    partner_spaces: int = 500


@dataclass(frozen=True)
class Usage:
    """How much of a limit a partner would use with a request."""

    limit: LimitName
    used: int
    most: int

    @property
    def is_exceeded(self) -> bool:
        return 0 < self.most < self.used

    @property
    def is_near(self) -> bool:
        """From 80% on."""
        return 0 < self.most * 4 <= self.used * 5


@dataclass(frozen=True)
class Held:
    """How many Order UUIDs with a lease and unanswered proposals a partner has, with their spaces."""

    leases: int = 0
    leased_spaces: int = 0
    proposals: int = 0
    proposed_spaces: int = 0

    @property
    def spaces(self) -> int:
        return self.leased_spaces + self.proposed_spaces

    def without(self, own: "Held") -> "Held":
        """The same without what one Order holds."""
        return Held(
            max(self.leases - own.leases, 0),
            max(self.leased_spaces - own.leased_spaces, 0),
            max(self.proposals - own.proposals, 0),
            max(self.proposed_spaces - own.proposed_spaces, 0),
        )


# The four counters, by the first letter of their names; the rest is the minute or day.
_LEASES, _LEASED_SPACES, _PROPOSALS, _PROPOSED_SPACES = "lspw"
_BY_MINUTE = (_LEASES, _LEASED_SPACES)


@dataclass(frozen=True)
class PartnerCounters:
    """The counters of one partner as they were read: name and number, by shard."""

    shards: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def held(self, now: datetime) -> Held:
        """What the partner holds now: at most that.

        A lease counts until the end of its last minute, and a proposal that is not answered at most until the end of
        the day on which it ends.
        """
        by_name: dict[str, int] = {}
        for counters in self.shards.values():
            for name, number in counters.items():
                by_name[name] = by_name.get(name, 0) + number
        sums = dict.fromkeys((_LEASES, _LEASED_SPACES, _PROPOSALS, _PROPOSED_SPACES), 0)
        for name, number in by_name.items():
            if not _is_over(name, now):
                # Below 0: an earlier release made what was subtracted here.
                sums[name[0]] += max(number, 0)
        return Held(*sums.values())

    def outdated(self, shard: int, now: datetime) -> tuple[str, ...]:
        """The counters of a shard that no longer apply, to be removed."""
        return tuple(name for name in self.shards.get(shard, ()) if _is_over(name, now))


def shard_of(uuid: str) -> int:
    """The shard in which an Order UUID is counted."""
    return zlib.crc32(uuid.encode()) % SHARDS


def held_by(order: Order | DeletedOrder | None, now: datetime) -> Held:
    """What a partner holds by this Order without a booking: a lease, or a proposal that waits for the Seller."""
    return PartnerCounters({0: _counters_of(order)}).held(now)


def counted(before: Order | DeletedOrder | None, after: Order | DeletedOrder | None) -> dict[str, int]:
    """By how much each counter changes when a row changes from `before` to `after`."""
    changes = _counters_of(after)
    for name, number in _counters_of(before).items():
        changes[name] = changes.get(name, 0) - number
    return {name: number for name, number in changes.items() if number}


def _counters_of(order: Order | DeletedOrder | None) -> dict[str, int]:
    if not isinstance(order, Order):
        return {}
    if order.kind is OrderKind.OrderQuote and order.lease_expires_at is not None:
        minute = -(-int(order.lease_expires_at.timestamp()) // _MINUTE)
        return {f"{_LEASES}{minute}": 1, f"{_LEASED_SPACES}{minute}": _spaces(order)}
    if order.proposal is not None and order.proposal.ends_at is not None and _is_unanswered(order):
        day = -(-int(order.proposal.ends_at.timestamp()) // _DAY)
        return {f"{_PROPOSALS}{day}": 1, f"{_PROPOSED_SPACES}{day}": _spaces(order)}
    return {}


def _is_unanswered(order: Order) -> bool:
    return (
        order.kind is OrderKind.OrderProposal
        and order.proposal is not None
        and order.proposal.status is ProposalStatus.AwaitingSellerConfirmation
    )


def _spaces(order: Order) -> int:
    return sum(hold.taken_spaces for hold in order.holds().values())


def _is_over(name: str, now: datetime) -> bool:
    return int(name[1:]) * (_MINUTE if name[0] in _BY_MINUTE else _DAY) <= now.timestamp()
