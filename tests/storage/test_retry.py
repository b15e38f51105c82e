"""How often and how long something is tried."""

import pytest

from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy


def test_the_first_try_comes_at_once_and_no_pause_follows_the_last() -> None:
    pauses: list[float] = []
    retry = RetryPolicy(pauses.append, jitter=lambda: 0.5, clock=lambda: 0.0, attempts=3)
    assert list(retry.tries()) == [0, 1, 2]
    assert pauses == [0.01, 0.02]


def test_no_try_starts_after_the_time_is_up() -> None:
    """Calls that time out take seconds each, and API Gateway waits 29."""
    seconds = iter(range(0, 100, 5))
    retry = RetryPolicy(lambda _: None, lambda: 0.5, clock=lambda: next(seconds), gives_up_after=12)
    assert list(retry.tries()) == [0, 1, 2]


def test_an_action_is_run_again_until_it_gives_a_result() -> None:
    refusals = iter([StoreBusy("first"), StoreBusy("second")])

    def act() -> str:
        for refusal in refusals:
            raise refusal
        return "done"

    assert RetryPolicy(lambda _: None, lambda: 0.5).run(act, on=(StoreBusy,)) == "done"


def test_an_action_that_never_gives_one_ends_with_its_last_refusal() -> None:
    numbers = iter(range(100))

    def act() -> None:
        raise StoreBusy(f"attempt {next(numbers)}")

    with pytest.raises(StillBusy, match="attempt 2"):
        RetryPolicy(lambda _: None, lambda: 0.5, clock=lambda: 0.0, attempts=3).run(act, on=(StoreBusy,))


def test_other_errors_of_an_action_are_not_tried_again() -> None:
    numbers = iter(range(100))

    def act() -> None:
        next(numbers)
        raise LookupError

    with pytest.raises(LookupError):
        RetryPolicy(lambda _: None, lambda: 0.5).run(act, on=(StoreBusy,))
    assert next(numbers) == 1
