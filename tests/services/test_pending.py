"""The worker: each kind of work and each entry is isolated, bounded, and never lost."""

from collections.abc import Callable
from itertools import count

import pytest

from chalicelib.services.pending import MAX_ATTEMPTS, Step, TakeStep, Worker, replay
from chalicelib.storage import codec
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import replace
from tests.support.builders import NOW, Observed
from tests.support.memory import MemoryPending

KIND = "chore"
RETRY = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.0, clock=lambda: 0.0)


@pytest.fixture
def store() -> MemoryPending:
    return MemoryPending()


@pytest.fixture
def observed() -> Observed:
    return Observed()


def a_worker(
    store: MemoryPending, observed: Observed, retry: RetryPolicy = RETRY, **steps: TakeStep
) -> Worker:
    return Worker(store, steps, retry, lambda: NOW, observed)


def add(store: MemoryPending, *ids: str, kind: str = KIND, document: str = "1") -> None:
    store.exchange((), [PendingWork(kind, each, document) for each in ids])


def works(done: list[str]) -> TakeStep:
    """Reads the document as a number; fails where the id says so."""

    def step(entry: PendingWork) -> Step:
        codec.from_json(entry.document, int)
        if entry.id == "fails":
            raise RuntimeError("always")
        done.append(entry.id)
        return Step(1)

    return step


def raises(error: Exception) -> TakeStep:
    def step(entry: PendingWork) -> Step:
        raise error

    return step


def test_eight_of_ten_are_done_though_one_always_fails_and_one_is_unreadable(
    store: MemoryPending, observed: Observed
) -> None:
    done: list[str] = []
    good = [f"good-{number}" for number in range(8)]
    add(store, *good, "fails")
    add(store, "garbage", document="no number")
    worker = a_worker(store, observed, chore=works(done))
    assert worker.run({KIND: 10}) == {KIND: 8}
    assert sorted(done) == good
    for _ in range(MAX_ATTEMPTS):
        worker.run({KIND: 10})
    assert store.entries(KIND, 10) == []
    fails, garbage = sorted(store.entries(SET_ASIDE + KIND, 10), key=lambda entry: entry.id)
    assert (fails.id, fails.document, fails.attempts) == ("fails", "1", MAX_ATTEMPTS)
    assert (fails.error, fails.failed_at) == ("RuntimeError('always')", NOW)
    assert (garbage.id, garbage.document) == ("garbage", "no number")
    assert observed.reports.count(("failed", KIND, "fails", "RuntimeError")) == MAX_ATTEMPTS - 1
    assert ("set aside", KIND, "fails", "RuntimeError") in observed.reports
    assert ("set aside", KIND, "garbage", "Undecodable") in observed.reports


def test_each_kind_runs_while_another_raises(store: MemoryPending, observed: Observed) -> None:
    done: list[str] = []
    add(store, "one", kind="sound")

    def broken(seconds: float) -> int:
        raise RuntimeError("the whole kind")

    for first in range(3):  # whichever of them comes first
        add(store, "one", kind="sound")
        worker = replace(
            a_worker(store, observed, sound=works(done)), now=lambda first=first: NOW.replace(minute=first)
        )
        handled = worker.run({"sound": 1, "broken": 1, "fine": 1}, {"broken": broken, "fine": lambda _: 7})
        assert handled == {"sound": 1, "broken": 0, "fine": 7}
    assert observed.reports == [("failed", "broken", "", "RuntimeError")] * 3


@pytest.mark.parametrize("passing", [StoreBusy("throttled"), StillBusy("others")])
def test_busy_is_no_failure(store: MemoryPending, observed: Observed, passing: Exception) -> None:
    add(store, "one")
    worker = a_worker(store, observed, chore=raises(passing))
    for _ in range(MAX_ATTEMPTS + 1):
        assert worker.run({KIND: 1}) == {KIND: 0}
    (entry,) = store.entries(KIND, 10)
    assert (entry.attempts, observed.reports) == (0, [])


def test_progress_makes_earlier_failures_count_no_more(store: MemoryPending, observed: Observed) -> None:
    turns = count()

    def step(entry: PendingWork) -> Step:
        if next(turns) % 2:
            raise RuntimeError("every second time")
        return Step(1, f"{len(entry.progress)}{entry.progress}")

    add(store, "one")
    worker = a_worker(store, observed, chore=step)
    for _ in range(2 * MAX_ATTEMPTS):
        worker.run({KIND: 1})
    (entry,) = store.entries(KIND, 10)
    assert (entry.attempts, len(entry.progress)) == (1, 2 * MAX_ATTEMPTS)


def test_a_long_entry_does_not_hold_up_those_behind_it(store: MemoryPending, observed: Observed) -> None:
    order: list[str] = []

    def step(entry: PendingWork) -> Step:
        order.append(entry.id)
        long = entry.id == "a-long-one" and len(entry.progress) < 50
        return Step(1, entry.progress + "." if long else None)

    add(store, "a-long-one", "b", "c")
    a_worker(store, observed, chore=step).run({KIND: 1})
    assert order[:3] == ["a-long-one", "b", "c"]
    assert order.count("a-long-one") == 51


def test_time_ends_between_steps_and_the_next_run_continues(store: MemoryPending, observed: Observed) -> None:
    seconds: Callable[[], float] = map(float, count()).__next__
    add(store, *(f"e{number}" for number in range(60)))
    done: list[str] = []
    worker = a_worker(store, observed, replace(RETRY, clock=seconds), chore=works(done))
    assert worker.run_kind(KIND, 9) == 10
    assert worker.run_kind(KIND, 1000) == 50
    assert len(set(done)) == 60


def test_what_was_set_aside_is_tried_again_when_it_is_replayed(
    store: MemoryPending, observed: Observed
) -> None:
    add(store, "fails", document="no number")
    done: list[str] = []
    worker = a_worker(store, observed, chore=works(done))
    worker.run({KIND: 1})
    (aside,) = store.entries(SET_ASIDE + KIND, 10)
    assert replay(store, KIND, "fails")
    assert not replay(store, KIND, "fails")
    assert store.entries(SET_ASIDE + KIND, 10) == []
    (entry,) = store.entries(KIND, 10)
    assert entry == replace(aside, kind=KIND, progress="", attempts=0, error=None, failed_at=None)


def test_a_later_entry_that_came_during_a_step_is_not_lost(store: MemoryPending, observed: Observed) -> None:
    later = PendingWork(KIND, "one", "2", revision=1)

    def step(entry: PendingWork) -> Step:
        if entry.revision == 0:
            store.exchange((), [later])
        return Step(1)

    add(store, "one")
    a_worker(store, observed, chore=step).run_kind(KIND, 1)
    assert store.entries(KIND, 10) == [later]


def test_what_one_kind_leaves_of_its_share_goes_to_one_that_needs_it(
    store: MemoryPending, observed: Observed
) -> None:
    seconds: Callable[[], float] = map(float, count()).__next__
    add(store, *(f"e{number}" for number in range(60)))
    done: list[str] = []
    worker = a_worker(store, observed, replace(RETRY, clock=seconds), chore=works(done))
    alone = worker.run({KIND: 9})[KIND]
    idle = {"idle": lambda seconds: 0}
    assert worker.run({KIND: 9, "idle": 20}, idle)[KIND] > alone
    assert len(done) == len(set(done))
