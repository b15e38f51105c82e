"""Race tests: many processes send requests at once. Checks the answers and the store afterwards.

In `python -m bench.race`, 20 processes book the last 5 spaces of a session at once, 20 times.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any

from bench.crew import Crew, meet
from bench.installation import Answer, Installation, Request, ask, booking, new_uuid, quote
from chalicelib.booking.decisions import Change
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import ANONYMOUS_PREFIX, SHARE_PREFIX, Tables
from chalicelib.values import dataclass
from tests.support import engines
from tests.support.inventory import Bookable

RACERS = 20
SPACES = 5
FULL = {"OpportunityIsFullError", "OpportunityHasInsufficientCapacityError"}


class TogetherStore(DynamoStore):
    """Waits for the other processes before the first commit of a request: all have read, none has written."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.has_met = False

    def commit(self, changes: Sequence[Change]) -> None:
        if not self.has_met:
            self.has_met = True
            meet()
        super().commit(changes)


@dataclass(frozen=True)
class Run:
    """The request of one process, with its own clock if `now` is set.

    If `together`, no process writes before all have read. If not `guarded`, spaces are taken even if there
    are not enough, or leased beyond the limits of the partner: the positive control.
    """

    prefix: str
    url: str
    request: Request | None
    now: datetime | None = None
    together: bool = False
    guarded: bool = True


def race(crew: Crew, runs: Sequence[Run]) -> list[Answer]:
    """The answers of all runs, which start at the same moment. Processes without a run only call `meet`."""
    idle = Run(runs[0].prefix, runs[0].url, None, together=runs[0].together)
    all_runs = [*runs, *[idle] * (crew.size - len(runs))]
    # Opening a client takes so long that the first process would lose its time for retries while it waits.
    crew.run(_connect, [(idle.prefix, idle.url)] * crew.size)
    answers = crew.run(_run, [(each,) for each in all_runs])
    return [answer for answer in answers if answer is not None]


def _run(run: Run) -> Answer | None:
    if run.request is None:
        if run.together:
            meet()
        return None
    installation = _installation(run.prefix, run.url)
    installation.fixed_time = run.now
    system, together = installation.system(), TogetherStore(installation.tables)
    if run.together:
        system.store = together
    install(system)
    with nullcontext() if run.guarded else _without_guard(installation):
        answer = ask(run.request)
    if run.together and not together.has_met:
        raise RuntimeError(f"A request wrote nothing: {answer.status} {answer.body}")
    return answer


@lru_cache
def _installation(prefix: str, url: str) -> Installation:
    """One installation for each process."""
    installation = Installation(prefix, url)
    installation.store.seller("unknown")
    return installation


def _connect(prefix: str, url: str) -> None:
    _installation(prefix, url)


@contextmanager
def _without_guard(installation: Installation) -> Iterator[None]:
    events = installation.tables.connection.client.meta.events
    commits = "before-parameter-build.dynamodb.TransactWriteItems"
    events.register_first(commits, _drop_guard)
    try:
        yield
    finally:
        events.unregister(commits, _drop_guard)


def _drop_guard(params: dict[str, Any], **_: Any) -> None:
    """Make the condition `spaces_left >= n` always true, and those on the shares of the partner.

    The rest of the transaction is unchanged.
    """
    for action in params["TransactItems"]:
        update = action.get("Update", {})
        names = update.get("ExpressionAttributeNames", {})
        for name, attribute in names.items():
            is_share = attribute.startswith((SHARE_PREFIX, ANONYMOUS_PREFIX))
            guard = f"{name} <= " if is_share else f"{name} >= "
            if is_share or attribute == "spaces_left":
                never_false = f"attribute_exists ({name}) OR {guard}"
                condition = update["ConditionExpression"]
                assert guard in condition
                update["ConditionExpression"] = condition.replace(guard, never_false)


@dataclass(frozen=True)
class Outcome:
    """The result of a race for spaces."""

    sold: int
    refused: int
    others: tuple[Answer, ...]
    spaces_total: int
    spaces_left: int
    held: int

    @property
    def is_right(self) -> bool:
        return (
            self.sold == self.spaces_total
            and not self.others
            and self.spaces_left == 0
            and self.spaces_total == self.spaces_left + self.held
        )

    def __str__(self) -> str:
        return (
            f"{self.sold} sold, {self.refused} refused as full, {len(self.others)} others; "
            f"total {self.spaces_total} = left {self.spaces_left} + held {self.held}"
        )


def race_for_spaces(
    crew: Crew, installation: Installation, *, together: bool, guarded: bool = True
) -> Outcome:
    """Every process of the crew books one of the last spaces of a session, each as another Broker."""
    assert installation.url
    session = installation.session(SPACES)
    requests = [booking(new_uuid(), session, f"partner-{number}") for number in range(crew.size)]
    runs = [
        Run(installation.prefix, installation.url, request, installation.fixed_time, together, guarded)
        for request in requests
    ]
    return outcome(installation, session, race(crew, runs))


def race_for_leases(
    crew: Crew, installation: Installation, *, together: bool, guarded: bool = True
) -> tuple[int, int]:
    """Every process leases a space of a session at C1, all as one Broker: how many got a lease, and are held."""
    assert installation.url
    session = installation.session(2 * crew.size)
    requests = [quote(new_uuid(), session, customer=False) for _ in range(crew.size)]
    runs = [
        Run(installation.prefix, installation.url, request, installation.fixed_time, together, guarded)
        for request in requests
    ]
    answers = race(crew, runs)
    if others := [answer for answer in answers if answer.status != 200]:
        raise RuntimeError(f"{others[0].status} {others[0].body}")
    return sum("lease" in answer.json for answer in answers), installation.held(session)


def outcome(installation: Installation, session: Bookable, answers: Sequence[Answer]) -> Outcome:
    sold = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status == 409 and is_refused_as_full(answer)]
    capacity = installation.capacity(session)
    return Outcome(
        sold=len(sold),
        refused=len(refused),
        others=tuple(answer for answer in answers if answer not in sold and answer not in refused),
        spaces_total=capacity.spaces_total,
        spaces_left=capacity.spaces_left,
        held=installation.held(session),
    )


def is_refused_as_full(answer: Answer) -> bool:
    """Whether an item was refused because too few spaces are left."""
    return "orderedItem" in answer.json and bool(FULL.intersection(answer.item_errors()))


def main(rounds: int = 20) -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto cannot test races.")
        return 2
    wrong = 0
    with engines.running_engine() as url, Crew(RACERS) as crew:
        installation = Installation("race", url)
        installation.create()
        for number in range(1, rounds + 1):
            together = number % 2 == 1
            ended = race_for_spaces(crew, installation, together=together)
            wrong += not ended.is_right
            how = "all read before any writes" if together else "any order"
            print(f"round {number:2}  {ended}  ({how})  {'right' if ended.is_right else 'WRONG'}", flush=True)
        control = race_for_spaces(crew, installation, together=True, guarded=False)
        wrong += control.sold <= SPACES
        print(f"without the condition on spaces  {control}")
        installation.close()
    print("Never oversold." if not wrong else f"{wrong} rounds were wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
