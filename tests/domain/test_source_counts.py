"""Whose counter counts: never below what is held, and what the source has sold is never sold again."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.capacity import Capacity, SourceCount
from chalicelib.domain.source_counts import CounterMode, must_recount, recount
from chalicelib.values import replace

SPACES = st.integers(0, 20)


def after(mode: CounterMode, capacity: Capacity, stated: int, unknown: int = 0) -> Capacity:
    total, count = recount(mode, capacity, stated, unknown)
    left = capacity.spaces_left + total - capacity.spaces_total
    return replace(capacity, spaces_total=total, spaces_left=left, source_count=count)


def with_hold(capacity: Capacity, spaces: int) -> Capacity:
    """After a booking of as many spaces as are free, up to `spaces`; a negative number is a cancellation."""
    held = capacity.spaces_total - capacity.spaces_left
    taken = min(spaces, capacity.spaces_left) if spaces > 0 else -min(-spaces, held)
    return replace(capacity, spaces_left=capacity.spaces_left - taken)


def held(capacity: Capacity) -> int:
    return capacity.spaces_total - capacity.spaces_left


STEPS = st.lists(st.tuples(st.sampled_from(["here", "there", "read"]), st.integers(-6, 6)), max_size=30)


@given(SPACES, STEPS)
def test_a_source_that_does_not_know_our_bookings_and_we_share_one_capacity(
    size: int, steps: list[tuple[str, int]]
) -> None:
    """After each reading: what is free here is what neither has sold, or else the shortage is named."""
    capacity, sold_there = Capacity(size, size, source_count=SourceCount(size)), 0
    for what, number in [*steps, ("read", 0)]:
        if what == "here":
            capacity = with_hold(capacity, number)
        elif what == "there":
            sold_there = min(max(sold_there + number, 0), size)
        else:
            capacity = after(CounterMode.shared, capacity, size - sold_there)
            free = size - sold_there - held(capacity)
            assert capacity.source_count is not None
            assert (capacity.spaces_left, capacity.source_count.oversold) == (max(free, 0), max(-free, 0))
        assert capacity.spaces_left >= 0


@given(SPACES, STEPS, st.booleans())
def test_a_source_that_knows_our_bookings_has_the_last_word(
    size: int, steps: list[tuple[str, int]], knows_all: bool
) -> None:
    """Its number, less what it does not know yet, is what is free here."""
    capacity, sold_there, known = Capacity(size, size, source_count=SourceCount(size)), 0, 0
    for what, number in [*steps, ("read", 0)]:
        if what == "here":
            capacity = with_hold(capacity, number)
        elif what == "there":
            sold_there = min(max(sold_there + number, 0), size)
        else:
            known = held(capacity) if knows_all else min(known, held(capacity))
            stated = max(size - sold_there - known, 0)
            unknown = held(capacity) - known
            capacity = after(CounterMode.source, capacity, stated, unknown)
            assert capacity.source_count is not None
            assert capacity.spaces_left == max(stated - unknown, 0)
            assert capacity.source_count.oversold == max(unknown - stated, 0)
        assert capacity.spaces_left >= 0


@given(st.sampled_from(CounterMode), SPACES, SPACES, SPACES, SPACES, SPACES)
def test_the_total_is_never_less_than_what_is_held(
    mode: CounterMode, total: int, left: int, stated: int, before: int, unknown: int
) -> None:
    capacity = Capacity(total, min(left, total), source_count=SourceCount(before))
    changed = after(mode, capacity, stated, min(unknown, held(capacity)))
    assert held(changed) == held(capacity)
    assert changed.spaces_left >= 0
    if mode is CounterMode.ours:
        assert changed.spaces_total == total


@given(st.sampled_from(CounterMode), SPACES, SPACES, SPACES)
def test_the_same_number_again_changes_nothing(mode: CounterMode, total: int, left: int, stated: int) -> None:
    once = after(mode, Capacity(total, min(left, total), source_count=SourceCount(total)), stated)
    assert after(mode, once, stated) == once
    assert once.source_count is not None
    assert must_recount(mode, once, stated) is (
        mode is not CounterMode.ours and once.source_count.oversold > 0
    )


def test_without_an_earlier_number_the_first_one_moves_nothing() -> None:
    """Rows of earlier releases do not say what the source stated."""
    assert recount(CounterMode.shared, Capacity(10, 7), 4) == (10, SourceCount(4))
