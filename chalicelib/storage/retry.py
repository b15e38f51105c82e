"""The retry policy: how often, with which pauses, and for how long."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.storage.errors import StillBusy

T = TypeVar("T")

# This many short attempts of a race take as long as one series of growing pauses.
_TURNS = 50


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    `pause` sleeps for some seconds, `jitter` returns a number from 0 to 1, and `clock` returns
    monotonic seconds; they are passed in so that tests neither sleep nor depend on chance. Pauses
    double from `first_pause` up to `longest_pause`; no attempt starts later than `gives_up_after`
    seconds. A request that loses every race fails after about 5 seconds. One whose calls all time
    out fails before API Gateway ends it, at 29 seconds.
    """

    pause: Callable[[float], None]
    jitter: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    attempts: int = 16
    first_pause: float = 0.02
    longest_pause: float = 1.0
    gives_up_after: float = 12.0

    def tries(self) -> Iterator[int]:
        """The number of each attempt, with a pause before each but the first."""
        started = self.clock()
        for attempt in range(self.attempts):
            if attempt:
                ceiling = min(self.longest_pause, self.first_pause * 2 ** (attempt - 1))
                self.pause(ceiling * self.jitter())
                if self.clock() - started > self.gives_up_after:
                    return
            yield attempt

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
        for _ in self.tries():
            try:
                return action()
            except on as error:
                last = error
        raise StillBusy(str(last)) from last
