"""An Order in each of its forms, as one value: OrderQuote, OrderProposal, Order, or the stub of a deleted one."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from chalicelib.domain.capacity import Hold, HoldState, LeaseKind
from chalicelib.domain.lifecycle import CANCELLED, REJECTED, OrderItemStatus, OrderState, ProposalStatus
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.parties import AccessMethod, BrokerRole, Json
from chalicelib.domain.pricing import Totals, UnitPrice
from chalicelib.values import dataclass, replace


class OrderKind(StrEnum):
    """The form of an Order; at any moment it is one of them (GEN-03)."""

    OrderQuote = "OrderQuote"  # C1, C2: only stored while it holds a lease
    OrderProposal = "OrderProposal"  # P: waiting for the Seller, or decided
    Order = "Order"  # B


@dataclass(frozen=True)
class OrderKey:
    """An Order UUID belongs to one booking partner: two partners may use the same one (GEN-04)."""

    partner_id: str
    uuid: str

    def __str__(self) -> str:
        """Both parts as one text; the register is sorted by it."""
        return f"{self.partner_id}#{self.uuid}"


@dataclass(frozen=True)
class OrderItem:
    """One place for one person.

    `opportunity_id` and `offer_id` are the references as received. `opportunity` and `offer` are the
    values they referred to at that moment (B-13); they are absent only if a reference could not be
    resolved, which is never stored. `spaces_remaining` belongs to an answer and is not stored.
    """

    position: int | None
    opportunity_id: str | None = None
    offer_id: str | None = None
    opportunity: Opportunity | None = None
    offer: Offer | None = None
    price: UnitPrice | None = None
    id: str | None = None
    status: OrderItemStatus | None = None
    spaces_remaining: int | None = None
    attendee: Json | None = None
    intake_answers: tuple[Json, ...] = ()
    broker_passes: tuple[Json, ...] = ()
    access_codes: tuple[Json, ...] = ()
    access_passes: tuple[Json, ...] = ()
    access_channel: Json | None = None
    customer_notice: str | None = None
    cancellation_message: str | None = None

    @property
    def holds_a_space(self) -> bool:
        return self.status not in CANCELLED

    @property
    def takes(self) -> tuple[str, ...]:
        """The Opportunities of which it takes a space: its own, and the sub-events that are sold singly, too."""
        return self.opportunity.takes if self.opportunity is not None else ()


@dataclass(frozen=True)
class Proposal:
    """What an OrderProposal has in addition to its Order. `version` is the UUID of its latest version (P-03).

    An Order that came from a proposal keeps it, so that a repeated B is recognised.

    `ends_at` is when it ends unless it is decided or booked before. Rows of release 0.1.0 have none:
    they end at the start of their earliest Opportunity. `holds_spaces`: its spaces are reserved since P.
    """

    version: str
    status: ProposalStatus
    seller_note: str | None = None
    customer_note: str | None = None
    ends_at: datetime | None = None
    holds_spaces: bool = True

    @property
    def is_rejected(self) -> bool:
        return self.status in REJECTED


@dataclass(frozen=True)
class Order:
    """An OrderQuote, OrderProposal or Order with everything that its answers and feed items need.

    `published`: it has entered its partner's Orders feed (OFEED-02). `fingerprint` identifies items and
    customer of a repeated request (T22); `answer` is the body of the first answer, `proposal_answer` the
    one of P if this was a proposal before, both with their values once if they are long (`shared_text`). `version`
    counts the changes of the stored row. `leased_since` is when the first lease under this UUID was made. `created_at`
    is the time of P, or of B without one; `booked_at` that of B after P. `erased_at` is when its people were erased.
    """

    key: OrderKey
    kind: OrderKind
    seller_id: str
    seller: Json
    broker_role: BrokerRole
    items: tuple[OrderItem, ...]
    totals: Totals
    broker: Json | None = None
    customer: Json | None = None
    payment: Json | None = None
    requires_approval: bool = False
    proposal: Proposal | None = None
    lease_expires_at: datetime | None = None
    lease_kind: LeaseKind | None = None
    leased_since: datetime | None = None
    access_methods: tuple[AccessMethod, ...] = ()
    created_at: datetime | None = None
    booked_at: datetime | None = None
    fingerprint: str | None = None
    answer: str | None = None
    proposal_answer: str | None = None
    published: bool = False
    version: int = 1
    erased_at: datetime | None = None

    def holds(self) -> dict[str, Hold]:
        """The spaces this Order holds, by Opportunity id.

        The spaces of a rejected proposal are not included: they are a lease that ends by the clock.
        """
        state = _HOLD_STATES[self.kind]
        if state is HoldState.leased and self.lease_expires_at is None:
            return {}
        if self.kind is OrderKind.OrderProposal and self.proposal is not None:
            if self.proposal.is_rejected:
                return {}
            state = state if self.proposal.holds_spaces else HoldState.requested
        lease = (self.lease_expires_at, self.lease_kind) if state is HoldState.leased else (None, None)
        return {
            opportunity_id: Hold(spaces, state, *lease)
            for opportunity_id, spaces in spaces_wanted(self.items).items()
        }

    def sold(self) -> frozenset[str]:
        """The Opportunities of its items, without the sub-events of which these take a space."""
        return frozenset(item.opportunity.id for item in self.items if item.opportunity is not None)

    @property
    def open_proposal(self) -> Proposal | None:
        """The proposal, if it is neither rejected nor booked."""
        if self.kind is not OrderKind.OrderProposal or self.proposal is None or self.proposal.is_rejected:
            return None
        return self.proposal

    @property
    def placed_at(self) -> datetime | None:
        """When it became what it is, an OrderProposal or an Order."""
        return self.booked_at or self.created_at

    @property
    def ends_at(self) -> datetime | None:
        """When the open proposal is scheduled to end."""
        return self.open_proposal.ends_at if self.open_proposal else None

    def earliest_start(self) -> datetime | None:
        """When the first of its Opportunities starts."""
        return min(
            (
                item.opportunity.starts_at
                for item in self.items
                if item.opportunity and item.opportunity.starts_at
            ),
            default=None,
        )

    def proposal_has_ended(self, now: datetime) -> bool:
        """Whether this is an open proposal whose time is over, although its row does not say so yet."""
        proposal = self.open_proposal
        ends_at = (proposal.ends_at or self.earliest_start()) if proposal else None
        return ends_at is not None and ends_at <= now

    def has_lapsed(self, now: datetime) -> bool:
        """Whether this is a quote whose lease has ended: then the UUID is free again (LEASE-09)."""
        return (
            self.kind is OrderKind.OrderQuote
            and self.lease_expires_at is not None
            and self.lease_expires_at <= now
        )


@dataclass(frozen=True)
class DeletedOrder:
    """The stub of a deleted Order: its UUID stays in use, personal data is removed (DEL-04)."""

    key: OrderKey
    seller_id: str
    published: bool = False
    version: int = 1


_Row = TypeVar("_Row", bound=Order | DeletedOrder)


def next_version(order: _Row, before: Order | DeletedOrder | None) -> _Row:
    """`order` as the row that replaces `before`. Versions are incremented here only."""
    return replace(order, version=before.version + 1 if before else 1)


def order_state(order: Order | DeletedOrder | None, now: datetime | None = None) -> OrderState:
    """The state of the UUID of a stored row at `now`.

    `now` may be left out for events that treat a quote and a lapsed quote alike.
    """
    if order is None:
        return OrderState.nothing
    if isinstance(order, DeletedOrder):
        return OrderState.deleted
    if now is not None and order.has_lapsed(now):
        return OrderState.lapsed_quote
    return _ORDER_STATES[order.kind]


_ORDER_STATES = {
    OrderKind.OrderQuote: OrderState.quote,
    OrderKind.OrderProposal: OrderState.proposal,
    OrderKind.Order: OrderState.order,
}
_HOLD_STATES = {
    OrderKind.OrderQuote: HoldState.leased,
    OrderKind.OrderProposal: HoldState.proposed,
    OrderKind.Order: HoldState.booked,
}


def spaces_wanted(items: Iterable[OrderItem]) -> dict[str, int]:
    """How many spaces the items take, by Opportunity id (BOOKABLE-11): also those of sub-events."""
    return dict(Counter(each for item in items if item.holds_a_space for each in item.takes))
