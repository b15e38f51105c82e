"""`openbooking timetable` as it is typed, on moto: a file is loaded, repeated, corrected and booked."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.runtime.system import install
from chalicelib.services.timetables.plans import own_id
from openbooking.timetable import concepts
from openbooking.timetable.template import example_rows
from tests.support.builders import CUSTOMER
from tests.support.inventory import Bookable, seller_id
from tests.support.terminal import Terminal
from tests.support.world import API, PAYMENT, Broker, World

UUID = "10000000-0000-4000-8000-00000000000"
TODAY = datetime.now(UTC).date()
MONDAY = TODAY + timedelta(days=7 - TODAY.weekday())

Rows = list[dict[str, str]]


@pytest.fixture
def world(terminal: Terminal) -> Iterator[World]:
    here = terminal.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


def example() -> Rows:
    """The template, with terms that ask nothing of those who book."""
    rows = [{"type": kind.name, **cells} for kind, cells in example_rows(TODAY)]
    for row in rows:
        if row["type"] == "terms":
            row |= {"opens": "", "details": "", "form": ""}
        if row["type"] == "facility":
            row |= {"weeks_ahead": "1"}
        if row["type"] == "hours":  # few slots: this engine is slow
            row |= {"opens": "10:00", "closes": "12:00"}
    return rows


def write(folder: Path, rows: Sequence[dict[str, str]], name: str = "timetable.csv") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    (folder / name).write_text(text.getvalue(), encoding="utf-8")
    return str(folder / name)


def of_type(rows: Rows, kind: str) -> dict[str, str]:
    return next(row for row in rows if row["type"] == kind)


def load(terminal: Terminal, path: str, *options: str, code: int = 0) -> dict[str, Any]:
    result = terminal.run("timetable", "import", path, "--seller", "1", "--json", *options)
    assert result.exit_code == code, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def session(day: date = MONDAY) -> Bookable:
    series = own_id(OpportunityType.SessionSeries, seller_id(1), "yoga-mon")
    children = own_id(OpportunityType.ScheduledSession, seller_id(1), "yoga-mon")
    return Bookable(f"{children}/{day:%Y%m%d}", f"{series}#/offers/adult", "ScheduledSession")


def test_a_template_is_loaded_booked_edited_and_reported(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    rows = example()
    path = write(tmp_path, rows)
    checked = load(terminal, path, "--dry-run")
    assert (checked["written"], checked["series_and_facilities"]["added"]) == (False, 3)
    assert world.store.listings([session().id]) == {}

    first = load(terminal, path)
    assert (first["rows"], first["rows_wrong"], first["series_and_facilities"]["added"]) == (17, 0, 3)
    assert first["sessions_and_slots"]["added"] == checked["sessions_and_slots"]["added"] > 20
    assert "timetable imported" in [what for what, _ in terminal.journal()]

    again = load(terminal, path)
    assert again["series_and_facilities"] == {"added": 0, "changed": 0, "unchanged": 3, "withdrawn": 0}
    assert set(again["sessions_and_slots"].values()) == {0}

    assert Broker(world).b(f"{UUID}1", session().item(), due=7.5).status == 201
    of_type(rows, "session")["time"] = "19:30"
    changed = load(terminal, write(tmp_path, rows))
    assert changed["series_and_facilities"] == {"added": 0, "changed": 1, "unchanged": 2, "withdrawn": 0}
    item = Broker(world).status(f"{UUID}1").json["orderedItem"][0]
    listing = world.store.listings([session().id])[session().id][0]
    assert item["orderedItem"]["startDate"] == f"{listing.opportunity.starts_at:%Y-%m-%dT%H:%M:%SZ}"

    of_type(rows, "session")["repeat"] = "weekly on Tue"
    moved = load(terminal, write(tmp_path, rows))
    [kept] = moved["booked_and_no_longer_in_the_timetable"]
    assert (kept["id"], kept["orders"]) == (session().id, 1)
    _, *command = shlex.split(kept["cancel"])
    assert "It is cancelled, with 1 order" in terminal.says(*command, "--yes")
    assert load(terminal, write(tmp_path, rows))["booked_and_no_longer_in_the_timetable"] == []


def test_nothing_is_written_if_a_row_is_wrong_unless_it_may_be_left_out(
    terminal: Terminal, tmp_path: Path
) -> None:
    rows = example()
    rows.append({**of_type(rows, "session"), "id": "zumba", "activity": "Zumbaa", "spaces": "0"})
    path = write(tmp_path, rows)
    refused = load(terminal, path, code=1)
    assert refused["written"] is False
    assert [(each["id"], each["column"]) for each in refused["problems"]] == [
        ("zumba", "activity"),
        ("zumba", "spaces"),
    ]
    assert terminal.rows("timetable", "list", "--seller", "1") == []

    result = terminal.run("timetable", "import", path, "--seller", "1")
    assert result.exit_code == 1
    assert "18 rows: 17 right, 1 wrong." in result.stdout
    assert "timetable.csv row 19 (zumba): activity: 'Zumbaa' is not in the activity-list" in result.stdout
    assert "perhaps 'Zumba®'" in result.stdout or "perhaps 'Zumba" in result.stdout
    assert "Nothing was written" in result.stdout

    taken = load(terminal, path, "--skip-invalid", code=3)
    assert (taken["rows_wrong"], taken["series_and_facilities"]["added"]) == (1, 3)
    assert [row["id"] for row in terminal.rows("timetable", "list", "--seller", "1")] == [
        "badminton",
        "tai-chi",
        "yoga-mon",
    ]


def test_what_is_no_longer_in_the_files_stays_or_is_withdrawn(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    rows = example()
    load(terminal, write(tmp_path, rows))
    fewer = [row for row in rows if row["type"] not in ("facility", "court", "hours")]
    path = write(tmp_path, fewer)
    assert load(terminal, path)["not_in_these_files"] == ["badminton"]
    previewed = load(terminal, path, "--remove-missing", "--dry-run")
    removed = load(terminal, path, "--remove-missing")
    assert removed["series_and_facilities"]["withdrawn"] == 1
    assert removed["sessions_and_slots"]["withdrawn"] == previewed["sessions_and_slots"]["withdrawn"] > 20
    assert [row["id"] for row in terminal.rows("timetable", "list", "--seller", "1")] == [
        "tai-chi",
        "yoga-mon",
    ]


def test_each_seller_has_its_own_timetable(terminal: Terminal, tmp_path: Path) -> None:
    left_out = ("facility", "court", "hours", "course")
    path = write(tmp_path, [row for row in example() if row["type"] not in left_out])
    load(terminal, path)
    result = terminal.run("timetable", "import", path, "--seller", "2", "--remove-missing")
    assert result.exit_code == 0, result.output
    for seller in ("1", "2"):
        [row] = terminal.rows("timetable", "list", "--seller", seller)
        assert (row["id"], row["state"]) == ("yoga-mon", "loaded")
    assert terminal.refuses("timetable", "import", path, "--seller", "3").startswith("There is no Seller '3'")


def test_text_for_people(terminal: Terminal, tmp_path: Path) -> None:
    path = write(tmp_path, example())
    said = terminal.says("timetable", "import", path, "--seller", "1")
    assert said.startswith(
        "17 rows: 17 right, 0 wrong.\nDone: series, courses and facilities: 3 added; sessions and slots: "
    )
    said = terminal.says("timetable", "import", path, "--seller", "1", "--dry-run")
    assert said.splitlines()[1] == (
        "This would be done: series, courses and facilities: 3 unchanged; sessions and slots: none."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.csv", "--seller", "1"], "missing.csv cannot be read: No such file or directory."),
        (
            ["{empty}", "--seller", "1"],
            "The files have no rows: `openbooking timetable template` writes an example.",
        ),
        (["{empty}", "--seller", "1", "--time-zone", "London"], "--time-zone: 'London' is not a time zone"),
    ],
)
def test_refusals(terminal: Terminal, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("type,id\n")
    given = [argument.replace("{empty}", str(empty)) for argument in arguments]
    assert terminal.refuses("timetable", "import", *given).startswith(sentence)


def test_a_seller_that_does_not_allow_open_booking_is_named(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    world.sell(1, isOpenBookingAllowed=False)
    path = write(tmp_path, example())
    assert "does not allow open booking" in terminal.refuses("timetable", "import", path, "--seller", "1")


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
def test_each_template_loads_without_a_problem(terminal: Terminal, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"template.{form}"
    result = terminal_less("timetable", "template", "--format", form, "--output", str(path))
    assert result == (0, f"The template is in {path}.\n")
    assert load(terminal, str(path), "--dry-run")["rows_wrong"] == 0
    code, said = terminal_less("timetable", "template", "--format", form, "--output", str(path))
    assert (code, said) == (1, f"{path} exists: write to another file, or remove it first.\n")


def test_a_template_is_printed(tmp_path: Path) -> None:
    code, said = terminal_less("timetable", "template")
    assert code == 0 and said.startswith("type,id,name,street,")
    code, said = terminal_less("timetable", "template", "--format", "xlsx")
    assert (code, said) == (1, "An XLSX file cannot be printed: add --output timetable.xlsx.\n")


def test_activities_are_searched() -> None:
    code, said = terminal_less("timetable", "activities", "aqua", "--json")
    labels = [each["label"] for each in json.loads(said)]
    assert code == 0 and "Aqua Fit" in labels and all("aqua" in label.casefold() for label in labels)
    code, said = terminal_less("timetable", "activities", "badmintn", "--facilities")
    assert (code, said) == (
        1,
        "No label contains 'badmintn': perhaps 'Badminton Court' is meant.\n",
    ) or code == 0


def test_a_list_that_is_not_one_of_openactive_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "list.jsonld"
    wrong.write_text('{"id": "https://openactive.io/facility-types", "concept": []}')
    code, said = terminal_less("timetable", "activities", "--update", str(wrong))
    assert code == 1 and "not https://openactive.io/activity-list" in said
    newer = {
        "id": "https://openactive.io/activity-list",
        "concept": [
            {"identifier": each.id, "prefLabel": each.label, "altLabel": list(each.others)}
            for each in concepts.concept_list(concepts.ACTIVITIES).concepts[1:]
        ],
    }
    wrong.write_text(json.dumps(newer))
    code, said = terminal_less("timetable", "activities", "--update", str(wrong), "--dry-run")
    assert code == 0 and "No longer in it: 11-a-side" in said and "The newer list has 767 labels." in said


def test_customers_write_notes_and_sellers_propose_another_session_where_terms_allow_it(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    """P-15 and A-04 with a timetable alone; the note reaches the list of proposals."""
    rows = example()
    of_type(rows, "session")["terms"] = "on-request"
    load(terminal, write(tmp_path, rows))
    broker, asked = Broker(world), session()
    due = {"@type": "PriceSpecification", "price": 7.5, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal",
        asked.item(),
        totalPaymentDue=due,
        payment=PAYMENT,
        customer=CUSTOMER,
        orderCustomerNote="May I bring my dog?",
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}2", body).status == 201
    [row] = terminal.page("proposals", "list", "--seller", "1")["rows"]
    assert (row["customer_note"], row["due"], row["currency"]) == ("May I bring my dog?", "7.50", "GBP")
    assert "May I bring my dog?" in terminal.says("proposals", "list", "--seller", "1")
    assert "7.50 GBP\n" in terminal.says("proposals", "show", f"{UUID}2"[:8], "--seller", "1")
    other = f"yoga-mon/{MONDAY + timedelta(days=7):%Y%m%d}"
    said = terminal.says(
        "proposals", "amend", f"{UUID}2"[:8], "--with", other, "--offer", "Adult", "--seller", "1"
    )
    assert said.startswith(f"Proposal {UUID}2, of booking partner partner-1, is amended. Session: yoga-mon/")
    shown = json.loads(terminal.says("proposals", "show", f"{UUID}2", "--seller", "1", "--json"))
    assert shown["items"][0]["session"].endswith(other)
    [entry] = json.loads(terminal.says("audit", "--order", f"{UUID}2", "--json"))["rows"]
    assert entry["changed"] == {"session": f"yoga-mon/{MONDAY:%Y%m%d} → {other}"}
    assert f"yoga-mon/{MONDAY:%Y%m%d} → {other}" in terminal.says("audit", "--order", UUID[:8])


def test_a_seller_whose_details_allow_no_booking_is_named_before_and_after(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.says("sellers", "add", "--id", "bare", "--name", "Bare", "--tax-mode", "gross")
    said = "Nothing of bare can be booked. The details of the seller that each answer must show are incomplete: address."
    path = write(tmp_path, example())
    checked = terminal.run("timetable", "import", path, "--seller", "bare", "--dry-run")
    assert (checked.exit_code, checked.stderr.count(said)) == (0, 1)
    assert "`openbooking sellers add --id bare --from FILE --replace`" in checked.stderr
    loaded = terminal.run("timetable", "import", path, "--seller", "bare")
    assert (loaded.exit_code, loaded.stderr.count(said)) == (0, 2)


def test_a_session_moved_to_a_named_site_stays_with_it_in_reports(terminal: Terminal, tmp_path: Path) -> None:
    rows = example()
    rows.append({**of_type(rows, "site"), "id": "west", "name": "West Hall"})
    rows.append({**of_type(rows, "session"), "id": "pilates", "site": "west", "room": ""})
    load(terminal, write(tmp_path, rows))
    moved = f"yoga-mon/{MONDAY:%Y%m%d}"
    since, until = "--since", "--until"
    day = (since, f"{MONDAY}", until, f"{MONDAY}", "--group-by", "site")
    before = terminal.rows("reports", "occupancy", "--seller", "1", *day)
    terminal.says("sessions", "move", moved, "--seller", "1", "--place", "west")
    after = terminal.rows("reports", "occupancy", "--seller", "1", *day)
    counts = [{row["site"]: row["sessions"] for row in rows} for rows in (before, after)]
    assert counts[1]["West Hall"] == counts[0]["West Hall"] + 1 == 2
    terminal.says("sessions", "move", moved, "--seller", "1", "--place", "The Snug")
    snug = terminal.rows("reports", "occupancy", "--seller", "1", *day)
    assert {row["site"]: row["sessions"] for row in snug} == counts[1]


def only_a_course(rows: Rows, **cells: str) -> Rows:
    of_type(rows, "course").update(cells)
    return [row for row in rows if row["type"] not in ("facility", "court", "hours", "session", "closure")]


def test_a_course_is_loaded_booked_edited_and_looked_after_by_commands(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    """Decision 26: one booking holds a space of the course and of each of its sessions, through every command."""
    rows = only_a_course(example())
    own, first, second = "tai-chi", f"tai-chi/{MONDAY:%Y%m%d}", f"tai-chi/{MONDAY + timedelta(days=7):%Y%m%d}"
    course_id = own_id(OpportunityType.CourseInstance, seller_id(1), own)
    course = Bookable(course_id, f"{course_id}#/offers/course", "CourseInstance")
    load(terminal, write(tmp_path, rows))
    [entry] = terminal.rows("timetable", "list", "--seller", "1")
    assert (entry["id"], entry["type"], entry["extended_next"]) == (own, "course", None)
    seller = ("--seller", "1")

    assert Broker(world).b(f"{UUID}1", course.item(), due=36).status == 201
    listed = terminal.page("sessions", "list", *seller)["rows"]
    assert {row["short_id"]: row["left"] for row in listed if row["short_id"] in (own, first, second)} == {
        own: 15,
        first: 15,
        second: 15,
    }
    shown = json.loads(terminal.says("sessions", "show", own, *seller, "--json"))
    assert [offer["name"] for offer in shown["offers"]] == ["Whole course"]
    assert len(terminal.page("register", "show", own, *seller)["rows"]) == 1
    said = terminal.says("desk", "sell", own, *seller)
    assert "Tai Chi for Beginners" in said
    assert json.loads(terminal.says("sessions", "show", first, *seller, "--json"))["left"] == 14

    refused = terminal.refuses("sessions", "move", own, "--start", f"{MONDAY}T12:00", *seller)
    assert refused.startswith("A course takes place when its sessions do: move one of these")
    terminal.says("sessions", "close", own, *seller)
    closed = json.loads(terminal.says("sessions", "show", own, *seller, "--json"))
    assert closed["state"] == "closed"
    terminal.says("sessions", "open", own, *seller)
    terminal.says("sessions", "move", own, "--place", "The Snug", *seller)
    item = Broker(world).status(f"{UUID}1").json["orderedItem"][0]
    assert item["orderedItem"]["location"]["name"] == "The Snug"

    third = f"tai-chi/{MONDAY + timedelta(days=14):%Y%m%d}"
    terminal.says("sessions", "move", third, "--start", f"{MONDAY + timedelta(days=15)}T12:00", *seller)
    stated = world.store.listings([course_id])[course_id][0].opportunity.document["subEvent"][2]
    assert stated["startDate"].startswith(f"{MONDAY + timedelta(days=15)}")
    item = Broker(world).status(f"{UUID}1").json["orderedItem"][0]
    assert f"{MONDAY + timedelta(days=15):%d %B %Y}, 12:00 UTC" in item["customerNotice"]

    # Its row leaves out the second session: those on the course get a notice, and it is withdrawn with the same import.
    edited = only_a_course(example(), **{"except": f"{MONDAY + timedelta(days=7)}"})
    checked = load(terminal, write(tmp_path, edited), "--dry-run")
    assert checked["series_and_facilities"]["changed"] == 1
    report = load(terminal, write(tmp_path, edited))
    assert report["booked_and_no_longer_in_the_timetable"] == []
    assert report["sessions_and_slots"]["withdrawn"] == 1
    item = Broker(world).status(f"{UUID}1").json["orderedItem"][0]
    assert "is left out" in item["customerNotice"]
    assert item["orderedItem"]["location"]["name"] == "The Snug"
    stated = world.store.listings([course_id])[course_id][0].opportunity.document["subEvent"]
    assert stated[1]["startDate"].startswith(f"{MONDAY + timedelta(days=15)}")
    again = load(terminal, write(tmp_path, edited))
    assert again["series_and_facilities"]["unchanged"] == 1

    occupancy = terminal.rows("reports", "occupancy", *seller, "--since", f"{MONDAY}", "--until", f"{MONDAY}")
    assert occupancy[-1]["taken"] >= 2
    said = terminal.says("sessions", "cancel", own, *seller, "--yes")
    assert "It is cancelled, with 2 orders" in said
    item = Broker(world).status(f"{UUID}1").json["orderedItem"][0]
    assert item["orderItemStatus"] == "https://openactive.io/SellerCancelled"
    assert json.loads(terminal.says("sessions", "show", first, *seller, "--json"))["left"] == 16


def test_a_course_with_more_sessions_sold_singly_than_an_order_takes_is_refused(
    terminal: Terminal, tmp_path: Path
) -> None:
    for weeks, problem in ((22, False), (23, True)):
        rows = only_a_course(example(), until=f"{MONDAY + timedelta(weeks=weeks)}")
        path = write(tmp_path, rows)
        for options in (("--dry-run",), ()):
            report = load(terminal, path, *options, code=1 if problem else 0)
            assert [each["column"] for each in report["problems"]] == ["session_prices"] * problem
            assert all("at most 23" in each["problem"] for each in report["problems"])
    assert [row["published_until"] for row in terminal.rows("timetable", "list", "--seller", "1")] == [
        f"{MONDAY + timedelta(weeks=22)}"
    ]


def test_a_course_that_is_no_longer_in_the_files_stays_while_it_is_booked(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    rows = only_a_course(example())
    rows.append({**of_type(rows, "course"), "id": "qigong"})
    load(terminal, write(tmp_path, rows))
    course_id = own_id(OpportunityType.CourseInstance, seller_id(1), "qigong")
    course = Bookable(course_id, f"{course_id}#/offers/course", "CourseInstance")
    assert Broker(world).b(f"{UUID}3", course.item(), due=36).status == 201
    path = write(tmp_path, [row for row in rows if row.get("id") != "qigong"])
    report = load(terminal, path, "--remove-missing")
    kept = report["booked_and_no_longer_in_the_timetable"]
    assert {each["id"] for each in kept} >= {course_id} and len(kept) == 7
    _, *command = shlex.split(next(each["cancel"] for each in kept if each["id"] == course_id))
    assert "It is cancelled, with 1 order" in terminal.says(*command, "--yes")
    after = load(terminal, path, "--remove-missing")
    assert after["booked_and_no_longer_in_the_timetable"] == []
    assert [row["id"] for row in terminal.rows("timetable", "list", "--seller", "1")] == ["tai-chi"]


def terminal_less(*arguments: str) -> tuple[int, str]:
    """A command that needs no installation."""
    from typer.testing import CliRunner

    from openbooking.cli.main import app

    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output
