"""Faults that pass by themselves: conflicts, throttles, timeouts, answers that are lost on the way.

They are injected where botocore sends and receives, so that everything above it is the real thing.
"""

from collections.abc import Callable
from decimal import Decimal

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import Answer, Decision, Snapshot, Wanted
from chalicelib.domain.orders import Order
from chalicelib.services.attempts import carry_out
from chalicelib.storage.dynamodb.calls import busy_with
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    SESSION_ID,
    Json,
    a_moment,
    a_request,
    a_seller,
    an_opportunity,
)
from tests.support.engines import Calls, cancelled, goes_through, throttled, timed_out

WANTED = Wanted(KEY, SELLER_ID, (SESSION_ID,))
WRITE, READ = "TransactWriteItems", "BatchGetItem"


class Pauses:
    """Pauses that take no time, counted."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def retry(self, attempts: int = 16) -> RetryPolicy:
        return RetryPolicy(self.taken.append, jitter=lambda: 1.0, clock=lambda: 0.0, attempts=attempts)


@pytest.fixture
def store(tables: Tables, calls: Calls) -> DynamoStore:
    store = DynamoStore(tables)
    store.publish(Listing(an_opportunity()), 10)
    store.save_seller(a_seller())
    calls.forget()
    return store


def b(snapshot: Snapshot) -> Decision[Answer]:
    request = a_request(
        total_payment_due=Decimal("10.00"), payment={"@type": "Payment", "identifier": "payment"}
    )
    return book(request, snapshot, a_moment(), lambda order: f"answer of {order.items[0].id}")


def booked(store: DynamoStore, pauses: Pauses, attempts: int = 16) -> Order:
    retry = pauses.retry(attempts)
    return carry_out(store, WANTED, b, now=NOW, retry=retry).order


def spaces_left(store: DynamoStore) -> int:
    capacity = store.listings([SESSION_ID])[SESSION_ID][1]
    assert capacity is not None
    return capacity.spaces_left


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (READ, throttled),
        (READ, timed_out),
        (WRITE, throttled),
        (WRITE, timed_out),
        (WRITE, cancelled("None", "TransactionConflict", "None")),
    ],
)
def test_a_fault_that_passes_is_tried_again_after_a_pause(
    store: DynamoStore, calls: Calls, operation: str, fault: Callable[[], None]
) -> None:
    pauses = Pauses()
    calls.before(operation, fault, fault)
    assert booked(store, pauses).answer is not None
    assert pauses.taken == [0.02, 0.04]
    assert spaces_left(store) == 9


def test_a_fault_that_stays_is_given_up_and_nothing_is_written(store: DynamoStore, calls: Calls) -> None:
    pauses = Pauses()
    calls.before(WRITE, *[throttled] * 5)
    with pytest.raises(StillBusy):
        booked(store, pauses, attempts=5)
    assert len(pauses.taken) == 4
    assert spaces_left(store) == 10


@pytest.mark.parametrize(
    ("operation", "fault", "said"),
    [
        (READ, throttled, f"ThrottlingException: {{prefix}}-inventory {SESSION_ID} details"),
        (READ, timed_out, f"ReadTimeoutError: {{prefix}}-inventory {SESSION_ID} details"),
        (WRITE, throttled, f"ThrottlingException: {{prefix}}-orders {KEY}"),
        (
            WRITE,
            cancelled("None", "None", "TransactionConflict"),
            f"TransactionConflict: {{prefix}}-inventory {SESSION_ID} capacity",
        ),
        (
            WRITE,
            cancelled("TransactionConflict", "None", "None"),
            f"TransactionConflict: {{prefix}}-orders {KEY}",
        ),
    ],
)
def test_what_was_busy_is_named(
    store: DynamoStore, tables: Tables, calls: Calls, operation: str, fault: Callable[[], None], said: str
) -> None:
    """By table and key, of a cancelled transaction those that were in the way."""
    calls.before(operation, fault)
    with pytest.raises(StillBusy) as refused:
        booked(store, Pauses(), attempts=1)
    assert str(refused.value).startswith(said.format(prefix=tables.engine.prefix))
    if fault is not throttled and operation == WRITE:
        assert str(refused.value) == said.format(prefix=tables.engine.prefix)


def test_no_key_of_an_identity_is_named(tables: Tables, calls: Calls) -> None:
    """It may be a person's username."""
    identities = DynamoIdentities(tables)
    calls.before("GetItem", throttled)
    calls.before(READ, throttled)
    with pytest.raises(StoreBusy) as refused:
        identities.get("login#geoff@example.com", "profile")
    assert str(refused.value) == f"ThrottlingException: {tables.name('identity')}"


def test_only_the_first_of_many_rows_are_named() -> None:
    said = busy_with("ThrottlingException", [f"row-{n}" for n in range(9)])
    assert said == "ThrottlingException: row-0, row-1, row-2, row-3, row-4 and 4 more"


def test_pauses_grow_up_to_a_second(store: DynamoStore, calls: Calls) -> None:
    pauses = Pauses()
    calls.before(READ, *[throttled] * 9)
    booked(store, pauses)
    assert pauses.taken == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]


def test_a_commit_whose_answer_was_lost_is_found_done_and_answered_the_same(
    store: DynamoStore, calls: Calls
) -> None:
    """The space is taken once, and the Broker gets the answer that was kept (B-08)."""
    pauses = Pauses()
    calls.after(WRITE, timed_out)
    order = booked(store, pauses)
    kept = store.snapshot(WANTED).order
    assert isinstance(kept, Order) and kept.answer == order.answer
    assert spaces_left(store) == 9
    assert calls.made[WRITE] == 1


def test_keys_that_were_left_unprocessed_are_asked_for_again(store: DynamoStore, calls: Calls) -> None:
    def leave_half(answer: Json) -> None:
        for table, rows in answer["Responses"].items():
            if len(rows) > 1:
                row = rows.pop()
                keys = [{name: row[name] for name in ("opportunity_id", "part")}]
                answer["UnprocessedKeys"] = {table: {"Keys": keys, "ConsistentRead": True}}

    calls.after(READ, leave_half)
    snapshot = store.snapshot(WANTED)
    assert snapshot.opportunities[SESSION_ID].capacity.spaces_left == 10
    assert calls.made[READ] == 2


def test_a_read_of_which_nothing_is_processed_is_busy(store: DynamoStore, calls: Calls) -> None:
    def leave_all(answer: Json) -> None:
        _, asked = calls.requests[-1]
        answer["Responses"], answer["UnprocessedKeys"] = {}, asked["RequestItems"]

    calls.after(READ, leave_all)
    with pytest.raises(StoreBusy):
        store.snapshot(WANTED)


def test_what_is_no_passing_fault_is_not_tried_again(store: DynamoStore, calls: Calls) -> None:
    pauses = Pauses()
    calls.before(WRITE, goes_through, cancelled("ValidationError"))
    booked(store, pauses)
    assert pauses.taken == []
