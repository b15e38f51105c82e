"""A register in memory, a key ring over it, and an installation with its own provider."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from chalicelib.identity.keys import KeyRing
from chalicelib.identity.register import Register
from chalicelib.runtime.system import System, install
from chalicelib.storage.vault import OpenVault
from tests.support.builders import AT_ONCE, Clock, sequential_ids
from tests.support.memory import MemoryIdentities
from tests.support.oauth import open_provider
from tests.support.tokens import quick_key
from tests.support.world import World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identities() -> MemoryIdentities:
    return MemoryIdentities()


@pytest.fixture
def new_ring(identities: MemoryIdentities, clock: Clock) -> Callable[[], KeyRing]:
    """A ring as each process has one of its own."""
    ids = sequential_ids()
    return lambda: KeyRing(
        Register(identities), OpenVault(), clock, ids, timedelta(minutes=15), AT_ONCE, quick_key
    )


@pytest.fixture
def ring(new_ring: Callable[[], KeyRing]) -> KeyRing:
    return new_ring()


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    install(None)


@pytest.fixture
def system(world: World) -> System:
    """The installation with its own provider, and a login for Seller 1."""
    return open_provider(world)
