"""Measures reports, `people find` and a day's retention with 100,000 bookings: time, memory, calls and read units.

`python -m bench.reports` books a few places, writes copies of these Orders under other UUIDs, with other times and
Brokers, and prints a line for each report. It prints the figures for docs/scale.md.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Any

from bench.installation import Installation, ask, booking, new_uuid, write_rows
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.people import sought
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor, Via
from chalicelib.services.reports.figures import By
from chalicelib.services.reports.payments import Reconciliation
from chalicelib.services.reports.reading import Period, Reports
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.pending import RETENTION, PendingWork
from chalicelib.values import dataclass, field, replace
from tests.support import engines
from tests.support.inventory import seller_id

BOOKINGS = 100_000
_SESSIONS, _BROKERS, _DAYS = 20, 10, 365
_THREADS, _BATCH = 2, 25


@dataclass
class Reads:
    """What the client has read: calls by operation, and units as DynamoDB counts them, from the sizes of the items.

    A consistent read takes a unit for each 4 KB: of each item of a BatchGetItem, of all items of another call
    together; an eventually consistent read takes half of that.
    """

    calls: Counter[str] = field(default_factory=Counter)
    units: float = 0

    def note(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        self.calls[model.name] += 1
        if model.name == "BatchGetItem":
            items = [item for found in parsed.get("Responses", {}).values() for item in found]
            self.units += sum(ceil(_size(item) / 4096) for item in items)
        elif model.name in ("Query", "Scan"):
            self.units += ceil(sum(map(_size, parsed.get("Items", ()))) / 4096) / 2


def _size(item: dict[str, Any]) -> int:
    return sum(len(name) + sum(_length(value) for value in typed.values()) for name, typed in item.items())


def _length(value: Any) -> int:
    return len(value) if isinstance(value, bytes | str) else len(json.dumps(value, default=str))


@contextmanager
def measured(name: str, reads: Reads, count: int) -> Iterator[None]:
    """Print what the block took."""
    reads.calls.clear()
    reads.units = 0
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    calls = ", ".join(f"{number:,} {call}" for call, number in sorted(reads.calls.items()))
    print(
        f"{name}: {seconds:.1f} s, {1000 * seconds / count:.2f} ms a booking, {reads.units:,.0f} read units, "
        f"{calls}; the process has at most {memory:.0f} MB",
        flush=True,
    )


def copies(installation: Installation, count: int) -> None:
    """Write copies of the Orders that are there, so that there are `count`."""
    page = installation.store.scan_orders(limit=1000)
    booked = [order for order in page.rows if isinstance(order, Order)]
    tables = installation.tables
    now = installation.now()

    def made(number: int) -> tuple[str, Any]:
        order = booked[number % len(booked)]
        copy = replace(
            order,
            key=OrderKey(f"broker-{number % _BROKERS}", new_uuid()),
            created_at=now - timedelta(days=number % _DAYS, seconds=number),
            payment={"@type": "Payment", "identifier": f"payment-{number}"},
        )
        return tables.orders.Meta.table_name, rows.order_row(copy)

    def write(start: int) -> None:
        client = tables.connection.client
        write_rows(client, (made(number) for number in range(start, min(start + _BATCH, count))))

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(write, range(0, count, _BATCH)))


def main(count: int = BOOKINGS) -> None:
    with engines.dynoxide() as url:
        installation = Installation("reports", url)
        installation.create(streams=False)  # Dynoxide scans all records of a stream for each write
        for _ in range(_SESSIONS):
            assert ask(booking(new_uuid(), installation.session(spaces=10))).status == 201
        began = time.perf_counter()
        copies(installation, count)
        print(f"{count:,} bookings written in {time.perf_counter() - began:.0f} s", flush=True)
        system = installation.system()
        admin = Administration(system, "bench")
        zone = system.daily_reports.zone
        reads = Reads()
        installation.tables.connection.client.meta.events.register("after-call.dynamodb", reads.note)
        reports = Reports(system.store, system.retry, Actor("bench", Via.command_line, seller_id(1)))
        day = installation.now() - timedelta(days=30)
        runs: dict[str, Callable[[], Any]] = {
            "sales of all, by day and broker": lambda: reports.sales(Period(), [By.day, By.broker], zone),
            "sales of one day": lambda: reports.sales(
                Period(day, day + timedelta(days=1)), [By.broker], zone
            ),
            "payments": lambda: sum(1 for _ in reports.payments(Period())),
            "reconcile": lambda: sum(1 for _ in reports.reconcile(Period(), Reconciliation({}), None)),
            "occupancy": lambda: reports.occupancy(Period(), [By.site], zone),
            "people find": lambda: admin.people.find(sought(email="ann@example.com")),
            "a day's retention, nothing due": lambda: retention(system),
        }
        for name, run in runs.items():
            with measured(name, reads, count):
                run()
            assert not reports.unreadable
        installation.close()


def retention(system: Any) -> None:
    """All steps of one day."""
    work, entry = system._retention(), PendingWork(RETENTION, "1", "{}")
    while (step := work.take_step(entry)).progress is not None:
        entry = replace(entry, progress=step.progress)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
