"""The upkeep of one installation, put together: checks, repairs, and feeds published again. Wiring only."""

import time
from collections.abc import Callable
from functools import cached_property

from chalicelib.feeds.contents import FeedContents
from chalicelib.identity.entries import Partner
from chalicelib.runtime.system import System
from chalicelib.services.checking.check import PAUSE_SECONDS, Check
from chalicelib.services.checking.repair import Repair
from chalicelib.services.pending import Worker
from chalicelib.services.rebuilding import Rebuild, Rebuilder
from chalicelib.values import dataclass


@dataclass
class Upkeep:
    """What an operator does so that all rows agree again. `pause` waits so many seconds."""

    system: System
    pause: Callable[[float], None] = time.sleep

    @cached_property
    def contents(self) -> FeedContents:
        return FeedContents(self.system.store, self.system.consent.is_revoked)

    def check(self, pause_seconds: float = PAUSE_SECONDS, parts: int = 4) -> Check:
        """A check that waits so long before it looks again, and reads so many parts of a table side by side."""
        system = self.system
        return Check(
            system.store,
            system.feeds,
            system.pending,
            self.contents,
            system.retry,
            system.now,
            self.pause,
            pause_seconds,
            parts,
        )

    def repair(self, check: Check) -> Repair:
        return Repair(check)

    @cached_property
    def rebuilder(self) -> Rebuilder:
        system = self.system
        return Rebuilder(
            system.store, system.feeds, self.contents, system.retry, system.now, self._partner_ids
        )

    @property
    def worker(self) -> Worker:
        """Who works on rebuilds: the command that asked for one, and not the sweep, which may not write feeds."""
        system = self.system
        steps = {Rebuild.KIND: self.rebuilder.take_step}
        return Worker(system.pending, steps, system.retry, system.now, system.telemetry)

    def _partner_ids(self) -> list[str]:
        return [partner.id for partner in self.system.register.all(Partner)]
