"""Rows that refer to each other and fit together, and what is said of those that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from chalicelib.services.inventory import Outcome
from chalicelib.services.timetables.documents import child_document, parent_document
from chalicelib.services.timetables.plans import Plan
from chalicelib.services.timetables.recurrence import Span
from chalicelib.values import replace
from chalicelib.wire.sellers import read_seller
from openbooking.timetable.columns import ROW_TYPES
from openbooking.timetable.files import RawRow
from openbooking.timetable.loading import load
from openbooking.timetable.planning import Context, Planned, plan_timetable
from openbooking.timetable.reading import read_rows
from openbooking.timetable.template import example_rows
from tests.support.inventory import a_seller_document, seller_id
from tests.support.validator import Validator, start_or_skip
from tests.support.world import World

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
CONTEXT = Context(read_seller(a_seller_document(1)), "Europe/London", NOW)

Cells = dict[str, str]


def rows_of(*changes: tuple[str, Cells], without: tuple[str, ...] = ()) -> list[RawRow]:
    """The template with changes: of the first row of a type, or a new row if the cells have another id."""
    rows: list[tuple[str, Cells]] = [
        (kind.name, dict(cells)) for kind, cells in example_rows(NOW.date()) if kind.name not in without
    ]
    for kind, cells in changes:
        first = next((known for name, known in rows if name == kind), None)
        if first is None or cells.get("id", first.get("id")) != first.get("id") or cells.get("_new"):
            rows.append((kind, {**(first or {}), **cells}))
        else:
            first |= cells
    return [
        RawRow(f"row {number}", kind, {name: cell for name, cell in cells.items() if cell and name != "_new"})
        for number, (kind, cells) in enumerate(rows, 2)
    ]


def planned(
    *changes: tuple[str, Cells], without: tuple[str, ...] = (), context: Context = CONTEXT
) -> Planned:
    return plan_timetable(read_rows(rows_of(*changes, without=without)), context)


def problems(
    *changes: tuple[str, Cells], without: tuple[str, ...] = (), context: Context = CONTEXT
) -> list[str]:
    found = planned(*changes, without=without, context=context)
    return [f"{each.row_id}.{each.column}: {each.text}" for each in found.problems]


def plan_of(row_id: str, *changes: tuple[str, Cells]) -> Plan:
    made = planned(*changes)
    assert made.problems == ()
    return next(plan for row, plan in made.plans if row.id == row_id)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as started:
        yield started


# --- what comes of right rows --------------------------------------------------------------------


def test_a_series_has_what_its_rows_say() -> None:
    plan = plan_of("yoga-mon")
    parent = plan.parent
    assert (parent["name"], parent["location"]["name"]) == (
        "Vinyasa Flow Yoga",
        "Studio 1, Avonmead Leisure Centre",
    )
    assert parent["location"]["containedInPlace"]["address"]["postalCode"] == "BS4 3QQ"
    assert [(offer["name"], offer["price"]) for offer in parent["offers"]] == [
        ("Adult", 7.5),
        ("Junior", 4.5),
    ]
    assert parent["offers"][1]["ageRestriction"] == {"@type": "QuantitativeValue", "maxValue": 15}
    assert plan.details == ("https://schema.org/givenName", "https://schema.org/familyName")
    assert [field["name"] for field in plan.form] == ["Do you have any injuries?"]
    assert plan.closed == (Span(date(2026, 12, 25), date(2026, 12, 26)),)
    published = child_document(
        plan, plan.units[0], plan.occurrences(Span(date(2026, 3, 9), date(2026, 3, 9)))[0]
    )
    assert published.published.spaces == 16
    assert published.published.opportunity.starts_at == datetime(2026, 3, 9, 18, 30, tzinfo=UTC)


def test_taxes_access_and_time_zones_are_those_of_their_rows() -> None:
    online = (
        ("access", {"id": "video", "name": "Video call", "url": "https://video.example/1"}),
        ("terms", {"id": "standard", "access": "video"}),
        ("price", {"id": "adult", "vat": "5%"}),
        ("session", {"id": "yoga-mon", "online": "both"}),
        ("course", {"online": "both"}),
        ("site", {"id": "centre", "time_zone": "Europe/Dublin"}),
    )
    made = planned(*online)
    assert [each.row_id for each in made.problems] == ["badminton"]  # a facility has no online channel
    [(_, plan), (_, course)] = made.plans
    assert course.id == "tai-chi"
    assert plan.tax_rates == {"adult": TaxRate("VAT at 5%", Decimal("0.05"))}
    assert plan.access_channel is not None and plan.access_channel["url"] == "https://video.example/1"
    assert plan.zone == "Europe/Dublin"


def test_how_far_ahead_it_is_published() -> None:
    assert plan_of("yoga-mon").days_ahead == 8 * 7
    assert plan_of("yoga-mon", ("session", {"until": "2026-06-01"})).days_ahead == 56 * 7
    assert plan_of("yoga-mon", ("session", {"repeat": "FREQ=WEEKLY;COUNT=5"})).days_ahead == 56 * 7
    assert plan_of("yoga-mon", ("session", {"weeks_ahead": "3"})).days_ahead == 21
    assert plan_of("badminton", ("facility", {"until": "2026-06-01"})).days_ahead == 56 * 7


def test_a_course_has_what_its_row_says() -> None:
    """Clocks go forward on 29 March: its sessions stay at 10:00."""
    plan = plan_of("tai-chi", ("course", {"leader": "Wei Zhang", "min_age": "16", "session_spaces": "20"}))
    course = parent_document(plan).published
    document = course.opportunity.document
    assert (course.spaces, document["maximumAttendeeCapacity"]) == (16, 16)
    assert (document["@type"], document["startDate"], document["endDate"]) == (
        "CourseInstance",
        "2026-03-09",
        "2026-04-13",
    )
    assert [each["startDate"] for each in document["subEvent"]] == [
        "2026-03-09T10:00:00Z",
        "2026-03-16T10:00:00Z",
        "2026-03-23T10:00:00Z",
        "2026-03-30T09:00:00Z",
        "2026-04-06T09:00:00Z",
        "2026-04-13T09:00:00Z",
    ]
    assert document["leader"] == [{"@type": "Person", "name": "Wei Zhang"}]
    assert document["ageRange"]["minValue"] == 16
    assert [(offer.document["name"], offer.price) for offer in course.opportunity.offers] == [
        ("Whole course", Decimal(36))
    ]
    assert course.opportunity.attendee_details_required == plan.details != ()
    child_id, unit, occurrence = next(plan.coming(NOW, plan.horizon(NOW)))
    session = child_document(plan, unit, occurrence).published
    assert child_id == document["subEvent"][0]["@id"]
    assert session.spaces == 20
    assert [(offer.document["name"], offer.price) for offer in session.opportunity.offers] == [
        ("Adult", Decimal("7.5"))
    ]
    assert session.opportunity.name == "Tai Chi for Beginners"
    assert session.opportunity.document["superEvent"]["@id"] == document["@id"]


def test_sessions_of_a_course_in_autumn_and_with_exceptions() -> None:
    """Worked out by hand; clocks go back on 25 October 2026."""
    plan = plan_of(
        "tai-chi",
        (
            "course",
            {
                "start_date": "2026-10-12",
                "until": "2026-11-09",
                "except": "2026-11-02",
                "moved": "2026-10-19 to 2026-10-20 18:00",
            },
        ),
    )
    assert [(each.key, f"{each.starts_at:%m-%d %H:%M}") for _, each in plan.programme] == [
        ("20261012", "10-12 09:00"),
        ("20261019", "10-20 17:00"),
        ("20261026", "10-26 10:00"),
        ("20261109", "11-09 10:00"),
    ]


def test_sessions_of_a_course_that_are_not_sold_singly_are_in_its_document_only() -> None:
    plan = plan_of("tai-chi", ("course", {"session_prices": "", "session_spaces": ""}))
    assert list(plan.coming(NOW, plan.horizon(NOW))) == []
    assert len(parent_document(plan).published.opportunity.document["subEvent"]) == 6


def test_a_course_that_is_over_is_noted_and_is_no_error() -> None:
    made = planned(("course", {"start_date": "2025-01-06", "until": "2025-02-03"}))
    assert (made.problems, [note.row_id for note in made.notes]) == ((), ["tai-chi"])


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("FREQ=WEEKLY;UNTIL=20260330", date(2026, 3, 30)),
        ("FREQ=WEEKLY;UNTIL=20260330T173000Z", date(2026, 3, 30)),  # 18:30 in summer time
        ("FREQ=WEEKLY;UNTIL=20260330T172900Z", date(2026, 3, 29)),
        ("FREQ=WEEKLY;UNTIL=20260330T183000", date(2026, 3, 30)),
    ],
)
def test_an_until_includes_a_session_at_that_time(until: str, last: date) -> None:
    recurrence = plan_of("yoga-mon", ("session", {"repeat": until})).recurrence
    assert recurrence is not None and recurrence.until == last


def test_a_series_that_is_over_is_noted_and_is_no_error() -> None:
    made = planned(("session", {"start_date": "2025-01-06", "until": "2025-02-03"}))
    assert (made.problems, [note.row_id for note in made.notes]) == ((), ["yoga-mon"])


def test_what_is_made_of_a_timetable_is_valid_open_data(validator: Validator) -> None:
    more = (
        "session",
        {
            "id": "online",
            "online": "yes",
            "site": "",
            "room": "",
            "repeat": "",
            "url": "https://example.org/o",
        },
    )
    made = planned(more)
    assert made.problems == ()
    for _, plan in made.plans:
        sold = [child_id for child_id, _, _ in plan.coming(NOW, plan.horizon(NOW))] if plan.whole else ()
        parent = parent_document(plan, sold=sold).published.opportunity.document
        child_id, unit, occurrence = next(iter(plan.coming(NOW, plan.horizon(NOW))))
        child = child_document(plan, unit, occurrence).published.opportunity.document
        for document in (parent, child):
            assert validator.failures(outward(document), "BookableRPDEFeed") == [], child_id


def outward(document: Json) -> Json:
    found: Json = json.loads(
        json.dumps({"@context": "https://openactive.io/", **document}).replace(
            BASE, "https://booking.example"
        )
    )
    return found


# --- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("terms", {"closes": "14 days"})], "standard.closes: booking closes before it opens"),
        ([("terms", {"refund": "no"})], "standard.refund_until: there is no refund that ends then"),
        ([("terms", {"refund_until": "15 days"})], "standard.refund_until: refunds end before booking opens"),
        ([("terms", {"messages": "yes"})], "standard.messages: there is no approval that it belongs to"),
        (
            [("terms", {"negotiation": "yes"})],
            "standard.negotiation: there is no approval that it belongs to",
        ),
        ([("terms", {"form": "nothing"})], "standard.form: there is no form 'nothing': add a row"),
        ([("terms", {"access": "nothing"})], "standard.access: there is no access 'nothing'"),
        ([("price", {"id": "adult", "amount": "7.505"})], "adult.amount: 7.505 has more decimals than GBP"),
        ([("price", {"id": "adult", "currency": "JPY"})], "adult.amount: 7.50 has more decimals than JPY"),
        (
            [("price", {"id": "adult", "amount": "0", "vat": "20%"})],
            "adult.vat: there is no tax on a free price",
        ),
        (
            [("price", {"id": "adult", "min_age": "18", "max_age": "16"})],
            "adult.max_age: the greatest age is below",
        ),
        ([("price", {"id": "adult", "terms": "gold"})], "adult.terms: there is no terms 'gold'"),
        (
            [("price", {"id": "adult", "currency": "EUR"})],
            "yoga-mon.prices: its prices have different currencies",
        ),
        (
            [("price", {"id": "adult", "amount": "0"})],
            "yoga-mon.prices: adult is free, and its terms make prepayment required",
        ),
        (
            [
                ("terms", {"id": "other"}),
                ("price", {"id": "adult", "terms": "other"}),
                ("terms", {"id": "other2"}),
            ],
            None,
        ),
        (
            [
                ("terms", {"id": "plain", "details": "", "form": "health"}),
                ("price", {"id": "adult", "terms": "plain"}),
            ],
            "yoga-mon.prices: its prices have terms with different details, form or access",
        ),
        ([("site", {"latitude": ""})], "centre.latitude: a position needs latitude and longitude"),
        (
            [("site", {"latitude": "-2.5697", "longitude": "51.4412"})],
            "centre.latitude: -2.5697, 51.4412 is not in the United Kingdom",
        ),
        (
            [("site", {"postcode": "12345"})],
            "centre.postcode: '12345' is not a postcode of the United Kingdom",
        ),
        ([("site", {"postcode": "12345", "country": "DE", "latitude": "52.5", "longitude": "13.4"})], None),
        ([("room", {"site": "elsewhere"})], "studio-1.site: there is no site 'elsewhere'"),
        ([("form", {"answer": "one of"})], "injuries.options: it has fewer than two answers"),
        (
            [("form", {"options": "a;b"})],
            "injuries.options: only questions with the answer `one of` have options",
        ),
        ([("session", {"site": "", "room": ""})], "yoga-mon.site: it has no site"),
        ([("session", {"online": "yes"})], "yoga-mon.online: it is online only and has a site"),
        ([("session", {"room": "studio-9"})], "yoga-mon.room: there is no room 'studio-9'"),
        ([("session", {"terms": "gold"})], "yoga-mon.terms: there is no terms 'gold'"),
        ([("session", {"prices": "adult;senior"})], "yoga-mon.prices: there is no price 'senior'"),
        ([("session", {"min_age": "18", "max_age": "16"})], "yoga-mon.max_age: the greatest age is below"),
        ([("session", {"until": "2026-01-01"})], "yoga-mon.until: it ends before it begins, on 2026-03-09"),
        ([("session", {"repeat": "", "until": "2026-06-01"})], "yoga-mon.until: it takes place once"),
        ([("session", {"repeat": "", "except": "2026-06-01"})], "yoga-mon.except: it takes place once"),
        (
            [("session", {"repeat": "FREQ=HOURLY"})],
            "yoga-mon.repeat: FREQ=HOURLY cannot be used: its FREQ must be",
        ),
        (
            [("session", {"repeat": "FREQ=DAILY;UNTIL=20261231", "until": "2026-12-31"})],
            "yoga-mon.until: the rule has an UNTIL",
        ),
        (
            [("session", {"repeat": "FREQ=DAILY;COUNT=3", "until": "2026-12-31"})],
            "yoga-mon.until: the rule has a COUNT",
        ),
        (
            [("session", {"repeat": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"})],
            "yoga-mon.repeat: the rule has no date after the start",
        ),
        (
            [("session", {"moved": "2026-03-10 to 2026-03-11"})],
            "yoga-mon.moved: 2026-03-10, a Tuesday, is not a date of this series",
        ),
        (
            [("session", {"moved": "2026-03-16 to 2026-03-17; 2026-03-16 to 2026-03-18"})],
            "yoga-mon.moved: 2026-03-16 is moved twice",
        ),
        (
            [("session", {"moved": "2026-03-16 to 2026-03-17", "except": "2026-03-16"})],
            "yoga-mon.moved: 2026-03-16 is in except, too",
        ),
        (
            [("session", {"repeat": "", "start_date": "2026-03-29", "time": "01:30"})],
            "yoga-mon.time: 01:30 does not exist on 2026-03-29, when the clocks go forward: write 02:30",
        ),
        ([("session", {"id": "badminton"})], "badminton.id: a facility has the id 'badminton', too"),
        (
            [("facility", {"from": "2026-05-01", "until": "2026-04-01"})],
            "badminton.until: it ends before it begins",
        ),
        ([("facility", {"slot_minutes": "1000"})], "badminton.slot_minutes: row"),
        (
            [("court", {"facility": "squash", "_new": "yes", "id": "9"})],
            "9.facility: there is no facility 'squash'",
        ),
        ([("hours", {"facility": "squash", "_new": "yes"})], ".facility: there is no facility 'squash'"),
        (
            [
                (
                    "hours",
                    {
                        "facility": "badminton",
                        "days": "Mon",
                        "opens": "07:30",
                        "closes": "09:30",
                        "_new": "yes",
                    },
                )
            ],
            "badminton.id: its opening hours overlap: slots at 2026-03-02 07:00 and at 07:30",
        ),
        ([("closure", {"at": "nowhere"})], ".at: there is no site or facility 'nowhere'"),
        ([("closure", {"until": "2026-12-01"})], ".until: it ends before it begins"),
        ([("site", {"id": "badminton"})], None),
        (
            [("site", {"id": "badminton"}), ("closure", {"at": "badminton"})],
            ".at: 'badminton' is a site and a facility",
        ),
        (
            [("course", {"until": ""})],
            "tai-chi.until: a course needs an end: write its last date, or a COUNT",
        ),
        ([("course", {"until": "2026-01-01"})], "tai-chi.until: it ends before it begins, on 2026-03-09"),
        (
            [("course", {"until": "2026-08-10"})],
            None,  # 23 sessions
        ),
        (
            [("course", {"until": "2026-08-17"})],
            "tai-chi.session_prices: it has 24 sessions, and a course has at most 23 that are also sold singly",
        ),
        ([("course", {"until": "2026-08-17", "session_prices": "", "session_spaces": ""})], None),
        (
            [
                (
                    "course",
                    {"until": "2026-08-17", "repeat": "daily", "session_prices": "", "session_spaces": ""},
                )
            ],
            "tai-chi.repeat: it has 162 sessions, and a course has at most 100: make several courses of it",
        ),
        (
            [("course", {"session_spaces": "15"})],
            "tai-chi.session_spaces: a session has fewer spaces than the course, which has 16",
        ),
        ([("course", {"session_spaces": "20"})], None),
        (
            [("course", {"session_prices": ""})],
            "tai-chi.session_spaces: its sessions are not sold singly: write their prices in session_prices",
        ),
        ([("course", {"session_prices": "senior"})], "tai-chi.session_prices: there is no price 'senior'"),
        (
            [
                ("terms", {"id": "plain", "details": "", "form": ""}),
                ("price", {"id": "drop-in", "terms": "plain"}),
                ("course", {"session_prices": "adult;drop-in"}),
            ],
            "tai-chi.session_prices: its prices have terms with different details, form or access",
        ),
        (
            [
                ("terms", {"id": "plain", "details": "", "form": ""}),
                ("price", {"id": "drop-in", "terms": "plain"}),
                ("course", {"session_prices": "drop-in"}),
            ],
            None,
        ),
        ([("course", {"site": "", "room": ""})], "tai-chi.site: it has no site"),
        ([("course", {"min_age": "18", "max_age": "16"})], "tai-chi.max_age: the greatest age is below"),
        (
            [("course", {"id": "tai-chi", "gender": "x"})],
            "tai-chi.gender: 'x' is unknown: write any, female or male",
        ),
        ([("course", {"id": "yoga-mon"})], "yoga-mon.id: a session has the id 'yoga-mon', too: use another"),
        (
            [("course", {"id": "badminton"})],
            "badminton.id: a facility has the id 'badminton', too: use another",
        ),
        (
            [("course", {"except": "2026-03-09;2026-03-16", "until": "2026-03-16"})],
            "tai-chi.start_date: it has no session: its dates are all in except",
        ),
        (
            [("course", {"moved": "2026-03-10 to 2026-03-11"})],
            "tai-chi.moved: 2026-03-10, a Tuesday, is not a date",
        ),
    ],
)
def test_impossible_mixes_are_refused_with_what_to_do(
    changes: list[tuple[str, Cells]], said: str | None
) -> None:
    found = problems(*changes)
    if said is None:
        assert found == []
    else:
        assert any(each.startswith(said) for each in found), found
        assert all(": " in each.split(": ", 1)[1] for each in found if not each.startswith("."))


def test_a_row_that_depends_on_a_wrong_one_is_not_taken_either() -> None:
    made = planned(
        ("site", {"postcode": "12345"}),
        ("session", {"id": "online", "online": "yes", "site": "", "room": ""}),
    )
    assert [plan.id for _, plan in made.plans] == ["online"]
    assert [each.place for each in made.problems] == ["row 2"]
    said = {each.row_id: each.text for each in made.dependent}
    assert said == dict.fromkeys(("studio-1", "yoga-mon", "tai-chi", "badminton"), "it needs row 2")
    assert made.wrong_rows == 1


def test_all_problems_are_found_at_once() -> None:
    """Correcting the first ones shows no others: each column of each row is checked, whatever else is wrong."""
    changes: tuple[tuple[str, Cells], ...] = (
        ("site", {"postcode": "12345", "latitude": "51.4", "longitude": ""}),
        ("terms", {"id": "standard", "opens": "1 hour", "closes": "2 hours", "prepayment": "maybe"}),
        ("price", {"id": "adult", "amount": "7.505", "min_age": "20", "max_age": "10"}),
        (
            "session",
            {"activity": "Yogaa", "min_age": "20", "max_age": "10", "repeat": "often", "terms": "gold"},
        ),
        ("course", {"until": "", "prices": "infant; senior", "session_prices": "", "session_spaces": "30"}),
        ("facility", {"from": "2026-05-01", "until": "2026-04-01"}),
        ("hours", {"opens": "noon", "from": "2026-05-01", "until": "2026-04-01"}),
        ("hours", {"_new": "yes", "opens": "07:00", "closes": "07:10", "days": "Sun"}),
        ("closure", {"at": "nowhere", "until": "2020-01-01"}),
    )
    assert sorted({each.rpartition(": ")[0].partition(":")[0] for each in problems(*changes)}) == sorted(
        {
            *("centre.postcode", "centre.longitude"),
            *("standard.closes", "standard.prepayment", "standard.refund_until"),
            *("adult.amount", "adult.max_age"),
            *("yoga-mon.activity", "yoga-mon.max_age", "yoga-mon.repeat", "yoga-mon.terms"),
            *("tai-chi.prices", "tai-chi.session_spaces", "tai-chi.until"),
            *("badminton.until", "badminton.slot_minutes"),
            *(".opens", ".until", ".at"),
        }
    )


def test_what_refers_to_a_wrong_row_is_no_further_problem() -> None:
    """Nor to one whose type is not known, or to hours that cannot be read."""
    for change in (
        ("site", {"name": ""}),
        ("price", {"id": "adult", "amount": "much"}),
        ("terms", {"id": "standard", "refund": "perhaps"}),
        ("hours", {"facility": "bad minton"}),
        ("hours", {"opens": "noon"}),
        ("form", {"question": ""}),
    ):
        made = planned(change)
        assert made.wrong_rows == 1 and len(made.problems) == 1, made.problems
        assert made.dependent or change[0] == "hours"
    rows = [replace(row, type="sit") if row.type == "site" else row for row in rows_of()]
    made = plan_timetable(read_rows(rows), CONTEXT)
    assert [each.column for each in made.problems] == ["type"]
    assert {each.row_id for each in made.dependent} == {"studio-1", "yoga-mon", "tai-chi", "badminton", ""}


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (("court", {"name": ""}), ["badminton"]),
        (("hours", {"opens": "noon"}), ["badminton"]),
        (("closure", {"at": "badminton", "from": "Christmas"}), ["badminton"]),
        (("closure", {"from": "Christmas"}), ["badminton", "yoga-mon"]),
        (("form", {"question": ""}), ["badminton", "yoga-mon"]),
    ],
)
def test_nothing_is_published_without_a_part_of_it(change: tuple[str, Cells], lost: list[str]) -> None:
    made = planned(change)
    assert sorted({"badminton", "yoga-mon"} - {plan.id for _, plan in made.plans}) == lost


def test_terms_that_the_installation_cannot_offer_are_refused() -> None:
    context = replace(CONTEXT, prepayment_supported=False)
    assert problems(context=context)[0].startswith("standard.prepayment: this installation takes no payments")
    assert problems(("terms", {"prepayment": "unavailable"}), context=context) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (RawRow("row 9", "", {"id": "x"}), "it has no type: write one of site, room"),
        (RawRow("row 9", "class", {"id": "x"}), "'class' is not a type of row: write one of site"),
        (RawRow("row 9", "", {"": "more cells than columns"}), "put quotes around a text with a comma"),
        (
            RawRow("row 9", "room", {"id": "x", "site": "centre", "name": "X", "naem": "X"}),
            "perhaps 'name' is meant",
        ),
        (
            RawRow("row 9", "room", {"id": "x", "site": "centre", "name": "X", "spaces": "3"}),
            "it belongs to session rows",
        ),
        (
            RawRow("row 9", "room", {"id": "x", "site": "centre", "name": "X", "qqq": "3"}),
            "remove it, or use one of id, site",
        ),
        (
            RawRow("row 9", "room", {"id": "x", "site": "centre"}),
            "it is missing: room rows need it, such as Studio 1",
        ),
        (
            RawRow("row 9", "room", {"id": "studio-1", "site": "centre", "name": "X"}),
            "'studio-1' is also the id in row 3",
        ),
    ],
)
def test_rows_that_cannot_be_read(row: RawRow, said: str) -> None:
    reading = read_rows([*rows_of(), row])
    [problem] = reading.problems
    assert said in problem.text
    assert str(problem).startswith("row 9")


def test_every_type_is_in_the_template() -> None:
    assert {kind.name for kind, _ in example_rows(NOW.date())} == set(ROW_TYPES)


# --- a large timetable ---------------------------------------------------------------------------


def a_thousand_rows() -> list[RawRow]:
    """Ten rows that are referred to, 990 sessions; 20 of these are wrong in different ways."""
    base = [
        row
        for row in rows_of(without=("facility", "court", "hours", "closure", "session", "course", "room"))
        if row
    ]
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    wrong: list[Cells] = [
        {"activity": "Yogaa"}, {"start_date": "soon"}, {"time": "25:00"}, {"minutes": "0"}, {"spaces": "many"},
        {"prices": "senior"}, {"site": "nowhere"}, {"terms": "gold"}, {"repeat": "often"}, {"until": "2020-01-01"},
        {"moved": "2026-03-10 to 2026-03-11"}, {"min_age": "20", "max_age": "10"}, {"gender": "x"}, {"url": "x"},
        {"online": "yes"}, {"weeks_ahead": "99"}, {"colour": "red"}, {"name": ""}, {"id": "s 1"}, {"id": "s0"},
    ]  # fmt: skip
    _, session = next(each for each in example_rows(NOW.date()) if each[0].name == "session")
    rows = list(base)
    for number in range(1000 - len(base)):
        cells = {
            **session,
            "id": f"s{number}",
            "room": "",
            "repeat": f"weekly on {days[number % 7]}",
            "weeks_ahead": "2",
        }
        if number % 49 == 48 and wrong:
            cells |= wrong.pop(0)
        rows.append(
            RawRow(
                f"t.csv row {number + 20}", "session", {name: cell for name, cell in cells.items() if cell}
            )
        )
    assert (len(rows), wrong) == (1000, [])
    return rows


def test_of_a_thousand_rows_with_twenty_wrong_ones_980_are_taken_and_twenty_explained() -> None:
    """The second run changes nothing."""
    world = World()
    world.clock.now = NOW
    try:
        timetable = Administration(world.system).timetable(seller_id(1))
        context = replace(
            CONTEXT, seller=world.store.seller(seller_id(1)) or CONTEXT.seller, check=timetable.check
        )
        made = plan_timetable(read_rows(a_thousand_rows()), context)
        assert (made.rows, made.wrong_rows, len(made.problems)) == (1000, 20, 20)
        assert all(each.text and each.place.startswith("t.csv row ") for each in made.problems)
        first = load(timetable, made.plans)
        others = made.rows - made.wrong_rows - len(made.plans)
        assert first.outcomes == {Outcome.added: 980 - others}
        # From Monday 9 March up to Monday 16 March, two weeks from now: Mondays have two sessions, other days one.
        mondays = sum(int(plan.id.removeprefix("s")) % 7 == 0 for _, plan in made.plans)
        assert first.children.outcomes[Outcome.added] == len(made.plans) + mondays
        second = load(timetable, plan_timetable(read_rows(a_thousand_rows()), context).plans)
        assert (second.outcomes, second.children.outcomes) == ({Outcome.unchanged: 980 - others}, {})
    finally:
        install(None)
