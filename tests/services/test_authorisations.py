"""What an operator allows a booking partner in a Seller's name, and ends (AUTH-06)."""

from __future__ import annotations

import pytest

from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from tests.support.administering import (
    BOOKING,
    Identities,
    a_partner,
    a_token,
    done,
    quote,
)
from tests.support.oauth import add_login
from tests.support.world import Bookable, World, seller_id


def test_an_operator_allows_a_partner_and_ends_that_again(
    desk: Administration, world: World, yoga: Bookable
) -> None:
    """AUTH-06, without a login."""
    client = a_partner(desk, world)
    assert a_token(client, BOOKING).status == 400
    desk.authorisations.authorise("1", client.id)
    token = a_token(client, BOOKING).json["access_token"]
    assert quote(world, yoga, Authorization=f"Bearer {token}") == 200
    assert desk.sellers.listed()[0]["partners"] == [client.id]
    (ended,) = desk.authorisations.revoke("1", client.id)
    assert (ended.partner_id, ended.seller_id) == (client.id, seller_id(1))
    assert a_token(client, BOOKING).status == 400
    assert a_token(client).status == 200
    with pytest.raises(AdministrationError, match=f"sellers/1 does not allow booking partner {client.id}"):
        desk.authorisations.revoke("1", client.id)
    assert done(desk) == ["partner added", "partner authorised", "authorisation revoked"]


def test_a_partner_acts_without_a_login_for_one_seller(desk: Administration, world: World) -> None:
    client = a_partner(desk, world, seller="1")
    with pytest.raises(AdministrationError, match=r"already acts for another Seller without a login"):
        desk.authorisations.authorise("2", client.id)
    with pytest.raises(AdministrationError, match="everything is not a scope"):
        desk.authorisations.authorise("1", client.id, ["everything"])
    assert desk.sellers.listed()[1]["partners"] == []


def test_a_seller_revokes_all_its_partners_and_no_others(desk: Administration, world: World) -> None:
    first, second, other = (a_partner(desk, world, seller=each) for each in ("1", "1", "2"))
    assert {each.partner_id for each in desk.authorisations.revoke("1")} == {first.id, second.id}
    assert [a_token(each, BOOKING).status for each in (first, second, other)] == [400, 400, 200]
    with pytest.raises(AdministrationError, match="sellers/1 allows no booking partner"):
        desk.authorisations.revoke("1")


def test_revoking_ends_refresh_tokens_also_where_it_is_allowed_anew(
    desk: Administration, world: World
) -> None:
    client = a_partner(desk, world)
    add_login(world.system)
    refresh_token = client.authorised()["refresh_token"]
    desk.authorisations.revoke("1", client.id)
    assert client.refresh(refresh_token).status == 400
    client.authorised()
    assert client.refresh(refresh_token).status == 400


def test_a_revocation_that_meets_another_change_is_made_all_the_same(
    desk: Administration, world: World, identities: Identities
) -> None:
    client = a_partner(desk, world, seller="1")

    def more() -> None:
        Administration(world.system).authorisations.allow(client.id, seller_id(1), ("openid",))

    identities.before_saves = [more]
    desk.authorisations.revoke("1", client.id)
    assert world.system.consent.authorisation(client.id, seller_id(1)) is None
    assert world.system.consent.revoke(client.id, seller_id(1), "kim") is None
