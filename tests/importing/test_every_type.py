"""Courses, HeadlineEvents, Events and OnDemandEvents from a source, in the forms that operators publish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from chalicelib.domain.capacity import UNLIMITED
from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import Defaults
from tests.importing.booking import Installation
from tests.importing.site import BASE, END, SELLER, START, OperatorSite, offer
from tests.importing.test_dialects import (
    Published,
    aliases,
    bare,
    lists,
    numbers,
    plain_http,
    plain_open_data,
    prefixed,
    texts,
    without_offer_ids,
)

COURSE, FIRST, SECOND = f"{BASE}/courses/1", f"{BASE}/events/1", f"{BASE}/events/2"
MATCH, SEMI_FINAL = f"{BASE}/headline-events/1", f"{BASE}/events/3"
WALK, VIDEO = f"{BASE}/events/4", f"{BASE}/videos/1"
KINDS = ("CourseInstance", "HeadlineEvent", "Event", "OnDemandEvent", "EventSeries")


def by_id(data: Published) -> dict[str, Json]:
    return {document["@id"]: document for document in data.documents}


def embedded_children(data: Published) -> Published:
    """The Events in `subEvent` of what they belong to."""
    documents = by_id(data)
    child = documents[FIRST]
    data.documents.remove(child)
    documents[COURSE]["subEvent"].append({term: child[term] for term in child if term != "superEvent"})
    return data


def children_in_their_feed(data: Published) -> Published:
    """Each Event as an item that names its `superEvent`; what they belong to does not list those that are sold."""
    match = by_id(data)[MATCH]
    data.documents += [{**child, "superEvent": MATCH} for child in match.pop("subEvent")]
    data.documents.append(
        {"@type": "Event", "@id": SECOND, "superEvent": COURSE, **TIMES, "name": "Only shown"}
    )
    return data


def children_listed_only(data: Published) -> Published:
    """The Events are items that name no parent; what they belong to lists them."""
    documents = by_id(data)
    course, match, first = documents[COURSE], documents[MATCH], documents[FIRST]
    [semi_final] = match["subEvent"]
    del first["superEvent"]
    first["organizer"] = semi_final["organizer"] = SELLER
    match["subEvent"] = [SEMI_FINAL]
    course["subEvent"].append({"@type": "Event", "@id": FIRST, **TIMES})
    data.documents.append(semi_final)
    return data


def embedded_parents(data: Published) -> Published:
    """What an Event belongs to, inside it, too."""
    documents = by_id(data)
    documents[FIRST]["superEvent"] = {**documents[COURSE]}
    return data


def event_series_on_top(data: Published) -> Published:
    """The organizer is that of an EventSeries: one of its own feed, and one embedded."""
    documents = by_id(data)
    top = {"@type": "EventSeries", "@id": f"{BASE}/series/2", "organizer": SELLER}
    for event_id, series in ((MATCH, top["@id"]), (WALK, top)):
        del documents[event_id]["organizer"]
        documents[event_id]["superEvent"] = series
    data.documents.append(top)
    return data


TIMES = {"startDate": START, "endDate": END}
DIALECTS = (
    lambda data: data,
    embedded_children,
    children_in_their_feed,
    children_listed_only,
    embedded_parents,
    event_series_on_top,
    aliases,
    plain_http,
    bare,
    prefixed,
    lists,
    numbers,
    texts,
    without_offer_ids,
    plain_open_data,
)


def event(kind: str, event_id: str, spaces: int | None = 10, **changes: Any) -> Json:
    """With an Offer, and with times unless `changes` say otherwise; a property that is None is left out."""
    document = {
        "@context": ["https://openactive.io/"],
        "@type": kind,
        "@id": event_id,
        "name": f"{kind} {event_id[-1]}",
        "organizer": SELLER,
        "startDate": START,
        "endDate": END,
        "offers": [{**offer(event_id, 7.5), "name": "Adult"}],
        "remainingAttendeeCapacity": spaces,
        **changes,
    }
    return {term: value for term, value in document.items() if value is not None}


def operators_data() -> list[Json]:
    """A course with a session that is sold singly and one that is not, and one of each other type."""
    return [
        event(
            "CourseInstance",
            COURSE,
            8,
            startDate="2031-05-01",
            endDate="2031-06-01",
            ageRange={"@type": "QuantitativeValue", "minValue": 16},
            genderRestriction="https://openactive.io/FemaleOnly",
            subEvent=[{"@type": "Event", "@id": SECOND, "startDate": START, "endDate": END}],
        ),
        event("Event", FIRST, 1, superEvent=COURSE, organizer=None),
        event("HeadlineEvent", MATCH, 20, subEvent=[event("Event", SEMI_FINAL, 5, organizer=None)]),
        event("Event", WALK, superEvent={"@type": "EventSeries", "@id": f"{BASE}/series/1", "name": "Walks"}),
        event("OnDemandEvent", VIDEO, None, startDate=None, endDate=None),
    ]


def data() -> Published:
    found = Published()
    found.documents = operators_data()
    return found


def site_of(published: Published) -> OperatorSite:
    site = OperatorSite(page_size=3)
    for kind in KINDS:
        site.list_feed(kind)
    for document in published.documents:
        kind = document.get("@type", document.get("type", document.get("oa:type")))
        kind = (kind[0] if isinstance(kind, list) else kind).strip().rpartition("/")[2]
        site.publish_as(kind, str(document.get("@id", document.get("id"))).strip(), document)
    return site


def inventory(here: Installation) -> Json:
    found = {}
    for opportunity_id in (COURSE, FIRST, MATCH, SEMI_FINAL, WALK, VIDEO):
        listing, capacity = here.world.store.listings([opportunity_id])[opportunity_id]
        opportunity = listing.opportunity
        assert capacity is not None
        found[opportunity_id] = (
            opportunity.type,
            opportunity.seller_id,
            opportunity.sub_events,
            capacity.spaces_left,
            opportunity.starts_at,
            [(each.price, each.currency) for each in opportunity.offers],
            opportunity.barriers,
        )
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_type_comes_in_from_every_dialect_and_can_be_booked(
    dialect: Callable[[Published], Published],
) -> None:
    expected = Installation()
    expected.take(site_of(data()))
    here, published = Installation(), dialect(data())
    printed = here.take(site_of(published), defaults=published.defaults)
    assert inventory(here) == inventory(expected)
    assert "not bookable:" not in printed
    for opportunity_id in (COURSE, MATCH, SEMI_FINAL, WALK, VIDEO):
        answer = here.book(opportunity_id)
        assert answer.status == 201, (opportunity_id, answer.error_types())


def test_a_course_takes_its_sessions_that_are_sold_singly_and_no_others() -> None:
    here = Installation()
    here.take(site_of(data()))
    found = inventory(here)
    assert found[COURSE][2] == (FIRST,)
    assert found[MATCH][2] == (SEMI_FINAL,)
    assert found[VIDEO][3] == UNLIMITED
    assert here.listing(SECOND) is None  # without Offers it is part of the timetable only
    course = here.listing(COURSE)
    assert course is not None
    assert [each["@id"] for each in course.opportunity.document["subEvent"]] == [SECOND]
    assert here.book(COURSE).status == 201
    assert here.quote(FIRST).error_types() == [["OpportunityIsFullError"]]
    assert here.quote(COURSE).error_types() == [["OpportunityIsFullError"]]


def test_age_and_gender_restrictions_are_shown_as_they_are() -> None:
    here = Installation()
    here.take(site_of(data()))
    ordered = here.book(COURSE).json["orderedItem"][0]["orderedItem"]
    assert ordered["ageRange"] == {"@type": "QuantitativeValue", "minValue": 16}
    assert ordered["genderRestriction"] == "https://openactive.io/FemaleOnly"


def test_a_second_import_changes_nothing_and_a_session_that_is_gone_leaves_the_course() -> None:
    here, published = Installation(), data()
    site = site_of(published)
    here.take(site)
    versions = {key: here.listing(key).version for key in inventory(here)}  # type: ignore[union-attr]
    here.take(site)
    assert {key: here.listing(key).version for key in versions} == versions  # type: ignore[union-attr]
    site.delete(published.documents[1])
    here.take(site, is_confirmed=True)
    course = here.listing(COURSE)
    assert course is not None
    assert course.opportunity.sub_events == ()


def test_without_a_number_of_spaces_only_what_has_no_start_is_without_limit() -> None:
    """Decision 26: for what takes place, silence is not permission, unless the operator says so."""
    here, site = Installation(), OperatorSite()
    for kind in KINDS:
        site.list_feed(kind)
    site.publish(
        event("Event", WALK, None), event("OnDemandEvent", VIDEO, None, startDate=None, endDate=None)
    )
    here.take(site)
    assert here.listing(WALK) is None
    here.take(site, defaults=Defaults(no_limit=True))
    assert inventory_spaces(here, WALK) == inventory_spaces(here, VIDEO) == UNLIMITED
    site.publish(event("Event", WALK, 12))
    here.take(site, defaults=Defaults(no_limit=True))
    assert inventory_spaces(here, WALK) == 12


def test_a_course_with_too_many_sessions_is_reported_with_its_reason() -> None:
    here = Installation()
    sessions = [event("Event", f"{BASE}/events/{n}", superEvent=COURSE) for n in range(100, 124)]
    published = data()
    published.documents = [*operators_data()[:1], *sessions]
    printed = here.take(site_of(published))
    assert "24 sessions that are also sold singly" in printed
    [(error, description)] = here.why_not(COURSE)
    assert error == "OpportunityOfferPairNotBookableError"
    assert "24 sessions" in description
    assert here.book(f"{BASE}/events/100").status == 201


def inventory_spaces(here: Installation, opportunity_id: str) -> int:
    capacity = here.world.store.listings([opportunity_id])[opportunity_id][1]
    assert capacity is not None
    return capacity.spaces_left


# --- never more permissive ------------------------------------------------------------------

# What plain open data often does not state.
OMITTED = sorted({term for document in operators_data() for term in document if not term.startswith("@")})


def taken_of(here: Installation) -> dict[str, frozenset[str]]:
    """What can be booked now, each with all of which it takes a space."""
    return {
        event_id: frozenset(listing.opportunity.takes)
        for event_id in (COURSE, FIRST, SECOND, MATCH, SEMI_FINAL, WALK, VIDEO)
        if here.on_sale(event_id) and (listing := here.listing(event_id)) is not None
    }


@pytest.mark.parametrize("term", OMITTED)
@pytest.mark.parametrize(
    "form", [data, lambda: children_in_their_feed(data()), lambda: children_listed_only(data())]
)
def test_what_a_source_omits_never_allows_more(form: Callable[[], Published], term: str) -> None:
    """A course never takes fewer spaces, as long as its session names it, or is named by it."""
    complete = Installation()
    complete.take(site_of(form()))
    before = taken_of(complete)
    for number in range(len(form().documents)):
        published = form()
        published.documents[number].pop(term, None)
        here = Installation()
        here.take(site_of(published))
        after = taken_of(here)
        assert after.keys() <= before.keys()
        is_link = term in ("superEvent", "subEvent")
        for event_id, takes in after.items():
            sold = {each for each in before[event_id] if each in after}
            assert takes >= sold or is_link, (number, event_id)
        for event_id, opportunity in ((each, here.listing(each)) for each in after):
            known = complete.listing(event_id)
            assert opportunity is not None and known is not None
            assert {each.price for each in opportunity.opportunity.offers} <= {
                each.price for each in known.opportunity.offers
            }


# --- sub-events that were not read ----------------------------------------------------------


@pytest.mark.parametrize("how", ["dead", "not listed"])
def test_a_course_whose_sessions_were_not_read_stays_as_it_is(how: str) -> None:
    """They stay on sale: without them, the course would be sold beside them."""
    here, site = Installation(), site_of(children_in_their_feed(data()))
    here.take(site)
    assert here.book(COURSE).status == 201
    site.publish(event("CourseInstance", COURSE, 8, startDate="2031-05-01", endDate="2031-06-01", name="New"))
    if how == "dead":
        site.faults["/feeds/Event"] = [httpx.Response(404)]
    else:
        del site.listed["Event"]
    printed = " ".join(here.take(site).split())
    course = here.listing(COURSE)
    assert course is not None and not course.deleted
    assert course.opportunity.sub_events == (FIRST,)
    assert "could not be read" in printed or "could be read" in printed
    held = here.world.store.holds
    assert (len(held(COURSE)), len(held(FIRST))) == (1, 1)


def test_a_course_is_left_out_until_its_sessions_can_be_read() -> None:
    here, site = Installation(), site_of(children_in_their_feed(data()))
    site.faults["/feeds/Event"] = [httpx.Response(404)]
    printed = here.take(site)
    assert here.listing(COURSE) is None
    assert "the feed of Event could not be read" in printed
    here.take(site)
    course = here.listing(COURSE)
    assert course is not None
    assert course.opportunity.sub_events == (FIRST,)
