"""Booking partners by their secrets, and invitations (AUTH-05)."""

from typing import Any

import pytest

from chalicelib.identity.entries import Invitation, Partner, Secret
from chalicelib.identity.hashing import digest
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import System
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import replace
from tests.support.builders import NOW, Clock
from tests.support.oauth import add_partner, change
from tests.support.world import World


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock


def use(system: System, invitation: Invitation) -> bool:
    """Register a partner with it; whether there was a use left."""
    return (
        Administration(system).partners.register(
            invitation, "Broker", redirect_uris=(), grant_types=(), scopes=(), url=None
        )
        is not None
    )


class TestPartners:
    def test_secret_is_known_by_its_digest_until_it_ends(self, system: System, clock: Clock) -> None:
        """AUTH-05: two are good at once while a partner changes over."""
        partner = add_partner(system, "Broker", "old", "p")
        later = clock.now.replace(hour=13)
        both = (replace(partner.secrets[0], ends_at=later), Secret(digest("new"), clock.now))
        partner = system.register.save(replace(partner, secrets=both))
        assert "old'" not in repr(partner)
        assert system.credentials.has_secret(partner, "old") and system.credentials.has_secret(partner, "new")
        assert not system.credentials.has_secret(partner, "") and not system.credentials.has_secret(
            partner, digest("new")
        )
        clock.advance(hours=1)
        assert not system.credentials.has_secret(partner, "old") and system.credentials.has_secret(
            partner, "new"
        )

    def test_id_that_is_taken_is_not_given_again(self, system: System) -> None:
        add_partner(system, "Broker", "s", "p")
        with pytest.raises(RecordChanged):
            add_partner(system, "Thief", "t", "p")

    def test_suspended_one_is_as_none(self, system: System) -> None:
        add_partner(system, "Broker", "s", "p")
        assert system.credentials.partner("p") is not None
        change(system, Partner, Partner.key_of("p"), suspended=True)
        assert system.credentials.partner("p") is None


class TestInvitations:
    def invite(self, system: System, **changes: Any) -> None:
        system.register.save(replace(Invitation(digest("i"), "", NOW, None, 1), **changes))

    def test_is_used_up(self, system: System) -> None:
        self.invite(system, uses_left=2)
        for _ in range(2):
            invitation = system.credentials.invitation("i")
            assert invitation is not None and use(system, invitation)
        assert system.credentials.invitation("i") is None

    def test_last_use_goes_to_one_of_two(self, system: System) -> None:
        self.invite(system)
        one, two = system.credentials.invitation("i"), system.credentials.invitation("i")
        assert one is not None and two is not None
        assert use(system, one)
        assert not use(system, two)

    def test_may_be_good_any_number_of_times(self, system: System) -> None:
        self.invite(system, uses_left=None)
        for _ in range(5):
            invitation = system.credentials.invitation("i")
            assert invitation is not None and use(system, invitation)

    def test_ends(self, system: System, clock: Clock) -> None:
        self.invite(system, ends_at=NOW.replace(hour=13))
        assert system.credentials.invitation("i") is not None
        clock.advance(hours=1)
        assert system.credentials.invitation("i") is None
