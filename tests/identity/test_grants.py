"""Codes and refresh tokens: what each stands for, and what ends it."""

from typing import Any

import pytest

from chalicelib.identity.entries import Authorisation, AuthorisationCode, Grant
from chalicelib.identity.hashing import digest
from chalicelib.runtime.system import System
from tests.support.builders import NOW, Clock
from tests.support.oauth import change
from tests.support.world import World, seller_id

SELLER = seller_id(1)
SCOPES = ("openid", "openactive-openbooking", "offline_access")


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


@pytest.fixture
def kept(system: System) -> str:
    """A code that is on its way to partner p."""
    given = system.consent.authorise("p", SELLER, SCOPES, "l")
    system.grants.keep_code("a-code", "p", given, SCOPES, "https://b.example/cb", "challenge", "nonce", NOW)
    return "a-code"


@pytest.fixture
def refresh_token(system: System, kept: str) -> str:
    code = system.grants.redeem(kept, "p")
    assert code is not None
    return system.grants.open(code)


class TestCodes:
    def test_stand_for_what_was_agreed(self, system: System, kept: str) -> None:
        code = system.grants.redeem(kept, "p")
        assert code is not None
        assert (code.seller_id, code.scopes, code.nonce) == (SELLER, SCOPES, "nonce")

    def test_are_kept_by_their_digest(self, system: System, kept: str) -> None:
        [code] = system.register.all(AuthorisationCode)
        assert code.digest == digest(kept) and kept not in repr(code)

    def test_are_no_good_to_another_partner_and_good_still_to_their_own(
        self, system: System, kept: str
    ) -> None:
        assert system.grants.redeem(kept, "q") is None
        assert system.grants.redeem(kept, "p") is not None

    @pytest.mark.parametrize(("after", "good"), [(119, True), (120, False)])
    def test_live_two_minutes(self, system: System, clock: Clock, kept: str, after: int, good: bool) -> None:
        clock.advance(seconds=after)
        assert (system.grants.redeem(kept, "p") is not None) is good

    def test_second_use_ends_what_came_of_the_first(self, system: System, clock: Clock, kept: str) -> None:
        """RFC 6749, section 4.1.2; also hours later."""
        code = system.grants.redeem(kept, "p")
        assert code is not None
        token = system.grants.open(code)
        assert system.grants.find(token, "p") is not None
        clock.advance(hours=5)
        assert system.grants.redeem(kept, "p") is None
        assert system.grants.find(token, "p") is None

    def test_second_use_before_the_grant_is_open_keeps_it_shut(self, system: System, kept: str) -> None:
        """RFC 6749, section 4.1.2: also where the two come at the same moment."""
        redeemed = system.grants.redeem(kept, "p")
        assert redeemed is not None
        assert system.grants.redeem(kept, "p") is None
        assert system.grants.open(redeemed) is None

    def test_are_no_good_once_the_authorisation_has_ended(
        self, system: System, clock: Clock, kept: str
    ) -> None:
        change(system, Authorisation, Authorisation.key_of("p", SELLER), revoked_at=clock.now)
        assert system.grants.redeem(kept, "p") is None
        system.consent.authorise("p", SELLER, SCOPES, "l")
        assert system.grants.redeem(kept, "p") is None

    def test_that_are_none_stand_for_nothing(self, system: System) -> None:
        for code in ("", "x", "x" * 10_000, "\x00"):
            assert system.grants.redeem(code, "p") is None


