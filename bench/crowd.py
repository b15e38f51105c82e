"""A Seller cancels a session with many Orders while Brokers continue to book it: all Orders must be cancelled.

`python -m bench.crowd` does this with 1,000 Orders and 20 Brokers, each in its process; then again, and kills
the process that applies the cancellation half-way; then, as the control, with fewer Orders and without the
condition that the session still has the revision that a booking was priced at.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import app
from bench.crew import Crew, meet
from bench.installation import Answer, Installation, ask, booking, new_uuid
from chalicelib.booking.decisions import Change, MoveHold, SaveOrder
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.names import orders_feed
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.storage.dynamodb.rows import read_order
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.values import dataclass, field, replace
from openbooking.local.delivery import DeadLetters
from openbooking.local.engine import dynamodb_client, streams_client
from openbooking.local.pump import Pump, StreamPump
from openbooking.local.streams import Positions, StreamReader
from tests.support import engines
from tests.support.inventory import Bookable

ORDERS = 1000
BROKERS = 20
MESSAGE = "The hall is flooded."

# The number of places that each Broker books before the Seller cancels, and the number of refusals after which it
# stops.
_BEFORE, _REFUSALS = 3, 10
# The maximum time in seconds to apply a change while Brokers use the same two cores.
_FOLLOWED_WITHIN = 280


@dataclass(frozen=True)
class Place:
    """A session, and the tables that contain it."""

    prefix: str
    url: str
    session: Bookable


@dataclass
class Tried:
    """The answers that Brokers got: their Orders, the number of refusals, and all other answers."""

    booked: list[OrderKey] = field(default_factory=list)
    refused: int = 0
    others: list[str] = field(default_factory=list)

    def book(self, place: Place, partner: str) -> bool:
        """Book one place. Returns whether this succeeded."""
        uuid = new_uuid()
        answer = ask(booking(uuid, place.session, partner))
        if answer.status == 201:
            self.booked.append(OrderKey(partner, uuid))
        elif is_cancelled(answer):
            self.refused += 1
        else:
            self.others.append(f"{answer.status} {answer.body}")
        return answer.status == 201


def is_cancelled(answer: Answer) -> bool:
    return answer.status == 409 and answer.item_errors() == ["OpportunityOfferPairNotBookableError"]


# --- the processes ------------------------------------------------------------------


def _fill(place: Place, partner: str, count: int) -> Tried:
    _use(place)
    tried = Tried()
    for _ in range(count):
        tried.book(place, partner)
    return tried


def _keep_booking(place: Place, partner: str) -> Tried:
    """A Broker that books before and during the cancellation, and while it is applied to the Orders."""
    _use(place)
    tried = Tried()
    for _ in range(_BEFORE):
        tried.book(place, partner)
    meet()
    while tried.refused < _REFUSALS:
        tried.book(place, partner)
    meet(_FOLLOWED_WITHIN)
    return tried


def _come_late(place: Place, partner: str, *, guarded: bool) -> Tried:
    """A Broker whose booking is decided before the cancellation, and written after it was applied."""
    installation = _use(place)
    system, late = installation.system(), LateStore(installation, guarded)
    system.store = late
    system.retry = replace(system.retry, gives_up_after=2 * _FOLLOWED_WITHIN)
    install(system)
    tried = Tried()
    tried.book(place, partner)
    return tried


class LateStore(DynamoStore):
    """Its first commit waits until the cancellation has been applied to all Orders.

    If not `guarded`, it takes spaces without the condition on the revision.
    """

    def __init__(self, installation: Installation, guarded: bool) -> None:
        super().__init__(installation.tables)
        self._guarded, self._has_waited = guarded, False

    def commit(self, changes: Sequence[Change]) -> None:
        if not self._has_waited:
            self._has_waited = True
            meet()
            meet(_FOLLOWED_WITHIN)
        if not self._guarded:
            changes = [
                replace(each, revision=None) if isinstance(each, MoveHold) else each for each in changes
            ]
        super().commit(changes)


@dataclass(frozen=True)
class Followed:
    """The number of Orders changed by the killed process and by the one that finished, and the time in seconds."""

    before_the_kill: int
    after: int
    seconds: float


def _cancel(place: Place, *, killed_after: int | None) -> Followed:
    """The Seller cancels. A separate process applies the change; it is killed after so many Orders."""
    inventory = _use(place).system().inventory
    with _follower(place, killed_after) as first:
        meet()  # every Broker is booking
        began = time.perf_counter()
        inventory.cancel(place.session.id, MESSAGE)
        changed = _lead(first, killed_after)
    if killed_after is None:
        followed = Followed(0, changed, time.perf_counter() - began)
    elif first.returncode != -signal.SIGKILL or (
        inventory.pending.entry(following.KIND, place.session.id) is None
    ):
        raise RuntimeError("The change was applied completely before the process was killed.")
    else:
        with _follower(place) as second:
            rest = _lead(second)
        followed = Followed(changed, rest, time.perf_counter() - began)
    meet(_FOLLOWED_WITHIN)
    return followed


def _follower(place: Place, waits_after: int | None = None) -> subprocess.Popen[str]:
    """A process that applies the change. It waits for a line of input before it starts and after so many Orders."""
    code = "import sys; from bench import crowd; crowd.follow(*sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, place.prefix, place.url, place.session.id, str(waits_after or 0)],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _lead(process: subprocess.Popen[str], killed_after: int | None = None) -> int:
    """Start the process. Returns the number of Orders it has changed when it ends or is killed."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    changed = 0
    for changed in map(int, process.stdout):
        if killed_after is not None and changed >= killed_after:
            process.kill()
            break
    process.wait()
    if killed_after is None and process.returncode != 0:
        raise RuntimeError(f"The process that applies the change ended with {process.returncode}.")
    return changed


