"""Brings every change of the tables to the stream handlers, one thread for each stream.

Decides when streams are read; how they are read is in `streams`, how handed over in `delivery`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from chalice.local import LambdaContext

from openbooking.local.delivery import DeadLetters, Handler, Retries, deliver
from openbooking.local.running import Running
from openbooking.local.streams import StreamReader

BATCH_SIZE = 100
_RETRIES = Retries()

log = logging.getLogger(__name__)


class StreamPump:
    """One stream and its handler. Reading and handling are one step at a time, in any thread."""

    def __init__(
        self,
        name: str,
        reader: StreamReader,
        handler: Handler,
        *,
        dead_letters: DeadLetters,
        retries: Retries = _RETRIES,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.name = name
        self.stop = threading.Event()
        self.news = threading.Event()
        self._reader = reader
        self._handler = handler
        self._dead_letters = dead_letters
        self._retries = retries
        self._batch_size = batch_size
        self._one_at_a_time = threading.Lock()

    def step(self) -> int:
        """Handles the next batch; how many records it had, 0 when the stream is read out."""
        with self._one_at_a_time:
            try:
                batch = self._reader.read(self._batch_size)
                if batch is None:
                    return 0
                done = deliver(
                    batch,
                    self._handler,
                    context=lambda: LambdaContext(self.name, 256, 60_000),
                    retries=self._retries,
                    wait=self.stop.wait,
                    dead_letters=self._dead_letters,
                )
                self._reader.handled(batch, done)
                return len(batch.records)
            except Exception:
                # What was read is not handled; the next step reads it again.
                self._reader.rewind()
                raise

    def run(self, idle_for: float) -> None:
        failures = 0
        while not self.stop.is_set():
            # Before reading, so that a change made meanwhile is not waited for.
            self.news.clear()
            try:
                found = self.step()
                failures = 0
            except Exception:
                failures += 1
                if self.stop.is_set():
                    return
                if failures == 1:
                    log.exception("The stream of %s could not be read; trying again", self.name)
                self.stop.wait(self._retries.delay(failures))
                continue
            if not found:
                self.news.wait(idle_for)


class Pump(Running):
    """All streams together."""

    def __init__(self, streams: Sequence[StreamPump], *, idle_for: float = 0.4) -> None:
        """`idle_for` bounds how long a change made by another process waits, in seconds."""
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
        """Something was written: look at once, instead of at the next turn."""
        for stream in self._streams:
            stream.news.set()

    def drain(self) -> None:
        """Returns when all streams are read out and all they held is handled."""
        while sum(stream.step() for stream in self._streams):
            pass
