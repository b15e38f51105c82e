"""A source moves, renames and cancels a session with many Orders, while its importer is killed repeatedly.

`python -m bench.changes` runs 20 rounds with 1,000 Orders of five partners each, while 20 Brokers, each in its
process, continue to book the session. The control is one round with an importer that writes no pending work.
`python -m bench.changes ORDERS ROUNDS BROKERS` runs other sizes.
"""

import multiprocessing
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bench.crew import Crew, meet
from bench.crowd import drain, feed_items, is_cancelled, stored_orders
from bench.installation import Answer, Installation, Request, ask, new_uuid
from chalicelib.booking.decisions import MoveHold, SaveOrder, Wanted
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.names import orders_feed
from chalicelib.importing import rpde
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.values import dataclass, replace
from tests.importing.site import SELLER, OperatorSite, series, served, session
from tests.support import engines
from tests.support.builders import BROKER, CUSTOMER

ROUNDS = 20
ORDERS = 1000
PARTNERS = 5
BROKERS = 20

_NAME, _START, _END = "Yoga in the new hall", "2031-05-01T12:00:00+01:00", "2031-05-01T13:00:00+01:00"
_STARTS_AT = "2031-05-01T12:00:00+01:00"
# A Broker stops after this number of refusals.
_REFUSALS = 3
# Seconds between two bookings of a Broker. Without a pause, 20 Brokers on two cores leave almost no time for the
# importer, and the round gets longer with each of their Orders.
_PAUSE = 2.0
_ENDS_WITHIN = 300
_SESSION: str = session(1, of=1)["@id"]
_OFFER: str = series(1)["offers"][0]["@id"]


@dataclass(frozen=True)
class Place:
    """The tables, and the address of the source."""

    prefix: str
    url: str
    site: str


@dataclass(frozen=True)
class Tried:
    """The answers that a Broker got."""

    booked: int
    refused: int
    others: tuple[str, ...]


# --- the processes ------------------------------------------------------------------


def _booking(partner: str, uuid: str) -> Request:
    """B for one place at the imported session."""
    body = {
        "@context": "https://openactive.io/",
        "@type": "Order",
        "seller": {"@type": "Organization", "@id": SELLER["@id"]},
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": BROKER,
        "customer": CUSTOMER,
        "orderedItem": [
            {
                "@type": "OrderItem",
                "position": 0,
                "orderedItem": {"@type": "ScheduledSession", "@id": _SESSION},
                "acceptedOffer": {"@type": "Offer", "@id": _OFFER},
            }
        ],
        "totalPaymentDue": {"@type": "PriceSpecification", "price": 5, "priceCurrency": "GBP"},
        "payment": {"@type": "Payment", "identifier": "payment-1"},
    }
    headers = {"X-OpenActive-Test-Client-Id": partner, "X-OpenActive-Test-Seller-Id": SELLER["@id"]}
    return Request("PUT", f"orders/{uuid}", body, headers=headers)


def _keep_booking(place: Place, partner: str, pause: float) -> Tried:
    """A Broker that books until the session is cancelled, with a pause after each booking."""
    install(Installation(place.prefix, place.url).system())
    booked = refused = 0
    others: list[str] = []
    meet()
    while refused < _REFUSALS and len(others) < 3:
        answer: Answer = ask(_booking(partner, new_uuid()))
        if answer.status == 201:
            booked += 1
            time.sleep(pause)
        elif is_cancelled(answer):
            refused += 1
        else:
            others.append(f"{answer.status} {answer.body}")
    return Tried(booked, refused, tuple(others))


class ForgetfulStore(DynamoStore):
    """For the control: publishes a change without its pending work."""

    def publish(self, listing: Any, spaces: Any, pending: Any = None, *, if_unheld: bool = False) -> None:
        super().publish(listing, spaces)


def run_import(place: Place, *, forgetful: bool) -> None:
    """An import and all its pending work, as `openbooking import rpde` does."""
    installation = Installation(place.prefix, place.url)
    system = installation.system()
    if forgetful:
        system.store = ForgetfulStore(installation.tables)
    rpde.import_rpde(system.inventory, rpde.ImportOptions(f"{place.site}/openactive"), retry=system.retry)
    while system.worker.run_kind(following.KIND, 60):
        continue


