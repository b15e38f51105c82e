"""The journal: who did what, when, by ids alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.identity.entries import JournalEntry
from chalicelib.identity.register import AppendOnly
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor, Via
from chalicelib.services.errors import AdministrationError
from chalicelib.services.journal import Wanted
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import replace
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


def test_an_entry_of_the_journal_is_neither_changed_nor_removed(desk: Administration) -> None:
    desk.invitations.add()
    (entry,) = desk.system.register.journal("2026-06")
    for forbidden in (
        lambda: desk.system.register.save(replace(entry, what="y")),
        lambda: desk.system.register.remove(entry),
        lambda: desk.entries.change(entry, lambda found: replace(found, what="y")),
    ):
        with pytest.raises(AppendOnly):
            forbidden()
    assert desk.system.register.journal("2026-06") == [entry]


def test_a_user_is_an_id_whose_name_can_be_erased(desk: Administration, identities: Identities) -> None:
    desk.invitations.add()
    (record,) = identities.parts("journal#2026-06")
    assert "kim" not in record.document
    name = desk.journal.of_name("kim")
    assert name is not None
    desk.entries.remove(name)
    (entry,) = desk.journal.listed()
    assert entry["by"] == name.id
    desk.journal.note("x")
    assert [each["by"] for each in desk.journal.listed()] == [name.id, name.id]  # until they act again
    again = Administration(desk.system, "kim")
    again.journal.note("y")
    assert {each["by"] for each in again.journal.listed()} == {"kim"}


def test_an_actor_is_named_with_where_it_acts_and_for_which_seller(desk: Administration) -> None:
    desk.journal.note_as(
        Actor("login-1", Via.page, seller_id(1), "203.0.113.9"),
        "session moved",
        session="https://a.example/1",
    )
    desk.journal.note_as(Actor("robin", Via.command_line, seller_id(2)), "order cancelled", order="2")
    first, second = desk.journal.listed()
    assert (first["by"], first["from"]) == ("login-1", "page, 203.0.113.9")
    assert first["ids"] == [f"seller {outer(seller_id(1))}", "session https://a.example/1"]
    assert (second["by"], second["from"]) == ("robin", "command line")


def test_an_address_is_kept_for_90_days(desk: Administration, world: World, identities: Identities) -> None:
    desk.journal.note_as(Actor("login-1", Via.page, seller_id(1), "203.0.113.9"), "x")
    (record,) = identities.parts("journal#2026-06")
    assert "203.0.113.9" not in record.document
    (name,) = identities.all("journal-name")
    assert name.expires_at == world.clock.now + timedelta(days=90)


def test_pages_go_back_through_the_months(desk: Administration, world: World) -> None:
    for number in range(4):
        desk.journal.note("x", order=str(number))
        world.clock.advance(days=20)
    found, after = [], ""
    while True:
        rows, following = desk.journal.page(Wanted(), 1, after)
        found += [row["ids"] for row in rows]
        if following is None:
            break
        after = following
    assert found == [[f"order {number}"] for number in (3, 2, 1, 0)]
    rows, following = desk.journal.page(Wanted(month="2026-06"), 100)
    assert ([row["ids"] for row in rows], following) == ([["order 1"], ["order 0"]], None)
