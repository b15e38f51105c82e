"""The lists of Sellers in the index `by_seller`, which the orders and the inventory table have; and rows without a place.

Rows of release 0.1.0 name no list. They get one when they are next written, or by `openbooking upgrade`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.exceptions import UpdateError

from chalicelib.domain.orders import Order, OrderKey
from chalicelib.storage import codec
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults, row_name
from chalicelib.storage.dynamodb.tables import DETAILS, Tables
from chalicelib.storage.errors import UnreadableRow
from chalicelib.storage.lists import (
    OPPORTUNITIES,
    ListPage,
    OrderList,
    Place,
    instant,
    list_key,
    place_of_order,
)

INDEX = "by_seller"

# More than any place: '~' follows all letters and digits.
_END = "~"


def orders(
    tables: Tables,
    which: OrderList,
    seller_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    after: str,
    limit: int,
    newest_first: bool,
) -> ListPage[OrderKey]:
    """See `Store.listed_orders`."""
    found, following = _page(
        tables, tables.orders, list_key(which, seller_id), since, until, after, limit, newest_first
    )
    return ListPage(tuple(OrderKey(*raw["order_key"]["S"].rsplit("#", 1)) for raw in found), following)


def opportunities(
    tables: Tables,
    seller_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    after: str,
    limit: int,
) -> ListPage[str]:
    """See `Store.listed_opportunities`."""
    key = list_key(OPPORTUNITIES, seller_id)
    found, following = _page(tables, tables.details, key, since, until, after, limit, False)
    return ListPage(tuple(raw["opportunity_id"]["S"] for raw in found), following)


def unlisted_orders(tables: Tables, keys: Sequence[OrderKey]) -> list[OrderKey]:
    """See `Store.unlisted_orders`."""
    return [order.key for order, raw in _orders(tables, keys) if lacks_place(raw, place_of_order(order))]


def unlisted_opportunities(tables: Tables, ids: Sequence[str]) -> list[str]:
    """See `Store.unlisted_opportunities`."""
    return [raw["opportunity_id"]["S"] for raw, place in _details(tables, ids) if lacks_place(raw, place)]


def list_orders(tables: Tables, keys: Sequence[OrderKey]) -> int:
    """See `Store.list_orders`."""
    row = tables.orders
    return sum(
        _put_in_place(row(str(order.key)), place, row.version == order.version)
        for order, raw in _orders(tables, keys)
        if lacks_place(raw, place := place_of_order(order)) and place
    )


def list_opportunities(tables: Tables, ids: Sequence[str]) -> int:
    """See `Store.list_opportunities`."""
    row = tables.details
    return sum(
        _put_in_place(
            row(raw["opportunity_id"]["S"], DETAILS), place, row.version == int(raw["version"]["N"])
        )
        for raw, place in _details(tables, ids)
        if lacks_place(raw, place) and place
    )


def lacks_place(raw: Raw, place: Place | None) -> bool:
    """Whether a row is missing from the list in which it should be."""
    if place is None:
        return False
    return (raw.get("seller_list", {}).get("S"), raw.get("listed_at", {}).get("S")) != (
        place.list_key,
        place.place,
    )


def _page(
    tables: Tables,
    row: Any,
    key: str,
    since: datetime | None,
    until: datetime | None,
    after: str,
    limit: int,
    newest_first: bool,
) -> tuple[list[Raw], str | None]:
    """The rows after the place `after`, and the place of the last one if more follow.

    A cursor is a place and not the key of a row, so a row that has left the list meanwhile hides no other.
    """
    first = instant(since) if since else ""
    last = instant(until) if until else _END
    if after and newest_first:
        last = min(last, after)
    elif after:
        first = max(first, after)
    if first > last:
        return [], None
    table = row.Meta.table_name
    with passing_faults(row_name(table, key)):
        answer: dict[str, Any] = tables.connection.query(
            table,
            key,
            range_key_condition=row.listed_at.between(first or "0", last),
            index_name=INDEX,
            # BETWEEN includes the cursor itself; one more shows whether another page follows.
            limit=limit + 2,
            scan_index_forward=not newest_first,
        )
    found = [raw for raw in answer["Items"] if raw["listed_at"]["S"] != after]
    page = found[:limit]
    more = len(found) > limit or bool(answer.get("LastEvaluatedKey"))
    return page, page[-1]["listed_at"]["S"] if more and page else None


def _orders(tables: Tables, keys: Sequence[OrderKey]) -> list[tuple[Order, Raw]]:
    """The readable ones of these Orders, with their rows."""
    table = tables.orders.Meta.table_name
    wanted = [(table, {"order_key": {"S": str(key)}}) for key in dict.fromkeys(keys)]
    found = [(_readable(raw), raw) for raw in batch_get(tables.connection, wanted).get(table, [])]
    return [(order, raw) for order, raw in found if isinstance(order, Order)]


def _details(tables: Tables, ids: Sequence[str]) -> list[tuple[Raw, Place | None]]:
    """The details of these Opportunities, each with the place where it should be."""
    table = tables.details.Meta.table_name
    wanted = [(table, {"opportunity_id": {"S": each}, "part": {"S": DETAILS}}) for each in dict.fromkeys(ids)]
    return [(raw, rows.place_of_details(raw)) for raw in batch_get(tables.connection, wanted).get(table, [])]


def _readable(raw: Raw) -> Any:
    try:
        return rows.read_order(raw)
    except (codec.Undecodable, UnreadableRow, KeyError, ValueError):
        return None


def _put_in_place(row: Any, place: Place, unchanged: Any) -> int:
    """Write the place of a row, unless it has changed since it was read: then it has one. How many were written."""
    model = type(row)
    try:
        with passing_faults(row.Meta.table_name):
            row.update(
                [model.seller_list.set(place.list_key), model.listed_at.set(place.place)], condition=unchanged
            )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return 0
    return 1
