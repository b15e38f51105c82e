"""Checks of a system that books, cancels, leases and deletes meanwhile: without damage they find nothing.

`python -m bench.check` makes 50 checks beside the load of three processes, then plants damage and finds it
beside the same load, and then measures one check of 10,000 orders.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from bench.crew import Crew
from bench.installation import (
    Answer,
    Installation,
    Request,
    ask,
    booking,
    cancellation,
    new_uuid,
    quote,
    write_rows,
)
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import System, install
from chalicelib.runtime.upkeep import Upkeep
from chalicelib.services.checking.check import Report
from chalicelib.storage.dynamodb.rows import hold_row, order_row
from chalicelib.storage.dynamodb.tables import CAPACITY
from chalicelib.values import dataclass, replace
from tests.support import engines
from tests.support.inventory import Bookable
from tests.support.streams import streams_of

RUNS = 50
ORDERS = 10_000
WORKERS = 3
# On one machine with two cores the streams are behind by a second or two.
PAUSE_SECONDS = 6.0
# Each worker makes so many requests a second: more, and the local streams can never catch up.
_A_SECOND = 5
_LEASED_FOR = 7
_ON_ONE_SESSION = 50
# The streams of a local engine get slower with the number of records: each installation has a separate engine.
_ON_ONE_INSTALLATION = 10


@dataclass(frozen=True)
class Load:
    """What every process needs. They continue until the file `stop` exists.

    The file `ready` exists once the streams have caught up.
    """

    prefix: str
    url: str
    sessions: tuple[Bookable, ...]
    ready: str
    stop: str

    @property
    def is_over(self) -> bool:
        return Path(self.stop).exists()


@lru_cache
def _installation(prefix: str, url: str) -> Installation:
    return Installation(prefix, url)


def _use(load: Load) -> System:
    system = _installation(load.prefix, load.url).system()
    # Short leases, so that many end while a check runs.
    system.settings = replace(system.settings, lease_seconds=_LEASED_FOR)
    install(system)
    return system


def book(load: Load, number: int) -> Counter[str]:
    """One Broker: books, cancels, leases, deletes; what it was answered."""
    _use(load)
    answers, chance, partner = Counter[str](), random.Random(number), f"partner-{number}"
    booked: list[tuple[str, str]] = []
    while not load.is_over:
        began = time.monotonic()
        session = chance.choice(load.sessions)
        what = chance.choices(["book", "lease", "cancel", "delete", "publish"], [10, 5, 5, 5, 1])[0]
        answer: Answer | None
        if what == "book":
            uuid = new_uuid()
            answer = ask(booking(uuid, session, partner))
            if answer.status == 201:
                booked.append((uuid, answer.json["orderedItem"][0]["@id"]))
        elif what == "lease":
            answer = ask(quote(new_uuid(), session, partner))
        elif what == "publish":
            _installation(load.prefix, load.url).session(chance.randint(0, 5))
            answers["published"] += 1
            answer = None
        elif booked:
            uuid, item_id = booked.pop(chance.randrange(len(booked)))
            if what == "cancel":
                answer = ask(replace(cancellation(uuid, item_id), partner=partner))
            else:
                answer = ask(Request("DELETE", f"orders/{uuid}", partner=partner))
        else:
            continue
        if answer is not None:
            answers[f"{what} {answer.status}"] += 1
        time.sleep(max(0.0, 1 / _A_SECOND - (time.monotonic() - began)))
    return answers


def follow(load: Load, _: int) -> Counter[str]:
    """The streams and the sweep, as Lambda runs them; the sweep every second."""
    system, swept = _use(load), Counter[str]()
    with streams_of(load.prefix, load.url, idle_for=0.1) as pump:
        pump.drain()
        pump.start()
        Path(load.ready).touch()
        while not load.is_over:
            swept.update(system.sweep())
            time.sleep(1)
        pump.stop()
        pump.drain()
    return swept


def _do(load: Load, number: int) -> Counter[str]:
    return follow(load, number) if number == 0 else book(load, number)


@contextmanager
def under_load(installation: Installation, workers: int = WORKERS) -> Iterator[list[Counter[str]]]:
    """Within it Brokers are at work. At the end the list has what each of them was answered."""
    assert installation.url
    sessions = tuple(installation.session(spaces) for spaces in (3, 10, 50, 200, 1000))
    answers: list[Counter[str]] = []
    with tempfile.TemporaryDirectory() as folder, Crew(workers + 1) as crew:
        files = (str(Path(folder) / name) for name in ("ready", "stop"))
        load = Load(installation.prefix, installation.url, sessions, *files)
        thread = threading.Thread(
            target=lambda: answers.extend(crew.run(_do, [(load, number) for number in range(workers + 1)]))
        )
        thread.start()
        # Processes take seconds to start; until then no process reads the streams, and a check reports that.
        while not Path(load.ready).exists() and thread.is_alive():
            time.sleep(0.1)
        try:
            yield answers
        finally:
            Path(load.stop).touch()
            thread.join()


def check(installation: Installation, pause_seconds: float = PAUSE_SECONDS) -> Report:
    """One check from this process, which does nothing else."""
    return Upkeep(installation.system()).check(pause_seconds, parts=2).run()


def plant(installation: Installation) -> None:
    """An Order that holds a space is lost, and a space elsewhere."""
    tables = installation.tables
    session = installation.session(10)
    uuid = new_uuid()
    assert ask(booking(uuid, session)).status == 201
    tables.orders.get(f"partner-1#{uuid}").delete()
    other = installation.session(10)
    tables.capacity(other.id, "capacity").update([tables.capacity.spaces_left.add(-1)])


def fill(installation: Installation, orders: int) -> None:
    """Orders of ten partners on sessions of 50 places; each tenth has changed and is in its feed.

    The rows are those of one Order that was booked, under other keys: to book each would take an hour.
    """
    tables = installation.tables
    for start in range(0, orders, _ON_ONE_SESSION):
        session, uuid = installation.session(_ON_ONE_SESSION + 1), new_uuid()
        assert ask(booking(uuid, session)).status == 201
        booked = installation.order(uuid)
        assert isinstance(booked, Order)
        count = min(_ON_ONE_SESSION, orders - start)
        keys = [OrderKey(f"partner-{number % 10}", new_uuid()) for number in range(count)]
        made = [replace(booked, key=key, published=n % 10 == 0) for n, key in enumerate(keys)]
        hold = booked.holds()[session.id]
        client = tables.connection.client
        write_rows(client, ((tables.name("orders"), order_row(order)) for order in made))
        inventory = tables.name("inventory")
        write_rows(client, ((inventory, hold_row(session.id, order.key, hold)) for order in made))
        capacity = tables.capacity
        capacity(session.id, CAPACITY).update([capacity.spaces_left.add(-count), capacity.version.add(1)])


def main() -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto is too slow for a load.")
        return 2
    wrong = False
    for first in range(0, RUNS, _ON_ONE_INSTALLATION):
        with engines.running_engine() as url:
            wrong |= _beside_load(Installation(f"check-{first}", url), first)
    with engines.running_engine() as url:
        many = Installation("many", url)
        many.create()
        fill(many, ORDERS)
        with streams_of("many", url) as pump:
            pump.drain()
        began = time.perf_counter()
        report = check(many)
        seconds = time.perf_counter() - began
        wrong |= not report.is_clean
        print(f"One check of {dict(report.looked_at)}: {seconds:.0f} s, {len(report.findings)} findings")
        many.close()
    print("Something was wrong." if wrong else "Nothing was found but what was planted.")
    return 1 if wrong else 0


def _beside_load(installation: Installation, first: int) -> bool:
    """Some checks, and one of planted damage; whether anything was wrong."""
    wrong = False
    installation.create()
    with under_load(installation) as answers:
        for number in range(first, first + _ON_ONE_INSTALLATION):
            began = time.perf_counter()
            report = check(installation)
            wrong |= not report.is_clean
            print(
                f"{number + 1}: {dict(report.looked_at)}, {len(report.findings)} findings, "
                f"{len(report.restless)} never at rest, {time.perf_counter() - began:.1f} s",
                *report.findings[:5],
                sep="\n  ",
                flush=True,
            )
        plant(installation)
        planted = check(installation)
        found = sorted(str(finding.damage) for finding in planted.findings)
        print("Planted beside the load:", found, flush=True)
    print("Answered:", *answers, sep="\n  ", flush=True)
    installation.close()
    return wrong or found != ["hold-without-order", "spaces-do-not-add-up"]


if __name__ == "__main__":
    sys.exit(main())
