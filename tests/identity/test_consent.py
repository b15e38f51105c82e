"""What a Seller allows a booking partner, and whether it stands (AUTH-06, AUTH-03)."""

from typing import Any

import pytest

from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.runtime.system import System
from tests.support.builders import NOW, Clock
from tests.support.oauth import change
from tests.support.world import World, seller_id

SELLER, OTHER_SELLER = seller_id(1), seller_id(2)


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


def test_what_a_seller_allows_adds_up(system: System) -> None:
    first = system.consent.authorise("p", SELLER, ["openid"], "login-1")
    second = system.consent.authorise("p", SELLER, ["openactive-openbooking"], "login-2")
    assert second.id == first.id
    assert set(second.scopes) == {"openid", "openactive-openbooking"}
    assert system.consent.has_consent("p", SELLER, ["openid"])
    assert not system.consent.has_consent("p", SELLER, ["openid", "offline_access"])
    assert not system.consent.has_consent("p", OTHER_SELLER, [])
    assert not system.consent.has_consent("q", SELLER, [])


def test_same_again_writes_nothing(system: System) -> None:
    first = system.consent.authorise("p", SELLER, ["openid"], "l")
    assert system.consent.authorise("p", SELLER, ["openid"], "l") == first


def test_after_a_revocation_it_begins_anew(system: System, clock: Clock) -> None:
    """What hung on the earlier one stays ended."""
    first = system.consent.authorise("p", SELLER, ["openid", "offline_access"], "l")
    change(system, Authorisation, first.key, revoked_at=clock.now)
    assert system.consent.authorisation("p", SELLER) is None
    second = system.consent.authorise("p", SELLER, ["openid"], "l")
    assert second.id != first.id and second.scopes == ("openid",)


@pytest.mark.parametrize("ended", [{"suspended": True}, {"revoked_at": NOW}])
def test_what_does_not_stand_is_none(system: System, ended: dict[str, Any]) -> None:
    given = system.consent.authorise("p", SELLER, ["openid"], "l")
    assert system.consent.authorisation("p", SELLER) == given
    change(system, Authorisation, given.key, **ended)
    assert system.consent.authorisation("p", SELLER) is None
    assert not system.consent.has_consent("p", SELLER, [])


def test_suspended_seller_allows_nothing(system: System) -> None:
    system.consent.authorise("p", SELLER, ["openid"], "l")
    system.register.save(SellerStanding(SELLER, suspended=True))
    assert system.consent.authorisation("p", SELLER) is None


def test_suspended_one_stays_so_whatever_the_seller_allows(system: System) -> None:
    given = system.consent.authorise("p", SELLER, ["openid"], "l")
    change(system, Authorisation, given.key, suspended=True)
    assert not system.consent.authorise("p", SELLER, ["openid", "offline_access"], "l").stands
