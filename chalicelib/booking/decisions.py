"""What a stage reads (a Snapshot) and what it returns (a Decision). Values only.

Nothing is written before a decision is complete, and nothing is decided after it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

from chalicelib.domain.capacity import Capacity, Hold, Share
from chalicelib.domain.errors import OrderItemError
from chalicelib.domain.identifiers import PASSES
from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, next_version
from chalicelib.domain.parties import Json, Seller
from chalicelib.domain.partner_limits import PartnerCounters, PartnerLimits, Usage, counted, shard_of
from chalicelib.values import dataclass, field


@dataclass(frozen=True)
class Wanted:
    """The keys of one snapshot. Of Opportunities in `offers_of`, only the ids of their Offers are needed.

    `counters`: also those of the partner.
    """

    order: OrderKey
    seller_id: str | None = None
    opportunity_ids: tuple[str, ...] = ()
    offers_of: tuple[str, ...] = ()
    counters: bool = False


@dataclass(frozen=True)
class OpportunitySnapshot:
    """One Opportunity with its counters and what this Order already holds of it."""

    opportunity: Opportunity
    capacity: Capacity
    hold: Hold | None = None


@dataclass(frozen=True)
class Snapshot:
    """Everything a stage may look at, read at one moment. Unknown Opportunities are not in it.

    `absent` are the ids of Opportunities that were looked for and are unknown or withdrawn; `withdrawn` are the
    latter, which a course may still have as sub-events.
    `other_offers` are the ids of Offers that belong to the Opportunities in `Wanted.offers_of`.
    """

    order: Order | DeletedOrder | None = None
    seller: Seller | None = None
    opportunities: Mapping[str, OpportunitySnapshot] = field(default_factory=dict)
    other_offers: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    counters: PartnerCounters = field(default_factory=PartnerCounters)
    withdrawn: Mapping[str, OpportunitySnapshot] = field(default_factory=dict)

    def stored(self, opportunity_id: str) -> OpportunitySnapshot | None:
        """The Opportunity, also if it is withdrawn; None if it was not read, or is unknown."""
        return self.opportunities.get(opportunity_id) or self.withdrawn.get(opportunity_id)


def _most_before(limit: int, more: int) -> int | None:
    return limit - more if limit and more > 0 else None


@dataclass(frozen=True)
class MoveHold:
    """Change one Order's hold on one Opportunity from `before` to `after`; either may be None.

    The counters change by the difference, so that bookings of different Customers never invalidate each
    other. `revision`, if given, is the one that was priced; it must still be current and open for booking, also
    if the counters do not change.
    `ends_before_others`: this lease ends before every other one on the Opportunity. `limits`, if given, are
    those that the partner's leases on the Opportunity must not exceed. `may_be_closed`: it need not be open for
    booking. `if_available`: the spaces must be left also if the hold takes none of them.
    """

    opportunity_id: str
    order: OrderKey
    before: Hold | None
    after: Hold | None
    revision: int | None = None
    ends_before_others: bool = False
    limits: PartnerLimits | None = None
    may_be_closed: bool = False
    if_available: bool = False

    @property
    def spaces_taken(self) -> int:
        """By how much `spaces_left` falls; negative if spaces are released."""
        return (self.after.taken_spaces if self.after else 0) - (
            self.before.taken_spaces if self.before else 0
        )

    @property
    def spaces_needed(self) -> int:
        """How many spaces must be left; none if this is not positive."""
        if not self.if_available or self.after is None:
            return self.spaces_taken
        return self.after.spaces - (self.before.taken_spaces if self.before else 0)

    @property
    def leased_more(self) -> int:
        """By how much `spaces_leased` rises."""
        return (self.after.leased_spaces if self.after else 0) - (
            self.before.leased_spaces if self.before else 0
        )

    @property
    def requested_more(self) -> int:
        """By how much `spaces_requested` rises."""
        return (self.after.requested_spaces if self.after else 0) - (
            self.before.requested_spaces if self.before else 0
        )

    @property
    def share_more(self) -> Share:
        """By how much the partner's share rises."""
        return (self.after.share if self.after else Share()) - (self.before.share if self.before else Share())

    @property
    def most_before(self) -> tuple[int | None, int | None]:
        """How many spaces the partner may lease before this move, and how many anonymously; None: no limit."""
        more = self.share_more
        if self.limits is None:
            return None, None
        return (
            _most_before(self.limits.lease_spaces, more.spaces),
            _most_before(self.limits.anonymous_lease_spaces, more.anonymous),
        )

    def is_within_limits(self, share: Share) -> bool:
        """Whether the partner, which has this share now, may make the move."""
        spaces, anonymous = self.most_before
        return (spaces is None or share.spaces <= spaces) and (
            anonymous is None or share.anonymous <= anonymous
        )

    @property
    def moves_counters(self) -> bool:
        """Whether the Opportunity's counters change.

        A lease that is only extended does not write the hot row. A lease that is shortened does,
        because no lease may end before `next_expiry_at`.
        """
        return bool(
            self.spaces_taken
            or self.leased_more
            or self.requested_more
            or self.share_more
            or self._cuts_lease_short
        )

    @property
    def _cuts_lease_short(self) -> bool:
        before = self.before.expires_at if self.before else None
        after = self.after.expires_at if self.after else None
        return before is not None and after is not None and after < before

    @property
    def is_new_version(self) -> bool:
        """Whether the counters get a new version, which publishes the Opportunity again.

        Not if a lease becomes a booking, or one with a Customer: the spaces that are left stay the same, and no lease
        ends earlier than was known.
        """
        return bool(
            self.before is None
            or self.after is None
            or self.spaces_taken
            or self.requested_more
            or self._cuts_lease_short
        )


