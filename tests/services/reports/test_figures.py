"""Figures add up: sums by any groups are the sums of the Orders, whatever was cancelled."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.booking.assessment import remaining_total
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.lifecycle import CANCELLED, OrderItemStatus
from chalicelib.domain.orders import Order, OrderItem, OrderKey
from chalicelib.domain.pricing import ZERO, unit_price
from chalicelib.services.reports.figures import ONLINE, UNKNOWN, By, Occupancy, Sales, activity_of, site_of
from chalicelib.services.reports.payments import payment_of
from chalicelib.values import replace
from tests.support.builders import NOW, a_seller, an_offer, an_opportunity
from tests.support.orders import an_order

LONDON = ZoneInfo("Europe/London")
YOGA = {"activity": [{"@type": "Concept", "prefLabel": "Yoga"}], "location": {"name": "Kings Mead"}}
TENNIS = {"facilityType": [{"prefLabel": "Tennis Court"}, {"prefLabel": "Hard Court"}]}


def session(document: dict[str, object], **changes: object) -> object:
    return replace(an_opportunity(), document=document, **changes)  # type: ignore[arg-type]


SESSIONS = [
    session(YOGA),
    session({}, parent={"superEvent": YOGA}),
    session(TENNIS, parent={"location": {"name": "Court 1", "containedInPlace": {"name": "East Park"}}}),
    session({}, is_online=True),
]


def test_activity_and_site_are_found_where_they_are_published() -> None:
    named = [(activity_of(each), site_of(each)[1]) for each in SESSIONS]  # type: ignore[arg-type]
    assert named == [
        ("Yoga", "Kings Mead"),
        ("Yoga", "Kings Mead"),
        ("Hard Court, Tennis Court", "East Park"),
        (UNKNOWN, ONLINE),
    ]
    assert site_of(session({})) == (UNKNOWN, UNKNOWN)  # type: ignore[arg-type]


@st.composite
def items(draw: st.DrawFn) -> OrderItem:
    currency = draw(st.sampled_from(["GBP", "EUR"]))
    price = draw(st.decimals(0, 500, places=2))
    offer = an_offer(str(price), currency=currency)
    return OrderItem(
        position=0,
        opportunity=draw(st.sampled_from(SESSIONS)),  # type: ignore[arg-type]
        offer=offer,
        price=unit_price(offer, a_seller()),
        id="1",
        status=draw(st.sampled_from([each for each in OrderItemStatus if each.value != "OrderItemProposed"])),
    )


@st.composite
def orders(draw: st.DrawFn) -> Order:
    made = draw(st.lists(items(), min_size=1, max_size=6))
    # One currency in an Order.
    currency = made[0].price.currency if made[0].price else None
    same = tuple(each for each in made if each.price and each.price.currency == currency)
    key = OrderKey(draw(st.sampled_from(["broker-1", "broker-2"])), draw(st.uuids()).hex)
    totals = replace(remaining_total(same, tax_excluded=False, prepayment_supported=True), currency=currency)
    at = NOW + timedelta(hours=draw(st.integers(0, 200)))
    return an_order(key=key, items=same, totals=totals, created_at=at, payment={"identifier": "p"})


@given(st.lists(orders(), max_size=12), st.lists(st.sampled_from(list(By)), unique=True))
def test_totals_always_equal_those_of_the_orders(booked: list[Order], by: list[By]) -> None:
    sales = Sales(by, LONDON)
    for order in booked:
        sales.add(order)
    for currency, sums in sales.totals.items():
        of_currency = [each for each in booked if each.totals.currency == currency]
        assert sums.due == sum((each.totals.due for each in of_currency), ZERO)
        taxes = (charge.amount for each in of_currency for charge in each.totals.taxes)
        assert sums.tax == sum(taxes, ZERO)
        assert sums.orders == len(of_currency)
        states = Counter(item.status for each in of_currency for item in each.items)
        assert sums.booked == states.total()
        assert sums.cancelled == sum(states[each] for each in CANCELLED)
        assert sums.attended == states[OrderItemStatus.AttendeeAttended]
        groups = [each for key, each in sales.groups.items() if key[-1] == currency]
        for name in ("booked", "cancelled", "attended", "due", "tax", "cancelled_due"):
            assert sum((getattr(each, name) for each in groups), Decimal(0)) == getattr(sums, name)
        payments = [payment for each in of_currency if (payment := payment_of(each))]
        assert sum((each.due for each in payments), ZERO) == sums.due
        assert sum((each.refunded for each in payments), ZERO) == sums.cancelled_due
    assert {each.totals.currency for each in booked} == set(sales.totals)


def test_a_day_is_that_of_the_time_zone() -> None:
    late = an_order(created_at=datetime(2026, 6, 30, 23, 30, tzinfo=UTC))
    sales = Sales([By.day], LONDON)
    sales.add(late)
    assert [row["day"] for row in sales.rows()] == ["2026-07-01", "all"]


def test_an_order_counts_once_in_a_group_and_in_the_total() -> None:
    order = an_order()
    sales = Sales([By.broker], LONDON)
    sales.add(replace(order, items=order.items * 3))
    group, total = sales.rows()
    assert (group["broker"], group["orders"], group["places"]) == ("partner-1", 1, 3)
    assert (total["broker"], total["orders"], total["places"]) == ("all", 1, 3)


def test_places_that_are_taken_are_those_that_are_neither_left_nor_leased() -> None:
    occupancy = Occupancy([By.site], LONDON)
    for each, left, leased in zip(SESSIONS[:2], (4, 10), (1, 0), strict=True):
        occupancy.add(each, Capacity(10, left, leased))  # type: ignore[arg-type]
    site, total = occupancy.rows()
    assert site == {"site": "Kings Mead", **{name: total[name] for name in total if name != "site"}}
    assert (total["sessions"], total["places"], total["taken"], total["reserved"]) == (2, 20, 5, 1)
    assert total["percent"] == "25.0"


def test_without_places_there_is_no_percentage() -> None:
    assert Occupancy([], LONDON).rows() == [
        {"sessions": 0, "places": 0, "taken": 0, "reserved": 0, "percent": ""}
    ]


def test_an_order_without_a_payment_has_none_to_reconcile() -> None:
    assert payment_of(an_order(payment=None)) is None


@pytest.mark.parametrize("by", [[], [By.broker], [By.day, By.activity]])
def test_a_report_on_nothing_has_no_rows(by: list[By]) -> None:
    assert Sales(by, LONDON).rows() == []
