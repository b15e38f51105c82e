"""A Seller's timetable in the inventory: repeated, edited, booked, interrupted, and extended as time passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.services.errors import ChangedMeanwhile, InvalidValue, NotPossible
from chalicelib.services.inventory import Document, Outcome, withdrawn
from chalicelib.services.timetables import due
from chalicelib.services.timetables.plans import Plan, PlanEntry, Unit, own_id
from chalicelib.services.timetables.recurrence import Hours, Move, Opening, Recurrence, Span
from chalicelib.services.timetables.timetable import Applied, Timetable
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, with_logistics
from chalicelib.wire.reading import read_opportunity
from tests.support.inventory import BADMINTON, PLACE, YOGA, Bookable, a_seller_document, seller_id
from tests.support.memory import MemoryStore
from tests.support.world import Broker, World

UUID = "10000000-0000-4000-8000-00000000000"
MONDAY = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)  # 10:00 in London
PRICE: Json = {
    "@type": "Offer",
    "identifier": "adult",
    "name": "Adult",
    "price": 10,
    "priceCurrency": "GBP",
    "openBookingInAdvance": "https://openactive.io/Required",
    "allowCustomerCancellationFullRefund": True,
}


class Watched(MemoryStore):
    """Counts what is published; `before` is called before each write, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.before: Callable[[str], None] = lambda opportunity_id: None

    def publish(self, listing: Listing, *args: Any, **options: Any) -> None:
        self.before(listing.opportunity.id)
        super().publish(listing, *args, **options)

    def publish_together(self, listings: Any, **options: Any) -> None:
        for listing, _ in listings:
            self.before(listing.opportunity.id)
        super().publish_together(listings, **options)
        self.written += len(listings)


@pytest.fixture
def world() -> Iterator[World]:
    made = World(store=Watched())
    made.clock.now = MONDAY
    yield made
    install(None)


@dataclass
class Desk:
    """The timetable of Seller 1, and its sessions as they are listed."""

    world: World

    @property
    def store(self) -> Watched:
        assert isinstance(self.world.store, Watched)
        return self.world.store

    @property
    def timetable(self) -> Timetable:
        return Administration(self.world.system).timetable(seller_id(1))

    def load(self, plan: Plan) -> Applied:
        return self.timetable.apply(plan, self.entry(plan.id))

    def entry(self, plan_id: str = "yoga") -> PlanEntry | None:
        return self.timetable.entries().get(plan_id)

    def listing(self, key: str, plan: Plan | None = None) -> Listing | None:
        found = self.store.listings([session_id(key, plan)])
        return next((listing for listing, _ in found.values()), None)

    def live(
        self, plan_id: str = "yoga", kind: OpportunityType = OpportunityType.ScheduledSession
    ) -> list[str]:
        """The keys of what is on sale, in order."""
        prefix = own_id(kind, seller_id(1), plan_id) + "/"
        return sorted(
            each.opportunity.id.removeprefix(prefix)
            for each in self.store._listings.values()
            if each.opportunity.id.startswith(prefix) and not each.deleted
        )

    def book(self, key: str, number: int = 1) -> str:
        answer = Broker(self.world).b(f"{UUID}{number}", bookable(key).item())
        assert answer.status == 201, answer.json
        return f"{UUID}{number}"

    def ordered(self, uuid: str) -> Json:
        item: Json = Broker(self.world).status(uuid).json["orderedItem"][0]
        return item

    def follow(self) -> None:
        while self.world.system.worker.run_kind(following.KIND, 1):
            pass

    def orders_of(self, applied: Applied) -> list[tuple[str, int]]:
        return [(kept.id.rpartition("/")[2], kept.orders) for kept in applied.kept]


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def session_id(key: str, plan: Plan | None = None) -> str:
    kind = plan.child_type if plan else OpportunityType.ScheduledSession
    return f"{own_id(kind, seller_id(1), plan.id if plan else 'yoga')}/{key}"


