"""`openbooking sessions cancel` and `openbooking proposals` as they are typed, on moto."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.runtime.system import install
from tests.support.builders import CUSTOMER
from tests.support.inventory import Bookable
from tests.support.terminal import Terminal
from tests.support.world import API, PAYMENT, Broker, World

UUID = "10000000-0000-4000-8000-00000000000"
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}


@pytest.fixture
def desk(terminal: Terminal) -> Terminal:
    """Acts for the first of the two Sellers."""
    return Terminal(terminal.system, [*terminal.options, "--seller", "1"])


@pytest.fixture
def world(terminal: Terminal) -> Iterator[World]:
    """What Brokers do beside the commands, on the same tables, at the present."""
    here = terminal.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


def order(world: World, session: Bookable, number: int = 1, partner: str = "partner-1") -> str:
    assert Broker(world, partner).b(f"{UUID}{number}", session.item()).status == 201
    return f"{UUID}{number}"


def proposal(world: World, session: Bookable, number: int = 1, partner: str = "partner-1") -> str:
    broker = Broker(world, partner)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal", session.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}{number}", body).status == 201
    return f"{UUID}{number}"


def status(world: World, uuid: str, partner: str = "partner-1") -> str:
    item = Broker(world, partner).status(uuid).json["orderedItem"][0]
    return str(item["orderItemStatus"]).rpartition("/")[2]


def proposal_status(world: World, uuid: str, partner: str = "partner-1") -> str:
    document = Broker(world, partner).status(uuid).json
    return str(document["orderProposalStatus"]).rpartition("/")[2]


# --- sessions ---------------------------------------------------------------------------------


def test_a_session_is_cancelled_for_everyone_with_a_message(
    desk: Terminal, terminal: Terminal, world: World
) -> None:
    """CANCEL-14: by its id as feeds show it."""
    yoga = world.session()
    uuids = [order(world, yoga, 1), order(world, yoga, 2)]
    output = desk.says("sessions", "cancel", yoga.outer_id, "--message", "Flooded.", "--yes", "--by", "sam")
    assert output.startswith("Yoga, ")
    assert "2 orders or proposals." in output
    assert "It is cancelled, with 2 orders or proposals." in output
    assert [status(world, uuid) for uuid in uuids] == ["SellerCancelled"] * 2
    item = Broker(world).status(uuids[0]).json["orderedItem"][0]
    assert item["cancellationMessage"] == "Flooded."
    assert ("session cancelled", "sam") in terminal.journal()


def test_so_is_one_that_is_no_longer_for_sale(desk: Terminal, world: World) -> None:
    yoga = world.session()
    uuid = order(world, yoga, 3)
    world.system.inventory.withdraw(yoga.id)
    assert status(world, uuid) == "OrderItemConfirmed"
    assert "with 1 order or proposal." in desk.says("sessions", "cancel", yoga.id, "--yes")
    assert status(world, uuid) == "SellerCancelled"


def test_the_command_asks_for_confirmation(desk: Terminal, world: World) -> None:
    yoga = world.session()
    uuid = order(world, yoga, 4)
    refused = desk.run("sessions", "cancel", yoga.id, typed="n\n")
    assert refused.exit_code == 1 and "1 order or proposal" in refused.output
    assert status(world, uuid) == "OrderItemConfirmed"
    assert desk.run("sessions", "cancel", yoga.id, typed="y\n").exit_code == 0
    assert status(world, uuid) == "SellerCancelled"


def test_what_is_no_session_cannot_be_cancelled(desk: Terminal, world: World) -> None:
    yoga = world.session()
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    series = (listing.opportunity.parent or {})["@id"]
    assert "no session or slot" in desk.refuses("sessions", "cancel", "https://a.example/1", "--yes")
    assert "is a series of sessions" in desk.refuses("sessions", "cancel", series, "--yes")


def test_an_empty_text_is_no_change(desk: Terminal, world: World) -> None:
    yoga = world.session()
    order(world, yoga, 4)
    assert desk.refuses("access", "set", "--session", yoga.id, "--code", " ") == "--code is empty."
    for option in ("--name", "--place", "--street", "--locality", "--postcode"):
        assert desk.refuses("sessions", "move", yoga.id, option, "") == f"{option} is empty."


def test_a_session_is_cancelled_once(desk: Terminal, world: World) -> None:
    yoga = world.session()
    desk.says("sessions", "cancel", yoga.id, "--message", "Flooded.", "--yes")
    before = desk.changes()
    again = desk.says("sessions", "cancel", yoga.id, "--message", "Snow.")
    assert again.endswith("It is cancelled already: nothing was changed.\n")
    assert desk.changes() == before


@pytest.mark.parametrize(
    "command",
    [
        ["sessions", "list"],
        ["bookings", "list"],
        ["proposals", "list"],
        ["register", "show", "yoga"],
        ["reports", "sales"],
        ["timetable", "list"],
        ["timetable", "import", "nothing.csv"],
        ["desk", "sell", "yoga"],
        ["partners", "allow", "broker"],
    ],
)
def test_a_seller_that_is_not_named_is_asked_for_in_the_same_sentence(
    terminal: Terminal, command: list[str]
) -> None:
    assert terminal.refuses(*command) == "There are 2 Sellers: name one with --seller."


def test_people_read_words_and_programs_the_standard_values(desk: Terminal, world: World) -> None:
    yoga = world.session(starts_in=timedelta(hours=1))
    uuid = order(world, yoga, 1)
    desk.says("bookings", "cancel", uuid)
    desk.says("desk", "sell", yoga.id, "--uuid", f"{UUID}2")
    shown = desk.says("register", "show", yoga.id)
    assert "booked" in shown and "cancelled by you" in shown
    assert "SellerCancelled" not in shown and "Confirmed" not in shown
    shown = desk.says("bookings", "show", f"{UUID}2")
    assert "sold at the desk" in shown and "sold by:    yourself" in shown
    assert "desk-" not in shown and "NoBroker" not in shown and "@type" not in shown
    assert "https://" not in shown
    row = desk.page("bookings", "show", f"{UUID}2")
    assert (row["partner"], row["sold_by"], row["status"]) == ("desk-1", "NoBroker", "OrderItemConfirmed")
    said = desk.says("bookings", "cancel", f"{UUID}2")
    assert said == (
        f"Booking {UUID}2, sold at the desk, is cancelled. Status: booked → cancelled by you. "
        "Due: 10.00 GBP → 0.00 GBP.\n"
    )


def test_a_wrong_time_zone_is_refused_in_a_sentence(desk: Terminal, world: World) -> None:
    world.session()
    assert "'Europe/Bristol' is not a time zone" in desk.refuses(
        "sessions", "list", "--time-zone", "Europe/Bristol"
    )


# --- proposals --------------------------------------------------------------------------------


def test_proposals_that_wait_are_listed_and_answered(
    desk: Terminal, terminal: Terminal, world: World
) -> None:
    """A-01, A-02."""
    yoga = world.session(offer=APPROVAL)
    first, second = proposal(world, yoga, 5), proposal(world, yoga, 6, "partner-2")
    rows = {row["uuid"]: row for row in desk.page("proposals", "list")["rows"]}
    assert {first, second} <= set(rows)
    assert rows[second]["partner"] == "partner-2"
    [item] = rows[first]["items"]
    assert (item["places"], item["name"]) == (1, "Yoga")
    assert (rows[first]["due"], rows[first]["currency"]) == ("10.00", "GBP")
    assert rows[first]["since"]
    assert "is accepted" in desk.says("proposals", "accept", first)
    assert "is rejected" in desk.says("proposals", "reject", second, "--note", "Sorry.")
    assert proposal_status(world, first) == "SellerAccepted"
    assert proposal_status(world, second, "partner-2") == "SellerRejected"
    assert not {first, second} & {row["uuid"] for row in desk.page("proposals", "list")["rows"]}
    done = [what for what, _ in terminal.journal()]
    assert {"proposal accepted", "proposal rejected"} <= set(done)
    assert "is rejected already" in desk.refuses("proposals", "accept", second)


def test_the_partner_is_named_where_two_use_the_same_uuid(desk: Terminal, world: World) -> None:
    """GEN-04."""
    yoga = world.session(offer=APPROVAL)
    uuid = proposal(world, yoga, 7)
    proposal(world, yoga, 7, "partner-2")
    refusal = desk.refuses("proposals", "accept", uuid)
    assert "(partner-1, partner-2): name one with --partner" in refusal
    desk.says("proposals", "accept", uuid, "--partner", "partner-2")
    assert proposal_status(world, uuid) == "AwaitingSellerConfirmation"
    assert proposal_status(world, uuid, "partner-2") == "SellerAccepted"
    assert "no proposal" in desk.refuses("proposals", "reject", uuid, "--partner", "partner-3")


def test_a_list_is_bounded_and_says_that_there_is_more(desk: Terminal, world: World) -> None:
    yoga = world.session(offer=APPROVAL)
    for number in (8, 9):
        proposal(world, yoga, number)
    first = desk.page("proposals", "list", "--limit", "1")
    second = desk.page("proposals", "list", "--limit", "1", "--after", first["next"])
    assert len(first["rows"]) == len(second["rows"]) == 1 and first["rows"] != second["rows"]
    assert second["next"] is None
    assert "More follow: --after" in desk.run("proposals", "list", "--limit", "1").stderr
    assert "is not a cursor" in desk.refuses("proposals", "list", "--after", "1")
    assert "no proposal" in desk.refuses("proposals", "accept", f"{UUID}0")


# --- after an upgrade -------------------------------------------------------------------------


def test_what_an_earlier_release_has_written_is_listed_after_an_upgrade(
    desk: Terminal, terminal: Terminal, world: World
) -> None:
    uuid = order(world, world.session(), 4)
    tables = terminal.system.store._tables  # type: ignore[attr-defined]
    tables.connection.client.update_item(
        TableName=tables.name("orders"),
        Key={"order_key": {"S": f"partner-1#{uuid}"}},
        UpdateExpression="REMOVE seller_list, listed_at",
    )
    assert desk.page("bookings", "list")["rows"] == []
    assert "1 orders and 0 sessions and slots would be added" in terminal.says("upgrade", "--dry-run")
    assert desk.page("bookings", "list")["rows"] == []
    terminal.says("upgrade", "--by", "sam")
    assert [row["uuid"] for row in desk.page("bookings", "list")["rows"]] == [uuid]
    assert ("rows upgraded", "sam") in terminal.journal()
