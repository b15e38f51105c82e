"""Whose counter counts, from feed to counter: the three modes of a source, with bookings here and there."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.source_counts import CounterMode
from chalicelib.importing.defaults import Defaults
from tests.importing.booking import Installation
from tests.importing.site import OperatorSite, series, session

ID = session(1, of=1)["@id"]


@pytest.fixture
def site() -> OperatorSite:
    site = OperatorSite()
    site.publish(series(1), session(1, of=1, spaces=10))
    return site


def capacity(installation: Installation) -> Capacity:
    found = installation.world.store.listings([ID])[ID][1]
    assert found is not None
    return found


def take(
    installation: Installation, site: OperatorSite, spaces: int, mode: CounterMode, **defaults: Any
) -> str:
    site.publish(session(1, of=1, spaces=spaces))
    return installation.take(site, defaults=Defaults(counter=mode, **defaults))


def left(installation: Installation) -> tuple[int, int]:
    found = capacity(installation)
    return found.spaces_total, found.spaces_left


def booked(site: OperatorSite, mode: CounterMode, number: int) -> Installation:
    installation = Installation()
    installation.take(site, defaults=Defaults(counter=mode))
    for _ in range(number):
        assert installation.book(ID).status == 201
    return installation


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(CounterMode.ours, (10, 8)), (CounterMode.shared, (7, 5)), (CounterMode.source, (9, 7))],
)
def test_the_source_sells_three_of_ten_spaces_after_two_bookings_here(
    site: OperatorSite, mode: CounterMode, expected: tuple[int, int]
) -> None:
    installation = booked(site, mode, 2)
    revision = capacity(installation).revision
    take(installation, site, 7, mode)
    assert left(installation) == expected
    assert capacity(installation).revision == revision  # a booking at this price is not refused


def test_a_source_does_not_know_the_bookings_of_the_last_minutes(site: OperatorSite) -> None:
    installation = booked(site, CounterMode.source, 2)
    take(installation, site, 9, CounterMode.source, known_after=timedelta(minutes=10))
    assert left(installation) == (9, 7)  # it has sold one, and both bookings here are too new
    installation.world.clock.now += timedelta(minutes=11)
    take(installation, site, 7, CounterMode.source, known_after=timedelta(minutes=10))
    assert left(installation) == (9, 7)


def test_what_was_unknown_is_looked_at_again_though_the_number_stays(site: OperatorSite) -> None:
    installation = booked(site, CounterMode.source, 2)
    take(installation, site, 8, CounterMode.source, known_after=timedelta(minutes=10))
    assert left(installation) == (8, 6)
    installation.world.clock.now += timedelta(minutes=11)
    installation.take(site, defaults=Defaults(counter=CounterMode.source, known_after=timedelta(minutes=10)))
    assert left(installation) == (10, 8)


def test_what_the_source_oversells_is_reported_with_the_orders_and_no_person(site: OperatorSite) -> None:
    installation = booked(site, CounterMode.shared, 2)
    report = take(installation, site, 1, CounterMode.shared)
    assert left(installation) == (2, 0)
    (first, second) = installation.world.system.inventory.holders(ID)
    assert "Oversold by the source: Yoga 1, 2031-05-01 09:00 UTC, by 1" in report
    assert f"partner {first.partner_id}, order {first.uuid}" in report and str(second.uuid) in report
    assert "geoff" not in report.casefold() and "@example" not in report
    assert "by 1" in installation.take(
        site, defaults=Defaults(counter=CounterMode.shared)
    )  # until it is right
    assert "Oversold" not in take(installation, site, 3, CounterMode.shared)
    assert left(installation) == (3, 1)


def test_a_dry_run_and_an_unchanged_number_write_nothing(site: OperatorSite) -> None:
    installation = booked(site, CounterMode.shared, 1)
    version = capacity(installation).version
    installation.take(site, defaults=Defaults(counter=CounterMode.shared))
    site.publish(session(1, of=1, spaces=2))
    installation.take(site, defaults=Defaults(counter=CounterMode.shared), is_dry_run=True)
    assert capacity(installation).version == version
