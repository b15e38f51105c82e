"""One way to try again: how often, with which pauses, and for how long."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.storage.errors import StillBusy

T = TypeVar("T")

# So many short attempts of a race fit into the time of one that waits longer and longer.
_TURNS = 50


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    `pause` sleeps for some seconds, `jitter` gives a number from 0 to 1 and `clock` seconds that
    only grow; all are passed in so that tests neither sleep nor gamble. Pauses double from
    `first_pause` up to `longest_pause`; no attempt starts later than `gives_up_after` seconds.
    A request that loses every time is given up after about 5 seconds, and one whose calls all
    time out before API Gateway gives it up, at 29.
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
        """The number of each attempt in a race that somebody wins each time, with a short pause before all but the first.

        The pauses are as long as an attempt takes, and do not grow: whoever has lost would come ever later, and
        the others win again meanwhile.
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
        """What `action` returns, tried again where it raises one of `on`; in the end StillBusy, from the last."""
        last: Exception | None = None
        for _ in self.tries():
            try:
                return action()
            except on as error:
                last = error
        raise StillBusy(str(last)) from last
