"""Once a day people are erased from Orders that are over, in steps, and the days that follow are planned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import System
from chalicelib.services import daily
from chalicelib.services.retention import Retention
from chalicelib.storage import codec
from chalicelib.storage.pending import REPORTS, RETENTION, PendingWork
from tests.support.world import Bookable, Broker, World

UUID = "10000000-0000-4000-8000-00000000000"


@pytest.fixture
def world(world: World) -> World:
    world.set(people_days=30)
    return world


def stored(world: World, number: int) -> Order:
    key = OrderKey("partner-1", f"{UUID}{number}")
    order = world.store.orders([key])[key]
    assert isinstance(order, Order)
    return order


def night(system: System, world: World) -> dict[str, int]:
    """The first sweep after the daily work is due."""
    world.clock.now = daily.next_time(world.clock.now)
    return system.sweep()


def test_daily_work_is_planned_once_and_done_at_night(world: World) -> None:
    world.clock.now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    assert world.system.sweep()[daily.KIND] == 2
    assert world.system.sweep()[daily.KIND] == 0
    assert world.system.worker.waiting()[RETENTION] == 0
    world.clock.now = datetime(2026, 6, 2, 3, 0, tzinfo=UTC)
    assert world.system.worker.waiting()[RETENTION] == world.system.worker.waiting()[REPORTS] == 1
    world.system.sweep()
    (planned,) = world.pending.entries(RETENTION, 9)
    due_at = datetime.fromtimestamp(int(planned.id), UTC)
    assert due_at == datetime(2026, 6, 3, 3, 0, tzinfo=UTC)


def test_people_are_erased_when_the_time_after_the_session_is_over(world: World, yoga: Bookable) -> None:
    later = world.session(starts_in=timedelta(days=20))
    assert Broker(world).b(f"{UUID}1", yoga.item()).status == 201
    assert Broker(world).b(f"{UUID}2", later.item()).status == 201
    due = stored(world, 1).totals
    world.system.sweep()
    world.clock.advance(days=29)
    night(world.system, world)
    assert stored(world, 1).customer is not None
    world.clock.advance(days=5)
    night(world.system, world)
    first, second = stored(world, 1), stored(world, 2)
    assert (first.customer, first.totals) == (None, due)
    assert first.erased_at is not None and second.customer is not None
    (entry,) = world.system.register.journal(f"{world.clock.now:%Y-%m}")
    assert (entry.what, entry.by, entry.ids) == (
        "people erased after retention",
        "schedule",
        {"orders": "1"},
    )
    version = first.version
    night(world.system, world)
    assert stored(world, 1).version == version
    world.clock.advance(days=60)
    night(world.system, world)
    assert stored(world, 2).customer is None


def test_with_0_days_nothing_is_erased(world: World, yoga: Bookable) -> None:
    world.set(people_days=0, report_days=0)
    Broker(world).b(f"{UUID}1", yoga.item())
    world.clock.advance(days=4000)
    assert world.system.sweep()[daily.KIND] == 0
    assert night(world.system, world).get(RETENTION) is None
    assert stored(world, 1).customer is not None


def test_a_day_of_many_orders_is_done_in_steps_that_may_be_repeated(world: World) -> None:
    yoga = world.session(spaces=20)
    for number in range(5):
        Broker(world).b(f"{UUID}{number}", yoga.item())
    world.clock.advance(days=400)
    system = world.system
    retention: Retention = system._retention()
    entry = PendingWork(RETENTION, "1", "{}")
    steps = 0
    while True:
        step = retention.take_step(entry, limit=2)
        if steps == 0:
            step = retention.take_step(entry, limit=2)  # the process ended before the progress was saved
        steps += 1
        if step.progress is None:
            break
        entry = PendingWork(RETENTION, "1", "{}", progress=step.progress)
        assert codec.from_json(step.progress, dict)["cursor"]
    assert steps == 3
    assert all(stored(world, number).customer is None for number in range(5))
    (planned,) = world.pending.entries(RETENTION, 9)
    assert int(planned.id) > world.clock.now.timestamp()


def test_a_daily_time_is_never_now() -> None:
    at = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
    assert daily.next_time(at) == at + timedelta(days=1)
    assert daily.next_time(at - timedelta(seconds=1)) == at
