"""Calls a scheduled function at intervals, as EventBridge does, until it is stopped."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chalice.local import LambdaContext

from openbooking.local.running import Running

log = logging.getLogger(__name__)


def scheduled_event(name: str, at: datetime) -> dict[str, Any]:
    """The event that EventBridge sends for the rule `name`."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-west-2",
        "resources": [f"arn:aws:events:eu-west-2:123456789012:rule/{name}"],
        "detail": {},
    }


class Schedule(Running):
    """One function, called every `every` seconds. It continues if a call fails."""

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Any], Any], Any],
        *,
        every: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._function = function
        self._every = every
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def run_once(self) -> None:
        try:
            event = scheduled_event(self._name, self._clock())
            self._function(event, LambdaContext(self._name, 256, 60_000))
        except Exception:
            log.exception("%s failed; it runs again in %s s", self._name, self._every)

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.run_once()
