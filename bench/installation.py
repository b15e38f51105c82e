"""An installation with its own tables and only the data that a booking needs, called as API Gateway calls it."""

import json
import random
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import app
from chalicelib.domain.parties import Json
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass
from openbooking.local.engine import ACCESS_KEY, REGION, dynamodb_client
from openbooking.local.tables import create_tables
from tests.support.builders import BROKER, CUSTOMER
from tests.support.inventory import HOST, Bookable, PublishedInventory, outer, seller_id

PRICE = 10
_IN_ONE_CALL = 25  # the most that BatchWriteItem takes
PAYMENT: Json = {"@type": "Payment", "identifier": "payment-1"}
_HEADERS = {
    "Host": HOST,
    "Content-Type": "application/vnd.openactive.booking+json; version=1",
    "X-OpenActive-Test-Seller-Id": outer(seller_id(1)),
}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Request:
    """A request of a booking partner to the booking API. `headers` replace the development headers."""

    verb: str
    path: str
    body: Json | None = None
    partner: str = "partner-1"
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None

    def event(self) -> Json:
        """The event that API Gateway passes to Lambda, without the domain name."""
        path = f"/api/openbooking/{self.path}"
        found = _UUID.search(path)
        who = {"X-OpenActive-Test-Client-Id": self.partner} if self.headers is None else self.headers
        return {
            "httpMethod": self.verb,
            "path": path,
            "headers": {**_HEADERS, **who},
            "multiValueQueryStringParameters": self.query
            and {name: [each] for name, each in self.query.items()},
            "pathParameters": {"uuid": found[0]} if found else None,
            "stageVariables": None,
            "requestContext": {
                "httpMethod": self.verb,
                "resourcePath": _UUID.sub("{uuid}", path),
                "identity": {},
                # No domainName: with one, the base URL would be https, but the ids of the samples are http.
                "path": path,
            },
            "body": None if self.body is None else json.dumps(self.body),
            "isBase64Encoded": False,
        }


@dataclass(frozen=True)
class Answer:
    status: int
    body: str

    @property
    def json(self) -> Json:
        document: Json = json.loads(self.body)
        return document

    def item_errors(self) -> list[str]:
        """The types of the errors of the OrderItems."""
        return [error["@type"] for item in self.json["orderedItem"] for error in item.get("error", [])]


def ask(request: Request) -> Answer:
    """Send a request to the app, which serves the installed system."""
    answer = app.app(request.event(), None)
    return Answer(answer["statusCode"], answer["body"])


def quote(order: str, session: Bookable, partner: str = "partner-1", *, customer: bool = True) -> Request:
    """A C2 request, or C1 without a customer."""
    path = "order-quotes" if customer else "order-quote-templates"
    return Request("PUT", f"{path}/{order}", _order("OrderQuote", session, customer=customer), partner)


def booking(order: str, session: Bookable, partner: str = "partner-1", *, places: int = 1) -> Request:
    """A B request."""
    return Request("PUT", f"orders/{order}", _payable("Order", session, places), partner)


def proposal(order: str, session: Bookable) -> Request:
    """A P request for one place."""
    return Request("PUT", f"order-proposals/{order}", _payable("OrderProposal", session))


def cancellation(order: str, item_id: str) -> Request:
    status = "https://openactive.io/CustomerCancelled"
    items = [{"@type": "OrderItem", "@id": item_id, "orderItemStatus": status}]
    body = {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": items}
    return Request("PATCH", f"orders/{order}", body)


def new_uuid() -> str:
    return str(uuid.uuid4())


def _payable(kind: str, session: Bookable, places: int = 1) -> Json:
    return _order(kind, session, places=places) | {
        "totalPaymentDue": {"@type": "PriceSpecification", "price": PRICE * places, "priceCurrency": "GBP"},
        "payment": PAYMENT,
    }


def _order(kind: str, session: Bookable, *, customer: bool = True, places: int = 1) -> Json:
    document: Json = {
        "@context": "https://openactive.io/",
        "@type": kind,
        "seller": {"@type": "Organization", "@id": outer(seller_id(1))},
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": BROKER,
        "orderedItem": [session.item(position) for position in range(places)],
    }
    if customer:
        document["customer"] = CUSTOMER
    return document


@dataclass
class Installation(PublishedInventory):
    """The tables with a prefix on an engine, and the system that uses them.

    Each process of a race has an Installation for the same tables. `fixed_time` replaces the clock.
    """

    prefix: str
    url: str | None
    fixed_time: datetime | None = None

    @cached_property
    def tables(self) -> Tables:
        return Tables(Engine(self.prefix, REGION, self.url, access_key=ACCESS_KEY, secret_key=ACCESS_KEY))

    @cached_property
    def store(self) -> DynamoStore:  # type: ignore[override]
        return DynamoStore(self.tables)

    def now(self) -> datetime:
        return self.fixed_time or datetime.now(UTC)

    def next_number(self) -> int:
        # Several processes of a race publish into the same tables.
        return uuid.uuid4().int

    def system(self, telemetry: Telemetry | None = None) -> System:
        return System(
            settings=Settings(authentication="headers"),
            store=self.store,
            feeds=DynamoFeeds(self.tables),
            telemetry=telemetry or Telemetry(level="CRITICAL", metrics=False),
            identities=DynamoIdentities(self.tables),
            pending=DynamoPending(self.tables),
            retry=RetryPolicy(pause=time.sleep, jitter=random.random),
            clock=self.now,
            new_id=new_uuid,
        )

    def create(self, *, streams: bool = True) -> None:
        """Create the tables with a Seller, and install the system in this process."""
        client = dynamodb_client(self.url) if self.url else self.tables.connection.client
        create_tables(client, self.prefix, streams=streams)
        if self.url:
            client.close()
        self.sell(1)
        install(self.system())

    def close(self) -> None:
        install(None)
        self.tables.connection.client.close()


def write_rows(client: Any, found: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Rows of tables by their names, in DynamoDB's own format, without a condition."""
    requests = [(table, {"PutRequest": {"Item": row}}) for table, row in found]
    for start in range(0, len(requests), _IN_ONE_CALL):
        left: dict[str, list[Any]] = {}
        for table, request in requests[start : start + _IN_ONE_CALL]:
            left.setdefault(table, []).append(request)
        while left:
            left = client.batch_write_item(RequestItems=left).get("UnprocessedItems") or {}
