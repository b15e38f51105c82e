"""The booking partner of a Seller's own desk: its Orders are those that were sold there."""

from hashlib import blake2b

from chalicelib.domain.identifiers import IDENTIFIERS

# The ids of these partners begin with this; no Broker may have such an id.
DESK = "desk-"
_OURS = f"{IDENTIFIERS}/sellers/"


def desk_of(seller_id: str) -> str:
    """The id of the Seller's own booking partner. No caller can sign in as it: it has no credentials."""
    if seller_id.startswith(_OURS):
        return DESK + seller_id.removeprefix(_OURS)
    return DESK + blake2b(seller_id.encode(), digest_size=8).hexdigest()
