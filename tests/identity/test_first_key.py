"""The first signing key of an installation, while time goes on."""

from datetime import UTC, datetime, timedelta

from chalicelib.identity.keys import KeyRing, SigningKeys
from chalicelib.identity.register import Register
from chalicelib.storage.vault import OpenVault
from tests.support.builders import AT_ONCE, sequential_ids
from tests.support.memory import MemoryIdentities


class TickingClock:
    """A clock that is never asked twice in the same instant."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_ring(register: Register, at: datetime = NOW) -> KeyRing:
    return KeyRing(register, OpenVault(), TickingClock(at), sequential_ids(), timedelta(minutes=15), AT_ONCE)


def test_the_first_token_is_signed_though_the_key_is_younger_than_the_request() -> None:
    ring = a_ring(Register(MemoryIdentities()))
    assert ring.verify(ring.signer().sign({"sub": "x"}, "JWT"))[1] == {"sub": "x"}


class Overtaken(Register):
    """A register in which another instance, whose clock is ahead, makes the first key a moment before us."""

    def save(self, entry):  # type: ignore[no-untyped-def]
        if isinstance(entry, SigningKeys) and not self.store.get(*entry.key):
            a_ring(Register(self.store), NOW + timedelta(seconds=2)).signer()
        return super().save(entry)


def test_a_first_key_that_another_instance_has_made_by_a_faster_clock_signs() -> None:
    register = Overtaken(MemoryIdentities())
    ring = a_ring(register)
    token = ring.signer().sign({"sub": "x"}, "JWT")
    assert a_ring(register).verify(token)[1] == {"sub": "x"}


def test_the_only_key_there_is_signs_even_before_its_time() -> None:
    ring = a_ring(Register(MemoryIdentities()))
    only = ring.rotate()
    assert ring.signer().kid == only.kid
