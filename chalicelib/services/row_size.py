"""Room in an Order's row: what is booked must leave enough for all that may happen to it later.

Judged before anything is written, so that no Order that was accepted fails to be cancelled, replaced, given
notices and new passes, or published because of its size.
"""

from collections.abc import Callable
from dataclasses import replace
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
from chalicelib.storage.order_documents import packed, plain_size

# Names, references and statuses around what is added to one item; and what is left over for compression.
_AROUND_AN_ITEM_BYTES = 100
_ACCESS_BYTES = 150
_RESERVE_BYTES = 4_000

_ANY_ID = "00000000-0000-4000-8000-000000000000"


def room_for_changes(order: Order) -> int:
    """How many bytes later changes may add to a row, if nothing of them can be compressed.

    Each item may get another Opportunity and Offer, a notice and a message, as far as these differ; an
    OrderProposal also its notes, its payment and, when it is booked, what its items get then.
    """
    items = len(order.items)
    opportunities, texts = min(items, MAX_OPPORTUNITIES_KEPT), min(2 * items, MAX_NOTES)
    room = _RESERVE_BYTES + items * _AROUND_AN_ITEM_BYTES + texts * MAX_NOTE_BYTES
    room += opportunities * (MINIMAL_OPPORTUNITY_BYTES + MINIMAL_OFFER_BYTES + MAX_CHANNEL_BYTES)
    if order.kind is OrderKind.OrderProposal:
        room += 2 * MAX_NOTE_BYTES + MAX_PAYMENT_BYTES + items * _ACCESS_BYTES
    return room


def leaving_room(render: Render, moment: Moment) -> Render:
    """`render`, with as much detail in the answer as leaves room in the row that keeps it.

    The new function raises RequestTooLargeError, which names the cause, where no detail is little enough.
    """

    def rendered(order: Order) -> str:
        for detail in Detail:
            answer = render(trimmed(order, detail))
            if _leaves_room(order, answer, render, moment):
                return answer
        raise RequestTooLargeError(_cause(order))

    return rendered


def _leaves_room(order: Order, answer: str, render: Render, moment: Moment) -> bool:
    most = MAX_ROW_BYTES - room_for_changes(order)
    if order.kind is OrderKind.OrderProposal:
        # The row will keep the answer to B, too. The ids that B makes differ in each item; there is room for that.
        booked = trimmed(as_booked(order, replace(moment, new_id=lambda: _ANY_ID)), Detail.minimal)
        kept = replace(booked, answer=render(booked), proposal_answer=answer)
    else:
        kept = replace(order, answer=answer)
    # Compression makes nothing larger, and most Orders are far below the bound.
    return plain_size(kept) <= most or len(packed(trimmed(kept, Detail.minimal))) <= most


def _cause(order: Order) -> str:
    """A sentence for the Broker: what takes most of the room."""

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
        f"The order is too large to be kept with room for later changes. Of what was sent, {largest} is largest "
        f"with {sizes[largest]:,} bytes; the order has {len(order.items)} items."
    )
