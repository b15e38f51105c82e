"""A change of a whole Opportunity reaches everyone who holds it: once, also after a crash, nobody missed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from threading import Event

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import Wanted
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.services import following
from chalicelib.services.attempts import carry_out
from chalicelib.services.inventory import Inventory, NotListed, Outcome
from chalicelib.services.pending import Worker
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.wire.logistics import Logistics, cancelled, with_logistics
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
CANCELLED = OpportunityChange(SESSION_ID, ChangeKind.cancelled, "The hall is flooded.")


def inventory(store: MemoryStore) -> Inventory:
    return Inventory(store, store.pending, RETRY)


def worker(store: MemoryStore) -> Worker:
    steps = {following.KIND: lambda entry: following.take_step(entry, store, a_moment(), RETRY)}
    return Worker(store.pending, steps, RETRY, lambda: NOW, Observed())


def finish(store: MemoryStore) -> int:
    return worker(store).finish(following.KIND, SESSION_ID)


def pending(store: MemoryStore) -> PendingWork | None:
    return store.pending.entry(following.KIND, SESSION_ID)


def step(store: MemoryStore, entry: PendingWork, limit: int = following.STEP) -> int:
    """One step, and what is then saved of it."""
    taken = following.take_step(entry, store, a_moment(), RETRY, limit)
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
    inventory(store).change(SESSION_ID, cancelled, CANCELLED)


def check_that_nobody_is_left(store: MemoryStore, numbers: range) -> None:
    assert store.holds(SESSION_ID) == {}
    capacity = store.listings([SESSION_ID])[SESSION_ID][1]
    assert capacity is not None and capacity.spaces_left == capacity.spaces_total
    for number in numbers:
        found = order(store, number)
        if found is not None:
            # One write after B, and with it the Order is in its partner's feed: once.
            assert (found.items[0].status, found.version) == (OrderItemStatus.SellerCancelled, 2)
            assert found.published and found.items[0].cancellation_message == CANCELLED.message


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


class Crash(Exception):
    """The process ends here."""


class Mortal(MemoryStore):
    """A store whose process is killed after some commits."""

    commits_left = 10**9

    def commit(self, changes):  # type: ignore[no-untyped-def]
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
    store.commits_left = 37
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
    logistics = OpportunityChange(SESSION_ID, ChangeKind.logistics)
    inventory(store).change(SESSION_ID, moved, logistics)
    finish(store)
    step(store, following.pending_change(replace(logistics, revision=2)))
    for number in range(5):
        found = order(store, number)
        assert found is not None and found.items[0].opportunity is not None
        assert found.items[0].opportunity.document["name"] == "Under another name"
        assert (found.version, found.items[0].status) == (2, OrderItemStatus.OrderItemConfirmed)


def test_a_cancellation_is_not_lost_to_those_who_follow_an_earlier_change(store: MemoryStore) -> None:
    """Who is half-way through an earlier change neither crosses off the cancellation nor skips anyone."""
    assert all(b(store, number) for number in range(25))
    inventory(store).change(SESSION_ID, moved, OpportunityChange(SESSION_ID, ChangeKind.logistics))
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
    inventory(store).change(SESSION_ID, moved, OpportunityChange(SESSION_ID, ChangeKind.logistics))
    finish(store)
    check_that_nobody_is_left(store, range(25))


def test_what_was_attended_stays_attended(store: MemoryStore) -> None:
    from chalicelib.booking.seller import record_attendance
    from chalicelib.domain.lifecycle import ItemEvent

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
