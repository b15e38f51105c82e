"""Two weeks of sessions and slots of two fictional operators, to try the system with.

Returns the documents as the open feeds publish them, and the required attendee details, which feeds do not
contain. Knows nothing about how they are stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json
from openbooking.samples.programme import OPERATORS, Class, Facility, Occasion, Operator, Price

CONTEXT = "https://openactive.io/"

# Concepts of the OpenActive lists that the samples use.
ACTIVITIES = {
    "Aqua Aerobics": "6e31262b-ce37-4fc7-b3e3-d827ac5e8b42",
    "Boccia": "611363c5-8acf-4eeb-aeba-c33e9c70146e",
    "Chair Yoga": "16b8fad0-68a1-4159-892d-c9b59dce03c8",
    "Circuit Training": "d22d1d7d-8a2f-4e18-88c8-80abcbdded9d",
    "Climbing": "d09970bc-e11c-40cc-a594-38e4ff32d611",
    "Indoor Cycling": "5f09c2ca-ceeb-4e0c-871f-e2d0b9971317",
    "Netball": "fbdc35a8-3dd0-40ee-a7ca-6ff40b3e5f90",
    "Pilates": "3a6b1c08-7aa6-48d4-9690-dca9e0133057",
    "Running": "72ddb2dc-7d75-424e-880a-d90eabe91381",
    "Table Tennis": "1a05993d-b206-4efe-85da-646fa340bdf4",
    "Tai Chi": "c16df6ed-a4a0-4275-a8c3-1c8cff56856f",
    "Walking Football": "b8019b67-2ade-406f-a012-91a5c3869652",
    "Yoga": "bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e",
}
FACILITY_TYPES = {
    "Badminton Court": "9db5681e-700e-4b30-99a5-355885d94db2",
    "Climbing Wall": "3e8b34e0-7510-4a97-aa3d-38797da2c02b",
    "Squash Court": "a1f82b7a-1258-4d9a-8dc5-bfc2ae961651",
    "Table Tennis Table": "5b5e33b7-dc1f-44ba-8122-2c051a533959",
}

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OFFLINE = "https://schema.org/OfflineEventAttendanceMode"
ONLINE = "https://schema.org/OnlineEventAttendanceMode"


@dataclass(frozen=True)
class SampleOpportunity:
    """A bookable Opportunity as published, and the details that its open feed does not contain.

    Its remaining capacity is the initial one. `attendee_details_required` are property IRIs (DETAILS-03),
    `intake_form` the fields of `orderItemIntakeForm` (DETAILS-06), and `access_channel` a VirtualLocation that is
    shown in Orders (ACCESS-06).
    """

    document: Json
    attendee_details_required: list[str] = field(default_factory=list)
    intake_form: list[Json] = field(default_factory=list)
    access_channel: Json | None = None


@dataclass(frozen=True)
class SampleOccasion:
    """A course, HeadlineEvent, Event or OnDemandEvent, with its sub-events that are also sold singly."""

    whole: SampleOpportunity
    parts: list[SampleOpportunity] = field(default_factory=list)


@dataclass(frozen=True)
class SampleInventory:
    """Everything that two Sellers publish; `tax_rates` maps a Seller's id to a fraction, as text."""

    sellers: list[Json]
    tax_rates: dict[str, str]
    parents: list[Json]
    opportunities: list[SampleOpportunity]
    occasions: list[SampleOccasion] = field(default_factory=list)


