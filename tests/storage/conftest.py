"""Each store that keeps to the contract, empty."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.store import Store
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE, Calls, clear, dynoxide, moto, new_tables
from tests.support.memory import MemoryFeeds, MemoryStore


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """The one moto of a module: a second one in the same process would empty it."""
    with moto() as url:
        yield url


@pytest.fixture(
    scope="module", params=["memory", "moto", pytest.param("dynoxide", marks=pytest.mark.dynoxide)]
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The URL of an engine, None for the store in memory."""
    if request.param == "memory":
        yield None
    elif request.param == "moto":
        yield request.getfixturevalue("moto_url")
    elif not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    else:
        with dynoxide(tmp_path_factory.mktemp("dynoxide")) as url:
            yield url


@dataclass(frozen=True)
class Stores:
    store: Store
    feeds: FeedStore
    pending: PendingStore


@pytest.fixture(scope="module")
def engine_tables(engine: str | None) -> Iterator[Tables | None]:
    """One set of tables for a module: making them takes longer than a test."""
    if engine is None:
        yield None
        return
    made = new_tables("contract", engine)
    yield made
    made.connection.client.close()


@pytest.fixture
def stores(engine_tables: Tables | None) -> Iterator[Stores]:
    if engine_tables is None:
        memory = MemoryStore()
        yield Stores(memory, MemoryFeeds(), memory.pending)
        return
    yield Stores(DynamoStore(engine_tables), DynamoFeeds(engine_tables), DynamoPending(engine_tables))
    clear(engine_tables)


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.store


@pytest.fixture
def feeds(stores: Stores) -> FeedStore:
    return stores.feeds


@pytest.fixture(scope="module")
def moto_tables(moto_url: str) -> Iterator[Tables]:
    made = new_tables("moto", moto_url)
    yield made
    made.connection.client.close()


@pytest.fixture
def tables(moto_tables: Tables) -> Iterator[Tables]:
    """Empty tables on moto, for what only DynamoDB has."""
    yield moto_tables
    clear(moto_tables)


@pytest.fixture
def calls(tables: Tables) -> Iterator[Calls]:
    """What goes to these tables from here on."""
    made = Calls(tables)
    yield made
    made.stop()
