"""Who may be given which token, and until when; without HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.identity.authority import Authority, SignInRefused, TooManyAttempts
from chalicelib.identity.hashing import Passwords, digest
from chalicelib.identity.register import (
    Authorisation,
    AuthorisationCode,
    Grant,
    Invitation,
    Login,
    Partner,
    RecordChanged,
    Secret,
    SellerStanding,
)
from chalicelib.runtime.system import install
from tests.support.builders import NOW, Clock
from tests.support.oauth import PASSWORD, USERNAME, add_login, open_provider
from tests.support.tokens import parts
from tests.support.world import BASE_URL, World, outer, seller_id

SELLER, OTHER_SELLER = seller_id(1), seller_id(2)
SCOPES = ("openid", "openactive-openbooking", "offline_access")


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    install(None)


@pytest.fixture
def authority(world: World) -> Authority:
    return open_provider(world)


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


def change(authority: Authority, kind: type[Any], key: tuple[str, str], **changes: Any) -> None:
    """What the operator's commands do."""
    found = authority.register.find(kind, key)
    authority.register.save(replace(found, **changes))


class TestSigningIn:
    def test_right_password_in_any_case_of_the_name(self, authority: Authority) -> None:
        for name in (USERNAME, USERNAME.upper()):
            assert authority.sign_in(name, PASSWORD, "192.0.2.1").username == USERNAME

    @pytest.mark.parametrize(
        ("name", "password"),
        [
            (USERNAME, ""),
            (USERNAME, PASSWORD.upper()),
            ("nobody", PASSWORD),
            ("", PASSWORD),
            ("x" * 5000, PASSWORD),
            ("login#" + USERNAME, PASSWORD),
        ],
    )
    def test_anything_else_is_refused_alike(self, authority: Authority, name: str, password: str) -> None:
        with pytest.raises(SignInRefused) as refusal:
            authority.sign_in(name, password, "192.0.2.1")
        assert type(refusal.value) is SignInRefused

    def test_unknown_name_costs_as_much_work_as_a_known_one(self, authority: Authority) -> None:
        checked: list[bool] = []

        class Counting(Passwords):
            def check(self, password: str, hashed: str | None) -> bool:
                checked.append(hashed is not None)
                return super().check(password, hashed)

        object.__setattr__(authority, "passwords", Counting(4, 1, 1))
        for name in (USERNAME, "nobody", "", "x" * 5000):
            with pytest.raises(SignInRefused):
                authority.sign_in(name, "wrong", "192.0.2.1")
        assert checked == [True, False, False, False]

    def test_suspended_login_is_refused_like_a_wrong_one(self, authority: Authority) -> None:
        change(authority, Login, Login.key_of(USERNAME), suspended=True)
        with pytest.raises(SignInRefused) as refusal:
            authority.sign_in(USERNAME, PASSWORD, "192.0.2.1")
        assert type(refusal.value) is SignInRefused

    def test_ten_wrong_ones_close_the_name_for_everyone(self, authority: Authority, clock: Clock) -> None:
        for number in range(10):
            with pytest.raises(SignInRefused) as refusal:
                authority.sign_in(USERNAME, "wrong", f"192.0.2.{number}")
            assert type(refusal.value) is SignInRefused
        with pytest.raises(TooManyAttempts):
            authority.sign_in(USERNAME.title(), PASSWORD, "198.51.100.1")
        clock.advance(minutes=15)
        assert authority.sign_in(USERNAME, PASSWORD, "198.51.100.1")

    def test_fifty_names_from_one_address_close_the_address(self, authority: Authority) -> None:
        for number in range(50):
            with pytest.raises(SignInRefused):
                authority.sign_in(f"name-{number}", "wrong", "192.0.2.1")
        with pytest.raises(TooManyAttempts):
            authority.sign_in(USERNAME, PASSWORD, "192.0.2.1")
        assert authority.sign_in(USERNAME, PASSWORD, "192.0.2.2")

    def test_right_ones_do_not_count(self, authority: Authority) -> None:
        for _ in range(60):
            authority.sign_in(USERNAME, PASSWORD, "192.0.2.1")

    def test_no_password_is_tried_once_there_were_too_many(self, authority: Authority) -> None:
        """Each would cost 32 MB."""
        tried: list[str] = []

        class Counting(Passwords):
            def check(self, password: str, hashed: str | None) -> bool:
                tried.append(password)
                return False

        object.__setattr__(authority, "passwords", Counting(4, 1, 1))
        for _ in range(20):
            with pytest.raises(SignInRefused):
                authority.sign_in(USERNAME, "wrong", "192.0.2.1")
        assert len(tried) == 10

    def test_nothing_that_was_typed_is_logged(self, world: World) -> None:
        noted: list[Any] = []
        authority = open_provider(world)
        object.__setattr__(authority, "note", lambda what, **ids: noted.append((what, ids)))
        authority.sign_in(USERNAME, PASSWORD, "192.0.2.1")
        with pytest.raises(SignInRefused):
            authority.sign_in(USERNAME, "wrong-password", "192.0.2.1")
        assert len(noted) == 2
        for typed in (USERNAME, PASSWORD, "wrong-password", "192.0.2.1"):
            assert typed not in repr(noted)

    def test_login_speaks_for_sellers_that_there_are_and_that_may_be_acted_for(
        self, authority: Authority
    ) -> None:
        login = add_login(authority, "sam", (1, 2, 7))
        assert [seller.id for seller in authority.sellers_of(login)] == [SELLER, OTHER_SELLER]
        authority.register.save(SellerStanding(SELLER, suspended=True))
        assert [seller.id for seller in authority.sellers_of(login)] == [OTHER_SELLER]


