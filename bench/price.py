"""What a stage costs: every endpoint, stream and schedule is counted on an engine and multiplied by AWS's prices.

`python -m bench.price` (with the path of Dynoxide's binary in DYNOXIDE) makes each request once, with tokens and the
settings of production, counts its units, bytes and log lines, and writes docs/costs.md. `prices` has the prices.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import app
from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from bench.prices import FREE_EDGE_GB, FREE_EDGE_REQUESTS, PRICES
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.identity.scopes import BOOKING, ORDERS_FEED
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import METRICS, Telemetry
from chalicelib.services.partners import new_partner
from chalicelib.values import dataclass, field, fields, replace
from openbooking.infra.alarms import ALARMS
from tests.support import engines
from tests.support.inventory import BASE_URL, Bookable, seller_id
from tests.support.world import capacity_record, order_record

PAGE = Path(__file__).resolve().parent.parent / "docs" / "costs.md"

# --- what cannot be counted here, and is assumed ---------------------------------------------------------------

# Billed milliseconds, warm, on arm64 at the function's memory: mostly waiting for DynamoDB, 5 to 10 ms a call.
BOOKING_MS, READING_MS, PAGE_MS, SIGN_IN_MS = 25, 12, 20, 250
BATCH_MS, ITEM_MS, SWEEP_MS, IMPORT_MS = 25, 2, 150, 60
# One request in so many starts an instance, for so many milliseconds.
COLD_ONE_IN, COLD_MS = 500, 900
API_GB, OTHER_GB = 1.0, 0.5
# Lambda's own lines for each invocation: START, END and REPORT.
PLATFORM_LINES = 330
MONTH = timedelta(days=30)
# Points of presence of CloudFront from which an origin is asked for the same page.
EDGES = 2
GB = 1024**3

_APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
_DESCRIPTION = (
    "A gentle class for all levels: we stretch, breathe and build strength slowly. Mats and blocks are there; bring "
    "water and something warm for the end. Please arrive ten minutes early for your first visit, and tell the teacher "
    "about injuries."
)

PARTNER, SECRET = "partner-1", "a-secret-of-the-bench"


@dataclass(frozen=True)
class Usage:
    """What one action, or many, take. `gb_seconds` of Lambda; the others are numbers or bytes."""

    writes: float = 0
    reads: float = 0
    requests: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    logged: float = 0
    sent: float = 0
    key_uses: float = 0
    stored: float = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: float) -> Usage:
        return Usage(*(getattr(self, f.name) * times for f in fields(self)))

    def __sub__(self, other: Usage) -> Usage:
        return self + other * -1


def request_usage(counted: Usage, milliseconds: float) -> Usage:
    """What was counted of a request, with its invocation."""
    seconds = (milliseconds + COLD_MS / COLD_ONE_IN) / 1000
    return counted + Usage(
        requests=1, invocations=1, gb_seconds=seconds * API_GB, logged=PLATFORM_LINES
    )  # fmt: skip


def invocation(counted: Usage, milliseconds: float) -> Usage:
    """What was counted of a stream's batch or a schedule's run, with its invocation."""
    return counted + Usage(invocations=1, gb_seconds=milliseconds / 1000 * OTHER_GB, logged=PLATFORM_LINES)


# --- endpoints -------------------------------------------------------------------------------------------------

# Every route -> the actions that are counted for it, or why it is not in the sums. A test compares with the app.
ROUTES: Mapping[str, tuple[str, ...] | str] = {
    "/api/openbooking/order-quote-templates/{uuid}": ("C1", "C1 without a lease"),
    "/api/openbooking/order-quotes/{uuid}": ("C2", "C2 without one before", "OrderQuote Deletion"),
    "/api/openbooking/order-proposals/{uuid}": ("P", "OrderProposal Update"),
    "/api/openbooking/orders/{uuid}": ("B", "Order Status", "Order Cancellation", "Order Deletion"),
    "/feeds/{name}": ("open feed, last page", "open feed, full page"),
    "/api/openbooking/orders-rpde": ("Orders feed, last page",),
    "/api/openbooking/order-proposals-rpde": ("OrderProposals feed, last page",),
    "/api/passes/{file}": ("image of a pass",),
    "/": ("front page",),
    "/openactive": ("dataset site",),
    "/favicon.svg": ("icon",),
    "/favicon.ico": ("icon",),
    "/auth/.well-known/openid-configuration": ("discovery",),
    "/auth/jwks": ("keys of tokens",),
    "/auth/authorize": ("login page",),
    "/auth/token": ("token",),
    "/auth/register": "once for each partner; as much as a token",
    "/auth/revoke": "once for each authorisation; as much as a token",
    "/api/openbooking/test-interface/datasets/{dataset}": "never in production",
    "/api/openbooking/test-interface/datasets/{dataset}/opportunities": "never in production",
    "/api/openbooking/test-interface/actions": "never in production",
}

HANDLERS: Mapping[str, tuple[str, ...]] = {
    "orders_stream": ("stream: a changed Order", "stream: a further changed Order"),
    "inventory_stream": (
        "stream: an Opportunity",
        "stream: a further Opportunity",
        "stream: an Opportunity that looks the same",
        "stream: a further one that looks the same",
    ),
    "lease_sweep": ("sweep without work",),
    "import_sources": ("imports without work",),
}


@dataclass
class Meter:
    """Counts the units, log lines and answers of what runs while it is open."""

    client: Any
    used: Usage = Usage()
    log: Any = field(default_factory=tempfile.TemporaryFile)

    def measured(self, act: Callable[[], Any]) -> tuple[Usage, Any]:
        """What `act` uses, and what it returns."""
        self.used = Usage()
        events = self.client.meta.events
        events.register("before-parameter-build.dynamodb", _ask)
        events.register("after-call.dynamodb", self._count)
        try:
            with _output_to(self.log):
                returned = act()
        finally:
            events.unregister("before-parameter-build.dynamodb", _ask)
            events.unregister("after-call.dynamodb", self._count)
        logged = self.log.tell()
        self.log.seek(0)
        self.log.truncate()
        return self.used + Usage(logged=logged), returned

    def _count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        found = parsed.get("ConsumedCapacity") or []
        units = sum(each.get("CapacityUnits", 0) for each in (found if isinstance(found, list) else [found]))
        writes = model.name in ("TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem")
        self.used += Usage(writes=units) if writes else Usage(reads=units)


def _ask(params: dict[str, Any], model: Any, **_: Any) -> None:
    if "ReturnConsumedCapacity" in model.input_shape.members:
        params["ReturnConsumedCapacity"] = "INDEXES"


@contextmanager
def _output_to(file: Any) -> Iterator[None]:
    """Redirects the file descriptor, because a logger keeps its stream."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        file.seek(0, os.SEEK_END)


