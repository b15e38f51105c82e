"""Order Cancellation, Deletion and Status as decisions."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.cancel import cancel_items, delete_order
from chalicelib.booking.decisions import Decision, MoveHold, SaveOrder, Snapshot
from chalicelib.booking.existing import read_status
from chalicelib.booking.requests import CancellationRequest
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.errors import (
    CancellationNotPermittedError,
    GoneError,
    InvalidAuthorizationDetailsError,
    OpenBookingError,
    OrderItemIdInvalidError,
    UnknownOrderError,
)
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.values import replace
from tests.support.builders import (
    CYCLING,
    KEY,
    NOW,
    SELLER_ID,
    YOGA,
    a_moment,
    a_request,
    a_snapshot,
    an_item,
    an_opportunity,
    saved_order,
)

Status = OrderItemStatus


def an_order(*opportunities: Any, **changes: Any) -> Order:
    """An Order with one place of each Opportunity."""
    items = [an_item(opportunity, n) for n, opportunity in enumerate(opportunities or (YOGA,))]
    request = a_request(*items, payment={"identifier": "1"}, total_payment_due=Decimal(10) * len(items))
    decision = book(request, a_snapshot(*(opportunities or (YOGA,))), a_moment(), lambda order: "answer")
    return replace(saved_order(decision), **changes)


def with_status(order: Order, *statuses: OrderItemStatus) -> Order:
    items = (replace(item, status=status) for item, status in zip(order.items, statuses, strict=True))
    return replace(order, items=tuple(items))


def cancelled(order: Any, *indexes: int, now: Any = NOW, seller_id: str = SELLER_ID) -> Decision[None]:
    ids = tuple(str(order.items[n].id) for n in indexes)
    return cancel_items(CancellationRequest(KEY, ids), Snapshot(order), a_moment(now), seller_id=seller_id)


def test_cancelled_item_releases_its_space_and_its_price() -> None:
    """CANCEL-11, CANCEL-01, TAX-09: items that were not named stay as they are; OFEED-03: it enters the feed."""
    order = an_order(YOGA, YOGA, CYCLING)
    decision = cancelled(order, 0)
    changed = saved_order(decision)
    assert [item.status for item in changed.items] == [
        Status.CustomerCancelled,
        Status.OrderItemConfirmed,
        Status.OrderItemConfirmed,
    ]
    assert changed.totals.due == Decimal("20.00")
    assert sum(charge.amount for charge in changed.totals.taxes) == Decimal("3.34")
    assert changed.published
    assert changed.version == order.version + 1
    assert decision.changes[0].replaces == order.version  # type: ignore[union-attr]
    [move] = [change for change in decision.changes if isinstance(change, MoveHold)]
    assert (move.opportunity_id, move.before, move.after) == (
        YOGA.id,
        Hold(2, HoldState.booked),
        Hold(1, HoldState.booked),
    )
    assert move.revision is None  # a place goes back whatever the Seller has changed


def test_everything_cancelled_leaves_nothing_held_and_nothing_due() -> None:
    """CANCEL-11, TAX-08."""
    decision = cancelled(an_order(YOGA, CYCLING), 0, 1)
    assert saved_order(decision).totals.due == 0
    assert saved_order(decision).totals.taxes == ()
    assert [change.after for change in decision.changes if isinstance(change, MoveHold)] == [None, None]


@pytest.mark.parametrize("status", [Status.CustomerCancelled, Status.SellerCancelled])
@pytest.mark.parametrize("late", [False, True])
def test_cancelling_once_more_is_granted_and_changes_nothing(status: OrderItemStatus, late: bool) -> None:
    """CANCEL-03, CANCEL-12, GEN-02: even when it is too late, and for a cancellation by either side."""
    order = with_status(an_order(YOGA), status)
    now = NOW + timedelta(days=9) if late else NOW
    assert cancelled(order, 0, now=now).changes == ()


def test_one_cancelled_before_and_one_now_is_one_change() -> None:
    """CANCEL-03."""
    order = with_status(an_order(YOGA, CYCLING), Status.SellerCancelled, Status.OrderItemConfirmed)
    assert [item.status for item in saved_order(cancelled(order, 0, 1)).items] == [
        Status.SellerCancelled,
        Status.CustomerCancelled,
    ]


@pytest.mark.parametrize("status", [Status.AttendeeAttended, Status.AttendeeAbsent])
def test_what_was_attended_is_not_cancelled(status: OrderItemStatus) -> None:
    """CANCEL-06, CANCEL-08."""
    with pytest.raises(CancellationNotPermittedError):
        cancelled(with_status(an_order(YOGA), status), 0)


def test_either_all_items_are_cancelled_or_none() -> None:
    """CANCEL-02, CANCEL-07: with a description for the customer."""
    fixed = an_opportunity("https://a.example/fixed")
    fixed = replace(fixed, offers=(replace(fixed.offers[0], allows_cancellation=False),))
    order = an_order(YOGA, fixed)
    with pytest.raises(CancellationNotPermittedError) as refused:
        cancelled(order, 0, 1)
    assert refused.value.description
    assert refused.value.instance == order.items[1].id
    assert cancelled(order, 0).changes


def test_window_is_that_of_the_offer_that_was_booked() -> None:
    """CANCEL-06, B-13: the snapshot is looked at, nothing else is even read."""
    offer = replace(YOGA.offers[0], cancellable_until_before=timedelta(hours=24))
    order = an_order(replace(YOGA, offers=(offer,)))
    assert YOGA.starts_at is not None
    deadline = YOGA.starts_at - timedelta(hours=24)
    assert cancelled(order, 0, now=deadline - timedelta(seconds=1)).changes
    with pytest.raises(CancellationNotPermittedError):
        cancelled(order, 0, now=deadline)


def test_item_that_the_order_does_not_have_is_refused() -> None:
    """CANCEL-09."""
    request = CancellationRequest(KEY, ("00000000-0000-4000-8000-999999999999",))
    with pytest.raises(OrderItemIdInvalidError):
        cancel_items(request, Snapshot(an_order()), a_moment(), seller_id=SELLER_ID)


QUOTE = an_order(kind=OrderKind.OrderQuote, lease_expires_at=NOW + timedelta(minutes=1))
STUB = DeletedOrder(KEY, SELLER_ID)


@pytest.mark.parametrize(
    ("stored", "error"),
    [(None, UnknownOrderError), (QUOTE, UnknownOrderError), (STUB, GoneError)],
)
def test_only_an_order_can_be_cancelled(stored: Any, error: type[OpenBookingError]) -> None:
    """CANCEL-10, DEL-08."""
    request = CancellationRequest(KEY, ("00000000-0000-4000-8000-000000000001",))
    with pytest.raises(error):
        cancel_items(request, Snapshot(stored), a_moment(), seller_id=SELLER_ID)


@pytest.mark.parametrize("stored", [an_order(), STUB])
def test_order_of_another_seller_is_not_touched(stored: Any) -> None:
    """AUTH-06, AUTH-12."""
    other, snapshot = "https://a.example/sellers/2", Snapshot(stored)
    request = CancellationRequest(KEY, ("00000000-0000-4000-8000-000000000001",))
    with pytest.raises(InvalidAuthorizationDetailsError):
        cancel_items(request, snapshot, a_moment(), seller_id=other)
    with pytest.raises(InvalidAuthorizationDetailsError):
        delete_order(snapshot, seller_id=other)
    with pytest.raises(InvalidAuthorizationDetailsError):
        read_status(snapshot, NOW, seller_id=other)


# --- deletion ----------------------------------------------------------------------------


@pytest.mark.parametrize("published", [True, False])
def test_deleted_order_leaves_a_stub_and_no_hold(published: bool) -> None:
    """DEL-03, DEL-04, DEL-07: the stub says whether the feed has to take it back."""
    order = an_order(YOGA, CYCLING, published=published)
    decision = delete_order(Snapshot(order), seller_id=SELLER_ID)
    stub = DeletedOrder(KEY, SELLER_ID, published=published, version=order.version + 1)
    assert decision.changes[0] == SaveOrder(stub, order.version)
    assert [change.after for change in decision.changes if isinstance(change, MoveHold)] == [None, None]
    assert "geoff" not in repr(stub)


def test_cancelled_items_are_not_released_twice() -> None:
    """DEL-07."""
    order = with_status(an_order(YOGA, CYCLING), Status.CustomerCancelled, Status.OrderItemConfirmed)
    decision = delete_order(Snapshot(order), seller_id=SELLER_ID)
    assert [change.opportunity_id for change in decision.changes if isinstance(change, MoveHold)] == [
        CYCLING.id
    ]


def test_second_deletion_changes_nothing() -> None:
    """DEL-06, GEN-02."""
    assert delete_order(Snapshot(STUB), seller_id=SELLER_ID).changes == ()


@pytest.mark.parametrize("stored", [None, QUOTE])
def test_unknown_order_cannot_be_deleted(stored: Any) -> None:
    """DEL-02, T10."""
    with pytest.raises(UnknownOrderError):
        delete_order(Snapshot(stored), seller_id=SELLER_ID)


# --- status ------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [QUOTE, an_order(), an_order(kind=OrderKind.OrderProposal)])
def test_status_returns_the_order_in_each_form(stored: Order) -> None:
    """STATUS-01, STATUS-02."""
    decision = read_status(Snapshot(stored), NOW, seller_id=SELLER_ID)
    assert decision.answer is stored
    assert decision.changes == ()


@pytest.mark.parametrize(
    ("stored", "now", "error"),
    [
        (None, NOW, UnknownOrderError),
        (QUOTE, NOW + timedelta(minutes=1), UnknownOrderError),  # LEASE-09: it has lapsed
        (STUB, NOW, GoneError),  # DEL-08
    ],
)
def test_status_of_nothing(stored: Any, now: Any, error: type[OpenBookingError]) -> None:
    with pytest.raises(error):
        read_status(Snapshot(stored), now, seller_id=SELLER_ID)
