"""Convert domain values to rows and rows to domain values; and the keys of rows.

Rows are in DynamoDB's own format, both ways: to make one by PynamoDB takes many times longer. `tables` declares them.
"""

import base64
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from chalicelib.domain.capacity import Capacity, Hold, HoldState, LeaseKind, SourceCount
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.storage import codec
from chalicelib.storage.dynamodb.calls import Raw
from chalicelib.storage.dynamodb.shares import read_shares
from chalicelib.storage.dynamodb.tables import (
    CAPACITY,
    DETAILS,
    EXPIRY_SHARDS,
    FORMAT,
    HOLD_PREFIX,
)
from chalicelib.storage.errors import LaterFormat
from chalicelib.storage.lists import Place, place_of_opportunity, place_of_order
from chalicelib.storage.order_documents import pack_order, unpack_order
from chalicelib.storage.store import Listing, Packed

Row: TypeAlias = dict[str, Mapping[str, Any]]

DELETED = "Deleted"

_FORMAT: Mapping[str, Any] = {"N": str(FORMAT)}

# The row of a quote may stay this long after its lease has ended: readers check the time.
QUOTE_KEPT_SECONDS = 3600


def hold_part(key: OrderKey) -> str:
    return HOLD_PREFIX + str(key)


def key_of_hold(part: str) -> OrderKey:
    partner_id, uuid = part.removeprefix(HOLD_PREFIX).rsplit("#", 1)
    return OrderKey(partner_id, uuid)


def to_seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def expiry_shard(opportunity_id: str) -> str:
    return f"leases#{zlib.crc32(opportunity_id.encode()) % EXPIRY_SHARDS}"


def hold_row(opportunity_id: str, key: OrderKey, hold: Hold) -> Row:
    row: Row = {
        "opportunity_id": {"S": opportunity_id},
        "part": {"S": hold_part(key)},
        "spaces": _written(hold.spaces),
        "state": {"S": hold.state.value},
        "row_format": _FORMAT,
    }
    if hold.expires_at is not None:
        row["lease_expires_at"] = _written(to_seconds(hold.expires_at))
        row["expiry_shard"] = {"S": expiry_shard(opportunity_id)}
    if hold.lease_kind is not None:
        row["lease_kind"] = {"S": hold.lease_kind.value}
    return row


def check_format(raw: Raw) -> None:
    """Refuse a row that a later release wrote: it may have another meaning there. Raises LaterFormat."""
    written = raw.get("row_format")
    if written is not None and int(written["N"]) > FORMAT:
        raise LaterFormat(f"the row has format {written['N']}; this release reads up to {FORMAT}")


def read_hold(raw: Raw) -> Hold:
    check_format(raw)
    kind = _text(raw, "lease_kind")
    return Hold(
        _number(raw, "spaces"),
        HoldState(raw["state"]["S"]),
        _instant(raw, "lease_expires_at"),
        LeaseKind(kind) if kind else None,
    )


def read_capacity(raw: Raw) -> Capacity:
    check_format(raw)
    return Capacity(
        spaces_total=_number(raw, "spaces_total"),
        spaces_left=_number(raw, "spaces_left"),
        spaces_leased=_number(raw, "spaces_leased"),
        revision=_number(raw, "revision"),
        version=_number(raw, "version"),
        open_for_booking=raw["open_for_booking"]["BOOL"],
        next_expiry_at=_instant(raw, "next_expiry_at"),
        shares=read_shares(raw),
        spaces_requested=_number(raw, "spaces_requested") if "spaces_requested" in raw else 0,
        source_count=_source_count(raw),
    )


def _source_count(raw: Raw) -> SourceCount | None:
    if "source_stated" not in raw:
        return None
    unknown, oversold = (_number(raw, name) if name in raw else 0 for name in ("source_unknown", "oversold"))
    return SourceCount(_number(raw, "source_stated"), unknown, oversold)


def details_row(listing: Listing) -> Row:
    row: Row = {
        "opportunity_id": {"S": listing.opportunity.id},
        "part": {"S": DETAILS},
        "document": {"B": listing.packed_opportunity},
        "version": _written(listing.version),
        "deleted": {"BOOL": listing.deleted},
        "row_format": _FORMAT,
    }
    for name, value in (("source", listing.source), ("source_digest", listing.source_digest)):
        if value is not None:
            row[name] = {"S": value}
    if listing.closed:
        row["closed"] = {"BOOL": True}
    return row | _in_place(place_of_opportunity(listing.opportunity))


