"""B as a decision."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.book import book, fingerprint_of
from chalicelib.booking.decisions import Decision, MoveHold
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.errors import (
    IncompleteBrokerDetailsError,
    IncompleteCustomerDetailsError,
    IncompletePaymentDetailsError,
    InvalidPaymentDetailsError,
    MissingPaymentDetailsError,
    OpenBookingError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    SellerNotFoundError,
    TotalPaymentDueMismatchError,
    UnnecessaryPaymentDetailsError,
)
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.domain.parties import BrokerRole
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
    an_offer,
    an_opportunity,
    saved_order,
)

PAYMENT = {"@type": "Payment", "identifier": "1"}


def a_booking(*items: Any, **changes: Any) -> Any:
    usual = {"payment": PAYMENT, "total_payment_due": Decimal(10)}
    return a_request(*(items or (an_item(YOGA),)), **{**usual, **changes})


def rendered(order: Order) -> str:
    """A body to recognise: the ids of the items, and what remains."""
    return " ".join(f"{item.id}:{item.spaces_remaining}" for item in order.items)


def booked(request: Any, snapshot: Any, **policy: Any) -> Decision[Any]:
    return book(request, snapshot, a_moment(**policy), rendered)


def test_order_is_made_with_ids_and_confirmed_items() -> None:
    """B-03, B-09, B-10, B-14, B-20: without any quote before."""
    items = (an_item(YOGA), an_item(CYCLING, 1), an_item(YOGA, 2))
    decision = booked(a_booking(*items, total_payment_due=Decimal(30)), a_snapshot(YOGA, CYCLING))
    order = saved_order(decision)
    assert order.kind is OrderKind.Order
    assert {item.status for item in order.items} == {OrderItemStatus.OrderItemConfirmed}
    assert len({item.id for item in order.items}) == 3
    assert order.created_at == NOW
    assert not order.published  # OFEED-02
    assert [
        (change.opportunity_id, change.before, change.after, change.revision)
        for change in decision.changes
        if isinstance(change, MoveHold)
    ] == [
        (CYCLING.id, None, Hold(1, HoldState.booked), 1),
        (YOGA.id, None, Hold(2, HoldState.booked), 1),
    ]


def test_answer_is_kept_as_it_is_given() -> None:
    """B-08; the remaining spaces are those after the booking, and are not stored (C1-09, STATUS-01)."""
    decision = booked(
        a_booking(an_item(YOGA), an_item(YOGA, 1), total_payment_due=Decimal(20)), a_snapshot(YOGA, spaces=5)
    )
    order = saved_order(decision)
    assert order.answer == ("00000000-0000-4000-8000-000000000001:3 00000000-0000-4000-8000-000000000002:3")
    assert decision.answer.order.answer == order.answer
    assert [item.spaces_remaining for item in order.items] == [None, None]


def test_lease_becomes_the_booking() -> None:
    """B-06, B-15: no space is released and taken again."""
    hold = Hold(1, HoldState.leased, NOW + timedelta(minutes=5))
    quote = replace(
        saved_order(booked(a_booking(), a_snapshot(YOGA))),
        kind=OrderKind.OrderQuote,
        lease_expires_at=hold.expires_at,
        version=2,
    )
    decision = booked(a_booking(), a_snapshot(YOGA, spaces=0, hold=hold, order=quote))
    [move] = [change for change in decision.changes if isinstance(change, MoveHold)]
    assert (move.before, move.after) == (hold, Hold(1, HoldState.booked))
    assert (move.spaces_taken, move.leased_more) == (0, -1)
    assert decision.changes[0].replaces == 2  # type: ignore[union-attr]
    assert saved_order(decision).version == 3
    assert saved_order(decision).lease_expires_at is None


def test_lease_on_what_is_not_booked_is_released() -> None:
    """B-15, C2-07."""
    hold = Hold(1, HoldState.leased, NOW + timedelta(minutes=5))
    quote = replace(
        saved_order(booked(a_booking(an_item(CYCLING)), a_snapshot(CYCLING))),
        kind=OrderKind.OrderQuote,
        lease_expires_at=hold.expires_at,
    )
    decision = booked(a_booking(), a_snapshot(YOGA, order=quote))
    moves = {
        change.opportunity_id: (change.before, change.after)
        for change in decision.changes
        if isinstance(change, MoveHold)
    }
    assert moves == {CYCLING.id: (hold, None), YOGA.id: (None, Hold(1, HoldState.booked))}


def test_item_errors_are_answered_with_the_whole_order_and_change_nothing() -> None:
    """B-07, T7, GEN-17: the errors that C2 would give."""
    decision = booked(a_booking(an_item(YOGA), an_item(YOGA, 1)), a_snapshot(YOGA, spaces=1))
    assert list(decision.answer.errors) == [1]
    assert len(decision.answer.order.items) == 2
    assert decision.changes == ()


@pytest.mark.parametrize("due", [None, Decimal("9.99"), Decimal("10.01"), Decimal(0), Decimal("-10")])
def test_total_must_be_the_one_that_applies_now(due: Decimal | None) -> None:
    """B-05, GEN-07."""
    with pytest.raises(TotalPaymentDueMismatchError):
        booked(a_booking(total_payment_due=due), a_snapshot(YOGA))


FREE = an_opportunity("https://a.example/free", an_offer("0", offer_id="https://a.example/free#/offers/1"))
WANTED = {"accountId": "SN1593"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        # PAY-15: broker and customer -> items -> total -> missing -> unnecessary -> incomplete -> invalid
        ({"seller": None, "broker": None}, SellerNotFoundError),
        ({"broker": None, "customer": None}, IncompleteBrokerDetailsError),
        ({"customer": None, "total_payment_due": None}, IncompleteCustomerDetailsError),
        ({"total_payment_due": None, "payment": None}, TotalPaymentDueMismatchError),
        ({"payment": None}, MissingPaymentDetailsError),
        ({"free": True, "payment": {}}, UnnecessaryPaymentDetailsError),
        ({"payment": {"accountId": "other"}}, IncompletePaymentDetailsError),
        ({"payment": {"accountId": "other", "identifier": "1"}}, InvalidPaymentDetailsError),
    ],
)
def test_errors_are_raised_in_order(changes: dict[str, Any], error: type[OpenBookingError]) -> None:
    """ERR-09, PAY-15: of several things that are wrong, the first."""
    changes = dict(changes)
    snapshot = a_snapshot(YOGA, FREE)
    if "seller" in changes:
        snapshot = replace(snapshot, seller=changes.pop("seller"))
    request = (
        a_booking(an_item(FREE), total_payment_due=Decimal(0)) if changes.pop("free", False) else a_booking()
    )
    with pytest.raises(error):
        booked(replace(request, **changes), snapshot, reconciliation=WANTED)


def test_item_errors_come_before_the_payment() -> None:
    """PAY-15."""
    request = a_booking(total_payment_due=None, payment=None)
    assert booked(request, a_snapshot(YOGA, spaces=0)).answer.errors


def test_free_order_needs_no_payment() -> None:
    """PAY-16; B-04."""
    request = a_booking(an_item(FREE), total_payment_due=Decimal(0), payment=None)
    assert saved_order(booked(request, a_snapshot(FREE))).payment is None


@pytest.mark.parametrize("payment", [PAYMENT, None])
def test_optional_payment_may_be_there_or_not(payment: Any) -> None:
    """PAY-13, PAY-05."""
    offer = replace(YOGA.offers[0], prepayment=Prepayment.Optional)
    request = a_booking(payment=payment)
    assert saved_order(booked(request, a_snapshot(replace(YOGA, offers=(offer,))))).payment == payment


def test_what_needs_approval_cannot_be_booked_at_once() -> None:
    """B-21."""
    offer = replace(YOGA.offers[0], requirements=(FlowRequirement.OpenBookingApproval,))
    with pytest.raises(OrderCreationFailedError):
        booked(a_booking(), a_snapshot(replace(YOGA, offers=(offer,))))


# --- once more ---------------------------------------------------------------------------


def test_repeated_request_gets_the_first_answer_and_changes_nothing() -> None:
    """B-08, T22: whatever else has changed, items in another order, another payment."""
    items = (an_item(YOGA), an_item(CYCLING, 1))
    first = saved_order(booked(a_booking(*items, total_payment_due=Decimal(20)), a_snapshot(YOGA, CYCLING)))
    again = a_booking(*reversed(items), total_payment_due=None, payment=None, broker=None)
    decision = booked(again, replace(a_snapshot(spaces=0, order=first), opportunities={}))
    assert decision.answer.order == first
    assert decision.answer.errors == {}
    assert decision.changes == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"items": (an_item(YOGA), an_item(YOGA, 1))},
        {"items": (an_item(CYCLING),)},
        {"items": (an_item(YOGA, offer_id="https://a.example/other"),)},
        {"customer": {"@type": "Person", "email": "other@example.com"}},
        {"customer": {"@type": "Person", "email": "geoff@example.com", "name": "Geoff"}},
        {"seller_id": "https://a.example/sellers/2"},  # AUTH-12: not even the same items
    ],
)
def test_any_difference_under_the_same_uuid_is_refused(changes: dict[str, Any]) -> None:
    """B-08, GEN-05."""
    first = saved_order(booked(a_booking(), a_snapshot(YOGA)))
    with pytest.raises(OrderAlreadyExistsError):
        booked(replace(a_booking(), **changes), a_snapshot(YOGA, CYCLING, order=first))


def test_deleted_uuid_is_refused() -> None:
    """DEL-05, B-08."""
    with pytest.raises(OrderAlreadyExistsError):
        booked(a_booking(), a_snapshot(YOGA, order=DeletedOrder(KEY, SELLER_ID)))


def test_uuid_of_a_proposal_is_not_booked_directly() -> None:
    """A-06."""
    proposal = replace(saved_order(booked(a_booking(), a_snapshot(YOGA))), kind=OrderKind.OrderProposal)
    with pytest.raises(OrderCreationFailedError):
        booked(a_booking(), a_snapshot(YOGA, order=proposal))


def test_fingerprint_depends_on_items_and_customer() -> None:
    """T22: a multiset of pairs, so that twice is not once."""
    one, two = a_booking(an_item(YOGA)), a_booking(an_item(YOGA), an_item(YOGA, 1))
    assert fingerprint_of(one) != fingerprint_of(two)
    assert fingerprint_of(one) == fingerprint_of(a_booking(an_item(YOGA, 7)))
    reordered = {"email": "geoff@example.com", "@type": "Person"}
    assert fingerprint_of(one) == fingerprint_of(replace(one, customer=reordered))
    assert fingerprint_of(one) == fingerprint_of(replace(one, broker_role=BrokerRole.NoBroker))