class TestAuthorisations:
    def test_what_a_seller_allows_adds_up(self, authority: Authority) -> None:
        first = authority.authorise("p", SELLER, ["openid"], "login-1")
        second = authority.authorise("p", SELLER, ["openactive-openbooking"], "login-2")
        assert second.id == first.id
        assert set(second.scopes) == {"openid", "openactive-openbooking"}
        assert authority.has_consent("p", SELLER, ["openid"])
        assert not authority.has_consent("p", SELLER, ["openid", "offline_access"])
        assert not authority.has_consent("p", OTHER_SELLER, [])
        assert not authority.has_consent("q", SELLER, [])

    def test_same_again_writes_nothing(self, authority: Authority) -> None:
        first = authority.authorise("p", SELLER, ["openid"], "l")
        assert authority.authorise("p", SELLER, ["openid"], "l") == first

    def test_after_a_revocation_it_begins_anew(self, authority: Authority, clock: Clock) -> None:
        """What hung on the earlier one stays ended."""
        first = authority.authorise("p", SELLER, ["openid", "offline_access"], "l")
        change(authority, Authorisation, first.key, revoked_at=clock.now)
        assert authority.authorisation("p", SELLER) is None
        second = authority.authorise("p", SELLER, ["openid"], "l")
        assert second.id != first.id and second.scopes == ("openid",)

    @pytest.mark.parametrize("ended", [{"suspended": True}, {"revoked_at": NOW}])
    def test_what_does_not_stand_is_none(self, authority: Authority, ended: dict[str, Any]) -> None:
        given = authority.authorise("p", SELLER, ["openid"], "l")
        assert authority.authorisation("p", SELLER) == given
        change(authority, Authorisation, given.key, **ended)
        assert authority.authorisation("p", SELLER) is None
        assert not authority.has_consent("p", SELLER, [])

    def test_suspended_seller_allows_nothing(self, authority: Authority) -> None:
        authority.authorise("p", SELLER, ["openid"], "l")
        authority.register.save(SellerStanding(SELLER, suspended=True))
        assert authority.authorisation("p", SELLER) is None

    def test_suspended_one_stays_so_whatever_the_seller_allows(self, authority: Authority) -> None:
        given = authority.authorise("p", SELLER, ["openid"], "l")
        change(authority, Authorisation, given.key, suspended=True)
        assert not authority.authorise("p", SELLER, ["openid", "offline_access"], "l").stands


@pytest.fixture
def kept(authority: Authority) -> str:
    """A code that is on its way to partner p."""
    given = authority.authorise("p", SELLER, SCOPES, "l")
    authority.keep_code("a-code", "p", given, SCOPES, "https://b.example/cb", "challenge", "nonce")
    return "a-code"


@pytest.fixture
def refresh_token(authority: Authority, kept: str) -> str:
    code = authority.redeem(kept, "p")
    assert code is not None
    return authority.open_grant(code)