def follow(prefix: str, url: str, opportunity_id: str, waits_after: str) -> None:
    """Apply the change in this process, and print the number of changed Orders after each."""
    installation = Installation(prefix, url)
    system = installation.system()
    changed, one_at_a_time = 0, threading.Lock()

    class Counting(DynamoStore):
        def commit(self, changes: Sequence[Change]) -> None:
            nonlocal changed
            with one_at_a_time:  # threads commit several Orders each
                super().commit(changes)
                changed += sum(isinstance(change, SaveOrder) for change in changes)
                print(changed, flush=True)
                if 0 < int(waits_after) <= changed:
                    sys.stdin.readline()  # wait here to be killed

    store = Counting(installation.tables)
    store.seller("unknown")  # opens the client
    print("ready", flush=True)
    sys.stdin.readline()
    system.store = store
    system.worker.finish(following.KIND, opportunity_id)


def _use(place: Place) -> Installation:
    """The installation of this process, installed in the app."""
    installation = _installation(place.prefix, place.url)
    install(installation.system())
    return installation


@lru_cache
def _installation(prefix: str, url: str) -> Installation:
    return Installation(prefix, url)


# --- the outcome ------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The state at the end. Orders are counted in their table, independent of the answers to Brokers."""

    tried: Tried
    followed: Followed
    orders: int
    confirmed: int
    not_in_the_feed: int
    changed_twice: int
    spaces_total: int
    spaces_left: int
    held: int

    @property
    def is_right(self) -> bool:
        return (
            not self.tried.others
            and self.tried.refused > 0
            and self.orders == len(self.tried.booked) == self.followed.before_the_kill + self.followed.after
            and self.confirmed == self.not_in_the_feed == self.changed_twice == self.held == 0
            and self.spaces_total == self.spaces_left + self.held
        )

    def __str__(self) -> str:
        first, rest = self.followed.before_the_kill, self.followed.after
        return (
            f"{self.orders} orders, {self.tried.refused} bookings refused, {len(self.tried.others)} others; "
            f"changed by the process that was killed {first}, by the one that finished {rest}, "
            f"in {self.followed.seconds:.0f} s; "
            f"still confirmed {self.confirmed}, not in their feed as cancelled {self.not_in_the_feed}, "
            f"changed more than once {self.changed_twice}; "
            f"total {self.spaces_total} = left {self.spaces_left} + held {self.held}"
        )


