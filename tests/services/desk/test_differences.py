"""What actions of a Seller have changed, as their results and the journal say it; and how short ids are understood."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.parties import AccessMethod, Json
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from chalicelib.services.desk.places import place_named, places_in
from chalicelib.services.desk.sessions import Move
from chalicelib.services.errors import InvalidValue, NotFound, NotPossible
from chalicelib.services.journal import Wanted
from chalicelib.values import replace
from tests.support.inventory import Bookable, seller_id
from tests.support.world import Broker, World

UUID = "30000000-0000-4000-8000-00000000000"
SITE: Json = {"@type": "Place", "@id": "https://x.example/places/centre", "name": "Centre", "telephone": "1"}
HERE: Json = {"@type": "Place", "@id": f"{SITE['@id']}/studio-1", "name": "Studio 1, Centre"}
ROOM: Json = {**HERE, "containedInPlace": {term: SITE[term] for term in ("@type", "@id", "name")}}


def booked(world: World, session: Bookable, number: int = 1) -> str:
    assert Broker(world).b(f"{UUID}{number}", session.item()).status == 201
    return f"{UUID}{number}"


def with_access(world: World, *methods: AccessMethod) -> None:
    seller = world.store.seller(seller_id(1))
    assert seller is not None
    world.store.save_seller(replace(seller, access_methods=methods))


def entries(desk: Administration, **wanted: Any) -> list[tuple[str, dict[str, str]]]:
    rows, _ = desk.journal.page(Wanted(**wanted), 100)
    return [(row["what"], row["changed"]) for row in rows]


def test_a_move_says_what_was_and_what_is(world: World, desk: Administration, actor: Actor) -> None:
    yoga = world.session()
    before = desk.seller_lists.session(actor, yoga.id)
    starts_at = before["starts"] + timedelta(hours=1)
    done = desk.seller_sessions.move(actor, yoga.id, Move(starts_at=starts_at, name="Pilates"))
    assert done.differences["name"] == f"{before['name']} → Pilates"
    assert (
        done.differences["start"] == f"{before['starts']:%Y-%m-%d %H:%M} UTC → {starts_at:%Y-%m-%d %H:%M} UTC"
    )
    assert entries(desk, session=yoga.id) == [("session moved", done.differences)]


def test_a_dry_run_returns_what_would_be_different_and_writes_nothing(
    world: World, desk: Administration, actor: Actor
) -> None:
    uuid = booked(world, world.session())
    would = desk.seller_orders.cancel(actor, uuid, message="Private words", dry_run=True)
    assert would["status"] == "SellerCancelled"
    assert would["differences"] == {
        "status": "OrderItemConfirmed → SellerCancelled",
        "due": "10.00 GBP → 0.00 GBP",
        "message": "given",
    }
    assert desk.seller_lists.booking(actor, uuid)["status"] == "OrderItemConfirmed"
    assert entries(desk) == []
    done = desk.seller_orders.cancel(actor, uuid, message="Private words")
    assert done["differences"] == would["differences"]
    assert (done["due"], done["currency"]) == (0, "GBP")
    assert "Private words" not in str(entries(desk))


def test_the_journal_of_an_order_shows_what_was_done_to_its_sessions_since(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga, other = world.session(), world.session(starts_in=timedelta(days=9))
    desk.seller_sessions.set_on_sale(actor, yoga.id, False)
    desk.seller_sessions.set_on_sale(actor, yoga.id, True)
    world.clock.advance(minutes=1)
    uuid = booked(world, yoga)
    world.clock.advance(minutes=1)
    desk.seller_sessions.move(actor, yoga.id, Move(name="Pilates"))
    desk.seller_sessions.move(actor, other.id, Move(name="Zumba"))
    desk.seller_orders.cancel(actor, uuid)
    for partner in (None, "partner-1"):
        sessions = desk.sessions_of_order(uuid, partner, None)
        found = entries(desk, order=uuid, sessions=sessions)
        assert [what for what, _ in found] == ["booking cancelled", "session moved"]
    assert desk.sessions_of_order(f"{UUID}9", None, None) == {}


def test_access_says_what_was_added_or_replaced_and_refuses_what_does_nothing(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session()
    plain = booked(world, yoga)
    with pytest.raises(NotPossible, match=r"Nothing was changed: booking .* has no codes or passes"):
        desk.seller_orders.set_access(actor, plain, codes=True, passes=True)
    with pytest.raises(NotPossible, match="Nothing was changed: what is booked has no codes or passes"):
        desk.seller_sessions.set_access(actor, yoga.id, codes=True, dry_run=True)
    assert desk.seller_orders.set_access(actor, plain, code="4711")["differences"] == {"code": "1 added"}
    with_access(world, AccessMethod.code)
    coded = booked(world, yoga, 2)
    shown = desk.seller_orders.set_access(actor, coded, codes=True, passes=True)
    assert shown["differences"] == {"code": "1 replaced"}
    done = desk.seller_sessions.set_access(actor, yoga.id, codes=True, passes=True)
    assert done.differences == {"code": "1 booking", "pass": "0 bookings"}
    assert all("4711" not in str(changed) for _, changed in entries(desk))


def test_short_ids_name_sessions_and_orders_of_the_seller_alone(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session()
    short = desk.seller_lists.session(actor, yoga.id)["short_id"]
    assert "://" not in short
    assert desk.seller_lists.session(actor, short)["id"] == desk.seller_lists.session(actor, yoga.id)["id"]
    first, second = booked(world, yoga), booked(world, yoga, 2)
    with pytest.raises(InvalidValue, match=f"Several UUIDs begin with {UUID} .*{first}, {second}"):
        desk.seller_lists.booking(actor, UUID)
    desk.seller_orders.cancel(actor, first)
    assert desk.seller_lists.booking(actor, first)["uuid"] == first
    with pytest.raises(InvalidValue, match=f"Several UUIDs begin with 3 .*{first}, {second}"):
        desk.seller_lists.booking(actor, "3")
    with pytest.raises(NotFound):
        desk.seller_lists.booking(actor, "")
    with pytest.raises(NotFound):
        desk.seller_lists.booking(desk.actor("2"), UUID)
    with pytest.raises(NotFound):
        desk.seller_lists.session(desk.actor("2"), short)


def test_a_place_is_a_site_or_room_of_the_seller_where_there_is_one() -> None:
    places = places_in([{"location": ROOM}, {"location": SITE}, {"name": "online"}])
    assert places == [ROOM, SITE]
    for name in ("Studio 1", "studio-1", "Studio 1, Centre"):
        assert place_named(name, places, SITE) == ROOM
    assert place_named("centre", places, SITE) == SITE
    assert place_named("Studio 2", places, SITE) is None
    elsewhere = {**ROOM, "@id": "https://x.example/places/west/studio-1", "containedInPlace": {"@id": "w"}}
    assert place_named("studio-1", [*places, elsewhere], SITE) == ROOM
    with pytest.raises(InvalidValue, match="Several places are called studio-1"):
        place_named("studio-1", [*places, elsewhere], {"@id": "another"})


def test_another_name_is_a_part_of_the_present_site_for_reports_too(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(session={"location": SITE})
    desk.seller_sessions.move(actor, yoga.id, Move(place="Studio 9"))
    location = world.store.listings([yoga.id])[yoga.id][0].opportunity.stated("location")
    assert (location["name"], location["containedInPlace"]["@id"]) == ("Studio 9", SITE["@id"])
    desk.seller_sessions.move(actor, yoga.id, Move(place="Hall", address={"postalCode": "BS1 1AA"}))
    location = world.store.listings([yoga.id])[yoga.id][0].opportunity.stated("location")
    assert "@id" not in location and "containedInPlace" not in location


def test_a_replaced_seller_is_noted_by_the_names_of_what_is_different(desk: Administration) -> None:
    seller = desk.sellers.find("1")
    desk.sellers.add({**seller.document, "name": "Secret Person"}, seller.tax_rate, replacing=True)
    [(what, changed)] = entries(desk)
    assert (what, changed) == ("seller replaced", {"details": "name"})
    shown = desk.sellers.shown(desk.sellers.find("1"))
    assert (shown["bookable"], shown["missing"], shown["name"]) == (True, [], "Secret Person")