class TestCodes:
    def test_stand_for_what_was_agreed(self, authority: Authority, kept: str) -> None:
        code = authority.redeem(kept, "p")
        assert code is not None
        assert (code.seller_id, code.scopes, code.nonce) == (SELLER, SCOPES, "nonce")

    def test_are_kept_by_their_digest(self, authority: Authority, kept: str) -> None:
        [code] = authority.register.all(AuthorisationCode)
        assert code.digest == digest(kept) and kept not in repr(code)

    def test_are_no_good_to_another_partner_and_good_still_to_their_own(
        self, authority: Authority, kept: str
    ) -> None:
        assert authority.redeem(kept, "q") is None
        assert authority.redeem(kept, "p") is not None

    @pytest.mark.parametrize(("after", "good"), [(119, True), (120, False)])
    def test_live_two_minutes(
        self, authority: Authority, clock: Clock, kept: str, after: int, good: bool
    ) -> None:
        clock.advance(seconds=after)
        assert (authority.redeem(kept, "p") is not None) is good

    def test_second_use_ends_what_came_of_the_first(
        self, authority: Authority, clock: Clock, kept: str
    ) -> None:
        """RFC 6749, section 4.1.2; also hours later."""
        code = authority.redeem(kept, "p")
        assert code is not None
        token = authority.open_grant(code)
        assert authority.grant(token) is not None
        clock.advance(hours=5)
        assert authority.redeem(kept, "p") is None
        assert authority.grant(token) is None

    def test_second_use_before_the_grant_is_open_keeps_it_shut(self, authority: Authority, kept: str) -> None:
        """RFC 6749, section 4.1.2: also where the two come at the same moment."""
        redeemed = authority.redeem(kept, "p")
        assert redeemed is not None
        assert authority.redeem(kept, "p") is None
        assert authority.open_grant(redeemed) is None

    def test_are_no_good_once_the_authorisation_has_ended(
        self, authority: Authority, clock: Clock, kept: str
    ) -> None:
        change(authority, Authorisation, Authorisation.key_of("p", SELLER), revoked_at=clock.now)
        assert authority.redeem(kept, "p") is None
        authority.authorise("p", SELLER, SCOPES, "l")
        assert authority.redeem(kept, "p") is None

    def test_that_are_none_stand_for_nothing(self, authority: Authority) -> None:
        for code in ("", "x", "x" * 10_000, "\x00"):
            assert authority.redeem(code, "p") is None


class TestRefreshTokens:
    def test_each_is_replaced_by_the_next(
        self, authority: Authority, clock: Clock, refresh_token: str
    ) -> None:
        token = refresh_token
        for _ in range(5):
            grant = authority.grant(token)
            assert grant is not None
            renewed = authority.renew(grant)
            assert renewed is not None and renewed != token
            token = renewed
            clock.advance(hours=1)
        assert len(list(authority.register.all(Grant))) == 1

    def test_one_whose_answer_was_lost_is_taken_once_more(
        self, authority: Authority, clock: Clock, refresh_token: str
    ) -> None:
        first = authority.grant(refresh_token)
        assert first is not None and authority.renew(first)
        clock.advance(seconds=29)
        again = authority.grant(refresh_token)
        assert again is not None
        newest = authority.renew(again)
        assert newest is not None and authority.grant(newest) is not None

    def test_one_used_again_later_ends_the_grant(
        self, authority: Authority, clock: Clock, refresh_token: str
    ) -> None:
        """RFC 9700, section 4.14.2: two use it, and one of them is a thief."""
        grant = authority.grant(refresh_token)
        assert grant is not None
        newest = authority.renew(grant)
        assert newest is not None
        clock.advance(seconds=30)
        assert authority.grant(refresh_token) is None
        assert authority.grant(newest) is None

    def test_one_used_a_third_time_ends_the_grant(self, authority: Authority, refresh_token: str) -> None:
        for _ in range(2):
            grant = authority.grant(refresh_token)
            assert grant is not None
            newest = authority.renew(grant)
        assert newest is not None
        assert authority.grant(refresh_token) is None
        assert authority.grant(newest) is None

    def test_of_two_at_once_one_gets_the_next(self, authority: Authority, refresh_token: str) -> None:
        one, two = authority.grant(refresh_token), authority.grant(refresh_token)
        assert one is not None and two is not None
        assert authority.renew(one) is not None
        assert authority.renew(two) is None

    @pytest.mark.parametrize(("days", "good"), [(179, True), (180, False)])
    def test_ends_if_it_is_not_used(
        self, authority: Authority, clock: Clock, refresh_token: str, days: int, good: bool
    ) -> None:
        clock.advance(days=days)
        assert (authority.grant(refresh_token) is not None) is good

    def test_lives_on_while_it_is_used(self, authority: Authority, clock: Clock, refresh_token: str) -> None:
        token: str | None = refresh_token
        for _ in range(5):
            clock.advance(days=100)
            grant = authority.grant(token or "")
            assert grant is not None
            token = authority.renew(grant)

    @pytest.mark.parametrize("ended", [{"suspended": True}, {"revoked_at": NOW}])
    def test_is_good_only_while_the_authorisation_stands(
        self, authority: Authority, refresh_token: str, ended: dict[str, Any]
    ) -> None:
        """AUTH-03."""
        change(authority, Authorisation, Authorisation.key_of("p", SELLER), **ended)
        assert authority.grant(refresh_token) is None

    def test_comes_back_after_a_suspension_and_not_after_a_revocation(
        self, authority: Authority, clock: Clock, refresh_token: str
    ) -> None:
        key = Authorisation.key_of("p", SELLER)
        change(authority, Authorisation, key, suspended=True)
        assert authority.grant(refresh_token) is None
        change(authority, Authorisation, key, suspended=False)
        assert authority.grant(refresh_token) is not None
        change(authority, Authorisation, key, revoked_at=clock.now)
        authority.authorise("p", SELLER, SCOPES, "l")
        assert authority.grant(refresh_token) is None

    def test_is_kept_by_its_digest(self, authority: Authority, refresh_token: str) -> None:
        [grant] = authority.register.all(Grant)
        assert refresh_token.partition(".")[2] not in repr(grant)

    def test_that_is_none_stands_for_nothing(self, authority: Authority, refresh_token: str) -> None:
        grant_id = refresh_token.partition(".")[0]
        for token in ("", ".", grant_id, f"{grant_id}.", f"{grant_id}.x", "x.y", "x" * 10_000 + ".y"):
            assert authority.grant(token) is None
        assert authority.grant(refresh_token) is not None


