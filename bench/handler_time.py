"""Measures the time of B in its handler, compared with the same reads and writes made directly with boto3."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.installation import Installation, ask, booking, new_uuid
from chalicelib.runtime.system import install
from chalicelib.runtime.telemetry import Telemetry
from openbooking.local.engine import dynamodb_client
from tests.support.engines import Calls

REPEATS = 300


def handler_time(installation: Installation, repeats: int = REPEATS) -> float:
    """The time of B divided by the time of its two calls: the ratio of the medians, interleaved."""
    assert installation.url
    session, first = installation.session(10 * repeats), new_uuid()
    [(_, read), (_, write)] = Calls(installation.tables).during(lambda: ask(booking(first, session)))
    write.pop("ClientRequestToken", None)  # botocore adds a new one for each call
    bare = dynamodb_client(installation.url)

    def reads_and_writes(order: str) -> Callable[[], Any]:
        # The same rows under another Order UUID, so that their size is the same.
        reading, writing = _renamed(read, first, order), _renamed(write, first, order)

        def act() -> None:
            bare.batch_get_item(**reading)
            bare.transact_write_items(**writing)

        return act

    def books(order: str) -> Callable[[], Any]:
        request = booking(order, session)
        return lambda: ask(request)

    times: dict[Callable[[str], Callable[[], Any]], list[float]] = {books: [], reads_and_writes: []}
    # With logs and metrics as on Lambda, but discarded.
    with output_to_nowhere():
        install(installation.system(Telemetry()))
        for _ in range(repeats):
            for way, taken in times.items():
                act = way(new_uuid())
                started = time.perf_counter()
                act()
                taken.append(time.perf_counter() - started)
        install(installation.system())
    bare.close()
    return median(times[books]) / median(times[reads_and_writes])


@contextmanager
def output_to_nowhere() -> Iterator[None]:
    """A context without output. It redirects the file descriptor, because a logger keeps its stream."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: _renamed(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, old, new) for each in value]
    return value
