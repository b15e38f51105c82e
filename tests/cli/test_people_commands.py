"""`openbooking people` as it is typed, on moto: what is stored about a person is found, exported and erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.people import sought
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.services import following
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from tests.support.inventory import Bookable
from tests.support.residue import stored_text
from tests.support.terminal import Terminal
from tests.support.world import API, PAYMENT, Answer, Broker, World, order_record

UUID = "10000000-0000-4000-8000-00000000000"
FORM = (
    {
        "@type": "ShortAnswerFormFieldSpecification",
        "@id": "https://a.example/forms/1",
        "name": "Contact",
        "valueRequired": False,
    },
)
ANN = {
    "@type": "Person",
    "givenName": "Ann",
    "familyName": "Archer",
    "email": "Ann@example.com",
    "telephone": "+44 7700 900123",
}
BEN = {"@type": "Person", "givenName": "Ben", "familyName": "Baker", "email": "ben@example.com"}
TRACES = ("ann@example.com", "Ann@example.com", "900123", "Archer")


@pytest.fixture
def world(terminal: Terminal) -> Iterator[World]:
    """What Brokers do beside the commands, on the same tables, at the present."""
    here = terminal.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


@pytest.fixture
def on_stage(stage: Terminal) -> Iterator[World]:
    """The same on a stage of an imitation of AWS."""
    here = stage.system
    made = World(store=here.store, feeds=here.feeds, identities=here.identities, pending=here.pending)
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    install(None)


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session(attendee=("https://schema.org/email",), form=FORM)


def b(world: World, session: Bookable, number: int, **properties: object) -> Answer:
    attended = session.item(
        attendee=ANN,
        orderItemIntakeFormResponse=[
            {"@type": "PropertyValue", "propertyID": FORM[0]["@id"], "value": "Ann Archer, 07700 900123"}
        ],
        accessPass=[{"@type": "Barcode", "text": "Ann Archer 17", "url": "https://a.example/pass"}],
    )
    usual = {"customer": ANN, "payment": {**PAYMENT, "payer": "Ann Archer"}}
    return Broker(world).b(f"{UUID}{number}", attended, **{**usual, **properties})


def stored(world: World, number: int, partner: str = "partner-1") -> Order:
    key = OrderKey(partner, f"{UUID}{number}")
    found = world.store.orders([key])[key]
    assert isinstance(found, Order)
    return found


def publish(world: World, number: int) -> None:
    """What the stream of orders does."""
    order = stored(world, number)
    assert world.system.streams["orders"].handle([order_record(order, str(order.version))]).error is None


def after_it_ended(world: World) -> None:
    world.clock.now += timedelta(days=30)


def item_ids(answer: Answer) -> list[str]:
    return [item["@id"] for item in answer.json["orderedItem"]]


def test_a_person_is_found_by_each_detail_and_in_each_place(
    terminal: Terminal, world: World, yoga: Bookable
) -> None:
    b(world, yoga, 1)
    b(world, yoga, 2, customer=BEN)
    for option in (["--email", "ann@EXAMPLE.com"], ["--telephone", "07700900123"], ["--name", "Ann Archer"]):
        rows = {row["id"]: row for row in terminal.rows("people", "find", *option)}
        assert {key: (row["partner"], row["as"]) for key, row in rows.items()} == {
            f"{UUID}1": ("partner-1", "customer, attendee"),
            f"{UUID}2": ("partner-1", "attendee"),
        }
        assert rows[f"{UUID}1"]["upcoming"] is True
    assert terminal.rows("people", "find", "--email", "carol@example.com") == []
    assert terminal.rows("people", "find", "--email", "ann@example.com", "--seller", "2") == []
    assert "Whom?" in terminal.refuses("people", "find")
    assert "not a full name" in terminal.refuses("people", "find", "--name", "Ann")


def test_an_export_has_all_for_the_customer_and_only_their_own_for_others(
    terminal: Terminal, world: World, yoga: Bookable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", "https://booking.example")
    b(world, yoga, 1)
    b(world, yoga, 2, customer=BEN)
    file = tmp_path / "ann.json"
    assert "Orders: 2." in terminal.says("people", "export", "--email", "ann@example.com", "--to", str(file))
    assert file.stat().st_mode & 0o077 == 0
    exported = json.loads(file.read_text())
    as_customer, as_attendee = (each["document"] for each in exported["orders"])
    assert as_customer["customer"] == ANN and as_customer["payment"]["identifier"] == "payment-1"
    assert as_attendee["orderedItem"][0]["attendee"] == ANN
    assert "ben@example.com" not in json.dumps(as_attendee)
    assert "base.invalid" not in file.read_text() and "https://booking.example/" in file.read_text()
    assert "exists already" in terminal.refuses("people", "export", "--email", "a@b.c", "--to", str(file))
    assert "person exported" in [what for what, _ in terminal.journal()]


def test_a_person_whose_proposal_waits_is_not_erased(terminal: Terminal, world: World) -> None:
    """Otherwise it could still be accepted and booked, without a Customer; also where it names no time, and for attendees."""
    approval = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    asking, broker = world.session(offer=approval), Broker(world)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body("OrderProposal", asking.item(), totalPaymentDue=due, payment=PAYMENT, customer=ANN)
    uuid = f"{UUID}8"
    assert broker.send("PUT", f"{API}/order-proposals/{uuid}", body).status == 201
    for options in (["--email", "ann@example.com"], ["--order", f"partner-1#{uuid}"]):
        for more in ([], ["--also-upcoming"]):
            refused = terminal.run("people", "erase", *options, *more, "--yes")
            assert refused.exit_code == 1, refused.output
            assert (
                f"Proposals of the person wait to be answered or booked: partner-1#{uuid}." in refused.stderr
            )
    terminal.says("proposals", "reject", uuid, "--seller", "1")
    assert "Erased from orders: 1" in terminal.says("people", "erase", "--email", "ann@example.com", "--yes")


def test_nothing_of_an_erased_person_is_left_anywhere(
    terminal: Terminal,
    world: World,
    yoga: Bookable,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A search of every table, feed, parked record, log line and export; reports still add up."""
    world.system.telemetry = Telemetry(level="DEBUG", metrics=True)
    first = b(world, yoga, 1)
    b(world, yoga, 2, customer=BEN)
    due = [stored(world, number).totals for number in (1, 2)]
    world.system.seller_actions.notify(
        stored(world, 1).key, "Ann Archer: your mat is at the desk.", item_ids=None
    )
    publish(world, 1)
    order = stored(world, 1)
    cause = ValueError("ann@example.com")
    parked, _ = world.system.parked.park(
        "orders", "77", str(order.key), order_record(order), cause, world.now()
    )
    world.system.telemetry.record_parked(parked, cause)
    terminal.says("logins", "add", "ann@example.com", "--seller", "1", "--generate")
    figures = exports(terminal, tmp_path / "before")
    assert [trace for trace in TRACES if trace in figures] == []
    assert all(trace in stored_text(terminal.system) for trace in TRACES)

    refused = terminal.refuses("people", "erase", "--email", "ann@example.com", "--yes")
    assert "have not ended (2, such as order" in refused
    shown = terminal.says("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--dry-run")
    assert "dry run" in shown and "customer, attendee" in shown
    assert all(trace in stored_text(terminal.system) for trace in TRACES)
    said = terminal.says("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--yes")
    assert "orders: 2, feed items: 1, parked records: 1, logins: 1" in said

    world.system.sweep()
    captured = capsys.readouterr()
    logged = captured.out + captured.err + caplog.text
    assert "stream record parked" in logged
    assert [trace for trace in TRACES if trace in logged] == []
    assert exports(terminal, tmp_path / "after") == figures
    left = stored_text(terminal.system)
    assert [trace for trace in TRACES if trace in left] == []
    assert "ben@example.com" in left
    for shown in ("bookings list", f"bookings show {UUID}1", f"register show {yoga.id}", "sessions list"):
        output = terminal.says(*shown.split(), "--seller", "1", "--json")
        assert [trace for trace in TRACES if trace in output] == []
    assert [trace for trace in TRACES if trace in terminal.says("audit", "--json")] == []
    assert [stored(world, number).totals for number in (1, 2)] == due
    journal = [what for what, _ in terminal.journal()]
    assert journal.count("people erased from an order") == 2
    assert {"parked record erased", "login erased", "erasure finished"} <= set(journal)
    assert terminal.rows("people", "find", "--email", "ann@example.com") == []
    assert "Nothing is stored" in terminal.says("people", "erase", "--email", "ann@example.com", "--yes")

    # B-08: the Broker that repeats its request gets the same answer, without the person.
    again = b(world, yoga, 1)
    assert (again.status, item_ids(again)) == (201, item_ids(first))
    assert b(world, yoga, 1, customer=BEN).status == 500
    # The stream brings the same version later: nothing comes back.
    publish(world, 1)
    assert "Archer" not in stored_text(terminal.system)
    feed = Broker(world).send("GET", f"{API}/orders-rpde").json
    assert [item["id"] for item in feed["items"]] == [f"{UUID}1"]
    assert "customerNotice" not in json.dumps(feed)


