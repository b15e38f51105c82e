"""An installation on tables of its own with as little in it as a booking needs, called as API Gateway calls it."""

import json
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import app
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.identifiers import BASE, IDENTIFIERS
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.wire.opportunities import read_opportunity, read_seller
from openbooking.local.engine import ACCESS_KEY, REGION, dynamodb_client
from openbooking.local.tables import create_tables

BASE_URL = "https://booking.example"
PRICE = 10
SELLER: Json = {
    "@type": "Organization",
    "@id": f"{IDENTIFIERS}/sellers/1",
    "name": "Kings Mead Leisure",
    "taxMode": "https://openactive.io/TaxGross",
    "isOpenBookingAllowed": True,
}
YOGA: Json = {
    "@type": "Concept",
    "@id": "https://openactive.io/activity-list#bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e",
    "inScheme": "https://openactive.io/activity-list",
    "prefLabel": "Yoga",
}
PLACE: Json = {
    "@type": "Place",
    "name": "Kings Mead Leisure Centre",
    "address": {"@type": "PostalAddress", "streetAddress": "1 Mead Lane", "postalCode": "OX1 1AA"},
    "geo": {"@type": "GeoCoordinates", "latitude": 51.75, "longitude": -1.26},
}
_HEADERS = {
    "Host": "booking.example",
    "Content-Type": "application/vnd.openactive.booking+json; version=1",
    "X-OpenActive-Test-Seller-Id": SELLER["@id"].replace(BASE, BASE_URL),
}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Session:
    """A ScheduledSession with one Offer."""

    id: str
    offer_id: str


