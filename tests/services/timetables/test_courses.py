"""Courses of a timetable in the inventory: repeated, booked, edited, removed (decisions 24 and 26)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.runtime.system import install
from chalicelib.services.checking.inventory import InventoryLook
from chalicelib.services.inventory import Outcome
from chalicelib.services.timetables import due
from chalicelib.services.timetables.plans import Plan, Unit, Whole, own_id
from chalicelib.services.timetables.recurrence import Move, Recurrence
from chalicelib.services.timetables.timetable import Applied
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, with_logistics
from tests.services.timetables.test_timetable import MONDAY, PRICE, UUID, Desk, Watched, sweep
from tests.support.inventory import PLACE, YOGA, Bookable, a_seller_document, seller_id
from tests.support.world import Broker, World

COURSE = own_id(OpportunityType.CourseInstance, seller_id(1), "swim")
SESSIONS = own_id(OpportunityType.Event, seller_id(1), "swim")
# Five Mondays at 18:30 in London; clocks go back on 25 October.
DAYS = ("20261005", "20261012", "20261019", "20261026", "20261102")
CONFIRMED = "https://openactive.io/OrderItemConfirmed"


@pytest.fixture
def world() -> Iterator[World]:
    made = World(store=Watched())
    made.clock.now = MONDAY
    yield made
    ids = list(made.store.scan_opportunities().rows)
    assert list(InventoryLook(made.store, made.now()).opportunities(ids)) == []
    install(None)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def swim(
    name: str = "Learn to Swim", spaces: int = 6, sold: bool = True, singly: int = 8, **times: Any
) -> Plan:
    usual: dict[str, Any] = {
        "first": date(2026, 10, 5),
        "at": time(18, 30),
        "minutes": 60,
        "rule": "FREQ=WEEKLY",
        "until": date(2026, 11, 2),
    }
    return Plan(
        seller_id=seller_id(1),
        id="swim",
        child_type=OpportunityType.Event,
        parent={
            "@context": "https://openactive.io/",
            "@type": "CourseInstance",
            "@id": COURSE,
            "identifier": "swim",
            "name": name,
            "url": "https://example.org/swim",
            "activity": [YOGA],
            "location": PLACE,
            "organizer": a_seller_document(1),
            "eventStatus": "https://schema.org/EventScheduled",
            "offers": [{**PRICE, "@id": f"{COURSE}#/offers/adult", "price": 40}],
        },
        child={"activity": [YOGA], "eventStatus": "https://schema.org/EventScheduled"},
        spaces=singly,
        zone="Europe/London",
        days_ahead=0,
        recurrence=Recurrence(**{**usual, **times}),
        units=(Unit(COURSE),) if sold else (),
        prices=(PRICE,) if sold else (),
        whole=Whole(spaces),
    )


def course() -> Bookable:
    return Bookable(COURSE, f"{COURSE}#/offers/adult", "CourseInstance")


def session(key: str) -> Bookable:
    return Bookable(f"{SESSIONS}/{key}", f"{SESSIONS}/{key}#/offers/adult", "Event")


def live(desk: Desk) -> list[str]:
    return desk.live("swim", OpportunityType.Event)


def listed(desk: Desk, opportunity_id: str = COURSE) -> Listing:
    return desk.store.listings([opportunity_id])[opportunity_id][0]


def document(desk: Desk) -> Json:
    found: Json = listed(desk).opportunity.document
    return found


def starts(desk: Desk) -> list[str]:
    return [each["startDate"] for each in document(desk)["subEvent"]]


def book(desk: Desk, what: Bookable, number: int = 1, due: float = 40) -> str:
    answer = Broker(desk.world).b(f"{UUID}{number}", what.item(), due=due)
    assert answer.status == 201, answer.json
    return f"{UUID}{number}"


def left(desk: Desk, *keys: str) -> list[int]:
    capacities: list[Capacity] = [desk.world.capacity(session(key)) for key in keys]
    return [each.spaces_left for each in capacities]


def edit(desk: Desk, plan: Plan) -> Applied:
    """Load, let the Orders follow, and settle, as the command does."""
    applied = desk.load(plan)
    desk.follow()
    entry = desk.entry("swim")
    assert entry is not None
    applied.kept = desk.timetable.settle(entry)
    return applied


def notice(desk: Desk, uuid: str) -> str | None:
    text: str | None = desk.ordered(uuid).get("customerNotice")
    return text


# --- loading and repeating ----------------------------------------------------------------------


def test_a_course_is_published_with_its_sessions_at_once(desk: Desk) -> None:
    """It starts in four weeks; its sessions stay at 18:30 as the clocks go back."""
    applied = desk.load(swim())
    assert (applied.outcome, dict(applied.counts)) == (Outcome.added, {Outcome.added: 5})
    assert live(desk) == list(DAYS)
    assert starts(desk) == [
        "2026-10-05T17:30:00Z",
        "2026-10-12T17:30:00Z",
        "2026-10-19T17:30:00Z",
        "2026-10-26T18:30:00Z",
        "2026-11-02T18:30:00Z",
    ]
    assert (document(desk)["startDate"], document(desk)["endDate"]) == ("2026-10-05", "2026-11-02")
    found = listed(desk).opportunity
    assert found.starts_at == datetime(2026, 10, 5, 17, 30, tzinfo=UTC)
    assert found.ends_at == datetime(2026, 11, 2, 19, 30, tzinfo=UTC)
    assert found.sub_events == tuple(f"{SESSIONS}/{key}" for key in DAYS)
    sold = listed(desk, f"{SESSIONS}/{DAYS[0]}").opportunity
    assert (sold.name, sold.document["superEvent"]["@id"]) == ("Learn to Swim", COURSE)
    assert [offer.price for offer in sold.offers] == [10]


def test_a_course_in_spring_stays_at_its_time_as_the_clocks_go_forward(desk: Desk) -> None:
    desk.load(swim(first=date(2027, 3, 22), until=date(2027, 3, 29)))
    assert starts(desk) == ["2027-03-22T18:30:00Z", "2027-03-29T17:30:00Z"]


def test_a_second_run_writes_nothing(desk: Desk) -> None:
    for plan in (swim(), swim(sold=False)):
        edit(desk, plan)
        before = (desk.store.written, listed(desk), desk.entry("swim"))
        again = desk.load(plan)
        assert (again.outcome, dict(again.counts), again.kept) == (Outcome.unchanged, {}, [])
        assert (desk.store.written, listed(desk), desk.entry("swim")) == before


def test_sessions_that_are_not_sold_singly_are_in_the_course_only(desk: Desk) -> None:
    applied = desk.load(swim(sold=False))
    assert (live(desk), dict(applied.counts)) == ([], {})
    assert (len(starts(desk)), listed(desk).opportunity.sub_events) == (5, ())
    book(desk, course())
    assert desk.world.capacity(course()).spaces_left == 5


def test_a_place_in_the_course_is_a_place_in_each_session(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    book(desk, session(DAYS[1]), 2, due=10)
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED
    assert desk.world.capacity(course()).spaces_left == 5
    assert left(desk, *DAYS) == [7, 6, 7, 7, 7]


def test_a_course_has_its_own_terms_and_its_sessions_theirs(desk: Desk) -> None:
    from decimal import Decimal

    rate = TaxRate("VAT at 5%", Decimal("0.05"))
    plan = swim()
    details = ("https://schema.org/givenName",)
    desk.load(replace(plan, whole=Whole(6, details=details, tax_rates={"adult": rate})))
    assert listed(desk).opportunity.attendee_details_required == details
    assert listed(desk).opportunity.offers[0].tax_rate == rate
    single = listed(desk, f"{SESSIONS}/{DAYS[0]}").opportunity
    assert (single.attendee_details_required, single.offers[0].tax_rate) == ((), None)


def test_the_schedule_has_nothing_to_add_to_a_course(desk: Desk) -> None:
    desk.load(swim(until=None, rule="FREQ=WEEKLY;COUNT=5"))
    entry = desk.entry("swim")
    assert entry is not None and entry.due is None
    assert desk.world.pending.entries(due.KIND, 10) == []
    desk.world.clock.advance(days=30)
    assert (sweep(desk), len(live(desk))) == (0, 5)


# --- edits, and those who booked ----------------------------------------------------------------


def test_those_on_a_course_are_informed_of_a_session_that_moves(desk: Desk) -> None:
    """NOTIF-01, NOTIF-04: whether its sessions are sold singly or not."""
    moved = (Move(date(2026, 10, 12), date(2026, 10, 13), time(10)),)
    for number, sold in enumerate((True, False), 1):
        desk.load(swim(sold=sold))
        uuid = book(desk, course(), number)
        applied = edit(desk, swim(sold=sold, moved=moved))
        assert applied.kept == []
        assert starts(desk)[1] == "2026-10-13T09:00:00Z"
        said = notice(desk, uuid)
        assert said is not None and "12 October 2026, 17:30 UTC is now 13 October 2026, 09:00 UTC" in said
        assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED
        edit(desk, swim(sold=sold))


def test_one_notice_names_all_sessions_of_a_course_that_move(desk: Desk) -> None:
    """And those who booked one of them singly follow that one."""
    desk.load(swim())
    uuid, single = book(desk, course()), book(desk, session(DAYS[2]), 2, due=10)
    edit(desk, swim(at=time(19)))
    said = notice(desk, uuid)
    assert said is not None and said.count("is now") == 5
    assert desk.ordered(single)["orderedItem"]["startDate"] == "2026-10-19T18:00:00Z"
    assert left(desk, *DAYS) == [7, 7, 6, 7, 7]


def test_those_on_a_course_take_a_space_of_a_session_that_is_added(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    applied = edit(desk, swim(until=date(2026, 11, 9)))
    assert applied.counts[Outcome.added] == 1
    assert left(desk, *DAYS, "20261109") == [7] * 6
    said = notice(desk, uuid)
    assert said is not None and "09 November 2026, 18:30 UTC is new" in said


def test_a_new_session_is_there_before_the_course_names_it(desk: Desk) -> None:
    """Otherwise an Order that follows in between would not get a space of it."""
    desk.load(swim())
    book(desk, course())
    written: list[str] = []
    desk.store.before = written.append
    desk.load(swim(until=date(2026, 11, 9)))
    assert written.index(f"{SESSIONS}/20261109") < written.index(COURSE)


def test_a_session_that_a_booked_course_no_longer_has_is_released_and_withdrawn(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    first = desk.load(swim(not_on=(date(2026, 10, 19),)))
    assert [kept.id for kept in first.kept] == [f"{SESSIONS}/{DAYS[2]}"]  # until its Orders follow
    desk.follow()
    applied = edit(desk, swim(not_on=(date(2026, 10, 19),)))
    assert (applied.kept, live(desk)) == ([], [DAYS[0], DAYS[1], DAYS[3], DAYS[4]])
    said = notice(desk, uuid)
    assert said is not None and "19 October 2026, 17:30 UTC is left out" in said
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED
    assert left(desk, DAYS[0], DAYS[1]) == [7, 7]


def test_one_that_is_also_booked_singly_stays_and_is_reported(desk: Desk) -> None:
    desk.load(swim())
    book(desk, course())
    single = book(desk, session(DAYS[2]), 2, due=10)
    applied = edit(desk, swim(not_on=(date(2026, 10, 19),)))
    assert [(kept.id, kept.orders) for kept in applied.kept] == [(f"{SESSIONS}/{DAYS[2]}", 1)]
    assert desk.ordered(single)["orderItemStatus"] == CONFIRMED


def test_an_edit_during_the_course_keeps_the_sessions_that_are_over(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    desk.world.clock.advance(days=37)  # two sessions are over
    applied = edit(desk, swim(name="Swim School"))
    assert dict(applied.counts) == {Outcome.changed: 3}
    assert (len(starts(desk)), len(listed(desk).opportunity.sub_events)) == (5, 5)
    assert (desk.ordered(uuid)["orderedItem"]["name"], notice(desk, uuid)) == ("Swim School", None)
    assert desk.world.held(session(DAYS[0])) == 1


def test_a_course_that_begins_before_it_is_loaded_counts_what_is_to_come(desk: Desk) -> None:
    desk.world.clock.advance(days=37)
    desk.load(swim())
    assert (live(desk), len(starts(desk))) == (list(DAYS[2:]), 5)
    book(desk, course())
    assert left(desk, *DAYS[2:]) == [7, 7, 7]


def test_a_course_that_is_over_is_neither_published_nor_changed(desk: Desk) -> None:
    desk.load(swim())
    desk.world.clock.advance(days=70)
    before = listed(desk)
    assert desk.load(swim(name="Swim School")).kept == []
    assert listed(desk) == before


def test_sessions_that_are_sold_singly_later_take_spaces_of_those_on_the_course(desk: Desk) -> None:
    desk.load(swim(sold=False))
    uuid = book(desk, course())
    edit(desk, swim())
    assert left(desk, *DAYS) == [7] * 5
    applied = edit(desk, swim(sold=False))
    assert (applied.kept, live(desk)) == ([], [])
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED


def test_spaces_change_with_the_row_and_never_below_what_is_booked(desk: Desk) -> None:
    desk.load(swim())
    for number in (1, 2):
        book(desk, course(), number)
    desk.load(swim(spaces=12, singly=12))
    assert desk.world.capacity(course()).spaces_left == 10
    applied = desk.load(swim(spaces=1, singly=1))
    assert applied.children.more_held == {COURSE: 2, **{f"{SESSIONS}/{key}": 2 for key in DAYS}}
    assert desk.world.capacity(course()).spaces_left == 0


def test_more_sessions_sold_singly_than_an_order_takes_cannot_be_booked(desk: Desk) -> None:
    """However the plan came in; the row itself is refused (decision 26)."""
    desk.load(swim(until=date(2027, 3, 8)))  # 23 sessions
    assert len(live(desk)) == 23
    book(desk, course())
    desk.load(swim(until=date(2027, 3, 15)))
    assert listed(desk).opportunity.too_many_sub_events is not None


# --- what the Seller did ------------------------------------------------------------------------


def test_a_cancelled_course_stays_cancelled(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    desk.world.system.inventory.cancel(COURSE)
    desk.follow()
    before = listed(desk)
    applied = edit(desk, swim(name="Swim School"))
    assert (listed(desk), applied.children.called_off) == (before, [COURSE])
    assert desk.ordered(uuid)["orderItemStatus"] == "https://openactive.io/SellerCancelled"


def test_a_cancelled_session_stays_cancelled_and_the_course_says_so(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    desk.world.system.inventory.cancel(f"{SESSIONS}/{DAYS[1]}")
    desk.follow()
    applied = edit(desk, swim(name="Swim School"))
    assert applied.children.called_off == [f"{SESSIONS}/{DAYS[1]}"]
    assert document(desk)["subEvent"][1]["eventStatus"] == "https://schema.org/EventCancelled"
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED


def test_what_was_moved_or_renamed_alone_stays(desk: Desk) -> None:
    desk.load(swim())
    later = datetime(2026, 10, 12, 20, 0, tzinfo=UTC)
    change = desk.world.system.inventory.change
    change(f"{SESSIONS}/{DAYS[1]}", lambda known: with_logistics(known, Logistics(starts_at=later)))
    elsewhere = {**PLACE, "name": "The lido"}
    change(COURSE, lambda known: with_logistics(known, Logistics(name="Swim School", location=elsewhere)))
    edit(desk, swim(spaces=7, at=time(19)))
    assert listed(desk, f"{SESSIONS}/{DAYS[1]}").opportunity.starts_at == later
    assert starts(desk)[:2] == ["2026-10-05T18:00:00Z", "2026-10-12T20:00:00Z"]
    assert (document(desk)["name"], document(desk)["location"]["name"]) == ("Swim School", "The lido")


# --- removal, previews, interruptions ------------------------------------------------------------


def test_a_removed_course_stays_until_it_is_no_longer_booked(desk: Desk) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    entry = desk.entry("swim")
    assert entry is not None
    preview = desk.timetable.preview_removal(entry)
    applied = desk.timetable.remove(entry)
    assert {kept.id for kept in applied.kept} == {COURSE, *(f"{SESSIONS}/{key}" for key in DAYS)}
    assert [kept.id for kept in preview.kept] == [kept.id for kept in applied.kept]
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED
    assert Broker(desk.world).cancel(uuid, desk.ordered(uuid)["@id"]).status == 204
    entry = desk.entry("swim")
    assert entry is not None and entry.removed
    assert desk.timetable.remove(entry).kept == []
    assert (live(desk), desk.entry("swim"), listed(desk).deleted) == ([], None, True)


def test_a_removed_course_can_come_back(desk: Desk) -> None:
    desk.load(swim())
    book(desk, course())
    entry = desk.entry("swim")
    assert entry is not None
    desk.timetable.remove(entry)
    applied = desk.load(swim())
    assert (applied.outcome, applied.kept, live(desk)) == (Outcome.added, [], list(DAYS))
    entry = desk.entry("swim")
    assert entry is not None and not entry.removed


def test_a_course_that_nobody_booked_is_removed_and_can_be_added_again(desk: Desk) -> None:
    desk.load(swim())
    entry = desk.entry("swim")
    assert entry is not None
    desk.timetable.remove(entry)
    assert (live(desk), listed(desk).deleted) == ([], True)
    desk.load(swim())
    assert (live(desk), listed(desk).deleted) == (list(DAYS), False)
    book(desk, course())


def test_a_preview_counts_and_writes_nothing(desk: Desk) -> None:
    assert dict(desk.timetable.preview(swim(), None).counts) == {Outcome.added: 5}
    desk.load(swim())
    book(desk, course())
    entry = desk.entry("swim")
    assert entry is not None
    before = (desk.store.written, listed(desk))
    preview = desk.timetable.preview(swim(until=date(2026, 11, 9)), entry)
    assert dict(preview.counts) == {Outcome.added: 1, Outcome.changed: 5}
    assert preview.kept == []
    assert (desk.store.written, listed(desk), desk.entry("swim")) == (*before, entry)


@pytest.mark.parametrize("writes", range(6))
def test_an_edit_that_was_interrupted_is_completed_by_a_repetition(desk: Desk, writes: int) -> None:
    desk.load(swim())
    uuid = book(desk, course())
    allowed = iter(range(writes))

    def fail(opportunity_id: str) -> None:
        if next(allowed, None) is None:
            raise StoreBusy("gone")

    desk.store.before = fail
    edited = swim(at=time(19), not_on=(date(2026, 10, 19),), until=date(2026, 11, 9))
    with pytest.raises(StillBusy):
        desk.load(edited)
    desk.store.before = lambda _: None
    desk.load(edited)
    desk.follow()
    assert edit(desk, edited).kept == []
    days = [DAYS[0], DAYS[1], DAYS[3], DAYS[4], "20261109"]
    assert (live(desk), left(desk, *days)) == (days, [7] * 5)
    assert desk.ordered(uuid)["orderItemStatus"] == CONFIRMED


def test_the_horizon_of_a_course_is_its_last_session(desk: Desk) -> None:
    assert swim().horizon(MONDAY) == date(2026, 11, 2)
    assert swim().horizon(MONDAY + timedelta(days=100)) == date(2026, 12, 16)
