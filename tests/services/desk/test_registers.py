"""The register of a session, its cancelled places, and when and for whom attendance is recorded; lists by type."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.lifecycle import ItemEvent
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from chalicelib.services.desk import lists
from chalicelib.services.desk.lists import Kind
from chalicelib.services.desk.orders import Marked
from chalicelib.services.errors import InvalidValue, NotFound, NotPossible
from chalicelib.services.journal import Wanted
from tests.support.builders import CUSTOMER
from tests.support.inventory import Bookable
from tests.support.world import API, PAYMENT, Broker, World

UUID = "30000000-0000-4000-8000-0000000000"
SOON = timedelta(hours=1)
NEGOTIABLE = {
    "openBookingFlowRequirement": [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingNegotiation",
    ]
}


def booked(world: World, session: Bookable, number: int, places: int = 1) -> str:
    items = [session.item(position) for position in range(places)]
    answer = Broker(world).b(f"{UUID}{number:02}", *items, due=10 * places)
    assert answer.status == 201, answer.body
    return f"{UUID}{number:02}"


def order(world: World, uuid: str) -> Order:
    found = world.store.orders([OrderKey("partner-1", uuid)])[OrderKey("partner-1", uuid)]
    assert isinstance(found, Order)
    return found


def shown(
    desk: Administration, actor: Actor, session: Bookable, **options: bool
) -> list[tuple[str, int, str]]:
    page = desk.seller_lists.register(actor, session.id, **options)
    return sorted((row["uuid"], row["spaces"], row["status"]) for row in page.rows)


def test_a_register_shows_who_has_cancelled_and_does_not_count_them(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga, other = world.session(), world.session()
    stays, partly, gone, elsewhere = (booked(world, yoga, number, number) for number in (1, 2, 3, 4))
    item = order(world, partly).items[0].id or ""
    desk.seller_orders.cancel(actor, partly, item_ids=[item])
    desk.seller_orders.cancel(actor, gone)
    desk.seller_orders.replace(actor, elsewhere, session=other.id)
    held = [(partly, 1, "OrderItemConfirmed"), (stays, 1, "OrderItemConfirmed")]
    cancelled = [(partly, 0, "SellerCancelled"), *[(gone, 0, "SellerCancelled")] * 3]
    assert shown(desk, actor, yoga) == sorted(held + cancelled)
    assert shown(desk, actor, yoga, with_cancelled=False) == sorted(held)


def test_cancelled_places_are_paged_and_each_page_says_how_far_it_has_searched(
    world: World, desk: Administration, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_SEARCHED", 2)
    monkeypatch.setattr(lists, "_TOGETHER", 2)
    yoga, other = world.session(), world.session()
    gone = []
    for number in range(1, 8):
        world.clock.advance(minutes=1)
        uuid = booked(world, yoga if number % 2 else other, number)
        if number % 2:
            gone.append(uuid)
            desk.seller_orders.cancel(actor, uuid)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = desk.seller_lists.register(actor, yoga.id, after=after, limit=5)
        found += [row["uuid"] for row in page.rows]
        assert (page.searched_back_to is None) == (page.following is None)
        after = page.following
    assert found == gone[::-1]
    with pytest.raises(InvalidValue, match="is not a cursor"):
        desk.seller_lists.register(actor, yoga.id, after="cancelled|yesterday")


@pytest.mark.parametrize("event", [ItemEvent.attends, ItemEvent.is_absent])
def test_nobody_comes_before_the_day_of_the_session(
    world: World, desk: Administration, actor: Actor, event: ItemEvent
) -> None:
    yoga = world.session(starts_in=timedelta(days=2))
    uuid = booked(world, yoga, 1)
    london = ZoneInfo("Europe/London")
    with pytest.raises(
        NotPossible, match=r"It is on \d{4}-\d\d-\d\d, \d\d:\d\d: who came can be recorded from that day"
    ):
        desk.seller_orders.mark(actor, yoga.id, event, zone=london)
    with pytest.raises(NotPossible):
        desk.seller_orders.mark(actor, yoga.id, event, uuids=[uuid], zone=london, dry_run=True)
    starts = desk.seller_lists.session(actor, yoga.id)["starts"].astimezone(london)
    world.clock.now = starts.replace(hour=0, minute=0) - timedelta(seconds=1)
    with pytest.raises(NotPossible):
        desk.seller_orders.mark(actor, yoga.id, event, zone=london)
    world.clock.now += timedelta(seconds=1)
    assert desk.seller_orders.mark(actor, yoga.id, event, zone=london).orders == 1


def test_of_the_bookings_named_all_are_marked_or_none(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(starts_in=SOON)
    first, second, gone = (booked(world, yoga, number) for number in (1, 2, 3))
    desk.seller_orders.cancel(actor, gone)
    attends, mark = ItemEvent.attends, desk.seller_orders.mark
    with pytest.raises(NotFound, match="no booking of this session 'ffffffff'"):
        mark(actor, yoga.id, attends, uuids=[first, "ffffffff"])
    with pytest.raises(NotPossible, match=f"Booking {gone} is cancelled: nothing was marked"):
        mark(actor, yoga.id, attends, uuids=[first, gone])
    with pytest.raises(InvalidValue, match=f"Several UUIDs begin with 3 .*{first}, {second}"):
        mark(actor, yoga.id, attends, uuids=[first, "3"])
    with pytest.raises(NotFound, match="no item of this booking 'x'"):
        mark(actor, yoga.id, attends, uuids=[first], item_ids=["x"])
    assert {str(order(world, uuid).items[0].status) for uuid in (first, second)} == {"OrderItemConfirmed"}
    assert mark(actor, yoga.id, attends, uuids=[first, first.upper()]).orders == 1
    assert mark(actor, yoga.id, attends, uuids=[first, second]) == Marked(1, {}, already=1)
    noted = len(desk.journal.page(Wanted(), 100)[0])
    assert mark(actor, yoga.id, attends) == Marked(0, {}, already=2)
    assert len(desk.journal.page(Wanted(), 100)[0]) == noted
    assert mark(actor, yoga.id, ItemEvent.is_absent, uuids=[first]).orders == 1


def test_too_few_characters_of_a_uuid_are_refused_with_those_that_begin_so(
    world: World, desk: Administration, actor: Actor
) -> None:
    uuid = booked(world, world.session(), 1)
    with pytest.raises(InvalidValue, match=f"'300' is too short: write at least 4 characters .*{uuid}"):
        desk.seller_lists.booking(actor, "300")
    assert desk.seller_lists.booking(actor, "3000")["uuid"] == uuid


def test_slots_are_listed_apart_from_sessions_and_no_page_leaves_one_out(
    world: World, desk: Administration, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_READ", 3)
    slots = [world.slot().id for _ in range(5)]
    starts = desk.seller_lists.session(actor, slots[0])["starts"] - world.now()
    sessions = [world.session(starts_in=starts + timedelta(hours=hours)).id for hours in (-1, 0, 1)]
    known = {
        kind: [desk.seller_ids.shown(each) for each in ids] for kind, ids in (("s", sessions), ("t", slots))
    }
    expected = {Kind.sessions: known["s"], Kind.slots: known["t"], Kind.all: known["s"] + known["t"]}
    for kind, ids in expected.items():
        for limit in (1, 2, 100):
            found: list[str] = []
            left_out = 0
            after: str | None = ""
            while after is not None:
                page = desk.seller_lists.sessions(actor, kind=kind, after=after, limit=limit)
                found += [row["id"] for row in page.rows]
                left_out += page.left_out
                after = page.following
            assert sorted(found) == sorted(ids)
            assert left_out == 8 - len(ids)


# --- amendments with other terms ------------------------------------------------------------------


def proposed(world: World, session: Bookable) -> str:
    broker = Broker(world)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal", session.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}50", body).status == 201
    return f"{UUID}50"


def test_a_proposal_says_for_whom_it_holds_its_space_and_until_when(
    world: World, desk: Administration, actor: Actor
) -> None:
    asking = world.session(offer=NEGOTIABLE)
    uuid = proposed(world, asking)

    def seen() -> tuple[Any, ...]:
        (row,) = desk.seller_lists.register(actor, asking.id).rows
        details = desk.seller_lists.proposal(actor, uuid)
        assert "booked" not in details
        assert desk.seller_lists.session(actor, asking.id)["taken"] == 1
        return row["name"], row["status"], details["answer_by"] is None, details["book_by"] is None

    assert seen() == ("geoff@example.com", "proposed", False, True)
    desk.seller_orders.decide(actor, uuid)
    assert seen() == ("geoff@example.com", "SellerAccepted", True, False)


def test_an_amendment_names_each_term_that_is_different(
    world: World, desk: Administration, actor: Actor
) -> None:
    """A-04: it may cost more or less; the Broker sees the new Offer and total in its feed."""
    uuid = proposed(world, world.session(offer=NEGOTIABLE))
    dear = {
        "name": "Member",
        "openBookingPrepayment": "https://openactive.io/Unavailable",
        "latestCancellationBeforeStartDate": "PT36H",
    }
    other = world.session(price=25, offer=dear)
    would = desk.seller_orders.amend(actor, uuid, session=other.id, dry_run=True)["differences"]
    assert would.pop("session")
    assert would == {
        "offer": "Adult → Member",
        "due": "10.00 GBP → 25.00 GBP",
        "prepayment": "required → unavailable",
        "refund": "until the start → until 36 hours before the start",
    }
    free = world.session(price=0, offer={"allowCustomerCancellationFullRefund": False})
    would = desk.seller_orders.amend(actor, uuid, session=free.id, dry_run=True)["differences"]
    assert (would["due"], would["refund"]) == ("10.00 GBP → 0.00 GBP", "until the start → no refund")


def test_an_amendment_is_refused_if_the_other_session_asks_for_more(
    world: World, desk: Administration, actor: Actor
) -> None:
    """B of a proposal has nothing but its version and a payment (B-16): the Customer could not add it."""
    uuid = proposed(world, world.session(offer=NEGOTIABLE))
    question = {
        "@type": "ShortAnswerFormFieldSpecification",
        "@id": "https://a.example/forms/1",
        "name": "Injuries",
        "valueRequired": True,
    }
    for asking in (
        world.session(attendee=("https://schema.org/givenName",)),
        world.session(form=(question,)),
    ):
        with pytest.raises(NotPossible, match="asks for details that this proposal does not have"):
            desk.seller_orders.amend(actor, uuid, session=asking.id)
    with pytest.raises(NotFound):
        desk.seller_orders.amend(actor, uuid, session=world.session(seller=2).id)
