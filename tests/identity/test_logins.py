"""Who may sign in, how often, and for which Sellers."""

from typing import Any

import pytest

from chalicelib.identity.entries import KnownBrowser, Login, SellerStanding
from chalicelib.identity.logins import SignInRefused, TooManyAttempts, network_of
from chalicelib.identity.passwords import Passwords
from chalicelib.runtime.system import System
from chalicelib.values import replace
from tests.support.builders import Clock
from tests.support.oauth import PASSWORD, USERNAME, add_login, change, open_provider
from tests.support.world import World, seller_id

SELLER, OTHER_SELLER = seller_id(1), seller_id(2)


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


def test_right_password_in_any_case_of_the_name(system: System) -> None:
    for name in (USERNAME, USERNAME.upper()):
        assert system.logins.sign_in(name, PASSWORD, "192.0.2.1").username == USERNAME


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
def test_anything_else_is_refused_alike(system: System, name: str, password: str) -> None:
    with pytest.raises(SignInRefused) as refusal:
        system.logins.sign_in(name, password, "192.0.2.1")
    assert type(refusal.value) is SignInRefused


def test_unknown_name_costs_as_much_work_as_a_known_one(system: System) -> None:
    checked: list[bool] = []

    class Counting(Passwords):
        def check(self, password: str, hashed: str | None) -> bool:
            checked.append(hashed is not None)
            return super().check(password, hashed)

    system.passwords = Counting(4, 1, 1)
    for name in (USERNAME, "nobody", "", "x" * 5000):
        with pytest.raises(SignInRefused):
            system.logins.sign_in(name, "wrong", "192.0.2.1")
    assert checked == [True, False, False, False]


def test_suspended_login_is_refused_like_a_wrong_one(system: System) -> None:
    change(system, Login, Login.key_of(USERNAME), suspended=True)
    with pytest.raises(SignInRefused) as refusal:
        system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1")
    assert type(refusal.value) is SignInRefused


def guess(system: System, address: str, browser: str = "") -> None:
    with pytest.raises(SignInRefused) as refusal:
        system.logins.sign_in(USERNAME, "wrong", address, browser)
    assert type(refusal.value) is SignInRefused


def test_ten_wrong_ones_close_the_name_for_their_network_only(system: System, clock: Clock) -> None:
    for _ in range(10):
        guess(system, "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME.title(), PASSWORD, "192.0.2.1")
    assert system.logins.sign_in(USERNAME, PASSWORD, "198.51.100.1")
    clock.advance(minutes=15)
    assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1")


def test_a_network_of_version_6_is_one(system: System) -> None:
    """Everybody has 2^64 addresses of it."""
    for number in range(10):
        guess(system, f"2001:db8:0:1::{number}")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "2001:db8:0:1:ffff::1")
    assert system.logins.sign_in(USERNAME, PASSWORD, "2001:db8:0:2::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:0db8:0000:0000::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_wrong_ones_from_many_networks_do_not_close_the_name_for_the_browser_of_its_owner(
    system: System, clock: Clock
) -> None:
    assert system.logins.sign_in(USERNAME, PASSWORD, "198.51.100.1", "owners-browser")
    for number in range(100):
        guess(system, f"192.0.2.{number}", f"guessers-browser-{number}")
    # A browser that is not known has to wait, also in another network and with the right password.
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "203.0.113.1", "another-browser")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "203.0.113.1")
    # The owner does not, wherever he is.
    assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "owners-browser")
    assert system.logins.sign_in(USERNAME, PASSWORD, "203.0.113.1", "owners-browser")
    clock.advance(minutes=15)
    assert system.logins.sign_in(USERNAME, PASSWORD, "203.0.113.1", "another-browser")


def test_a_known_browser_guesses_no_more_than_others(system: System) -> None:
    assert system.logins.sign_in(USERNAME, PASSWORD, "198.51.100.1", "browser")
    for number in range(10):
        guess(system, f"192.0.2.{number}", "browser")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "198.51.100.1", "browser")


def test_a_browser_is_known_for_the_logins_that_were_used_in_it_only(system: System) -> None:
    add_login(system, "other")
    assert system.logins.sign_in("other", PASSWORD, "192.0.2.1", "browser")
    for _ in range(10):
        guess(system, "192.0.2.1", "browser")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "browser")


def test_a_browser_is_forgotten_after_half_a_year_without_use(system: System, clock: Clock) -> None:
    assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "browser")
    clock.advance(days=179)
    assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "browser")
    for days, is_known in ((179, True), (181, False)):
        clock.advance(days=days)
        for _ in range(10):
            guess(system, "192.0.2.1")
        if is_known:
            assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "browser")
        else:
            with pytest.raises(TooManyAttempts):
                system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "browser")


def test_nothing_that_is_stored_names_the_person_or_the_browser(world: World) -> None:
    system = open_provider(world)
    system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1", "owners-browser")
    known = list(system.register.all(KnownBrowser))
    assert len(known) == 1
    for typed in (USERNAME, "owners-browser", "192.0.2.1"):
        assert typed not in repr(known)


def test_fifty_names_from_one_address_close_the_address(system: System) -> None:
    for number in range(50):
        with pytest.raises(SignInRefused):
            system.logins.sign_in(f"name-{number}", "wrong", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1")
    assert system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.2")


def test_right_ones_do_not_count(system: System) -> None:
    for _ in range(60):
        system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1")


def test_no_password_is_tried_once_there_were_too_many(system: System) -> None:
    """Each would cost 32 MB."""
    tried: list[str] = []

    class Counting(Passwords):
        def check(self, password: str, hashed: str | None) -> bool:
            tried.append(password)
            return False

    system.passwords = Counting(4, 1, 1)
    for _ in range(20):
        with pytest.raises(SignInRefused):
            system.logins.sign_in(USERNAME, "wrong", "192.0.2.1")
    assert len(tried) == 10


def test_nothing_that_was_typed_is_logged(world: World) -> None:
    noted: list[Any] = []
    system = open_provider(world)
    system.logins = replace(system.logins, note=lambda what, **ids: noted.append((what, ids)))
    system.logins.sign_in(USERNAME, PASSWORD, "192.0.2.1")
    with pytest.raises(SignInRefused):
        system.logins.sign_in(USERNAME, "wrong-password", "192.0.2.1")
    assert len(noted) == 2
    for typed in (USERNAME, PASSWORD, "wrong-password", "192.0.2.1"):
        assert typed not in repr(noted)


def test_login_speaks_for_sellers_that_there_are_and_that_may_be_acted_for(system: System) -> None:
    login = add_login(system, "sam", (1, 2, 7))
    assert [seller.id for seller in system.logins.sellers_of(login)] == [SELLER, OTHER_SELLER]
    system.register.save(SellerStanding(SELLER, suspended=True))
    assert [seller.id for seller in system.logins.sellers_of(login)] == [OTHER_SELLER]
