"""One operator's data in the forms that different systems publish: the same inventory, and it can be booked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import Defaults
from tests.importing.booking import Installation
from tests.importing.site import (
    BASE,
    SELLER,
    OperatorSite,
    facility_use,
    offer,
    series,
    session,
    slot,
    unit_id,
)

SERIES, OTHER = f"{BASE}/session-series/1", f"{BASE}/session-series/2"


def an_offer(owner: str, number: int, name: str, **more: Any) -> Json:
    return {**offer(owner, 4.5 + number), "@id": f"{owner}#/offers/{number}", "name": name, **more}


APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
TERMS = {
    "openBookingPrepayment": "https://openactive.io/Required",
    "allowCustomerCancellationFullRefund": True,
    "latestCancellationBeforeStartDate": "P1D",
    "validThroughBeforeStartDate": "PT2H",
}
YOGA = {
    "@type": "Concept",
    "@id": "https://openactive.io/activity-list#bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e",
    "prefLabel": "Yoga",
    "inScheme": "https://openactive.io/activity-list",
}


def operators_data() -> list[Json]:
    court = slot(1, unit_id(1, 2), maximumUses=1)
    return [
        series(
            1,
            activity=[YOGA],
            description="For all",
            offers=[an_offer(SERIES, 0, "Adult", **TERMS), an_offer(SERIES, 1, "Junior", **TERMS)],
        ),
        series(
            2,
            offers=[an_offer(OTHER, 0, "Adult", **APPROVAL)],
            eventStatus="https://schema.org/EventScheduled",
        ),
        session(1, of=1, maximumAttendeeCapacity=12),
        session(2, of=1, eventStatus="https://schema.org/EventCancelled"),
        session(3, of=2, offers=[an_offer(OTHER, 0, "Adult", price=9, **APPROVAL)]),
        facility_use(1, 1, 2),
        {**court, "offers": [an_offer(court["@id"], 0, "Hire", **TERMS)]},
    ]


@dataclass
class Published:
    """What a site publishes in its feeds, and the defaults that its source needs."""

    documents: list[Json] = field(default_factory=operators_data)
    defaults: Defaults = field(default_factory=Defaults)
    more_feeds: tuple[str, ...] = ()

    def every_object(self, change: Callable[[Json], Json]) -> Published:
        """With `change` applied to each object at every depth, inner ones first."""

        def walk(value: Any) -> Any:
            if isinstance(value, dict):
                return change({name: walk(inner) for name, inner in value.items()})
            return [walk(inner) for inner in value] if isinstance(value, list) else value

        self.documents = [walk(document) for document in self.documents]
        return self

    def every_text(self, change: Callable[[str, str], Any]) -> Published:
        """With `change` applied to each text and the name of its property."""

        def of(document: Json) -> Json:
            return {
                name: change(name, value)
                if isinstance(value, str)
                else [change(name, each) if isinstance(each, str) else each for each in value]
                if isinstance(value, list)
                else value
                for name, value in document.items()
            }

        return self.every_object(of)


IRI = re.compile(r"https://(openactive\.io|schema\.org)/([A-Za-z]+)")


def aliases(data: Published) -> Published:
    """`id` and `type`, as in OpenActive's own context."""
    names = {"@id": "id", "@type": "type"}
    return data.every_object(lambda each: {names.get(name, name): value for name, value in each.items()})


def plain_http(data: Published) -> Published:
    return data.every_text(lambda name, text: text if name == "@context" else IRI.sub(r"http://\1/\2", text))


def bare(data: Published) -> Published:
    return data.every_text(lambda name, text: found[2] if (found := IRI.fullmatch(text)) else text)


def prefixed(data: Published) -> Published:
    """Terms and members with the prefix of their vocabulary, types as IRIs."""

    def change(name: str, text: str) -> str:
        found = IRI.fullmatch(text)
        if name in ("@type", "type") and text.isalpha():
            return f"https://openactive.io/{text}"
        return f"{'oa' if 'openactive' in found[1] else 'schema'}:{found[2]}" if found else text

    def names(each: Json) -> Json:
        return {f"oa:{name}" if name.isalpha() else name: value for name, value in each.items()}

    return data.every_text(change).every_object(names)


def lists(data: Published) -> Published:
    """One value as a list, and a list of one as its value."""

    def change(each: Json) -> Json:
        return {
            name: value
            if name in ("@id", "@context")
            else value[0]
            if isinstance(value, list) and len(value) == 1
            else value
            if isinstance(value, list)
            else [value]
            for name, value in each.items()
        }

    return data.every_object(change)


