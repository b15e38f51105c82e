"""An installation in memory, and a Broker who speaks to it through Chalice's own test client."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from chalice.test import Client

import app
from chalicelib.domain.orders import DeletedOrder, Order
from chalicelib.domain.parties import Json
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage import codec
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.identities import IdentityStore
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, field, replace
from tests.support import errors_seen
from tests.support.builders import AT_ONCE, BROKER, CUSTOMER, Clock, sequential_ids
from tests.support.inventory import (
    ADDRESS,
    BASE_URL,
    HOST,
    PLACE,
    Bookable,
    PublishedInventory,
    a_seller_document,
    outer,
    seller_id,
)
from tests.support.memory import MemoryFeeds, MemoryIdentities, MemoryPending, MemoryStore

# Tests that have a world find in it what is published there, too.
__all__ = [
    "ADDRESS",
    "API",
    "BASE_URL",
    "HOST",
    "MEDIA_TYPE",
    "PAYMENT",
    "PLACE",
    "Answer",
    "Bookable",
    "Broker",
    "Json",
    "World",
    "a_seller_document",
    "capacity_record",
    "order_record",
    "outer",
    "seller_id",
]

MEDIA_TYPE = "application/vnd.openactive.booking+json; version=1"
API = "/api/openbooking"
PAYMENT: Json = {"@type": "Payment", "identifier": "payment-1"}


@dataclass
class World(PublishedInventory):
    """An installation without AWS. The clock moves only when told to."""

    settings: Settings = field(default_factory=lambda: Settings(authentication="headers"))
    store: Store = field(default_factory=MemoryStore)
    feeds: FeedStore = field(default_factory=MemoryFeeds)
    identities: IdentityStore = field(default_factory=MemoryIdentities)
    pending: PendingStore = field(default_factory=MemoryPending)
    clock: Clock = field(default_factory=Clock)
    client: Client = field(default_factory=lambda: Client(app.app))
    _numbers: int = 0

    def __post_init__(self) -> None:
        # Those in memory write what is to follow where the worker finds it.
        for store in (self.store, self.identities):
            if isinstance(store, MemoryStore | MemoryIdentities) and isinstance(self.pending, MemoryPending):
                store.pending = self.pending
        self.system = System(
            settings=self.settings,
            store=self.store,
            feeds=self.feeds,
            telemetry=Telemetry(level="CRITICAL", metrics=False),
            identities=self.identities,
            pending=self.pending,
            retry=AT_ONCE,
            clock=self.clock,
            new_id=sequential_ids(),
        )
        install(self.system)
        self.sell(1, "TaxGross")
        self.sell(2, "TaxNet")

    def now(self) -> datetime:
        return self.clock.now

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def set(self, **settings: Any) -> None:
        """Change settings of the installation."""
        self.system.settings = replace(self.system.settings, **settings)
        for made_from_them in [
            name for name in vars(self.system) if isinstance(getattr(System, name, None), cached_property)
        ]:
            vars(self.system).pop(made_from_them, None)


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        document: Json = json.loads(self.body)
        return document

    @property
    def media_type(self) -> str | None:
        return self.headers.get("Content-Type")

    def error_types(self) -> list[list[str]]:
        """The types of the errors of each OrderItem."""
        return [[error["@type"] for error in item.get("error", [])] for item in self.json["orderedItem"]]


@dataclass
class Broker:
    """A Broker with the credentials of one booking partner, acting for one Seller."""

    world: World
    partner: str | None = "partner-1"
    seller: int | None = 1

    def send(
        self,
        verb: str,
        path: str,
        body: Json | bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Any request. A header that is None is left out."""
        mine: dict[str, str | None] = {
            "Host": HOST,
            "Content-Type": MEDIA_TYPE,
            "X-OpenActive-Test-Client-Id": self.partner,
            "X-OpenActive-Test-Seller-Id": outer(seller_id(self.seller)) if self.seller else None,
            **(headers or {}),
        }
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self.world.client.http.request(
            verb, path, headers={name: value for name, value in mine.items() if value is not None}, body=raw
        )
        # As everything that speaks HTTP to a caller does.
        received = b"" if verb == "HEAD" else response.body
        answer = Answer(response.status_code, response.headers, received)
        # The provider's own errors are OAuth's.
        if answer.status >= 400 and answer.body and answer.media_type == MEDIA_TYPE:
            errors_seen.note(answer.status, answer.json, verb, path)
        return answer

    def body(self, kind: str, *items: Json, **properties: Any) -> Json:
        """The body of C1, C2 or B for the items. A property that is `...` is left out."""
        document = {
            "@context": "https://openactive.io/",
            "@type": kind,
            "seller": {"@type": "Organization", "@id": outer(seller_id(self.seller or 1))},
            "brokerRole": "https://openactive.io/AgentBroker",
            "broker": BROKER,
            "orderedItem": list(items),
        }
        return {name: value for name, value in (document | properties).items() if value is not ...}

    def c1(self, uuid: str, *items: Json, **properties: Any) -> Answer:
        body = self.body("OrderQuote", *items, **properties)
        return self.send("PUT", f"{API}/order-quote-templates/{uuid}", body)

    def c2(self, uuid: str, *items: Json, **properties: Any) -> Answer:
        body = self.body("OrderQuote", *items, **{"customer": CUSTOMER, **properties})
        return self.send("PUT", f"{API}/order-quotes/{uuid}", body)

    def b(self, uuid: str, *items: Json, due: Any = 10, **properties: Any) -> Answer:
        """B with a payment where something is due."""
        usual: Json = {
            "customer": CUSTOMER,
            "totalPaymentDue": {"@type": "PriceSpecification", "price": due, "priceCurrency": "GBP"},
            "payment": PAYMENT if due else ...,
        }
        return self.send("PUT", f"{API}/orders/{uuid}", self.body("Order", *items, **{**usual, **properties}))

    def status(self, uuid: str) -> Answer:
        return self.send("GET", f"{API}/orders/{uuid}")

    def cancel(self, uuid: str, *item_ids: str, **properties: Any) -> Answer:
        items = [
            {
                "@type": "OrderItem",
                "@id": item_id,
                "orderItemStatus": "https://openactive.io/CustomerCancelled",
            }
            for item_id in item_ids
        ]
        body = {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": items, **properties}
        return self.send("PATCH", f"{API}/orders/{uuid}", body)

    def delete(self, uuid: str) -> Answer:
        return self.send("DELETE", f"{API}/orders/{uuid}")

    def delete_quote(self, uuid: str) -> Answer:
        return self.send("DELETE", f"{API}/order-quotes/{uuid}")


def order_record(order: Order | DeletedOrder, sequence_number: str = "1") -> Json:
    """The stream record of a row of the orders table, as Lambda gets it."""
    image: Json = {
        "order_key": {"S": f"{order.key.partner_id}#{order.key.uuid}"},
        "kind": {"S": order.kind.value if isinstance(order, Order) else "Deleted"},
        "version": {"N": str(order.version)},
        "published": {"BOOL": order.published},
        "seller_id": {"S": order.seller_id},
    }
    if isinstance(order, Order):
        image["document"] = {"B": base64.b64encode(codec.pack(order)).decode()}
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {"order_key": image["order_key"]},
            "NewImage": image,
            "SequenceNumber": sequence_number,
        },
    }


def capacity_record(opportunity_id: str, sequence_number: str = "1") -> Json:
    """The stream record of a row of the inventory table; only its keys matter."""
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {"opportunity_id": {"S": opportunity_id}, "part": {"S": "capacity"}},
            "SequenceNumber": sequence_number,
        },
    }
