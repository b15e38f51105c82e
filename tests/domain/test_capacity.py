"""Spaces, and which item gets which error."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.capacity import Available, Capacity, Hold, HoldState, shortages
from chalicelib.domain.errors import (
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
)
from tests.support.builders import NOW

FULL = OpportunityIsFullError
SHORT = OpportunityHasInsufficientCapacityError
LEASED = OpportunityCapacityIsReservedByLeaseError


def capacity_errors(wanted: int, free: int, leased: int) -> list[object]:
    """The errors of items that take a space of one Opportunity each."""
    found = shortages([["yoga"]] * wanted, {"yoga": Available(free, leased)})
    return [None if each is None else each.error for each in found]


@pytest.mark.parametrize(
    ("wanted", "free", "leased", "expected"),
    [
        (9, 3, 1, [None] * 3 + [LEASED] + [SHORT] * 5),  # the specification's own example
        (5, 2, 0, [None] * 2 + [SHORT] * 3),  # the other one
        (10, 2, 3, [None] * 2 + [LEASED] * 3 + [SHORT] * 5),
        (1, 0, 1, [LEASED]),
        (1, 0, 0, [FULL]),
        (3, 0, 0, [FULL] * 3),
        (1, 1, 0, [None]),  # BOOKABLE-09, T6: the last space is available
        (2, 1, 5, [None, LEASED]),
        (1, -1, -1, [FULL]),  # counters that are wrong never make a space
        (0, 4, 0, []),
    ],
)
def test_errors_follow_the_specification(wanted: int, free: int, leased: int, expected: list[object]) -> None:
    """ERR-07, LEASE-07."""
    assert capacity_errors(wanted, free, leased) == expected


@given(st.integers(0, 50), st.integers(-5, 50), st.integers(-5, 50))
def test_as_many_items_pass_as_there_are_spaces(wanted: int, free: int, leased: int) -> None:
    """ERR-07: the parts add up, and come in the order none, reserved, insufficient."""
    errors = capacity_errors(wanted, free, leased)
    assert len(errors) == wanted
    assert errors.count(None) == min(wanted, max(free, 0))
    assert errors.count(LEASED) == min(max(leased, 0), max(wanted - max(free, 0), 0))
    if FULL in errors:
        assert free <= 0
        assert leased <= 0
        assert set(errors) == {FULL}
    order = [None, LEASED, SHORT, FULL]
    assert errors == sorted(errors, key=order.index)


@pytest.mark.parametrize(
    ("state", "expires_in", "expired"),
    [
        (HoldState.leased, timedelta(seconds=1), False),
        (HoldState.leased, timedelta(0), True),
        (HoldState.leased, timedelta(seconds=-1), True),
        (HoldState.proposed, None, False),
        (HoldState.booked, None, False),
    ],
)
def test_only_a_lease_expires_and_does_so_at_its_end(
    state: HoldState, expires_in: timedelta | None, expired: bool
) -> None:
    """LEASE-09."""
    hold = Hold(2, state, NOW + expires_in if expires_in is not None else None)
    assert hold.has_expired(NOW) is expired
    assert hold.leased_spaces == (2 if state is HoldState.leased else 0)


@pytest.mark.parametrize(("marked_in", "over"), [(None, False), (1, False), (0, True), (-1, True)])
def test_capacity_knows_when_a_lease_on_it_has_ended(marked_in: int | None, over: bool) -> None:
    """LEASE-09."""
    mark = None if marked_in is None else NOW + timedelta(seconds=marked_in)
    assert Capacity(5, 3, 2, next_expiry_at=mark).has_expired_leases(NOW) is over


@pytest.mark.parametrize(
    ("own", "free", "leased_by_others"),
    [
        (None, 3, 4),
        (Hold(1, HoldState.leased, NOW), 4, 3),
        (Hold(2, HoldState.booked), 5, 4),
    ],
)
def test_own_hold_counts_as_free_and_not_as_leased(
    own: Hold | None, free: int, leased_by_others: int
) -> None:
    """C1-09."""
    capacity = Capacity(10, 3, 4)
    assert capacity.spaces_free_to(own) == free
    assert capacity.spaces_leased_by_others(own) == leased_by_others