def count(url: str) -> dict[str, Usage]:
    """Every action once, on an engine at `url`: with tokens, the limits and the log of production."""
    installation = Installation("price", url, fixed_time=datetime(2026, 6, 1, 9, 0, 20, tzinfo=UTC))
    installation.create()
    system = installation.system(Telemetry(stage="prod"))
    system.settings = replace(system.settings, authentication="openid", rate_limit=6000)
    install(system)
    system.register.save(new_partner(PARTNER, "Broker", SECRET, installation.now()))
    counting = _Counting(installation, system)
    try:
        with tempfile.TemporaryFile() as unread, _output_to(unread):
            counting.warm_up()
            return counting.all()
    finally:
        counting.meter.log.close()
        install(None)
        installation.close()


class _Counting:
    def __init__(self, installation: Installation, system: System) -> None:
        self.installation, self.system = installation, system
        self.meter = Meter(installation.tables.connection.client)
        token = system.issuer.access_token(BASE_URL, PARTNER, seller_id(1), [BOOKING, ORDERS_FEED])
        self.headers = {"authorization": f"Bearer {token}"}
        self.found: dict[str, Usage] = {}

    def warm_up(self) -> None:
        """What a function does once: keys of tokens, and of fingerprints."""
        session = self._session(5)
        self._ask(quote(new_uuid(), session), 200)
        self._ask(booking(new_uuid(), session), 201)

    def all(self) -> dict[str, Usage]:
        self._bookings()
        self._feeds()
        self._site()
        self._streams()
        return self.found

    def _session(self, spaces: int, **more: Any) -> Bookable:
        """A session with a description of the usual length."""
        return self.installation.session(spaces, session={"description": _DESCRIPTION}, **more)

    def _later(self, seconds: int) -> None:
        assert self.installation.fixed_time is not None
        self.installation.fixed_time += timedelta(seconds=seconds)

    def _ask(self, request: Request, expected: int) -> Any:
        answer = ask(replace(request, headers={**self.headers, **(request.headers or {})}))
        if answer.status != expected:
            raise RuntimeError(f"{request.verb} {request.path}: {answer.status} {answer.body}")
        return answer

    def _request(
        self, name: str, request: Request, expected: int = 200, milliseconds: float = BOOKING_MS
    ) -> Any:
        used, answer = self.meter.measured(lambda: self._ask(request, expected))
        self.found[name] = request_usage(used + Usage(sent=len(answer.body)), milliseconds)
        return answer

    def _bookings(self) -> None:
        session, uuid = self._session(20), new_uuid()
        self._request("C1", quote(uuid, session, customer=False))
        self._later(60)
        self._request("C2", quote(uuid, session))
        self._later(60)
        booked = self._request("B", booking(uuid, session), 201).json
        self.found["B"] += Usage(stored=self._stored_for(uuid))
        self._request("Order Status", Request("GET", f"orders/{uuid}"), milliseconds=READING_MS)
        self._request(
            "Order Cancellation", cancellation(uuid, booked["orderedItem"][0]["@id"]), 204
        )  # fmt: skip
        other = new_uuid()
        self._ask(quote(other, session), 200)
        self._request("OrderQuote Deletion", Request("DELETE", f"order-quotes/{other}"), 204)
        self._request("Order Deletion", Request("DELETE", f"orders/{uuid}"), 204)
        self._without_a_lease_at_c1()
        self._proposal()

    def _without_a_lease_at_c1(self) -> None:
        """With ANONYMOUS_LEASING=false, C1 writes nothing and C2 makes the lease."""
        kept, session, uuid = self.system.settings, self._session(20), new_uuid()
        self.system.settings = replace(kept, anonymous_leasing=False)
        self._request("C1 without a lease", quote(uuid, session, customer=False))
        self._request("C2 without one before", quote(uuid, session))
        self.system.settings = kept

    def _proposal(self) -> None:
        session, uuid = self._session(20, offer=_APPROVAL), new_uuid()
        proposed = booking(uuid, session)
        body = {**(proposed.body or {}), "@type": "OrderProposal"}
        self._request("P", replace(proposed, path=f"order-proposals/{uuid}", body=body), 201)
        update = {
            "@context": "https://openactive.io/",
            "@type": "OrderProposal",
            "orderProposalStatus": "https://openactive.io/CustomerRejected",
        }
        self._request("OrderProposal Update", Request("PATCH", f"order-proposals/{uuid}", update), 204)

    def _stored_for(self, uuid: str) -> float:
        """Bytes of the rows that a booking leaves, with the 100 bytes that DynamoDB adds to each and to its index entries."""
        size = 0
        client = self.installation.tables.connection.client
        for table in ("orders", "inventory"):
            for row in client.scan(TableName=self.installation.tables.name(table), ConsistentRead=True)[
                "Items"
            ]:
                if uuid in json.dumps(row, default=str):
                    size += 100 + sum(len(name) + len(next(iter(v.values())) if isinstance(next(iter(v.values())), str | bytes) else "1") for name, v in row.items())  # fmt: skip
        return size

    def _feeds(self) -> None:
        system, now = self.system, self.installation.now()
        for feed, kind in ((orders_feed(PARTNER), "Order"), (proposals_feed(PARTNER), "OrderProposal")):
            system.ledger.publish(feed, [FeedItem(new_uuid(), kind, 1, {"@type": kind})], now)
        sessions = [self._session(5) for _ in range(20)]
        self._stream_of(sessions)
        self._later(660)
        for name, path in (
            ("Orders feed, last page", "orders-rpde"),
            ("OrderProposals feed, last page", "order-proposals-rpde"),
        ):
            self._request(name, _after(Request("GET", path), 10**9), milliseconds=READING_MS)
        first = Request("GET", "feeds/scheduled-sessions")
        self._open("open feed, last page", _after(first, 10**9), READING_MS)
        self._open("open feed, full page", first, PAGE_MS)

    def _open(self, name: str, request: _Event | Request, milliseconds: float, expected: int = 200) -> None:
        """A request outside the Open Booking API's own path."""
        event = request.event() if isinstance(request, Request) else request
        headers = {**event["headers"]}
        if event["body"] is None:
            headers.pop("Content-Type", None)
        event = {**event, "headers": headers}
        path = event["path"].removeprefix("/api/openbooking/")
        event |= {"path": f"/{path}", "pathParameters": _parameters(path)}
        event["requestContext"] = {
            **event["requestContext"], "resourcePath": _route(path), "path": f"/{path}"
        }  # fmt: skip
        used, answer = self.meter.measured(lambda: app.app(event, None))
        if answer["statusCode"] != expected:
            raise RuntimeError(f"{path}: {answer['statusCode']} {answer['body']}")
        # Callers that poll take compressed answers; both gateways compress what is longer than 1,400 bytes.
        body = answer["body"].encode() if isinstance(answer["body"], str) else answer["body"]
        size = len(gzip.compress(body)) if len(body) > 1400 else len(body)
        self.found[name] = request_usage(used + Usage(sent=size), milliseconds)

    def _site(self) -> None:
        self._open("front page", Request("GET", ""), READING_MS, 303)
        self._open("dataset site", Request("GET", "openactive"), PAGE_MS)
        self._open("icon", Request("GET", "favicon.svg"), READING_MS)
        self._open("discovery", Request("GET", "auth/.well-known/openid-configuration"), READING_MS)
        self._open("keys of tokens", Request("GET", "auth/jwks"), READING_MS)
        self._open("image of a pass", Request("GET", "api/passes/none.svg"), PAGE_MS, 404)
        self._open("login page", Request("GET", "auth/authorize"), PAGE_MS, 400)
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": PARTNER,
                "client_secret": SECRET,
                "scope": ORDERS_FEED,
            }
        )
        event = Request("POST", "auth/token").event() | {"body": form}
        event["headers"] = {**event["headers"], "Content-Type": "application/x-www-form-urlencoded"}
        self._open("token", event, BOOKING_MS)

    def _stream_of(self, sessions: Sequence[Bookable]) -> Usage:
        records = [self._dated(capacity_record(each.id, str(n))) for n, each in enumerate(sessions, 1)]
        used, _ = self.meter.measured(lambda: app.inventory_stream({"Records": records}, None))
        return used

    def _dated(self, record: dict[str, Any]) -> dict[str, Any]:
        record["dynamodb"]["ApproximateCreationDateTime"] = self.installation.now().timestamp()
        return record

    def _streams(self) -> None:
        sessions = [self._session(30) for _ in range(12)]
        self._stream_of(sessions)  # each has been in its feed before
        for each in sessions:
            self._ask(quote(new_uuid(), each, customer=False), 200)
        one, ten = self._stream_of(sessions[:1]), self._stream_of(sessions[1:11])
        self._batch("stream: an Opportunity", "stream: a further Opportunity", one, ten, 10)
        same, all_same = self._stream_of(sessions[:1]), self._stream_of(sessions[1:11])
        names = "stream: an Opportunity that looks the same", "stream: a further one that looks the same"
        self._batch(*names, same, all_same, 10)
        orders = []
        for _ in range(11):
            uuid = new_uuid()
            self._ask(booking(uuid, sessions[11]), 201)
            key = next(iter(self.system.store.orders([_key(uuid)])))
            orders.append(replace(self.system.store.orders([key])[key], published=True))

        def changed(some: Sequence[Any]) -> Usage:
            records = [self._dated(order_record(each, str(n))) for n, each in enumerate(some, 1)]
            return self.meter.measured(lambda: app.orders_stream({"Records": records}, None))[0]

        names = "stream: a changed Order", "stream: a further changed Order"
        self._batch(*names, changed(orders[:1]), changed(orders[1:]), 10)
        for name, handler, milliseconds in (
            ("sweep without work", app.lease_sweep, SWEEP_MS),
            ("imports without work", app.import_sources, IMPORT_MS),
        ):
            handler(_EVERY_MINUTE, None)  # the first one of a day plans its work
            used, _ = self.meter.measured(lambda handler=handler: handler(_EVERY_MINUTE, None))  # type: ignore[misc]
            self.found[name] = invocation(used, milliseconds)

    def _batch(self, name: str, further: str, one: Usage, many: Usage, number: int) -> None:
        """A batch of one, and by how much one of many is more."""
        self.found[name] = invocation(one, BATCH_MS)
        self.found[further] = (many - one) * (1 / (number - 1)) + Usage(gb_seconds=ITEM_MS / 1000 * OTHER_GB)