def numbers(data: Published) -> Published:
    """5.0 and "5" for 5, and texts for prices."""

    def change(each: Json) -> Json:
        return {
            name: str(value)
            if name in ("price", "maximumAttendeeCapacity", "remainingUses")
            else float(value)
            if isinstance(value, int) and not isinstance(value, bool)
            else value
            for name, value in each.items()
        }

    return data.every_object(change)


def texts(data: Published) -> Published:
    """Blanks around values, and texts in several languages."""

    def change(each: Json) -> Json:
        padded = {
            name: f" {value}\n" if isinstance(value, str) and name != "@context" else value
            for name, value in each.items()
        }
        if "name" in padded:
            padded["name"] = {"cy": "Arall", "en": padded["name"]}
        if "description" in padded:
            padded["description"] = [
                {"@value": "Pour tous", "@language": "fr"},
                {"@value": padded["description"], "@language": "en-GB"},
            ]
        return padded

    return data.every_object(change)


def without_offer_ids(data: Published) -> Published:
    return data.every_object(
        lambda each: {
            name: value for name, value in each.items() if name != "@id" or each.get("@type") != "Offer"
        }
    )


def plain_open_data(data: Published) -> Published:
    """Nothing of booking, which the source's defaults supply."""
    hidden = ("taxMode", "isOpenBookingAllowed", "address", "openBookingPrepayment")
    data.defaults = Defaults(
        seller={name: SELLER[name] for name in ("taxMode", "isOpenBookingAllowed", "address")},
        offer={"openBookingPrepayment": "https://openactive.io/Required"},
    )
    return data.every_object(lambda each: {name: each[name] for name in each if name not in hidden})


def event_series_on_top(data: Published) -> Published:
    """What series have in common is in an EventSeries: one of its own feed, and one embedded."""
    above: list[Json] = []

    def change(document: Json) -> Json:
        if document["@type"] != "SessionSeries":
            return document
        number = document["@id"][-1]
        shared = {name: document[name] for name in ("name", "organizer", "activity") if name in document}
        top = {"@type": "EventSeries", "@id": f"{BASE}/event-series/{number}", **shared}
        rest = {name: value for name, value in document.items() if name not in shared}
        if number == "1":
            above.append(top)
            return {**rest, "superEvent": top["@id"]}
        return {**rest, "superEvent": top}

    data.documents = [change(document) for document in data.documents] + above
    data.more_feeds = ("EventSeries",)
    return data


def embedded_children(data: Published) -> Published:
    """Sessions in `subEvent` of their series, slots in `event` of their unit; there is no feed of them."""
    by_id = {document["@id"]: document for document in data.documents}
    for document in list(data.documents):
        if document["@type"] == "ScheduledSession":
            by_id[document["superEvent"]].setdefault("subEvent", []).append(document)
        elif document["@type"] == "Slot":
            for unit in by_id[f"{BASE}/facility-uses/1"]["individualFacilityUse"]:
                if unit["@id"] == document["facilityUse"]:
                    unit["event"] = document
        else:
            continue
        data.documents.remove(document)
    for document in data.documents:
        for child in document.get("subEvent", ()):
            child.pop("superEvent")
    return data


def embedded_parents(data: Published) -> Published:
    """The whole series in each session, and the whole facility in each slot; there is no feed of them."""
    by_id = {document["@id"]: document for document in data.documents}
    children = [document for document in data.documents if "startDate" in document]
    for child in children:
        if "superEvent" in child:
            child["superEvent"] = by_id[child["superEvent"]]
        else:
            facility = by_id[f"{BASE}/facility-uses/1"]
            units = facility["individualFacilityUse"]
            unit = next(each for each in units if each["@id"] == child["facilityUse"])
            whole = {name: value for name, value in facility.items() if name != "individualFacilityUse"}
            child["facilityUse"] = {**unit, "aggregateFacilityUse": whole}
    data.documents = children
    return data


def one_unit_as_an_object(data: Published) -> Published:
    for document in data.documents:
        if document["@type"] == "FacilityUse":
            document["individualFacilityUse"] = document["individualFacilityUse"][1]
    return data


