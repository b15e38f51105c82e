"""The report of an import: counts for each feed, and reasons with what to do, as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from chalicelib.domain.bookability import Reason
from chalicelib.domain.parties import Json
from chalicelib.importing.advice import FOR_CAUSE, FOR_REASON
from chalicelib.importing.rpde import ImportOptions, ImportRefused
from chalicelib.importing.rpde import import_rpde as import_feeds
from chalicelib.wire.unreadable import Cause
from openbooking.cli.import_report import print_summary, progress
from openbooking.cli.imports import import_rpde
from tests.importing.booking import Installation
from tests.importing.site import ADDRESS, BASE, SELLER, OperatorSite, offer, series, session, slot
from tests.support.builders import AT_ONCE, NOW

SERIES = f"{BASE}/session-series/1"


@pytest.fixture
def site() -> OperatorSite:
    """One session that can be booked, one that cannot, one that is left out, and a dead feed."""
    site = OperatorSite()
    unknown = {**offer(SERIES), "@id": f"{SERIES}#/offers/1", "openBookingInAdvance": "=Maybe"}
    site.publish(series(1, offers=[offer(SERIES), unknown]), session(1, of=1))
    site.publish(series(2, eventStatus="Perhaps"), session(2, of=2), session(3, of=99))
    site.publish(slot(1, "https://operator.example/facility-uses/1"))
    site.faults["/feeds/FacilityUse"] = [httpx.Response(404)]
    return site


def reported(site: OperatorSite, path: Path) -> tuple[bool, str]:
    here, printed = Installation(), io.StringIO()
    is_whole = import_rpde(
        here.world.system.inventory,
        ImportOptions(site.url),
        retry=AT_ONCE,
        console=Console(file=printed, width=240),
        report=path,
        web=site.web,
    )
    return is_whole, printed.getvalue()


EXPECTED = [
    ("feed failed", "FacilityUse", f"{BASE}/feeds/FacilityUse"),
    ("left out", "ScheduledSession", f"{BASE}/scheduled-sessions/3"),
    ("left out", "Slot", f"{BASE}/slots/1"),
    ("not bookable", "ScheduledSession", f"{BASE}/scheduled-sessions/1"),
    ("not bookable", "ScheduledSession", f"{BASE}/scheduled-sessions/2"),
]


def test_the_report_as_json(site: OperatorSite, tmp_path: Path) -> None:
    is_whole, _ = reported(site, tmp_path / "report.json")
    assert not is_whole
    report: Json = json.loads((tmp_path / "report.json").read_text())
    assert report["site"] == site.url
    [sessions] = [row for row in report["feeds"] if row["type"] == "ScheduledSession"]
    assert sessions == {
        "type": "ScheduledSession",
        "pages": 3,
        "harvested": 3,
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "withdrawn": 0,
        "leftOut": 1,
        "notBookable": 1,
    }
    found = [(each["outcome"], each["type"], each["id"]) for each in report["entries"]]
    assert sorted(found) == EXPECTED
    by_id = {(each["outcome"], each["id"]): each for each in report["entries"]}
    barred = by_id["not bookable", f"{BASE}/scheduled-sessions/2"]
    assert barred["advice"] == FOR_REASON[Reason.status_unknown] and "offer" not in barred
    assert by_id["not bookable", f"{BASE}/scheduled-sessions/1"]["offer"] == f"{SERIES}#/offers/1"
    orphan = by_id["left out", f"{BASE}/slots/1"]
    assert (orphan["reason"], orphan["advice"]) == (
        "the feed of FacilityUse could not be read",
        FOR_CAUSE[Cause.parent],
    )
    assert report["leavingSale"] == {"before": 0, "leaving": 0}


def test_the_report_as_csv(site: OperatorSite, tmp_path: Path) -> None:
    reported(site, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["outcome"], row["type"], row["id"]) for row in rows) == EXPECTED
    assert all(not value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_the_report_as_json_lines(site: OperatorSite, tmp_path: Path) -> None:
    reported(site, tmp_path / "report.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert sorted((row["outcome"], row["type"], row["id"]) for row in rows) == EXPECTED


def test_the_summary_groups_reasons_and_says_what_to_do(site: OperatorSite, tmp_path: Path) -> None:
    for number in range(10, 15):
        site.publish(session(number, of=2))
    _, printed = reported(site, tmp_path / "report.json")
    assert (
        "6 ScheduledSession: It is not known whether this activity takes place: its eventStatus is Perhaps."
        in printed
    )
    assert f"    {FOR_REASON[Reason.status_unknown]}" in printed
    assert "/scheduled-sessions/12, ...)" in printed  # three examples
    assert "The feed of FacilityUse could not be read" in printed


def test_a_report_that_cannot_be_written_is_said_before_anything_is_read(
    site: OperatorSite, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefused, match="The report cannot be written"):
        reported(site, tmp_path / "nowhere" / "report.json")
    assert site.requests == []


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_can_be_read_on_a_terminal(site: OperatorSite, width: int) -> None:
    """Where the columns do not fit, each feed is a list of its numbers."""
    printed = io.StringIO()
    console = Console(file=printed, width=width, force_terminal=True, color_system=None)
    options = ImportOptions(site.url)
    inventory = Installation().world.system.inventory
    imported = import_feeds(inventory, options, retry=AT_ONCE, web=site.web, now=lambda: NOW)
    print_summary(console, imported)
    said = printed.getvalue()
    assert "not bookable" in said and "ScheduledSession" in said
    assert max(map(len, said.split("The feed of")[0].splitlines())) <= width


def test_on_a_narrow_terminal_the_table_leaves_out_what_no_feed_has(site: OperatorSite) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=80, force_terminal=True, color_system=None)
    inventory = Installation().world.system.inventory
    imported = import_feeds(inventory, ImportOptions(site.url), retry=AT_ONCE, web=site.web, now=lambda: NOW)
    print_summary(console, imported)
    lines = printed.getvalue().splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.startswith("feed "))
    head = lines[place]
    assert head.split()[:3] == ["feed", "harvested", "added"]
    assert "pages" not in head and "withdrawn" not in head
    assert "left" in head and "not" in head
    assert "bookable" in head + lines[place + 1]


# --- Sellers -------------------------------------------------------------------------------


def test_what_a_seller_lacks_is_said_once_for_each_change_with_what_follows() -> None:
    site, here = OperatorSite(), Installation()
    address = {"@type": "PostalAddress", "streetAddress": "1 High Street"}
    site.publish(series(1, organizer={**SELLER, "address": address}), session(1, of=1))
    lacks = (
        "/sellers/1 lacks legalName, address.addressLocality, address.addressRegion, address.postalCode,"
        " address.addressCountry: its name is shown instead of the legalName; quotes, orders and receipts show an"
        " incomplete address."
    )
    assert lacks in here.take(site)
    assert "lacks" not in here.take(site)
    assert "lacks legalName" in here.take(site, is_dry_run=True)
    site.publish(series(1, organizer={**SELLER, "address": None}))
    site.publish(series(1, organizer={**SELLER, "name": "Acme", "address": ADDRESS}))
    assert "lacks legalName: its name is shown instead of the legalName." in here.take(site)


def test_a_seller_without_an_address_sells_nothing_and_the_report_says_so() -> None:
    site = OperatorSite()
    site.publish(series(1, organizer={**SELLER, "address": None}))
    assert "lacks legalName, address: nothing of it can be booked." in Installation().take(site)


# --- what is printed -----------------------------------------------------------------------


def test_reasons_are_wrapped_between_words_on_a_terminal_and_commands_never(site: OperatorSite) -> None:
    here = Installation()
    here.take(site)
    assert here.book(f"{BASE}/scheduled-sessions/1").status == 201
    site.delete(session(1, of=1))
    printed = io.StringIO()
    console = Console(file=printed, width=80, force_terminal=True, color_system=None)
    inventory, options = here.world.system.inventory, ImportOptions(site.url, is_confirmed=True)
    imported = import_feeds(inventory, options, retry=AT_ONCE, web=site.web, now=lambda: NOW)
    print_summary(console, imported)
    lines = printed.getvalue().splitlines()
    command = f"    openbooking sessions cancel {BASE}/scheduled-sessions/1 --seller {SELLER['@id']}"
    assert len(command) > 80 and command in lines
    wide = [line for line in lines if len(line) > 80 and line != command]
    assert wide == []
    assert any(line.startswith("      ") for line in lines)  # the rest of a reason


def test_without_a_terminal_progress_is_a_line_a_step_and_one_each_half_minute() -> None:
    printed, seconds = io.StringIO(), [0.0]
    with progress(Console(file=printed, width=100), clock=lambda: seconds[0]) as show:
        for second in range(70):
            seconds[0] = float(second)
            show("Reading Slot", second * 1000, None)
        show("https://site answers 503: trying again in 60 s", 0, None)
        show("Updating the inventory", 0, 2000)
        seconds[0] += 31
        show("Updating the inventory", 1500, 2000)
        show("Updating the inventory", 2000, 2000)
    assert printed.getvalue().splitlines() == [
        "Reading Slot: 30,000 so far",
        "Reading Slot: 60,000 so far",
        "Reading Slot: 69,000",
        "https://site answers 503: trying again in 60 s",
        "Updating the inventory: 1,500 of 2,000 so far",
        "Updating the inventory: 2,000",
    ]


def test_each_step_of_an_import_shows_its_progress(site: OperatorSite) -> None:
    steps: dict[str, int] = {}
    import_feeds(
        Installation().world.system.inventory,
        ImportOptions(site.url),
        retry=AT_ONCE,
        web=site.web,
        show=lambda what, done, total: steps.__setitem__(what, done),
    )
    assert [*steps.items()] == [
        *(("Reading SessionSeries", 2), ("Reading ScheduledSession", 3), ("Reading Slot", 1)),
        *(("Reading the inventory", 0), ("Sorting items", 6), ("Checking sessions and slots", 4)),
        ("Updating the inventory", 4),
    ]


def test_a_pause_for_a_busy_site_is_said(site: OperatorSite) -> None:
    site.faults["/feeds/Slot"] = [httpx.Response(503, headers={"Retry-After": "90"})]
    assert f"{BASE}/feeds/Slot answers 503: trying again in 90 s" in Installation().take(site)