_Event = dict[str, Any]
_EVERY_MINUTE = {
    **dict.fromkeys(("source", "account", "region", "time", "id", "version", "detail-type"), ""),
    "detail": {},
    "resources": [],
}


def _after(request: Request, number: int) -> Any:
    return _Asking(request.verb, request.path, request.body, request.partner, request.headers, number=number)


@dataclass(frozen=True)
class _Asking(Request):
    """A request for the page after a change number."""

    number: int = 0

    def event(self) -> dict[str, Any]:
        return super().event() | {
            "multiValueQueryStringParameters": {"afterChangeNumber": [str(self.number)]}
        }


def _key(uuid: str) -> Any:
    from chalicelib.domain.orders import OrderKey

    return OrderKey(PARTNER, uuid)


def _route(path: str) -> str:
    for prefix, route in (("feeds/", "/feeds/{name}"), ("api/passes/", "/api/passes/{file}")):
        if path.startswith(prefix):
            return route
    return f"/{path}"


def _parameters(path: str) -> dict[str, str] | None:
    name = path.rpartition("/")[2]
    if path.startswith("feeds/"):
        return {"name": name}
    return {"file": name} if path.startswith("api/passes/") else None


# --- the sum ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetUp:
    """What is in front of the functions, and how their streams are read."""

    name: str
    gateway: str = "REST API"
    edge: bool = False
    """CloudFront answers for the open feeds."""
    machine: str = "arm64"
    window: float = 5.0
    """Seconds for which the inventory's stream collects."""
    platform_lines: bool = True
    """Lambda writes START, END and REPORT for each invocation."""
    leases_at_c1: bool = True
    filtered: bool = True
    """Bookings that are in no feed yet do not invoke the Orders stream's function."""


