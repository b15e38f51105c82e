"""A change of a whole Opportunity reaches everyone who holds it: once, also after a crash, nobody missed."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import SaveOrder, Snapshot, Wanted
from chalicelib.booking.seller import record_attendance
from chalicelib.domain.lifecycle import ItemEvent, OrderItemStatus
from chalicelib.domain.opportunities import EventStatus, Opportunity
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.services import following
from chalicelib.services.attempts import carry_out
from chalicelib.services.following import Follower
from chalicelib.services.inventory import Document, Inventory, NotListed, Outcome
from chalicelib.services.pending import Step, Worker, replay
from chalicelib.storage.errors import CommitRefused, OrderTooLarge
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, cancelled, with_logistics
from chalicelib.wire.opportunities import Published
from tests.support.builders import (
    NOW,
    SELLER_ID,
    SESSION_ID,
    Observed,
    a_moment,
    a_request,
    a_seller,
    an_opportunity,
)
from tests.support.memory import MemoryStore

RETRY = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5, attempts=500)
MESSAGE = "The hall is flooded."


def inventory(store: MemoryStore) -> Inventory:
    return Inventory(store, store.pending, RETRY)


def worker(store: MemoryStore) -> Worker:
    steps = {
        following.KIND: lambda entry: follower(store).take_step(entry),
        following.HOLDER_KIND: lambda entry: follower(store).take_holders_step(entry),
    }
    return Worker(store.pending, steps, RETRY, lambda: NOW, Observed())


def follower(store: MemoryStore, observed: Observed | None = None) -> Follower:
    return Follower(store, store.pending, a_moment(), RETRY, observed or Observed())


def finish(store: MemoryStore) -> int:
    return worker(store).finish(following.KIND, SESSION_ID)


def pending(store: MemoryStore) -> PendingWork | None:
    return store.pending.entry(following.KIND, SESSION_ID)


def step(store: MemoryStore, entry: PendingWork, limit: int = following.STEP) -> int:
    """One step, and what is then saved of it."""
    taken = follower(store).take_step(entry, limit)
    if taken.progress is None:
        store.pending.finish(entry)
    else:
        store.pending.save(replace(entry, progress=taken.progress))
    return taken.handled


def key(number: int) -> OrderKey:
    return OrderKey(f"partner-{number % 7}", f"10000000-0000-4000-8000-{number:012d}")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.save_seller(a_seller())
    store.publish(Listing(an_opportunity()), 10_000)
    return store


def b(store: MemoryStore, number: int) -> bool:
    """One Broker books one place; whether it got it."""
    payment = {"@type": "Payment", "identifier": "payment"}
    request = replace(a_request(), key=key(number), total_payment_due=Decimal("10.00"), payment=payment)
    answer = carry_out(
        store,
        Wanted(request.key, SELLER_ID, (SESSION_ID,)),
        lambda snapshot: book(request, snapshot, a_moment(), lambda order: "answer"),
        now=NOW,
        retry=RETRY,
    )
    return not answer.errors


def order(store: MemoryStore, number: int) -> Order | None:
    found = store.snapshot(Wanted(key(number))).order
    return found if isinstance(found, Order) else None


def status(store: MemoryStore, number: int) -> OrderItemStatus | None:
    found = order(store, number)
    return found.items[0].status if found else None


def cancel_all(store: MemoryStore) -> None:
    inventory(store).cancel(SESSION_ID, MESSAGE)


def check_that_nobody_is_left(store: MemoryStore, numbers: range) -> None:
    assert store.holds(SESSION_ID) == {}
    capacity = store.listings([SESSION_ID])[SESSION_ID][1]
    assert capacity is not None and capacity.spaces_left == capacity.spaces_total
    for number in numbers:
        found = order(store, number)
        if found is not None:
            # One write after B, and with it the Order is in its partner's feed: once.
            assert (found.items[0].status, found.version) == (OrderItemStatus.SellerCancelled, 2)
            assert found.published and found.items[0].cancellation_message == MESSAGE


def test_everyone_is_cancelled_and_told_why(store: MemoryStore) -> None:
    """CANCEL-14."""
    assert all(b(store, number) for number in range(250))
    cancel_all(store)
    assert finish(store) == 250
    check_that_nobody_is_left(store, range(250))
    assert pending(store) is None


def test_after_the_cancellation_nobody_gets_in(store: MemoryStore) -> None:
    cancel_all(store)
    assert not b(store, 1)


def test_a_thousand_orders_are_cancelled_while_twenty_brokers_go_on_booking(store: MemoryStore) -> None:
    """Who comes in before the cancellation is cancelled, who comes after it is refused; nobody is forgotten."""
    assert all(b(store, number) for number in range(1000))
    begun, refused = Event(), []

    def go_on(broker: int) -> None:
        for n in range(20):
            if n == 5:
                begun.set()
            if not b(store, 10_000 + broker * 100 + n):
                refused.append(broker)

    with ThreadPoolExecutor(20) as brokers:
        booking = [brokers.submit(go_on, broker) for broker in range(20)]
        assert begun.wait(timeout=60)
        cancel_all(store)
        finish(store)
    for each in booking:
        each.result()
    check_that_nobody_is_left(store, range(1000))
    check_that_nobody_is_left(store, range(10_000, 12_000))
    assert refused


class Crash(BaseException):
    """The process ends here."""


class Mortal(MemoryStore):
    """A store whose process is killed after some commits."""

    commits_left = 10**9

    def commit(self, changes):  # type: ignore[no-untyped-def]
        with self._lock:
            if self.commits_left == 0:
                raise Crash
            self.commits_left -= 1
            super().commit(changes)


def test_a_process_that_is_killed_half_way_is_taken_over_by_the_next() -> None:
    store = Mortal()
    store.save_seller(a_seller())
    store.publish(Listing(an_opportunity()), 1000)
    assert all(b(store, number) for number in range(120))
    cancel_all(store)
    store.commits_left = 2
    with pytest.raises(Crash):
        finish(store)
    store.commits_left = 10**9
    worker(store).run_kind(following.KIND, 60)
    check_that_nobody_is_left(store, range(120))
    assert store.pending.entries(following.KIND, 1) == []


def test_steps_are_bounded_and_go_on_where_the_last_one_ended(store: MemoryStore) -> None:
    assert all(b(store, number) for number in range(25))
    cancel_all(store)
    seen = []
    while change := pending(store):
        seen.append(step(store, change, limit=10))
    assert seen == [10, 10, 5]
    check_that_nobody_is_left(store, range(25))


def moved(opportunity: Opportunity) -> Opportunity:
    assert opportunity.starts_at is not None
    return with_logistics(
        opportunity, Logistics(name="Under another name", starts_at=opportunity.starts_at.replace(hour=20))
    )


def test_a_change_of_logistics_reaches_every_order_and_twice_is_once(store: MemoryStore) -> None:
    """NOTIF-04."""
    assert all(b(store, number) for number in range(5))
    inventory(store).change(SESSION_ID, moved)
    entry = pending(store)
    assert entry is not None
    finish(store)
    step(store, entry)
    for number in range(5):
        found = order(store, number)
        assert found is not None and found.items[0].opportunity is not None
        assert found.items[0].opportunity.document["name"] == "Under another name"
        assert (found.version, found.items[0].status) == (2, OrderItemStatus.OrderItemConfirmed)


def test_a_cancellation_is_not_lost_to_those_who_follow_an_earlier_change(store: MemoryStore) -> None:
    """Who is half-way through an earlier change neither crosses off the cancellation nor skips anyone."""
    assert all(b(store, number) for number in range(25))
    inventory(store).change(SESSION_ID, moved)
    earlier = pending(store)
    assert earlier is not None
    cancel_all(store)
    step(store, earlier, limit=10)
    step(store, earlier)
    finish(store)
    assert all(status(store, number) is OrderItemStatus.SellerCancelled for number in range(25))
    assert store.holds(SESSION_ID) == {}


def test_a_cancellation_is_not_lost_to_a_later_change(store: MemoryStore) -> None:
    assert all(b(store, number) for number in range(25))
    cancel_all(store)
    change = pending(store)
    assert change is not None
    step(store, change, limit=10)
    inventory(store).change(SESSION_ID, moved)
    finish(store)
    check_that_nobody_is_left(store, range(25))


def test_what_was_attended_stays_attended(store: MemoryStore) -> None:
    b(store, 1)
    carry_out(
        store,
        Wanted(key(1)),
        lambda snapshot: record_attendance(snapshot, ItemEvent.attends),
        now=NOW,
        retry=RETRY,
    )
    cancel_all(store)
    finish(store)
    assert status(store, 1) is OrderItemStatus.AttendeeAttended


def test_what_is_not_listed_cannot_change(store: MemoryStore) -> None:
    with pytest.raises(NotListed):
        inventory(store).change("https://a.example/unknown", cancelled)
    assert inventory(store).withdraw(SESSION_ID) is Outcome.withdrawn
    assert inventory(store).withdraw(SESSION_ID) is Outcome.unchanged
    with pytest.raises(NotListed):
        inventory(store).change(SESSION_ID, cancelled)


# --- each kind of change, from each caller ----------------------------------------------------


def document(version: str = "1", **changes: Any) -> Document:
    """The session as a source publishes it; `changes` are those of the Opportunity."""
    opportunity = replace(an_opportunity(), **changes)
    return Document(Published(opportunity, 10), "source", ({"version": version},))


@pytest.fixture
def imported() -> MemoryStore:
    store = MemoryStore()
    store.save_seller(a_seller())
    assert put_in(store, document()) is Outcome.added
    return store


def put_in(store: MemoryStore, published: Document) -> Outcome:
    return inventory(store).put_in(published, store.listings([SESSION_ID]).get(SESSION_ID))


def later() -> dict[str, Any]:
    starts_at = an_opportunity().starts_at
    assert starts_at is not None
    return {"starts_at": starts_at + timedelta(hours=2), "ends_at": starts_at + timedelta(hours=3)}


def renamed(name: str = "Pilates") -> dict[str, Any]:
    return {"document": {**an_opportunity().document, "name": name}}


def left_and_total(store: MemoryStore) -> tuple[int, int]:
    capacity = store.listings([SESSION_ID])[SESSION_ID][1]
    assert capacity is not None
    assert capacity.spaces_total == capacity.spaces_left + sum(
        hold.spaces for hold in store.holds(SESSION_ID).values()
    )
    return capacity.spaces_left, capacity.spaces_total


def test_what_an_import_moves_is_moved_for_those_who_booked(imported: MemoryStore) -> None:
    """NOTIF-04: one write, and with it one entry in the feed."""
    assert b(imported, 1)
    assert put_in(imported, document("2", **later())) is Outcome.changed
    assert finish(imported) == 1
    found = order(imported, 1)
    assert found is not None and found.items[0].opportunity is not None
    assert found.items[0].opportunity.starts_at == later()["starts_at"]
    assert (found.version, found.published) == (2, True)
    assert found.items[0].status is OrderItemStatus.OrderItemConfirmed


def test_what_an_import_cancels_is_cancelled_by_the_seller(imported: MemoryStore) -> None:
    """CANCEL-14: and the spaces are back."""
    assert b(imported, 1) and b(imported, 2)
    put_in(imported, document("2", status=EventStatus.EventCancelled))
    assert finish(imported) == 2
    assert {status(imported, number) for number in (1, 2)} == {OrderItemStatus.SellerCancelled}
    assert left_and_total(imported) == (10, 10)


def test_what_is_postponed_is_off_sale_and_stays_booked(imported: MemoryStore) -> None:
    """BOOKABLE-08."""
    assert b(imported, 1)
    put_in(imported, document("2", status=EventStatus.EventPostponed))
    finish(imported)
    assert not b(imported, 2)
    found = order(imported, 1)
    assert found is not None and found.items[0].opportunity is not None
    assert found.items[0].opportunity.status is EventStatus.EventPostponed
    assert found.items[0].status is OrderItemStatus.OrderItemConfirmed


def test_what_is_restored_is_on_sale_again_and_who_was_cancelled_stays_so(imported: MemoryStore) -> None:
    """CANCEL-12."""
    assert b(imported, 1)
    put_in(imported, document("2", status=EventStatus.EventCancelled))
    finish(imported)
    put_in(imported, document("3"))
    assert b(imported, 2)
    finish(imported)
    assert status(imported, 1) is OrderItemStatus.SellerCancelled
    assert status(imported, 2) is OrderItemStatus.OrderItemConfirmed


def test_a_cancellation_reaches_everyone_also_where_it_is_restored_before_that(imported: MemoryStore) -> None:
    """Those who had booked are cancelled, and those who booked what was restored are not."""
    assert b(imported, 1) and b(imported, 2)
    put_in(imported, document("2", status=EventStatus.EventCancelled))
    change = pending(imported)
    assert change is not None
    step(imported, change, limit=1)
    put_in(imported, document("3"))
    put_in(imported, document("4", **renamed()))
    assert b(imported, 3)
    finish(imported)
    assert [status(imported, number) for number in (1, 2, 3)] == [
        OrderItemStatus.SellerCancelled,
        OrderItemStatus.SellerCancelled,
        OrderItemStatus.OrderItemConfirmed,
    ]
    assert left_and_total(imported) == (9, 10)


def test_several_changes_before_anyone_follows_are_one_write(imported: MemoryStore) -> None:
    assert b(imported, 1)
    put_in(imported, document("2", **later()))
    put_in(imported, document("3", **later(), **renamed()))
    finish(imported)
    found = order(imported, 1)
    assert found is not None and found.items[0].opportunity is not None and found.version == 2
    assert found.items[0].opportunity.name == "Pilates"
    assert found.items[0].opportunity.starts_at == later()["starts_at"]


def test_an_import_that_changes_nothing_that_shows_leaves_nothing_to_follow(imported: MemoryStore) -> None:
    """Offers and spaces: an Order keeps the Offer that it was made with (B-13)."""
    assert b(imported, 1)
    shown = {**an_opportunity().document, "remainingAttendeeCapacity": 3, "offers": [{"price": 12}]}
    assert put_in(imported, document("2", document=shown, offers=())) is Outcome.changed
    assert pending(imported) is None


def test_where_nobody_holds_a_space_there_is_nothing_to_follow(imported: MemoryStore) -> None:
    put_in(imported, document("2", **later()))
    assert pending(imported) is None


def test_who_books_while_nobody_held_a_space_is_not_missed(imported: MemoryStore) -> None:
    """Between reading that nobody holds a space and publishing, somebody does."""
    as_read = imported.listings([SESSION_ID])[SESSION_ID]
    assert b(imported, 1)
    with pytest.raises(CommitRefused):
        inventory(imported).put_in(document("2", **later()), as_read)
    assert put_in(imported, document("2", **later())) is Outcome.changed
    assert finish(imported) == 1


def test_what_is_withdrawn_stands_until_it_is_cancelled(imported: MemoryStore) -> None:
    assert b(imported, 1)
    assert inventory(imported).withdraw(SESSION_ID) is Outcome.withdrawn
    assert finish(imported) == 1
    assert status(imported, 1) is OrderItemStatus.OrderItemConfirmed
    assert inventory(imported).standing(SESSION_ID) == 1
    assert not b(imported, 2)
    inventory(imported).cancel(SESSION_ID, MESSAGE)
    finish(imported)
    assert status(imported, 1) is OrderItemStatus.SellerCancelled
    assert inventory(imported).standing(SESSION_ID) == 0
    assert imported.listings([SESSION_ID])[SESSION_ID][0].deleted
    assert left_and_total(imported) == (10, 10)


def test_what_was_cancelled_before_can_be_cancelled_again_for_those_who_were_not_told(
    imported: MemoryStore,
) -> None:
    """As an import of release 0.1.0 left it: cancelled, with Orders that are not."""
    assert b(imported, 1)
    listing, _ = imported.listings([SESSION_ID])[SESSION_ID]
    off = replace(listing.opportunity, status=EventStatus.EventCancelled, revision=2)
    imported.publish(replace(listing, opportunity=off, version=2), 10)
    inventory(imported).cancel(SESSION_ID)
    finish(imported)
    assert status(imported, 1) is OrderItemStatus.SellerCancelled


def test_one_of_two_places_that_was_attended_does_not_keep_the_other(imported: MemoryStore) -> None:
    """The space of the other goes back, though the session is closed for booking by then."""
    twice = replace(a_request(), items=(a_request().items[0], replace(a_request().items[0], position=1)))
    payment = {"@type": "Payment", "identifier": "payment"}
    request = replace(twice, key=key(1), total_payment_due=Decimal("20.00"), payment=payment)
    answer = carry_out(
        imported,
        Wanted(request.key, SELLER_ID, (SESSION_ID,)),
        lambda snapshot: book(request, snapshot, a_moment(), lambda order: "answer"),
        now=NOW,
        retry=RETRY,
    )
    first = answer.order.items[0].id
    assert first is not None and not answer.errors
    carry_out(
        imported,
        Wanted(key(1)),
        lambda snapshot: record_attendance(snapshot, ItemEvent.attends, item_ids=[first]),
        now=NOW,
        retry=RETRY,
    )
    put_in(imported, document("2", status=EventStatus.EventCancelled))
    finish(imported)
    found = order(imported, 1)
    assert found is not None
    assert [item.status for item in found.items] == [
        OrderItemStatus.AttendeeAttended,
        OrderItemStatus.SellerCancelled,
    ]
    assert left_and_total(imported) == (9, 10)


# --- an Order that cannot be written ---------------------------------------------------------


class Broken(MemoryStore):
    """Some Orders cannot be written: their rows would be too large, or nobody knows why."""

    broken: Mapping[OrderKey, Exception]

    def commit(self, changes):  # type: ignore[no-untyped-def]
        for change in changes:
            if isinstance(change, SaveOrder) and change.order.key in self.broken:
                raise self.broken[change.order.key]
        super().commit(changes)


@pytest.fixture
def broken() -> Broken:
    store = Broken()
    store.broken = {}
    store.save_seller(a_seller())
    store.publish(Listing(an_opportunity()), 1000)
    return store


def test_an_order_that_is_too_large_is_set_aside_and_the_others_are_told(broken: Broken) -> None:
    assert all(b(broken, number) for number in range(60))
    broken.broken = {key(7): OrderTooLarge("400 KB")}
    cancel_all(broken)
    observed = Observed()
    change = pending(broken)
    assert change is not None
    assert follower(broken, observed).take_step(change) == Step(60)
    told = [number for number in range(60) if status(broken, number) is OrderItemStatus.SellerCancelled]
    assert told == [number for number in range(60) if number != 7]
    (aside,) = broken.pending.entries(SET_ASIDE + following.HOLDER_KIND, 10)
    assert str(key(7)) in aside.id and "OrderTooLarge" in (aside.error or "")
    assert observed.reports == [("set aside", following.HOLDER_KIND, aside.id, "OrderTooLarge")]
    broken.broken = {}  # mended
    assert replay(broken.pending, following.HOLDER_KIND, aside.id)
    worker(broken).run_kind(following.HOLDER_KIND, 60)
    assert status(broken, 7) is OrderItemStatus.SellerCancelled
    assert broken.pending.entries(following.HOLDER_KIND, 10) == []


def test_an_order_that_fails_for_an_unknown_reason_is_tried_again_by_itself(broken: Broken) -> None:
    assert all(b(broken, number) for number in range(30))
    broken.broken = {key(7): RuntimeError("always")}
    cancel_all(broken)
    finish(broken)
    assert pending(broken) is None
    assert len(broken.pending.entries(following.HOLDER_KIND, 10)) == 1
    broken.broken = {}
    worker(broken).run_kind(following.HOLDER_KIND, 60)
    assert status(broken, 7) is OrderItemStatus.SellerCancelled


def test_where_every_order_fails_it_is_the_change_that_has_failed(broken: Broken) -> None:
    """One entry to replay, and not one of each holder, after a deployment that could not write."""
    assert all(b(broken, number) for number in range(30))
    broken.broken = {key(number): RuntimeError("not allowed") for number in range(30)}
    cancel_all(broken)
    change = pending(broken)
    assert change is not None
    with pytest.raises(RuntimeError):
        follower(broken).take_step(change)
    assert broken.pending.entries(following.HOLDER_KIND, 10) == []
    assert pending(broken) == change


def test_each_holder_is_read_once(store: MemoryStore) -> None:
    class Counting(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.read: Counter[OrderKey] = Counter()

        def orders(self, keys):  # type: ignore[no-untyped-def]
            self.read.update(keys)
            return super().orders(keys)

        def snapshot(self, wanted: Wanted) -> Snapshot:
            self.read[wanted.order] += 1
            return super().snapshot(wanted)

    counting = Counting()
    vars(counting).update(vars(store))  # with what is in it
    assert all(b(counting, number) for number in range(250))
    cancel_all(counting)
    counting.read = Counter()
    finish(counting)
    assert counting.read == Counter({key(number): 1 for number in range(250)})
