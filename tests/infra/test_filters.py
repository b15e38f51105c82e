"""Which stream records invoke a function: every one that a feed may show, and no quote, hold or lease."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.orders import OrderKind
from chalicelib.storage.dynamodb import rows, tables
from openbooking.infra import templates

EXPORTS = {
    f"openbooking-dev-{name}": name
    for name in ("OrdersStreamArn", "InventoryStreamArn", "StreamFailuresQueueArn")
}
MAPPINGS = templates.stream_mappings("dev", EXPORTS)


def passes(handler: str, record: Any) -> bool:
    """Whether Lambda's event filtering passes a record: one pattern must match, with all of its keys."""
    return any(matches(json.loads(pattern), record) for pattern in MAPPINGS[handler].filters)


def matches(pattern: Any, found: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(found, dict) and all(
            name in found and matches(part, found[name]) for name, part in pattern.items()
        )
    return any(
        found not in rule["anything-but"] if isinstance(rule, dict) else found == rule for rule in pattern
    )


def order(new: str | None, old: str | None = None, *, published: bool = True) -> Any:
    images = {"NewImage": new, "OldImage": old}
    found = {name: {"kind": {"S": kind}} for name, kind in images.items() if kind}
    if new:
        found["NewImage"]["published"] = {"BOOL": published}
    return {"dynamodb": found}


def part(name: str) -> Any:
    return {"dynamodb": {"Keys": {"opportunity_id": {"S": "o"}, "part": {"S": name}}}}


QUOTE, PROPOSAL, BOOKED = (
    OrderKind.OrderQuote.value,
    OrderKind.OrderProposal.value,
    OrderKind.Order.value,
)


@pytest.mark.parametrize(
    ("record", "passed"),
    [
        (order(BOOKED), True),
        (order(PROPOSAL), True),
        (order(rows.DELETED, BOOKED), True),
        (order(BOOKED, PROPOSAL), True),
        (order(BOOKED, QUOTE), True),
        (order(QUOTE, PROPOSAL), True),
        (order("AKindOfALaterRelease"), True),
        # OFEED-02: a booking enters the feed with its first change. But a proposal leaves its feed with B.
        (order(BOOKED, published=False), False),
        (order(BOOKED, QUOTE, published=False), False),
        (order(BOOKED, PROPOSAL, published=False), True),
        (order(rows.DELETED, BOOKED, published=False), False),
        (order(QUOTE, published=False), False),
        (order(QUOTE, QUOTE, published=False), False),
        (order(None, QUOTE), False),
    ],
)
def test_orders_and_proposals_pass_and_quotes_do_not(record: Any, passed: bool) -> None:
    assert passes("orders_stream", record) is passed


def test_details_and_capacity_pass_and_holds_do_not() -> None:
    assert passes("inventory_stream", part(tables.DETAILS))
    assert passes("inventory_stream", part(tables.CAPACITY))
    assert not passes("inventory_stream", part("hold#partner#uuid"))
