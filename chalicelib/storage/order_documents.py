"""The document of an Order's row: compressed, and never larger than the row allows."""

from chalicelib.domain.limits import MAX_ROW_BYTES
from chalicelib.domain.orders import Order
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.storage.errors import OrderTooLarge
from chalicelib.values import replace


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


def _texts(order: Order) -> tuple[str, ...]:
    """The Order as one text or three.

    A small Order is a single text. The answers of a large Order are separate texts: inside the Order their
    quotes would be escaped, and their strings would not match the Order's strings.
    """
    bare = codec.to_json(replace(order, answer=None, proposal_answer=None))
    answer, proposal_answer = order.answer or "", order.proposal_answer or ""
    if len(bare) + len(answer) + len(proposal_answer) <= codec.WINDOW_BYTES:
        text = codec.to_json(order)
        if len(text) <= codec.WINDOW_BYTES:
            return (text,)
    return bare, answer, proposal_answer


def unpack_order(data: bytes) -> Order:
    """The Order that `packed` or release 0.1.0 wrote. Raises Undecodable."""
    texts = codec.unpack_texts(data)
    order = codec.from_json(texts[0], Order)
    if len(texts) == 1:
        return order
    answer, proposal_answer = texts[1:]
    return replace(order, answer=answer or None, proposal_answer=proposal_answer or None)


def fits(order: Order, most: int) -> bool:
    """Whether the whole Order takes at most so many bytes when it is compressed.

    Compression never makes it larger, so most Orders need not be compressed to see that.
    """
    texts = _texts(order)
    plain = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
    return plain <= most or len(codec.pack_texts(*texts)) <= most
