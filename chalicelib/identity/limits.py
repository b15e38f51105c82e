"""How often something may be done in a while, counted across all instances of the function (RATE-01)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Lock

from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.storage.identities import IdentityStore

_MINUTE = timedelta(minutes=1)

# The largest portion of the limit that an instance draws at once. What it draws and does not use is lost to
# the others until the minute is over, and each portion costs one write.
_PORTIONS = 20


def window(now: datetime, length: timedelta) -> datetime:
    """The beginning of the window in which `now` lies."""
    seconds = int(length.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


@dataclass
class RateLimiter:
    """At most so many requests a minute for each booking partner; 0 is no limit.

    All instances together never pass the limit. A request costs no call while the instance has some of its
    portion left. Portions begin at 1 in each minute and double, up to a twentieth of the limit: an instance
    that sees few requests takes little from the others, and a busy one rarely writes.
    """

    store: IdentityStore
    clock: Callable[[], datetime]
    per_minute: int
    exceptions: Mapping[str, int] = field(default_factory=dict)
    _drawn: dict[str, "_Drawn"] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, partner_id: str) -> None:
        """Count one request. Raises TooManyRequestsError with the seconds after which to come back."""
        limit = self.exceptions.get(partner_id, self.per_minute)
        if limit <= 0:
            return
        now = self.clock()
        this = window(now, _MINUTE)
        with self._lock:
            drawn = self._drawn.get(partner_id)
            if drawn is None or drawn.minute != this:
                drawn = self._drawn[partner_id] = _Drawn(this)
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
        """The next portion, or one by itself where there is not so much left."""
        largest = max(1, limit // _PORTIONS)
        for portion in dict.fromkeys((min(drawn.next_portion, largest), 1)):
            counter = (f"rate#{partner_id}", drawn.minute.isoformat())
            if self.store.count(*counter, portion, limit, drawn.minute + 2 * _MINUTE):
                drawn.left, drawn.next_portion = portion, 2 * portion
                return
        drawn.used_up = True


@dataclass
class _Drawn:
    """What an instance has of one partner's requests in one minute."""

    minute: datetime
    left: int = 0
    next_portion: int = 1
    used_up: bool = False


@dataclass(frozen=True)
class AttemptLimit:
    """How often somebody may try before they have to wait: `attempts` within `length`."""

    store: IdentityStore
    clock: Callable[[], datetime]
    attempts: int
    length: timedelta = timedelta(minutes=15)

    def take(self, who: str) -> bool:
        """Count an attempt before it is made; False if there have been too many."""
        return self._count(who, 1)

    def give_back(self, who: str) -> None:
        """An attempt that was right does not count."""
        self._count(who, -1)

    def _count(self, who: str, amount: int) -> bool:
        begins = window(self.clock(), self.length)
        return self.store.count(
            f"attempts#{who}", begins.isoformat(), amount, self.attempts, begins + 2 * self.length
        )
