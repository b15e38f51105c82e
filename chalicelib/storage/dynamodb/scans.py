"""Scans of whole tables, a page at a time, as raw rows, so that a damaged row does not hide the others."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.domain.capacity import Hold
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.storage.dynamodb import lists, rows
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults
from chalicelib.storage.dynamodb.tables import CAPACITY, DETAILS, HOLD_PREFIX, Tables
from chalicelib.storage.lists import place_of_order
from chalicelib.storage.scans import WHOLE, BrokenRow, Part, ScanPage


def scan(
    tables: Tables,
    table: str,
    cursor: str = "",
    *,
    part: Part = WHOLE,
    limit: int | None = None,
    only: Any = None,
    attributes: Sequence[str] | None = None,
) -> ScanPage[Raw]:
    """One page of a table, eventually consistent. `cursor` is the key of the last row before it, as JSON."""
    with passing_faults(table):
        answer: dict[str, Any] = tables.connection.scan(
            table,
            filter_condition=only,
            attributes_to_get=list(attributes) if attributes else None,
            limit=limit,
            # PynamoDB takes the key in DynamoDB's format, although its annotation differs.
            exclusive_start_key=json.loads(cursor) if cursor else None,
            segment=part.number if part.of > 1 else None,
            total_segments=part.of if part.of > 1 else None,
        )
    following = answer.get("LastEvaluatedKey")
    return ScanPage(tuple(answer["Items"]), json.dumps(following) if following else None)


def scan_whole(
    tables: Tables, table: str, *, only: Any = None, attributes: Sequence[str] | None = None
) -> Iterator[Raw]:
    """All rows of a table, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = scan(tables, table, cursor, only=only, attributes=attributes)
        yield from page.rows
        cursor = page.cursor


def scan_orders(
    tables: Tables, cursor: str, part: Part, limit: int, partner_id: str | None
) -> ScanPage[Order | DeletedOrder | BrokenRow]:
    """See `Store.scan_orders`."""
    orders = tables.orders
    only = orders.order_key.startswith(f"{partner_id}#") if partner_id is not None else None
    page = scan(tables, orders.Meta.table_name, cursor, part=part, limit=limit, only=only)
    found = [_order(raw) for raw in page.rows]
    unlisted = tuple(
        str(order.key)
        for order, raw in zip(found, page.rows, strict=True)
        if not isinstance(order, BrokenRow) and lists.lacks_place(raw, place_of_order(order))
    )
    return ScanPage(tuple(found), page.cursor, unlisted)


def scan_opportunities(tables: Tables, cursor: str, part: Part, limit: int) -> ScanPage[str]:
    """See `Store.scan_opportunities`."""
    table = tables.details.Meta.table_name
    page = scan(
        tables, table, cursor, part=part, limit=limit, attributes=("opportunity_id", "part", "seller_list")
    )
    # Earlier releases kept unfinished work in the same table.
    ids = [raw["opportunity_id"]["S"] for raw in page.rows if _is_of_opportunity(raw["part"]["S"])]
    unlisted = [
        raw["opportunity_id"]["S"]
        for raw in page.rows
        if raw["part"]["S"] == DETAILS and "seller_list" not in raw
    ]
    return ScanPage(tuple(dict.fromkeys(ids)), page.cursor, tuple(unlisted))


def hold_rows(
    tables: Tables, keys: Sequence[tuple[str, OrderKey]]
) -> dict[tuple[str, OrderKey], Hold | BrokenRow]:
    """See `Store.hold_rows`."""
    table = tables.holds.Meta.table_name
    wanted = [
        (table, {"opportunity_id": {"S": opportunity_id}, "part": {"S": rows.hold_part(key)}})
        for opportunity_id, key in dict.fromkeys(keys)
    ]
    found = batch_get(tables.connection, wanted).get(table, [])
    return {(raw["opportunity_id"]["S"], rows.key_of_hold(raw["part"]["S"])): read_hold(raw) for raw in found}


def read_hold(raw: Raw) -> Hold | BrokenRow:
    """The hold in a row, or a BrokenRow."""
    try:
        return rows.read_hold(raw)
    except Exception as error:  # any error: the row is named and the others are read
        return BrokenRow(f"{raw['opportunity_id']['S']} {raw['part']['S']}", type(error).__name__)


def _order(raw: Raw) -> Order | DeletedOrder | BrokenRow:
    try:
        return rows.read_order(raw)
    except Exception as error:  # as above
        return BrokenRow(raw["order_key"]["S"], type(error).__name__)


def _is_of_opportunity(part: str) -> bool:
    return part in (DETAILS, CAPACITY) or part.startswith(HOLD_PREFIX)
