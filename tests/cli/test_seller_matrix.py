"""Every command of a Seller, for its own Seller, for another one and for an unknown one; also on a stage.

Nothing of another Seller is seen or changed: its rows are as if they did not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from chalicelib.runtime.system import System, from_environment, install
from chalicelib.wire.sellers import read_seller
from openbooking.cli.main import load
from openbooking.deployment.imitation import imitation_of_aws
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import dynamodb_client, environment
from openbooking.local.stack import TABLE_PREFIX, environment_variables
from openbooking.local.tables import create_tables
from tests.support.builders import CUSTOMER
from tests.support.engines import REGION, rows_of
from tests.support.inventory import Bookable
from tests.support.terminal import Terminal
from tests.support.world import API, PAYMENT, Broker, World, a_seller_document

UUID = "20000000-0000-4000-8000-00000000000"
SECRET_NAME = "Zebedee Unmistakable"
NOTE = "Unmistakable note: may I bring my dog?"
ASKING = {
    "openBookingFlowRequirement": [
        f"https://openactive.io/{each}"
        for each in ("OpenBookingApproval", "OpenBookingNegotiation", "OpenBookingMessageExchange")
    ]
}
GROUPS = {
    "sessions": {"list", "show", "cancel", "move", "notify", "close", "open"},
    "bookings": {"list", "show", "cancel", "replace"},
    "register": {"show", "attended", "absent"},
    "proposals": {"list", "show", "accept", "reject", "amend"},
    "desk": {"sell", "return"},
    "access": {"set"},
    "partners": {"allow", "deny"},
}


@dataclass
class Place:
    """An installation with two Sellers, and what Brokers have booked of the first one."""

    system: System
    options: list[str]
    own: dict[str, Any] = field(default_factory=dict)

    def terminal(self, seller: str) -> Terminal:
        return Terminal(self.system, [*self.options, "--seller", seller])


@pytest.fixture(scope="module", params=["engine", "stage"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    state = str(tmp_path_factory.mktemp("state"))
    with environment_variables({"OPENBOOKING_STATE_DIRECTORY": state, "DYNAMODB_URL": None}):
        if request.param == "engine":
            with EmbeddedEngine() as engine:
                client = dynamodb_client(engine.url)
                create_tables(client, TABLE_PREFIX)
                client.close()
                here = {**environment(engine.url), "TABLE_PREFIX": TABLE_PREFIX, "LOG_LEVEL": "CRITICAL"}
                with environment_variables(here):
                    system = from_environment()
                    yield Place(system, ["--dynamodb-url", engine.url], filled(system))
            install(None)
            return
        with imitation_of_aws() as url:
            here = {
                "AWS_ENDPOINT_URL": url,
                "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "TABLE_PREFIX": None,
            }
            with environment_variables(here):
                client = boto3.client("dynamodb", region_name=REGION)
                create_tables(client, "openbooking-dev")
                client.close()
                with environment_variables({"TABLE_PREFIX": "openbooking-dev", "LOG_LEVEL": "CRITICAL"}):
                    system = from_environment()
                yield Place(system, ["--stage", "dev"], filled(system))
        install(None)


def filled(system: System) -> dict[str, Any]:
    for number in (1, 2):
        system.store.save_seller(read_seller(a_seller_document(number)))
    world = World(
        store=system.store, feeds=system.feeds, identities=system.identities, pending=system.pending
    )
    world.clock.now = datetime.now(UTC).replace(microsecond=0)
    yoga = world.session(price=10, spaces=20, starts_in=timedelta(hours=1))  # who came is recorded on its day
    other = world.session(price=10, spaces=20)
    asking, elsewhere = world.session(offer=ASKING), world.session(offer=ASKING)
    theirs = world.session(seller=2)
    customer = {**CUSTOMER, "givenName": "Zebedee", "familyName": "Unmistakable"}
    broker = Broker(world)
    for number in (1, 2, 3):
        assert broker.b(f"{UUID}{number}", yoga.item(), customer=customer).status == 201
    assert Broker(world, "partner-2", 2).b(f"{UUID}9", theirs.item(), due=12).status == 201
    for number in (4, 5, 6):
        propose(broker, f"{UUID}{number}", asking, customer)
    return {
        "yoga": yoga,
        "other": other,
        "asking": asking,
        "elsewhere": elsewhere,
        "theirs": theirs,
        "world": world,
    }


def propose(broker: Broker, uuid: str, session: Bookable, customer: Any) -> None:
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal",
        session.item(),
        totalPaymentDue=due,
        payment=PAYMENT,
        customer=customer,
        orderCustomerNote=NOTE,
    )
    assert broker.send("PUT", f"{API}/order-proposals/{uuid}", body).status == 201


Arguments = Callable[[dict[str, Any]], list[str]]

# What is typed, and what it says to the Seller that it belongs to. The order is that of a day: the rows above are
# needed by those below.
MATRIX: list[tuple[tuple[str, str], Arguments, str]] = [
    (("sessions", "list"), lambda own: [], "Yoga"),
    (("sessions", "show"), lambda own: [own["yoga"].id], "on sale"),
    (("bookings", "list"), lambda own: [], SECRET_NAME),
    (("bookings", "show"), lambda own: [f"{UUID}1"], SECRET_NAME),
    (("register", "show"), lambda own: [own["yoga"].id], SECRET_NAME),
    (("proposals", "list"), lambda own: [], NOTE),
    (("proposals", "show"), lambda own: [f"{UUID}4"], NOTE),
    (("sessions", "close"), lambda own: [own["yoga"].id], "It is off sale."),
    (("sessions", "open"), lambda own: [own["yoga"].id], "It is on sale."),
    (("sessions", "notify"), lambda own: [own["yoga"].id, "Bring a mat."], "3 orders or proposals informed."),
    (
        ("access", "set"),
        lambda own: ["--session", own["yoga"].id, "--code", "4711"],
        "3 orders or proposals informed.",
    ),
    (("access", "set"), lambda own: ["--booking", f"{UUID}1", "--code", "4712"], "is changed."),
    (
        ("sessions", "move"),
        lambda own: [own["yoga"].id, "--place", "Studio 2"],
        "3 orders or proposals informed.",
    ),
    (("bookings", "replace"), lambda own: [f"{UUID}3", "--with", own["other"].id], "is replaced."),
    (("bookings", "cancel"), lambda own: [f"{UUID}3", "--message", "Sorry."], "is cancelled."),
    (("register", "attended"), lambda own: [own["yoga"].id, f"{UUID}1"], "1 booking is marked as attended."),
    (("register", "absent"), lambda own: [own["yoga"].id, "--all"], "2 bookings are marked as absent."),
    (("proposals", "amend"), lambda own: [f"{UUID}6", "--with", own["elsewhere"].id], "is amended."),
    (("proposals", "accept"), lambda own: [f"{UUID}4"], "is accepted."),
    (("proposals", "reject"), lambda own: [f"{UUID}5", "--note", "Sorry."], "is rejected."),
    (
        ("desk", "sell"),
        lambda own: [own["other"].id, "--uuid", f"{UUID}7"],
        "is sold: 1 x Yoga for 10.00 GBP.",
    ),
    (("desk", "return"), lambda own: [f"{UUID}7", "--anyway"], "is returned: refund 10.00 GBP."),
    (("sessions", "cancel"), lambda own: [own["asking"].id, "--yes"], "It is cancelled"),
    (("partners", "allow"), lambda own: ["broker"], "may act for"),
    (("partners", "deny"), lambda own: ["broker"], "no longer allow"),
]
ROWS = [pytest.param(*row, id=f"{number:02} {' '.join(row[0])}") for number, row in enumerate(MATRIX)]
READS = {"list", "show"}
# These name nothing that belongs to a Seller.
OF_NO_SELLER = {("sessions", "list"), ("bookings", "list"), ("proposals", "list"), ("partners", "allow")}


def test_every_command_of_a_seller_is_in_the_matrix() -> None:
    typed = {command for command, _, _ in MATRIX}
    assert typed == {(group, each) for group, commands in GROUPS.items() for each in commands}
    for group, commands in GROUPS.items():
        known = set(load(group).commands)
        assert known >= commands
        if group != "partners":
            assert known == commands


def test_a_seller_must_be_named_where_there_are_two(place: Place) -> None:
    terminal = Terminal(place.system, place.options)
    assert "There are 2 Sellers: name one with --seller" in terminal.refuses("bookings", "list")


@pytest.mark.parametrize(("command", "arguments", "said"), ROWS)
def test_nothing_of_another_seller_is_seen_or_changed(
    place: Place, command: tuple[str, str], arguments: Arguments, said: str
) -> None:
    tables = place.system.store._tables  # type: ignore[attr-defined]
    before = rows_of(tables)
    for seller in ("2", "unknown"):
        if seller == "2" and command == ("partners", "allow"):
            continue  # a partner is of no Seller: it may be allowed by each
        result = place.terminal(seller).run(*command, *arguments(place.own))
        if seller == "2" and command in OF_NO_SELLER:
            assert result.exit_code == 0, result.output
        else:
            assert result.exit_code == 1, result.output
            lines = [each for each in result.stderr.splitlines() if not each.startswith("Tables: ")]
            assert (len(lines) == 1 and "There is no" in lines[0]) or "allow" in lines[0], result.output
        assert "Zebedee" not in result.output and "dog" not in result.output
        assert f"{UUID}1" not in result.stdout and place.own["yoga"].id not in result.stdout
    assert rows_of(tables) == before


@pytest.mark.parametrize(("command", "arguments", "said"), ROWS)
def test_its_own_seller_does_it_and_may_rehearse_it_first(
    place: Place, command: tuple[str, str], arguments: Arguments, said: str
) -> None:
    if command == ("partners", "allow"):
        Terminal(place.system, place.options).run("partners", "add", "Broker Ltd", "--id", "broker")
    own, typed = place.terminal("1"), [*command, *arguments(place.own)]
    tables = place.system.store._tables  # type: ignore[attr-defined]
    if command[1] not in READS:
        before = rows_of(tables)
        rehearsed = own.run(*typed, "--dry-run")
        assert rehearsed.exit_code == 0, rehearsed.output
        assert "would" in rehearsed.stdout or "might" in rehearsed.stdout
        assert rows_of(tables) == before
    output = own.says(*typed)
    # A table folds what is long; each word of it is there.
    assert all(word[:5] in output for word in said.split()), output
