"""API keys of booking partners (AUTH-10)."""

from __future__ import annotations

import pytest

from chalicelib.identity.entries import ApiKey
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.values import replace
from tests.support.administering import (
    a_partner,
    done,
    feed,
    quote,
)
from tests.support.world import Bookable, World, outer, seller_id


def test_an_api_key_works_for_its_seller_until_it_is_revoked(
    desk: Administration, world: World, yoga: Bookable
) -> None:
    client = a_partner(desk, world)
    key = desk.api_keys.add(client.id, seller=outer(seller_id(1)), note="till")
    assert quote(world, yoga, X_API_Key=key) == 200
    (listed,) = desk.api_keys.listed(client.id)
    assert (listed["seller"], listed["note"], listed["ends"]) == (outer(seller_id(1)), "till", None)
    desk.api_keys.revoke(listed["key"])
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 401
    assert done(desk) == ["partner added", "API key made", "API key revoked"]


def test_an_api_key_ends_after_its_days(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    key = desk.api_keys.add(client.id, days=7)
    assert feed(world, X_API_Key=key) == 200
    world.clock.advance(days=7)
    assert feed(world, X_API_Key=key) == 401
    assert desk.api_keys.listed(client.id) == []


@pytest.mark.parametrize("given_anew", [False, True])
def test_an_api_key_ends_with_what_its_seller_allowed_but_still_reads_the_feed(
    desk: Administration, world: World, yoga: Bookable, given_anew: bool
) -> None:
    """AUTH-03, OFEED-15: the partner has to see there what has ended."""
    client = a_partner(desk, world)
    key = desk.api_keys.add(client.id, seller="1")
    desk.authorisations.revoke("1", client.id)
    if given_anew:
        desk.authorisations.authorise("1", client.id)
    assert quote(world, yoga, X_API_Key=key) == 401
    assert feed(world, X_API_Key=key) == 200


def test_the_api_key_of_a_suspended_seller_rests(desk: Administration, world: World, yoga: Bookable) -> None:
    key = desk.api_keys.add(a_partner(desk, world).id, seller="1")
    desk.sellers.suspend("1")
    assert quote(world, yoga, X_API_Key=key) == 401
    desk.sellers.resume("1")
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 200


def test_a_key_that_hangs_on_no_authorisation_ends_with_whichever_there_is(
    desk: Administration, world: World, yoga: Bookable
) -> None:
    key = desk.api_keys.add(a_partner(desk, world).id, seller="1")
    (entry,) = desk.entries.all(ApiKey)
    desk.entries.change(entry, lambda found: replace(found, authorisation_id=None))
    assert quote(world, yoga, X_API_Key=key) == 200
    desk.authorisations.revoke("1")
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 401


def test_the_beginning_of_a_key_must_be_long_enough_and_fit_one(desk: Administration) -> None:
    client_id = desk.partners.add("B")[0].id
    for number in range(2):
        desk.entries.add(ApiKey(f"abcdef{number}", client_id, None, desk.system.now()), taken="")
    for prefix, said in (
        ("abcde", "at least 6"),
        ("abcdef", "2 API keys begin"),
        ("abcdee", "No API keys begin"),
    ):
        with pytest.raises(AdministrationError, match=said):
            desk.api_keys.revoke(prefix)
    desk.api_keys.revoke("ABCDEF1")
    assert [key.digest for key in desk.entries.all(ApiKey)] == ["abcdef0"]
