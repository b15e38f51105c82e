"""No more than the limit, also with several counters at once (RATE-01)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.identity.limits import AttemptLimit, RateLimiter, free_requests
from tests.support.builders import Clock
from tests.support.memory import MemoryIdentities


def allowed(limiter: RateLimiter, tries: int, partner: str = "partner-1") -> int:
    """How many of so many requests go through."""
    through = 0
    for _ in range(tries):
        try:
            limiter.take(partner)
            through += 1
        except TooManyRequestsError:
            pass
    return through


class TestRateLimiter:
    @pytest.mark.parametrize("limit", [1, 2, 19, 20, 21, 39, 60, 61, 100, 999, 6000])
    def test_exactly_the_limit_goes_through(
        self, identities: MemoryIdentities, clock: Clock, limit: int
    ) -> None:
        """Also where the last portion is smaller than the others."""
        assert allowed(RateLimiter(identities, clock, limit), limit + 50) == limit

    @pytest.mark.parametrize("limit", [1, 7, 20, 59])
    def test_two_instances_together_never_pass_a_low_limit(
        self, identities: MemoryIdentities, clock: Clock, limit: int
    ) -> None:
        one, two = (RateLimiter(identities, clock, limit) for _ in range(2))
        through = sum(allowed(each, 1) for _ in range(limit + 10) for each in (one, two))
        assert through == limit
        # What an instance has drawn and does not use is lost to the other: at most one portion.
        idle, busy = (RateLimiter(MemoryIdentities(), clock, limit) for _ in range(2))
        busy.store = idle.store
        assert allowed(idle, 1) + allowed(busy, limit) >= limit - max(1, limit // 20) + 1

    @pytest.mark.parametrize("limit", [60, 400, 6000])
    def test_what_instances_allow_before_they_count_is_counted_afterwards(
        self, identities: MemoryIdentities, clock: Clock, limit: int
    ) -> None:
        """Two that are busy keep to the limit: only what the counter can no longer take is too much."""
        one, two = (RateLimiter(identities, clock, limit) for _ in range(2))
        through = sum(allowed(each, 1) for _ in range(limit + 10) for each in (one, two))
        assert limit <= through <= limit + free_requests(limit)

    def test_the_limit_is_passed_by_the_free_requests_of_instances_at_most(
        self, identities: MemoryIdentities, clock: Clock
    ) -> None:
        instances = [RateLimiter(identities, clock, 600) for _ in range(30)]
        through = sum(allowed(each, 700) for each in instances)
        assert 600 <= through <= 600 + 30 * free_requests(600)

    def test_first_requests_of_a_minute_cost_no_call(
        self, identities: MemoryIdentities, clock: Clock
    ) -> None:
        limiter = RateLimiter(identities, clock, 6000)
        for _ in range(3):
            assert allowed(limiter, free_requests(6000)) == free_requests(6000) == 12
            assert identities.calls == 0
            clock.advance(minutes=1)

    def test_many_threads_never_pass_it(self, identities: MemoryIdentities, clock: Clock) -> None:
        instances = [RateLimiter(identities, clock, 200) for _ in range(2)]
        with ThreadPoolExecutor(16) as pool:
            through = sum(pool.map(lambda number: allowed(instances[number % 2], 25), range(32)))
        assert 200 <= through <= 200 + free_requests(200)

    def test_portions_double_and_each_costs_one_call(
        self, identities: MemoryIdentities, clock: Clock
    ) -> None:
        limiter = RateLimiter(identities, clock, 2000)
        calls = [(allowed(limiter, 1), identities.calls)[1] for _ in range(500)]
        # 4 without a call, then 1, 2, 4, 8, 16, 32, 64, then a hundred each.
        assert [calls.index(number) + 1 for number in range(1, 11)] == [
            5, 6, 8, 12, 20, 36, 68, 132, 232, 332,
        ]  # fmt: skip

    def test_many_instances_with_few_requests_take_little_from_each_other(
        self, identities: MemoryIdentities, clock: Clock
    ) -> None:
        instances = [RateLimiter(identities, clock, 6000) for _ in range(100)]
        assert sum(allowed(each, 3) for each in instances) == 300

    def test_refused_ones_cost_nothing_more(self, identities: MemoryIdentities, clock: Clock) -> None:
        limiter = RateLimiter(identities, clock, 40)
        allowed(limiter, 41)
        before = identities.calls
        assert allowed(limiter, 100) == 0
        assert identities.calls == before

    def test_next_minute_begins_anew(self, identities: MemoryIdentities, clock: Clock) -> None:
        limiter = RateLimiter(identities, clock, 5)
        clock.advance(seconds=59.9)
        assert allowed(limiter, 10) == 5
        clock.advance(seconds=0.1)
        assert allowed(limiter, 10) == 5
        clock.advance(seconds=59)
        assert allowed(limiter, 10) == 0

    def test_what_is_left_of_a_portion_is_not_taken_along(
        self, identities: MemoryIdentities, clock: Clock
    ) -> None:
        limiter = RateLimiter(identities, clock, 100)
        allowed(limiter, 1)
        clock.advance(minutes=1)
        assert allowed(limiter, 200) == 100

    def test_partners_have_limits_of_their_own(self, identities: MemoryIdentities, clock: Clock) -> None:
        limiter = RateLimiter(identities, clock, 5, {"large": 50, "free": 0, "small": 1})
        assert [allowed(limiter, 100, who) for who in ("partner-1", "large", "free", "small")] == [
            5,
            50,
            100,
            1,
        ]
        assert allowed(limiter, 10, "partner-2") == 5

    def test_no_limit_costs_nothing(self, identities: MemoryIdentities, clock: Clock) -> None:
        assert allowed(RateLimiter(identities, clock, 0), 1000) == 1000
        assert identities.calls == 0

    @pytest.mark.parametrize(
        ("into_the_minute", "wait"),
        [(0, 60), (0.5, 60), (29.4, 31), (29.6, 31), (30, 30), (59, 1), (59.9, 1)],
    )
    def test_whoever_waits_as_told_is_let_through(
        self, identities: MemoryIdentities, clock: Clock, into_the_minute: float, wait: int
    ) -> None:
        clock.advance(seconds=into_the_minute)
        limiter = RateLimiter(identities, clock, 1)
        limiter.take("partner-1")
        with pytest.raises(TooManyRequestsError) as refusal:
            limiter.take("partner-1")
        assert refusal.value.retry_after == wait
        clock.advance(seconds=wait)
        limiter.take("partner-1")


class TestAttemptLimit:
    def test_so_many_and_no_more(self, identities: MemoryIdentities, clock: Clock) -> None:
        limit = AttemptLimit(identities, clock, 3)
        assert [limit.take("alex") for _ in range(5)] == [True, True, True, False, False]
        assert limit.take("sam")

    def test_what_is_given_back_does_not_count(self, identities: MemoryIdentities, clock: Clock) -> None:
        limit = AttemptLimit(identities, clock, 2)
        for _ in range(10):
            assert limit.take("alex")
            limit.uncount("alex")
        assert [limit.take("alex") for _ in range(3)] == [True, True, False]

    def test_window_turns(self, identities: MemoryIdentities, clock: Clock) -> None:
        limit = AttemptLimit(identities, clock, 1, timedelta(minutes=15))
        assert limit.take("alex") and not limit.take("alex")
        clock.advance(minutes=14, seconds=59)
        assert not limit.take("alex")
        clock.advance(seconds=1)
        assert limit.take("alex") and not limit.take("alex")

    def test_many_at_once_count_each(self, identities: MemoryIdentities, clock: Clock) -> None:
        limit = AttemptLimit(identities, clock, 10)
        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(lambda _: limit.take("alex"), range(100))) == 10

    def test_counts_are_shared_by_all_instances(self, identities: MemoryIdentities, clock: Clock) -> None:
        one, two = (AttemptLimit(identities, clock, 4) for _ in range(2))
        assert [each.take("alex") for each in (one, two, one, two, one, two)] == [True] * 4 + [False] * 2