def sample_inventory(now: datetime) -> SampleInventory:
    """Both Sellers' programme for the two weeks after `now`, an aware instant."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    inventory = SampleInventory(sellers=[], tax_rates={}, parents=[], opportunities=[])
    for number, operator in enumerate(OPERATORS, start=1):
        seller, place = _seller(operator, number), _place(operator, number)
        inventory.sellers.append(seller)
        inventory.tax_rates[seller["@id"]] = "0.20"
        for position, programme in enumerate(operator.classes, start=1):
            series = _session_series(programme, number * 100 + position, operator.site, seller, place)
            inventory.parents.append(series)
            inventory.opportunities.extend(_sessions(series, programme, midnight))
        for position, facility in enumerate(operator.facilities, start=1):
            facility_use = _facility_use(facility, number * 100 + position, operator.site, seller, place)
            inventory.parents.append(facility_use)
            inventory.opportunities.extend(_slots(facility_use, facility, midnight))
        for position, occasion in enumerate(operator.occasions, start=1):
            made = _occasion(occasion, number * 100 + position, operator.site, seller, place, midnight)
            inventory.occasions.append(made)
    return inventory


def _seller(operator: Operator, number: int) -> Json:
    return {
        "@type": "Organization",
        "@id": f"{IDENTIFIERS}/sellers/{number}",
        "identifier": number,
        "name": operator.name,
        "legalName": operator.legal_name,
        "description": operator.description,
        "taxMode": f"https://openactive.io/{'TaxNet' if operator.tax_is_added else 'TaxGross'}",
        "vatID": operator.vat_id,
        "url": f"{operator.site}/",
        "email": operator.email,
        "telephone": operator.telephone,
        "logo": {"@type": "ImageObject", "url": f"{operator.site}/logo.png"},
        "address": _address(operator),
        "isOpenBookingAllowed": True,
        "termsOfService": [
            {
                "@type": "PrivacyPolicy",
                "name": "Privacy policy",
                "url": f"{operator.site}/privacy",
                "requiresExplicitConsent": False,
            },
            {
                "@type": "TermsOfUse",
                "name": "Terms and conditions",
                "url": f"{operator.site}/terms",
                "requiresExplicitConsent": False,
            },
        ],
    }


def _place(operator: Operator, number: int) -> Json:
    return {
        "@type": "Place",
        "@id": f"{IDENTIFIERS}/places/{number}",
        "identifier": number,
        "name": operator.place_name,
        "url": f"{operator.site}/find-us",
        "telephone": operator.telephone,
        "address": _address(operator),
        "geo": {
            "@type": "GeoCoordinates",
            "latitude": operator.latitude,
            "longitude": operator.longitude,
        },
        "amenityFeature": [
            {"@type": "ChangingFacilities", "name": "Changing facilities", "value": True},
            {"@type": "Showers", "name": "Showers", "value": True},
            {"@type": "Parking", "name": "Parking", "value": True},
        ],
        "openingHoursSpecification": [
            {
                "@type": "OpeningHoursSpecification",
                "dayOfWeek": [f"https://schema.org/{day}" for day in DAYS],
                "opens": "06:30",
                "closes": "22:00",
            }
        ],
    }


def _address(operator: Operator) -> Json:
    return {
        "@type": "PostalAddress",
        "streetAddress": operator.street,
        "addressLocality": operator.locality,
        "addressRegion": operator.region,
        "postalCode": operator.postcode,
        "addressCountry": "GB",
    }


def _session_series(programme: Class, number: int, site: str, seller: Json, place: Json) -> Json:
    series = _identified(OpportunityType.SessionSeries, number)
    series |= {
        "name": programme.name,
        "description": programme.description,
        "url": f"{site}/classes/{_slug(programme.name)}",
        "activity": [_concept("activity-list", programme.activity, ACTIVITIES)],
        "ageRange": {"@type": "QuantitativeValue", "minValue": programme.minimum_age},
        "genderRestriction": "https://openactive.io/NoRestriction",
        "level": [programme.level],
        "leader": [{"@type": "Person", "name": programme.leader}],
        "eventAttendanceMode": ONLINE if programme.online else OFFLINE,
        "organizer": seller,
        "offers": _offers(series["@id"], programme.prices),
    }
    if not programme.online:
        series["location"] = place
    if any(price.price == 0 for price in programme.prices):
        series["isAccessibleForFree"] = True
    if programme.instructions:
        series["attendeeInstructions"] = programme.instructions
    return series


def _sessions(series: Json, programme: Class, midnight: datetime) -> Iterator[SampleOpportunity]:
    for position, (day, time, left) in enumerate(programme.sessions, start=1):
        number = series["identifier"] * 100 + position
        status = "EventCancelled" if day in programme.cancelled_days else "EventScheduled"
        document = {
            **_identified(OpportunityType.ScheduledSession, number),
            "url": f"{series['url']}/{number}",
            **_child_of(series["@id"], OpportunityType.ScheduledSession),
            **_times(OpportunityType.ScheduledSession, midnight, day, time, programme.minutes),
            "eventStatus": f"https://schema.org/{status}",
            **_spaces(OpportunityType.ScheduledSession, programme.spaces, left),
        }
        form = [
            {"@id": f"{series['@id']}#/intakeForm/{k}", **asked} for k, asked in enumerate(programme.asks, 1)
        ]
        yield SampleOpportunity(
            document=document,
            attendee_details_required=[f"https://schema.org/{term}" for term in programme.asks_attendee],
            intake_form=form,
            access_channel=_access_channel(number) if programme.online else None,
        )


def _access_channel(number: int) -> Json:
    return {
        "@type": "VirtualLocation",
        "name": "Video call",
        "description": "Opens ten minutes before the start, if there is one.",
        "url": f"https://video.example/{number}",
    }


def _facility_use(facility: Facility, number: int, site: str, seller: Json, place: Json) -> Json:
    facility_use = _identified(OpportunityType.FacilityUse, number)
    facility_use |= {
        "name": facility.name,
        "description": facility.description,
        "url": f"{site}/facilities/{_slug(facility.name)}",
        "facilityType": [_concept("facility-types", facility.facility_type, FACILITY_TYPES)],
        "location": place,
        "provider": seller,
    }
    if facility.courts:
        facility_use["individualFacilityUse"] = [
            {
                "@type": OpportunityType.FacilityUse.traits.units,
                "@id": f"{facility_use['@id']}/individual-facility-uses/{court}",
                "identifier": court,
                "name": name,
                "description": facility.description,
            }
            for court, name in enumerate(facility.courts, start=1)
        ]
    return facility_use


def _slots(facility_use: Json, facility: Facility, midnight: datetime) -> Iterator[SampleOpportunity]:
    of = facility_use.get("individualFacilityUse", [facility_use])
    moments = [(day, time) for day in facility.days for time in facility.times]
    for court, used in enumerate(of, start=1):
        for position, (day, time) in enumerate(moments, start=1):
            number = facility_use["identifier"] * 10_000 + court * 100 + position
            slot = _identified(OpportunityType.Slot, number)
            left = 0 if (day, time, court) in facility.taken else None
            yield SampleOpportunity(
                document={
                    **slot,
                    **_child_of(used["@id"], OpportunityType.Slot),
                    **_times(OpportunityType.Slot, midnight, day, time, facility.minutes),
                    **_spaces(OpportunityType.Slot, facility.spaces, left),
                    "offers": _offers(slot["@id"], facility.prices),
                }
            )


def _occasion(
    occasion: Occasion, number: int, site: str, seller: Json, place: Json, midnight: datetime
) -> SampleOccasion:
    """The whole lists all of its sub-events; those that are sold singly are items, too."""
    kind = occasion.kind
    described: Json = {
        "description": occasion.description,
        "url": f"{site}/events/{_slug(occasion.name)}",
        "activity": [_concept("activity-list", occasion.activity, ACTIVITIES)],
        "organizer": seller,
    }
    whole = {**_identified(kind, number), "name": occasion.name, **described}
    whole["offers"] = _offers(whole["@id"], (occasion.price,))
    if not kind.traits.is_scheduled:
        return SampleOccasion(SampleOpportunity(whole, access_channel=_access_channel(number)))
    held: Json = {
        "location": place,
        "eventAttendanceMode": OFFLINE,
        "eventStatus": "https://schema.org/EventScheduled",
        **_spaces(kind, occasion.spaces, None),
    }
    whole |= held | _times(kind, midnight, occasion.day, occasion.time, occasion.minutes)
    parts = []
    for position, part in enumerate(occasion.parts, start=1):
        document = {**_identified(OpportunityType.Event, number * 100 + position), "name": part.name}
        times = _times(OpportunityType.Event, midnight, part.day, part.time, 60)
        listed = {**document, **times}
        del listed["@context"]
        whole.setdefault("subEvent", []).append(listed)
        if part.price is not None:
            document |= described | held | times | _child_of(whole["@id"], OpportunityType.Event)
            document["offers"] = _offers(document["@id"], (part.price,))
            parts.append(SampleOpportunity(document))
    return SampleOccasion(SampleOpportunity(whole), parts)


def _identified(kind: OpportunityType, number: int) -> Json:
    return {
        "@context": CONTEXT,
        "@type": kind.value,
        "@id": f"{IDENTIFIERS}/{kind.traits.feed}/{number}",
        "identifier": number,
    }


def _child_of(parent_id: str, kind: OpportunityType) -> Json:
    return {str(kind.traits.parent_term): parent_id}


def _spaces(kind: OpportunityType, spaces: int, left: int | None) -> Json:
    """All spaces, and those that are left: all of them if `left` is None."""
    family = kind.traits.family
    return {family.capacity_term: spaces, family.spaces_term: spaces if left is None else left}


def _offers(owner_id: str, prices: tuple[Price, ...]) -> list[Json]:
    return [_offer(f"{owner_id}#/offers/{k}", price) for k, price in enumerate(prices, start=1)]


def _offer(offer_id: str, price: Price) -> Json:
    offer: Json = {
        "@type": "Offer",
        "@id": offer_id,
        "name": price.name,
        "price": price.price,
        "priceCurrency": "GBP",
        "openBookingInAdvance": "https://openactive.io/Required",
        "allowCustomerCancellationFullRefund": price.refund,
    }
    optional = {
        "openBookingPrepayment": price.prepayment and f"https://openactive.io/{price.prepayment}",
        "validFromBeforeStartDate": price.opens,
        "validThroughBeforeStartDate": price.closes,
        "latestCancellationBeforeStartDate": price.refund_until,
        "openBookingFlowRequirement": [f"https://openactive.io/{need}" for need in price.needs],
        "ageRestriction": price.minimum_age and {"@type": "QuantitativeValue", "minValue": price.minimum_age},
    }
    return offer | {name: value for name, value in optional.items() if value}


def _times(kind: OpportunityType, midnight: datetime, day: int, time: str, minutes: int) -> Json:
    hour, minute = time.split(":")
    start = midnight + timedelta(days=day, hours=int(hour), minutes=int(minute))
    return kind.traits.times.state(start, start + timedelta(minutes=minutes))


def _concept(scheme: str, label: str, known: dict[str, str]) -> Json:
    return {
        "@type": "Concept",
        "@id": f"https://openactive.io/{scheme}#{known[label]}",
        "inScheme": f"https://openactive.io/{scheme}",
        "prefLabel": label,
    }


def _slug(name: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower())
    return "-".join(words.split())