@dataclass(frozen=True)
class Month:
    """What happens in a month. Each booking is C1, C2 and B with leases, spread evenly over the days."""

    bookings: int = 0
    partners: int = 0
    """Each asks for all feeds once a minute."""
    open_feeds: int = 4
    own_feeds: int = 2


Items = dict[str, Decimal]


def booking_usage(counted: Mapping[str, Usage], set_up: SetUp, number: int) -> Usage:
    """What C1, C2 and B of so many bookings use, with the records of their streams."""
    c1, c2 = ("C1", "C2") if set_up.leases_at_c1 else ("C1 without a lease", "C2 without one before")
    api = counted[c1] + counted[c2] + counted["B"]
    # One of C1 and C2 takes the space, which open data shows. The others change the counters, too.
    records = 3 if set_up.leases_at_c1 else 2
    stream = _stream_usage(
        counted["stream: an Opportunity"], counted["stream: a further Opportunity"], number, records, set_up
    )
    same = counted["stream: an Opportunity that looks the same"]
    more_same = counted["stream: a further one that looks the same"]
    rest = number * (records - 1)
    # They are in batches that have been counted, or in a separate one.
    batches = number * records / _batch_size(number * records, set_up)
    alone = max(batches - number, 0.0)
    stream += same * alone + more_same * (rest - alone)
    if not set_up.filtered:
        first, further = counted["stream: a changed Order"], counted["stream: a further changed Order"]
        orders = number / _batch_size(number, replace(set_up, window=1))
        nothing = Usage(invocations=1, gb_seconds=first.gb_seconds, logged=first.logged)
        stream += nothing * orders + Usage(gb_seconds=further.gb_seconds) * (number - orders)
    return api * number + stream