DIALECTS = (
    aliases,
    plain_http,
    bare,
    prefixed,
    lists,
    numbers,
    texts,
    without_offer_ids,
    plain_open_data,
    event_series_on_top,
    embedded_children,
    embedded_parents,
    one_unit_as_an_object,
)


def taken(published: Published) -> tuple[Installation, str]:
    site, here = OperatorSite(page_size=3), Installation()
    for kind in published.more_feeds:
        site.list_feed(kind)
    for document in published.documents:
        kind = document.get("@type", document.get("type", document.get("oa:type")))
        kind = (kind[0] if isinstance(kind, list) else kind).strip().rpartition("/")[2]
        raw_id = document.get("@id", document.get("id"))
        site.publish_as(kind, str(raw_id).strip(), document)
    return here, here.take(site, defaults=published.defaults)


def inventory(here: Installation) -> Json:
    """What can be booked, in words that do not depend on how it was published."""
    found: Json = {}
    for number, child in (
        (1, "scheduled-sessions"),
        (2, "scheduled-sessions"),
        (3, "scheduled-sessions"),
        (1, "slots"),
    ):
        opportunity_id = f"{BASE}/{child}/{number}"
        listing, capacity = here.world.store.listings([opportunity_id])[opportunity_id]
        opportunity = listing.opportunity
        assert capacity is not None
        found[opportunity_id] = {
            "name": opportunity.name,
            "seller": opportunity.seller_id,
            "times": (opportunity.starts_at, opportunity.ends_at),
            "status": opportunity.status,
            "spaces": capacity.spaces_left,
            "barriers": opportunity.barriers,
            "unusable": opportunity.unusable_offers,
            "offers": [
                (
                    each.document["name"],
                    each.price,
                    each.currency,
                    each.prepayment,
                    each.requirements,
                    each.opens_before,
                    each.closes_before,
                    each.allows_cancellation,
                    each.cancellable_until_before,
                    each.barriers,
                )
                for each in opportunity.offers
            ],
        }
    return found


@pytest.fixture(scope="module")
def expected() -> Json:
    here, _ = taken(Published())
    return inventory(here)


def test_the_data_is_what_the_dialects_are_compared_with(expected: Json) -> None:
    assert [len(each["offers"]) for each in expected.values()] == [2, 2, 1, 1]
    assert [each["spaces"] for each in expected.values()] == [10, 10, 10, 1]
    assert [str(each["status"]) for each in expected.values()] == [
        "EventScheduled",
        "EventCancelled",
        "EventScheduled",
        "EventScheduled",
    ]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
def test_every_dialect_brings_in_the_same_inventory_and_it_can_be_booked(
    dialect: Callable[[Published], Published], expected: Json
) -> None:
    here, printed = taken(dialect(Published()))
    found = inventory(here)
    for opportunity_id, each in expected.items():
        if dialect is plain_open_data:  # nothing but the requirement and the windows is the same
            assert {**found[opportunity_id], "offers": 0} == {**each, "offers": 0}
        else:
            assert found[opportunity_id] == each, opportunity_id
    assert "not bookable:" not in printed
    assert here.book(f"{BASE}/scheduled-sessions/1").status == 201
    assert here.book(f"{BASE}/slots/1").status == 201
    by_approval = here.quote(f"{BASE}/scheduled-sessions/3")
    assert (by_approval.status, by_approval.json["orderRequiresApproval"]) == (200, True)
    assert here.book(f"{BASE}/scheduled-sessions/3").status != 201
    assert here.quote(f"{BASE}/scheduled-sessions/2").status == 409  # cancelled
    assert json.dumps(here.book(f"{BASE}/scheduled-sessions/1").json)


def test_a_second_import_of_a_dialect_changes_nothing() -> None:
    """Ids that were made for Offers are the same again."""
    for dialect in (without_offer_ids, embedded_children, lists):
        site, here = OperatorSite(), Installation()
        for document in dialect(Published()).documents:
            kind = document["@type"][0] if isinstance(document["@type"], list) else document["@type"]
            site.publish_as(kind, document["@id"], document)
        here.take(site)
        printed = here.take(site)
        assert _changed(printed) == [], printed


def _changed(printed: str) -> list[str]:
    """The lines of the table in which something was added, changed or withdrawn."""
    rows = [line.split("│") for line in printed.splitlines() if "│" in line]
    return [
        "│".join(cells)
        for cells in rows
        if any(cell.strip() not in ("", "0") for cell in (*cells[4:6], cells[7]))
    ]
