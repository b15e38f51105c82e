"""Convert domain values to rows and rows to domain values; and the keys of rows."""

import base64
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

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
    DetailsRow,
    HoldRow,
    OrderRow,
    Tables,
)
from chalicelib.storage.errors import LaterFormat
from chalicelib.storage.lists import Place, place_of_opportunity, place_of_order
from chalicelib.storage.order_documents import pack_order, unpack_order
from chalicelib.storage.store import Listing, Packed

DELETED = "Deleted"

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


def hold_row(tables: Tables, opportunity_id: str, key: OrderKey, hold: Hold) -> HoldRow:
    row: HoldRow = tables.holds(opportunity_id, hold_part(key), spaces=hold.spaces, state=hold.state.value)
    if hold.expires_at is not None:
        row.lease_expires_at = to_seconds(hold.expires_at)
        row.expiry_shard = expiry_shard(opportunity_id)
    if hold.lease_kind is not None:
        row.lease_kind = hold.lease_kind.value
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


def details_row(tables: Tables, listing: Listing) -> DetailsRow:
    row: DetailsRow = tables.details(
        listing.opportunity.id,
        DETAILS,
        document=listing.packed_opportunity,
        version=listing.version,
        deleted=listing.deleted,
        source=listing.source,
        source_digest=listing.source_digest,
        closed=listing.closed or None,
    )
    _put_in_place(row, place_of_opportunity(listing.opportunity))
    return row


def _put_in_place(row: DetailsRow | OrderRow, place: Place | None) -> None:
    if place is not None:
        row.seller_list, row.listed_at = place.list_key, place.place


def place_of_details(raw: Raw) -> Place | None:
    """Where the row of an Opportunity should be; None if it should be in no list, or cannot be read."""
    try:
        return place_of_opportunity(read_listing(raw).opportunity)
    except (codec.Undecodable, LaterFormat, KeyError, ValueError):
        return None


def new_rows(listing: Listing, spaces: int | None) -> tuple[Raw, ...]:
    """The rows of an Opportunity that is new, in DynamoDB's own format: its details, and its counters if it has any."""
    opportunity = listing.opportunity
    details: dict[str, Mapping[str, Any]] = {
        "opportunity_id": {"S": opportunity.id},
        "part": {"S": DETAILS},
        "document": {"B": listing.packed_opportunity},
        "version": {"N": str(listing.version)},
        "deleted": {"BOOL": listing.deleted},
        "row_format": {"N": str(FORMAT)},
    }
    for name, value in (("source", listing.source), ("source_digest", listing.source_digest)):
        if value is not None:
            details[name] = {"S": value}
    if listing.closed:
        details["closed"] = {"BOOL": True}
    if place := place_of_opportunity(opportunity):
        details |= {"seller_list": {"S": place.list_key}, "listed_at": {"S": place.place}}
    if spaces is None:
        return (details,)
    numbers = {
        "spaces_total": spaces,
        "spaces_left": spaces,
        "spaces_leased": 0,
        "revision": opportunity.revision,
        "version": 1,
        "row_format": FORMAT,
    }
    if listing.source is not None:
        numbers["source_stated"] = spaces
    counters: dict[str, Mapping[str, Any]] = {
        "opportunity_id": {"S": opportunity.id},
        "part": {"S": CAPACITY},
        "open_for_booking": {"BOOL": listing.is_open},
        **{name: {"N": str(value)} for name, value in numbers.items()},
    }
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


def order_row(tables: Tables, order: Order | DeletedOrder) -> OrderRow:
    """The row of an order, or of the stub of a deleted one. Raises OrderTooLarge."""
    row: OrderRow = tables.orders(
        str(order.key),
        kind=DELETED,
        version=order.version,
        published=order.published,
        seller_id=order.seller_id,
    )
    if isinstance(order, Order):
        row.kind, row.document = order.kind.value, pack_order(order)
        if order.kind is OrderKind.OrderQuote and order.lease_expires_at is not None:
            row.expires_at = to_seconds(order.lease_expires_at) + QUOTE_KEPT_SECONDS
    _put_in_place(row, place_of_order(order))
    return row


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


def _number(raw: Raw, name: str) -> int:
    return int(raw[name]["N"])


def _instant(raw: Raw, name: str) -> datetime | None:
    return datetime.fromtimestamp(_number(raw, name), UTC) if "N" in raw.get(name, {}) else None


def _text(raw: Raw, name: str) -> str | None:
    return raw.get(name, {}).get("S")