# --- a round --------------------------------------------------------------------------------


@dataclass
class Importer:
    """Starts each import in a separate process, and kills some of them."""

    place: Place
    random: random.Random
    forgetful: bool = False
    kills: int = 0
    seconds: float = 1.0

    def finish(self) -> None:
        """One import that is not killed."""
        began = time.perf_counter()
        process = self._start()
        process.join(_ENDS_WITHIN)
        if process.exitcode != 0:
            raise RuntimeError(f"The import ended with {process.exitcode}.")
        process.close()
        self.seconds = time.perf_counter() - began

    def be_killed(self) -> None:
        """One import that is killed at a random moment, unless it ends before."""
        process = self._start()
        process.join(self.random.uniform(0.05, self.seconds))
        process.kill()
        process.join()
        self.kills += process.exitcode == -signal.SIGKILL
        process.close()

    def _start(self) -> Any:
        context = multiprocessing.get_context("forkserver")
        process = context.Process(
            target=run_import, args=(self.place,), kwargs={"forgetful": self.forgetful}, daemon=True
        )
        process.start()
        return process


@dataclass(frozen=True)
class Outcome:
    """The state at the end of a round."""

    orders: int
    kills: int
    refused: int
    others: tuple[str, ...]
    not_as_the_source: int
    not_once: int
    not_in_the_feed: int
    spaces_total: int
    spaces_left: int
    held: int
    seconds: float

    @property
    def is_right(self) -> bool:
        wrong = self.not_as_the_source + self.not_once + self.not_in_the_feed + self.held + len(self.others)
        return wrong == 0 and self.refused > 0 and self.spaces_total == self.spaces_left

    def __str__(self) -> str:
        return (
            f"{self.orders} orders, importer killed {self.kills} times, {self.refused} bookings refused, "
            f"{len(self.others)} others; not as in the source {self.not_as_the_source}, not written once for "
            f"each change {self.not_once}, not correct in their feed {self.not_in_the_feed}; "
            f"total {self.spaces_total} = left {self.spaces_left} + held {self.held}; {self.seconds:.0f} s"
        )


def play(
    crew: Crew,
    installation: Installation,
    orders: int,
    seed: int,
    *,
    piled: bool = False,
    forgetful: bool = False,
    pause: float = 0,
) -> Outcome:
    """One round. If `piled`, no import ends between two changes of the source.

    `pause` is the time between two bookings of a Broker, in seconds.
    """
    assert installation.url
    began = time.perf_counter()
    site = OperatorSite(page_size=50)
    site.publish(series(1), session(1, of=1, spaces=100 * orders))
    with served(site), ThreadPoolExecutor(1) as aside:
        place = Place(installation.prefix, installation.url, site.base)
        importer = Importer(place, random.Random(seed), forgetful)
        importer.finish()
        base = _fill(installation, orders)
        importer.finish()  # to measure its duration
        brokers = aside.submit(
            crew.run,
            _do,
            [
                (partial(_keep_booking, place, f"partner-{number % PARTNERS}", pause),)
                for number in range(crew.size)
            ],
        )
        for change in _changes(site):
            change()
            for _ in range(importer.random.randint(1, 2)):
                importer.be_killed()
            if not piled:
                importer.finish()
        importer.finish()
        tried: list[Tried] = brokers.result(_ENDS_WITHIN)
    drain(installation)
    return _outcome(installation, importer, base, tried, piled, time.perf_counter() - began)


def _changes(site: OperatorSite) -> Sequence[Callable[[], None]]:
    times = {"startDate": _START, "endDate": _END}
    spaces = 10  # our counter applies, even if the source shows another number
    return (
        lambda: site.publish(session(1, of=1, spaces=spaces, **times)),
        lambda: site.publish(series(1, name=_NAME)),  # a change of the parent also changes its sessions
        lambda: site.publish(
            session(1, of=1, spaces=spaces, eventStatus="https://schema.org/EventCancelled", **times)
        ),
    )