def bookable(key: str) -> Bookable:
    series = own_id(OpportunityType.SessionSeries, seller_id(1), "yoga")
    return Bookable(session_id(key), f"{series}#/offers/adult", "ScheduledSession")


def yoga(name: str = "Yoga", spaces: int = 10, weeks: int = 4, plan_id: str = "yoga", **times: Any) -> Plan:
    """A class each Monday at 18:30 in London, for four weeks ahead."""
    series_id = own_id(OpportunityType.SessionSeries, seller_id(1), plan_id)
    usual: dict[str, Any] = {
        "first": date(2026, 9, 7),
        "at": time(18, 30),
        "minutes": 60,
        "rule": "FREQ=WEEKLY",
    }
    return Plan(
        seller_id=seller_id(1),
        id=plan_id,
        child_type=OpportunityType.ScheduledSession,
        parent={
            "@context": "https://openactive.io/",
            "@type": "SessionSeries",
            "@id": series_id,
            "identifier": plan_id,
            "name": name,
            "url": "https://example.org/yoga",
            "activity": [YOGA],
            "location": PLACE,
            "organizer": a_seller_document(1),
            "offers": [{**PRICE, "@id": f"{series_id}#/offers/adult"}],
        },
        child={"eventStatus": "https://schema.org/EventScheduled"},
        spaces=spaces,
        zone="Europe/London",
        days_ahead=weeks * 7,
        recurrence=Recurrence(**{**usual, **times}),
        units=(Unit(series_id),),
    )


def badminton(minutes: int = 60, courts: int = 2, days: int = 1) -> Plan:
    """Two courts from 09:00 to 12:00 each day."""
    facility_id = own_id(OpportunityType.FacilityUse, seller_id(1), "hall")
    units = tuple(
        Unit(f"{facility_id}/individual-facility-uses/{number}", f"{number}")
        for number in range(1, courts + 1)
    )
    return Plan(
        seller_id=seller_id(1),
        id="hall",
        child_type=OpportunityType.Slot,
        parent={
            "@context": "https://openactive.io/",
            "@type": "FacilityUse",
            "@id": facility_id,
            "identifier": "hall",
            "name": "Badminton",
            "url": "https://example.org/hall",
            "facilityType": [BADMINTON],
            "location": PLACE,
            "provider": a_seller_document(1),
            "individualFacilityUse": [
                {"@type": "IndividualFacilityUse", "@id": unit.id, "name": f"Court {unit.key}"}
                for unit in units
            ],
        },
        child={},
        spaces=1,
        zone="Europe/London",
        days_ahead=days,
        opening=Opening(
            (Hours(tuple(range(7)), time(9), time(12)),), minutes, Span(date(2026, 1, 1), date(2099, 1, 1))
        ),
        units=units or (Unit(facility_id),),
        prices=(PRICE,),
    )


# --- loading and repeating ----------------------------------------------------------------------


def test_a_series_is_published_as_far_ahead_as_it_says(desk: Desk) -> None:
    applied = desk.load(yoga())
    assert (applied.outcome, dict(applied.counts)) == (Outcome.added, {Outcome.added: 5})
    assert desk.live() == ["20260907", "20260914", "20260921", "20260928", "20261005"]
    first = desk.listing("20260907")
    assert first is not None
    assert first.opportunity.starts_at == datetime(2026, 9, 7, 17, 30, tzinfo=UTC)
    assert first.opportunity.document["identifier"] == "yoga/20260907"


def test_a_second_run_writes_nothing(desk: Desk) -> None:
    for plan in (yoga(), badminton()):
        desk.load(plan)
        written, version = desk.store.written, desk.entry(plan.id).version  # type: ignore[union-attr]
        again = desk.load(plan)
        assert (again.outcome, dict(again.counts), again.kept) == (Outcome.unchanged, {}, [])
        assert (desk.store.written, desk.entry(plan.id).version) == (written, version)  # type: ignore[union-attr]


