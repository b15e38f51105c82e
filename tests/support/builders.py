"""Small values to test with: each takes only what a test is about, the rest is ordinary."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.booking.decisions import Decision, Moment, OpportunitySnapshot, Policy, SaveOrder, Snapshot
from chalicelib.booking.requests import OrderRequest, RequestedItem
from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import BrokerRole, Json, Seller, TaxMode, TaxRate
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import replace

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SELLER_ID = "https://base.invalid/api/identifiers/sellers/1"
SESSION_ID = "https://base.invalid/api/identifiers/scheduled-sessions/1"
KEY = OrderKey("partner-1", "10000000-0000-4000-8000-000000000001")
VAT = TaxRate("VAT at 20%", Decimal("0.2"))

BROKER: Json = {"@type": "Organization", "name": "Acme Broker"}
CUSTOMER: Json = {"@type": "Person", "email": "geoff@example.com"}
BUSINESS: Json = {"@type": "Organization", "name": "Acme Works", "email": "acme@example.com"}

# Tries again without a pause.
AT_ONCE = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5)


ADDRESS = {"@type": "PostalAddress", "streetAddress": "1 High Street", "postalCode": "OX1 1AA"}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def sequential_ids() -> Callable[[], str]:
    """UUIDs that count up."""
    numbers = iter(range(1, 10**9))
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012d}"


def a_seller(seller_id: str = SELLER_ID, tax_mode: TaxMode = TaxMode.TaxGross, **changes: Any) -> Seller:
    document = {"@type": "Organization", "@id": seller_id, "name": "Seller", "address": ADDRESS}
    seller = Seller(seller_id, tax_mode, document, VAT)
    return replace(seller, **changes)


def an_offer(price: str = "10.00", offer_id: str = f"{SESSION_ID}#/offers/1", **changes: Any) -> Offer:
    document = {"@type": "Offer", "@id": offer_id, "price": float(price), "priceCurrency": "GBP"}
    offer = Offer(offer_id, Decimal(price), "GBP", allows_cancellation=True, document=document)
    return replace(offer, **changes)


def an_opportunity(
    opportunity_id: str = SESSION_ID, *offers: Offer, starts_in: timedelta = timedelta(days=2), **changes: Any
) -> Opportunity:
    """A ScheduledSession of an hour, with one Offer unless told otherwise."""
    starts_at = NOW + starts_in
    opportunity = Opportunity(
        id=opportunity_id,
        type=OpportunityType.ScheduledSession,
        seller_id=SELLER_ID,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
        offers=offers or (an_offer(offer_id=f"{opportunity_id}#/offers/1"),),
        document={"@type": "ScheduledSession", "@id": opportunity_id},
    )
    return replace(opportunity, **changes)


def an_item(opportunity: Opportunity, position: int = 0, **changes: Any) -> RequestedItem:
    return replace(RequestedItem(position, opportunity.id, opportunity.offers[0].id), **changes)


def a_request(*items: RequestedItem, **changes: Any) -> OrderRequest:
    """A request for the items, or for one place of the ordinary session."""
    request = OrderRequest(
        key=KEY,
        seller_id=SELLER_ID,
        items=items or (an_item(an_opportunity()),),
        broker_role=BrokerRole.AgentBroker,
        broker=BROKER,
        customer=CUSTOMER,
    )
    return replace(request, **changes)


def a_snapshot(
    *opportunities: Opportunity,
    spaces: int = 10,
    leased: int = 0,
    hold: Hold | None = None,
    order: Order | DeletedOrder | None = None,
    seller: Seller | None = None,
    capacity: Capacity | None = None,
) -> Snapshot:
    """What was read: each Opportunity with `spaces` left and `leased` more leased by somebody."""
    total = spaces + leased + (hold.spaces if hold else 0)
    counters = capacity or Capacity(total, spaces, leased + (hold.leased_spaces if hold else 0))
    return Snapshot(
        order=order,
        seller=seller or a_seller(),
        opportunities={
            opportunity.id: OpportunitySnapshot(opportunity, counters, hold)
            for opportunity in opportunities or (an_opportunity(),)
        },
    )


def a_moment(now: datetime = NOW, **policy: Any) -> Moment:
    return Moment(now, sequential_ids(), Policy(**policy))


class Observed:
    """What a worker reported: (what, kind, entry id, type of the error)."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, str, str]] = []

    def work_failed(self, kind: str, entry_id: str, error: BaseException) -> None:
        self.reports.append(("failed", kind, entry_id, type(error).__name__))

    def work_set_aside(self, kind: str, entry_id: str, error: BaseException) -> None:
        self.reports.append(("set aside", kind, entry_id, type(error).__name__))


def saved_order(decision: Decision[Any]) -> Order:
    """The Order that a decision saves, which is its first change."""
    change = decision.changes[0]
    assert isinstance(change, SaveOrder)
    assert isinstance(change.order, Order)
    return change.order


YOGA = an_opportunity("https://a.example/yoga")
CYCLING = an_opportunity("https://a.example/cycling")
