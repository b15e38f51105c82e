"""Measures the time to apply a change to all Orders on one session, and the bookings per second of one session.

`python -m bench.holders` moves and cancels a session with 10,000 Orders. Then one process, and several, book one
session. It prints the figures for docs/scale.md.
"""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from bench.crew import Crew, meet
from bench.installation import Installation, ask, booking, new_uuid
from chalicelib.booking.decisions import MoveHold, SaveOrder, Wanted
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, with_logistics
from tests.support import engines
from tests.support.inventory import Bookable

HOLDERS = 10_000
BOOKINGS = 100
_TOGETHER = 20


def fill(installation: Installation, session: Bookable, holders: int) -> None:
    """Book one Order and copy it, several copies in a transaction."""
    store = installation.store
    uuid = new_uuid()
    assert ask(booking(uuid, session)).status == 201
    first = store.snapshot(Wanted(OrderKey("partner-1", uuid))).order
    assert isinstance(first, Order)
    hold = Hold(1, HoldState.booked)
    for number in range(holders - 1):
        order = replace(first, key=OrderKey(f"partner-{number % 5}", new_uuid()))
        store.commit([SaveOrder(order, None), MoveHold(session.id, order.key, None, hold)])


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """The result of the call, and the seconds that it took."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def followed(installation: Installation, holders: int) -> dict[str, float]:
    """Seconds to apply a move, and then a cancellation, to all Orders on one session."""
    system = installation.system()
    session = installation.session(2 * holders)
    fill(installation, session, holders)

    def moved() -> int:
        system.inventory.change(
            session.id,
            lambda known: with_logistics(
                known, Logistics(starts_at=known.starts_at + timedelta(hours=1) if known.starts_at else None)
            ),
        )
        return system.worker.finish(following.KIND, session.id)

    def cancelled() -> int:
        system.inventory.cancel(session.id)
        return system.worker.finish(following.KIND, session.id)

    seconds = {}
    for name, work in (("moved", moved), ("cancelled", cancelled)):
        reached, seconds[name] = timed(work)
        assert reached == holders, (name, reached)
    assert installation.held(session) == 0
    return seconds


def sold(crew: Crew, installation: Installation, bookings: int) -> tuple[float, float, int]:
    """Bookings per second of one session, by one process and by a crew, and the number of lost races."""
    session = installation.session(bookings * (crew.size + 1))
    install(installation.system())
    _, alone = timed(lambda: sum(ask(booking(new_uuid(), session)).status == 201 for _ in range(bookings)))
    part = partial(_sell, installation.prefix, installation.url or "", session, bookings // crew.size)
    results = crew.run(_do, [(part,) for _ in range(crew.size)])
    together = sum(count for count, _, _ in results) / max(seconds for _, seconds, _ in results)
    return bookings / alone, together, sum(lost for _, _, lost in results)


def _sell(prefix: str, url: str, session: Bookable, bookings: int) -> tuple[int, float, int]:
    installation = Installation(prefix, url)
    system = installation.system()
    lost = 0
    pause = system.retry.pause

    def counted(seconds: float) -> None:
        nonlocal lost
        lost += 1
        pause(seconds)

    system.retry = replace(system.retry, pause=counted)
    install(system)
    meet()
    count, seconds = timed(
        lambda: sum(ask(booking(new_uuid(), session)).status == 201 for _ in range(bookings))
    )
    return count, seconds, lost


def _do(part: Callable[[], Any]) -> Any:
    return part()


def main() -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto's times are meaningless.")
        return 2
    holders = int(sys.argv[1]) if len(sys.argv) > 1 else HOLDERS
    with engines.running_engine() as url, Crew(4) as crew:
        installation = Installation("holders", url)
        installation.create(streams=False)  # Dynoxide scans all records of a stream for each write
        for name, seconds in followed(installation, holders).items():
            print(
                f"{holders} holders, {name}: {seconds:.0f} s, {holders / seconds:.0f} per second", flush=True
            )
        alone, together, lost = sold(crew, installation, BOOKINGS)
        print(
            f"One session: {alone:.0f} bookings per second by one process, {together:.0f} by four, {lost} retries"
        )
        installation.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
