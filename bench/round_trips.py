"""Counts the calls of each endpoint to DynamoDB, where botocore sends them."""

from collections.abc import Callable
from typing import Any

from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed
from tests.support.engines import Calls
from tests.support.inventory import Bookable

# The limit for each endpoint, without conflicts.
AT_MOST = {
    "C1": 2,
    "C2": 2,
    "OrderQuote Deletion": 2,
    "B": 2,
    "B after C2": 2,
    "B, repeated": 1,
    "Order Status": 1,
    "Order Cancellation": 2,
    "Order Deletion": 2,
    "Orders feed page": 1,
}


def round_trips(installation: Installation, session: Bookable | None = None) -> dict[str, list[str]]:
    """The operations of one call of each endpoint, in order, for a place in `session`."""
    calls, system = Calls(installation.tables), installation.system()
    session, quoted, booked = session or installation.session(100), new_uuid(), new_uuid()
    item = FeedItem(booked, "Order", 1, {"@type": "Order"})
    system.ledger.publish(orders_feed("partner-1"), [item], system.clock())

    def made_by(request: Request, expected: int) -> list[str]:
        return [name for name, _ in calls.during(_asking(request, expected))]

    made = {
        "C1": made_by(quote(new_uuid(), session, customer=False), 200),
        "C2": made_by(quote(quoted, session), 200),
        "OrderQuote Deletion": made_by(Request("DELETE", f"order-quotes/{quoted}"), 204),
        "B": made_by(booking(booked, session), 201),
    }
    ask(quote(quoted, session))
    made["B after C2"] = made_by(booking(quoted, session), 201)
    made["B, repeated"] = made_by(booking(booked, session), 201)
    made["Order Status"] = made_by(Request("GET", f"orders/{booked}"), 200)
    item_id = ask(booking(booked, session)).json["orderedItem"][0]["@id"]
    made["Order Cancellation"] = made_by(cancellation(booked, item_id), 204)
    made["Order Deletion"] = made_by(Request("DELETE", f"orders/{quoted}"), 204)
    made["Orders feed page"] = made_by(Request("GET", "orders-rpde"), 200)
    return made


def _asking(request: Request, expected: int) -> Callable[[], Any]:
    def act() -> None:
        answer = ask(request)
        if answer.status != expected:
            raise RuntimeError(f"{request.verb} {request.path}: {answer.status} {answer.body}")

    return act
