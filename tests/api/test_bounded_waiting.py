"""A request waits for busy tables for a bounded time, and with a bounded number of calls."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.retry import RetryPolicy
from tests.support.engines import Calls, cancelled, new_tables, simulated_aws, throttled, timed_out
from tests.support.world import API, Answer, Bookable, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"

BUSY_ANSWERS, SECONDS = 4, 2.0


class Stopwatch:
    """Time that passes by pauses, and by a fixed time of each call."""

    def __init__(self) -> None:
        self.now = 0.0

    def policy(self) -> RetryPolicy:
        return RetryPolicy(self.passes, jitter=lambda: 1.0, clock=lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def slow(self, fault: Callable[[], None], seconds: float) -> Callable[[], None]:
        def fail() -> None:
            self.passes(seconds)
            fault()

        return fail


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with simulated_aws():
        made = new_tables("bounded")
        yield made
        made.connection.client.close()


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def world(tables: Tables, watch: Stopwatch) -> Iterator[World]:
    world = World(store=DynamoStore(tables), feeds=DynamoFeeds(tables), identities=DynamoIdentities(tables))
    world.system.retry = watch.policy()
    yield world
    install(None)


@pytest.fixture
def calls(tables: Tables, world: World) -> Iterator[Calls]:
    calls = Calls(tables)
    yield calls
    calls.stop()


_numbers = count()


@pytest.fixture
def broker(world: World) -> Broker:
    return Broker(world, f"partner-{next(_numbers)}")


REQUESTS: dict[str, tuple[Callable[[Broker, Bookable], Answer], str]] = {
    "C1": (lambda broker, yoga: broker.c1(UUID, yoga.item()), "TemporarilyUnableToProduceOrderQuoteError"),
    "C2": (lambda broker, yoga: broker.c2(UUID, yoga.item()), "TemporarilyUnableToProduceOrderQuoteError"),
    "B": (lambda broker, yoga: broker.b(UUID, yoga.item()), "TemporarilyUnableToCreateOrderError"),
    "status": (lambda broker, yoga: broker.status(UUID), "InternalApplicationError"),
    "feed": (
        lambda broker, yoga: broker.send("GET", "/feeds/scheduled-sessions"),
        "InternalApplicationError",
    ),
    "own feed": (lambda broker, yoga: broker.send("GET", f"{API}/orders-rpde"), "InternalApplicationError"),
}


@pytest.mark.parametrize(
    ("stage", "operation", "seconds"),
    [
        ("C1", "BatchGetItem", 0.005),
        ("C2", "TransactWriteItems", 0.005),
        ("B", "TransactWriteItems", 0.005),
        ("B", "TransactWriteItems", 0.9),
        ("status", "BatchGetItem", 0.005),
        ("feed", "Query", 0.005),
        ("own feed", "Query", 0.005),
    ],
)
def test_a_throttled_table_holds_a_request_for_a_short_time(
    world: World, broker: Broker, calls: Calls, watch: Stopwatch, stage: str, seconds: float, operation: str
) -> None:
    ask, kind = REQUESTS[stage]
    yoga = world.session()
    calls.forget()
    calls.before(operation, *[watch.slow(throttled, seconds)] * 100)
    began = watch.now
    answer = ask(broker, yoga)
    assert (answer.status, answer.json["@type"]) == (503, kind)
    assert answer.headers["Retry-After"] == "5"
    assert 1 <= calls.made[operation] <= BUSY_ANSWERS
    assert calls.total <= 2 * BUSY_ANSWERS  # each attempt reads and writes
    # No attempt starts after the time; the last one takes as long as it takes.
    assert watch.now - began <= SECONDS + seconds + 1.0


def test_a_table_that_does_not_answer_holds_a_request_for_two_calls_of_its_time_limit(
    world: World, broker: Broker, calls: Calls, watch: Stopwatch
) -> None:
    yoga = world.session()
    calls.forget()
    calls.before("BatchGetItem", *[watch.slow(timed_out, Tables.READ_SECONDS)] * 100)
    assert broker.b(UUID, yoga.item()).status == 503
    assert calls.made["BatchGetItem"] <= 2
    assert watch.now <= SECONDS + 2 * Tables.READ_SECONDS


def test_a_throttle_that_passes_is_waited_for(world: World, broker: Broker, calls: Calls) -> None:
    yoga = world.session()
    calls.before("TransactWriteItems", throttled, throttled)
    assert broker.b(UUID, yoga.item()).status == 201


def test_botocore_repeats_a_call_once_at_most() -> None:
    """Each call of the tests above is at most two."""
    assert Tables.RETRIES == 1


def test_lost_races_are_retried_longer_than_throttles(world: World, broker: Broker, calls: Calls) -> None:
    """Each lost race is a booking of another caller; the places may still be there."""
    yoga = world.session()
    calls.before("TransactWriteItems", *[cancelled("TransactionConflict", "None", "None")] * 10)
    assert broker.b(UUID, yoga.item()).status == 201


def test_a_stream_is_not_in_such_a_hurry(world: World, watch: Stopwatch) -> None:
    """Control: the bound is on requests of callers only."""
    tried = list(world.system.retry.tries())
    assert len(tried) == world.system.retry.attempts


def test_a_read_that_is_answered_key_by_key_is_busy(world: World, broker: Broker, calls: Calls) -> None:
    """A throttled table may process one key of each call: an Order of many would take as many calls."""
    yoga = world.session()

    def one_key_only(parsed: dict[str, object]) -> None:
        requested = calls.requests[-1][1]["RequestItems"]
        table, part = next(iter(requested.items()))
        left = {name: dict(each) for name, each in requested.items()}
        left[table] = {**part, "Keys": part["Keys"][1:]}
        parsed["UnprocessedKeys"] = {name: each for name, each in left.items() if each["Keys"]}
        parsed["Responses"] = {}

    calls.forget()
    calls.after("BatchGetItem", *[one_key_only] * 100)
    assert broker.b(UUID, yoga.item()).status == 503
    assert calls.total <= BUSY_ANSWERS * 4
