"""The ids of Orders, their items and versions: written as links, and read again."""

import re
import uuid
from functools import lru_cache
from urllib.parse import urlsplit

from chalicelib.domain.identifiers import API, BASE, IDENTIFIERS
from chalicelib.domain.orders import OrderKind

# An id is the key of a row; DynamoDB allows 2048 bytes for a key.
_MAX_ID_BYTES = 2048

_PATHS = {
    OrderKind.OrderQuote: "order-quotes",  # also at C1 (C1-14)
    OrderKind.OrderProposal: "order-proposals",
    OrderKind.Order: "orders",
}
_OWN_ID = re.compile(re.escape(IDENTIFIERS) + r"/[A-Za-z0-9._~/-]+(#/offers/[A-Za-z0-9._~-]+)?")
_ORDER_ITEM_ID = re.compile(re.escape(API) + r"/orders/([^/#]+)#/orderedItem/([^/#]+)")
_PROPOSAL_VERSION = re.compile(re.escape(API) + r"/order-proposals/([^/#]+)/versions/([^/#]+)")


@lru_cache(maxsize=8192)  # an import asks the same for each child of a parent
def is_identifier(iri: str) -> bool:
    """Whether this can be the id of an Opportunity or an Offer here: ours in our form, or any other URL."""
    if len(iri.encode()) > _MAX_ID_BYTES:
        return False
    if iri.startswith(BASE + "/"):
        return _OWN_ID.fullmatch(iri) is not None
    try:
        parts = urlsplit(iri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", iri)


def parse_uuid(text: str) -> str | None:
    """A UUID as RFC 4122 writes it, in lower case; None for anything else (GEN-01, T27)."""
    try:
        value = str(uuid.UUID(text))
    except ValueError:
        return None
    return value if value == text.lower() else None


def order_id(kind: OrderKind, order_uuid: str) -> str:
    return f"{API}/{_PATHS[kind]}/{order_uuid}"


def order_item_id(order_uuid: str, item_id: str) -> str:
    """The same at P as at B: an item keeps its id when its proposal becomes an Order (T8)."""
    return f"{order_id(OrderKind.Order, order_uuid)}#/orderedItem/{item_id}"


def proposal_version_id(order_uuid: str, version: str) -> str:
    return f"{order_id(OrderKind.OrderProposal, order_uuid)}/versions/{version}"


def parse_proposal_version(iri: str) -> tuple[str, str] | None:
    """The Order UUID and the version's own UUID, or None if it is not the version of a proposal."""
    match = _PROPOSAL_VERSION.fullmatch(iri)
    if match is None:
        return None
    order_uuid, version = parse_uuid(match[1]), parse_uuid(match[2])
    return (order_uuid, version) if order_uuid and version else None


def parse_order_id(iri: str) -> tuple[OrderKind, str] | None:
    """The kind and the UUID in the id of an Order, or None if it is not one."""
    for kind, path in _PATHS.items():
        if iri.startswith(f"{API}/{path}/"):
            order_uuid = parse_uuid(iri.rsplit("/", 1)[-1])
            return (kind, order_uuid) if order_uuid else None
    return None


def parse_order_item_id(iri: str) -> tuple[str, str] | None:
    """The Order UUID and the item's own id, or None if it is not the id of an OrderItem."""
    match = _ORDER_ITEM_ID.fullmatch(iri)
    if match is None:
        return None
    order_uuid, item_id = parse_uuid(match[1]), parse_uuid(match[2])
    return (order_uuid, item_id) if order_uuid and item_id else None
