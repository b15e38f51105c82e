"""The journal: who did what, when, by ids alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.identity.entries import JournalEntry
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.storage.errors import RecordChanged
from tests.support.administering import (
    Identities,
    a_partner,
    a_token,
    busy,
)
from tests.support.world import World, outer, seller_id


def test_the_journal_says_who_did_what_when_by_ids(desk: Administration, world: World) -> None:
    client = a_partner(desk, world)
    world.clock.advance(minutes=1)
    desk.authorisations.authorise("1", client.id)
    first, second = desk.journal.listed()
    assert (first["what"], first["by"], first["ids"]) == ("partner added", "kim", [f"partner {client.id}"])
    assert second["at"] == world.clock.now
    assert second["ids"] == [f"partner {client.id}", f"seller {outer(seller_id(1))}"]


def test_the_journal_is_read_by_the_month_and_kept_for_400_days(
    desk: Administration, world: World, identities: Identities
) -> None:
    desk.invitations.add()
    world.clock.advance(days=30)
    assert desk.journal.listed() == []
    assert len(desk.journal.listed("2026-06")) == 1
    (record,) = identities.parts("journal#2026-06")
    assert record.expires_at == world.clock.now + timedelta(days=370)
    with pytest.raises(AdministrationError, match="not a month"):
        desk.journal.listed("June")


def test_a_journal_that_cannot_be_written_is_said_and_undoes_nothing(
    desk: Administration, world: World, identities: Identities
) -> None:
    identities.before_saves = [lambda: None, *[busy] * 16]
    client = a_partner(desk, world)
    assert a_token(client).status == 200
    assert desk.journal.unwritten is not None
    assert f"partner added (partner {client.id})" in desk.journal.unwritten


def test_an_entry_of_the_journal_is_never_written_over(desk: Administration) -> None:
    entry = JournalEntry("1", desk.system.now(), "x", "kim", {})
    desk.system.register.save(entry)
    with pytest.raises(RecordChanged):
        desk.system.register.save(replace(entry, what="y"))
