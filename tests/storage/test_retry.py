"""How often and how long something is tried."""

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