def crowd(
    crew: Crew, installation: Installation, orders: int, *, killed: bool = False, guarded: bool = True
) -> Outcome:
    """One run with a crew of Brokers and one Seller. A third of the Brokers writes late."""
    assert installation.url
    place = Place(installation.prefix, installation.url, installation.session(10 * orders))
    partners = [f"partner-{number}" for number in range(crew.size - 1)]
    share, rest = divmod(orders, crew.size)
    filled: list[Tried] = crew.run(
        _do,
        [(partial(_fill, place, (*partners, partners[0])[n], share + (n < rest)),) for n in range(crew.size)],
    )
    late = len(partners) // 3
    parts: list[Callable[[], Any]] = [
        *(partial(_come_late, place, partner, guarded=guarded) for partner in partners[:late]),
        *(partial(_keep_booking, place, partner) for partner in partners[late:]),
        partial(_cancel, place, killed_after=orders // 2 if killed else None),
    ]
    *rushed, followed = crew.run(_do, [(part,) for part in parts])
    drain(installation)
    return _outcome(installation, place, [*filled, *rushed], followed)


def _do(part: Callable[[], Any]) -> Any:
    return part()


def drain(installation: Installation) -> None:
    """Deliver the stream of Orders to its handler, as Lambda does."""
    assert installation.url
    install(installation.system())
    clients = dynamodb_client(installation.url), streams_client(installation.url)
    reader = StreamReader(*clients, installation.tables.name("orders"), Positions())
    Pump([StreamPump("orders_stream", reader, app.orders_stream, dead_letters=DeadLetters(None))]).drain()
    for client in clients:
        client.close()


def _outcome(installation: Installation, place: Place, tries: Sequence[Tried], followed: Followed) -> Outcome:
    stored = {order.key: order for order in stored_orders(installation)}
    shown = Counter[OrderKey]()
    in_feed = set()
    for partner in {key.partner_id for key in stored}:
        for item in feed_items(installation, orders_feed(partner)):
            key = OrderKey(partner, item["id"])
            shown[key] += 1
            if item["state"] == "updated" and _says_why(item["data"]):
                in_feed.add(key)
    capacity = installation.capacity(place.session)
    return Outcome(
        tried=Tried(
            [key for each in tries for key in each.booked],
            sum(each.refused for each in tries),
            [other for each in tries for other in each.others],
        ),
        followed=followed,
        orders=len(stored),
        confirmed=sum(
            any(item.status is not OrderItemStatus.SellerCancelled for item in order.items)
            for order in stored.values()
        ),
        not_in_the_feed=len(set(stored) - in_feed),
        # B is version 1, and the cancellation is version 2.
        changed_twice=sum(shown[key] > 1 or order.version > 2 for key, order in stored.items()),
        spaces_total=capacity.spaces_total,
        spaces_left=capacity.spaces_left,
        held=installation.held(place.session),
    )


def stored_orders(installation: Installation) -> Iterator[Order]:
    for row in installation.tables.orders.scan(consistent_read=True):
        order = read_order(row.to_dynamodb_dict())
        assert isinstance(order, Order)
        yield order


def feed_items(installation: Installation, feed_id: str) -> Iterator[dict[str, Any]]:
    system, after, more = installation.system(), 0, True
    while more:
        page = system.feeds.page(feed_id, after, 200, system.clock())
        yield from map(json.loads, page.items)
        after, more = page.last or after, page.more


def _says_why(order: dict[str, Any]) -> bool:
    status = f"https://openactive.io/{OrderItemStatus.SellerCancelled}"
    return all(
        (item["orderItemStatus"], item["cancellationMessage"]) == (status, MESSAGE)
        for item in order["orderedItem"]
    )


def main() -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto cannot test races.")
        return 2
    wrong = False
    rounds: list[tuple[str, int, dict[str, bool]]] = [
        ("without interruption", ORDERS, {}),
        ("killed half-way and started again", ORDERS, {"killed": True}),
        ("without the condition on the revision", ORDERS // 20, {"guarded": False}),
    ]
    with engines.running_engine() as url, Crew(BROKERS + 1) as crew:
        for number, (name, orders, how) in enumerate(rounds):
            installation = Installation(f"crowd-{number}", url)
            installation.create()
            ended = crowd(crew, installation, orders, **how)
            installation.close()
            is_control = "guarded" in how
            wrong |= ended.is_right is is_control
            print(f"{name}: {ended}", *ended.tried.others[:3], sep="\n  ", flush=True)
    print(
        "At least one run failed." if wrong else "All Orders were cancelled; in the control, some were not."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
