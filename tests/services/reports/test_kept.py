"""The schedule keeps a report of each day, for each Seller that sold something."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from chalicelib.runtime.settings import SettingsError
from chalicelib.services import daily
from chalicelib.services.reports import kept as kept_reports
from chalicelib.services.reports.kept import period_of
from chalicelib.storage.pending import REPORTS, PendingWork
from tests.support.inventory import seller_id
from tests.support.world import Bookable, Broker, World

UUID = "10000000-0000-4000-8000-00000000000"


def sold(world: World, seller: int = 1) -> dict[str, list[tuple[str, str]]]:
    """The total of each kept day: places and amount due."""
    found = world.system.daily_reports.of(seller_id(seller))
    return {
        each.day.isoformat(): [(str(row["places"]), row["due"]) for row in each.rows[-1:]] for each in found
    }


def night(world: World) -> None:
    world.clock.now = daily.next_time(world.clock.now)
    world.system.sweep()


def test_each_day_has_its_own_report(world: World) -> None:
    yoga = world.session(starts_in=timedelta(days=20))
    world.clock.now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    world.system.sweep()
    Broker(world).b(f"{UUID}1", yoga.item())
    Broker(world).b(f"{UUID}2", yoga.item(), yoga.item(1), due=20)
    night(world)
    assert sold(world) == {"2026-06-01": [("3", "30.00")]}
    assert sold(world, seller=2) == {}
    night(world)  # nothing was booked on that day
    Broker(world).b(f"{UUID}3", yoga.item())
    night(world)
    assert sold(world) == {"2026-06-03": [("1", "10.00")], "2026-06-01": [("3", "30.00")]}
    (report,) = list(world.system.daily_reports.of(seller_id(1), since=date(2026, 6, 2)))
    assert {row["broker"] for row in report.rows} == {"partner-1", "all"}
    assert report.ends_at == report.made_at + timedelta(days=400)
    assert list(world.system.daily_reports.of(seller_id(1), until=date(2026, 6, 1))) == []


def test_days_without_a_schedule_are_made_up_for(world: World) -> None:
    yoga = world.session(starts_in=timedelta(days=40))
    world.system.sweep()
    for number in range(3):
        Broker(world).b(f"{UUID}{number}", yoga.item())
        if number == 0:
            night(world)
        world.clock.advance(days=1)
    night(world)
    assert len(sold(world)) == 3


def test_repeated_steps_keep_the_first_report(world: World, yoga: Bookable) -> None:
    Broker(world).b(f"{UUID}1", yoga.item())
    now = world.clock.advance(days=1)
    entry = PendingWork(REPORTS, "1", "{}")
    reports = world.system.daily_reports
    assert [reports.take_step(entry, now).handled for _ in range(2)] == [1, 0]


def test_sellers_take_their_turn_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_reports, "STEP", 1)
    for number in (1, 2):
        session = world.session(seller=number)
        assert (
            Broker(world, seller=number)
            .b(f"{UUID}{number}", session.item(), due=10 if number == 1 else 12)
            .status
            == 201
        )
    now = world.clock.advance(days=1)
    reports, entry, steps = world.system.daily_reports, PendingWork(REPORTS, "1", "{}"), 0
    while True:
        step = reports.take_step(entry, now)
        steps += 1
        if step.progress is None:
            break
        entry = PendingWork(REPORTS, "1", "{}", progress=step.progress)
    assert steps == 2
    assert sold(world, 1) and sold(world, 2)


def test_a_report_with_too_many_groups_has_coarser_ones(
    world: World, yoga: Bookable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_reports, "_MOST_ROWS", 1)
    Broker(world).b(f"{UUID}1", yoga.item())
    world.system.daily_reports.take_step(PendingWork(REPORTS, "1", "{}"), world.clock.advance(days=1))
    (report,) = world.system.daily_reports.of(seller_id(1))
    assert report.rows[0].keys() & {"broker", "activity", "site"} == {"broker"}


def test_a_period_has_both_of_its_days_in_the_time_zone(world: World) -> None:
    zone = world.system.daily_reports.zone
    period = period_of(date(2026, 3, 29), date(2026, 3, 29), zone)
    assert period.since == datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert period.until == datetime(2026, 3, 29, 23, 0, tzinfo=UTC)  # the clocks go forward
    assert period_of(None, None, zone).since is None


def test_an_unknown_time_zone_is_named(world: World) -> None:
    world.set(time_zone="Europe/Nowhere")
    with pytest.raises(SettingsError, match="TIME_ZONE"):
        _ = world.system.daily_reports
