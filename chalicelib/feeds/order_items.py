"""The data of an Order's feed item: as much detail as its row and a page can hold."""

from chalicelib.domain.limits import MAX_PAGE_BYTES, MAX_ROW_BYTES, carried_bytes
from chalicelib.domain.orders import Order
from chalicelib.domain.parties import Json
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.storage import codec
from chalicelib.wire.jsonld import write
from chalicelib.wire.orders import feed_document

# The size of the rest of the item, without its data.
_AROUND_BYTES = 5_000


def order_data(order: Order) -> Json:
    """The `data` of an Order or OrderProposal in its partner's feed (OFEED-07 to OFEED-10).

    An Order that `services.row_size` accepted fits, at least with minimal detail. An Order of an earlier
    release may be larger; it is returned unchanged, and the feed's store decides.
    """
    data: Json = {}
    for detail in Detail:
        data = feed_document(trimmed(order, detail))
        if _fits(write(data)):
            break
    return data


def _fits(text: str) -> bool:
    plain = len(text.encode())
    if plain > MAX_ROW_BYTES - _AROUND_BYTES:
        if carried_bytes(text) > MAX_PAGE_BYTES - _AROUND_BYTES:
            return False
        return len(codec.pack_texts(text)) <= MAX_ROW_BYTES - _AROUND_BYTES
    return True