def exports(terminal: Terminal, folder: Path) -> str:
    """What the reports export, as one text."""
    folder.mkdir()
    groups = (word for by in ("day", "broker", "activity", "site") for word in ("--group-by", by))
    for name, *command in (("sales", *groups), ("payments",), ("occupancy",)):
        for form in ("csv", "json"):
            file = folder / f"{name}.{form}"
            assert terminal.run("reports", name, "--seller", "1", *command, "--to", str(file)).exit_code == 0
    return "\n".join(each.read_text() for each in sorted(folder.iterdir()))


def test_people_and_reports_on_a_stage(stage: Terminal, on_stage: World, tmp_path: Path) -> None:
    """On an imitation of AWS, with the tables of a stage."""
    session = on_stage.session(starts_in=timedelta(days=3))
    assert Broker(on_stage).b(f"{UUID}1", session.item(), customer=ANN).status == 201
    (row,) = stage.rows("people", "find", "--email", "ann@example.com")
    assert row["id"] == f"{UUID}1"
    file = tmp_path / "ann.json"
    stage.says("people", "export", "--email", "ann@example.com", "--to", str(file))
    before = stage.rows("reports", "sales", "--seller", "1", "--group-by", "broker")
    stage.says("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--yes")
    assert [trace for trace in TRACES if trace in stored_text(stage.system)] == []
    assert stage.rows("reports", "sales", "--seller", "1", "--group-by", "broker") == before
    assert before[0]["due"] == "10.00"
    assert stage.rows("reports", "occupancy", "--seller", "1")[0]["taken"] == 1
    (entry, *_) = json.loads(stage.says("audit", "--json", "--order", f"{UUID}1"))["rows"]
    assert entry["by"].startswith("arn:aws:sts::123456789012:")


