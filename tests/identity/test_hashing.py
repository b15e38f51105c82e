"""What is kept in place of a secret says nothing of it, and is enough to know it again."""

import hashlib
from base64 import b64decode

import pytest

from chalicelib.identity.hashing import digest, new_secret, same
from chalicelib.identity.passwords import Passwords

CHEAP = Passwords(log2_n=4, r=1, p=1)


def test_password_is_known_again_and_no_other() -> None:
    hashed = CHEAP.hash("correct horse")
    assert CHEAP.check("correct horse", hashed)
    for wrong in ("correct hors", "Correct horse", "", "correct horse ", hashed):
        assert not CHEAP.check(wrong, hashed)


def test_same_password_has_another_hash_each_time() -> None:
    first, second = CHEAP.hash("x"), CHEAP.hash("x")
    assert first != second
    assert CHEAP.check("x", first) and CHEAP.check("x", second)


def test_costs_stand_in_the_hash_so_that_they_can_be_raised() -> None:
    old = CHEAP.hash("x")
    raised = Passwords(log2_n=6, r=2, p=2)
    assert raised.check("x", old)
    assert raised.hash("x").startswith("scrypt$6$2$2$")
    assert CHEAP.check("x", raised.hash("x"))


def test_costs_are_those_of_owasp() -> None:
    """N=2^15, r=8, p=3 is one of the settings of OWASP's password storage cheat sheet."""
    usual = Passwords()
    assert (usual.log2_n, usual.r, usual.p) == (15, 8, 3)
    hashed = usual.hash("x")
    assert usual.check("x", hashed) and not usual.check("y", hashed)


def test_unknown_login_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who measures learns nothing of which user names there are."""
    made: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counting(password: bytes, *, salt: bytes, n: int, r: int, p: int, maxmem: int, dklen: int) -> bytes:
        made.append((n, r, p))
        return scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=dklen)

    hashed = CHEAP.hash("x")
    monkeypatch.setattr(hashlib, "scrypt", counting)
    assert not CHEAP.check("y", hashed)
    assert not CHEAP.check("y", None)
    assert made[0] == made[1]


@pytest.mark.parametrize("password", ["", "\x00", "é" * 200, "🚣" * 1000, "x" * 100_000])
def test_any_text_can_be_a_password(password: str) -> None:
    assert CHEAP.check(password, CHEAP.hash(password))


def test_secrets_are_random_and_fit_a_url() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert len(b64decode(secret + "=", altchars=b"-_", validate=True)) == 32


def test_digest_is_sha256() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert same(digest("a"), digest("a")) and not same(digest("a"), digest("b"))


def test_what_is_not_ascii_is_compared_too() -> None:
    assert not same("é", "e") and same("é", "é")
