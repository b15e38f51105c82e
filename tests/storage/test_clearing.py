"""Many Opportunities go at once, with every Order that holds one of them (TESTIF-01)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import Change, Wanted
from chalicelib.domain.orders import DeletedOrder, OrderKey
from chalicelib.storage.attempts import Patience, carry_out
from chalicelib.storage.listings import clear
from chalicelib.storage.memory import MemoryStore
from chalicelib.storage.port import Listing, StoreBusy
from tests.support.builders import NOW, SELLER_ID, SESSION_ID, a_moment, a_request, a_seller, an_opportunity

PATIENCE = Patience(pause=lambda seconds: None, jitter=lambda: 0.5)
IDS = [f"{SESSION_ID}-{number}" for number in range(60)]


def key(number: int) -> OrderKey:
    return OrderKey("partner-1", f"10000000-0000-4000-8000-{number:012d}")


class Counting(MemoryStore):
    """Counts its calls, and may be busy."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.busy = 0

    def commit(self, changes: Sequence[Change]) -> None:
        self.calls["commit"] += 1
        if self.busy:
            self.busy -= 1
            raise StoreBusy("throttled")
        super().commit(changes)

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]]) -> None:
        self.calls["publish"] += 1
        super().publish_together(listings)


@pytest.fixture
def store() -> Counting:
    store = Counting()
    store.save_seller(a_seller())
    for opportunity_id in IDS:
        store.publish(Listing(replace(an_opportunity(), id=opportunity_id), source="test"), 5)
    for number, opportunity_id in enumerate([*IDS[:20], *IDS[:3]]):
        book_one(store, number, opportunity_id)
    store.calls.clear()
    return store


def book_one(store: MemoryStore, number: int, opportunity_id: str) -> None:
    request = a_request()
    item = replace(request.items[0], opportunity_id=opportunity_id)
    payment = {"@type": "Payment", "identifier": "payment"}
    request = replace(
        request, key=key(number), items=(item,), total_payment_due=Decimal("10.00"), payment=payment
    )
    answer = carry_out(
        store,
        Wanted(request.key, SELLER_ID, (opportunity_id,)),
        lambda snapshot: book(request, snapshot, a_moment(), lambda order: "answer"),
        now=NOW,
        patience=PATIENCE,
    )
    assert not answer.errors


def check_that_all_is_gone(store: Counting) -> None:
    for listing, capacity in store.listings(IDS).values():
        assert listing.deleted
        assert capacity is not None
        assert capacity.spaces_left == capacity.spaces_total
    assert all(store.holds(opportunity_id) == {} for opportunity_id in IDS)
    orders = store.orders([key(number) for number in range(30)])
    assert len(orders) == 23
    assert all(isinstance(order, DeletedOrder) for order in orders.values())


def test_all_go_in_a_few_writes(store: Counting) -> None:
    clear(store, list(store.imported_from("test")), NOW, PATIENCE)
    assert store.calls["commit"] < 5  # three Opportunities are held by two Orders, which cannot go together
    check_that_all_is_gone(store)


def test_what_changes_meanwhile_goes_by_itself(store: Counting) -> None:
    read = list(store.imported_from("test"))
    store.publish(replace(read[0], version=2), None)  # the Seller changes one
    store.busy = 1
    clear(store, read, NOW, PATIENCE)
    check_that_all_is_gone(store)


def test_twice_is_as_once(store: Counting) -> None:
    read = list(store.imported_from("test"))
    clear(store, read, NOW, PATIENCE)
    clear(store, read, NOW, PATIENCE)
    check_that_all_is_gone(store)
