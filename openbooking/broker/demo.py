"""Acts as a Broker on a running system: books a session, cancels it, finds the change in the feed.

Decides what is printed and checked; the requests are in `client`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from chalicelib.domain.parties import Json
from openbooking.broker.client import (
    CONTEXT,
    UNAVAILABLE,
    Broker,
    Choice,
    Exchange,
    Site,
    UnexpectedAnswer,
    Wanted,
    find_session,
    order_request,
    partner_headers,
)

CUSTOMER: Json = {
    "@type": "Person",
    "email": "geoffcapes@example.com",
    "telephone": "020 811 8055",
    "givenName": "Geoff",
    "familyName": "Capes",
}
_LOOKS_AT_MOST = 50


def run_demo(
    base_url: str,
    out: Callable[[str], None] = print,
    *,
    seller: str | None = None,
    keep: bool = False,
    record: Callable[[Exchange], None] = lambda _: None,
    pause: Callable[[], None] = lambda: time.sleep(0.2),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    transport: httpx.BaseTransport | None = None,
) -> str:
    """Book and cancel one session at the system with this dataset site; print the steps with `out`, return its Seller's id.

    `keep`: do not cancel it.
    `pause` is called between two reads of the Orders feed; `transport` sends the requests.
    Raises UnexpectedAnswer.
    """
    with httpx.Client(timeout=30, follow_redirects=True, transport=transport) as client:
        return _play(
            Broker(client, record), base_url, out, pause, now, Wanted(cancellable=not keep, seller=seller)
        )


def run_proposal(
    base_url: str,
    out: Callable[[str], None] = print,
    *,
    seller: str | None = None,
    record: Callable[[Exchange], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    transport: httpx.BaseTransport | None = None,
) -> tuple[str, str]:
    """Propose to book one session that needs the Seller's approval; print the steps with `out`.

    Returns the Order UUID and the Seller's id.

    Raises UnexpectedAnswer.
    """
    with httpx.Client(timeout=30, follow_redirects=True, transport=transport) as client:
        broker, say = Broker(client, record), _Script(out)
        site, choice = _choose(broker, base_url, say, now(), Wanted(approval=True, seller=seller))
        order = str(uuid.uuid4())
        quotes, proposals = (
            f"{site.endpoint}/order-quotes/{order}",
            f"{site.endpoint}/order-proposals/{order}",
        )
        say.step("C2: is it free, what does it cost Geoff?", "PUT", quotes)
        request = order_request("OrderQuote", choice) | {"customer": CUSTOMER}
        due = broker.call("C2", "PUT", quotes, choice, request, 200).get("totalPaymentDue", {})
        say.result(200, f"total {_price(due)}")
        say.step("P: propose to book it", "PUT", proposals)
        request = order_request("OrderProposal", choice) | {"customer": CUSTOMER, "totalPaymentDue": due}
        if _needs_payment(due):
            request["payment"] = _payment(order)
        broker.call("P", "PUT", proposals, choice, request, 201)
        say.result(201, f"{order}: the Seller answers it now")
        return order, choice.seller_id


def _choose(
    broker: Broker, base_url: str, say: _Script, now: datetime, wanted: Wanted
) -> tuple[Site, Choice]:
    say.step("Read the dataset site", "GET", f"{base_url.rstrip('/')}/openactive")
    site = broker.dataset_site(base_url)
    say.result(200, f"book at {site.endpoint}; feeds: {', '.join(sorted(site.feeds))}")

    say.step("Harvest the open feeds", "GET", site.feeds["ScheduledSession"])
    choice, series, sessions = find_session(broker, site, now, wanted)
    say.result(200, f"{series} SessionSeries, {sessions} ScheduledSessions")
    left = choice.session["remainingAttendeeCapacity"]
    say.note(f"chosen: {choice.name}, {choice.session['startDate']}, {_price(choice.offer)}")
    say.note(
        f"{left} {'space' if left == 1 else 'spaces'} left, sold by {choice.seller.get('name', choice.seller['@id'])}"
    )
    return site, choice


def _play(
    broker: Broker,
    base_url: str,
    out: Callable[[str], None],
    pause: Callable[[], None],
    now: Callable[[], datetime],
    wanted: Wanted,
) -> str:
    say = _Script(out)
    site, choice = _choose(broker, base_url, say, now(), wanted)

    order = str(uuid.uuid4())
    quotes, orders = f"{site.endpoint}/order-quotes/{order}", f"{site.endpoint}/orders/{order}"
    template = f"{site.endpoint}/order-quote-templates/{order}"

    say.step("C1: is it free, what does it cost?", "PUT", template)
    request = order_request("OrderQuote", choice)
    quote = broker.call("C1", "PUT", template, choice, request, 200)
    _expect(quote.get("@type") == "OrderQuote", "C1 did not answer with an OrderQuote.")
    _expect("customer" not in quote, "C1 has a customer, although the request had none.")
    say.result(200, f"total {_price(quote.get('totalPaymentDue', {}))}")

    say.step("C2: the same, for Geoff", "PUT", quotes)
    request = order_request("OrderQuote", choice) | {"customer": CUSTOMER}
    quote = broker.call("C2", "PUT", quotes, choice, request, 200)
    due = quote.get("totalPaymentDue", {})
    _expect(quote.get("customer") == CUSTOMER, "C2 changed the customer's details.")
    lease = (quote.get("lease") or {}).get("leaseExpires")
    say.result(200, f"total {_price(due)}; " + (f"held until {lease}" if lease else "not held"))

    say.step("B: book it", "PUT", orders)
    request = order_request("Order", choice) | {"customer": CUSTOMER, "totalPaymentDue": due}
    if _needs_payment(due):
        request["payment"] = _payment(order)
    booked = broker.call("B", "PUT", orders, choice, request, 201)
    item = _only_item(booked, "B")
    _expect_status(item, "OrderItemConfirmed", "B")
    say.result(201, f"{booked['@id']}: {_status(item)}")

    say.step("Read its status", "GET", orders)
    status = broker.call("Status", "GET", orders, choice, None, 200)
    _expect(status.get("@id") == booked["@id"], "The status is of another Order.")
    _expect_status(_only_item(status, "The status"), "OrderItemConfirmed", "The status")
    say.result(200, f"{_status(_only_item(status, 'The status'))}")

    if not wanted.cancellable:
        out("")
        out(f"It stays booked: {order}")
        return choice.seller_id
    feed = f"{site.endpoint}/orders-rpde"
    say.step("Read the Orders feed to its end", "GET", feed)
    before, following = broker.harvest("OrdersFeed", feed, partner_headers())
    _expect(
        all(each["id"] != order for each in before),
        "The Order is in the Orders feed although it has not changed since B.",
    )
    say.result(200, f"{len(before)} items; ours is not among them, as nothing changed since B")

    say.step("Cancel", "PATCH", orders)
    cancelled = {"@type": "OrderItem", "@id": item["@id"]}
    request = {
        "@context": CONTEXT,
        "@type": "Order",
        "orderedItem": [cancelled | {"orderItemStatus": "https://openactive.io/CustomerCancelled"}],
    }
    broker.call("Cancel", "PATCH", orders, choice, request, 204)
    say.result(204, "no body, as it should be")

    say.step("Find the change in the Orders feed", "GET", following)
    arrived, looks = _await_in_feed(broker, following, order, pause)
    _expect_status(_only_item(arrived["data"], "The feed"), "CustomerCancelled", "The feed")
    total = arrived["data"].get("totalPaymentDue", {})
    _expect(float(total.get("price", -1)) == 0, "The total due is not 0 after the cancellation.")
    item = _only_item(arrived["data"], "The feed")
    say.result(200, f"{_status(item)}, nothing left to pay; seen at look {looks}")
    out("")
    out("All answers were as expected.")
    return choice.seller_id


def _await_in_feed(broker: Broker, url: str, order: str, pause: Callable[[], None]) -> tuple[Json, int]:
    for look in range(1, _LOOKS_AT_MOST + 1):
        items, url = broker.harvest("OrdersFeed", url, partner_headers())
        for item in items:
            if item["id"] == order:
                _expect(item["state"] == "updated", "The feed says that the Order is deleted.")
                return item, look
        pause()
    raise UnexpectedAnswer("The cancellation did not arrive in the Orders feed.")


def _payment(order: str) -> Json:
    return {
        "@type": "Payment",
        "name": "AcmeBroker Points",
        "accountId": "SN1593",
        "paymentProviderId": "STRIPE",
        "identifier": f"demo-{order[:8]}",
    }


def _needs_payment(due: Json) -> bool:
    prepayment = due.get("prepayment") or due.get("openBookingPrepayment")
    return float(due.get("price", 0)) > 0 and prepayment != UNAVAILABLE


def _only_item(order: Json, whose: str) -> Json:
    items = order.get("orderedItem") or []
    _expect(len(items) == 1, f"{whose} has {len(items)} OrderItems where 1 was ordered.")
    return dict(items[0])


def _expect_status(item: Json, status: str, whose: str) -> None:
    _expect(_status(item) == status, f"{whose} says {_status(item)}, not {status}.")


def _status(item: Json) -> str:
    return str(item.get("orderItemStatus", "nothing")).rpartition("/")[2]


def _price(priced: Json) -> str:
    price = float(priced.get("price", 0))
    return f"{price:.2f} {priced.get('priceCurrency', '')}".strip() if price else "free"


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UnexpectedAnswer(otherwise)


class _Script:
    """Prints the steps: a heading, the request, the result."""

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out
        self._steps = 0

    def step(self, heading: str, method: str, url: str) -> None:
        self._steps += 1
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._out("")
        self._out(f"{self._steps}. {heading}")
        self._out(f"   {method} {path}")

    def result(self, status: int, text: str) -> None:
        self._out(f"   {status}  {text}")

    def note(self, text: str) -> None:
        self._out(f"        {text}")
