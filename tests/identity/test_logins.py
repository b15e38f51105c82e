"""Who may sign in, how often, and for which Sellers."""

from typing import Any

import pytest

from chalicelib.identity.entries import Login, SellerStanding
from chalicelib.identity.logins import SignInRefused, TooManyAttempts
from chalicelib.identity.passwords import Passwords
from chalicelib.runtime.system import System
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


def test_ten_wrong_ones_close_the_name_for_everyone(system: System, clock: Clock) -> None:
    for number in range(10):
        with pytest.raises(SignInRefused) as refusal:
            system.logins.sign_in(USERNAME, "wrong", f"192.0.2.{number}")
        assert type(refusal.value) is SignInRefused
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in(USERNAME.title(), PASSWORD, "198.51.100.1")
    clock.advance(minutes=15)
    assert system.logins.sign_in(USERNAME, PASSWORD, "198.51.100.1")


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
    object.__setattr__(system.logins, "note", lambda what, **ids: noted.append((what, ids)))
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
