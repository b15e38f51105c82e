"""What a harvest gives the inventory: parents found wherever they are, and a reason for all the rest."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.parties import Json
from chalicelib.importing.bookability import Lack
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.harvest import SUPPORTED, DatasetSite, Feed, Harvest, Item
from chalicelib.importing.intake import Intake, Terms, read_harvest
from tests.importing.site import ADDRESS, BASE, SELLER, facility_use, offer, series, session, slot, unit_id


def harvested(*documents: Json) -> Harvest:
    """A feed of each type, in the order in which the types first come, each document in that of its type."""
    feeds: dict[str, Feed] = {}
    for n, document in enumerate(documents):
        kind = document["@type"]
        feed = feeds.setdefault(kind, Feed(kind, f"{BASE}/feeds/{kind}"))
        feed.items[f"item {n}"] = Item(f"item {n}", n, document)
    return Harvest(DatasetSite(BASE, (), ()), tuple(feeds.values()))


def intake(*documents: Json, **terms: Any) -> Intake:
    return read_harvest(harvested(*documents), "source", Terms(**terms))


def ids(found: Intake) -> list[str]:
    return [
        each.published.opportunity.id.removeprefix(f"{BASE}/") for each in (*found.parents, *found.children)
    ]


def reasons(found: Intake) -> dict[str, str]:
    return {each.id.removeprefix(f"{BASE}/"): each.reason for each in found.left_out}


def unit(facility: int, number: int, **changes: Any) -> Json:
    return {
        "@context": ["https://openactive.io/"],
        "@type": "IndividualFacilityUse",
        "@id": unit_id(facility, number),
        "name": f"Court {number}, from its own feed",
        "aggregateFacilityUse": f"{BASE}/facility-uses/{facility}",
        **changes,
    }


# --- parents -------------------------------------------------------------------------------


def test_the_order_of_feeds_and_items_does_not_matter() -> None:
    documents = [
        series(1),
        session(1, of=1),
        session(2, of=9),
        facility_use(1),
        unit(1, 5),
        slot(1, unit_id(1, 5)),
        slot(2, unit_id(9, 5)),
    ]
    results = []
    for shuffled in itertools.islice(itertools.permutations(documents), 0, 5040, 37):
        found = intake(*shuffled)
        digests = {each.digest for each in (*found.parents, *found.children)}
        results.append((ids(found), reasons(found), digests, found.sellers))
    assert all(result == results[0] for result in results)
    assert results[0][0] == ["facility-uses/1", "session-series/1", "slots/1", "scheduled-sessions/1"]
    assert results[0][1] == {
        "scheduled-sessions/2": "its superEvent is in none of the feeds",
        "slots/2": "its facilityUse is in none of the feeds",
    }


def test_units_of_their_own_feed_are_published_inside_their_facility() -> None:
    found = intake(facility_use(1, 4, 5), unit(1, 6), unit(1, 5), slot(1, unit_id(1, 6)))
    units = found.parents[0].published.opportunity.document["individualFacilityUse"]
    assert [each["name"] for each in units] == [
        "Court 4",
        "Court 5, from its own feed",
        "Court 6, from its own feed",
    ]
    assert "aggregateFacilityUse" not in units[1]  # it stands inside it
    parent = found.children[0].published.opportunity.parent
    assert parent is not None
    assert (parent["@id"], parent["aggregateFacilityUse"]["@id"]) == (
        unit_id(1, 6),
        f"{BASE}/facility-uses/1",
    )


def test_an_orphaned_unit_takes_its_slots_with_it() -> None:
    found = intake(unit(9, 1), unit(8, 1, aggregateFacilityUse=None), slot(1, unit_id(9, 1)))
    assert ids(found) == []
    assert reasons(found) == {
        "facility-uses/8/individual-facility-uses/1": "it names no aggregateFacilityUse",
        "facility-uses/9/individual-facility-uses/1": "its aggregateFacilityUse is in none of the feeds",
        "slots/1": "its facilityUse is left out: its aggregateFacilityUse is in none of the feeds",
    }


def test_children_of_what_is_left_out_are_left_out_too() -> None:
    found = intake(
        series(1, organizer=None), session(1, of=1), facility_use(1, 2, provider=None), slot(1, unit_id(1, 2))
    )
    assert ids(found) == []
    assert reasons(found)["scheduled-sessions/1"] == (
        "its superEvent is left out: it has no organizer or provider"
    )
    assert reasons(found)["slots/1"] == "its facilityUse is left out: it has no organizer or provider"


@pytest.mark.parametrize(
    "document",
    [
        session(1, of=1, superEvent=series(1)),
        slot(1, "", facilityUse=facility_use(1)),
        slot(1, "", facilityUse=unit(1, 2, aggregateFacilityUse=facility_use(1))),
    ],
)
def test_a_parent_may_be_embedded_in_its_child(document: Json) -> None:
    found = intake(document)
    assert list(found.left_out) == []
    assert found.sellers[0].id == SELLER["@id"]


def test_an_embedded_unit_finds_its_facility_in_the_feed() -> None:
    embedded = slot(1, "", facilityUse=unit(1, 2))
    assert ids(intake(facility_use(1), embedded)) == ["facility-uses/1", "slots/1"]
    assert reasons(intake(embedded)) == {"slots/1": "its aggregateFacilityUse is in none of the feeds"}


def test_what_a_parent_embeds_of_its_children_is_not_published_twice() -> None:
    known, unknown = session(1, of=1), session(2, of=1)
    found = intake(series(1, subEvent=[known, unknown]), known)
    assert "subEvent" not in found.parents[0].published.opportunity.document
    assert reasons(found) == {}
    embedded = {
        each.published.opportunity.id: each.published.opportunity.is_embedded for each in found.children
    }
    assert embedded == {known["@id"]: False, unknown["@id"]: True}


# --- what changes what ---------------------------------------------------------------------


def session_content(*parents: Json) -> str:
    """The part of the digest that is of the content; the other is of what it was made of."""
    return intake(*parents, session(1, of=1)).children[0].digest.partition(".")[0]


def test_a_child_changes_with_what_it_inherits_and_with_nothing_else_of_its_parent() -> None:
    before = session_content(series(1))
    assert session_content(series(1, name="Pilates")) != before
    assert session_content(series(1, offers=[offer(f"{BASE}/session-series/1", price=6)])) != before
    assert session_content(series(1, organizer={**SELLER, "telephone": "020 7946 0000"})) == before


def test_spaces_at_the_source_are_no_content() -> None:
    one, other = intake(series(1), session(1, of=1, spaces=1)), intake(series(1), session(1, of=1, spaces=2))
    assert one.children[0].digest == other.children[0].digest


# --- what cannot be taken in ---------------------------------------------------------------

LONG = f"{BASE}/{'ü' * 600}"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (series(1, **{"@id": LONG}), "its @id has 1225 bytes, more than the 1000 that can be stored"),
        (series(1, **{"@id": None}), "it has no @id"),
        (series(1, **{"@id": 7}), "its @id is not an http or https URL of its operator"),
        (series(1, **{"@id": "urn:uuid:1"}), "its @id is not an http or https URL of its operator"),
        (
            series(1, **{"@id": "https://base.invalid/x"}),
            "its @id is not an http or https URL of its operator",
        ),
        (series(1, description="x" * 400_000), "it takes more than the"),
        (series(1, description="\ud800"), "it contains text or numbers that cannot be written as JSON"),
        (series(1, price=float("inf")), "it contains text or numbers that cannot be written as JSON"),
        (
            series(1, organizer={**SELLER, "@id": "https://base.invalid/s"}),
            "the @id of its organizer or provider",
        ),
        (series(1, organizer={**SELLER, "@id": LONG}), "the @id of its organizer or provider"),
        (series(1, organizer={**SELLER, "taxMode": None}), "its organizer or provider states no taxMode"),
        (session(1, of=1, superEvent=series(1), remainingAttendeeCapacity=10**20), "it states 1000"),
    ],
)
def test_what_cannot_be_kept_is_left_out_with_its_reason(document: Json, reason: str) -> None:
    found = intake(document)
    assert ids(found) == []
    assert [each.reason.startswith(reason) for each in found.left_out] == [True], found.left_out


SAME_TIME = {"startDate": "2031-05-01T10:00:00Z", "endDate": "2031-05-01T10:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"endDate": "2031-05-01T09:00:00+01:00"},
            "its endDate '2031-05-01T09:00:00+01:00' does not lead to an end after its startDate"
            " '2031-05-01T10:00:00+01:00'",
        ),
        (SAME_TIME, "its endDate '2031-05-01T10:00:00Z' does not lead to an end after"),
        ({"endDate": None, "duration": "-PT1H"}, "its duration '-PT1H' does not lead to an end after"),
        ({"endDate": None, "duration": "PT0S"}, "its duration 'PT0S' does not lead to an end after"),
        (
            {"startDate": "0001-01-01T00:00:00Z"},
            "its startDate '0001-01-01T00:00:00Z' leads to the year 1: only 1970 to 2199 are accepted",
        ),
        ({"endDate": "9999-12-31T23:59:59Z"}, "its endDate '9999-12-31T23:59:59Z' leads to the year 9999"),
        ({"endDate": None, "duration": "P900Y"}, "its duration 'P900Y' leads to the year 2931"),
    ],
)
def test_times_that_cannot_be_right_are_left_out(changes: Json, reason: str) -> None:
    found = intake(series(1), session(1, of=1, **changes))
    assert ids(found) == ["session-series/1"]
    assert reasons(found)["scheduled-sessions/1"].startswith(reason)


def test_a_course_of_one_day_ends_after_it_starts() -> None:
    course = {**series(1), "@type": "CourseInstance", "startDate": "2031-05-01", "endDate": "2031-05-01"}
    assert ids(intake({**course, "remainingAttendeeCapacity": 5})) == ["session-series/1"]
    backwards = {**course, "remainingAttendeeCapacity": 5, "endDate": "2031-04-30"}
    assert "does not lead to an end after" in reasons(intake(backwards))["session-series/1"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"remainingAttendeeCapacity": -2}, "Its remainingAttendeeCapacity is -2: it is treated as full."),
        (
            {"remainingAttendeeCapacity": "12", "maximumAttendeeCapacity": 10.5},
            "Its remainingAttendeeCapacity of 12 is more than its maximumAttendeeCapacity of 10.5: it is treated as full.",
        ),
    ],
)
def test_a_number_of_spaces_that_cannot_be_right_is_full_and_reported(changes: Json, text: str) -> None:
    found = intake(series(1), session(1, of=1, **changes))
    assert [each.published.spaces for each in found.children] == [0]
    assert [(reason.text, reason.lack) for _, reason in found.not_bookable] == [(text, Lack.spaces)]
    right = {"remainingAttendeeCapacity": 10, "maximumAttendeeCapacity": 10}
    assert list(intake(series(1), session(1, of=1, **right)).not_bookable) == []


def test_what_is_no_object_among_offers_is_not_published() -> None:
    good = offer(f"{BASE}/session-series/1")
    found = intake(series(1, offers=[good, "x", 5, None, [], True]), session(1, of=1))
    [published] = found.parents[0].published.opportunity.document["offers"]
    assert published["@id"] == good["@id"]


def test_what_is_nested_too_deeply_is_left_out() -> None:
    nested: Any = 1
    for _ in range(50_000):
        nested = [nested]
    assert len(intake(series(1, image=nested)).left_out) == 1


def test_an_item_of_another_type_than_its_feed_is_left_out() -> None:
    feed = Feed("Slot", "url", items={"1": Item("1", 1, series(1))}, malformed={"2": "it has no data"})
    found = read_harvest(Harvest(DatasetSite(BASE, (), ()), (feed,)), "source", Terms())
    assert [(each.kind, each.id, each.reason) for each in found.left_out] == [
        ("Slot", "2", "it has no data"),
        ("Slot", f"{BASE}/session-series/1", "it is of the type 'SessionSeries', in a feed of Slot"),
    ]


def test_of_two_items_with_one_id_the_newer_counts() -> None:
    for documents in itertools.permutations([series(1, name="old"), series(1, name="new")]):
        found = intake(*documents)
        assert [each.published.opportunity.document["name"] for each in found.parents] == [
            documents[-1]["name"]
        ]
        assert reasons(found) == {"session-series/1": "another item has the same @id and is newer"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = [series(1), session(1, of=1), facility_use(1, 2), unit(1, 3), slot(1, unit_id(1, 2))]
OFFER_TERMS = [
    "@id",
    "price",
    "priceCurrency",
    "validFromBeforeStartDate",
    "availableChannel",
    "openBookingFlowRequirement",
]
SELLER_TERMS = ["@id", "@type", "taxMode", "name", "isOpenBookingAllowed"]


@given(which=st.integers(0, 4), data=st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_a_property_holds_there_is_a_reason_and_never_a_crash(
    which: int, data: st.DataObject
) -> None:
    document = DOCUMENTS[which]
    term = data.draw(
        st.sampled_from([*(term for term in document if term != "@type"), "subEvent", "duration"])
    )
    value = data.draw(JSON)
    if term == "offers" and data.draw(st.booleans()):
        value = [{**offer(BASE), data.draw(st.sampled_from(OFFER_TERMS)): value}]
    if term in ("organizer", "provider") and data.draw(st.booleans()):
        value = {**SELLER, data.draw(st.sampled_from(SELLER_TERMS)): value}
    others = [each for each in DOCUMENTS if each is not document]
    found = intake(*others, {**document, term: value})
    published = {each["@id"] for each in others if each["@type"] in SUPPORTED}
    taken = {each.published.opportunity.id for each in (*found.parents, *found.children)}
    refused = {each.id for each in found.left_out}
    # Units stand inside their facility; everything else is in exactly one of the two.
    assert {each for each in published if "individual" not in each} <= taken | refused
    assert not taken & refused
    assert all(each.digest for each in (*found.parents, *found.children))


# --- Sellers -------------------------------------------------------------------------------


def changed_at(*documents: tuple[int, Json]) -> Harvest:
    """A harvest of documents, each with the time of its last change."""
    found = harvested(*(document for _, document in documents))
    for feed in found.feeds:
        for item in list(feed.items.values()):
            modified = next(at for at, document in documents if document is item.data)
            feed.items[item.id] = Item(item.id, modified, item.data)
    return found


def test_items_may_differ_about_a_seller_and_the_newest_is_believed_in_any_order() -> None:
    documents = [(9 - n, series(n, organizer={**SELLER, "telephone": str(n)})) for n in (3, 1, 2)]
    for shuffled in itertools.permutations(documents):
        found = read_harvest(changed_at(*shuffled), "source", Terms())
        assert [seller.document["telephone"] for seller in found.sellers] == ["1"]


def test_an_item_without_a_detail_of_its_seller_does_not_remove_it() -> None:
    whole = {**SELLER, "legalName": "Acme plc", "url": "https://acme.example", "telephone": "01865 1"}
    sparse = {
        "@type": "Organization",
        "@id": SELLER["@id"],
        "taxMode": SELLER["taxMode"],
        "telephone": "01865 2",
    }
    sparse["address"] = {"@type": "PostalAddress", "addressCountry": "GB"}
    found = read_harvest(
        changed_at((1, series(1, organizer=whole)), (2, series(2, organizer=sparse))), "source", Terms()
    )
    # Each detail of the newest item that has it; an address with fewer parts replaces none with more.
    assert found.sellers[0].document == {**whole, "telephone": "01865 2"}
    assert found.seller_gaps == ()


def test_a_default_of_a_seller_does_not_replace_what_an_older_item_states() -> None:
    silent = {term: value for term, value in SELLER.items() if term != "name"}
    defaults = Defaults(seller={"name": "All Sellers"})
    found = read_harvest(
        changed_at((1, series(1)), (2, series(2, organizer=silent))), "source", Terms(defaults=defaults)
    )
    assert found.sellers[0].document["name"] == SELLER["name"]


def test_the_name_stands_in_for_a_legal_name_and_what_is_missing_is_told() -> None:
    found = intake(series(1, organizer={**SELLER, "address": "1 High Street"}))
    assert found.sellers[0].document["legalName"] == "Acme Fitness Ltd"
    assert found.seller_gaps[0].missing == ("legalName", "address")


def test_details_that_are_given_fill_the_gaps() -> None:
    address = {term: value for term, value in ADDRESS.items() if term != "postalCode"}
    details = {SELLER["@id"]: {"legalName": "Acme plc", "address": address}}
    found = intake(series(1), seller_details=details)
    assert found.sellers[0].document["legalName"] == "Acme plc"
    assert found.seller_gaps[0].missing == ("address.postalCode",)


def test_items_that_disagree_about_the_tax_mode_are_left_out() -> None:
    net = {**SELLER, "taxMode": "https://openactive.io/TaxNet"}
    found = intake(series(1, organizer=net), series(2), series(3), series(4), session(1, of=1))
    assert found.sellers[0].tax_mode == "TaxGross"
    assert ids(found) == ["session-series/2", "session-series/3", "session-series/4"]
    assert "another taxMode" in reasons(found)["session-series/1"]
    assert "another taxMode" in reasons(found)["scheduled-sessions/1"]
