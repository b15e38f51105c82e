"""Who calls, and for whom they may act."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import (
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    NoAPITokenError,
    OpenBookingError,
    SellerNotFoundError,
    UnauthenticatedError,
)
from chalicelib.identity.callers import ApiKeys, BearerTokens, Caller, DevelopmentHeaders, Ways, make_api_key
from chalicelib.identity.entries import ApiKey, Authorisation, Partner, SellerStanding
from chalicelib.identity.hashing import digest
from chalicelib.identity.register import Register
from chalicelib.values import replace
from tests.support.builders import NOW, SELLER_ID, Clock
from tests.support.memory import MemoryIdentities

CLIENT, SELLER = "x-openactive-test-client-id", "x-openactive-test-seller-id"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({CLIENT: "partner-1", SELLER: SELLER_ID}, Caller("partner-1", SELLER_ID)),
        ({CLIENT: "partner-1"}, Caller("partner-1")),
        ({CLIENT: "partner-1", SELLER: ""}, Caller("partner-1")),
        ({CLIENT: "7a.b_c~d"}, Caller("7a.b_c~d")),
    ],
)
def test_development_headers_are_believed(headers: dict[str, str], expected: Caller) -> None:
    """AUTH-10, for development."""
    assert Ways([DevelopmentHeaders()]).caller(headers, "") == expected


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, UnauthenticatedError),
        ({SELLER: SELLER_ID}, UnauthenticatedError),
        ({CLIENT: ""}, UnauthenticatedError),
        ({"authorization": "Bearer x"}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a#b"}, InvalidAuthorizationDetailsError),  # an id that would leave its part of a key
        ({CLIENT: "a/b"}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a" * 101}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a\n"}, InvalidAuthorizationDetailsError),
    ],
)
def test_others_are_refused(headers: dict[str, str], error: type[OpenBookingError]) -> None:
    """AUTH-11."""
    with pytest.raises(error):
        Ways([DevelopmentHeaders()]).caller(headers, "")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, UnauthenticatedError),
        ({CLIENT: "partner-1", SELLER: SELLER_ID}, UnauthenticatedError),
        ({"authorization": "Bearer x"}, InvalidAuthorizationDetailsError),
    ],
)
def test_without_development_headers_everybody_is_refused(
    headers: dict[str, str], error: type[OpenBookingError]
) -> None:
    """AUTH-01, AUTH-11."""
    with pytest.raises(error):
        Ways([]).caller(headers, "")


@pytest.mark.parametrize(
    ("authorised", "named", "error"),
    [
        (SELLER_ID, SELLER_ID, None),
        (SELLER_ID, "https://a.example/sellers/2", InvalidAuthorizationDetailsError),  # AUTH-12
        (None, SELLER_ID, InvalidAuthorizationDetailsError),  # AUTH-06
        (SELLER_ID, None, SellerNotFoundError),
    ],
)
def test_caller_acts_for_its_seller_only(
    authorised: Any, named: Any, error: type[OpenBookingError] | None
) -> None:
    """AUTH-06, AUTH-12."""
    caller = Caller("partner-1", authorised)
    if error is None:
        assert caller.acting_for(named) == named
    else:
        with pytest.raises(error):
            caller.acting_for(named)


def test_caller_without_a_seller_may_not_touch_an_order() -> None:
    """AUTH-06."""
    with pytest.raises(InvalidAuthorizationDetailsError):
        Caller("partner-1").authorised_seller()


class Reader:
    """Takes one token."""

    def __init__(self, token: str, caller: Caller) -> None:
        self.token, self._caller = token, caller

    def caller(self, token: str, base_url: str) -> Caller:
        if token != self.token:
            raise InvalidAuthorizationDetailsError(f"That is not {self.token}.")
        return self._caller


class TestBearerTokens:
    ours, theirs = Caller("ours", SELLER_ID), Caller("theirs", SELLER_ID)
    way = BearerTokens([Reader("a", ours), Reader("b", theirs)])

    def test_token_of_any_issuer_is_taken(self) -> None:
        """AUTHENTICATION may name `openid` and `issuer`."""
        assert self.way.identify({"authorization": "Bearer a"}, "") == self.ours
        assert self.way.identify({"authorization": "bearer  b "}, "") == self.theirs

    @pytest.mark.parametrize("token", ["Bearer c", "Bearer", "bearer ", "Bearer a b"])
    def test_token_of_none_is_refused(self, token: str) -> None:
        with pytest.raises(InvalidAuthorizationDetailsError, match="not a"):
            self.way.identify({"authorization": token}, "")

    @pytest.mark.parametrize("header", [None, "", "Basic a", "a", "Bearer2 a"])
    def test_other_schemes_are_no_business_of_it(self, header: str | None) -> None:
        assert self.way.identify({} if header is None else {"authorization": header}, "") is None


KEY = make_api_key("s" * 43)


class TestApiKeys:
    """AUTH-10, AUTH-11."""

    @pytest.fixture
    def register(self, identities: MemoryIdentities) -> Register:
        register = Register(identities)
        register.save(Partner("partner-1", "Broker", NOW))
        return register

    @pytest.fixture
    def keys(self, register: Register, clock: Clock) -> ApiKeys:
        register.save(ApiKey(digest(KEY), "partner-1", SELLER_ID, NOW, ends_at=NOW + timedelta(days=1)))
        return ApiKeys(register, clock)

    def test_key_stands_for_partner_and_seller(self, keys: ApiKeys) -> None:
        assert keys.identify({"x-api-key": KEY}, "") == Caller("partner-1", SELLER_ID)
        assert keys.identify({}, "") is None

    @pytest.mark.parametrize(
        ("key", "error"),
        [
            ("", NoAPITokenError),
            (KEY[:-1], InvalidAPITokenError),
            (KEY + "x", InvalidAPITokenError),
            (KEY.lower().upper(), InvalidAPITokenError),
            (make_api_key("t" * 43), InvalidAPITokenError),
            ("x", InvalidAPITokenError),
            ("é" * 50, InvalidAPITokenError),
            ("x" * 1_000_000, InvalidAPITokenError),
        ],
        ids=lambda value: str(value)[:10],
    )
    def test_other_keys_are_refused(self, keys: ApiKeys, key: str, error: type[OpenBookingError]) -> None:
        with pytest.raises(error):
            keys.identify({"x-api-key": key}, "")

    def test_what_can_be_no_key_costs_no_call(self, keys: ApiKeys, identities: MemoryIdentities) -> None:
        before = identities.calls
        for number in range(100):
            with pytest.raises(InvalidAPITokenError):
                keys.identify({"x-api-key": f"guess-{number}"}, "")
        assert identities.calls == before

    def test_key_in_use_is_looked_up_once_in_five_minutes(
        self, keys: ApiKeys, identities: MemoryIdentities, clock: Clock
    ) -> None:
        keys.identify({"x-api-key": KEY}, "")
        before = identities.calls
        for _ in range(299):
            clock.advance(seconds=1)
            keys.identify({"x-api-key": KEY}, "")
        assert identities.calls == before
        clock.advance(seconds=1)
        keys.identify({"x-api-key": KEY}, "")
        assert identities.calls > before

    def test_key_ends_when_it_says_also_while_it_is_known(self, keys: ApiKeys, clock: Clock) -> None:
        clock.advance(hours=23, minutes=59)
        assert keys.identify({"x-api-key": KEY}, "")
        clock.advance(minutes=1)
        with pytest.raises(InvalidAPITokenError):
            keys.identify({"x-api-key": KEY}, "")

    def test_removed_key_is_refused_within_five_minutes(
        self, keys: ApiKeys, register: Register, clock: Clock
    ) -> None:
        keys.identify({"x-api-key": KEY}, "")
        register.remove(ApiKey(digest(KEY), "partner-1", SELLER_ID, NOW))
        clock.advance(minutes=5)
        with pytest.raises(InvalidAPITokenError):
            keys.identify({"x-api-key": KEY}, "")

    def test_suspended_partners_key_is_refused(self, keys: ApiKeys, register: Register) -> None:
        partner = register.find(Partner, Partner.key_of("partner-1"))
        assert partner is not None
        register.save(replace(partner, suspended=True))
        with pytest.raises(InvalidAPITokenError):
            keys.identify({"x-api-key": KEY}, "")

    @pytest.mark.parametrize(
        "ended",
        [
            SellerStanding(SELLER_ID, suspended=True),
            Authorisation("a", "partner-1", SELLER_ID, (), NOW, "x", suspended=True),
            Authorisation("a", "partner-1", SELLER_ID, (), NOW, "x", revoked_at=NOW),
        ],
        ids=["seller suspended", "authorisation suspended", "authorisation revoked"],
    )
    def test_key_acts_for_no_seller_who_has_ended_it(
        self, keys: ApiKeys, register: Register, ended: Any
    ) -> None:
        """AUTH-03; the partner's own feed stays its own."""
        register.save(ended)
        assert keys.identify({"x-api-key": KEY}, "") == Caller("partner-1", None)

    def test_where_there_are_only_keys_nothing_is_a_missing_key(self, keys: ApiKeys) -> None:
        with pytest.raises(NoAPITokenError):
            Ways([keys]).caller({}, "")
        with pytest.raises(UnauthenticatedError):
            Ways([keys, DevelopmentHeaders()]).caller({}, "")
