"""The retry policy: how often, with which pauses, and for how long; and what one request may wait for a busy store."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from chalicelib.storage.errors import StillBusy, StoreBusy, StoreContended
from chalicelib.values import dataclass

T = TypeVar("T")

# This many short attempts of a race take as long as one series of growing pauses.
_TURNS = 50

# A throttle lasts longer than a transaction of another request: pauses after one start at this many first pauses.
_BUSY_PAUSES = 8


@dataclass
class _Patience:
    """What is left of one request's patience with a busy store, in all its parts together."""

    ends_at: float
    busy_answers: int


_patience: ContextVar[_Patience | None] = ContextVar("patience", default=None)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    `pause` sleeps for some seconds, `jitter` returns a number from 0 to 1, and `clock` returns
    monotonic seconds; they are passed in so that tests neither sleep nor depend on chance. Pauses
    double from `first_pause` up to `longest_pause`; no attempt starts later than `gives_up_after`
    seconds. A request that loses every race fails after about 5 seconds.

    Within `bounded`, a busy store (a throttle, a time-out) ends the attempts much earlier than lost races do: after
    `busy_answers` of it, or `busy_for` seconds. Waiting requests take up concurrent functions, and their attempts
    are load for a table that has too much.
    """

    pause: Callable[[float], None]
    jitter: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    attempts: int = 16
    first_pause: float = 0.02
    longest_pause: float = 1.0
    gives_up_after: float = 12.0
    busy_answers: int = 4
    busy_for: float = 2.0

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Everything that is tried inside is one request of a caller, who can repeat it.

        Streams and schedules are not: no caller waits for them, and they have no other way than to continue.
        """
        token = _patience.set(_Patience(self.clock() + self.busy_for, self.busy_answers))
        try:
            yield
        finally:
            _patience.reset(token)

    def tries(self) -> "Tries":
        """The number of each attempt, with a pause before each but the first."""
        return Tries(self)

    def turns(self) -> Iterator[int]:
        """The number of each attempt in a race that one caller always wins; a short pause before all but the first.

        The pauses are as long as an attempt takes, and do not grow: otherwise a caller that has lost would try
        less and less often, and the others would win again meanwhile.
        """
        started, took = self.clock(), 0.0
        for attempt in range(self.attempts * _TURNS):
            if attempt:
                self.pause(max(self.first_pause, min(took, self.longest_pause)) * self.jitter())
                if self.clock() - started > self.gives_up_after:
                    return
            before = self.clock()
            yield attempt
            took = self.clock() - before

    def run(self, action: Callable[[], T], *, on: tuple[type[Exception], ...]) -> T:
        """What `action` returns, retried if it raises one of `on`. Raises StillBusy from the last error."""
        last: Exception | None = None
        tries = self.tries()
        for _ in tries:
            try:
                return action()
            except on as error:
                last = error
                tries.failed(error)
        raise StillBusy(str(last)) from last


class Tries(Iterator[int]):
    """One series of attempts. `failed` says why the last one failed, so that a busy store can end the series."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._started = policy.clock()
        self._next = 0
        self._is_busy = False

    def failed(self, error: Exception) -> None:
        """The last attempt failed with this error. A lost race does not count as busy."""
        self._is_busy = isinstance(error, StoreBusy) and not isinstance(error, StoreContended)
        patience = _patience.get()
        if self._is_busy and patience is not None:
            patience.busy_answers -= 1

    def __next__(self) -> int:
        policy, attempt = self._policy, self._next
        if attempt >= policy.attempts:
            raise StopIteration
        if attempt:
            ceiling, ends_at = policy.first_pause * 2 ** (attempt - 1), self._started + policy.gives_up_after
            patience = _patience.get()
            if self._is_busy and patience is not None:
                if patience.busy_answers <= 0:
                    raise StopIteration
                ceiling, ends_at = ceiling * _BUSY_PAUSES, patience.ends_at
            policy.pause(min(policy.longest_pause, ceiling) * policy.jitter())
            if policy.clock() > ends_at:
                raise StopIteration
        self._next += 1
        return attempt