def test_what_is_loaded_can_be_booked(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    assert desk.ordered(uuid)["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"


def test_a_changed_row_changes_just_that(desk: Desk) -> None:
    desk.load(yoga())
    desk.load(yoga(plan_id="pilates"))
    written = desk.store.written
    applied = desk.load(yoga(name="Hatha Yoga"))
    assert (applied.outcome, dict(applied.counts)) == (Outcome.changed, {Outcome.changed: 5})
    assert desk.store.written == written + 6  # the series and its sessions
    assert desk.load(yoga(plan_id="pilates")).outcome is Outcome.unchanged


def test_sessions_that_are_over_are_neither_published_nor_changed(desk: Desk) -> None:
    desk.load(yoga())
    desk.world.clock.advance(days=8)
    before = desk.listing("20260907")
    applied = desk.load(yoga(name="Hatha Yoga"))
    assert desk.listing("20260907") == before
    assert dict(applied.counts) == {Outcome.changed: 3, Outcome.added: 1}
    assert desk.load(yoga(plan_id="old", until=date(2026, 9, 7))).counts == {}


# --- those who booked ---------------------------------------------------------------------------


def test_those_who_booked_are_informed_of_another_time(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    applied = desk.load(yoga(at=time(19, 0)))
    assert (dict(applied.counts), applied.kept) == ({Outcome.changed: 5}, [])
    desk.follow()
    assert desk.ordered(uuid)["orderedItem"]["startDate"] == "2026-09-14T18:00:00Z"


def test_a_booked_session_that_is_no_longer_in_the_timetable_stays_and_is_reported(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    applied = desk.load(yoga(rule="FREQ=WEEKLY;BYDAY=TU"))
    assert desk.live() == ["20260908", "20260914", "20260915", "20260922", "20260929"]
    assert desk.orders_of(applied) == [("20260914", 1)]
    assert applied.counts[Outcome.withdrawn] == 4
    assert desk.ordered(uuid)["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"
    again = desk.load(yoga(rule="FREQ=WEEKLY;BYDAY=TU"))
    assert (again.outcome, desk.orders_of(again)) == (Outcome.unchanged, [("20260914", 1)])


def test_it_is_withdrawn_once_it_is_no_longer_booked(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    tuesdays = yoga(rule="FREQ=WEEKLY;BYDAY=TU")
    desk.load(tuesdays)
    item = desk.ordered(uuid)["@id"]
    assert Broker(desk.world).cancel(uuid, item).status == 204
    assert desk.load(tuesdays).kept == []
    assert "20260914" not in desk.live()
    assert desk.entry().kept == ()  # type: ignore[union-attr]


def test_a_booking_that_comes_as_a_session_is_withdrawn_keeps_it(desk: Desk) -> None:
    desk.load(yoga())

    def book_first(opportunity_id: str) -> None:
        if opportunity_id == session_id("20260914"):
            desk.store.before = lambda _: None
            desk.book("20260914")

    desk.store.before = book_first
    applied = desk.load(yoga(not_on=(date(2026, 9, 14),)))
    assert desk.orders_of(applied) == [("20260914", 1)]
    assert "20260914" in desk.live()


def test_without_the_condition_that_booking_would_lose_its_session(desk: Desk) -> None:
    """The positive control of the test before: the same write, without the condition that no space is held."""
    desk.load(yoga())
    before = desk.listing("20260914")
    assert before is not None
    desk.book("20260914")
    desk.store.publish(withdrawn(before), 0)
    assert "20260914" not in desk.live()


def test_a_moved_date_keeps_its_booking(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    applied = desk.load(yoga(moved=(Move(date(2026, 9, 14), date(2026, 9, 16), time(10)),)))
    desk.follow()
    assert applied.kept == []
    assert desk.ordered(uuid)["orderedItem"]["startDate"] == "2026-09-16T09:00:00Z"
    desk.world.clock.now = datetime(2026, 9, 15, 9, tzinfo=UTC)  # its date by the rule has passed
    desk.load(yoga(name="Hatha Yoga", moved=(Move(date(2026, 9, 14), date(2026, 9, 16), time(10)),)))
    desk.follow()
    assert desk.ordered(uuid)["orderedItem"]["superEvent"]["name"] == "Hatha Yoga"


# --- what the Seller did to one session --------------------------------------------------------


def test_a_cancelled_session_stays_cancelled(desk: Desk) -> None:
    desk.load(yoga())
    desk.world.system.inventory.cancel(session_id("20260914"))
    before = desk.listing("20260914")
    applied = desk.load(yoga(name="Hatha Yoga"))
    assert desk.listing("20260914") == before
    assert applied.children.called_off == [session_id("20260914")]
    assert dict(applied.counts) == {Outcome.changed: 4}


def test_a_session_that_was_moved_alone_stays_where_it_is(desk: Desk) -> None:
    desk.load(yoga())
    later = datetime(2026, 9, 14, 20, 0, tzinfo=UTC)
    elsewhere = {**PLACE, "name": "The park"}

    def move(opportunity: Opportunity) -> Opportunity:
        return with_logistics(opportunity, Logistics(starts_at=later, location=elsewhere))

    desk.world.system.inventory.change(session_id("20260914"), move)
    desk.load(yoga(name="Hatha Yoga", at=time(19)))
    moved, other = desk.listing("20260914"), desk.listing("20260921")
    assert moved is not None and other is not None
    assert (moved.opportunity.starts_at, moved.opportunity.document["location"]["name"]) == (
        later,
        "The park",
    )
    assert moved.opportunity.name == "Hatha Yoga"
    assert other.opportunity.starts_at == datetime(2026, 9, 21, 18, 0, tzinfo=UTC)


def test_spaces_change_with_the_row_and_never_below_what_is_booked(desk: Desk) -> None:
    desk.load(yoga(spaces=3))
    desk.book("20260914", 1)
    desk.book("20260914", 2)
    desk.load(yoga(spaces=12))
    capacity = desk.world.capacity(bookable("20260914"))
    assert (capacity.spaces_total, capacity.spaces_left) == (12, 10)
    applied = desk.load(yoga(spaces=1))
    capacity = desk.world.capacity(bookable("20260914"))
    assert (capacity.spaces_total, capacity.spaces_left) == (2, 0)
    assert applied.children.more_held == {session_id("20260914"): 2}
    assert desk.world.capacity(bookable("20260921")).spaces_left == 1


# --- facilities ---------------------------------------------------------------------------------


def test_each_court_has_its_own_slots(desk: Desk) -> None:
    hall = badminton()
    desk.load(hall)
    keys = desk.live("hall", OpportunityType.Slot)
    assert len(keys) == 12 - 2  # of today, 09:00 has passed
    listing = desk.listing("2/20260908T0900Z", hall)
    assert listing is not None and listing.opportunity.parent is not None
    assert listing.opportunity.parent["aggregateFacilityUse"]["name"] == "Badminton"
    assert [offer.id for offer in listing.opportunity.offers] == [f"{listing.opportunity.id}#/offers/adult"]


def slot(key: str) -> Bookable:
    opportunity_id = session_id(key, badminton())
    return Bookable(opportunity_id, f"{opportunity_id}#/offers/adult", "Slot")


def on_court_1(desk: Desk, day: str = "20260908") -> list[str]:
    return [key for key in desk.live("hall", OpportunityType.Slot) if key.startswith(f"1/{day}")]


def test_slots_of_another_length_replace_those_that_are_not_booked(desk: Desk) -> None:
    """No slot overlaps with a booked one of its court, which would be sold twice."""
    desk.load(badminton())
    assert on_court_1(desk) == ["1/20260908T0800Z", "1/20260908T0900Z", "1/20260908T1000Z"]
    assert Broker(desk.world).b(f"{UUID}1", slot("1/20260908T0900Z").item()).status == 201
    applied = desk.load(badminton(minutes=90))
    assert desk.orders_of(applied) == [("20260908T0900Z", 1)]
    assert on_court_1(desk) == ["1/20260908T0900Z"]  # 08:00 to 09:30 and 09:30 to 11:00 would overlap with it
    assert on_court_1(desk, "20260907") == ["1/20260907T0800Z", "1/20260907T0930Z"]
    assert Broker(desk.world).cancel(f"{UUID}1", desk.ordered(f"{UUID}1")["@id"]).status == 204
    assert desk.load(badminton(minutes=90)).kept == []
    assert on_court_1(desk) == ["1/20260908T0800Z", "1/20260908T0930Z"]
    assert desk.load(badminton(minutes=90)).outcome is Outcome.unchanged


def test_a_booked_slot_keeps_its_end_where_a_longer_one_would_overlap(desk: Desk) -> None:
    desk.load(badminton())
    for number, key in enumerate(("1/20260908T0800Z", "1/20260908T0900Z"), 1):
        assert Broker(desk.world).b(f"{UUID}{number}", slot(key).item()).status == 201
    applied = desk.load(badminton(minutes=90))
    assert desk.orders_of(applied) == [("20260908T0800Z", 1), ("20260908T0900Z", 1)]
    first = desk.listing("1/20260908T0800Z", badminton())
    assert first is not None and first.opportunity.ends_at == datetime(2026, 9, 8, 9, 0, tzinfo=UTC)


# --- as time passes -----------------------------------------------------------------------------


def sweep(desk: Desk) -> int:
    """What two runs of the schedule add: what one finds due, it or the next one does."""
    return sum(desk.world.system.sweep()[due.KIND] for _ in range(2))


def test_the_schedule_adds_what_comes_within_the_horizon(desk: Desk) -> None:
    desk.load(yoga())
    assert sweep(desk) == 0
    desk.world.clock.advance(days=6, hours=13)  # Sunday, 23:00 in London
    assert sweep(desk) == 0
    desk.world.clock.advance(hours=2)  # Monday, 01:00 in London
    assert sweep(desk) == 1
    assert desk.live()[-1] == "20261012"
    assert sweep(desk) == 0
    desk.world.clock.advance(days=70)  # it did not run for ten weeks
    assert sweep(desk) == 5  # those that are not over
    assert desk.live()[-1] == "20261221"
    winter = desk.listing("20261221")
    assert winter is not None and winter.opportunity.starts_at == datetime(2026, 12, 21, 18, 30, tzinfo=UTC)
    assert desk.load(yoga()).outcome is Outcome.unchanged


def test_it_adds_slots_every_day(desk: Desk) -> None:
    desk.load(badminton())
    for _ in range(3):
        desk.world.clock.advance(days=1)
        assert sweep(desk) == 6
    assert sweep(desk) == 0


def test_a_long_extension_takes_several_steps_and_a_repetition_publishes_the_same(desk: Desk) -> None:
    desk.load(badminton(courts=30, days=10))
    desk.world.clock.advance(days=10)
    [work] = desk.world.pending.entries(due.KIND, 10)
    first = desk.world.system._extender().take_step(work)
    entry = desk.entry("hall")
    assert entry is not None
    assert (first.handled, first.progress) == (270, "2026-09-20")
    # The answer to the last write was lost: the step is repeated.
    register = desk.world.system.register
    register.save(replace(entry, published_until=date(2026, 9, 17), extending_to=entry.published_until))
    again = desk.world.system._extender().take_step(work)
    assert again == first
    desk.world.system.worker.finish(due.KIND, work.id)
    assert desk.entry("hall").published_until == date(2026, 9, 27)  # type: ignore[union-attr]
    expected = {
        f"{court}/202609{day}T{hour}00Z"
        for day in (18, 27)
        for court in range(1, 31)
        for hour in ("08", "09", "10")
    }
    assert expected <= set(desk.live("hall", OpportunityType.Slot))


def test_a_series_that_ends_is_not_extended_for_ever(desk: Desk) -> None:
    desk.load(yoga(until=date(2026, 10, 12)))
    entry = desk.entry()
    assert entry is not None and entry.due is not None
    desk.world.clock.advance(days=14)
    assert sweep(desk) == 1
    assert desk.entry().due is None  # type: ignore[union-attr]
    assert desk.world.pending.entries(due.KIND, 10) == []


def test_one_that_starts_in_two_years_is_published_when_its_time_comes(desk: Desk) -> None:
    desk.load(yoga(first=date(2028, 9, 4)))
    assert desk.live() == []
    for _ in range(110):
        desk.world.clock.advance(days=7)
        sweep(desk)
    assert desk.live()[0] == "20280904"


def test_an_import_during_an_extension_wins(desk: Desk) -> None:
    desk.load(yoga())
    desk.world.clock.advance(days=7)

    def edit(opportunity_id: str) -> None:
        desk.store.before = lambda _: None
        desk.load(yoga(rule="FREQ=WEEKLY;BYDAY=TU"))

    desk.store.before = edit
    sweep(desk)
    assert all(date.fromisoformat(key).weekday() == 1 for key in desk.live() if key > "20260914")


def test_an_extension_that_keeps_failing_is_set_aside_and_does_not_stop_others(desk: Desk) -> None:
    desk.load(yoga())
    desk.load(yoga(plan_id="pilates"))
    entry = desk.entry()
    assert entry is not None
    broken = {**entry.plan.parent, "organizer": {}}
    desk.world.system.register.save(replace(entry, plan=replace(entry.plan, parent=broken)))
    desk.world.clock.advance(days=7)
    for _ in range(6):
        sweep(desk)
    assert desk.live("pilates")[-1] == "20261012"
    assert [work.attempts for work in desk.world.pending.entries(SET_ASIDE + due.KIND, 10)] == [5]


def test_a_row_of_a_plan_that_is_gone_is_dropped(desk: Desk) -> None:
    desk.world.pending.exchange([], [due.due_row(seller_id(1), "gone", desk.world.now())])
    sweep(desk)
    assert desk.world.pending.entries(due.KIND, 10) == []


def test_rows_name_their_plan_whatever_is_in_the_ids() -> None:
    for owner in ("https://a.example/sellers/1", "urn:x:2#3", ""):
        row = due.due_row(owner, "a.b-c", MONDAY)
        assert due.named_in(row) == (owner, "a.b-c")
    with pytest.raises(ValueError):
        due.named_in(PendingWork(due.KIND, "x", "nothing"))


# --- interruptions, other Sellers ---------------------------------------------------------------


def test_an_edit_that_was_interrupted_is_completed_by_a_repetition(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260928")
    tuesdays = yoga(rule="FREQ=WEEKLY;BYDAY=TU")
    allowed = iter(range(4))

    def fail(opportunity_id: str) -> None:
        if next(allowed, None) is None:
            raise StoreBusy("gone")

    desk.store.before = fail
    with pytest.raises(StillBusy):
        desk.load(tuesdays)
    desk.store.before = lambda _: None
    assert not desk.entry().finished  # type: ignore[union-attr]
    desk.load(yoga(rule="FREQ=WEEKLY;BYDAY=WE"))
    assert desk.live() == ["20260909", "20260916", "20260923", "20260928", "20260930"]
    assert desk.ordered(uuid)["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"


def test_two_imports_at_once_do_not_mix(desk: Desk) -> None:
    known = desk.entry()
    desk.load(yoga())
    with pytest.raises(ChangedMeanwhile, match="Run this again"):
        desk.timetable.apply(yoga(name="Other"), known)


def test_another_sellers_plan_is_refused(desk: Desk) -> None:
    for action in (desk.timetable.apply, desk.timetable.preview):
        with pytest.raises(NotPossible, match="another Seller"):
            action(replace(yoga(), seller_id=seller_id(2)), None)
    assert desk.store.written == 0


def test_what_another_source_publishes_is_not_changed(desk: Desk) -> None:
    document = {
        **yoga().parent,
        "@type": "ScheduledSession",
        "@id": session_id("20260914"),
        "startDate": "2026-09-14T10:00:00Z",
        "remainingAttendeeCapacity": 5,
        "superEvent": "x",
    }
    other = Document(read_opportunity(document, yoga().parent), "https://other.example", (document,))
    desk.world.system.inventory.bring_in([other])
    before = desk.listing("20260914")
    applied = desk.load(yoga())
    assert (applied.children.others, desk.listing("20260914")) == ([session_id("20260914")], before)
    desk.load(yoga(not_on=(date(2026, 9, 14),)))
    assert desk.listing("20260914") == before


def test_a_plan_that_cannot_be_stored_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidValue, match="can be stored"):
        desk.load(yoga(name="x" * 130_000))
    with pytest.raises(InvalidValue, match="200,000 is the most"):
        desk.load(badminton(minutes=5, courts=60, days=120))


# --- removal and previews -----------------------------------------------------------------------


def test_a_removed_series_stays_until_nothing_of_it_is_booked(desk: Desk) -> None:
    desk.load(yoga())
    uuid = desk.book("20260914")
    entry = desk.entry()
    assert entry is not None
    applied = desk.timetable.remove(entry)
    assert (desk.live(), desk.orders_of(applied)) == (["20260914"], [("20260914", 1)])
    desk.world.clock.advance(days=2)
    assert sweep(desk) == 0
    assert Broker(desk.world).cancel(uuid, desk.ordered(uuid)["@id"]).status == 204
    entry = desk.entry()
    assert entry is not None and entry.removed
    assert desk.timetable.remove(entry).kept == []
    assert (desk.live(), desk.entry()) == ([], None)
    parent = desk.store.listings([str(yoga().parent["@id"])])[str(yoga().parent["@id"])][0]
    assert parent.deleted


def test_a_removed_series_can_come_back(desk: Desk) -> None:
    desk.load(yoga())
    desk.book("20260914")
    entry = desk.entry()
    assert entry is not None
    desk.timetable.remove(entry)
    applied = desk.load(yoga())
    assert (applied.outcome, applied.kept, len(desk.live())) == (Outcome.added, [], 5)


def test_a_preview_counts_and_writes_nothing(desk: Desk) -> None:
    assert dict(desk.timetable.preview(yoga(), None).counts) == {Outcome.added: 5}
    desk.load(yoga())
    desk.book("20260914")
    written, entry = desk.store.written, desk.entry()
    assert entry is not None
    preview = desk.timetable.preview(yoga(rule="FREQ=WEEKLY;BYDAY=TU"), entry)
    assert dict(preview.counts) == {Outcome.added: 4, Outcome.withdrawn: 4}
    assert desk.orders_of(preview) == [("20260914", 1)]
    assert desk.timetable.preview(yoga(), entry).outcome is Outcome.unchanged
    gone = desk.timetable.preview_removal(entry)
    assert (dict(gone.counts), desk.orders_of(gone)) == ({Outcome.withdrawn: 4}, [("20260914", 1)])
    assert (desk.store.written, desk.entry()) == (written, entry)


def test_a_session_with_its_own_tax_is_taxed_at_it(desk: Desk) -> None:
    from decimal import Decimal

    from chalicelib.domain.parties import TaxRate

    plan = replace(yoga(), tax_rates={"adult": TaxRate("VAT at 5%", Decimal("0.05"))})
    desk.load(plan)
    assert desk.load(plan).outcome is Outcome.unchanged
    answer = Broker(desk.world).c1(f"{UUID}9", bookable("20260914").item())
    assert answer.json["totalPaymentTax"][0]["name"] == "VAT at 5%"
    desk.load(yoga())
    answer = Broker(desk.world).c1(f"{UUID}8", bookable("20260914").item())
    assert answer.json["totalPaymentTax"][0]["name"] == "VAT at 20%"


def test_the_time_ahead_is_counted_in_the_time_of_the_place() -> None:
    plan = replace(yoga(), zone="Pacific/Auckland", days_ahead=1)
    assert plan.horizon(datetime(2026, 9, 7, 13, 0, tzinfo=UTC)) == date(2026, 9, 9)
    assert timedelta(days=plan.days_ahead) == timedelta(days=1)