class TestRefreshTokens:
    def test_each_is_replaced_by_the_next(self, system: System, clock: Clock, refresh_token: str) -> None:
        token = refresh_token
        for _ in range(5):
            grant = system.grants.find(token, "p")
            assert grant is not None
            renewed = system.grants.renew(grant)
            assert renewed is not None and renewed != token
            token = renewed
            clock.advance(hours=1)
        assert len(list(system.register.all(Grant))) == 1

    def test_one_whose_answer_was_lost_is_taken_once_more(
        self, system: System, clock: Clock, refresh_token: str
    ) -> None:
        first = system.grants.find(refresh_token, "p")
        assert first is not None and system.grants.renew(first)
        clock.advance(seconds=29)
        again = system.grants.find(refresh_token, "p")
        assert again is not None
        newest = system.grants.renew(again)
        assert newest is not None and system.grants.find(newest, "p") is not None

    def test_one_used_again_later_ends_the_grant(
        self, system: System, clock: Clock, refresh_token: str
    ) -> None:
        """RFC 9700, section 4.14.2: two use it, and one of them is a thief."""
        grant = system.grants.find(refresh_token, "p")
        assert grant is not None
        newest = system.grants.renew(grant)
        assert newest is not None
        clock.advance(seconds=30)
        assert system.grants.find(refresh_token, "p") is None
        assert system.grants.find(newest, "p") is None

    def test_one_used_a_third_time_ends_the_grant(self, system: System, refresh_token: str) -> None:
        for _ in range(2):
            grant = system.grants.find(refresh_token, "p")
            assert grant is not None
            newest = system.grants.renew(grant)
        assert newest is not None
        assert system.grants.find(refresh_token, "p") is None
        assert system.grants.find(newest, "p") is None

    def test_of_two_at_once_one_gets_the_next(self, system: System, refresh_token: str) -> None:
        one, two = system.grants.find(refresh_token, "p"), system.grants.find(refresh_token, "p")
        assert one is not None and two is not None
        assert system.grants.renew(one) is not None
        assert system.grants.renew(two) is None

    @pytest.mark.parametrize(("days", "good"), [(179, True), (180, False)])
    def test_ends_if_it_is_not_used(
        self, system: System, clock: Clock, refresh_token: str, days: int, good: bool
    ) -> None:
        clock.advance(days=days)
        assert (system.grants.find(refresh_token, "p") is not None) is good

    def test_lives_on_while_it_is_used(self, system: System, clock: Clock, refresh_token: str) -> None:
        token: str | None = refresh_token
        for _ in range(5):
            clock.advance(days=100)
            grant = system.grants.find(token or "", "p")
            assert grant is not None
            token = system.grants.renew(grant)

    @pytest.mark.parametrize("ended", [{"suspended": True}, {"revoked_at": NOW}])
    def test_is_good_only_while_the_authorisation_stands(
        self, system: System, refresh_token: str, ended: dict[str, Any]
    ) -> None:
        """AUTH-03."""
        change(system, Authorisation, Authorisation.key_of("p", SELLER), **ended)
        assert system.grants.find(refresh_token, "p") is None

    def test_comes_back_after_a_suspension_and_not_after_a_revocation(
        self, system: System, clock: Clock, refresh_token: str
    ) -> None:
        key = Authorisation.key_of("p", SELLER)
        change(system, Authorisation, key, suspended=True)
        assert system.grants.find(refresh_token, "p") is None
        change(system, Authorisation, key, suspended=False)
        assert system.grants.find(refresh_token, "p") is not None
        change(system, Authorisation, key, revoked_at=clock.now)
        system.consent.authorise("p", SELLER, SCOPES, "l")
        assert system.grants.find(refresh_token, "p") is None

    def test_is_kept_by_its_digest(self, system: System, refresh_token: str) -> None:
        [grant] = system.register.all(Grant)
        assert refresh_token.partition(".")[2] not in repr(grant)

    def test_that_is_none_stands_for_nothing(self, system: System, refresh_token: str) -> None:
        grant_id = refresh_token.partition(".")[0]
        for token in ("", ".", grant_id, f"{grant_id}.", f"{grant_id}.x", "x.y", "x" * 10_000 + ".y"):
            assert system.grants.find(token, "p") is None
        assert system.grants.find(refresh_token, "p") is not None
