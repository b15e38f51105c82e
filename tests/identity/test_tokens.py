"""An access token is what we have signed for this API and this hour, and nothing else is (AUTH-11)."""

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.callers import Caller
from chalicelib.identity.claims import CLIENT_ID, SELLER_ID
from chalicelib.identity.issuers import OwnTokens
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.scopes import BOOKING
from chalicelib.identity.sign_in import Ticket, write_ticket
from chalicelib.identity.tokens import ACCESS_TOKEN, ID_TOKEN, LEEWAY_SECONDS, Keys, UnknownKey, make_key
from tests.support.builders import Clock
from tests.support.tokens import (
    encoded,
    foreign_key,
    signed_by_another,
    signed_with_public_key,
    unsigned,
    with_claims,
    with_header,
    with_signature_changed,
)

BASE_URL = "https://booking.example"
SELLER = f"{BASE_URL}/api/identifiers/sellers/1"

Write = Callable[..., str]


@pytest.fixture
def write(ring: KeyRing, clock: Clock) -> Write:
    """A token of ours that is good, but for what is changed; `...` leaves a claim out."""

    def written(kind: str = ACCESS_TOKEN, **changes: Any) -> str:
        now = int(clock.now.timestamp())
        claims = {
            "iss": f"{BASE_URL}/auth",
            "aud": f"{BASE_URL}/api/openbooking",
            "sub": SELLER,
            "scope": f"openid {BOOKING}",
            "iat": now,
            "exp": now + 900,
            CLIENT_ID: "partner-1",
            SELLER_ID: SELLER,
        } | changes
        return ring.signer().sign({name: each for name, each in claims.items() if each is not ...}, kind)

    return written


@pytest.fixture
def read(ring: KeyRing, clock: Clock) -> Callable[[str], Caller]:
    reader = OwnTokens(ring, clock)
    return lambda token: reader.caller(token, BASE_URL)


def test_good_token_tells_partner_seller_and_scopes(write: Write, read: Callable[[str], Caller]) -> None:
    """AUTH-08, AUTH-09."""
    assert read(write()) == Caller("partner-1", SELLER, frozenset({"openid", BOOKING}))


def test_audience_may_be_one_of_several(write: Write, read: Callable[[str], Caller]) -> None:
    """RFC 7519, section 4.1.3."""
    assert read(write(aud=["https://a.example", f"{BASE_URL}/api/openbooking"])).partner_id == "partner-1"


FORGED: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "another seller": lambda token, key: with_claims(token, **{SELLER_ID: f"{SELLER}2"}),
    "a later end": lambda token, key: with_claims(token, exp=10**10),
    "another signature": lambda token, key: with_signature_changed(token),
    "no signature": lambda token, key: token.rpartition(".")[0] + ".",
    "another's key": lambda token, key: signed_by_another(token),
    "alg none": lambda token, key: unsigned(token),
    "alg None": lambda token, key: unsigned(token, "None"),
    "alg none, but the signature": lambda token, key: with_header(token, alg="none"),
    "HS256 with the public key": signed_with_public_key,
    "RS512 in the header": lambda token, key: with_header(token, alg="RS512"),
    "no alg": lambda token, key: with_header(token, alg=...),
    "alg a list": lambda token, key: with_header(token, alg=["RS256"]),
    "unknown kid": lambda token, key: with_header(token, kid="of-nobody"),
    "no kid": lambda token, key: with_header(token, kid=...),
    "kid a list": lambda token, key: with_header(token, kid=[key["kid"]]),
    "kid null": lambda token, key: with_header(token, kid=None),
    "a key of its own": lambda token, key: with_header(signed_by_another(token), jwk=foreign_key()[0]),
    "critical": lambda token, key: with_header(token, crit=["b64"], b64=False),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_forged_token_is_refused(
    write: Write,
    read: Callable[[str], Caller],
    ring: KeyRing,
    forge: Callable[[str, dict[str, Any]], str],
) -> None:
    good = write()
    forged = forge(good, ring.public()[0])
    assert forged != good and read(good)
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(forged)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "....",
        "x",
        "a.b.c",
        "a.b",
        "\x00.\x00.\x00",
        "é.é.é",
        f"{encoded([])}.{encoded({})}.x",
        f"{encoded('null')}.{encoded({})}.x",
        f"{encoded({'alg': 'RS256'})}.{encoded({})}.x",
        f"{encoded(b'{' + bytes([255]))}.{encoded({})}.x",
        f"{encoded(b'[' * 100_000)}.{encoded({})}.x",
        f"{encoded({'alg': 'RS256', 'kid': 'x' * 1_000_000})}.{encoded({})}.x",
        "x" * 5_000_000,
    ],
    ids=lambda token: f"{token[:12]!r}, {len(token)} long",
)
def test_garbage_is_refused(read: Callable[[str], Caller], token: str) -> None:
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(token)


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"null", b"{", b"\xff", b""])
def test_signed_claims_that_are_no_object_are_refused(
    ring: KeyRing, read: Callable[[str], Caller], content: bytes
) -> None:
    """Nobody but us could make one; it is no caller all the same."""
    signer = ring.signer()
    header = {"alg": "RS256", "kid": signer.kid, "typ": ACCESS_TOKEN}
    token = jws.serialize_compact(header, content, RSAKey.import_key(signer.pem), ["RS256"])
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example/auth"},
        {"iss": BASE_URL},
        {"iss": ...},
        {"aud": "https://other.example/api/openbooking"},
        {"aud": ["https://other.example/api/openbooking"]},
        {"aud": []},
        {"aud": {f"{BASE_URL}/api/openbooking": 1}},
        {"aud": f"{BASE_URL}/api/openbooking/more"},
        {"aud": ...},
        {"exp": ...},
        {"exp": None},
        {"exp": True},
        {"exp": "9999999999"},
        {"exp": [9999999999]},
        {"exp": float("nan")},
        {"nbf": float("nan")},
        {"nbf": "0"},
        {"nbf": None},
        {CLIENT_ID: ...},
        {CLIENT_ID: 7},
        {CLIENT_ID: "a#b"},
        {CLIENT_ID: ""},
    ],
    ids=str,
)
def test_token_that_says_something_else_is_refused(
    write: Write, read: Callable[[str], Caller], changes: dict[str, Any]
) -> None:
    """AUTH-11: other issuer, other audience, no end."""
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(write(**changes))


