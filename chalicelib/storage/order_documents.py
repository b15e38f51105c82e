"""The document of an Order's row: compressed, and always of a size that the row takes."""

from dataclasses import replace

from chalicelib.domain.limits import MAX_ROW_BYTES
from chalicelib.domain.orders import Order
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.storage.errors import OrderTooLarge


def pack_order(order: Order) -> bytes:
    """The Order as its row keeps it: whole, or with as much detail of its Opportunities as fits.

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
    """The whole Order, compressed.

    A small one is a single text. Of a large one the answers stand beside it instead of inside, where their
    quotes would be escaped: so their strings are found to be the same as the Order's own.
    """
    text = codec.to_json(order)
    if len(text) <= codec.WINDOW_BYTES:
        return codec.pack_texts(text)
    bare = codec.to_json(replace(order, answer=None, proposal_answer=None))
    return codec.pack_texts(bare, order.answer or "", order.proposal_answer or "")


def unpack_order(data: bytes) -> Order:
    """The Order that `packed` wrote, or release 0.1.0. Raises Undecodable."""
    texts = codec.unpack_texts(data)
    order = codec.from_json(texts[0], Order)
    if len(texts) == 1:
        return order
    answer, proposal_answer = texts[1:]
    return replace(order, answer=answer or None, proposal_answer=proposal_answer or None)


def plain_size(order: Order) -> int:
    """About how many bytes the Order has before it is compressed; never fewer."""
    return len(codec.to_json(order).encode())