@dataclass(frozen=True)
class Request:
    """A call of the booking API by a booking partner; `headers` say who, if not those of development."""

    verb: str
    path: str
    body: Json | None = None
    partner: str = "partner-1"
    headers: Mapping[str, str] | None = None

    def event(self) -> Json:
        """The same as API Gateway hands it to Lambda."""
        path = f"/api/openbooking/{self.path}"
        found = _UUID.search(path)
        who = {"X-OpenActive-Test-Client-Id": self.partner} if self.headers is None else self.headers
        return {
            "httpMethod": self.verb,
            "path": path,
            "headers": {**_HEADERS, **who},
            "multiValueQueryStringParameters": None,
            "pathParameters": {"uuid": found[0]} if found else None,
            "stageVariables": None,
            "requestContext": {
                "httpMethod": self.verb,
                "resourcePath": _UUID.sub("{uuid}", path),
                "identity": {},
                "domainName": "booking.example",
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
        """The types of the errors of its OrderItems."""
        return [error["@type"] for item in self.json["orderedItem"] for error in item.get("error", [])]


def ask(request: Request) -> Answer:
    """Invoke the app, which serves the installation that was put to use."""
    answer = app.app(request.event(), None)
    return Answer(answer["statusCode"], answer["body"])


def quote(order: str, session: Session, partner: str = "partner-1", *, customer: bool = True) -> Request:
    """C2; C1 without a customer."""
    path = "order-quotes" if customer else "order-quote-templates"
    return Request("PUT", f"{path}/{order}", _order("OrderQuote", session, customer=customer), partner)


def booking(order: str, session: Session, partner: str = "partner-1") -> Request:
    """B for one place."""
    body = _order("Order", session) | {
        "totalPaymentDue": {"@type": "PriceSpecification", "price": PRICE, "priceCurrency": "GBP"},
        "payment": {"@type": "Payment", "identifier": "payment-1"},
    }
    return Request("PUT", f"orders/{order}", body, partner)


def cancellation(order: str, item_id: str) -> Request:
    status = "https://openactive.io/CustomerCancelled"
    items = [{"@type": "OrderItem", "@id": item_id, "orderItemStatus": status}]
    body = {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": items}
    return Request("PATCH", f"orders/{order}", body)


def new_uuid() -> str:
    return str(uuid.uuid4())


def _order(kind: str, session: Session, *, customer: bool = True) -> Json:
    document: Json = {
        "@context": "https://openactive.io/",
        "@type": kind,
        "seller": {"@type": "Organization", "@id": _outer(SELLER["@id"])},
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": {"@type": "Organization", "name": "Acme Broker"},
        "orderedItem": [
            {
                "@type": "OrderItem",
                "position": 0,
                "orderedItem": {"@type": "ScheduledSession", "@id": _outer(session.id)},
                "acceptedOffer": {"@type": "Offer", "@id": _outer(session.offer_id)},
            }
        ],
    }
    if customer:
        document["customer"] = {"@type": "Person", "email": "geoff@example.com"}
    return document


def _outer(iri: str) -> str:
    return iri.replace(BASE, BASE_URL)


@dataclass
class Installation:
    """The tables under a prefix on an engine, and the system that works on them.

    A process of a race has its own of the same tables. `now` stands still where it is set.
    """

    prefix: str
    url: str | None
    now: datetime | None = None

    @cached_property
    def tables(self) -> Tables:
        return Tables(Engine(self.prefix, REGION, self.url, access_key=ACCESS_KEY, secret_key=ACCESS_KEY))

    @cached_property
    def store(self) -> DynamoStore:
        return DynamoStore(self.tables)

    def system(self, telemetry: Telemetry | None = None) -> System:
        return System(
            settings=Settings(authentication="headers"),
            store=self.store,
            feeds=DynamoFeeds(self.tables),
            telemetry=telemetry or Telemetry(level="CRITICAL", metrics=False),
            identities=DynamoIdentities(self.tables),
            pending=DynamoPending(self.tables),
            retry=RetryPolicy(pause=time.sleep, jitter=random.random),
            clock=lambda: self.now or datetime.now(UTC),
            new_id=new_uuid,
        )

    def create(self) -> None:
        """Create the tables, with a Seller, and put the installation to use in this process."""
        client = dynamodb_client(self.url) if self.url else self.tables.connection.client
        create_tables(client, self.prefix)
        if self.url:
            client.close()
        self.store.save_seller(read_seller(SELLER, TaxRate("VAT at 20%", Decimal("0.2"))))
        install(self.system())

    def close(self) -> None:
        install(None)
        self.tables.connection.client.close()

    def session(self, spaces: int) -> Session:
        """Publish a session of a series of its own, two days from now."""
        number = uuid.uuid4().int
        series_id = f"{IDENTIFIERS}/session-series/{number}"
        starts_at = (self.now or datetime.now(UTC)) + timedelta(days=2)
        offer = {
            "@type": "Offer",
            "@id": f"{series_id}#/offers/1",
            "name": "Adult",
            "price": PRICE,
            "priceCurrency": "GBP",
            "openBookingInAdvance": "https://openactive.io/Required",
            "allowCustomerCancellationFullRefund": True,
        }
        series = {
            "@type": "SessionSeries",
            "@id": series_id,
            "name": "Yoga",
            "activity": [YOGA],
            "location": PLACE,
            "organizer": SELLER,
            "offers": [offer],
        }
        document = {
            "@type": "ScheduledSession",
            "@id": f"{IDENTIFIERS}/scheduled-sessions/{number}",
            "superEvent": series_id,
            "startDate": starts_at.isoformat(timespec="seconds"),
            "endDate": (starts_at + timedelta(hours=1)).isoformat(timespec="seconds"),
            "duration": "PT1H",
            "maximumAttendeeCapacity": spaces,
            "remainingAttendeeCapacity": spaces,
        }
        published = read_opportunity(document, series)
        opportunity = replace(published.opportunity, revision=1)
        self.store.publish(Listing(opportunity), published.spaces)
        return Session(str(document["@id"]), str(offer["@id"]))

    def capacity(self, session: Session) -> Capacity:
        capacity = self.store.listings([session.id])[session.id][1]
        assert capacity is not None
        return capacity

    def held(self, session: Session) -> int:
        return sum(hold.spaces for hold in self.store.holds(session.id).values())


class Calls:
    """The operations that go to DynamoDB from one set of tables, in order, with their parameters."""

    def __init__(self, tables: Tables) -> None:
        self.made: list[tuple[str, Json]] = []
        tables.connection.client.meta.events.register_first("before-parameter-build.dynamodb", self._note)

    def during(self, act: Callable[[], Any]) -> list[tuple[str, Json]]:
        self.made.clear()
        act()
        return list(self.made)

    def _note(self, params: Json, model: Any, **_: Any) -> None:
        self.made.append((model.name, params))