@pytest.mark.parametrize("kind", [ID_TOKEN, "sign-in+jwt", "", "AT+JWT2"])
def test_token_of_another_kind_is_no_access_token(
    write: Write, read: Callable[[str], Caller], kind: str
) -> None:
    """RFC 9068, section 4: neither an ID token nor a ticket, even if they said all the same."""
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(write(kind))


def test_kind_is_told_in_any_case(write: Write, read: Callable[[str], Caller]) -> None:
    assert read(write("AT+JWT"))


def test_ticket_of_a_sign_in_is_no_access_token(
    ring: KeyRing, clock: Clock, read: Callable[[str], Caller]
) -> None:
    with pytest.raises(InvalidAuthorizationDetailsError):
        read(write_ticket(Ticket({"client_id": "partner-1"}, "alex"), "browser", ring, clock.now))


@pytest.mark.parametrize(
    ("after", "good"), [(0, True), (899, True), (929, True), (930, False), (10**6, False)]
)
def test_token_ends(
    write: Write, read: Callable[[str], Caller], clock: Clock, after: int, good: bool
) -> None:
    """AUTH-08: a quarter of an hour, and half a minute for clocks that differ."""
    token = write()
    clock.advance(seconds=after)
    if good:
        assert read(token)
    else:
        with pytest.raises(InvalidAuthorizationDetailsError):
            read(token)


@pytest.mark.parametrize(("begins", "good"), [(0, True), (LEEWAY_SECONDS, True), (LEEWAY_SECONDS + 1, False)])
def test_token_begins(
    write: Write, read: Callable[[str], Caller], clock: Clock, begins: int, good: bool
) -> None:
    token = write(nbf=int(clock.now.timestamp()) + begins)
    if good:
        assert read(token)
    else:
        with pytest.raises(InvalidAuthorizationDetailsError):
            read(token)


def test_same_token_is_no_good_where_we_are_reached_by_another_name(
    ring: KeyRing, clock: Clock, write: Write
) -> None:
    """Two installations behind one set of keys are two audiences."""
    with pytest.raises(InvalidAuthorizationDetailsError):
        OwnTokens(ring, clock).caller(write(), "https://other.example")


@pytest.mark.parametrize("seller", [..., "", 7, None, [SELLER]])
def test_token_that_names_no_seller_acts_for_none(
    write: Write, read: Callable[[str], Caller], seller: Any
) -> None:
    """AUTH-06."""
    assert read(write(**{SELLER_ID: seller})).seller_id is None


@pytest.mark.parametrize("scope", [..., None, 7, {}, ""])
def test_token_without_scopes_allows_nothing(write: Write, read: Callable[[str], Caller], scope: Any) -> None:
    caller = read(write(scope=scope))
    assert caller.scopes == frozenset()
    with pytest.raises(InvalidAuthorizationDetailsError):
        caller.authorised_seller()


class TestKeys:
    """A set of public keys as issuers publish them."""

    def test_keys_of_other_kinds_and_uses_are_passed_over(self) -> None:
        jwk, _ = foreign_key(1)
        others = [{"kty": "EC", "kid": "e"}, jwk | {"use": "enc"}, {"kty": "oct", "k": "AAAA", "kid": "o"}]
        with pytest.raises(UnknownKey):
            Keys(others).read(f"{encoded({'alg': 'RS256', 'kid': jwk['kid']})}.{encoded({})}.x")

    def test_public_half_is_all_that_is_shown(self) -> None:
        public, private = make_key("k")
        assert set(public) == {"kty", "kid", "use", "alg", "n", "e"}
        assert b"PRIVATE KEY" in private
