"""What a booking partner may do without anybody's login (AUTH-06)."""

from typing import Any

import pytest
from authlib.oauth2.rfc6749 import InvalidScopeError

from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.identity.oauth.client_grant import allowed_without_login
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.scopes import BOOKING, OPENID, ORDERS_FEED
from chalicelib.runtime.system import System
from tests.support.oauth import add_partner, change
from tests.support.world import seller_id

SELLER = seller_id(1)


def allowed(system: System, scope: str | None = None, **partner: Any) -> tuple[str | None, tuple[str, ...]]:
    made = add_partner(system, "Broker", "secret", "p", **partner)
    return allowed_without_login(Client(made, system.credentials), scope, system.consent)


def test_partner_of_no_seller_reads_its_feed(system: System) -> None:
    assert allowed(system) == (None, (ORDERS_FEED,))


def test_partner_acts_for_the_seller_that_lets_it_do_so_alone(system: System) -> None:
    system.consent.authorise("p", SELLER, [BOOKING], "operator")
    assert allowed(system, seller_id=SELLER) == (SELLER, (BOOKING, ORDERS_FEED))


def test_feed_alone_names_no_seller(system: System) -> None:
    system.consent.authorise("p", SELLER, [BOOKING], "operator")
    assert allowed(system, ORDERS_FEED, seller_id=SELLER) == (None, (ORDERS_FEED,))


@pytest.mark.parametrize("ended", ["never allowed", "another scope", "suspended", "seller suspended"])
def test_seller_that_does_not_allow_it_now_is_not_acted_for(system: System, ended: str) -> None:
    """AUTH-03."""
    if ended != "never allowed":
        scopes = [OPENID if ended == "another scope" else BOOKING]
        system.consent.authorise("p", SELLER, scopes, "operator")
    if ended == "suspended":
        change(system, Authorisation, Authorisation.key_of("p", SELLER), suspended=True)
    if ended == "seller suspended":
        system.register.save(SellerStanding(SELLER, suspended=True))
    assert allowed(system, seller_id=SELLER) == (None, (ORDERS_FEED,))


@pytest.mark.parametrize("scope", [BOOKING, OPENID, "everything"])
def test_nothing_that_was_asked_for_is_an_error(system: System, scope: str) -> None:
    with pytest.raises(InvalidScopeError):
        allowed(system, scope)
