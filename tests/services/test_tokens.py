"""Refresh tokens that are out, and the keys that sign."""

from __future__ import annotations

import json

import pytest

from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from tests.support.administering import (
    a_partner,
    a_token,
    done,
    feed,
)
from tests.support.oauth import Client, add_login
from tests.support.world import World, outer, seller_id


@pytest.fixture
def granted(desk: Administration, world: World) -> list[tuple[Client, str]]:
    """Three partners with refresh tokens: two of Seller 1, one of Seller 2."""
    add_login(world.system)
    add_login(world.system, "sam@porter.example", (2,))
    clients = [a_partner(desk, world, own_id=f"broker-{number}") for number in range(3)]
    users = ("alex@kings.example", "alex@kings.example", "sam@porter.example")
    return [
        (client, client.authorised(user)["refresh_token"])
        for client, user in zip(clients, users, strict=True)
    ]


def good(granted: list[tuple[Client, str]]) -> list[bool]:
    return [client.refresh(token).status == 200 for client, token in granted]


def test_refresh_tokens_are_listed_by_their_grants(
    desk: Administration, granted: list[tuple[Client, str]]
) -> None:
    rows = desk.refresh_tokens.listed()
    assert {(row["partner"], row["seller"]) for row in rows} == {
        ("broker-0", outer(seller_id(1))),
        ("broker-1", outer(seller_id(1))),
        ("broker-2", outer(seller_id(2))),
    }
    told = json.dumps(rows, default=str)
    assert not any(token.partition(".")[2] in told for _, token in granted)
    desk.authorisations.revoke("1", "broker-0")
    assert len(desk.refresh_tokens.listed()) == 2


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ({"partner": "broker-0"}, [False, True, True]),
        ({"seller": "1"}, [False, False, True]),
        ({"partner": "broker-1", "seller": "1"}, [True, False, True]),
        ({"partner": "broker-1", "seller": "2"}, [True, True, True]),
    ],
)
def test_refresh_tokens_of_a_partner_or_a_seller_can_be_ended(
    desk: Administration, granted: list[tuple[Client, str]], which: dict[str, str], left: list[bool]
) -> None:
    assert len(desk.refresh_tokens.revoke(**which)) == left.count(False)
    assert good(granted) == left
    assert done(desk)[-1] == "refresh tokens revoked"


def test_one_grant_can_be_ended(desk: Administration, granted: list[tuple[Client, str]]) -> None:
    grant_id = next(row["grant"] for row in desk.refresh_tokens.listed() if row["partner"] == "broker-1")
    desk.refresh_tokens.revoke(grant_id)
    assert good(granted) == [True, False, True]
    with pytest.raises(AdministrationError, match="no grant"):
        desk.refresh_tokens.revoke(grant_id)


@pytest.mark.parametrize("which", [{}, {"grant_id": "g", "partner": "p"}])
def test_it_must_be_clear_which_tokens_are_meant(desk: Administration, which: dict[str, str]) -> None:
    with pytest.raises(AdministrationError, match="Which"):
        desk.refresh_tokens.revoke(**which)


def test_the_first_key_signs_at_once_and_the_next_when_everyone_has_it(
    desk: Administration, world: World
) -> None:
    client = a_partner(desk, world)
    first = desk.signing_keys.rotate()
    assert a_token(client).status == 200
    second = desk.signing_keys.rotate()
    assert [(each["key"], each["state"]) for each in desk.signing_keys.listed()] == [
        (first.kid, "signs"),
        (second.kid, "signs soon"),
    ]
    world.clock.advance(minutes=15)
    assert [each["state"] for each in desk.signing_keys.listed()] == ["verifies only", "signs"]
    third = desk.signing_keys.rotate(at_once=True)
    assert third.signs_from == world.clock.now
    assert done(desk)[-3:] == ["signing key made"] * 3


def test_what_a_forgotten_key_has_signed_is_refused(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    token = a_token(client).json["access_token"]
    (key,) = desk.signing_keys.listed()
    desk.signing_keys.rotate(at_once=True)
    assert feed(world, Authorization=f"Bearer {token}") == 200
    desk.signing_keys.forget(key["key"])
    assert feed(world, Authorization=f"Bearer {token}") == 401
    assert feed(world, Authorization=f"Bearer {a_token(client).json['access_token']}") == 200
    with pytest.raises(AdministrationError, match="no signing key"):
        desk.signing_keys.forget(key["key"])
