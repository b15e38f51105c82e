"""Whatever the claims of a signed token are, it is read or refused (AUTH-11), and never an error of ours.

Nobody but us can sign our tokens; another issuer's tokens hold what that issuer writes.
"""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import RSAKey

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.callers import Caller
from chalicelib.identity.claims import CLIENT_ID, SELLER_ID
from chalicelib.identity.issuers import ExternalTokens
from chalicelib.identity.tokens import LEEWAY_SECONDS, check_claims
from tests.support.builders import NOW, Clock
from tests.support.tokens import Provider, foreign_key, quick_key
from tests.support.world import API, BASE_URL, Broker, World

API_URL = f"{BASE_URL}{API}"
SECONDS = int(NOW.timestamp())
LAST_SECOND = 253402300799

GOOD = {"exp": SECONDS + 900, "aud": API_URL, "client_id": "broker", "scope": "openactive-ordersfeed"}

HUGE = st.integers(min_value=300, max_value=4299).map(lambda digits: 10**digits)
NUMBERS = st.one_of(
    st.integers(),
    HUGE,
    HUGE.map(lambda number: -number),
    st.floats(),
    st.integers(SECONDS - 100_000, SECONDS + 100_000),
    st.sampled_from([0, -1, 10**400, -(10**400), 2**63, math.nan, math.inf, -math.inf, 1e308, True, False]),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "scope", "client_id", "", CLIENT_ID, SELLER_ID]
)


def is_instant(value: Any) -> bool:
    """Whether it can be the instant of a claim: a finite number of seconds from 1970 to the year 9999."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value <= LAST_SECOND


@given(NUMBERS | ANYTHING)
def test_end_of_a_token_is_an_instant_to_come(value: Any) -> None:
    assert accepts({"exp": value}) is (is_instant(value) and value > SECONDS - LEEWAY_SECONDS)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@given(value=NUMBERS | ANYTHING)
def test_beginning_of_a_token_is_an_instant_that_has_passed(claim: str, value: Any) -> None:
    good = is_instant(value) and value <= SECONDS + LEEWAY_SECONDS
    assert accepts({"exp": SECONDS + 900, claim: value}) is good


def accepts(claims: dict[str, Any]) -> bool:
    try:
        check_claims(claims, NOW)
    except InvalidAuthorizationDetailsError:
        return False
    return True


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@settings(deadline=None)
@given(changes=st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=4))
def test_any_claims_are_read_or_refused(provider: Provider, changes: dict[str, Any]) -> None:
    reader = ExternalTokens(provider.issuer, API_URL, Clock(), provider.fetch)
    try:
        caller = reader.caller(provider.token(GOOD | changes), BASE_URL)
    except InvalidAuthorizationDetailsError:
        return
    assert isinstance(caller, Caller)


DEEP = 100_000


@pytest.mark.parametrize(
    "content",
    [
        b'{"exp":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"exp":' + b"9" * 5000 + b"}",
        b'{"exp":1' + b"0" * 400 + b"}",
        b'{"exp":1e999}',
        b'{"exp":-1e999}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
    ],
    ids=lambda content: content[:10].decode(),
)
def test_content_that_python_reads_with_trouble_is_refused(provider: Provider, content: bytes) -> None:
    """401, as for any other bad token; never 500."""
    jwk, pem = foreign_key(1)
    header = {"alg": "RS256", "kid": jwk["kid"]}
    token = jws.serialize_compact(header, content, RSAKey.import_key(pem), ["RS256"])
    with pytest.raises(InvalidAuthorizationDetailsError):
        ExternalTokens(provider.issuer, API_URL, Clock(), provider.fetch).caller(token, BASE_URL)


@pytest.mark.parametrize(
    "exp",
    [10**400, -(10**400), math.nan, math.inf, "9999999999", True, None, -1, []],
    ids=lambda exp: f"{exp!r:.12}",
)
def test_odd_end_of_a_token_is_401_at_the_api(world: World, exp: Any) -> None:
    world.set(authentication="openid")
    keys = world.system.keys
    keys.make_key = quick_key
    claims = {
        "iss": f"{BASE_URL}/auth",
        "aud": API_URL,
        "scope": "openactive-ordersfeed",
        CLIENT_ID: "broker",
        "exp": SECONDS + 900,
    }
    for changes, status in (({}, 200), ({"exp": exp}, 401), ({"iat": 10**400}, 401), ({"nbf": "now"}, 401)):
        token = keys.signer().sign(claims | changes, "at+jwt")
        headers = {"Authorization": f"Bearer {token}"}
        answer = Broker(world, None, None).send("GET", f"{API}/orders-rpde", headers=headers)
        assert answer.status == status, answer.body


def test_last_second_is_that_of_the_year_9999() -> None:
    assert datetime.fromtimestamp(LAST_SECOND, UTC).year == 9999
    assert accepts({"exp": LAST_SECOND})
    assert not accepts({"exp": LAST_SECOND + 1})
