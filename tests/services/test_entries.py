"""Changes of the register while others change it too, or the store is busy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.identity.entries import Login, Partner
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.storage.errors import StillBusy
from tests.support.administering import (
    SECRET,
    Identities,
    a_partner,
    a_token,
    busy,
    done,
)
from tests.support.oauth import Client
from tests.support.world import World


def test_what_others_change_meanwhile_stays(
    desk: Administration, world: World, identities: Identities
) -> None:
    client = a_partner(desk, world)
    other = Administration(world.system, "sam")

    def suspended() -> None:
        other.partners.suspend(client.id)

    identities.before_saves = [suspended]
    desk.partners.rotate_secret(client.id, keep_old=timedelta(hours=1))
    partner = desk.entries.partner(client.id)
    assert partner.suspended
    assert len(partner.secrets) == 2


def test_who_is_removed_meanwhile_is_said(desk: Administration, identities: Identities) -> None:
    desk.logins.add("alex", ["1"], SECRET)
    other = Administration(desk.system, "sam")

    def removed() -> None:
        other.logins.remove("alex")

    identities.before_saves = [removed]
    with pytest.raises(AdministrationError, match="just removed"):
        desk.logins.suspend("alex")
    assert desk.entries.all(Login) == []


def test_an_answer_that_was_lost_does_no_harm(
    desk: Administration, world: World, identities: Identities
) -> None:
    identities.after_saves = [busy]
    client = a_partner(desk, world)
    identities.after_saves = [busy]
    new = desk.partners.rotate_secret(client.id, keep_old=timedelta(hours=1))
    assert [a_token(each).status for each in (client, Client(world, client.id, new))] == [200, 200]
    assert len(desk.entries.all(Partner)) == 1
    assert len(desk.entries.partner(client.id).secrets) == 2
    assert done(desk) == ["partner added", "secret rotated"]


def test_an_engine_that_stays_busy_is_given_up(desk: Administration, identities: Identities) -> None:
    identities.before_saves = [busy] * 16
    with pytest.raises(StillBusy):
        desk.partners.add("Broker Ltd")
    assert desk.entries.all(Partner) == []
