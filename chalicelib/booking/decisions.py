"""What a stage reads (a Snapshot) and what it returns (a Decision). Values only.

Nothing is written before a decision is complete, and nothing is decided after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.errors import OrderItemError
from chalicelib.domain.identifiers import PASSES
from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, next_version
from chalicelib.domain.parties import Json, Seller


@dataclass(frozen=True)
class Wanted:
    """The keys of one snapshot. Of Opportunities in `offers_of`, only the ids of their Offers are needed."""

    order: OrderKey
    seller_id: str | None = None
    opportunity_ids: tuple[str, ...] = ()
    offers_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpportunitySnapshot:
    """One Opportunity with its counters and what this Order already holds of it."""

    opportunity: Opportunity
    capacity: Capacity
    hold: Hold | None = None


@dataclass(frozen=True)
class Snapshot:
    """Everything a stage may look at, read at one moment. Unknown Opportunities are not in it.

    `absent` are the ids of Opportunities that were looked for and are unknown or withdrawn.
    `other_offers` are the ids of Offers that belong to the Opportunities in `Wanted.offers_of`.
    """

    order: Order | DeletedOrder | None = None
    seller: Seller | None = None
    opportunities: Mapping[str, OpportunitySnapshot] = field(default_factory=dict)
    other_offers: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MoveHold:
    """Change one Order's hold on one Opportunity from `before` to `after`; either may be None.

    The counters change by the difference, so that bookings of different Customers never invalidate each
    other. `revision`, if given, is the one that was priced; it must still be current and open for booking, also
    if the counters do not change.
    `ends_before_others`: this lease ends before every other one on the Opportunity.
    """

    opportunity_id: str
    order: OrderKey
    before: Hold | None
    after: Hold | None
    revision: int | None = None
    ends_before_others: bool = False

    @property
    def spaces_taken(self) -> int:
        """By how much `spaces_left` falls; negative if spaces are released."""
        return (self.after.taken_spaces if self.after else 0) - (
            self.before.taken_spaces if self.before else 0
        )

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
    def moves_counters(self) -> bool:
        """Whether the Opportunity's counters change.

        A lease that is only extended does not write the hot row. A lease that is shortened does,
        because no lease may end before `next_expiry_at`.
        """
        before = self.before.expires_at if self.before else None
        after = self.after.expires_at if self.after else None
        cut_short = before is not None and after is not None and after < before
        return bool(self.spaces_taken or self.leased_more or self.requested_more or cut_short)


@dataclass(frozen=True)
class SaveOrder:
    """Put the row of an Order UUID, if it still has version `replaces` (None: if there is no row).

    `ended_at` is when the replaced row was scheduled to end. The schedule, from which the sweep takes
    OrderProposals that end, is changed in the same transaction.
    """

    order: Order | DeletedOrder
    replaces: int | None
    ended_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the new row is scheduled to end."""
        return self.order.ends_at if isinstance(self.order, Order) else None


def save_order(order: Order | DeletedOrder, before: Order | DeletedOrder | None) -> SaveOrder:
    """Put `order` as the next version of the row that was read as `before`."""
    ended_at = before.ends_at if isinstance(before, Order) else None
    return SaveOrder(next_version(order, before), before.version if before else None, ended_at)


@dataclass(frozen=True)
class RemoveOrder:
    """Remove the row of an Order UUID, if it still has version `replaces`."""

    key: OrderKey
    replaces: int


Change: TypeAlias = MoveHold | SaveOrder | RemoveOrder

T = TypeVar("T")


@dataclass(frozen=True)
class Decision(Generic[T]):
    """The answer, and the changes to commit as one. No changes: nothing is written.

    `error` is raised instead of the answer once the changes are written: the request is refused, and the
    refusal changes something, as when a proposal has ended.
    """

    answer: T
    changes: tuple[Change, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True)
class Answer:
    """An Order to show, with the errors of its items by their index (C1-04)."""

    order: Order
    errors: Mapping[int, tuple[OrderItemError, ...]] = field(default_factory=dict)


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
    answer_for: timedelta = timedelta(days=2)
    book_for: timedelta = timedelta(days=1)
    prepayment_supported: bool = True
    business_tax_calculated: bool = True
    reconciliation: Json = field(default_factory=dict)
    max_opportunities: int = MAX_OPPORTUNITIES
    pass_url: str = PASSES

    @property
    def leases(self) -> bool:
        """Whether spaces are reserved at all before B."""
        return self.anonymous_leases or self.named_leases


@dataclass(frozen=True)
class Moment:
    """What a decision needs from outside: the time, new ids, and the policy."""

    now: datetime
    new_id: Callable[[], str]
    policy: Policy
