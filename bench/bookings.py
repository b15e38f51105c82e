"""Measures the lists of a Seller with many bookings: time, calls and read units of the first and the last page.

`python -m bench.bookings` puts 100,000 bookings of one Seller on 1,000 sessions, as rows that a booking writes, and reads
each list through the service that the commands use. It also counts what the index costs a booking. It prints the
figures for docs/scale.md.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from bench.installation import Installation, ask, booking, new_uuid, write_rows
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import Order, OrderKey, OrderKind, Proposal
from chalicelib.runtime.administration import Administration
from chalicelib.services.desk.lists import Page
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.dynamodb.tables import CAPACITY
from chalicelib.values import dataclass, field, replace
from openbooking.local.engine import dynamodb_client
from tests.support import engines

BOOKINGS, SESSIONS, PROPOSALS = 100_000, 1_000, 200
_THREADS, _PAGE = 4, 100


@dataclass
class Units:
    """Read and write units of all calls, as the engine counts them. Ends with `stop`."""

    client: Any
    used: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def __post_init__(self) -> None:
        self._events.register("before-parameter-build.dynamodb", self._ask)
        self._events.register("after-call.dynamodb", self._count)

    @property
    def _events(self) -> Any:
        return self.client.meta.events

    def stop(self) -> None:
        self._events.unregister("before-parameter-build.dynamodb", self._ask)
        self._events.unregister("after-call.dynamodb", self._count)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "INDEXES"

    def _count(self, parsed: dict[str, Any], **_: Any) -> None:
        self.calls += 1
        used = parsed.get("ConsumedCapacity") or []
        for table in used if isinstance(used, list) else [used]:
            self.used["all"] += table.get("CapacityUnits", 0)
            for name, index in (table.get("GlobalSecondaryIndexes") or {}).items():
                self.used[name] += index.get("CapacityUnits", 0)


def fill(installation: Installation, bookings: int, sessions: int) -> None:
    """Write the rows of many bookings, a hundred on each session, without the API in between."""
    store, tables = installation.store, installation.tables
    spaces = bookings // sessions
    first = installation.session(spaces)
    uuid = new_uuid()
    if ask(booking(uuid, first)).status != 201:
        raise RuntimeError("The first booking failed.")
    made = store.orders([OrderKey("partner-1", uuid)])[OrderKey("partner-1", uuid)]
    listing = store.listings([first.id])[first.id][0]
    assert isinstance(made, Order) and made.created_at and listing.opportunity.starts_at

    def copies(number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one session and its bookings."""
        assert isinstance(made, Order) and made.created_at and listing.opportunity.starts_at
        opportunity = replace(
            listing.opportunity,
            id=f"{first.id}-{number}",
            starts_at=listing.opportunity.starts_at + timedelta(minutes=30 * number),
        )
        inventory, orders = tables.details.Meta.table_name, tables.orders.Meta.table_name
        yield (
            inventory,
            rows.details_row(replace(listing, opportunity=opportunity)),
        )
        counters = tables.capacity(
            opportunity.id,
            CAPACITY,
            spaces_total=spaces,
            spaces_left=0,
            spaces_leased=0,
            revision=1,
            version=1,
            open_for_booking=True,
        )
        yield inventory, counters.serialize()
        for place in range(spaces):
            key = OrderKey(f"partner-{place % 10}", new_uuid())
            item = replace(made.items[0], opportunity_id=opportunity.id, opportunity=opportunity)
            at = made.created_at - timedelta(seconds=number * spaces + place)
            order = replace(made, key=key, items=(item,), created_at=at)
            yield orders, rows.order_row(order)
            hold = rows.hold_row(opportunity.id, key, Hold(1, HoldState.booked))
            yield inventory, hold

    def proposals() -> Iterator[tuple[str, dict[str, Any]]]:
        """Proposals that wait, and many more that were rejected."""
        assert isinstance(made, Order) and made.created_at
        for number in range(PROPOSALS * 10):
            waits = number % 10 == 0
            status = ProposalStatus.AwaitingSellerConfirmation if waits else ProposalStatus.SellerRejected
            order = replace(
                made,
                key=OrderKey("partner-1", new_uuid()),
                kind=OrderKind.OrderProposal,
                proposal=Proposal(new_uuid(), status, ends_at=made.created_at + timedelta(days=2)),
                created_at=made.created_at + timedelta(seconds=number),
            )
            yield tables.orders.Meta.table_name, rows.order_row(order)

    assert installation.url is not None
    client = dynamodb_client(installation.url)  # more patient than that of the app
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(lambda number: write_rows(client, copies(number)), range(1, sessions + 1)))
    write_rows(client, proposals())
    client.close()


def measure(name: str, units: Units, read: Callable[[str], Page]) -> None:
    """Print the first page, and the last one, which is found by its cursor."""
    for which in ("first", "last"):
        after, pages = "", 1
        if which == "last":
            page = read("")
            while page.following is not None:
                after, pages = page.following, pages + 1
                page = read(after)
        times = []
        for _ in range(5):
            units.used.clear()
            units.calls = 0
            began = time.perf_counter()
            page = read(after)
            times.append(time.perf_counter() - began)
        print(
            f"{name}, {which} page{f' ({pages:,})' if pages > 1 else ''}: {len(page.rows)} rows, "
            f"{min(times) * 1000:,.0f} ms, {units.calls} calls, {units.used['all']:.1f} read units",
            flush=True,
        )


def main(bookings: int = BOOKINGS, sessions: int = SESSIONS) -> None:
    with engines.dynoxide() as url:
        installation = Installation("bookings", url)
        installation.create(streams=False)
        units = Units(installation.tables.connection.client)
        began = time.perf_counter()
        fill(installation, bookings, sessions)
        print(
            f"{bookings:,} bookings on {sessions:,} sessions in {time.perf_counter() - began:,.0f} s",
            flush=True,
        )
        admin = Administration(installation.system())
        actor, lists, now = admin.actor("1"), admin.seller_lists, installation.now()
        day = now + timedelta(days=2)
        measure(
            "bookings, newest first", units, lambda after: lists.bookings(actor, after=after, limit=_PAGE)
        )
        measure(
            "bookings of a day",
            units,
            lambda after: lists.bookings_of_sessions(
                actor, since=day, until=day + timedelta(days=1), after=after, limit=_PAGE
            ),
        )
        measure("sessions by start", units, lambda after: lists.sessions(actor, after=after, limit=_PAGE))
        measure("proposals that wait", units, lambda after: lists.proposals(actor, after=after, limit=_PAGE))
        session = lists.sessions(actor, since=day, limit=1).rows[0]["id"]
        measure(
            "register of a session",
            units,
            lambda after: lists.register(actor, session, after=after, limit=_PAGE),
        )
        last = lists.bookings(actor, newest_first=False, limit=1).rows[0]
        for partner in (last["partner"], None):
            units.used.clear()
            units.calls = 0
            began = time.perf_counter()
            lists.booking(actor, last["uuid"], partner)
            named = "with" if partner else "without"
            print(
                f"one booking {named} its partner: {(time.perf_counter() - began) * 1000:,.0f} ms, "
                f"{units.calls} calls, {units.used['all']:.1f} read units",
                flush=True,
            )
        session_to_book = installation.session(10)
        units.used.clear()
        ask(booking(new_uuid(), session_to_book))
        print(
            f"B: {units.used['all']:.1f} units with the snapshot, of these in the index {units.used['by_seller']:.1f}"
        )
        units.stop()
        installation.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
