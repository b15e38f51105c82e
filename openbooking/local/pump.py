"""Delivers every change of the tables to the stream handlers, with one thread for each stream.

Decides when streams are read; reading is in `streams`, delivery in `delivery`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from chalice.local import LambdaContext

from openbooking.local.delivery import DeadLetters, Handler, deliver
from openbooking.local.running import Running
from openbooking.local.streams import StreamReader

BATCH_SIZE = 100

log = logging.getLogger(__name__)


class StreamStuckError(Exception):
    """A stream could not be read out: its handler fails again and again."""


@dataclass(frozen=True)
class Pauses:
    """The pauses in seconds before a batch that has failed is delivered again; it is never given up for that.

    `patience` is how many failures in a row `drain` sits out.
    """

    first: float = 0.2
    longest: float = 5.0
    patience: int = 8

    def after(self, failures: int) -> float:
        return min(self.first * 2.0 ** (failures - 1), self.longest)


@dataclass(frozen=True)
class Step:
    """What a step has done: records handled, and whether the next one has failed."""

    handled: int
    failed: bool = False


_PAUSES = Pauses()


class StreamPump:
    """One stream and its handler. Steps run one at a time, in any thread."""

    def __init__(
        self,
        name: str,
        reader: StreamReader,
        handler: Handler,
        *,
        dead_letters: DeadLetters,
        pauses: Pauses = _PAUSES,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.name = name
        self.stop = threading.Event()
        self.news = threading.Event()
        self._reader = reader
        self._handler = handler
        self._dead_letters = dead_letters
        self.pauses = pauses
        self._batch_size = batch_size
        self._one_at_a_time = threading.Lock()

    def step(self) -> Step:
        """Delivers the next batch once; nothing is handled and nothing failed when the stream is read out."""
        with self._one_at_a_time:
            try:
                batch = self._reader.read(self._batch_size)
                if batch is None:
                    return Step(0)
                done = deliver(
                    batch,
                    self._handler,
                    context=lambda: LambdaContext(self.name, 256, 60_000),
                    dead_letters=self._dead_letters,
                )
                self._reader.handled(batch, done)
                return Step(done, failed=done < len(batch.records))
            except Exception:
                # The records were not handled; the next step reads them again.
                self._reader.rewind()
                raise

    def run(self, idle_for: float) -> None:
        failures = 0
        while not self.stop.is_set():
            # Cleared before reading, so that a change during the read is handled without a wait.
            self.news.clear()
            try:
                step = self.step()
            except Exception:
                if self.stop.is_set():
                    return
                if failures == 0:
                    log.exception("The stream of %s could not be read; trying again", self.name)
                step = Step(0, failed=True)
            failures = failures + 1 if step.failed and not step.handled else int(step.failed)
            if step.failed:
                self.stop.wait(self.pauses.after(failures))
            elif not step.handled:
                self.news.wait(idle_for)


class Pump(Running):
    """All streams."""

    def __init__(self, streams: Sequence[StreamPump], *, idle_for: float = 0.4) -> None:
        """`idle_for` is the longest time that a change of another process waits, in seconds."""
        self._streams = streams
        self._idle_for = idle_for
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for stream in self._streams:
            stream.stop.clear()
            thread = threading.Thread(
                target=stream.run, args=(self._idle_for,), name=f"pump-{stream.name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        for stream in self._streams:
            stream.stop.set()
            stream.news.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def wake(self) -> None:
        """Read the streams now: something was written."""
        for stream in self._streams:
            stream.news.set()

    def drain(self) -> None:
        """Returns when all streams are read out and all they held is handled. Raises StreamStuckError."""
        failures = 0
        while True:
            steps = [stream.step() for stream in self._streams]
            failed = [stream for stream, step in zip(self._streams, steps, strict=True) if step.failed]
            failures = 0 if any(step.handled for step in steps) else failures + 1
            if failed and failures >= failed[0].pauses.patience:
                raise StreamStuckError(failed[0].name)
            if failed:
                failed[0].stop.wait(failed[0].pauses.after(max(failures, 1)))
            elif not any(step.handled for step in steps):
                return