def _stream_usage(first: Usage, further: Usage, number: int, records: int, set_up: SetUp) -> Usage:
    """What the changes of what is shown use: the first of each batch, and the others in it."""
    batches = number * records / _batch_size(number * records, set_up)
    with_one = min(batches, float(number))
    return first * with_one + further * (number - with_one)


def _batch_size(records: float, set_up: SetUp) -> float:
    """Records in a batch: it begins with one and collects for the window; it has 100 at most."""
    return min(1 + records / MONTH.total_seconds() * set_up.window, 100)


def polling_usage(counted: Mapping[str, Usage], month: Month, set_up: SetUp) -> tuple[Usage, float]:
    """What the partners' polling uses of the gateway and the functions, and the requests that CloudFront answers."""
    minutes = MONTH.total_seconds() / 60 * month.partners
    own = counted["Orders feed, last page"] * (minutes * month.own_feeds)
    asked = minutes * month.open_feeds
    if not set_up.edge:
        return own + counted["open feed, last page"] * asked, 0.0
    origin = min(asked, month.open_feeds * EDGES * MONTH.total_seconds() / _LAST_PAGE_SECONDS)
    page = counted["open feed, last page"]
    return own + replace(page, sent=0) * origin, asked


_LAST_PAGE_SECONDS = 8


def fixed(counted: Mapping[str, Usage]) -> Usage:
    """What the schedules use in a month in which nothing happens."""
    minutes = MONTH.total_seconds() / 60
    return (counted["sweep without work"] + counted["imports without work"]) * minutes


