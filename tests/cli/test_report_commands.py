"""`openbooking reports` as it is typed, on moto: the figures are those of the orders, in each form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.orders import Order
from chalicelib.runtime.system import install
from tests.support.inventory import Bookable
from tests.support.terminal import Terminal
from tests.support.world import PAYMENT, Broker, World

UUID = "10000000-0000-4000-8000-00000000000"


@pytest.fixture
def world(terminal: Terminal) -> Iterator[World]:
    """What Brokers do beside the commands, on the same tables, at the present."""
    here = terminal.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session(spaces=10)


@pytest.fixture
def booked(world: World, yoga: Bookable) -> Iterator[list[Order]]:
    """Three Orders of two Brokers; a place of the second is cancelled."""
    for number, partner, places in ((1, "partner-1", 1), (2, "partner-1", 2), (3, "partner-2", 1)):
        answer = Broker(world, partner).b(
            f"{UUID}{number}",
            *(yoga.item(position) for position in range(places)),
            due=10 * places,
            payment={**PAYMENT, "identifier": f"payment-{number}"},
        )
        assert answer.status == 201
    item = answer_items(world, 2)[0]
    assert Broker(world).cancel(f"{UUID}2", item).status == 204
    page = world.store.scan_orders()
    yield [each for each in page.rows if isinstance(each, Order)]


def answer_items(world: World, number: int) -> list[str]:
    return [item["@id"] for item in Broker(world).status(f"{UUID}{number}").json["orderedItem"]]


def test_sales_add_up_to_the_orders(terminal: Terminal, booked: list[Order]) -> None:
    due = sum((order.totals.due for order in booked), Decimal(0))
    (total,) = terminal.rows("reports", "sales", "--seller", "1")
    assert (Decimal(total["due"]), total["orders"], total["places"], total["cancelled"]) == (due, 3, 3, 1)
    by_broker = terminal.rows("reports", "sales", "--seller", "1", "--group-by", "broker")
    assert [(row["broker"], row["due"]) for row in by_broker] == [
        ("partner-1", "20.00"),
        ("partner-2", "10.00"),
        ("all", "30.00"),
    ]
    every = terminal.rows(
        "reports",
        "sales",
        "--seller",
        "1",
        *(word for by in ("day", "activity", "site") for word in ("--group-by", by)),
    )
    assert (every[0]["activity"], every[0]["site"]) == ("Yoga", "Kings Mead Leisure Centre")
    assert terminal.rows("reports", "sales", "--seller", "2") == []
    assert "30.00" in terminal.says("reports", "sales", "--seller", "1")


def test_nothing_of_another_seller_is_in_a_report(
    terminal: Terminal, world: World, booked: list[Order], tmp_path: Path
) -> None:
    theirs = world.session(seller=2, spaces=7)
    payment = {**PAYMENT, "identifier": "payment-of-2"}
    answer = Broker(world, "partner-of-2", 2).b(f"{UUID}8", theirs.item(), due=12, payment=payment)
    assert answer.status == 201, answer.body
    statement = tmp_path / "statement.csv"
    statement.write_text("payment,amount\n")
    world.system.sweep()
    world.clock.advance(days=1)
    world.system.sweep()
    for report in (
        "sales --group-by broker",
        "payments",
        "occupancy",
        f"reconcile --statement {statement}",
        "daily",
    ):
        for seller, own, other in (("1", "partner-1", "of-2"), ("2", "of-2", "partner-1")):
            output = terminal.run("reports", *report.split(), "--seller", seller, "--json").stdout
            assert other not in output
            assert own in output or report in ("occupancy", "daily")
    places = [terminal.rows("reports", "occupancy", "--seller", each)[-1]["places"] for each in ("1", "2")]
    assert places[0] == 10 and places[1] >= 7


def test_a_period_is_of_days(terminal: Terminal, booked: list[Order]) -> None:
    today = datetime.now(UTC).date()
    options = ("reports", "sales", "--seller", "1", "--time-zone", "UTC")
    assert terminal.rows(*options, "--since", str(today - timedelta(1)), "--until", str(today + timedelta(1)))
    assert terminal.rows(*options, "--until", str(today - timedelta(2))) == []
    assert terminal.rows(*options, "--since", str(today + timedelta(2))) == []
    for said, *wrong in (
        ("not a day", "--since", "July"),
        ("before the first", "--since", "2026-07-02", "--until", "2026-07-01"),
    ):
        assert said in terminal.refuses(*options, *wrong)
    assert "time zone" in terminal.refuses("reports", "sales", "--seller", "1", "--time-zone", "Mars")
    assert "no Seller" in terminal.refuses("reports", "sales", "--seller", "x")


def test_occupancy_counts_places(terminal: Terminal, booked: list[Order]) -> None:
    site, total = terminal.rows("reports", "occupancy", "--seller", "1", "--group-by", "site")
    assert (site["places"], site["taken"], site["percent"]) == (10, 3, "30.0")
    assert total["site"] == "all"
    assert "not those of a Broker" in terminal.refuses(
        "reports", "occupancy", "--seller", "1", "--group-by", "broker"
    )


def test_payments_are_written_to_files(terminal: Terminal, booked: list[Order], tmp_path: Path) -> None:
    options = ("reports", "payments", "--seller", "1")
    printed = list(csv.DictReader(io.StringIO(terminal.says(*options, "--format", "csv"))))
    assert {row["payment"]: (row["paid"], row["refunded"], row["due"]) for row in printed} == {
        "payment-1": ("10.00", "0.00", "10.00"),
        "payment-2": ("20.00", "10.00", "10.00"),
        "payment-3": ("10.00", "0.00", "10.00"),
    }
    for name in ("july.csv", "july.json"):
        assert terminal.run(*options, "--to", str(tmp_path / name)).exit_code == 0
    assert list(csv.DictReader(io.StringIO((tmp_path / "july.csv").read_text()))) == printed
    exported: list[dict[str, Any]] = json.loads((tmp_path / "july.json").read_text())
    assert [row["order"] for row in exported] == [row["order"] for row in printed]
    assert "exists already" in terminal.refuses(*options, "--to", str(tmp_path / "july.csv"))
    assert "cannot be written" in terminal.refuses(*options, "--to", str(tmp_path / "no" / "july.csv"))
    assert "CSV or JSON" in terminal.refuses(*options, "--to", str(tmp_path / "x"), "--format", "table")
    assert "either" in terminal.refuses(*options, "--json", "--format", "csv")


def test_a_statement_is_reconciled(terminal: Terminal, booked: list[Order], tmp_path: Path) -> None:
    statement = tmp_path / "statement.csv"
    statement.write_text(
        "\ufeffpayment,amount,currency\npayment-1,10,GBP\npayment-2,20.00,GBP\npayment-9,1,GBP\n"
    )
    options = ("reports", "reconcile", "--seller", "1", "--statement", str(statement))
    result = terminal.run(*options, "--json")
    assert result.exit_code == 1
    assert "Payments that do not agree: 3." in result.stderr
    assert {row["payment"]: row["result"] for row in json.loads(result.stdout)} == {
        "payment-1": "agrees",
        "payment-2": "differs",
        "payment-3": "only here",
        "payment-9": "only in the statement",
    }
    statement.write_text("payment,amount\npayment-1,10\npayment-2,10\n")
    assert "agrees" in terminal.says(*options, "--broker", "partner-1")
    statement.write_text("payment\n")
    assert "columns" in terminal.refuses(*options)
    assert "cannot be read" in terminal.refuses(*options[:-1], str(tmp_path / "none.csv"))


def test_the_reports_of_the_schedule_are_shown(terminal: Terminal, world: World, booked: list[Order]) -> None:
    world.system.sweep()
    for _ in range(2):
        world.clock.advance(days=1)
        world.system.sweep()
    rows = terminal.rows("reports", "daily", "--seller", "1")
    assert [(row["broker"], row["due"]) for row in rows if row["broker"] != "all"] == [
        ("partner-1", "20.00"),
        ("partner-2", "10.00"),
    ]
    tomorrow = str(datetime.now(UTC).date() + timedelta(days=3))
    assert terminal.rows("reports", "daily", "--seller", "1", "--since", tomorrow) == []
    assert terminal.rows("reports", "daily", "--seller", "1", "--until", tomorrow) == rows


def test_no_cell_is_taken_for_a_formula(terminal: Terminal, world: World, yoga: Bookable) -> None:
    payment = {**PAYMENT, "identifier": "=HYPERLINK(1)"}
    assert Broker(world).b(f"{UUID}4", yoga.item(), payment=payment).status == 201
    output = terminal.says("reports", "payments", "--seller", "1", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(output))
    assert row["payment"] == "'=HYPERLINK(1)"
