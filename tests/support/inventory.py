"""What is published in tests and measurements, by which Sellers, and what has become of it in a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.booking.decisions import Wanted
from chalicelib.domain.capacity import Capacity, Share
from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.storage.store import Listing, Store
from chalicelib.values import replace
from chalicelib.wire.reading import read_opportunity
from chalicelib.wire.sellers import read_seller

HOST = "booking.example"
BASE_URL = f"http://{HOST}"

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


_COURSE_DAYS = (("start", 0), ("end", 7))


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


class PublishedInventory:
    """An inventory to publish into, at the time that `now` says."""

    store: Store

    def now(self) -> datetime:
        raise NotImplementedError

    def next_number(self) -> int:
        """Of a session or Slot; nothing else in this inventory has it."""
        raise NotImplementedError

    def sell(self, number: int, tax_mode: str = "TaxGross", **changes: Any) -> None:
        """Put a Seller whose prices are taxed at 20 %."""
        document = a_seller_document(number, tax_mode, **changes)
        self.store.save_seller(read_seller(document, TaxRate("VAT at 20%", Decimal("0.2"))))

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
        number = self.next_number()
        series_id = f"{IDENTIFIERS}/session-series/{number}"
        offer_id = f"{series_id}#/offers/1"
        starts_at = self.now() + starts_in
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
        number = self.next_number()
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
        starts_at = self.now() + timedelta(days=2)
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

    def course(
        self,
        spaces: int = 10,
        sessions: Sequence[int] = (10, 10),
        price: float = 10,
        *,
        starts_in: timedelta = timedelta(days=2),
        offer: Json | None = None,
        more: Sequence[str] = (),
    ) -> tuple[Bookable, ...]:
        """Publish a CourseInstance and its Events that are also sold singly, each with its spaces; the course first.

        `more` are the ids of other sub-events, which it has too.
        """
        number = self.next_number()
        starts_at = self.now() + starts_in
        course_id = f"{IDENTIFIERS}/course-instances/{number}"
        terms = {"name": "Adult", "priceCurrency": "GBP", "allowCustomerCancellationFullRefund": True}

        def an_event(event_id: str, left: int, **times: str) -> Json:
            return {
                "@id": event_id,
                "name": "Swimming",
                "url": "https://kings.example/swimming",
                "activity": [YOGA],
                "location": PLACE,
                "organizer": a_seller_document(),
                "maximumAttendeeCapacity": max(left, 1),
                "remainingAttendeeCapacity": left,
                "offers": [
                    {
                        "@type": "Offer",
                        "@id": f"{event_id}#/offers/1",
                        "price": price,
                        **terms,
                        **(offer or {}),
                    }
                ],
                **times,
            }

        days = {f"{term}Date": f"{starts_at + timedelta(days=day):%Y-%m-%d}" for term, day in _COURSE_DAYS}
        course = an_event(course_id, spaces, **{"@type": "CourseInstance"}, **days)
        parts = [
            an_event(
                f"{IDENTIFIERS}/events/{number}-{n}",
                left,
                **{"@type": "Event", "superEvent": course_id},
                startDate=instant(starts_at + timedelta(hours=n)),
                endDate=instant(starts_at + timedelta(hours=n + 1)),
            )
            for n, left in enumerate(sessions)
        ]
        self.publish(course, sub_events=[*(part["@id"] for part in parts), *more])
        for part in parts:
            self.publish(part, course)
        return tuple(
            Bookable(each["@id"], each["offers"][0]["@id"], each["@type"]) for each in (course, *parts)
        )

    def publish(
        self,
        document: Json,
        parent: Json | None = None,
        *,
        attendee: tuple[str, ...] = (),
        form: tuple[Json, ...] = (),
        sub_events: Sequence[str] = (),
    ) -> None:
        """Put a document into the inventory, or its next version."""
        published = read_opportunity(
            document,
            parent,
            attendee_details_required=attendee,
            intake_form=form,
            sub_events=sub_events,
        )
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

    def share(self, bookable: Bookable, partner: str = "partner-1") -> Share:
        """The leases of a partner, as counted."""
        return self.capacity(bookable).share_of(partner)

    def order(self, uuid: str, partner: str = "partner-1") -> Order | DeletedOrder | None:
        """The row under a UUID."""
        return self.store.snapshot(Wanted(OrderKey(partner, uuid))).order
