"""Entries survive the way into the store and back, and none is found under another's key."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.identity.entries import (
    ApiKey,
    Authorisation,
    AuthorisationCode,
    Grant,
    Invitation,
    KnownBrowser,
    Login,
    Partner,
    Secret,
    SellerStanding,
    UsedTicket,
)
from chalicelib.identity.register import Register
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import replace
from tests.support.builders import NOW, SELLER_ID
from tests.support.memory import MemoryIdentities

LATER = NOW + timedelta(minutes=2)
ENTRIES: list[Any] = [
    Partner(
        "p", "Broker", NOW, (Secret("d", NOW, LATER), Secret("e", NOW)), ("https://b.example/cb",), url="u"
    ),
    Authorisation("a", "p", SELLER_ID, ("openid",), NOW, "login", suspended=True, revoked_at=LATER),
    SellerStanding(SELLER_ID, suspended=True),
    ApiKey("d", "p", None, NOW, "a note", LATER),
    Login("l", "Alex@Kings.example", "scrypt$", (SELLER_ID,), NOW),
    Invitation("d", "a note", NOW, None, None),
    AuthorisationCode("d", "p", SELLER_ID, "a", ("openid",), "https://b.example/cb", "c", None, NOW, LATER),
    Grant("g", "p", SELLER_ID, "a", ("openid",), NOW, LATER, "c", "e", LATER, NOW, "m"),
    UsedTicket("t", LATER),
    KnownBrowser("name", "browser", LATER),
]


@pytest.fixture
def register(identities: MemoryIdentities) -> Register:
    return Register(identities)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_entry_is_found_as_it_was_saved(register: Register, entry: Any) -> None:
    assert register.find(type(entry), entry.key) is None
    saved = register.save(entry)
    assert saved == replace(entry, version=1)
    assert register.find(type(entry), entry.key) == saved
    assert list(register.all(type(entry))) == [saved]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_store_is_told_when_an_entry_ends(
    register: Register, identities: MemoryIdentities, entry: Any
) -> None:
    register.save(entry)
    record = identities.get(*entry.key)
    assert record is not None and record.expires_at == entry.ends_at


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_entry_is_written_only_as_it_was_read(register: Register, entry: Any) -> None:
    saved = register.save(entry)
    with pytest.raises(RecordChanged):
        register.save(entry)
    again = register.save(saved)
    assert again.version == 2
    with pytest.raises(RecordChanged):
        register.save(saved)
    register.remove(again)
    assert register.find(type(entry), entry.key) is None
    assert register.save(entry).version == 1


def test_kinds_share_no_key() -> None:
    keys = [entry.key for entry in ENTRIES]
    assert len(set(keys)) == len(keys)
    assert all(entry.key[0].startswith(f"{entry.KIND}#") for entry in ENTRIES)


def test_user_names_differ_in_more_than_case(register: Register) -> None:
    login = register.save(ENTRIES[4])
    for written in ("alex@kings.example", "ALEX@KINGS.EXAMPLE"):
        assert register.find(Login, Login.key_of(written)) == login
    with pytest.raises(RecordChanged):
        register.save(replace(ENTRIES[4], username="ALEX@kings.example"))


def test_authorisations_are_told_by_partner(register: Register) -> None:
    given = [
        register.save(Authorisation(f"a{number}", partner, f"seller-{number}", (), NOW, "l"))
        for number, partner in enumerate(["p", "p", "p2", "p#"])
    ]
    assert register.authorisations_of("p") == given[:2]
    assert register.authorisations_of("p2") == [given[2]]
    assert register.authorisations_of("none") == []


@pytest.mark.parametrize("text", ["x" * 3000, "é" * 1100, "\ud800", "", "#", "\x00"])
def test_what_can_be_no_key_is_not_there(register: Register, text: str) -> None:
    """DynamoDB takes 2048 bytes for one and fails at more; whoever logs in or calls may send anything."""
    assert register.find(Login, Login.key_of(text)) is None
    assert register.find(Partner, Partner.key_of(text)) is None
    assert register.find(Grant, Grant.key_of(text)) is None


def test_no_entry_says_its_secret_when_it_is_shown() -> None:
    """What is kept of secrets are digests, and those of passwords are not for logs either."""
    secret = "a-secret-that-was-given-out"
    from chalicelib.identity.hashing import digest

    shown = repr(Partner("p", "Broker", NOW, (Secret(digest(secret), NOW),)))
    assert secret not in shown