def monthly_items() -> Items:
    """What is charged by the month: alarms, metrics, the key."""
    alarms = sum(len(alarm.metrics) for alarm in ALARMS)
    plain = sum(not metric.by for metric in METRICS.values())
    return {
        "alarms": PRICES["alarms"].of_units(alarms),
        # Routes that are used, refusals by reason, currencies, streams.
        "metrics": PRICES["metrics"].of_units(plain + 14 + 10 + 1 + 2),
        "key": PRICES["keys"].of_units(1),
    }


def priced(usage: Usage, set_up: SetUp) -> Items:
    """The items of a bill for this usage."""
    logged = usage.logged if set_up.platform_lines else usage.logged - usage.invocations * PLATFORM_LINES
    return {
        "DynamoDB writes": PRICES["writes"].of_units(usage.writes),
        "DynamoDB reads": PRICES["reads"].of_units(usage.reads),
        "DynamoDB storage and recovery": PRICES["stored"].of_units(usage.stored / GB)
        + PRICES["backed up"].of_units(usage.stored / GB),
        "API Gateway": PRICES[set_up.gateway].of_units(usage.requests),
        "Lambda requests": PRICES["invocations"].of_units(usage.invocations),
        "Lambda time": PRICES[set_up.machine].of_units(usage.gb_seconds),
        "Logs": PRICES["logged"].of_units(logged / GB) + PRICES["log kept"].of_units(logged / GB * 0.15),
        "Data out": PRICES["sent"].of_units(usage.sent / GB),
        "KMS": PRICES["key uses"].of_units(usage.key_uses),
    }


def edge_items(requests: float, sent: float, *, free: bool) -> Items:
    """What CloudFront charges."""
    asked = max(0.0, requests - FREE_EDGE_REQUESTS) if free else requests
    size = max(0.0, sent / GB - FREE_EDGE_GB) if free else sent / GB
    return {
        "CloudFront": PRICES["edge requests"].of_units(asked) + PRICES["edge sent"].of_units(size)
    }  # fmt: skip


def total(items: Items) -> Decimal:
    return sum(items.values(), Decimal(0))


def of_bookings(counted: Mapping[str, Usage], set_up: SetUp, number: int) -> Items:
    """The bill for so many bookings in a month, without what a month costs anyway."""
    return priced(booking_usage(counted, set_up, number), set_up)


def of_polling(counted: Mapping[str, Usage], set_up: SetUp, month: Month, *, free: bool = True) -> Items:
    """The bill for a month of polling."""
    usage, at_edge = polling_usage(counted, month, set_up)
    items = priced(usage, set_up)
    if set_up.edge:
        items |= edge_items(at_edge, at_edge * counted["open feed, last page"].sent, free=free)
    return items


# --- what was cut ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """One thing that costs less than it did. `undo` gives the counts without it, by what was counted before it."""

    what: str
    undo: Callable[[dict[str, Usage]], dict[str, Usage]] = lambda counted: counted
    set_up: Callable[[SetUp], SetUp] = lambda set_up: set_up


def _more(**by_action: Usage) -> Callable[[dict[str, Usage]], dict[str, Usage]]:
    return lambda counted: counted | {name: counted[name] + more for name, more in by_action.items()}


def _publish_all(counted: dict[str, Usage]) -> dict[str, Usage]:
    return counted | {
        "stream: an Opportunity that looks the same": counted["stream: an Opportunity"],
        "stream: a further one that looks the same": counted["stream: a further Opportunity"],
    }


# In the order in which they are undone. The units were counted by this command with and without each, in November 2026.
CUTS = (
    Cut("C1 does not lease (`ANONYMOUS_LEASING=false`)", set_up=lambda s: replace(s, leases_at_c1=True)),
    Cut("Lambda's own three lines are not logged (`platform_logs`, by pipeline)", set_up=lambda s: replace(s, platform_lines=True)),
    Cut("HTTP API (`http_api`, by pipeline)", set_up=lambda s: replace(s, gateway="REST API")),
    Cut("arm64 (`lambda_architecture`)", set_up=lambda s: replace(s, machine="x86_64")),
    Cut("the inventory stream collects for 5 s, not 1", set_up=lambda s: replace(s, window=1.0)),
    Cut("a booking that is in no feed yet does not invoke the Orders stream", set_up=lambda s: replace(s, filtered=False)),
    Cut("the rate limiter's first requests of a minute cost no call", _more(C2=Usage(writes=1), B=Usage(writes=1))),
    Cut("a renewed lease keeps its end within two minutes: no index and no counter is written again", _more(C2=Usage(writes=4))),
    Cut("rows are compressed with a dictionary: a quote has less than 1 KB", _more(C1=Usage(writes=2), C2=Usage(writes=2), B=Usage(writes=2, stored=1263))),
    Cut("an Opportunity that looks the same is not published again", _publish_all),
)  # fmt: skip

