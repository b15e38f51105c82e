"""Rate limits, counted across all instances of the function (RATE-01)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Lock

from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.storage.identities import IdentityStore
from chalicelib.values import dataclass, field

_MINUTE = timedelta(minutes=1)

# The largest portion that an instance reserves at once, as a fraction of the limit. The other instances cannot use
# what it reserves and does not need, until the minute is over. Each portion costs one write.
_PORTIONS = 20

# Of a limit, the part that each instance allows in a minute before it asks the counter, and counts afterwards: most
# partners make few requests a minute on one instance, and would pay a call for the first of them.
_FREE_PARTS = 500
_FREE_FROM = 60


def free_requests(limit: int) -> int:
    """How many requests an instance allows a partner in a minute before it counts them."""
    return max(1, limit // _FREE_PARTS) if limit >= _FREE_FROM else 0


def window(now: datetime, length: timedelta) -> datetime:
    """The start of the window that contains `now`."""
    seconds = int(length.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


@dataclass
class RateLimiter:
    """Limits the requests of each booking partner in a minute; 0 means no limit.

    In each minute, an instance allows the first few requests without a call (`free_requests`). If there are more, it
    counts these together with the next portion that it reserves. Portions start at 1 and double, up to a twentieth of
    the limit: an instance with few requests reserves little, and a busy one rarely writes.

    All instances together exceed the limit at most by the free requests of those that did not get to count them.
    Limits below 60 have none, and are exact.
    """

    store: IdentityStore
    clock: Callable[[], datetime]
    per_minute: int
    exceptions: Mapping[str, int] = field(default_factory=dict)
    _drawn: dict[str, "_Drawn"] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, partner_id: str) -> None:
        """Count one request. Raises TooManyRequestsError with the seconds to wait."""
        limit = self.exceptions.get(partner_id, self.per_minute)
        if limit <= 0:
            return
        now = self.clock()
        this = window(now, _MINUTE)
        with self._lock:
            drawn = self._drawn.get(partner_id)
            if drawn is None or drawn.minute != this:
                free = free_requests(limit)
                drawn = self._drawn[partner_id] = _Drawn(this, left=free, uncounted=free)
            if drawn.left == 0 and not drawn.used_up:
                self._draw(drawn, partner_id, limit)
            drawn.left = max(0, drawn.left - 1)
            refused = drawn.used_up
        if refused:
            wait = this + _MINUTE - now
            raise TooManyRequestsError(
                f"At most {limit} requests a minute.", retry_after=ceil(wait.total_seconds())
            )

    def _draw(self, drawn: "_Drawn", partner_id: str, limit: int) -> None:
        """Reserve the next portion, or a single request if less is left."""
        largest = max(1, limit // _PORTIONS)
        for portion in dict.fromkeys((min(drawn.next_portion, largest), 1)):
            counter = (f"rate#{partner_id}", drawn.minute.isoformat())
            amount = portion + drawn.uncounted
            if self.store.count(*counter, amount, limit, drawn.minute + 2 * _MINUTE):
                drawn.left, drawn.next_portion, drawn.uncounted = portion, 2 * portion, 0
                return
        drawn.used_up = True


@dataclass
class _Drawn:
    """What an instance has reserved of one partner's requests in one minute."""

    minute: datetime
    left: int = 0
    next_portion: int = 1
    used_up: bool = False
    uncounted: int = 0


@dataclass(frozen=True)
class AttemptLimit:
    """Limits failed attempts: at most `attempts` within `length`."""

    store: IdentityStore
    clock: Callable[[], datetime]
    attempts: int
    length: timedelta = timedelta(minutes=15)

    def take(self, who: str) -> bool:
        """Count an attempt before it is made; False if there have been too many."""
        return self._count(who, 1)

    def uncount(self, who: str) -> None:
        """Uncount an attempt that succeeded."""
        self._count(who, -1)

    def _count(self, who: str, amount: int) -> bool:
        begins = window(self.clock(), self.length)
        return self.store.count(
            f"attempts#{who}", begins.isoformat(), amount, self.attempts, begins + 2 * self.length
        )
