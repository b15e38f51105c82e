"""Whatever an operator publishes: never an exception, and never more permissive than the document it was made from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.offers import Offer
from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import Defaults, DefaultsError
from chalicelib.importing.harvest import SUPPORTED, DatasetSite, Feed, Harvest, Item
from chalicelib.importing.intake import Intake, Terms, read_harvest
from chalicelib.importing.sale import is_on_sale
from chalicelib.services.inventory import Document
from tests.importing.site import BASE, SELLER, facility_use, offer, series, session, slot, unit_id
from tests.importing.test_dialects import DIALECTS, Published, an_offer, operators_data

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO, FAR = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def the_data() -> list[Json]:
    """Each property that a decision depends on is somewhere in it."""
    window = {
        "validFromBeforeStartDate": "P30D",
        "validThroughBeforeStartDate": "PT1H",
        "validFrom": "2026-01-01T00:00:00Z",
        "validThrough": "2031-04-30T00:00:00+01:00",
        "availability": "https://schema.org/InStock",
        "openBookingInAdvance": "https://openactive.io/Required",
        "openBookingPrepayment": "https://openactive.io/Optional",
        "availableChannel": ["https://openactive.io/OpenBookingPrepayment"],
        "allowCustomerCancellationFullRefund": True,
        "latestCancellationBeforeStartDate": "P1D",
        "identifier": "hire",
    }
    whole = slot(2, unit_id(1, 1), **{"beta:availability": "InStock", "beta:offerValidityPeriod": "P7D"})
    top = {
        "@type": "EventSeries",
        "@id": f"{BASE}/event-series/1",
        "name": "All yoga",
        "organizer": SELLER,
        "eventStatus": "https://schema.org/EventScheduled",
    }
    below = {key: value for key, value in series(3).items() if key != "organizer"}
    return [
        *operators_data(),
        {**whole, "offers": [{**an_offer(whole["@id"], 0, "Hire"), **window}]},
        top,
        {**below, "superEvent": top["@id"], "subEvent": [session(7, of=3, duration="PT1H")]},
        {
            "@type": "IndividualFacilityUse",
            "@id": unit_id(1, 3),
            "name": "Court 3",
            "aggregateFacilityUse": facility_use(1)["@id"],
            "event": [slot(3, unit_id(1, 3))],
        },
        session(8, of=9, superEvent={**series(9), "offers": [offer(f"{BASE}/session-series/9")]}),
    ]


def harvested(documents: list[Json]) -> Harvest:
    """Each document in the feed of the type that it had before it was changed."""
    feeds = {kind: Feed(kind, f"{BASE}/feeds/{kind}") for kind in SUPPORTED}
    for number, (document, original) in enumerate(zip(documents, the_data(), strict=True)):
        feeds[original["@type"]].items[f"item {number}"] = Item(f"item {number}", number, document)
    return Harvest(DatasetSite(BASE, (), ()), tuple(feeds.values()))


def intake(documents: list[Json]) -> Intake:
    return read_harvest(harvested(documents), "source", Terms())


@dataclass(frozen=True)
class Sale:
    """What can be bought with one Offer: the smaller each of these is, the less is allowed."""

    price: Decimal
    prepayment: str
    requirements: frozenset[str]
    opens: datetime
    closes: datetime
    refunded_until: datetime

    def allows_more_than(self, other: Sale) -> bool:
        return (
            self.price != other.price
            or self.prepayment != other.prepayment
            or not other.requirements <= self.requirements
            or self.opens < other.opens
            or self.closes > other.closes
            or self.refunded_until > other.refunded_until
        )


def sales(found: Intake) -> dict[tuple[str, str], list[Sale]]:
    """What is on sale, by Opportunity and by the name of the Offer."""
    sellers = {seller.id: seller for seller in found.sellers}
    result: dict[tuple[str, str], list[Sale]] = {}
    for document in found.children:
        opportunity = document.published.opportunity
        if not is_on_sale(opportunity, sellers, NOW):
            continue
        for each in opportunity.offers:
            if not each.barriers and each.bookable_in_advance:
                key = opportunity.id, str(each.document.get("name"))
                result.setdefault(key, []).append(sale(document, each))
    return result


def sale(document: Document, offer: Offer) -> Sale:
    opportunity = document.published.opportunity
    start = opportunity.starts_at
    assert start is not None
    end = opportunity.ends_at or start
    opens = max(
        LONG_AGO if offer.opens_before is None else start - offer.opens_before, offer.opens_at or LONG_AGO
    )
    closes = min(end if offer.closes_before is None else start - offer.closes_before, offer.closes_at or FAR)
    until = start - (offer.cancellable_until_before or timedelta()) if offer.allows_cancellation else LONG_AGO
    return Sale(
        offer.price,
        offer.effective_prepayment(),
        frozenset(offer.requirements),
        opens,
        closes,
        until,
    )


ORIGINAL = sales(intake(the_data()))


def test_the_original_has_something_to_lose() -> None:
    assert len(ORIGINAL) == 8
    assert {kind.rpartition("/")[0].rpartition("/")[2] for kind, _ in ORIGINAL} == {
        "scheduled-sessions",
        "slots",
    }


# --- what a source may do to a value that we then do not know any more -----------------------

LETTERS = st.text(alphabet="qxzjk#:/ ü", min_size=1, max_size=12).filter(str.strip)
# No number and no date, which would be another value, and nothing empty, which would be none.
JUNK = st.recursive(
    LETTERS | st.booleans(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(LETTERS, inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)
# Properties with a meaning for people only.
FOR_PEOPLE = {"name", "description", "activity", "@context", "telephone", "prefLabel", "inScheme"}
TRUTHS = {"isOpenBookingAllowed", "allowCustomerCancellationFullRefund"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed: each property and each element, at any depth."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        if key in FOR_PEOPLE:
            continue
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(document: Json, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Json:
    document = copy.deepcopy(document)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = change(holder[path[-1]])
    return document


PLACES = [(number, path) for number, document in enumerate(the_data()) for path in places(document)]


def assert_not_more_permissive(documents: list[Json], what: str) -> None:
    found = intake(documents)
    for document in (*found.parents, *found.children):
        assert document.digest
    for key, each in sales(found).items():
        assert key in ORIGINAL, (what, key)
        for sold in each:
            assert not all(sold.allows_more_than(before) for before in ORIGINAL[key]), (what, key, sold)


@given(place=st.sampled_from(PLACES), junk=JUNK)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_value_that_is_not_known_never_allows_more(place: tuple[int, tuple[Any, ...]], junk: Any) -> None:
    number, path = place
    if path[-1] in TRUTHS and isinstance(junk, bool):
        return  # the source says something else
    documents = the_data()
    documents[number] = changed(documents[number], path, lambda value: junk)
    assert_not_more_permissive(documents, f"{path}: {junk!r}")


@given(place=st.sampled_from(PLACES), junk=JUNK)
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_value_beside_one_that_is_not_known_never_allows_more(
    place: tuple[int, tuple[Any, ...]], junk: Any
) -> None:
    number, path = place
    if path[-1] in TRUTHS and isinstance(junk, bool):
        return
    documents = the_data()
    documents[number] = changed(documents[number], path, lambda value: [value, junk])
    assert_not_more_permissive(documents, f"{path}: + {junk!r}")


@given(data=st.data(), place=st.sampled_from(PLACES), junk=JUNK)
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_property_that_is_stated_twice_never_allows_more(
    data: st.DataObject, place: tuple[int, tuple[Any, ...]], junk: Any
) -> None:
    number, path = place
    if not isinstance(path[-1], str) or (path[-1] in TRUTHS and isinstance(junk, bool)):
        return
    documents = the_data()
    document = copy.deepcopy(documents[number])
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    name = path[-1]
    other = {"@id": "id", "@type": "type"}.get(name) or data.draw(
        st.sampled_from([f"oa:{name}", f"schema:{name}", f"http://schema.org/{name}", f" {name} "])
    )
    value = holder.pop(name)
    entries = [(name, value), (other, junk)]
    holder |= dict(entries if data.draw(st.booleans()) else reversed(entries))
    documents[number] = document
    assert_not_more_permissive(documents, f"{path} and {other}: {junk!r}")


@pytest.mark.parametrize("name", ["isOpenBookingAllowed", "oa:isOpenBookingAllowed"])
def test_contradicting_statements_are_no_permission(name: str) -> None:
    other = "oa:isOpenBookingAllowed" if name == "isOpenBookingAllowed" else "isOpenBookingAllowed"
    seller = {key: value for key, value in SELLER.items() if key != "isOpenBookingAllowed"}
    both = {**seller, name: False, other: True}
    documents = [series(1, organizer=both), session(1, of=1, organizer=both)]
    feeds = tuple(Feed(each["@type"], "url", {each["@id"]: Item(each["@id"], 1, each)}) for each in documents)
    assert sales(read_harvest(Harvest(DatasetSite(BASE, (), ()), feeds), "source", Terms())) == {}


# --- anything ---------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["@id", "@type", "@value", "@language", "id", "en"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(data=st.data(), place=st.sampled_from(PLACES), value=ANYTHING)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_property_holds_is_read_or_left_out(
    data: st.DataObject, place: tuple[int, tuple[Any, ...]], value: Any
) -> None:
    number, path = place
    documents = the_data()
    documents[number] = changed(documents[number], path, lambda _: value)
    if data.draw(st.booleans()):
        dialect = data.draw(st.sampled_from([each for each in DIALECTS if each.__name__ in ANYWHERE]))
        documents = dialect(Published(documents)).documents
    defaults = Defaults(
        seller={"taxMode": "https://openactive.io/TaxGross"}, offer={"openBookingPrepayment": "Required"}
    )
    feeds = harvested(documents)
    try:
        found = read_harvest(
            feeds, "source", Terms(defaults=defaults if data.draw(st.booleans()) else Defaults())
        )
    except DefaultsError:
        return
    assert all(document.digest for document in (*found.parents, *found.children))
    assert not {each.published.opportunity.id for each in found.children} & {
        each.id for each in found.left_out if "another item" not in each.reason
    }


# Dialects that do not depend on the shape of the data.
ANYWHERE = {"aliases", "plain_http", "bare", "numbers", "without_offer_ids"}
