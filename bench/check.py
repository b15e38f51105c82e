"""Checks a system while it books, cancels, leases and deletes: without damage, the check finds nothing.

`python -m bench.check` runs 50 checks under the load of three processes, then adds damage and finds it under the
same load, and then measures one check of 10,000 orders.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bench.crew import Crew
from bench.installation import Answer, Installation, Request, ask, booking, cancellation, new_uuid, quote
from chalicelib.runtime.system import System, install
from chalicelib.runtime.upkeep import Upkeep
from chalicelib.services.checking.check import Report
from tests.support import engines
from tests.support.inventory import Bookable
from tests.support.streams import streams_of

RUNS = 50
ORDERS = 10_000
WORKERS = 3
# On a machine with two cores the streams are one or two seconds behind.
PAUSE_SECONDS = 6.0
# The requests of each worker in a second. With more, the local streams can never catch up.
_A_SECOND = 5
_LEASED_FOR = 7


@dataclass(frozen=True)
class Load:
    """What every process needs. They continue until the file `stop` exists."""

    prefix: str
    url: str
    sessions: tuple[Bookable, ...]
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
    """One Broker that books, cancels, leases and deletes. Returns its answers, counted."""
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
        pump.start()
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
    """A context in which Brokers send requests. At the end the list contains the answers of each."""
    assert installation.url
    sessions = tuple(installation.session(spaces) for spaces in (3, 10, 50, 200, 1000))
    answers: list[Counter[str]] = []
    with tempfile.TemporaryDirectory() as folder, Crew(workers + 1) as crew:
        load = Load(installation.prefix, installation.url, sessions, str(Path(folder) / "stop"))
        thread = threading.Thread(
            target=lambda: answers.extend(crew.run(_do, [(load, number) for number in range(workers + 1)]))
        )
        thread.start()
        try:
            yield answers
        finally:
            Path(load.stop).touch()
            thread.join()


def check(installation: Installation, pause_seconds: float = PAUSE_SECONDS) -> Report:
    """One check, run in this process."""
    return Upkeep(installation.system()).check(pause_seconds, parts=2).run()


def plant(installation: Installation) -> None:
    """Add damage: delete an Order that holds a space, and lose a space of another session."""
    tables = installation.tables
    session = installation.session(10)
    uuid = new_uuid()
    assert ask(booking(uuid, session)).status == 201
    tables.orders.get(f"partner-1#{uuid}").delete()
    other = installation.session(10)
    tables.capacity(other.id, "capacity").update([tables.capacity.spaces_left.add(-1)])


def fill(installation: Installation, orders: int) -> None:
    """Book Orders of ten partners, 50 for each session, and cancel every tenth."""
    sessions = [installation.session(100) for _ in range(max(1, orders // 50))]
    for number in range(orders):
        partner, uuid = f"partner-{number % 10}", new_uuid()
        answer = ask(booking(uuid, sessions[number % len(sessions)], partner))
        assert answer.status == 201, answer.body
        if number % 10 == 0:
            item_id = answer.json["orderedItem"][0]["@id"]
            assert ask(replace(cancellation(uuid, item_id), partner=partner)).status == 204


def main() -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto is too slow for this load.")
        return 2
    wrong = False
    with engines.running_engine() as url:
        installation = Installation("check", url)
        installation.create()
        with under_load(installation) as answers:
            for number in range(RUNS):
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
            print("Added under load:", found, flush=True)
            wrong |= found != ["hold-without-order", "spaces-do-not-add-up"]
        print("Answered:", *answers, sep="\n  ", flush=True)
        installation.close()
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
    print("A check was wrong." if wrong else "The checks found exactly the damage that was added.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