def test_an_erasure_that_was_interrupted_is_continued_by_the_same_command(
    terminal: Terminal, world: World, yoga: Bookable
) -> None:
    for number in (1, 2, 3):
        b(world, yoga, number)
    writes = 0
    commit = type(world.store).commit

    class Killed(BaseException):
        pass

    def killed_at_the_second(self: object, changes: object) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise Killed
        commit(self, changes)  # type: ignore[arg-type]

    admin = Administration(world.system, "sam")
    found = admin.people.find(sought("ann@example.com"))
    assert len(found.orders) == 3
    type(world.store).commit = killed_at_the_second  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(Killed):
            admin.people.erase(found, None, erasure_id="1")
    finally:
        type(world.store).commit = commit  # type: ignore[method-assign]
    assert len(terminal.rows("people", "find", "--email", "ann@example.com")) == 2
    terminal.says("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--yes")
    assert "Archer" not in stored_text(terminal.system)


def test_past_bookings_need_no_further_option_and_the_command_asks(terminal: Terminal, world: World) -> None:
    over = world.session(starts_in=timedelta(minutes=5))
    Broker(world).b(f"{UUID}4", over.item(), customer=ANN)
    order = stored(world, 4)
    assert order.items[0].opportunity is not None
    refused = terminal.run("people", "erase", "--order", str(order.key), "--also-upcoming", typed="n\n")
    assert refused.exit_code == 1
    assert "Archer" in stored_text(terminal.system)
    terminal.says("people", "erase", "--order", str(order.key), "--also-upcoming", "--yes")
    assert "Archer" not in stored_text(terminal.system)
    assert "no order" in terminal.refuses("people", "erase", "--order", "partner-9#1", "--yes")


def test_work_that_names_the_person_is_finished_first(terminal: Terminal, world: World) -> None:
    over = world.session()
    Broker(world).b(f"{UUID}5", over.item(), customer=ANN)
    aside = PendingWork(f"{SET_ASIDE}{following.KIND}", "1", "{}", error="ValueError('ann@example.com')")
    world.pending.exchange((), [aside])
    said = terminal.refuses("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--yes")
    assert f"{SET_ASIDE}{following.KIND} 1" in said
    terminal.says("pending", "discard", "1", "--yes")
    terminal.says("people", "erase", "--email", "ann@example.com", "--also-upcoming", "--yes")


def test_one_way_to_say_whom_is_needed(terminal: Terminal) -> None:
    assert "Whom?" in terminal.refuses("people", "erase", "--yes")
    assert "Whom?" in terminal.refuses("people", "erase", "--email", "a@b.c", "--order", "x#1", "--yes")


def test_a_user_of_commands_is_erased_and_the_entries_stay(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker", "--by", "ann@example.com")
    assert terminal.journal() == [("partner added", "ann@example.com")]
    assert "dry run" in terminal.says("people", "erase", "--user", "ann@example.com", "--dry-run")
    assert terminal.run("people", "erase", "--user", "ann@example.com", typed="n\n").exit_code == 1
    terminal.says("people", "erase", "--user", "ann@example.com", "--yes", "--by", "kim")
    first, second = terminal.journal()
    assert first[0] == "partner added" and "ann" not in first[1]
    assert second == ("user erased", "kim")
    assert "ann@example.com" not in stored_text(terminal.system)
    assert "no user" in terminal.refuses("people", "erase", "--user", "ann@example.com", "--yes")
