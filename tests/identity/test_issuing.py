"""What our own tokens say (AUTH-08, AUTH-09)."""

import pytest

from chalicelib.runtime.system import System
from tests.support.builders import Clock
from tests.support.tokens import parts
from tests.support.world import BASE_URL, World, outer, seller_id

SELLER = seller_id(1)


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


def test_access_token_says_what_it_must(system: System, clock: Clock) -> None:
    """AUTH-08, AUTH-09, RFC 9068."""
    header, claims, _ = parts(system.issuer.access_token(BASE_URL, "p", SELLER, ("openid",)))
    now = int(clock.now.timestamp())
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": header["kid"]}
    assert claims.pop("jti")
    assert claims == {
        "iss": f"{BASE_URL}/auth",
        "aud": f"{BASE_URL}/api/openbooking",
        "sub": outer(SELLER),
        "client_id": "p",
        "scope": "openid",
        "iat": now,
        "exp": now + 900,
        "https://openactive.io/clientId": "p",
        "https://openactive.io/sellerId": outer(SELLER),
    }


def test_without_a_seller_it_names_none(system: System) -> None:
    claims = parts(system.issuer.access_token(BASE_URL, "p", None, ()))[1]
    assert "https://openactive.io/sellerId" not in claims and claims["sub"] == "p"


def test_seller_is_told_only_where_that_was_asked_for(world: World, system: System) -> None:
    """AUTH-09."""
    world.sell(1, url="https://kings.example", logo={"url": "https://kings.example/logo.png"})
    service = {"name": "Open Booking", "url": "https://service.example"}
    ids = {"sub": outer(SELLER), "https://openactive.io/sellerId": outer(SELLER)}
    assert system.issuer.seller_claims(BASE_URL, SELLER, ("openid",), service) == ids
    told = system.issuer.seller_claims(BASE_URL, SELLER, ("openactive-identity",), service)
    assert told == ids | {
        "https://openactive.io/sellerName": "Kings Mead",
        "https://openactive.io/sellerUrl": "https://kings.example",
        "https://openactive.io/sellerLogo": "https://kings.example/logo.png",
        "https://openactive.io/bookingServiceName": "Open Booking",
        "https://openactive.io/bookingServiceUrl": "https://service.example",
    }
