"""People are erased from an Order; what was sold, and that B was made, is kept."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.book import book, propose
from chalicelib.booking.decisions import Moment, Policy
from chalicelib.booking.erasure import end_of, erase_people
from chalicelib.booking.requests import OrderRequest, RequestedItem
from chalicelib.domain.errors import OrderAlreadyExistsError
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.orders import DeletedOrder, Order
from chalicelib.domain.parties import AccessMethod
from chalicelib.domain.people import sought
from chalicelib.domain.shared_text import is_shared, whole
from chalicelib.storage import codec
from chalicelib.values import replace
from chalicelib.wire.answers import ANSWERS
from chalicelib.wire.orders import order_text
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    a_moment,
    a_request,
    a_seller,
    a_snapshot,
    an_item,
    an_offer,
    an_opportunity,
    saved_order,
    sequential_ids,
)

ANN = {"@type": "Person", "givenName": "Ann", "familyName": "Archer", "email": "ann@example.com"}
BEN = {"@type": "Person", "givenName": "Ben", "familyName": "Baker", "email": "ben@example.com"}
PAYMENT = {"@type": "Payment", "identifier": "payment-1", "name": "Acme", "payer": "Ann Archer"}
FORM = (
    {
        "@type": "PropertyValue",
        "propertyID": "https://a.example/q",
        "value": "Mother: Ann Archer, 07700 900123",
    },
)


def keyed(text: str) -> str:
    return f"keyed with a secret({text})"


def moment(**changes: Any) -> Moment:
    return replace(Moment(NOW, sequential_ids(), Policy(), keyed), **changes)


def render(order: Order) -> str:
    return order_text(order, {"@type": "BookingService", "name": "Open Booking"})


def the_request(*, customer: Any = ANN) -> OrderRequest:
    yoga = an_opportunity()
    items = (
        an_item(yoga, 0, attendee=ANN, intake_answers=FORM),
        an_item(yoga, 1, attendee=BEN, access_passes=({"@type": "Barcode", "text": "Ben Baker 1"},)),
    )
    return a_request(
        *items,
        customer=customer,
        payment=PAYMENT,
        total_payment_due=Decimal(20),
        total_currency="GBP",
    )


def booked(request: OrderRequest | None = None) -> Order:
    return saved_order(book(request or the_request(), a_snapshot(), moment(), render))


def erased(order: Order, who: Any = None) -> Order:
    decision = erase_people(a_snapshot(order=order), moment(), who, ANSWERS)
    assert decision.answer
    return saved_order(decision)


def test_nothing_of_the_customer_is_left_and_all_of_the_money_is() -> None:
    before = booked()
    after = erased(before, sought(email="ann@example.com"))
    text = codec.to_json(after)
    assert not [each for each in ("ann@", "Archer", "ben@", "Baker", "900123", "payer") if each in text]
    kept = [
        (order.totals, order.seller_id, [(item.id, item.status, item.price) for item in order.items])
        for order in (before, after)
    ]
    assert kept[0] == kept[1]
    assert after.payment == {"@type": "Payment", "identifier": "payment-1", "name": "Acme"}
    assert after.holds() == before.holds()
    assert after.version == before.version + 1
    assert after.published is before.published
    assert after.erased_at == NOW


def test_an_attendee_leaves_without_the_others() -> None:
    after = erased(booked(), sought(email="ben@example.com"))
    assert after.customer == ANN
    assert [item.attendee for item in after.items] == [ANN, None]
    assert after.items[0].intake_answers == FORM
    assert "Baker" not in codec.to_json(after)
    assert after.erased_at is None


def test_a_text_that_names_a_person_is_removed_and_nothing_else() -> None:
    after = erased(booked(), sought(telephone="+44 7700 900123"))
    assert after.customer == ANN
    assert "900123" not in codec.to_json(after)
    assert [item.attendee for item in after.items] == [ANN, BEN]


def test_people_leave_a_long_answer_that_has_its_values_once() -> None:
    yoga = an_opportunity(document={"@type": "ScheduledSession", "description": "A long text. " * 100})
    items = [an_item(yoga, n, **({"attendee": ANN} if n == 50 else {})) for n in range(100)]
    request = a_request(*items, customer=BEN, payment=PAYMENT, total_payment_due=Decimal(1000))
    before = saved_order(book(request, a_snapshot(yoga, spaces=100), moment(), render))
    assert is_shared(before.answer or "")
    after = erased(before)
    assert after.answer is not None
    assert "Archer" not in after.answer and "Baker" not in after.answer
    left = json.loads(whole(after.answer))
    expected = json.loads(whole(before.answer or ""))
    del expected["customer"], expected["payment"]["payer"], expected["orderedItem"][50]["attendee"]
    assert left == expected


@pytest.mark.parametrize("who", [None, sought(email="ben@example.com")])
def test_passes_that_were_made_here_stay_in_the_order_and_in_its_answer(who: Any) -> None:
    """With them the place is still entered; those of the Broker may name people (ACCESS-05)."""
    seller = a_seller(access_methods=(AccessMethod.barcode, AccessMethod.code))
    before = saved_order(book(the_request(), a_snapshot(seller=seller), moment(), render))
    after = erased(before, who)
    shown = json.loads(after.answer or "")["orderedItem"]
    for item, document, was in zip(after.items, shown, before.items, strict=True):
        own = [each for each in was.access_passes if each not in was.broker_passes]
        assert own and list(item.access_passes) == document["accessPass"] == own
        assert document["accessCode"] == list(was.access_codes)
    assert "Baker" not in (after.answer or "")


def test_a_repeated_b_is_recognised_and_answered_without_the_person() -> None:
    """B-08, T22."""
    request, after = the_request(), erased(booked())
    again = book(request, a_snapshot(order=after), moment(), render)
    assert (again.changes, again.answer.order.answer) == ((), after.answer)
    assert "ann@" not in (again.answer.order.answer or "")
    with pytest.raises(OrderAlreadyExistsError):
        book(the_request(customer=BEN), a_snapshot(order=after), moment(), render)
    with pytest.raises(OrderAlreadyExistsError):
        other_key = moment(keyed=lambda text: f"another({text})")
        book(request, a_snapshot(order=after), other_key, render)


def test_the_fingerprint_cannot_be_tested_by_guessing() -> None:
    before = booked()
    after = erased(before)
    assert before.fingerprint is not None
    assert after.fingerprint == f"keyed:{keyed(before.fingerprint)}"
    twice = erased(replace(after, customer=BEN, erased_at=None))
    assert twice.fingerprint == after.fingerprint


def test_a_repeated_p_is_recognised_too() -> None:
    """P-12."""
    offer = an_offer(
        requirements=(FlowRequirement.OpenBookingApproval, FlowRequirement.OpenBookingMessageExchange)
    )
    session = an_opportunity(offers=(offer,))
    request = a_request(
        RequestedItem(0, session.id, offer.id, attendee=ANN),
        customer=ANN,
        payment=PAYMENT,
        total_payment_due=Decimal(10),
        total_currency="GBP",
        customer_note="Ann needs a chair.",
    )
    proposed = saved_order(propose(request, a_snapshot(session), moment(), render))
    assert proposed.proposal is not None and proposed.proposal.customer_note
    after = erased(proposed, sought(email="ann@example.com"))
    assert after.proposal is not None and after.proposal.customer_note is None
    assert "chair" not in codec.to_json(after)
    again = propose(request, a_snapshot(session, order=after), moment(), render)
    assert (again.changes, again.answer.order) == ((), after)


def test_what_is_erased_is_not_erased_again() -> None:
    after = erased(booked())
    for who in (None, sought(email="ann@example.com")):
        assert not erase_people(a_snapshot(order=after), moment(), who, ANSWERS).changes
    named = replace(after, payment={"identifier": "ann@example.com"})
    assert not erase_people(
        a_snapshot(order=named), moment(), sought(email="ann@example.com"), ANSWERS
    ).changes


def test_an_order_of_others_and_a_deleted_one_are_left_alone() -> None:
    carol = sought(email="carol@example.com")
    assert not erase_people(a_snapshot(order=booked()), moment(), carol, ANSWERS).answer
    assert not erase_people(a_snapshot(order=DeletedOrder(KEY, SELLER_ID)), moment(), None, ANSWERS).answer
    assert not erase_people(a_snapshot(), moment(), None, ANSWERS).answer


def test_a_decision_without_a_key_does_not_erase() -> None:
    with pytest.raises(NotImplementedError):
        erase_people(a_snapshot(order=booked()), a_moment(), None, ANSWERS)


def test_an_order_ends_with_the_last_of_its_sessions() -> None:
    order = booked()
    assert end_of(order) == NOW + timedelta(days=2, hours=1)
    bare = replace(order, items=(replace(order.items[0], opportunity=None),))
    assert end_of(bare) == order.created_at
