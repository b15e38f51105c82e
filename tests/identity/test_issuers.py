"""Tokens of somebody else's provider: Cognito, Auth0 and Keycloak have each their own way to say the same."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidAuthorizationDetailsError, TemporarilyUnavailableError
from chalicelib.identity.callers import Caller
from chalicelib.identity.claims import SELLER_ID
from chalicelib.identity.issuers import ExternalTokens
from chalicelib.identity.scopes import BOOKING, ORDERS_FEED
from chalicelib.identity.tokens import Signer
from tests.support.builders import Clock
from tests.support.tokens import Provider, encoded, foreign_key, unsigned, with_claims

API = "https://booking.example/api/openbooking"
SELLER = "https://booking.example/api/identifiers/sellers/1"

Tokens = Callable[..., ExternalTokens]


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def tokens(provider: Provider, clock: Clock) -> Tokens:
    return lambda **settings: ExternalTokens(
        provider.issuer, settings.pop("audience", API), clock, provider.fetch, **settings
    )


def claims(clock: Clock, **more: Any) -> dict[str, Any]:
    now = int(clock.now.timestamp())
    whole = {"iat": now, "exp": now + 900, "aud": API, "client_id": "broker", SELLER_ID: SELLER} | more
    return {name: value for name, value in whole.items() if value is not ...}


def read(reader: ExternalTokens, token: str) -> Caller:
    return reader.caller(token, "https://booking.example")


class TestClaims:
    """Each provider's own access tokens, as their documentation shows them."""

    def test_cognito(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        """No `aud`; scopes have the name of the resource server before them."""
        reader = tokens(audience="access", audience_claim="token_use", seller_claim="custom:seller")
        said = {"aud": ..., SELLER_ID: ..., "token_use": "access", "custom:seller": SELLER}
        scope = f"booking.example/{BOOKING} {API}/{ORDERS_FEED}"
        caller = read(reader, provider.token(claims(clock, **said, scope=scope)))
        assert caller == Caller("broker", SELLER, frozenset({BOOKING, ORDERS_FEED}))
        with pytest.raises(InvalidAuthorizationDetailsError):  # its ID tokens say `id`
            read(reader, provider.token(claims(clock, **said | {"token_use": "id"}, scope=scope)))

    def test_auth0(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        """The partner is `azp`; `aud` also names the userinfo endpoint."""
        reader = tokens(client_claim="azp")
        said = {"client_id": ..., "azp": "broker", "aud": [API, f"{provider.issuer}/userinfo"]}
        caller = read(reader, provider.token(claims(clock, **said, scope=f"openid {BOOKING}"), typ="at+jwt"))
        assert caller == Caller("broker", SELLER, frozenset({"openid", BOOKING}))

    def test_keycloak(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        reader = tokens(client_claim="azp", seller_claim="seller")
        said = {"client_id": ..., SELLER_ID: ..., "azp": "broker", "seller": SELLER, "typ": "Bearer"}
        caller = read(
            reader, provider.token(claims(clock, **said, aud=["account", API], scope=f"profile {BOOKING}"))
        )
        assert caller == Caller("broker", SELLER, frozenset({"profile", BOOKING}))

    def test_scopes_may_be_a_list(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        """Azure and Okta: `scp`."""
        token = provider.token(claims(clock, scp=[BOOKING, ORDERS_FEED]))
        assert read(tokens(scope_claim="scp"), token).scopes == {BOOKING, ORDERS_FEED}

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://login.example/other"},
            {"iss": "https://login.example/pool/"},
            {"iss": ...},
            {"aud": "https://other.example"},
            {"aud": ["https://other.example"]},
            {"aud": ...},
            {"exp": ...},
            {"exp": 1},
            {"nbf": 10**10},
            {"client_id": ...},
            {"client_id": ["broker"]},
            {"client_id": "a#b"},
        ],
        ids=str,
    )
    def test_what_says_something_else_is_refused(
        self, provider: Provider, tokens: Tokens, clock: Clock, changes: dict[str, Any]
    ) -> None:
        """AUTH-11."""
        jwk, pem = foreign_key(1)
        token = Signer(jwk["kid"], pem).sign(claims(clock, **{"iss": provider.issuer} | changes), "JWT")
        with pytest.raises(InvalidAuthorizationDetailsError):
            read(tokens(), token)

    def test_forged_ones_are_refused(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        good = provider.token(claims(clock))
        reader = tokens()
        assert read(reader, good)
        imitated = Signer("foreign-1", foreign_key(2)[1]).sign(
            {"iss": provider.issuer, **claims(clock)}, "JWT"
        )
        for forged in (unsigned(good), with_claims(good, client_id="other"), imitated, "x", ""):
            with pytest.raises(InvalidAuthorizationDetailsError):
                read(reader, forged)


class TestKeys:
    def test_are_fetched_once_an_hour(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        reader = tokens()
        for _ in range(3):
            token = provider.token(claims(clock))
            assert all(read(reader, token) for _ in range(20))
            clock.advance(minutes=19, seconds=59)
        assert len(provider.fetched) == 2
        clock.advance(minutes=1)
        assert read(reader, provider.token(claims(clock)))
        assert len(provider.fetched) == 4

    def test_new_key_of_the_provider_is_found(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        reader = tokens()
        assert read(reader, provider.token(claims(clock)))
        provider.keys = [foreign_key(2)[0]]
        with pytest.raises(InvalidAuthorizationDetailsError):  # it has only just been looked
            read(reader, provider.token(claims(clock), key=2))
        clock.advance(seconds=10)
        assert read(reader, provider.token(claims(clock), key=2))
        with pytest.raises(InvalidAuthorizationDetailsError):  # and the one that was put away is no good
            read(reader, provider.token(claims(clock)))

    def test_unknown_keys_cost_one_look_in_ten_seconds(
        self, provider: Provider, tokens: Tokens, clock: Clock
    ) -> None:
        """Who sends rubbish cannot make us a burden to the provider."""
        reader = tokens()
        read(reader, provider.token(claims(clock)))
        provider.fetched.clear()
        for number in range(1000):
            with pytest.raises(InvalidAuthorizationDetailsError):
                read(reader, f"{encoded({'alg': 'RS256', 'kid': str(number)})}.{encoded({})}.x")
            clock.advance(seconds=0.03)
        assert len(provider.fetched) <= 8

    def test_copy_goes_on_being_used_while_the_provider_is_down(
        self, provider: Provider, tokens: Tokens, clock: Clock
    ) -> None:
        reader = tokens()
        read(reader, provider.token(claims(clock)))
        provider.down = True
        provider.fetched.clear()
        for _ in range(3):
            clock.advance(hours=2)
            token = provider.token(claims(clock))
            assert all(read(reader, token) for _ in range(20))
        assert len(provider.fetched) == 3  # it is asked again, but not by every request

    def test_without_a_copy_nobody_can_be_told_apart_for_now(
        self, provider: Provider, tokens: Tokens, clock: Clock
    ) -> None:
        """503, which passes; not 401, upon which a partner would throw its token away."""
        provider.down = True
        reader = tokens()
        with pytest.raises(TemporarilyUnavailableError) as error:
            read(reader, provider.token(claims(clock)))
        assert error.value.status == 503
        provider.down = False
        clock.advance(seconds=10)
        assert read(reader, provider.token(claims(clock)))

    @pytest.mark.parametrize(
        "said",
        [
            {"issuer": "https://evil.example"},
            {"issuer": "https://login.example/pool/"},
            {"issuer": None},
            {"jwks_uri": None},
            {"jwks_uri": 7},
            {"jwks_uri": "https://login.example/elsewhere"},
        ],
        ids=str,
    )
    def test_discovery_that_is_not_the_issuers_is_not_believed(
        self, provider: Provider, tokens: Tokens, clock: Clock, said: dict[str, Any]
    ) -> None:
        """OpenID Connect Discovery 1.0, section 4.3."""
        provider.says = said
        with pytest.raises(TemporarilyUnavailableError):
            read(tokens(), provider.token(claims(clock)))

    @pytest.mark.parametrize(
        "keys",
        [
            None,
            "text",
            ["text"],
            [None],
            [{"kty": "RSA", "kid": "foreign-1"}],
            [{"kty": "RSA", "n": 1, "e": 2}],
        ],
        ids=str,
    )
    def test_keys_that_cannot_be_read_are_no_fault_of_ours(
        self, provider: Provider, tokens: Tokens, clock: Clock, keys: Any
    ) -> None:
        provider.keys = keys
        with pytest.raises((TemporarilyUnavailableError, InvalidAuthorizationDetailsError)):
            read(tokens(), provider.token(claims(clock)))

    def test_one_bad_key_does_not_spoil_the_others(
        self, provider: Provider, tokens: Tokens, clock: Clock
    ) -> None:
        provider.keys = [{"kty": "RSA", "kid": "bad"}, foreign_key(1)[0], {"kty": "EC", "kid": "ec"}]
        assert read(tokens(), provider.token(claims(clock)))

    def test_bad_answer_does_not_replace_a_good_copy(
        self, provider: Provider, tokens: Tokens, clock: Clock
    ) -> None:
        reader = tokens()
        read(reader, provider.token(claims(clock)))
        provider.says = {"issuer": "https://evil.example"}
        clock.advance(hours=2)
        assert read(reader, provider.token(claims(clock)))

    @pytest.mark.parametrize(
        "changes",
        [{"n": encoded(b"\x80" * 128)}, {"n": encoded(b"\x80" * 1025)}, {"e": encoded(b"\x80" * 64)}],
        ids=["short", "long", "slow"],
    )
    def test_keys_that_are_not_safe_or_not_quick_sign_nothing(
        self, provider: Provider, tokens: Tokens, clock: Clock, changes: dict[str, str]
    ) -> None:
        """RFC 7518, section 3.3: 2048 bits or more."""
        provider.keys = [foreign_key(1)[0] | changes]
        with pytest.raises(InvalidAuthorizationDetailsError, match="another issuer"):
            read(tokens(), provider.token(claims(clock)))

    def test_keys_for_encryption_sign_nothing(self, provider: Provider, tokens: Tokens, clock: Clock) -> None:
        provider.keys = [foreign_key(1)[0] | {"use": "enc"}]
        with pytest.raises(InvalidAuthorizationDetailsError):
            read(tokens(), provider.token(claims(clock)))
