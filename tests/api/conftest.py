"""An installation in memory for each test, and Brokers who speak to it."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from chalicelib.runtime.system import install
from tests.support.world import Broker, World


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    install(None)


@pytest.fixture
def broker(world: World) -> Broker:
    """The booking partner that most tests are about, acting for Seller 1."""
    return Broker(world)


@pytest.fixture
def new_uuid() -> Callable[[], str]:
    return lambda: str(uuid.uuid4())
