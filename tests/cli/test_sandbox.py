"""`openbooking sandbox`: filled, topped up, counted and cleared; refused in production."""

from __future__ import annotations

import pytest

from openbooking.deployment.project import UnknownStageError, is_production
from tests.support.terminal import Terminal

ONLY = ("--type", "ScheduledSession", "--each", "1", "--seller", "2")


def filled(terminal: Terminal) -> str:
    return terminal.says("sandbox", "fill", *ONLY)


def test_it_is_filled_counted_topped_up_and_cleared(terminal: Terminal) -> None:
    assert "The sandbox is filled: " in filled(terminal)
    rows = terminal.rows("sandbox", "show")
    assert {(row["type"], row["seller"].rpartition("/")[2]) for row in rows} == {("ScheduledSession", "2")}
    assert all(row["places"] == row["published"] == 1 for row in rows)
    assert {"BookableNoSpaces", "OnlineBookable", "Bookable, rejected automatically"} <= {
        row["criterion"] for row in rows
    }
    assert filled(terminal) == "The sandbox is filled: 0 made, 0 replaced, 0 moved.\n"
    assert terminal.run("sandbox", "clear", typed="n\n").exit_code == 1
    assert terminal.says("sandbox", "clear", "--yes") == f"{len(rows)} opportunities were withdrawn.\n"
    assert terminal.rows("sandbox", "show") == []
    assert [what for what, _ in terminal.journal()] == ["sandbox filled", "sandbox cleared"]


def test_an_unknown_seller_is_refused(terminal: Terminal) -> None:
    assert "9" in terminal.refuses("sandbox", "fill", "--seller", "9")


def test_an_unknown_type_is_refused(terminal: Terminal) -> None:
    assert terminal.refuses("sandbox", "fill", "--type", "Course") == (
        "There is no type Course: choose from ScheduledSession, FacilityUseSlot, IndividualFacilityUseSlot, "
        "HeadlineEvent, CourseInstance, Event, HeadlineEventSubEvent, CourseInstanceSubEvent, OnDemandEvent."
    )


def test_without_a_seller_there_is_nothing_to_fill(terminal: Terminal) -> None:
    for seller in terminal.system.store.sellers():
        identities = terminal.system.store._tables.identity  # type: ignore[attr-defined]
        identities(seller.id, "seller").delete()
    assert terminal.refuses("sandbox", "fill").startswith("There is no Seller yet")


@pytest.mark.parametrize("command", [("fill",), ("show",), ("clear", "--yes")])
def test_in_production_it_is_refused(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    never = "A sandbox is never in production: customers could book what does not take place."
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    at_stage = Terminal(terminal.system, ["--stage", "prod"])
    assert at_stage.refuses("sandbox", *command) == never
    unknown = Terminal(terminal.system, ["--stage", "blue"])
    assert unknown.refuses("sandbox", *command).startswith("blue is not in .chalice/config.json")
    monkeypatch.setenv("PRODUCTION", "true")
    monkeypatch.setenv("SIGNING_KMS_KEY", "key")
    assert terminal.refuses("sandbox", *command) == never


def test_which_stage_is_in_production() -> None:
    assert is_production("prod")
    assert not is_production("dev")
    with pytest.raises(UnknownStageError):
        is_production("blue")
