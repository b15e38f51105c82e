"""Many Opportunities go at once, with every Order that holds one of them (TESTIF-01)."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import Change, MoveHold, Wanted, save_order
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind, Proposal
from chalicelib.services import clearing
from chalicelib.services.attempts import carry_out
from chalicelib.services.inventory import Inventory
from chalicelib.services.pending import Worker
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.pending import PROPOSAL_END
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
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

RETRY = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5)
IDS = [f"{SESSION_ID}-{number}" for number in range(60)]


def key(number: int) -> OrderKey:
    return OrderKey("partner-1", f"10000000-0000-4000-8000-{number:012d}")


class Killed(BaseException):
    """The process ends here."""


class Counting(MemoryStore):
    """Counts its calls, and may be busy or crash."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.busy = 0
        self.crash = False
        self.meanwhile: Callable[[], object] = lambda: None

    def commit(self, changes: Sequence[Change]) -> None:
        self.calls["commit"] += 1
        if self.crash:
            self.crash = False
            raise Killed
        if self.busy:
            self.busy -= 1
            raise StoreBusy("throttled")
        super().commit(changes)

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]], **options: Any) -> None:
        self.calls["publish"] += 1
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        super().publish_together(listings, **options)


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
        retry=RETRY,
    )
    assert not answer.errors


def check_that_all_is_gone(store: Counting, orders: int = 23) -> None:
    for listing, capacity in store.listings(IDS).values():
        assert listing.deleted
        assert capacity is not None
        assert capacity.spaces_left == capacity.spaces_total
    assert all(store.holds(opportunity_id) == {} for opportunity_id in IDS)
    found = store.orders([key(number) for number in range(30)])
    assert len(found) == orders
    assert all(isinstance(order, DeletedOrder) for order in found.values())


def noted(store: MemoryStore) -> list[clearing.Clearing]:
    return [clearing.read_clearing(entry) for entry in store.pending.entries(clearing.KIND, 10)]


def clear(store: MemoryStore, retry: RetryPolicy, *, seconds: float) -> int:
    steps = {clearing.KIND: lambda entry: clearing.take_step(entry, store, NOW, retry)}
    return Worker(store.pending, steps, retry, lambda: NOW, Observed()).run_kind(clearing.KIND, seconds)


def note(store: MemoryStore, opportunity_ids: Sequence[str] = IDS) -> None:
    """As the Test Interface does: two in a note when they are made, and then the dataset is deleted."""
    for start in range(0, len(opportunity_ids), 2):
        together = opportunity_ids[start : start + 2]
        clearing.note_made(store.pending, "uat", together, f"made-{start:06d}-of-{len(opportunity_ids)}")
    numbers = count()
    clearing.note_clearing(store.pending, "uat", lambda: f"note-{next(numbers)}")
    assert store.pending.entries("dataset#uat", 10) == []


def test_all_go_in_a_few_writes(store: Counting) -> None:
    note(store)
    assert clear(store, RETRY, seconds=10) == len(IDS)
    assert store.calls["commit"] < 5  # three Opportunities are held by two Orders, which cannot go together
    check_that_all_is_gone(store)
    assert noted(store) == []


def test_nothing_goes_before_it_is_noted(store: Counting) -> None:
    assert clear(store, RETRY, seconds=10) == 0
    assert not any(listing.deleted for listing, _ in store.listings(IDS).values())


def test_a_large_number_is_noted_in_pieces_and_time_ends_between_them(store: Counting) -> None:
    more = [f"{SESSION_ID}-more-{number}" for number in range(2 * clearing.STEP)]
    for opportunity_id in more:
        store.publish(Listing(replace(an_opportunity(), id=opportunity_id), source="test"), 5)
    note(store, [*more, *IDS])
    assert [len(each.opportunity_ids) for each in noted(store)] == [clearing.STEP, clearing.STEP, len(IDS)]
    hasty = replace(RETRY, clock=count().__next__, jitter=lambda: 0.0)
    assert clear(store, hasty, seconds=0) == clearing.STEP
    assert clear(store, hasty, seconds=1) == clearing.STEP + len(IDS)
    check_that_all_is_gone(store)


def test_what_is_at_work_elsewhere_is_left_to_the_next_time(store: Counting) -> None:
    """The Seller changes one between the look and the write: nothing is lost, and the note stays."""
    note(store)
    store.meanwhile = lambda: Inventory(store, store.pending, RETRY).change(
        IDS[0], lambda opportunity: opportunity
    )
    assert clear(store, RETRY, seconds=10) == 0
    assert len(noted(store)) == 1
    assert clear(store, RETRY, seconds=10) == len(IDS)
    check_that_all_is_gone(store)


def test_after_a_crash_between_withdrawal_and_orders_the_orders_go_too(store: Counting) -> None:
    note(store)
    store.crash = True
    with pytest.raises(Killed):
        clear(store, RETRY, seconds=10)
    assert store.listings(IDS[:1])[IDS[0]][0].deleted
    clear(store, RETRY, seconds=10)
    check_that_all_is_gone(store)


def test_orders_that_cannot_go_together_go_by_themselves(store: Counting) -> None:
    note(store)
    store.busy = 1
    assert clear(store, RETRY, seconds=10) == len(IDS)
    check_that_all_is_gone(store)


def test_proposals_go_with_the_entries_that_would_end_them(store: Counting) -> None:
    """A transaction has space for these, too: 40 proposals, each on a session of its own."""
    for number, opportunity_id in enumerate(IDS[20:], start=100):
        book_one(store, number, opportunity_id)
        order = store.orders([key(number)])[key(number)]
        assert isinstance(order, Order)
        waiting = Proposal("1", ProposalStatus.AwaitingSellerConfirmation, ends_at=NOW)
        proposal = replace(order, kind=OrderKind.OrderProposal, proposal=waiting)
        (before,), (after,) = order.holds().values(), proposal.holds().values()
        store.commit([save_order(proposal, order), MoveHold(opportunity_id, order.key, before, after)])
    assert store.pending.count(PROPOSAL_END, 99) == 40
    note(store)
    assert clear(store, RETRY, seconds=10) == len(IDS)
    check_that_all_is_gone(store)
    assert store.pending.count(PROPOSAL_END, 99) == 0


def test_whoever_books_meanwhile_is_refused_or_goes_too(store: Counting) -> None:
    """Withdrawn first: an Order that came just before is found, none comes after."""
    note(store)
    store.meanwhile = lambda: book_one(store, 29, IDS[30])
    clear(store, RETRY, seconds=10)
    check_that_all_is_gone(store, orders=24)
    with pytest.raises(AssertionError):
        book_one(store, 28, IDS[31])


def test_twice_is_as_once(store: Counting) -> None:
    for _ in range(2):
        note(store)
        clear(store, RETRY, seconds=10)
    check_that_all_is_gone(store)
