"""Orders as values: what they hold, and when they lapse."""

from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import Order, OrderItem, OrderKind, spaces_wanted
from chalicelib.domain.parties import BrokerRole
from chalicelib.domain.pricing import Totals
from chalicelib.values import replace
from tests.support.builders import KEY, NOW, SELLER_ID, an_opportunity

YOGA, CYCLING = an_opportunity("https://a.example/yoga"), an_opportunity("https://a.example/cycling")


def an_order(kind: OrderKind, *items: OrderItem, lease_in: timedelta | None = None) -> Order:
    return Order(
        key=KEY,
        kind=kind,
        seller_id=SELLER_ID,
        seller={},
        broker_role=BrokerRole.AgentBroker,
        items=items,
        totals=Totals(Decimal(0), None, None),
        lease_expires_at=None if lease_in is None else NOW + lease_in,
    )


ITEMS = (OrderItem(0, opportunity=YOGA), OrderItem(1, opportunity=CYCLING), OrderItem(2, opportunity=YOGA))


def test_each_item_is_one_place() -> None:
    """BOOKABLE-11."""
    assert spaces_wanted(ITEMS) == {YOGA.id: 2, CYCLING.id: 1}


@pytest.mark.parametrize("status", OrderItemStatus)
def test_only_a_cancelled_item_gives_its_place_back(status: OrderItemStatus) -> None:
    """CANCEL-11."""
    cancelled = status in (OrderItemStatus.CustomerCancelled, OrderItemStatus.SellerCancelled)
    items = (replace(ITEMS[0], status=status),)
    assert spaces_wanted(items) == ({} if cancelled else {YOGA.id: 1})


def test_item_that_could_not_be_resolved_takes_no_place() -> None:
    assert spaces_wanted([OrderItem(0, opportunity_id="https://a.example/unknown")]) == {}


@pytest.mark.parametrize(
    ("kind", "lease_in", "hold"),
    [
        (OrderKind.OrderQuote, timedelta(minutes=5), Hold(1, HoldState.leased, NOW + timedelta(minutes=5))),
        (OrderKind.OrderQuote, None, None),  # GEN-06: without a lease a quote holds nothing
        (OrderKind.OrderProposal, timedelta(minutes=5), Hold(1, HoldState.proposed)),
        (OrderKind.Order, None, Hold(1, HoldState.booked)),
        (OrderKind.Order, timedelta(minutes=5), Hold(1, HoldState.booked)),
    ],
)
def test_what_each_kind_holds(kind: OrderKind, lease_in: timedelta | None, hold: Hold | None) -> None:
    holds = an_order(kind, ITEMS[1], lease_in=lease_in).holds()
    assert holds == ({CYCLING.id: hold} if hold else {})


@pytest.mark.parametrize(
    ("kind", "lease_in", "lapsed"),
    [
        (OrderKind.OrderQuote, timedelta(seconds=1), False),
        (OrderKind.OrderQuote, timedelta(0), True),
        (OrderKind.OrderQuote, None, False),
        (OrderKind.OrderProposal, timedelta(0), False),
        (OrderKind.Order, timedelta(0), False),
    ],
)
def test_only_a_quote_lapses_and_does_so_with_its_lease(
    kind: OrderKind, lease_in: timedelta | None, lapsed: bool
) -> None:
    """LEASE-09, section 5: OrderQuote -> none on lease expiry."""
    assert an_order(kind, lease_in=lease_in).has_lapsed(NOW) is lapsed
