"""C1, C2 and OrderQuote Deletion as decisions."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.decisions import Decision, MoveHold, RemoveOrder, SaveOrder
from chalicelib.booking.holding import lease_end
from chalicelib.booking.quote import delete_quote, quote, without_personal_data
from chalicelib.domain.capacity import Hold, HoldState, LeaseKind
from chalicelib.domain.errors import (
    InvalidAuthorizationDetailsError,
    InvalidPaymentDetailsError,
    OrderAlreadyExistsError,
)
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.values import replace
from tests.support.builders import (
    CUSTOMER,
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
)

LEASED_UNTIL = NOW + timedelta(minutes=15)


def quoted(*args: Any, with_customer: bool = True, **policy: Any) -> Decision[Any]:
    return quote(*args, a_moment(**policy), with_customer=with_customer)


def moves(decision: Decision[Any]) -> list[tuple[str, Hold | None, Hold | None]]:
    return [
        (change.opportunity_id, change.before, change.after)
        for change in decision.changes
        if isinstance(change, MoveHold)
    ]


def a_lease(
    spaces: int, ends_in: timedelta = timedelta(minutes=15), kind: LeaseKind = LeaseKind.named
) -> Hold:
    return Hold(spaces, HoldState.leased, NOW + ends_in, kind)


@pytest.mark.parametrize(
    ("with_customer", "anonymous", "named", "leases"),
    [
        (False, True, True, True),
        (False, True, False, True),
        (False, False, True, False),
        (False, False, False, False),
        (True, True, True, True),
        (True, True, False, True),
        (True, False, True, True),
        (True, False, False, False),
    ],
)
def test_who_gets_a_lease(with_customer: bool, anonymous: bool, named: bool, leases: bool) -> None:
    """LEASE-01, C1-15, GEN-06: where there is no lease, nothing at all is kept (C2-05)."""
    decision = quoted(
        a_request(an_item(YOGA), an_item(YOGA, 1)),
        a_snapshot(YOGA),
        with_customer=with_customer,
        anonymous_leases=anonymous,
        named_leases=named,
    )
    order = decision.answer.order
    assert order.kind is OrderKind.OrderQuote
    if leases:
        assert order.lease_expires_at == LEASED_UNTIL
        assert moves(decision) == [
            (YOGA.id, None, a_lease(2, kind=LeaseKind.named if with_customer else LeaseKind.anonymous))
        ]
    else:
        assert order.lease_expires_at is None
        assert decision.changes == ()


def test_quote_is_kept_without_personal_data_but_answered_with_it() -> None:
    """C2-04, C2-05."""
    asking = replace(YOGA, attendee_details_required=("https://schema.org/givenName",))
    item = an_item(
        asking, attendee={"givenName": "Geoff"}, intake_answers=({"propertyID": "x", "value": "y"},)
    )
    payment = {"@type": "Payment", "identifier": "1", "name": "AcmeBroker Points"}
    decision = quoted(a_request(item, payment=payment), a_snapshot(asking))
    shown = decision.answer.order
    assert shown.customer == CUSTOMER
    assert shown.items[0].attendee == {"givenName": "Geoff"}
    [saved] = [change for change in decision.changes if isinstance(change, SaveOrder)]
    kept = saved.order
    assert isinstance(kept, Order)
    assert (kept.customer, kept.payment) == (None, None)
    assert (kept.items[0].attendee, kept.items[0].intake_answers, kept.items[0].spaces_remaining) == (
        None,
        (),
        None,
    )
    assert kept == without_personal_data(shown)
    assert "Geoff" not in repr(kept)
    assert "geoff@" not in repr(kept)


def a_quote(*items: Any, version: int = 3, **changes: Any) -> Order:
    """A valid quote, with a lease that ends in fifteen minutes."""
    request = a_request(*items)
    ids = {item.opportunity_id for item in items}
    snapshot = a_snapshot(*(opportunity for opportunity in (YOGA, CYCLING) if opportunity.id in ids))
    saved = quoted(request, snapshot).changes[0]
    assert isinstance(saved, SaveOrder)
    assert isinstance(saved.order, Order)
    return replace(saved.order, version=version, **changes)


def test_lease_follows_the_latest_items() -> None:
    """LEASE-03, C2-07: what is no longer asked for is released, the rest moves by the difference."""
    stored = a_quote(an_item(YOGA), an_item(YOGA, 1))
    decision = quoted(a_request(an_item(CYCLING)), a_snapshot(CYCLING, order=stored))
    assert moves(decision) == [
        (CYCLING.id, None, a_lease(1)),
        (YOGA.id, a_lease(2), None),
    ]
    assert decision.changes[0] == SaveOrder(without_personal_data(decision.answer.order), 3)
    assert decision.answer.order.version == 4


def test_repeated_quote_keeps_its_spaces_and_extends_its_lease() -> None:
    """C2-06: from the Anonymous Lease to the Named one; LEASE-03."""
    stored = a_quote(an_item(YOGA), an_item(YOGA, 1))
    own = a_lease(2, timedelta(minutes=10))
    decision = quoted(
        a_request(*(an_item(YOGA, n) for n in range(3))), a_snapshot(YOGA, spaces=1, hold=own, order=stored)
    )
    [(_, before, after)] = moves(decision)
    assert (before, after) == (own, a_lease(3))
    [move] = [change for change in decision.changes if isinstance(change, MoveHold)]
    assert (move.spaces_taken, move.leased_more) == (1, 1)


def test_c1_for_other_items_takes_nothing_where_only_c2_leases() -> None:
    """LEASE-03: what C2 has leased of other items is released."""
    stored = a_quote(an_item(YOGA))
    amended = quoted(
        a_request(an_item(CYCLING)),
        a_snapshot(CYCLING, order=stored),
        with_customer=False,
        anonymous_leases=False,
    )
    assert moves(amended) == [(YOGA.id, a_lease(1), None)]
    assert RemoveOrder(stored.key, stored.version) in amended.changes
    assert amended.answer.order.lease_expires_at is None
    lapsed = replace(stored, lease_expires_at=NOW)
    afresh = quoted(
        a_request(an_item(CYCLING)),
        a_snapshot(CYCLING, order=lapsed),
        with_customer=False,
        anonymous_leases=False,
    )
    assert afresh.changes == ()


def test_quote_with_errors_changes_nothing() -> None:
    """C1-04, LEASE-03."""
    stored = a_quote(an_item(YOGA))
    decision = quoted(a_request(an_item(CYCLING)), a_snapshot(CYCLING, spaces=0, order=stored))
    assert decision.answer.errors
    assert decision.changes == ()
    assert decision.answer.order.lease_expires_at is None


def test_lapsed_quote_holds_nothing_any_more() -> None:
    """LEASE-09: its spaces are released by the next reader, not by this quote."""
    lapsed = a_quote(an_item(YOGA), lease_expires_at=NOW)
    decision = quoted(a_request(an_item(CYCLING)), a_snapshot(CYCLING, order=lapsed))
    assert moves(decision) == [(CYCLING.id, None, a_lease(1))]
    assert decision.changes[0].replaces == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [OrderKind.Order, OrderKind.OrderProposal, "deleted"])
def test_uuid_that_is_taken_is_refused(kind: Any) -> None:
    """GEN-03, GEN-05, C1-16, C1-17: also with the same items."""
    taken: Order | DeletedOrder = DeletedOrder(KEY, SELLER_ID)
    if kind != "deleted":
        taken = replace(a_quote(an_item(YOGA)), kind=kind)
    with pytest.raises(OrderAlreadyExistsError):
        quoted(a_request(an_item(YOGA)), a_snapshot(YOGA, order=taken))


def test_payment_that_cannot_be_reconciled_is_refused_even_for_what_is_free() -> None:
    """PAY-04."""
    free = an_opportunity(
        "https://a.example/free", an_offer("0", offer_id="https://a.example/free#/offers/1")
    )
    request = a_request(an_item(free), payment={"@type": "Payment", "accountId": "other"})
    with pytest.raises(InvalidPaymentDetailsError):
        quoted(request, a_snapshot(free), reconciliation={"accountId": "SN1593"})
    # what can be reconciled is not shown, for nothing is to be paid
    assert quoted(request, a_snapshot(free)).answer.order.payment is None
    paid = quoted(replace(request, items=(an_item(YOGA),)), a_snapshot(YOGA)).answer.order
    assert paid.payment == {"@type": "Payment", "accountId": "other"}


def test_totals_are_exact() -> None:
    """C2-04."""
    decision = quoted(a_request(an_item(YOGA), an_item(CYCLING, 1)), a_snapshot(YOGA, CYCLING))
    assert decision.answer.order.totals.due == Decimal("20.00")


@pytest.mark.parametrize(
    ("microsecond", "expected"),
    [
        (0, LEASED_UNTIL),
        (1, LEASED_UNTIL + timedelta(seconds=1)),
        (999_999, LEASED_UNTIL + timedelta(seconds=1)),
    ],
)
def test_lease_ends_at_a_whole_second_and_never_early(microsecond: int, expected: Any) -> None:
    """LEASE-02."""
    assert lease_end(NOW.replace(microsecond=microsecond), timedelta(minutes=15)) == expected


def test_lease_that_ends_before_all_others_says_so() -> None:
    """LEASE-09: or its end would go unnoticed."""
    decisions = {
        minutes: quoted(
            a_request(an_item(YOGA)),
            replace(
                a_snapshot(YOGA),
                opportunities={
                    YOGA.id: replace(
                        a_snapshot(YOGA).opportunities[YOGA.id],
                        capacity=replace(
                            a_snapshot(YOGA).opportunities[YOGA.id].capacity,
                            next_expiry_at=NOW + timedelta(minutes=20),
                        ),
                    )
                },
            ),
            lease_for=timedelta(minutes=minutes),
        )
        for minutes in (15, 20, 25)
    }
    ends_first = {
        minutes: [change.ends_before_others for change in decision.changes if isinstance(change, MoveHold)]
        for minutes, decision in decisions.items()
    }
    assert ends_first == {15: [True], 20: [False], 25: [False]}


# --- OrderQuote Deletion -----------------------------------------------------------------


def test_deleted_quote_gives_its_spaces_back() -> None:
    """QDEL-02."""
    stored = a_quote(an_item(YOGA), an_item(CYCLING, 1))
    decision = delete_quote(replace(a_snapshot(), order=stored, opportunities={}), NOW, seller_id=SELLER_ID)
    assert decision.changes[0] == RemoveOrder(KEY, 3)
    assert moves(decision) == [(CYCLING.id, a_lease(1), None), (YOGA.id, a_lease(1), None)]


def test_lapsed_quote_is_removed_and_its_spaces_left_to_the_clock() -> None:
    stored = a_quote(an_item(YOGA), lease_expires_at=NOW)
    decision = delete_quote(replace(a_snapshot(), order=stored), NOW, seller_id=SELLER_ID)
    assert decision.changes == (RemoveOrder(KEY, 3),)


@pytest.mark.parametrize("kind", [None, OrderKind.Order, OrderKind.OrderProposal, "deleted"])
def test_deletion_of_a_quote_touches_nothing_else(kind: Any) -> None:
    """QDEL-01, QDEL-03."""
    stored: Any = None
    if kind == "deleted":
        stored = DeletedOrder(KEY, SELLER_ID)
    elif kind is not None:
        stored = replace(a_quote(an_item(YOGA)), kind=kind)
    decision = delete_quote(replace(a_snapshot(), order=stored), NOW, seller_id=SELLER_ID)
    assert decision.changes == ()


def test_quote_of_another_seller_is_not_deleted() -> None:
    """AUTH-06."""
    stored = a_quote(an_item(YOGA))
    with pytest.raises(InvalidAuthorizationDetailsError):
        delete_quote(replace(a_snapshot(), order=stored), NOW, seller_id="https://a.example/sellers/2")
