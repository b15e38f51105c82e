"""Each command that writes leaves an entry in the journal: a list of all of them, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.core import TyperGroup

from chalicelib.domain.orders import OrderKey
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from openbooking.cli.main import COMMANDS, load
from tests.support.builders import CUSTOMER
from tests.support.inventory import seller_id
from tests.support.terminal import Terminal
from tests.support.world import API, PAYMENT, Broker, World, order_record

UUID = "10000000-0000-4000-8000-000000000001"

# Commands that change nothing in an installation, or that do not act for its operator.
READING = frozenset(
    (
        *(
            "serve",
            "demo",
            "audit",
            "certify",
            "suite-config",
            "stage package",
            "stage rehearse",
            "stage plan",
            "stage releases",
            "stage check",
            "stage deploy",
            "stage rollback",
            "stage remove",
            "stage unlock",
        ),
        *("timetable list", "timetable template", "timetable activities", "people find"),
        *("sessions list", "sessions show", "bookings list", "bookings show", "register show"),
        *("proposals list", "proposals show"),
        *("reports sales", "reports occupancy", "reports payments", "reports reconcile", "reports daily"),
        *(
            "partners list",
            "partners show",
            "partners api-keys",
            "partners invitations",
            "sellers list",
            "sellers show",
        ),
        *("logins list", "tokens list", "tokens keys", "pending list", "feeds parked", "sandbox show"),
        *("sources list", "sources show"),
    )
)
# Commands that write without an entry, with the reason.
WITHOUT_ENTRY = {
    "import rpde": "What the source says is on record in the source; the report names what was changed.",
    "sources run": "As `import rpde`: the report of the source shows it.",
    "restore": "The journal may be among the tables that it replaces.",
    "upgrade": "An entry is written if there are rows of an earlier release, which only that release can make.",
}
# Commands whose entry another test shows, as `tests/....py::test_...`.
SHOWN_BY: dict[str, str] = {
    "timetable import": "tests/cli/test_timetable_commands.py",
    "sandbox fill": "tests/cli/test_sandbox.py",
    "sandbox clear": "tests/cli/test_sandbox.py",
    "upgrade": "tests/cli/test_order_commands.py",
}


@pytest.fixture
def world(terminal: Terminal) -> Iterator[World]:
    here = terminal.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


def a_partner(terminal: Terminal, world: World) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker", "--seller", "1")


def another_session(terminal: Terminal, world: World) -> None:
    world.session(starts_in=timedelta(days=9))


def an_order(terminal: Terminal, world: World) -> None:
    assert Broker(world).b(UUID, world.session(starts_in=timedelta(hours=1)).item()).status == 201


def a_proposal(terminal: Terminal, world: World) -> None:
    session = world.session(
        offer={"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    )
    broker = Broker(world)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal", session.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}", body).status == 201


def a_login(terminal: Terminal, world: World) -> None:
    terminal.says("logins", "add", "alex", "--seller", "1", "--generate")


def an_aside_entry(terminal: Terminal, world: World) -> None:
    world.pending.exchange((), [PendingWork(f"{SET_ASIDE}{following.KIND}", "1", "{}", error="ValueError()")])


def a_parked_record(terminal: Terminal, world: World) -> None:
    an_order(terminal, world)
    key = OrderKey("partner-1", UUID)
    order = world.store.orders([key])[key]
    record = order_record(order)
    world.system.parked.park("orders", "1", str(key), record, ValueError(), world.now())


Before = Callable[[Terminal, World], None] | str

# What is done before, by a function or a command, and at the end what is typed. An id in braces is looked up.
TYPED: dict[str, tuple[Before, ...]] = {
    "sessions cancel": (an_order, "sessions cancel {session} --seller 1 --yes"),
    "sessions move": (an_order, "sessions move {session} --seller 1 --name Pilates"),
    "sessions notify": (an_order, "sessions notify {session} Mats! --seller 1"),
    "sessions close": (an_order, "sessions close {session} --seller 1"),
    "sessions open": (an_order, "sessions close {session} --seller 1", "sessions open {session} --seller 1"),
    "bookings cancel": (an_order, f"bookings cancel {UUID} --seller 1"),
    "bookings replace": (another_session, an_order, f"bookings replace {UUID} --with {{other}} --seller 1"),
    "register attended": (an_order, "register attended {session} --all --seller 1"),
    "register absent": (an_order, "register absent {session} --all --seller 1"),
    "proposals accept": (a_proposal, f"proposals accept {UUID} --seller 1"),
    "proposals reject": (a_proposal, f"proposals reject {UUID} --seller 1"),
    "proposals amend": (a_proposal, f"proposals amend {UUID} --note Later --seller 1"),
    "desk sell": (another_session, "desk sell {session} --seller 1"),
    "desk return": (
        another_session,
        f"desk sell {{session}} --uuid {UUID} --seller 1",
        f"desk return {UUID} --anyway --seller 1",
    ),
    "access set": (an_order, "access set --session {session} --code 1234 --seller 1"),
    "partners allow": ("partners add Other --id other", "partners allow other --seller 1"),
    "partners deny": (a_partner, "partners deny broker --seller 1"),
    "people export": (an_order, "people export --email geoff@example.com --to {file}"),
    "people erase": (an_order, "people erase --email geoff@example.com --also-upcoming --yes"),
    "partners add": ("partners add Broker",),
    "partners suspend": (a_partner, "partners suspend broker"),
    "partners resume": (a_partner, "partners suspend broker", "partners resume broker"),
    "partners rotate-secret": (a_partner, "partners rotate-secret broker"),
    "partners revoke": (a_partner, "partners revoke broker"),
    "partners api-key": (a_partner, "partners api-key broker --seller 1"),
    "partners revoke-api-key": (
        a_partner,
        "partners api-key broker --seller 1",
        "partners revoke-api-key {key}",
    ),
    "partners invite": ("partners invite",),
    "partners uninvite": ("partners invite", "partners uninvite {invitation}"),
    "sellers add": ("sellers add --id three --name Three --tax-mode gross",),
    "sellers authorise": ("partners add Other --id other", "sellers authorise 1 other"),
    "sellers revoke": (a_partner, "sellers revoke 1 broker"),
    "sellers suspend": ("sellers suspend 1",),
    "sellers resume": ("sellers suspend 1", "sellers resume 1"),
    "logins add": ("logins add sam --seller 1 --generate",),
    "logins set-password": (a_login, "logins set-password alex --generate"),
    "logins allow": (a_login, "logins allow alex 2"),
    "logins disallow": (a_login, "logins disallow alex 1"),
    "logins suspend": (a_login, "logins suspend alex"),
    "logins resume": (a_login, "logins suspend alex", "logins resume alex"),
    "logins remove": (a_login, "logins remove alex"),
    "tokens revoke": (a_partner, "tokens revoke --partner broker"),
    "tokens rotate-keys": ("tokens rotate-keys",),
    "tokens forget-key": ("tokens rotate-keys", "tokens forget-key {signing_key} --yes"),
    "pending replay": (an_aside_entry, "pending replay 1"),
    "pending discard": (an_aside_entry, "pending discard 1 --yes"),
    "feeds replay": (a_parked_record, "feeds replay --all"),
    "feeds discard": (a_parked_record, "feeds discard --all --yes"),
    "feeds rebuild": (an_order, "feeds rebuild --partner partner-1"),
    "check": ("check --repair --pause 0",),
    "sources add": ("sources add site https://operator.example/openactive",),
    "sources remove": ("sources add site https://operator.example/openactive", "sources remove site"),
}


def all_commands() -> set[str]:
    found: set[str] = set()
    for name in COMMANDS:
        command = load(name)
        found |= (
            {f"{name} {each}" for each in command.commands} if isinstance(command, TyperGroup) else {name}
        )
    return found


def sessions(world: World) -> dict[str, str]:
    """The first session of the Seller by its start, and the last one."""
    found = world.store.listed_opportunities(seller_id(1)).keys
    return {"session": found[0], "other": found[-1]} if found else {}


def test_every_command_reads_or_has_its_entry_shown() -> None:
    known = READING | WITHOUT_ENTRY.keys() | SHOWN_BY.keys() | TYPED.keys()
    assert all_commands() - known == set(), (
        "add it to TYPED, or name the test that shows its entry in SHOWN_BY"
    )
    assert known - all_commands() == set()


@pytest.mark.parametrize("name", TYPED)
def test_each_command_that_writes_leaves_an_entry_in_the_name_of_its_user(
    terminal: Terminal, world: World, tmp_path: Path, name: str
) -> None:
    *before_it, typed = TYPED[name]
    assert isinstance(typed, str)
    for each in before_it:
        if isinstance(each, str):
            terminal.says(*each.format(**sessions(world)).split())
        else:
            each(terminal, world)
    rows = {
        "key": ("partners api-keys broker", "key"),
        "invitation": ("partners invitations", "invitation"),
        "signing_key": ("tokens keys", "key"),
    }
    values = {"file": str(tmp_path / "person.json"), **sessions(world)}
    for placeholder, (listing, column) in rows.items():
        if f"{{{placeholder}}}" in typed:
            values[placeholder] = terminal.rows(*listing.split())[-1][column]
    before = len(terminal.journal())
    result = terminal.run(*typed.format(**values).split(), "--by", "the-user")
    assert result.exit_code == 0, result.output
    after = json.loads(terminal.says("audit", "--json", "--limit", "1000"))["rows"]
    new = after[: len(after) - before]
    assert new, f"{name} left no entry"
    assert {entry["by"] for entry in new} == {"the-user"}
    assert {entry["from"] for entry in new} == {"command line"}