RECOMMENDED = SetUp("recommended", "HTTP API", edge=True, platform_lines=False, leases_at_c1=False)
WITH_C1 = replace(RECOMMENDED, name="recommended, and leases at C1", leases_at_c1=True)
LAPTOP = SetUp("from a laptop (REST API)")
SET_UPS = (RECOMMENDED, WITH_C1, LAPTOP)


def steps(counted: Mapping[str, Usage], number: int) -> list[tuple[str, Decimal]]:
    """What so many bookings cost, from the recommended set-up back: after each cut, and before all of them."""
    now, set_up = dict(counted), RECOMMENDED
    found = []
    for cut in CUTS:
        found.append((cut.what, total(of_bookings(now, set_up, number))))
        now, set_up = cut.undo(now), cut.set_up(set_up)
    return [("before all of these", total(of_bookings(now, set_up, number))), *reversed(found)]


# --- the page --------------------------------------------------------------------------------------------------

BOOKINGS = (1_000, 100_000, 1_000_000, 10_000_000)
POLLERS = (1, 10, 100, 1_000)
_ITEM_BYTES = 300


def page(counted: Mapping[str, Usage]) -> Iterator[str]:
    """docs/costs.md."""
    yield "# Costs"
    yield ""
    yield (
        f"Written by `python -m bench.price` on {datetime.now(UTC):%d %B %Y}; do not edit. Units, bytes and log lines are "
        "counted on Dynoxide, one request of each kind with tokens and the settings of production; prices are those of "
        "eu-west-2 in US dollars, without tax. **Nothing was measured on AWS**: what a function takes there is assumed. "
        "[Decision 31](decisions/0031-what-a-stage-costs.md) has the reasons."
    )
    yield ""
    yield "## A million bookings"
    yield ""
    yield (
        "Each booking is C1, a minute later C2, a minute later B, of one place with a description of 300 characters, with "
        "leases and the changes in the open feed. A month has 30 days, and the bookings are spread evenly."
    )
    yield ""
    items = {each.name: of_bookings(counted, each, 1_000_000) for each in SET_UPS}
    yield from _table(
        ("item", *(each.name for each in SET_UPS)),
        [
            *((item, *(_dollars(items[each.name][item]) for each in SET_UPS)) for item in items[LAPTOP.name]),
            ("**sum**", *(f"**{_dollars(total(items[each.name]))}**" for each in SET_UPS)),
        ],
    )
    yield ""
    yield (
        "*Recommended* is by pipeline, with the options `http_api` and `cached_feeds`, without `platform_logs`, on arm64, and with "
        "`ANONYMOUS_LEASING=false`: places are leased from C2 on, when there is a Customer. With leases at C1, which hold a "
        "place before a Customer has decided, the goal of $35 for a million bookings is missed: its cheapest set-up is in "
        "the second column. A longer description than 300 characters makes rows of Orders larger than 1 KB; each further "
        "kilobyte of B is two write units, $1.48 for a million."
    )
    yield ""
    yield "| bookings a month | " + " | ".join(each.name for each in SET_UPS) + " |"
    yield "|" + "---|" * (len(SET_UPS) + 1)
    for number in BOOKINGS:
        sums = (_dollars(total(of_bookings(counted, each, number))) for each in SET_UPS)
        yield f"| {number:,} | " + " | ".join(sums) + " |"
    yield ""
    yield (
        "To each of these comes what a stage costs without a request, and what partners cost that only read feeds: both "
        "are below. The option `firewall` cannot be combined with `http_api`."
    )
    yield ""
    yield "### What was cut"
    yield ""
    yield "The sum for a million bookings after each cut, one after the other, down to the recommended set-up."
    yield ""
    yield from _table(
        ("cut", "sum after it"), [(what, _dollars(cost)) for what, cost in steps(counted, 1_000_000)]
    )
    yield ""
    yield "## Partners that poll"
    yield ""
    yield (
        "Each partner asks for four open feeds and its own two once a minute, and finds nothing new; compressed pages. "
        "With `cached_feeds`, CloudFront answers for the open feeds, and asks the API again when a page is "
        f"{_LAST_PAGE_SECONDS} seconds old, from {EDGES} places. Its first ten million requests of a month are free, "
        "permanently; the second column is without that."
    )
    yield ""
    polled = (
        ("recommended", RECOMMENDED, True),
        ("the same, without what is free", RECOMMENDED, False),
        ("`http_api` alone", replace(RECOMMENDED, edge=False), True),
        (LAPTOP.name, LAPTOP, True),
    )
    yield from _table(
        ("partners", *(name for name, _, _ in polled)),
        [
            (
                f"{number:,}",
                *(
                    _dollars(total(of_polling(counted, set_up, Month(partners=number), free=free)))
                    for _, set_up, free in polled
                ),
            )
            for number in POLLERS
        ],
    )
    yield ""
    yield "100 partners, by item:"
    yield ""
    bills = [of_polling(counted, set_up, Month(partners=100), free=free) for _, set_up, free in polled]
    yield from _table(
        ("item", *(name for name, _, _ in polled)),
        [
            (item, *(_dollars(bill.get(item, Decimal(0))) for bill in bills))
            for item in bills[0]
            if any(bill.get(item) for bill in bills)
        ],
    )
    yield ""
    read = 100_000 * 100 * _ITEM_BYTES / GB
    yield (
        f"Each change is read by each partner: 100,000 changes, read by 100 partners, of {_ITEM_BYTES} bytes each, "
        f"compressed, are {_dollars(PRICES['sent'].of_units(read))} of data."
    )
    yield ""
    yield "## What a month costs anyway"
    yield ""
    monthly = monthly_items()
    schedules = total(priced(fixed(counted), RECOMMENDED))
    yield from _table(
        ("item", "a month"),
        [
            *((name, _dollars(cost)) for name, cost in monthly.items()),
            ("the sweep and the imports, each minute, without work", _dollars(schedules)),
            ("**sum**", f"**{_dollars(total(monthly) + schedules)}**"),
        ],
    )
    yield ""
    yield (
        "Of metrics, those that have values are charged: this counts 14 routes, 10 kinds of refusals, one currency. Three "
        "dashboards are free. X-Ray, AWS Backup and WAF (by option), more dashboards and messages to SQS (only after a day of failures) are in "
        "the table of prices. DynamoDB's storage grows: the rows of a million bookings of earlier months are "
        f"{_dollars(of_bookings(counted, RECOMMENDED, 1_000_000)['DynamoDB storage and recovery'])} in each month."
    )
    yield ""
    yield "## Every request, stream and schedule"
    yield ""
    yield from _table(
        ("what", "write units", "read units", "bytes sent", "bytes logged", "dollars for a million"),
        [
            (
                name,
                f"{used.writes:g}",
                f"{used.reads:g}",
                f"{used.sent:,.0f}",
                f"{used.logged:,.0f}",
                _dollars(total(priced(replace(used * 1_000_000, stored=0), LAPTOP))),
            )
            for name, used in counted.items()
        ],
    )
    yield ""
    yield "With a REST API. Bytes logged include Lambda's own lines. Not in the sums:"
    yield ""
    for route, counts in ROUTES.items():
        if isinstance(counts, str):
            yield f"- `{route}`: {counts}."
    yield ""
    yield "## Prices"
    yield ""
    yield from _table(
        ("what", "dollars", "for", "looked up", "page"),
        [
            (each.what, f"{each.dollars:f}", f"{each.per:,}", each.of, f"<{each.page}>")
            for each in PRICES.values()
        ],
    )
    yield ""
    yield "## Assumptions"
    yield ""
    yield (
        f"Billed time, warm, with 1 GB: {BOOKING_MS} ms for C1, C2, B and other requests that write, {READING_MS} ms for one "
        f"read, {PAGE_MS} ms for a full page. With 512 MB: {BATCH_MS} ms for a batch of a stream and {ITEM_MS} ms for each "
        f"further record, {SWEEP_MS} ms for a sweep. One request in {COLD_ONE_IN} starts an instance, {COLD_MS} ms. A million "
        "bookings at twice the time cost "
        f"{_dollars(of_bookings(counted, RECOMMENDED, 1_000_000)['Lambda time'])} more. Conflicts and retries are not "
        "counted. DynamoDB is assumed to charge an index of a row in a transaction as Dynoxide does, once and not twice."
    )
    yield ""


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    with engines.dynoxide() as url:
        counted = count(url)
    PAGE.write_text("\n".join(page(counted)))
    for each in SET_UPS:
        print(f"A million bookings, {each.name}: {_dollars(total(of_bookings(counted, each, 1_000_000)))}")
    month = Month(partners=100)
    print(f"100 partners, recommended: {_dollars(total(of_polling(counted, RECOMMENDED, month)))}")
    print(f"Written: {PAGE}")


if __name__ == "__main__":
    main()
