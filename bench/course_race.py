"""Races for the last places of a course whose sessions are also sold singly, and for those sessions.

In `python -m bench.course_race`, 20 processes book at once, half of them the course, 20 times; each time all of them then
cancel at once. After that, processes that book and cancel are killed 20 times.
"""

import multiprocessing
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bench.crew import Crew
from bench.installation import Answer, Installation, Request, ask, booking, cancellation, new_uuid
from bench.race import RACERS, Run, is_refused_as_full, race
from chalicelib.runtime.system import install
from chalicelib.services.checking.inventory import InventoryLook
from chalicelib.values import dataclass, replace
from tests.support import engines
from tests.support.inventory import Bookable

# Of the course, and of each of its sessions.
COURSE, SESSIONS = 7, (6, 5)
KILLS = 20
_ENDS_WITHIN = 120


@dataclass(frozen=True)
class CourseOutcome:
    """The result of a race: `sold` and `refused` by what was booked, the course first; the counters then.

    `after` are the spaces left once all have cancelled.
    """

    sold: tuple[int, ...]
    refused: tuple[int, ...]
    others: tuple[Answer, ...]
    totals: tuple[int, ...]
    left: tuple[int, ...]
    held: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def taken(self) -> tuple[int, ...]:
        """The spaces that the answers promise of each: a place in the course is one in each session."""
        course, *sessions = self.sold
        return (course, *(course + singly for singly in sessions))

    @property
    def is_oversold(self) -> bool:
        return any(taken > total for taken, total in zip(self.taken, self.totals, strict=True))

    @property
    def is_right(self) -> bool:
        """Nothing is oversold, each refusal was right, each promise is held, and cancellations give all back."""
        course_refused, *sessions_refused = self.refused
        are_refusals_right = (not course_refused or min(self.left) == 0) and all(
            not refused or left == 0 for refused, left in zip(sessions_refused, self.left[1:], strict=True)
        )
        return (
            not self.others
            and not self.is_oversold
            and are_refusals_right
            and self.taken == self.held
            and all(a == b + c for a, b, c in zip(self.totals, self.left, self.held, strict=True))
            and self.after == self.totals
        )

    def __str__(self) -> str:
        return (
            f"sold {self.sold}, refused {self.refused}, {len(self.others)} others; totals {self.totals} = "
            f"left {self.left} + held {self.held}; left after all cancelled {self.after}"
        )


