"""Logins of people who may speak for Sellers."""

from __future__ import annotations

import pytest

from chalicelib.identity.entries import Login
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.services.logins import check_password
from tests.support.administering import (
    SECRET,
    Identities,
    a_partner,
)
from tests.support.oauth import SCOPE, Browser, Client
from tests.support.world import World, outer, seller_id


def sign_in(world: World, client: Client, username: str, password: str) -> int:
    browser = Browser(world)
    browser.begin(client, scope=SCOPE)
    return browser.sign_in(username, password).status


def test_a_new_login_works(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    login = desk.logins.add(" Alex@kings.example ", ["1", "2", "1"], SECRET)
    assert login.seller_ids == (seller_id(1), seller_id(2))
    assert sign_in(world, client, "alex@kings.example", SECRET) == 200
    assert sign_in(world, client, "alex@kings.example", SECRET + "x") == 403


@pytest.mark.parametrize(
    ("username", "sellers_named", "said"),
    [
        (" ", ["1"], "user name"),
        ("a\x1b[2J", ["1"], "user name"),
        ("a" * 201, ["1"], "user name"),
        ("sam", [], "at least one Seller"),
        ("sam", ["1", "9"], "no Seller '9'"),
        ("ALEX", ["1"], "a login 'ALEX' already"),
    ],
)
def test_a_login_that_makes_no_sense_is_refused(
    desk: Administration, username: str, sellers_named: list[str], said: str
) -> None:
    desk.logins.add("alex", ["1"], SECRET)
    with pytest.raises(AdministrationError, match=said):
        desk.logins.add(username, sellers_named, SECRET)
    assert [login.username for login in desk.entries.all(Login)] == ["alex"]


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "x" * 201,
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012",
        "abcdefghijkl",
        "password1234",
        "Password!2026!",
        "p4ssw0rd!!!!",
        "qwertyuiop12",
        "correct horse battery staple",
        "alex@kings.example",
        "Alex@Kings.example1!",
        "openbooking2026",
    ],
)
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(AdministrationError):
        check_password(password, "alex@kings.example")


@pytest.mark.parametrize(
    "password", [SECRET, "dGqg-zCIil9qo1AhokLF", "alex likes blue kettles", "Übergröße 7 €"]
)
def test_other_passwords_are_taken(password: str) -> None:
    check_password(password, "alex@kings.example")


def test_a_password_can_be_set(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    desk.logins.add("alex", ["1"], SECRET)
    with pytest.raises(AdministrationError, match="12 to 200"):
        desk.logins.set_password("alex", "short")
    desk.logins.set_password("ALEX", "another sturdy kettle")
    assert sign_in(world, client, "alex", SECRET) == 403
    assert sign_in(world, client, "alex", "another sturdy kettle") == 200


def test_a_login_speaks_for_the_sellers_it_is_allowed_to(desk: Administration) -> None:
    desk.logins.add("alex", ["1"], SECRET)
    assert desk.logins.allow("alex", "2").seller_ids == (seller_id(1), seller_id(2))
    with pytest.raises(AdministrationError, match=r"already speaks for .*sellers/2"):
        desk.logins.allow("alex", "2")
    assert desk.logins.disallow("alex", "1").seller_ids == (seller_id(2),)
    with pytest.raises(AdministrationError, match="does not speak for"):
        desk.logins.disallow("alex", "1")
    assert desk.logins.listed()[0]["sellers"] == [outer(seller_id(2))]


def test_a_suspended_login_cannot_be_used_until_it_is_resumed(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    desk.logins.add("alex", ["1"], SECRET)
    desk.logins.suspend("alex")
    assert sign_in(world, client, "alex", SECRET) == 403
    with pytest.raises(AdministrationError, match="is suspended"):
        desk.logins.suspend("alex")
    desk.logins.resume("alex")
    assert sign_in(world, client, "alex", SECRET) == 200


def test_a_removed_login_is_gone_and_the_journal_never_had_its_name(
    desk: Administration, world: World, identities: Identities
) -> None:
    login = desk.logins.add("alex@kings.example", ["1"], SECRET)
    desk.logins.remove("alex@kings.example")
    assert sign_in(world, a_partner(desk, world), "alex@kings.example", SECRET) == 403
    with pytest.raises(AdministrationError, match=r"no login 'alex@kings\.example'"):
        desk.logins.remove("alex@kings.example")
    kept = [record.document for record in identities.parts(f"journal#{world.clock.now:%Y-%m}")]
    assert len(kept) == 3
    assert login.id in kept[0] + kept[1]
    assert "alex" not in "".join(kept)
