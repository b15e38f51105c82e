"""The document of an Order's row: whole where it fits, read in every form that was ever written."""

from random import Random
from typing import Any

import pytest

from chalicelib.booking.book import book
from chalicelib.domain.limits import MAX_ROW_BYTES
from chalicelib.domain.orders import Order
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.storage.errors import OrderTooLarge
from chalicelib.storage.order_documents import pack_order, packed, unpack_order
from chalicelib.values import replace
from tests.support.builders import a_moment, a_request, a_snapshot, an_item, an_opportunity, saved_order


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


def test_order_larger_than_a_row_keeps_less_of_its_opportunities() -> None:
    """An Opportunity's new description is longer than the one that was booked."""
    order = an_order(noise(900_000), answer="{}")
    assert len(packed(order)) > MAX_ROW_BYTES
    assert unpack_order(pack_order(order)) == trimmed(order, Detail.without_descriptions)


def test_order_that_cannot_be_made_smaller_is_refused() -> None:
    with pytest.raises(OrderTooLarge):
        pack_order(an_order(customer={"description": noise(900_000)}))
