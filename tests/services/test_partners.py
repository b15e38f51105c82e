"""Booking partners: secrets that were shown work, what was ended does not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.identity.entries import Partner
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.values import replace
from tests.support.administering import (
    BOOKING,
    a_partner,
    a_token,
    done,
    feed,
    quote,
)
from tests.support.oauth import Client, add_login
from tests.support.world import Bookable, Broker, World, outer, seller_id


def test_the_secret_of_a_new_partner_works(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    assert a_token(client).status == 200
    assert a_token(Client(world, client.id, client.secret + "x")).status == 401
    assert done(desk) == ["partner added"]


def test_a_new_partner_may_act_for_the_only_seller(
    desk: Administration, world: World, yoga: Bookable
) -> None:
    client = a_partner(desk, world, own_id="till", seller="1")
    token = a_token(client, BOOKING).json["access_token"]
    assert client.id == "till"
    assert quote(world, yoga, Authorization=f"Bearer {token}") == 200
    assert done(desk) == ["partner added"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (" ", {}, "needs a name"),
        ("B", {"own_id": "a b"}, "An id consists of"),
        ("B", {"own_id": ""}, "An id consists of"),
        ("B", {"redirect_uris": ["http://broker.example/cb"]}, "must be an https URL"),
        ("B", {"redirect_uris": ["https://[broken"]}, "must be an https URL"),
        ("B", {"url": "javascript:alert(1)"}, "not an http or https URL"),
        ("B", {"seller": "9"}, "no Seller '9'"),
        ("B", {"own_id": "taken"}, "taken already"),
    ],
)
def test_a_partner_that_makes_no_sense_is_refused_and_nothing_is_written(
    desk: Administration, name: str, options: dict[str, Any], said: str
) -> None:
    desk.partners.add("First", own_id="taken")
    before = [partner.id for partner in desk.entries.all(Partner)]
    with pytest.raises(AdministrationError, match=said):
        desk.partners.add(name, **options)
    assert [partner.id for partner in desk.entries.all(Partner)] == before
    assert done(desk) == ["partner added"]


def test_a_suspended_partner_gets_no_tokens_until_it_is_resumed(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    desk.partners.suspend(client.id)
    assert a_token(client).status == 401
    with pytest.raises(AdministrationError, match="is suspended"):
        desk.partners.suspend(client.id)
    desk.partners.resume(client.id)
    assert a_token(client).status == 200
    with pytest.raises(AdministrationError, match="is not suspended"):
        desk.partners.resume(client.id)


def test_after_a_rotation_the_old_secret_is_good_for_the_hours_that_were_said(
    desk: Administration, world: World
) -> None:
    """AUTH-05."""
    old = a_partner(desk, world)
    new = Client(world, old.id, desk.partners.rotate_secret(old.id, keep_old=timedelta(hours=24)))
    assert (a_token(old).status, a_token(new).status) == (200, 200)
    world.clock.advance(hours=24)
    assert (a_token(old).status, a_token(new).status) == (401, 200)


def test_a_rotation_may_end_the_old_secret_at_once(desk: Administration, world: World) -> None:
    old = a_partner(desk, world)
    new = Client(world, old.id, desk.partners.rotate_secret(old.id, keep_old=timedelta()))
    assert (a_token(old).status, a_token(new).status) == (401, 200)


def test_of_many_rotations_the_last_two_secrets_are_good(desk: Administration, world: World) -> None:
    first = a_partner(desk, world)
    later = [
        Client(world, first.id, desk.partners.rotate_secret(first.id, keep_old=timedelta(hours=24)))
        for _ in range(3)
    ]
    assert [a_token(client).status for client in (first, *later)] == [401, 401, 200, 200]
    partner = desk.entries.partner(first.id)
    assert len(partner.secrets) == 2
    world.clock.advance(hours=12)
    desk.partners.rotate_secret(first.id, keep_old=timedelta(hours=24))
    assert a_token(later[-2]).status == 401


def test_a_later_rotation_does_not_lengthen_the_life_of_an_old_secret(
    desk: Administration, world: World
) -> None:
    client = a_partner(desk, world)
    ends_at = world.clock.now + timedelta(hours=1)
    desk.entries.change(
        desk.entries.partner(client.id),
        lambda found: replace(found, secrets=(replace(found.secrets[0], ends_at=ends_at),)),
    )
    desk.partners.rotate_secret(client.id, keep_old=timedelta(hours=24))
    assert [each.ends_at for each in desk.entries.partner(client.id).secrets] == [ends_at, None]


def test_a_revoked_partner_has_nothing_left_and_its_orders_stay(
    desk: Administration, world: World, yoga: Bookable
) -> None:
    client = a_partner(desk, world)
    add_login(world.system)
    refresh_token = client.authorised()["refresh_token"]
    key = desk.api_keys.add(client.id, seller="2")
    booked = Broker(world, partner=client.id).b("10000000-0000-4000-8000-000000000001", yoga.item())
    ended = desk.partners.revoke(client.id)
    assert booked.status == 201
    assert ended == {"authorisations": 2, "API keys": 1, "refresh tokens": 1}
    assert a_token(client).status == client.refresh(refresh_token).status == 401
    assert feed(world, X_API_Key=key) == 401
    assert desk.partners.listed()[0]["sellers"] == []
    assert world.order("10000000-0000-4000-8000-000000000001", client.id) is not None


def test_a_revoked_partner_can_come_back_with_a_new_secret_under_its_id(
    desk: Administration, world: World
) -> None:
    """AUTH-05."""
    client = a_partner(desk, world)
    desk.partners.revoke(client.id)
    assert desk.partners.resume(client.id).secrets == ()
    assert desk.partners.listed()[0]["state"] == "without a secret"
    back = Client(world, client.id, desk.partners.rotate_secret(client.id, keep_old=timedelta(hours=24)))
    assert (a_token(client).status, a_token(back).status) == (401, 200)


def test_partners_are_shown_with_what_sellers_allow_and_without_secrets(
    desk: Administration, world: World
) -> None:
    client = a_partner(desk, world, seller="1")
    desk.authorisations.revoke("1", client.id)
    desk.api_keys.add(client.id, seller="2", note="till")
    shown = desk.partners.shown(client.id)
    (listed,) = desk.partners.listed()
    assert listed["sellers"] == [outer(seller_id(2))]
    assert [(each["seller"], each["revoked"]) for each in shown["allowed_by"]] == [
        (outer(seller_id(1)), world.clock.now),
        (outer(seller_id(2)), None),
    ]
    assert shown["api_keys"] == 1
    told = json.dumps([shown, listed], default=str)
    assert client.secret not in told
    assert desk.entries.partner(client.id).secrets[0].digest not in told