@dataclass(frozen=True)
class SaveOrder:
    """Put the row of an Order UUID, if it still has version `replaces` (None: if there is no row).

    `ended_at` is when the replaced row was scheduled to end. The schedule, from which the sweep takes
    OrderProposals that end, is changed in the same transaction.
    `counts` is by how much the partner's counters change; `outdated` ones are removed. Both follow from what was
    read, and are left out of comparisons.
    """

    order: Order | DeletedOrder
    replaces: int | None
    ended_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    outdated: tuple[str, ...] = field(default=(), compare=False)

    @property
    def ends_at(self) -> datetime | None:
        """When the new row is scheduled to end."""
        return self.order.ends_at if isinstance(self.order, Order) else None


def save_order(
    order: Order | DeletedOrder, before: Order | DeletedOrder | None, *, outdated: tuple[str, ...] = ()
) -> SaveOrder:
    """Put `order` as the next version of the row that was read as `before`."""
    ended_at = before.ends_at if isinstance(before, Order) else None
    replaces = before.version if before else None
    return SaveOrder(next_version(order, before), replaces, ended_at, counted(before, order), outdated)


def outdated_counters(key: OrderKey, snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    """The counters that can be removed with the next change of this Order."""
    return snapshot.counters.outdated(shard_of(key.uuid), now)


@dataclass(frozen=True)
class RemoveOrder:
    """Remove the row of an Order UUID, if it still has version `replaces`. `counts` as for SaveOrder."""

    key: OrderKey
    replaces: int
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)


def remove_order(order: Order | DeletedOrder) -> RemoveOrder:
    """Remove the row that was read as `order`."""
    return RemoveOrder(order.key, order.version, counted(order, None))


Change: TypeAlias = MoveHold | SaveOrder | RemoveOrder

T = TypeVar("T")


@dataclass(frozen=True)
class Decision(Generic[T]):
    """The answer, and the changes to commit as one. No changes: nothing is written.

    `unread` are Opportunities that the decision depends on, and no commit checks: it is made again with them.
    `error` is raised instead of the answer once the changes are written: the request is refused, and the
    refusal changes something, as when a proposal has ended.
    """

    answer: T
    changes: tuple[Change, ...] = ()
    error: Exception | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An Order to show, with the errors of its items by their index (C1-04).

    `usage` are the limits of the partner that it is near to, or that took the lease from this answer.
    `is_repeat`: the request was answered before, and nothing was made for it now.
    """

    order: Order
    errors: Mapping[int, tuple[OrderItemError, ...]] = field(default_factory=dict)
    usage: tuple[Usage, ...] = ()
    is_repeat: bool = False


@dataclass(frozen=True)
class Policy:
    """The rules of this Booking System that depend on its settings.

    `reconciliation` maps properties of Payment to the values that can be reconciled (PAY-04).
    Images of passes are found below `pass_url`.
    The Seller has `answer_for` to accept an OrderProposal; then the Broker has `book_for` to book it.
    `max_opportunities` bounds an Order so that one transaction holds it.
    """

    anonymous_leases: bool = True
    named_leases: bool = True
    lease_for: timedelta = timedelta(minutes=15)
    lease_longest: timedelta = timedelta(minutes=30)
    answer_for: timedelta = timedelta(days=2)
    book_for: timedelta = timedelta(days=1)
    prepayment_supported: bool = True
    business_tax_calculated: bool = True
    reconciliation: Json = field(default_factory=dict)
    max_opportunities: int = MAX_OPPORTUNITIES
    pass_url: str = PASSES
    limits: PartnerLimits = field(default_factory=PartnerLimits)

    @property
    def leases(self) -> bool:
        """Whether spaces are reserved at all before B."""
        return self.anonymous_leases or self.named_leases


def _no_key(text: str) -> str:
    raise NotImplementedError("no key")


@dataclass(frozen=True)
class Moment:
    """What a decision needs from outside: the time, new ids, and the policy.

    `keyed` is a digest that only this installation can make. The first one reads the key, so it is for rare cases.
    """

    now: datetime
    new_id: Callable[[], str]
    policy: Policy
    keyed: Callable[[str], str] = _no_key
