"""docs/importing.md, step by step: from a feed that says nothing of booking to the first booked session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chalicelib.domain.parties import Json
from chalicelib.importing.defaults_file import read_text
from chalicelib.runtime.system import install
from openbooking.broker.demo import run_demo
from openbooking.cli.main import app
from openbooking.local.stack import LocalStack
from tests.importing.site import BASE, OperatorSite, served

PAGE = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")


def plain_site() -> OperatorSite:
    """Sessions with prices and spaces, published for people who look for one."""
    starts_at = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0, tzinfo=None)
    organizer = {"type": "Organization", "id": f"{BASE}/sellers/1", "name": "Acme Fitness"}
    weekly: Json = {
        "@context": "https://openactive.io/",
        "type": "SessionSeries",
        "id": f"{BASE}/session-series/1",
        "name": "Yoga with Geoff",
        "organizer": organizer,
        "activity": {"type": "Concept", "prefLabel": "Yoga"},
        "offers": {"type": "Offer", "name": "Adult", "price": "5.00"},
    }
    one: Json = {
        "@context": "https://openactive.io/",
        "type": "ScheduledSession",
        "id": f"{BASE}/scheduled-sessions/1",
        "superEvent": weekly["id"],
        "startDate": starts_at.isoformat(),
        "duration": "PT1H",
        "remainingAttendeeCapacity": 8,
    }
    site = OperatorSite()
    for document in (weekly, one):
        site.publish_as(document["type"], document["id"], document)
    return site


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    with LocalStack(sweep_every=None, directory=tmp_path / "stack") as running:
        yield running
    install(None)


def steps(stack: LocalStack, *arguments: str) -> str:
    result = CliRunner().invoke(
        app, ["import", "rpde", *arguments, "--dynamodb-url", stack.dynamodb_url], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    stack.drain()
    return result.output


def examples() -> list[str]:
    """The files of defaults on the page."""
    found = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return ["\n".join(line.removeprefix("   ") for line in each.splitlines()) for each in found]


def test_each_example_of_defaults_is_accepted() -> None:
    assert len(examples()) > 1
    for example in examples():
        assert read_text(example) != read_text("")


def test_the_page_leads_from_open_data_to_a_booked_session(stack: LocalStack, tmp_path: Path) -> None:
    site = plain_site()
    with served(site):
        first = steps(stack, site.url, "--dry-run", "--report", str(tmp_path / "first.csv"))
        assert (
            "its organizer or provider states no taxMode" in first
            and "its organizer or provider states no taxMode" in PAGE
        )
        assert "set taxMode in [seller] of --defaults" in first
        assert "no taxMode" in (tmp_path / "first.csv").read_text()

        example, *_ = examples()
        defaults = tmp_path / "operator.toml"
        defaults.write_text(example)
        again = steps(stack, site.url, "--defaults", str(defaults), "--dry-run")
        assert "Left out:" not in again and "not bookable:" not in again
        steps(stack, site.url, "--defaults", str(defaults))

    lines: list[str] = []
    run_demo(stack.url, lines.append, pause=stack.drain)
    printed = "\n".join(lines)
    assert "Yoga with Geoff" in printed and "OrderItemConfirmed" in printed
