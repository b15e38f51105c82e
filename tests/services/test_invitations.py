"""Invitations to register as a booking partner."""

from __future__ import annotations

import pytest

from chalicelib.identity.entries import Partner
from chalicelib.runtime.administration import Administration
from tests.support.administering import Identities, busy, done
from tests.support.oauth import register
from tests.support.world import Answer, World


def test_an_invitation_lets_so_many_register_as_was_said(desk: Administration, world: World) -> None:
    token = desk.invitations.add(note="Broker Ltd", uses=2)
    assert [register(world, token).status for _ in range(3)] == [201, 201, 401]
    assert desk.invitations.listed() == []


def test_an_invitation_ends_after_its_days(desk: Administration, world: World) -> None:
    token = desk.invitations.add(days=14)
    world.clock.advance(days=14)
    assert register(world, token).status == 401
    assert desk.invitations.listed() == []


def test_an_invitation_can_be_withdrawn(desk: Administration, world: World) -> None:
    token = desk.invitations.add(note="Broker Ltd")
    (listed,) = desk.invitations.listed()
    assert (listed["note"], listed["uses_left"]) == ("Broker Ltd", 1)
    desk.invitations.withdraw(listed["invitation"])
    assert register(world, token).status == 401
    assert done(desk) == ["invitation made", "invitation withdrawn"]


def test_a_registration_that_fails_leaves_the_invitation_as_it_was(
    desk: Administration, world: World, identities: Identities
) -> None:
    token = desk.invitations.add()
    identities.before_saves = [busy]
    assert register(world, token).status == 503
    assert desk.entries.all(Partner) == []
    assert register(world, token).status == 201
    assert register(world, token).status == 401


@pytest.mark.parametrize(("uses", "statuses"), [(2, (201, 201)), (1, (401, 201))])
def test_two_who_register_at_once_share_the_uses(
    desk: Administration, world: World, identities: Identities, uses: int, statuses: tuple[int, int]
) -> None:
    others: list[Answer] = []
    token = desk.invitations.add(uses=uses)
    identities.before_saves = [lambda: others.append(register(world, token))]
    assert (register(world, token).status, others[0].status) == statuses
    assert len(desk.entries.all(Partner)) == uses
