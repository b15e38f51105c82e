"""How often something may be done in a while, counted across all instances of the function (RATE-01)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Lock

from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.storage.identity_store import IdentityStore

_MINUTE = timedelta(minutes=1)

# An instance draws its requests in portions of the limit: what it draws and does not use is lost to the
# others until the minute is over, and each portion costs one write.
_PORTIONS = 20


def window(now: datetime, length: timedelta) -> datetime:
    """The beginning of the window in which `now` lies."""
    seconds = int(length.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


@dataclass
class RateLimiter:
    """At most so many requests a minute for each booking partner; 0 is no limit.

    No two instances together pass the limit. A request costs no call while the instance has some of its
    portion left: that is one write for every twentieth of the limit.
    """

    store: IdentityStore
    clock: Callable[[], datetime]
    per_minute: int
    exceptions: Mapping[str, int] = field(default_factory=dict)
    _left: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, partner_id: str) -> None:
        """Count one request. Raises TooManyRequestsError with the seconds after which to come back."""
        limit = self.exceptions.get(partner_id, self.per_minute)
        if limit <= 0:
            return
        now = self.clock()
        this = window(now, _MINUTE)
        with self._lock:
            drawn_in, left = self._left.get(partner_id, (this, 0))
            if drawn_in != this:
                left = 0
            if left == 0:
                left = self._draw(partner_id, this, limit)
            self._left[partner_id] = (this, left - 1 if left > 0 else left)
        if left < 0:
            wait = this + _MINUTE - now
            raise TooManyRequestsError(
                f"At most {limit} requests a minute.", retry_after=ceil(wait.total_seconds())
            )

    def _draw(self, partner_id: str, this: datetime, limit: int) -> int:
        """The next portion; -1 where nothing is left in this minute."""
        for portion in dict.fromkeys((max(1, limit // _PORTIONS), 1)):
            if self.store.count(f"rate#{partner_id}", this.isoformat(), portion, limit, this + 2 * _MINUTE):
                return portion
        return -1


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
