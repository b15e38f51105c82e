"""An installation in memory, and a Broker who speaks to it through Chalice's own test client."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from chalice.test import Client

import app
from chalicelib.booking.decisions import Wanted
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import TaxRate
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage import codec
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.identities import IdentityStore
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.wire.opportunities import read_opportunity, read_seller
from tests.support import errors_seen
from tests.support.builders import BROKER, CUSTOMER, Clock, sequential_ids
from tests.support.memory import MemoryFeeds, MemoryIdentities, MemoryPending, MemoryStore

Json = dict[str, Any]

HOST = "booking.example"
BASE_URL = f"http://{HOST}"
MEDIA_TYPE = "application/vnd.openactive.booking+json; version=1"
API = "/api/openbooking"
PAYMENT: Json = {"@type": "Payment", "identifier": "payment-1"}

ADDRESS: Json = {
    "@type": "PostalAddress",
    "streetAddress": "1 Mead Lane",
    "addressLocality": "Oxford",
    "addressRegion": "Oxfordshire",
    "postalCode": "OX1 1AA",
    "addressCountry": "GB",
}
PLACE: Json = {
    "@type": "Place",
    "@id": f"{IDENTIFIERS}/places/1",
    "name": "Kings Mead Leisure Centre",
    "address": ADDRESS,
    "geo": {"@type": "GeoCoordinates", "latitude": 51.75, "longitude": -1.26},
}
YOGA: Json = {
    "@type": "Concept",
    "@id": "https://openactive.io/activity-list#bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e",
    "inScheme": "https://openactive.io/activity-list",
    "prefLabel": "Yoga",
}
BADMINTON: Json = {
    "@type": "Concept",
    "@id": "https://openactive.io/facility-types#9db5681e-700e-4b30-99a5-355885d94db2",
    "inScheme": "https://openactive.io/facility-types",
    "prefLabel": "Badminton Court",
}


def seller_id(number: int) -> str:
    return f"{IDENTIFIERS}/sellers/{number}"


def a_seller_document(number: int = 1, tax_mode: str = "TaxGross", **changes: Any) -> Json:
    return {
        "@type": "Organization",
        "@id": seller_id(number),
        "name": "Kings Mead",
        "legalName": "Kings Mead Leisure Trust",
        "taxMode": f"https://openactive.io/{tax_mode}",
        "address": ADDRESS,
        "isOpenBookingAllowed": True,
        **changes,
    }


def instant(at: Any) -> str:
    return str(at.isoformat(timespec="seconds"))


@dataclass(frozen=True)
class Bookable:
    """Something that was published, as a Broker refers to it."""

    id: str
    offer_id: str
    type: str
    seller: int = 1

    @property
    def outer_id(self) -> str:
        return outer(self.id)

    def item(self, position: int = 0, **properties: Any) -> Json:
        document = {
            "@type": "OrderItem",
            "position": position,
            "orderedItem": {"@type": self.type, "@id": outer(self.id)},
            "acceptedOffer": {"@type": "Offer", "@id": outer(self.offer_id)},
        }
        return {name: value for name, value in (document | properties).items() if value is not ...}


def outer(iri: str) -> str:
    """An id as a Broker sees it."""
    return iri.replace("https://base.invalid", BASE_URL)


@dataclass
class World:
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
            retry=RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5),
            clock=self.clock,
            new_id=sequential_ids(),
        )
        install(self.system)
        self.sell(1, "TaxGross")
        self.sell(2, "TaxNet")

    def sell(self, number: int, tax_mode: str = "TaxGross", **changes: Any) -> None:
        """Put a Seller whose prices are taxed at 20 %."""
        document = a_seller_document(number, tax_mode, **changes)
        self.store.save_seller(read_seller(document, TaxRate("VAT at 20%", Decimal("0.2"))))

    def set(self, **settings: Any) -> None:
        """Change settings of the installation."""
        self.system.settings = replace(self.system.settings, **settings)
        for made_from_them in [
            name for name in vars(self.system) if isinstance(vars(System).get(name), cached_property)
        ]:
            vars(self.system).pop(made_from_them, None)

    def session(
        self,
        spaces: int = 10,
        price: float = 10,
        *,
        seller: int = 1,
        starts_in: timedelta = timedelta(days=2),
        offer: Json | None = None,
        session: Json | None = None,
        organizer: Json | None = None,
        attendee: tuple[str, ...] = (),
        form: tuple[Json, ...] = (),
    ) -> Bookable:
        """Publish a ScheduledSession of a series of its own."""
        self._numbers += 1
        number = self._numbers
        series_id = f"{IDENTIFIERS}/session-series/{number}"
        offer_id = f"{series_id}#/offers/1"
        starts_at = self.clock.now + starts_in
        parent = {
            "@type": "SessionSeries",
            "@id": series_id,
            "name": "Yoga",
            "url": "https://kings.example/yoga",
            "activity": [YOGA],
            "location": PLACE,
            "organizer": organizer or a_seller_document(seller),
            "offers": [
                {
                    "@type": "Offer",
                    "@id": offer_id,
                    "name": "Adult",
                    "price": price,
                    "priceCurrency": "GBP",
                    "allowCustomerCancellationFullRefund": True,
                    **(offer or {}),
                }
            ],
        }
        document = {
            "@type": "ScheduledSession",
            "@id": f"{IDENTIFIERS}/scheduled-sessions/{number}",
            "superEvent": series_id,
            "startDate": instant(starts_at),
            "endDate": instant(starts_at + timedelta(hours=1)),
            "duration": "PT1H",
            "maximumAttendeeCapacity": max(spaces, 1),
            "remainingAttendeeCapacity": spaces,
            **(session or {}),
        }
        self.publish(parent)
        self.publish(document, parent, attendee=attendee, form=form)
        return Bookable(document["@id"], offer_id, "ScheduledSession", seller)

    def slot(self, uses: int = 1, price: float = 8, *, seller: int = 1) -> Bookable:
        """Publish a Slot of a court of a facility of its own."""
        self._numbers += 1
        number = self._numbers
        facility_id = f"{IDENTIFIERS}/facility-uses/{number}"
        court = {
            "@type": "IndividualFacilityUse",
            "@id": f"{facility_id}/individual-facility-uses/1",
            "name": "Court 1",
        }
        facility = {
            "@type": "FacilityUse",
            "@id": facility_id,
            "name": "Badminton",
            "url": "https://kings.example/badminton",
            "facilityType": [BADMINTON],
            "location": PLACE,
            "provider": a_seller_document(seller),
        }
        slot_id = f"{IDENTIFIERS}/slots/{number}"
        starts_at = self.clock.now + timedelta(days=2)
        document = {
            "@type": "Slot",
            "@id": slot_id,
            "facilityUse": court["@id"],
            "startDate": instant(starts_at),
            "endDate": instant(starts_at + timedelta(hours=1)),
            "duration": "PT1H",
            "maximumUses": max(uses, 1),
            "remainingUses": uses,
            "offers": [
                {
                    "@type": "Offer",
                    "@id": f"{slot_id}#/offers/1",
                    "name": "Court hire",
                    "price": price,
                    "priceCurrency": "GBP",
                    "allowCustomerCancellationFullRefund": True,
                }
            ],
        }
        self.publish(facility | {"individualFacilityUse": [court]})
        self.publish(document, court | {"aggregateFacilityUse": facility})
        return Bookable(slot_id, f"{slot_id}#/offers/1", "Slot", seller)

    def publish(
        self,
        document: Json,
        parent: Json | None = None,
        *,
        attendee: tuple[str, ...] = (),
        form: tuple[Json, ...] = (),
    ) -> None:
        """Put a document into the inventory, or its next version."""
        published = read_opportunity(document, parent, attendee_details_required=attendee, intake_form=form)
        known = self.store.listings([document["@id"]]).get(document["@id"])
        version = known[0].version + 1 if known else 1
        opportunity = replace(published.opportunity, revision=version)
        self.store.publish(Listing(opportunity, version), published.spaces)

    def capacity(self, bookable: Bookable) -> Capacity:
        capacity = self.store.listings([bookable.id])[bookable.id][1]
        assert capacity is not None
        return capacity

    def held(self, bookable: Bookable) -> int:
        return sum(hold.spaces for hold in self.store.holds(bookable.id).values())

    def order(self, uuid: str, partner: str = "partner-1") -> Order | DeletedOrder | None:
        """The row under a UUID."""
        return self.store.snapshot(Wanted(OrderKey(partner, uuid))).order


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
        answer = Answer(response.status_code, response.headers, response.body)
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
