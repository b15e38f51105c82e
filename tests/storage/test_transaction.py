"""The requests of a transaction: those that PynamoDB's own transaction would make."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pynamodb.transactions import TransactWrite

from chalicelib.domain.capacity import Hold, HoldState, LeaseKind
from chalicelib.domain.orders import DeletedOrder, OrderKind
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.dynamodb.tables import CAPACITY, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.store import Listing
from tests.support.builders import KEY, NOW, SELLER_ID, an_opportunity
from tests.support.engines import tables_of
from tests.support.orders import an_order

ID = "https://base.invalid/api/identifiers/slots/1"


class Sent:
    """A connection that keeps what would be sent."""

    def __init__(self) -> None:
        self.requests: dict[str, Any] = {}

    def transact_write_items(self, **requests: Any) -> None:
        self.requests = {kind: found for kind, found in requests.items() if found}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tables_of("unused", "http://127.0.0.1:1")


def row(tables: Tables) -> Any:
    capacity = tables.capacity(ID, CAPACITY)
    capacity.spaces_total = capacity.spaces_left = 10
    capacity.revision = capacity.version = 1
    capacity.open_for_booking = True
    return capacity


def current(tables: Tables) -> Any:
    """A condition with a name twice, values of two types, and alternatives."""
    capacity = tables.capacity
    left = (capacity.spaces_left >= 2) & (capacity.open_for_booking == True)  # noqa: E712
    return left & (capacity.next_expiry_at.does_not_exist() | (capacity.next_expiry_at <= 7))


def actions(tables: Tables) -> list[Any]:
    capacity = tables.capacity
    mark = capacity.next_expiry_at
    return [capacity.spaces_left.add(-2), capacity.version.add(1), mark.set(mark | 7)]


def as_pynamodb_has_it(model: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in DynamoDB's own format, read and written again by PynamoDB."""
    made = model()
    made.deserialize(copy.deepcopy(dict(row)))
    written: dict[str, Any] = made.serialize()
    return written


def made_rows(tables: Tables) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    lease = Hold(2, HoldState.leased, NOW, LeaseKind.named)
    listing = Listing(
        an_opportunity(), version=3, deleted=True, source="https://a.example/", source_digest="d", closed=True
    )
    details, counters = rows.new_rows(listing, 7)
    return {
        "Order": (tables.orders, rows.order_row(an_order(kind=OrderKind.Order))),
        "quote": (tables.orders, rows.order_row(an_order(kind=OrderKind.OrderQuote, lease_expires_at=NOW))),
        "deleted Order": (tables.orders, rows.order_row(DeletedOrder(KEY, SELLER_ID, version=2))),
        "lease": (tables.holds, rows.hold_row(ID, KEY, lease)),
        "booked spaces": (tables.holds, rows.hold_row(ID, KEY, Hold(1, HoldState.booked))),
        "details": (tables.details, details),
        "plain details": (tables.details, rows.details_row(Listing(an_opportunity(), version=1))),
        "counters": (tables.capacity, counters),
    }


def test_rows_have_the_attributes_that_the_tables_declare(tables: Tables) -> None:
    """PynamoDB leaves out what is not declared, or has another type: nothing is."""
    for name, (model, row) in made_rows(tables).items():
        assert as_pynamodb_has_it(model, row) == row, name


WAYS: dict[str, tuple[Callable[[Any, Tables], None], Callable[[Any, Tables], None]]] = {
    "check": (
        lambda ours, tables: ours.check(tables.capacity, ID, current(tables), range_key=CAPACITY),
        lambda theirs, tables: theirs.condition_check(tables.capacity, ID, CAPACITY, current(tables)),
    ),
    "check of a row without a second key": (
        lambda ours, tables: ours.check(tables.orders, "order", tables.orders.version == 3),
        lambda theirs, tables: theirs.condition_check(
            tables.orders, "order", condition=tables.orders.version == 3
        ),
    ),
    "delete": (
        lambda ours, tables: ours.delete(row(tables), current(tables)),
        lambda theirs, tables: theirs.delete(row(tables), condition=current(tables)),
    ),
    "delete, whatever it is": (
        lambda ours, tables: ours.delete(row(tables), None),
        lambda theirs, tables: theirs.delete(row(tables)),
    ),
    "put": (
        lambda ours, tables: ours.put(row(tables), current(tables)),
        lambda theirs, tables: theirs.save(row(tables), condition=current(tables)),
    ),
    "put of a row in DynamoDB's own format": (
        lambda ours, tables: ours.put_row(tables.capacity, row(tables).serialize(), current(tables)),
        lambda theirs, tables: theirs.save(row(tables), condition=current(tables)),
    ),
    "put, whatever it is": (
        lambda ours, tables: ours.put(row(tables)),
        lambda theirs, tables: theirs.save(row(tables)),
    ),
    "update": (
        lambda ours, tables: ours.update(row(tables), actions(tables), current(tables)),
        lambda theirs, tables: theirs.update(
            row(tables), actions(tables), condition=current(tables), return_values="ALL_OLD"
        ),
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_requests_are_those_of_pynamodb(tables: Tables, name: str) -> None:
    ours, theirs = WAYS[name]
    sent, wanted = Sent(), Sent()
    made = Transaction(sent)  # type: ignore[arg-type]
    ours(made, tables)
    made.write()
    with TransactWrite(connection=wanted) as transaction:  # type: ignore[arg-type]
        wanted.transact_write_items = lambda **requests: Sent.transact_write_items(  # type: ignore[method-assign]
            wanted, **{kind: found for kind, found in requests.items() if kind.endswith("_items")}
        )
        theirs(transaction, tables)
    assert sent.requests == wanted.requests
    assert len(sent.requests) == 1


def test_counters_are_added_to_and_others_removed_in_one_update(tables: Tables) -> None:
    sent = Sent()
    made = Transaction(sent)  # type: ignore[arg-type]
    key = {"principal": {"S": "holdings#broker"}, "part": {"S": "3"}}
    made.count(tables.identity, key, {"c#leases": 2, "c#spaces": -1}, ["c#old"])
    made.count(tables.identity, key, {}, ["c#old"])
    made.count(tables.identity, key, {"c#leases": 1})
    made.write()
    both, removed, added = sent.requests["update_items"]
    table = tables.identity.Meta.table_name
    assert both == {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD #0 :0, #1 :1 REMOVE #2",
        "ExpressionAttributeNames": {"#0": "c#leases", "#1": "c#spaces", "#2": "c#old"},
        "ExpressionAttributeValues": {":0": {"N": "2"}, ":1": {"N": "-1"}},
    }
    assert removed["UpdateExpression"] == "REMOVE #0"
    assert "ExpressionAttributeValues" not in removed
    assert added["UpdateExpression"] == "ADD #0 :0"