def race_for_course(
    crew: Crew, installation: Installation, *, together: bool, guarded: bool = True
) -> CourseOutcome:
    """Half of the crew books the course, the others its sessions, each as another Broker; then all cancel at once."""
    assert installation.url
    bookables = installation.course(COURSE, SESSIONS)
    wanted = [0 if n % 2 == 0 else 1 + n // 2 % len(SESSIONS) for n in range(crew.size)]
    run = Run(installation.prefix, installation.url, None, installation.fixed_time, together, guarded)
    uuids = [new_uuid() for _ in wanted]
    requests = [
        booking(uuid, bookables[which], f"partner-{n}")
        for n, (uuid, which) in enumerate(zip(uuids, wanted, strict=True))
    ]
    answers = race(crew, [replace(run, request=request) for request in requests])
    sold = [answer.status == 201 for answer in answers]
    full = [answer.status == 409 and is_refused_as_full(answer) for answer in answers]
    left, held = _left(installation, bookables), tuple(map(installation.held, bookables))
    cancellations = [
        replace(cancellation(uuid, answer.json["orderedItem"][0]["@id"]), partner=f"partner-{n}")
        for n, (uuid, answer, is_sold) in enumerate(zip(uuids, answers, sold, strict=True))
        if is_sold
    ]
    cancelled = race(
        crew, [replace(run, request=each, together=False, guarded=True) for each in cancellations]
    )
    return CourseOutcome(
        sold=_by_kind(wanted, sold),
        refused=_by_kind(wanted, full),
        others=(
            *(a for a, is_sold, is_full in zip(answers, sold, full, strict=True) if not (is_sold or is_full)),
            *(answer for answer in cancelled if answer.status != 204),
        ),
        totals=(COURSE, *SESSIONS),
        left=left,
        held=held,
        after=_left(installation, bookables),
    )


def _by_kind(wanted: Sequence[int], counted: Sequence[bool]) -> tuple[int, ...]:
    numbers = Counter(which for which, counts in zip(wanted, counted, strict=True) if counts)
    return tuple(numbers[which] for which in range(1 + len(SESSIONS)))


def _left(installation: Installation, bookables: Sequence[Bookable]) -> tuple[int, ...]:
    return tuple(installation.capacity(each).spaces_left for each in bookables)


# --- kills ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class KilledOutcome:
    """After so many processes were killed while they booked and cancelled: what a check finds, and what is left.

    `orders` are the Orders that have places. `after`: the spaces left once each of these is cancelled.
    """

    kills: int
    orders: int
    findings: tuple[str, ...]
    totals: tuple[int, ...]
    left: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def is_right(self) -> bool:
        return not self.findings and self.after == self.totals

    def __str__(self) -> str:
        return (
            f"{self.kills} killed, {self.orders} orders, {len(self.findings)} findings; totals {self.totals}, left "
            f"{self.left}, and {self.after} after all cancelled"
        )


def kill_bookings(installation: Installation, kills: int, seed: int = 1) -> KilledOutcome:
    """Processes book the course and its sessions and cancel half of it, and are killed at random moments, two at a time."""
    chance, bookables = random.Random(seed), installation.course(1000, (1000, 900))
    context = multiprocessing.get_context("forkserver")
    killed, delay = 0, 0.2
    while killed < kills:
        processes = [
            context.Process(
                target=_book_and_cancel,
                args=(
                    installation.prefix,
                    installation.url,
                    installation.fixed_time,
                    bookables,
                    chance.random(),
                ),
                daemon=True,
            )
            for _ in range(2)
        ]
        for process in processes:
            process.start()
        _until_something_is_booked(installation, bookables, processes)
        for process in processes:
            process.join(chance.uniform(0, delay))
            process.kill()
            process.join(_ENDS_WITHIN)
            killed += process.exitcode == -signal.SIGKILL
            process.close()
    ids = [each.id for each in bookables]
    look = InventoryLook(installation.store, installation.now())
    findings = tuple(str(finding) for finding in look.opportunities(ids))
    left = _left(installation, bookables)
    orders = {key for each in ids for key in installation.store.holds(each)}
    install(installation.system())
    for key in orders:
        shown = ask(Request("GET", f"orders/{key.uuid}", partner=key.partner_id)).json
        ask(replace(cancellation(key.uuid, shown["orderedItem"][0]["@id"]), partner=key.partner_id))
    return KilledOutcome(
        killed, len(orders), findings, (1000, 1000, 900), left, _left(installation, bookables)
    )


def _until_something_is_booked(
    installation: Installation, bookables: Sequence[Bookable], processes: Sequence[Any]
) -> None:
    """Until the processes are at work: forks that are still starting would be killed for nothing."""
    before = _versions(installation, bookables)
    while _versions(installation, bookables) == before:
        if not all(process.is_alive() for process in processes):
            raise RuntimeError("A process ended before it was killed.")


def _versions(installation: Installation, bookables: Sequence[Bookable]) -> tuple[int, ...]:
    return tuple(installation.capacity(each).version for each in bookables)


def _book_and_cancel(
    prefix: str, url: str | None, now: datetime | None, bookables: Sequence[Bookable], seed: float
) -> None:
    """Book and cancel until killed."""
    installation, chance = Installation(prefix, url, now), random.Random(seed)
    install(installation.system())
    while True:
        uuid, which = new_uuid(), chance.choice(bookables)
        booked = ask(booking(uuid, which))
        if booked.status != 201:
            raise RuntimeError(f"{booked.status} {booked.body}")
        if chance.random() < 0.5:
            ask(cancellation(uuid, booked.json["orderedItem"][0]["@id"]))


def main(rounds: int = 20) -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto cannot test races.")
        return 2
    wrong = 0
    with engines.running_engine() as url:
        installation = Installation("course-race", url)
        installation.create()
        with Crew(RACERS) as crew:
            for number in range(1, rounds + 1):
                together = number % 2 == 1
                ended = race_for_course(crew, installation, together=together)
                wrong += not ended.is_right
                how = "all read before any writes" if together else "any order"
                print(
                    f"round {number:2}  {ended}  ({how})  {'right' if ended.is_right else 'WRONG'}",
                    flush=True,
                )
            control = race_for_course(crew, installation, together=True, guarded=False)
            wrong += not control.is_oversold
            print(f"without the condition on spaces  {control}")
        killed = kill_bookings(installation, KILLS)
        wrong += not killed.is_right
        print(f"{killed}  {'right' if killed.is_right else 'WRONG'}")
        installation.close()
    print("Never oversold." if not wrong else f"{wrong} rounds were wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