def _in_place(place: Place | None) -> Row:
    """The attributes of a row that is in a list."""
    return {} if place is None else {"seller_list": {"S": place.list_key}, "listed_at": {"S": place.place}}


def place_of_details(raw: Raw) -> Place | None:
    """Where the row of an Opportunity should be; None if it should be in no list, or cannot be read."""
    try:
        return place_of_opportunity(read_listing(raw).opportunity)
    except (codec.Undecodable, LaterFormat, KeyError, ValueError):
        return None


def new_rows(listing: Listing, spaces: int | None) -> tuple[Row, ...]:
    """The rows of an Opportunity that is new: its details, and its counters if it has any."""
    details, opportunity = details_row(listing), listing.opportunity
    if spaces is None:
        return (details,)
    counters: Row = {
        "opportunity_id": {"S": opportunity.id},
        "part": {"S": CAPACITY},
        "spaces_total": _written(spaces),
        "spaces_left": _written(spaces),
        "spaces_leased": _written(0),
        "revision": _written(opportunity.revision),
        "version": _written(1),
        "open_for_booking": {"BOOL": listing.is_open},
        "row_format": _FORMAT,
    }
    if listing.source is not None:
        counters["source_stated"] = _written(spaces)
    return details, counters


def is_deleted(details: Raw) -> bool:
    return "deleted" in details and bool(details["deleted"]["BOOL"])


def read_opportunity(raw: Raw) -> Opportunity:
    """The Opportunity in a details row. Raises Undecodable."""
    return _read_packed(raw)[0]


def _read_packed(raw: Raw) -> tuple[Opportunity, Packed | None]:
    document = raw["document"]
    if "S" in document:  # release 0.1.0 wrote it
        return codec.from_json(document["S"], Opportunity), None
    data = document["B"]
    data = base64.b64decode(data) if isinstance(data, str) else data
    opportunity = codec.unpack(data, Opportunity)
    return opportunity, Packed(opportunity, data)


def read_listing(raw: Raw) -> Listing:
    check_format(raw)
    opportunity, packed = _read_packed(raw)
    return Listing(
        opportunity=opportunity,
        version=_number(raw, "version"),
        deleted=is_deleted(raw),
        source=_text(raw, "source"),
        source_digest=_text(raw, "source_digest"),
        closed=bool(raw.get("closed", {}).get("BOOL")),
        packed=packed,
    )


def order_row(order: Order | DeletedOrder) -> Row:
    """The row of an order, or of the stub of a deleted one. Raises OrderTooLarge."""
    row: Row = {
        "order_key": {"S": str(order.key)},
        "kind": {"S": DELETED},
        "version": _written(order.version),
        "published": {"BOOL": order.published},
        "seller_id": {"S": order.seller_id},
        "row_format": _FORMAT,
    }
    if isinstance(order, Order):
        row["kind"], row["document"] = {"S": order.kind.value}, {"B": pack_order(order)}
        if order.kind is OrderKind.OrderQuote and order.lease_expires_at is not None:
            row["expires_at"] = _written(to_seconds(order.lease_expires_at) + QUOTE_KEPT_SECONDS)
    return row | _in_place(place_of_order(order))


def read_order(raw: Raw) -> Order | DeletedOrder:
    """The order in a row, or in a stream's image of it, whose bytes are base64 if it was read from JSON.

    Raises Undecodable, UnreadableRow.
    """
    check_format(raw)
    if raw["kind"]["S"] != DELETED:
        data = raw["document"]["B"]
        return unpack_order(base64.b64decode(data) if isinstance(data, str) else data)
    partner_id, uuid = raw["order_key"]["S"].rsplit("#", 1)
    return DeletedOrder(
        OrderKey(partner_id, uuid),
        raw["seller_id"]["S"],
        published=raw["published"]["BOOL"],
        version=_number(raw, "version"),
    )


def _written(number: int) -> Mapping[str, Any]:
    return {"N": str(number)}


def _number(raw: Raw, name: str) -> int:
    return int(raw[name]["N"])


def _instant(raw: Raw, name: str) -> datetime | None:
    return datetime.fromtimestamp(_number(raw, name), UTC) if "N" in raw.get(name, {}) else None


def _text(raw: Raw, name: str) -> str | None:
    return raw.get(name, {}).get("S")
