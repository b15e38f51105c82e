"""Digests that only one installation can make."""

from __future__ import annotations

import pytest

from chalicelib.identity.fingerprints import FingerprintKey, Fingerprints
from chalicelib.identity.register import Register
from chalicelib.storage.errors import StillBusy, StoreBusy
from tests.support.builders import AT_ONCE
from tests.support.memory import MemoryIdentities


def made(register: Register, secret: str = "0a" * 32) -> Fingerprints:
    return Fingerprints(register, AT_ONCE, lambda: secret)


@pytest.fixture
def register() -> Register:
    return Register(MemoryIdentities())


def test_every_process_of_an_installation_makes_the_same(register: Register) -> None:
    first = made(register).digest("a")
    assert made(register, "0b" * 32).digest("a") == first
    assert made(register).digest("b") != first
    assert made(Register(MemoryIdentities()), "0b" * 32).digest("a") != first


def test_the_key_is_read_once_and_not_shown(register: Register) -> None:
    fingerprints = made(register)
    fingerprints.digest("a")
    calls = register.store.calls  # type: ignore[attr-defined]
    fingerprints.digest("b")
    assert register.store.calls == calls  # type: ignore[attr-defined]
    assert "0a0a" not in repr(fingerprints)


def test_of_two_that_make_the_key_the_first_wins(register: Register) -> None:
    def slow() -> str:
        register.save(FingerprintKey("0b" * 32))
        return "0a" * 32

    late = Fingerprints(register, AT_ONCE, slow)
    assert late.digest("a") == made(register).digest("a")
    assert register.find(FingerprintKey, FingerprintKey.key_of()) is not None


def test_a_busy_store_is_not_another_key(register: Register) -> None:
    class Busy(MemoryIdentities):
        def get(self, principal: str, part: str) -> None:
            raise StoreBusy("busy")

    with pytest.raises(StillBusy):
        made(Register(Busy())).digest("a")
