"""Signing keys: made once, handed on in time, put away, and verified with from memory."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.keys import ROTATED_AFTER, SHOWN_BEFORE, KeyRing, SigningKeys
from chalicelib.identity.register import Register
from chalicelib.identity.tokens import ACCESS_TOKEN, UnknownKey
from chalicelib.storage.identities import Record
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.vault import OpenVault
from tests.support.builders import AT_ONCE, Clock, sequential_ids
from tests.support.memory import MemoryIdentities
from tests.support.tokens import encoded, foreign_key, parts, quick_key

NewRing = Callable[[], KeyRing]


def signed(ring: KeyRing) -> str:
    return ring.signer().sign({"sub": "x"}, ACCESS_TOKEN)


def key_of(token: str) -> str:
    return str(parts(token)[0]["kid"])


def kids(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in ring.public()]


def test_first_key_is_made_when_it_is_needed_and_kept(
    ring: KeyRing, new_ring: NewRing, identities: MemoryIdentities
) -> None:
    assert list(identities.all("signing-keys")) == []
    token = signed(ring)
    other = new_ring()
    assert other.verify(token)[1] == {"sub": "x"}
    assert key_of(signed(other)) == key_of(token)
    assert kids(other) == [key_of(token)]


def test_who_asks_for_the_keys_first_gets_one_that_will_sign(ring: KeyRing) -> None:
    assert kids(ring) == [key_of(signed(ring))]


class AtOnce(MemoryIdentities):
    """Lets two read before either writes."""

    def __init__(self) -> None:
        super().__init__()
        self.barrier = Barrier(2)

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
        if record.version == 0:
            self.barrier.wait(timeout=30)
        return super().save(record, *others, pending=pending)


def test_two_processes_that_race_end_with_one_first_key(clock: Clock) -> None:
    store, ids = AtOnce(), sequential_ids()
    rings = [
        KeyRing(Register(store), OpenVault(), clock, ids, timedelta(minutes=15), AT_ONCE, quick_key)
        for _ in range(2)
    ]
    tokens: list[str] = []
    threads = [Thread(target=lambda ring=ring: tokens.append(signed(ring))) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(tokens) == 2
    assert len({key_of(token) for token in tokens}) == 1
    assert all(ring.verify(token) for ring in rings for token in tokens)


def test_private_half_is_in_the_register_only_as_the_vault_made_it(clock: Clock) -> None:
    class Vault:
        def seal(self, content: bytes) -> str:
            assert b"PRIVATE KEY" in content
            kept.append(content)
            return "sealed"

        def unseal(self, sealed: str) -> bytes:
            assert sealed == "sealed"
            return kept[0]

    kept: list[bytes] = []
    store = MemoryIdentities()
    ring = KeyRing(
        Register(store), Vault(), clock, sequential_ids(), timedelta(minutes=15), AT_ONCE, quick_key
    )
    assert ring.verify(signed(ring))
    [record] = store.all("signing-keys")
    assert '"sealed"' in record.document and "PRIVATE" not in record.document


class TestRotation:
    def test_new_key_is_shown_before_it_signs(self, ring: KeyRing, clock: Clock) -> None:
        first = key_of(signed(ring))
        new = ring.rotate().kid
        assert kids(ring) == [first, new]
        clock.advance(seconds=SHOWN_BEFORE.total_seconds() - 1)
        assert key_of(signed(ring)) == first
        clock.advance(seconds=1)
        assert key_of(signed(ring)) == new

    def test_who_has_a_copy_has_the_new_key_by_then(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        """Whoever keeps the set for as long as it says never meets a key that is not in it."""
        signed(ring)
        verifier = new_ring()
        copied = kids(verifier)
        ring.rotate()
        clock.advance(seconds=SHOWN_BEFORE.total_seconds() - 1)
        assert key_of(signed(ring)) in copied

    def test_old_tokens_stay_good_until_they_end(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        signed(ring)
        ring.rotate()
        clock.advance(seconds=SHOWN_BEFORE.total_seconds() - 1)
        last = signed(ring)
        clock.advance(minutes=14, seconds=59)
        assert ring.verify(last) and new_ring().verify(last)

    def test_key_goes_when_nothing_good_is_signed_with_it_any_more(self, ring: KeyRing, clock: Clock) -> None:
        first = key_of(signed(ring))
        second = ring.rotate(at_once=True).kid
        clock.advance(minutes=14)
        third = ring.rotate(at_once=True).kid
        assert kids(ring) == [first, second, third]
        clock.advance(minutes=2)
        fourth = ring.rotate(at_once=True).kid
        assert kids(ring) == [second, third, fourth]

    def test_key_that_signs_at_once_does(self, ring: KeyRing) -> None:
        before = signed(ring)
        new = ring.rotate(at_once=True).kid
        assert key_of(signed(ring)) == new
        assert ring.verify(before)

    def test_at_once_passes_one_that_waits(self, ring: KeyRing, clock: Clock) -> None:
        signed(ring)
        ring.rotate()
        new = ring.rotate(at_once=True).kid
        assert key_of(signed(ring)) == new
        clock.advance(minutes=20)
        assert key_of(signed(ring)) == new

    def test_key_is_handed_on_by_itself_after_ninety_days(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        first = key_of(signed(ring))
        clock.advance(days=ROTATED_AFTER.days)
        assert key_of(signed(ring)) == first and len(kids(ring)) == 1
        clock.advance(seconds=1)
        assert key_of(signed(ring)) == first
        assert len(kids(ring)) == 2
        other = new_ring()
        assert key_of(signed(other)) == first and len(kids(other)) == 2  # one new key, whoever signs
        clock.advance(seconds=SHOWN_BEFORE.total_seconds())
        second = key_of(signed(ring))
        assert second != first
        assert key_of(signed(other)) == second
        assert other.verify(signed(ring))

    def test_two_who_hand_on_at_the_same_time_make_one_key(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        signed(ring)
        clock.advance(days=91)
        other = new_ring()
        assert len(kids(other)) == len(kids(ring)) == 1  # both have a fresh copy, and it is old
        signed(ring)
        signed(other)
        assert kids(new_ring()) == kids(ring) == kids(other)
        assert len(kids(ring)) == 2

    def test_two_operators_who_both_want_a_new_key_get_two(self, ring: KeyRing, new_ring: NewRing) -> None:
        signed(ring)
        other = new_ring()
        kids(other)
        assert ring.rotate().kid != other.rotate().kid
        assert len(kids(other)) == 3


class TestForgetting:
    def test_what_it_signed_is_refused_once_copies_are_renewed(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        token = signed(ring)
        verifier = new_ring()
        assert verifier.verify(token)
        ring.rotate(at_once=True)
        ring.forget(key_of(token))
        with pytest.raises(UnknownKey):
            ring.verify(token)
        assert verifier.verify(token)
        clock.advance(minutes=15)
        with pytest.raises(UnknownKey):
            verifier.verify(token)

    def test_with_the_only_key_gone_the_next_token_has_a_new_one(self, ring: KeyRing) -> None:
        token = signed(ring)
        ring.forget(key_of(token))
        assert key_of(signed(ring)) != key_of(token)

    def test_key_that_is_not_there_is_said_not_to_be(self, ring: KeyRing) -> None:
        token = signed(ring)
        with pytest.raises(KeyError):
            ring.forget("of-nobody")
        assert ring.verify(token)


class TestCalls:
    """What verifying costs (AUTH-01: it is on the way of every booking)."""

    def test_verifying_costs_nothing_while_the_copy_is_good(
        self, ring: KeyRing, clock: Clock, identities: MemoryIdentities
    ) -> None:
        token = signed(ring)
        before = identities.calls
        for _ in range(20):
            clock.advance(seconds=44)
            ring.verify(token)
        signed(ring)
        assert identities.calls == before
        clock.advance(seconds=20)
        ring.verify(token)
        ring.verify(token)
        assert identities.calls == before + 1

    def test_unknown_keys_cost_one_read_in_ten_seconds(
        self, ring: KeyRing, clock: Clock, identities: MemoryIdentities
    ) -> None:
        good = signed(ring)
        before = identities.calls
        for second in range(61):
            for number in range(20):
                stranger = f"{encoded({'alg': 'RS256', 'kid': f'{second}-{number}'})}.{encoded({})}.x"
                with pytest.raises(UnknownKey):
                    ring.verify(stranger)
            clock.advance(seconds=1)
        assert identities.calls - before <= 7
        assert ring.verify(good)

    def test_what_cannot_be_a_token_costs_nothing(self, ring: KeyRing, identities: MemoryIdentities) -> None:
        signed(ring)
        before = identities.calls
        for token in ("", "a.b.c", f"{encoded({'alg': 'none', 'kid': 'x'})}.{encoded({})}."):
            with pytest.raises(InvalidAuthorizationDetailsError):
                ring.verify(token)
        assert identities.calls == before

    def test_key_that_another_process_made_at_once_is_found(
        self, ring: KeyRing, new_ring: NewRing, clock: Clock
    ) -> None:
        other = new_ring()
        assert kids(other)
        ring.rotate(at_once=True)
        token = signed(ring)
        clock.advance(seconds=10)
        assert other.verify(token)

    def test_sealed_key_is_opened_once(self, clock: Clock, identities: MemoryIdentities) -> None:
        """Each time is a call of KMS."""
        opened: list[str] = []

        class Vault(OpenVault):
            def unseal(self, sealed: str) -> bytes:
                opened.append(sealed)
                return super().unseal(sealed)

        ring = KeyRing(
            Register(identities), Vault(), clock, sequential_ids(), timedelta(minutes=15), AT_ONCE, quick_key
        )
        for _ in range(5):
            signed(ring)
        assert len(opened) == 1


def test_a_foreign_key_of_the_same_id_signs_nothing_of_ours(ring: KeyRing) -> None:
    from chalicelib.identity.tokens import Signer

    kid = key_of(signed(ring))
    with pytest.raises(InvalidAuthorizationDetailsError):
        ring.verify(Signer(kid, foreign_key()[1]).sign({"sub": "x"}, ACCESS_TOKEN))


def test_no_keys_sign_nothing(clock: Clock) -> None:
    assert SigningKeys().signing(clock.now) is None
