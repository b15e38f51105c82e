"""The document of an Order's row: whole where it fits, read in every form that was ever written."""

from random import Random
from typing import Any

import pytest

from chalicelib.booking.assessment import assess
from chalicelib.booking.book import book
from chalicelib.domain.limits import MAX_ROW_BYTES
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.storage.errors import OrderTooLarge
from chalicelib.storage.order_documents import pack_order, packed, unpack_order
from chalicelib.values import replace
from tests.support.builders import (
    a_moment,
    a_request,
    a_snapshot,
    an_item,
    an_offer,
    an_opportunity,
    saved_order,
)


def an_order(description: str = "", **changes: Any) -> Order:
    """A free Order of two places."""
    document = {"@type": "ScheduledSession", "@id": "https://a.example/1", "description": description}
    session = an_opportunity("https://a.example/1", document=document)
    free = replace(session.offers[0], price=session.offers[0].price * 0)
    session = replace(session, offers=(free,))
    request = a_request(an_item(session), an_item(session, 1), total_payment_due=free.price)
    decision = book(
        request, a_snapshot(session), a_moment(), lambda order: '{"answer":"' + description + '"}'
    )
    return replace(saved_order(decision), **changes)


def noise(size: int) -> str:
    return Random(1).randbytes(size // 2).hex()


@pytest.mark.parametrize("size", [0, 100, 40_000, 300_000])
@pytest.mark.parametrize("proposal_answer", [None, '{"proposal":1}'])
def test_order_that_fits_is_read_as_it_was(size: int, proposal_answer: str | None) -> None:
    order = an_order(noise(size), proposal_answer=proposal_answer)
    assert unpack_order(pack_order(order)) == order


def test_order_without_an_answer_is_read_as_it_was() -> None:
    order = an_order(noise(50_000), answer=None)
    assert unpack_order(pack_order(order)) == order


@pytest.mark.parametrize("size", [100, 100_000])
def test_form_of_release_0_1_0_is_read(size: int) -> None:
    order = an_order("x" * size)
    assert unpack_order(codec.pack(order)) == order


def test_form_of_large_orders_before_items_were_apart_is_read() -> None:
    order = an_order("x" * 20_000, proposal_answer="{}")
    bare = codec.to_json(replace(order, answer=None, proposal_answer=None))
    assert unpack_order(codec.pack_texts(bare, order.answer or "", "{}")) == order


def an_order_of_places(count: int) -> Order:
    """Places of two sessions at two prices, alternating; each item differs in more than its position."""
    sessions = [an_opportunity(f"https://a.example/{n}", an_offer(f"{n}.50")) for n in range(2)]
    items = [
        an_item(sessions[n % 2], n, attendee={"@type": "Person", "givenName": f"Guest {n}"})
        for n in range(count)
    ]
    request = a_request(*items, total_payment_due=None)
    assessment = assess(request, a_snapshot(*sessions, spaces=count), a_moment(), with_customer=True)
    order = an_order()
    return replace(
        order,
        items=tuple(replace(item, id=str(n)) for n, item in enumerate(assessment.items)),
        totals=assessment.totals,
        answer="x" * 40_000,
    )


def test_many_items_are_read_as_they_were_and_share_their_opportunities_again() -> None:
    order = an_order_of_places(200)
    read = unpack_order(pack_order(order))
    assert read == order
    assert len({id(item.opportunity) for item in read.items}) == 2
    assert len(packed(order)) < 10_000


def test_items_without_what_they_refer_to_are_read_as_they_were() -> None:
    """An Order with an unknown reference is answered and never stored; its form must not depend on that."""
    order = an_order_of_places(2)
    bare = OrderItem(position=None, opportunity_id="https://a.example/none")
    order = replace(order, items=(*order.items, bare, replace(bare, id="1", access_codes=({"a": 1},))))
    assert unpack_order(packed(order)) == order


def test_equal_values_are_stored_once_even_if_they_are_several() -> None:
    order = an_order_of_places(100)
    apart = replace(
        order,
        items=tuple(
            replace(item, opportunity=replace(item.opportunity, revision=1))
            for item in order.items
            if item.opportunity
        ),
    )
    assert packed(apart) == packed(order)


@pytest.mark.parametrize("of_items", ["[0,7]", "[0]", "[0,0,0]"])
def test_items_that_do_not_match_what_they_share_are_refused(of_items: str) -> None:
    order = an_order_of_places(2)
    bare, items, shared, *answers = codec.unpack_texts(packed(order))
    shared = shared.replace('"of_items":[0,1]', f'"of_items":{of_items}')
    with pytest.raises(codec.Undecodable):
        unpack_order(codec.pack_texts(bare, items, shared, *answers))


def test_order_larger_than_a_row_keeps_less_of_its_opportunities() -> None:
    """An Opportunity's new description is longer than the one that was booked."""
    order = an_order(noise(900_000), answer="{}")
    assert len(packed(order)) > MAX_ROW_BYTES
    assert unpack_order(pack_order(order)) == trimmed(order, Detail.without_descriptions)


def test_order_that_cannot_be_made_smaller_is_refused() -> None:
    with pytest.raises(OrderTooLarge):
        pack_order(an_order(customer={"description": noise(900_000)}))
