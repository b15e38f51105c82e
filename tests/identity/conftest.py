"""A register in memory and a key ring over it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from chalicelib.identity.keys import KeyRing
from chalicelib.identity.register import Register
from chalicelib.storage.vault import OpenVault
from tests.support.builders import Clock, sequential_ids
from tests.support.memory import MemoryIdentities
from tests.support.tokens import quick_key


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
    return lambda: KeyRing(Register(identities), OpenVault(), clock, ids, timedelta(minutes=15), quick_key)


@pytest.fixture
def ring(new_ring: Callable[[], KeyRing]) -> KeyRing:
    return new_ring()