class TestTokens:
    def test_access_token_says_what_it_must(self, authority: Authority, clock: Clock) -> None:
        """AUTH-08, AUTH-09, RFC 9068."""
        header, claims, _ = parts(authority.access_token(BASE_URL, "p", SELLER, ("openid",)))
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

    def test_without_a_seller_it_names_none(self, authority: Authority) -> None:
        claims = parts(authority.access_token(BASE_URL, "p", None, ()))[1]
        assert "https://openactive.io/sellerId" not in claims and claims["sub"] == "p"

    def test_seller_is_told_only_where_that_was_asked_for(self, world: World, authority: Authority) -> None:
        """AUTH-09."""
        world.sell(1, url="https://kings.example", logo={"url": "https://kings.example/logo.png"})
        service = {"name": "Open Booking", "url": "https://service.example"}
        ids = {"sub": outer(SELLER), "https://openactive.io/sellerId": outer(SELLER)}
        assert authority.seller_claims(BASE_URL, SELLER, ("openid",), service) == ids
        told = authority.seller_claims(BASE_URL, SELLER, ("openactive-identity",), service)
        assert told == ids | {
            "https://openactive.io/sellerName": "Kings Mead",
            "https://openactive.io/sellerUrl": "https://kings.example",
            "https://openactive.io/sellerLogo": "https://kings.example/logo.png",
            "https://openactive.io/bookingServiceName": "Open Booking",
            "https://openactive.io/bookingServiceUrl": "https://service.example",
        }


class TestPartners:
    def test_secret_is_known_by_its_digest_until_it_ends(self, authority: Authority, clock: Clock) -> None:
        """AUTH-05: two are good at once while a partner changes over."""
        partner = authority.add_partner("Broker", "old", partner_id="p")
        later = clock.now.replace(hour=13)
        both = (replace(partner.secrets[0], ends_at=later), Secret(digest("new"), clock.now))
        partner = authority.register.save(replace(partner, secrets=both))
        assert "old'" not in repr(partner)
        assert authority.has_secret(partner, "old") and authority.has_secret(partner, "new")
        assert not authority.has_secret(partner, "") and not authority.has_secret(partner, digest("new"))
        clock.advance(hours=1)
        assert not authority.has_secret(partner, "old") and authority.has_secret(partner, "new")

    def test_id_that_is_taken_is_not_given_again(self, authority: Authority) -> None:
        authority.add_partner("Broker", "s", partner_id="p")
        with pytest.raises(RecordChanged):
            authority.add_partner("Thief", "t", partner_id="p")

    def test_suspended_one_is_as_none(self, authority: Authority) -> None:
        authority.add_partner("Broker", "s", partner_id="p")
        assert authority.partner("p") is not None
        change(authority, Partner, Partner.key_of("p"), suspended=True)
        assert authority.partner("p") is None


class TestInvitations:
    def invite(self, authority: Authority, **changes: Any) -> None:
        authority.register.save(replace(Invitation(digest("i"), "", NOW, None, 1), **changes))

    def test_is_used_up(self, authority: Authority) -> None:
        self.invite(authority, uses_left=2)
        for _ in range(2):
            invitation = authority.invitation("i")
            assert invitation is not None and authority.use(invitation)
        assert authority.invitation("i") is None

    def test_last_use_goes_to_one_of_two(self, authority: Authority) -> None:
        self.invite(authority)
        one, two = authority.invitation("i"), authority.invitation("i")
        assert one is not None and two is not None
        assert authority.use(one)
        assert not authority.use(two)

    def test_may_be_good_any_number_of_times(self, authority: Authority) -> None:
        self.invite(authority, uses_left=None)
        for _ in range(5):
            invitation = authority.invitation("i")
            assert invitation is not None and authority.use(invitation)

    def test_ends(self, authority: Authority, clock: Clock) -> None:
        self.invite(authority, ends_at=NOW.replace(hour=13))
        assert authority.invitation("i") is not None
        clock.advance(hours=1)
        assert authority.invitation("i") is None
