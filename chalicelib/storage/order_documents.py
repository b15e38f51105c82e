"""The document of an Order's row: compressed, and never larger than the row allows."""

from collections.abc import Iterable, Iterator
from typing import Any

from chalicelib.domain.limits import MAX_ROW_BYTES
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.shared_text import is_shared
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.storage.errors import OrderTooLarge
from chalicelib.values import dataclass, replace


@dataclass(frozen=True)
class _Shared:
    """What the items of an Order have in common: their references, with what these refer to and its price.

    `parts` are items that have nothing else, each different; `of_items` is the place in it for each item.
    """

    parts: tuple[OrderItem, ...]
    of_items: tuple[int, ...]


def pack_order(order: Order) -> bytes:
    """The Order as stored in its row: whole, or with as much detail of its Opportunities as fits.

    Raises OrderTooLarge.
    """
    size = 0
    for detail in Detail:
        document = packed(trimmed(order, detail))
        size = len(document)
        if size <= MAX_ROW_BYTES:
            return document
    raise OrderTooLarge(f"the order takes {size} bytes")


def packed(order: Order) -> bytes:
    """The whole Order, compressed."""
    return codec.pack_texts(*_texts(order))


def unpack_order(data: bytes) -> Order:
    """The Order that `packed`, or an earlier release, wrote. Raises Undecodable."""
    texts = codec.unpack_texts(data)
    order = codec.from_json(texts[0], Order)
    if len(texts) == 1:
        return order
    *parts, answer, proposal_answer = texts
    if len(parts) == 3:  # otherwise its items are in it
        items, shared = codec.from_json(parts[1], tuple[OrderItem, ...]), codec.from_json(parts[2], _Shared)
        order = replace(order, items=tuple(_with_shared(items, shared)))
    return replace(order, answer=answer or None, proposal_answer=proposal_answer or None)


def fits(order: Order, most: int) -> bool:
    """Whether the whole Order takes at most so many bytes when it is compressed.

    Compression never makes it larger, so most Orders need not be compressed to see that.
    """
    texts = _texts(order)
    plain = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
    return plain <= most or len(codec.pack_texts(*texts)) <= most


def _texts(order: Order) -> tuple[str, ...]:
    """The Order as one text or five.

    A small Order is a single text, as in release 0.1.0. A large one has its items apart, without what they share, then
    what they share, and its answers: inside the Order their quotes would be escaped, and their strings would not match
    the Order's strings.
    """
    answer, proposal_answer = order.answer or "", order.proposal_answer or ""
    if len(answer) + len(proposal_answer) <= codec.WINDOW_BYTES and not is_shared(answer + proposal_answer):
        text = codec.to_json(order)
        if len(text) <= codec.WINDOW_BYTES:
            return (text,)
    own = [
        replace(item, opportunity_id=None, offer_id=None, opportunity=None, offer=None, price=None)
        for item in order.items
    ]
    return (
        codec.to_json(replace(order, items=(), answer=None, proposal_answer=None)),
        codec.to_short_json(own),
        codec.to_json(_shared(order.items)),
        answer,
        proposal_answer,
    )


def _shared(items: Iterable[OrderItem]) -> _Shared:
    known: dict[tuple[Any, ...], int] = {}
    places: dict[str, int] = {}
    parts: list[OrderItem] = []
    of_items: list[int] = []
    for item in items:
        same = (item.opportunity_id, item.offer_id, id(item.opportunity), id(item.offer), id(item.price))
        place = known.get(same)
        if place is None:
            part = OrderItem(
                None, item.opportunity_id, item.offer_id, item.opportunity, item.offer, item.price
            )
            # Equal values may be several in an Order that an earlier release has written.
            place = known[same] = places.setdefault(codec.to_json(part), len(parts))
            if place == len(parts):
                parts.append(part)
        of_items.append(place)
    return _Shared(tuple(parts), tuple(of_items))


def _with_shared(items: Iterable[OrderItem], shared: _Shared) -> Iterator[OrderItem]:
    """Raises Undecodable."""
    try:
        for item, place in zip(items, shared.of_items, strict=True):
            part = shared.parts[place]
            yield replace(
                item,
                opportunity_id=part.opportunity_id,
                offer_id=part.offer_id,
                opportunity=part.opportunity,
                offer=part.offer,
                price=part.price,
            )
    except (IndexError, ValueError) as error:
        raise codec.Undecodable(str(error)) from error
