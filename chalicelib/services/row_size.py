"""The size of an Order's row: a booking must leave enough space in it for all later changes.

This is checked before anything is written, so that an accepted Order can always be cancelled, replaced,
published, and given notices and new passes: its size never prevents that.
"""

from collections.abc import Callable
from typing import Any

from chalicelib.booking.book import Render, as_booked
from chalicelib.booking.decisions import Moment
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.limits import (
    MAX_CHANNEL_BYTES,
    MAX_NOTE_BYTES,
    MAX_NOTES,
    MAX_OPPORTUNITIES_KEPT,
    MAX_PAYMENT_BYTES,
    MAX_ROW_BYTES,
    json_bytes,
)
from chalicelib.domain.orders import Order, OrderItem, OrderKind
from chalicelib.domain.trimming import MINIMAL_OFFER_BYTES, MINIMAL_OPPORTUNITY_BYTES, Detail, trimmed
from chalicelib.storage.order_documents import fits
from chalicelib.values import replace

# Names, references and statuses that are added to one item; and a reserve for compression.
_AROUND_AN_ITEM_BYTES = 100
_ACCESS_BYTES = 150
_RESERVE_BYTES = 4_000
# What B adds to an item of a proposal and to its answer: an id, a status, a code, and a pass of each kind. The
# Broker's own passes and the channel it has already: afterwards they are there up to four times.
_BOOKED_ITEM_BYTES = 4_000

_ANY_ID = "00000000-0000-4000-8000-000000000000"


def reserved_bytes(order: Order) -> int:
    """How many bytes later changes may add to a row, if none of them can be compressed.

    Each item may get another Opportunity and Offer, a notice and a message, each counted once if it is shared.
    An OrderProposal may also get its notes, its payment and, at B, what its items get then.
    """
    items = len(order.items)
    opportunities, texts = min(items, MAX_OPPORTUNITIES_KEPT), min(2 * items, MAX_NOTES)
    reserved = _RESERVE_BYTES + items * _AROUND_AN_ITEM_BYTES + texts * MAX_NOTE_BYTES
    reserved += opportunities * (MINIMAL_OPPORTUNITY_BYTES + MINIMAL_OFFER_BYTES + MAX_CHANNEL_BYTES)
    if order.kind is OrderKind.OrderProposal:
        reserved += 2 * MAX_NOTE_BYTES + MAX_PAYMENT_BYTES + items * _ACCESS_BYTES
    return reserved


def within_row(render: Render, moment: Moment) -> Render:
    """A `render` that reduces the detail of the answer until its row has space for later changes.

    The new function raises RequestTooLargeError, with the cause, if even minimal detail is too large.
    """

    def rendered(order: Order) -> str:
        for detail in Detail:
            answer = render(trimmed(order, detail))
            if _fits_row(order, answer, render, moment):
                return answer
        raise RequestTooLargeError(_cause(order))

    return rendered


def _fits_row(order: Order, answer: str, render: Render, moment: Moment) -> bool:
    most = MAX_ROW_BYTES - reserved_bytes(order)
    if order.kind is OrderKind.OrderProposal:
        # Most proposals are so small that what B makes of them need not be made to see that it fits.
        if fits(replace(order, answer=answer), (most - len(order.items) * _BOOKED_ITEM_BYTES) // 4):
            return True
        # The row will contain the answer to B, too. The ids that B creates differ in each item; the reserve
        # allows for that.
        booked = trimmed(as_booked(order, replace(moment, new_id=lambda: _ANY_ID)), Detail.minimal)
        kept = replace(booked, answer=render(booked), proposal_answer=answer)
    else:
        kept = replace(order, answer=answer)
    return fits(_as_stored(kept), most) or fits(trimmed(kept, Detail.minimal), most)


def _as_stored(order: Order) -> Order:
    return replace(order, items=tuple(replace(item, spaces_remaining=None) for item in order.items))


def _cause(order: Order) -> str:
    """A sentence for the Broker: the largest part of the Order."""

    def of_items(part: Callable[[OrderItem], Any]) -> int:
        return sum(json_bytes(part(item)) for item in order.items)

    sizes = {
        "customer": json_bytes(order.customer),
        "broker": json_bytes(order.broker),
        "attendee": of_items(lambda item: item.attendee),
        "orderItemIntakeFormResponse": of_items(lambda item: item.intake_answers),
        "accessPass": of_items(lambda item: item.broker_passes),
    }
    largest = max(sizes, key=lambda name: sizes[name])
    return (
        f"The order is too large to be stored with space for later changes. Its largest part is {largest} "
        f"with {sizes[largest]:,} bytes; the order has {len(order.items)} items."
    )
