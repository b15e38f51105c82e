"""Measures each endpoint in its handler, compared with the same calls to DynamoDB made directly with boto3.

Both sides start from the same state: each has a separate Order UUID, for which the same was done before, and the
direct calls are those that the handler makes, with that UUID. Processor time is that of this process alone; the
engine runs in another one.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, proposal, quote
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed
from chalicelib.runtime.system import System, install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.values import dataclass, replace
from openbooking.local.engine import ACCESS_KEY, REGION, dynamodb_client
from tests.support.engines import Calls
from tests.support.inventory import Bookable

REPEATS = 300
PLACES = 100
PAGE = 500
_MANY = 10_000_000
_APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: what is done before it under an Order UUID, and its request."""

    request: Callable[[str], Request]
    before: Callable[[str], object] = lambda order: None
    repeats: int = REPEATS


@dataclass(frozen=True)
class Ratio:
    """The time of the handler divided by that of its direct calls: with, and without validation of parameters."""

    processor: float
    elapsed: float
    processor_unvalidated: float
    elapsed_unvalidated: float


def handler_times(installation: Installation, share: float = 1.0) -> dict[str, Ratio]:
    """The ratios of medians, interleaved. `share` of the usual repeats."""
    assert installation.url
    # All leases end at one time: the direct calls name that of the lease that they replace.
    installation.fixed_time = datetime.now(UTC)
    system = installation.system(Telemetry())  # with logs and metrics as on Lambda, but discarded
    no_limit = dict.fromkeys(
        ("anonymous_lease_spaces", "lease_spaces", "partner_leases", "partner_proposals", "partner_spaces"),
        _MANY,
    )
    system.settings = replace(system.settings, **no_limit)  # type: ignore[arg-type]
    direct = dynamodb_client(installation.url)
    unvalidated = boto3.client(
        "dynamodb",
        endpoint_url=installation.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(parameter_validation=False, account_id_endpoint_mode="disabled"),
    )
    _fill_feed(system)
    with output_to_nowhere():
        install(system)
        found = {
            name: _compared(
                installation, endpoint, (direct, unvalidated), max(3, int(endpoint.repeats * share))
            )
            for name, endpoint in _endpoints(installation).items()
        }
        installation.fixed_time = None
        install(installation.system())
    direct.close()
    unvalidated.close()
    return found


def _endpoints(installation: Installation) -> dict[str, Endpoint]:
    session = installation.session(_MANY)
    approved = installation.session(_MANY, offer=_APPROVAL)

    def booked(order: str) -> object:
        return ask(booking(order, session))

    return {
        "C1": Endpoint(lambda order: quote(order, session, customer=False)),
        "C2": Endpoint(lambda order: quote(order, session)),
        "P": Endpoint(lambda order: proposal(order, approved)),
        "B": Endpoint(lambda order: booking(order, session)),
        "B after C2": Endpoint(
            lambda order: booking(order, session), lambda order: ask(quote(order, session))
        ),
        "Order Cancellation": Endpoint(lambda order: _cancellation(order, session), booked),
        "Order Status": Endpoint(lambda order: Request("GET", f"orders/{order}"), booked),
        f"Orders feed page of {PAGE}": Endpoint(lambda order: Request("GET", "orders-rpde"), repeats=40),
        f"B of {PLACES} places of one session": Endpoint(
            lambda order: booking(order, session, places=PLACES), repeats=60
        ),
    }


def _cancellation(order: str, session: Bookable) -> Request:
    # A repeated B is answered with the same ids.
    return cancellation(order, ask(booking(order, session)).json["orderedItem"][0]["@id"])


def _fill_feed(system: System) -> None:
    """A page of Orders, as long as those of one item."""
    data = {"@type": "Order", "orderedItem": [{"@type": "OrderItem", "accessPass": [{"text": "x" * 800}]}]}
    items = [FeedItem(new_uuid(), "Order", 1, {**data, "identifier": new_uuid()}) for _ in range(PAGE)]
    system.ledger.publish(orders_feed("partner-1"), items, system.clock())


def _compared(
    installation: Installation, endpoint: Endpoint, clients: tuple[Any, ...], repeats: int
) -> Ratio:
    first = new_uuid()
    endpoint.before(first)
    request, calls = endpoint.request(first), Calls(installation.tables)
    recorded = calls.during(lambda: ask(request))
    calls.stop()
    for _, parameters in recorded:
        parameters.pop("ClientRequestToken", None)  # each call gets a new one

    def handles(order: str) -> Callable[[], Any]:
        request = endpoint.request(order)
        return lambda: ask(request)

    def calls_directly(client: Any) -> Callable[[str], Callable[[], Any]]:
        def prepared(order: str) -> Callable[[], Any]:
            # The same rows under another Order UUID, so that their size is the same.
            made = [(client.meta.method_to_api_mapping, *call) for call in _renamed(recorded, first, order)]
            named = {operation: method for method, operation in made[0][0].items()}
            acts = [(getattr(client, named[operation]), parameters) for _, operation, parameters in made]

            def act() -> None:
                for method, parameters in acts:
                    method(**parameters)

            return act

        return prepared

    ways = [handles, *map(calls_directly, clients)]
    spent: list[list[tuple[float, float]]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, taken in zip(ways, spent, strict=True):
            order = new_uuid()
            endpoint.before(order)
            act = way(order)
            processor, started = time.process_time(), time.perf_counter()
            act()
            taken.append((time.process_time() - processor, time.perf_counter() - started))
    (ours, elapsed), (direct, direct_elapsed), (bare, bare_elapsed) = (
        (median(each[0] for each in taken), median(each[1] for each in taken)) for taken in spent
    )
    return Ratio(ours / direct, elapsed / direct_elapsed, ours / bare, elapsed / bare_elapsed)


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
    if isinstance(value, list | tuple):
        return [_renamed(each, old, new) for each in value]
    return value


def main() -> None:
    """`python -m bench.handler_time [SHARE]`: a share of the usual repeats."""
    from tests.support import engines

    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with engines.running_engine() as url:
        installation = Installation("bench", url)
        installation.create(streams=False)
        for name, ratio in handler_times(installation, share).items():
            print(
                f"{name:32} processor {ratio.processor:.2f} elapsed {ratio.elapsed:.2f}; without validation: "
                f"processor {ratio.processor_unvalidated:.2f} elapsed {ratio.elapsed_unvalidated:.2f}"
            )
        installation.close()


if __name__ == "__main__":
    main()