def _fill(installation: Installation, orders: int) -> set[OrderKey]:
    """Book one Order for each partner and copy it, which takes a hundredth of the time."""
    install(installation.system())
    store, keys = installation.store, set[OrderKey]()
    for number in range(PARTNERS):
        partner, uuid = f"partner-{number}", new_uuid()
        assert ask(_booking(partner, uuid)).status == 201
        first = store.snapshot(Wanted(OrderKey(partner, uuid))).order
        assert isinstance(first, Order)
        copies = [replace(first, key=OrderKey(partner, new_uuid())) for _ in range(orders // PARTNERS - 1)]
        hold = Hold(1, HoldState.booked)
        for order in copies:
            store.commit([SaveOrder(order, None), MoveHold(_SESSION, order.key, None, hold)])
        keys |= {first.key, *(order.key for order in copies)}
    return keys


def _do(part: Callable[[], Any]) -> Any:
    return part()


# --- the outcome ------------------------------------------------------------------


def _outcome(
    installation: Installation,
    importer: Importer,
    base: set[OrderKey],
    tried: Sequence[Tried],
    piled: bool,
    seconds: float,
) -> Outcome:
    stored = {order.key: order for order in stored_orders(installation)}
    shown = Counter[OrderKey]()
    in_feed = set()
    for partner in {key.partner_id for key in stored}:
        for item in feed_items(installation, orders_feed(partner)):
            key = OrderKey(partner, item["id"])
            shown[key] += 1
            if item["state"] == "updated" and _is_current(item["data"]):
                in_feed.add(key)
    # B is version 1. Each change of the source adds one to the Orders that were booked before it.
    fewest = {key: 4 if key in base and not piled else 2 for key in stored}
    capacity = installation.store.listings([_SESSION])[_SESSION][1]
    assert capacity is not None
    return Outcome(
        orders=len(stored),
        kills=importer.kills,
        refused=sum(each.refused for each in tried),
        others=tuple(other for each in tried for other in each.others),
        not_as_the_source=sum(not _is_as_the_source(order) for order in stored.values()),
        not_once=sum(not fewest[key] <= order.version <= 4 for key, order in stored.items()),
        not_in_the_feed=sum(key not in in_feed or shown[key] != 1 for key in stored),
        spaces_total=capacity.spaces_total,
        spaces_left=capacity.spaces_left,
        held=sum(hold.spaces for hold in installation.store.holds(_SESSION).values()),
        seconds=seconds,
    )


def _is_as_the_source(order: Order) -> bool:
    (item,) = order.items
    assert item.opportunity is not None and item.opportunity.starts_at is not None
    return (
        item.status is OrderItemStatus.SellerCancelled
        and item.opportunity.starts_at.isoformat() == "2031-05-01T11:00:00+00:00"
        and item.opportunity.name == _NAME
    )


def _is_current(document: dict[str, Any]) -> bool:
    """Whether a feed item is cancelled, with the name and time that the source has now."""
    (item,) = document["orderedItem"]
    ordered = item["orderedItem"]
    return bool(
        item["orderItemStatus"] == f"https://openactive.io/{OrderItemStatus.SellerCancelled}"
        and ordered["startDate"] == _STARTS_AT
        and ordered["superEvent"]["name"] == _NAME
    )


def main() -> int:
    if not engines.DYNOXIDE:
        print("DYNOXIDE does not name the binary of a Dynoxide engine; moto cannot test races.")
        return 2
    wrong = False
    given = [int(each) for each in sys.argv[1:]]
    most, rounds, brokers = given or (ORDERS, ROUNDS, BROKERS)
    with Crew(brokers) as crew:
        for number in range(rounds + 1):
            is_control = number == rounds
            orders = most // 20 if is_control else most
            # An engine for each round: the streams of a local engine get slower with the number of records.
            with engines.running_engine() as url:
                installation = Installation(f"changes-{number}", url)
                installation.create()
                ended = play(
                    crew,
                    installation,
                    orders,
                    number,
                    piled=number % 2 == 1,
                    forgetful=is_control,
                    pause=_PAUSE,
                )
                installation.close()
            wrong |= ended.is_right is is_control
            name = "control, without pending work" if is_control else f"round {number + 1}"
            print(f"{name}: {ended}", *ended.others[:3], sep="\n  ", flush=True)
    print("At least one round failed." if wrong else "No Order missed a change; in the control, all did.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
