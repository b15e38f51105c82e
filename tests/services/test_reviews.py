"""What a partner still sees of a Seller that has ended, or begun again, its authorisation (OFEED-15)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.api.streams import orders_changed
from chalicelib.api.sweep import sweep
from chalicelib.domain.orders import OrderKey
from chalicelib.identity.scopes import BOOKING
from chalicelib.runtime.system import System, install
from chalicelib.services import reviews
from chalicelib.storage.dynamodb.rows import order_row
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.values import replace
from tests.support.world import Broker, World, seller_id

TABLES = Tables(Engine("test", "eu-west-2", "http://127.0.0.1:1", "test", "test"))
UUIDS = [f"10000000-0000-4000-8000-{number:012d}" for number in range(7)]


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    install(None)


@pytest.fixture
def system(world: World) -> System:
    for number in (1, 2):
        world.system.consent.authorise("partner-1", seller_id(number), [BOOKING], "operator")
    return world.system


def book_and_cancel(world: World, uuid: str, seller: int = 1) -> None:
    """An Order that has changed, so that it stands in its partner's feed."""
    broker = Broker(world, seller=seller)
    session = world.session(seller=seller)
    booked = broker.b(uuid, session.item(), due=10 if seller == 1 else 12)
    assert booked.status == 201, booked.body
    cancelled = broker.cancel(uuid, booked.json["orderedItem"][0]["@id"])
    assert cancelled.status == 204, cancelled.body
    publish(world, uuid)


def publish(world: World, *uuids: str) -> None:
    """What the stream would bring."""
    records: list[dict[str, Any]] = []
    for uuid in uuids:
        order = world.order(uuid)
        assert order is not None
        image = order_row(order)
        records.append(
            {
                "eventName": "MODIFY",
                "dynamodb": {"NewImage": image, "OldImage": {}, "Keys": {}, "SequenceNumber": uuid},
            }
        )
    assert orders_changed(records) == {"batchItemFailures": []}


def shown(world: World) -> dict[str, str]:
    """The state of each item in the feed."""
    page = Broker(world, seller=None).send("GET", "/api/openbooking/orders-rpde").json
    return {item["id"]: item["state"] for item in page["items"]}


def test_orders_of_a_revoked_seller_are_deleted_in_the_feed_and_others_stay(
    world: World, system: System
) -> None:
    book_and_cancel(world, UUIDS[0], seller=1)
    book_and_cancel(world, UUIDS[1], seller=2)
    assert shown(world) == {UUIDS[0]: "updated", UUIDS[1]: "updated"}
    assert system.consent.revoke("partner-1", seller_id(1), "operator")
    assert sweep()[reviews.KIND] == 2
    publish(world, UUIDS[0], UUIDS[1])
    assert shown(world) == {UUIDS[0]: "deleted", UUIDS[1]: "updated"}
    assert sweep()[reviews.KIND] == 0


def test_they_come_back_when_the_seller_allows_it_again(world: World, system: System) -> None:
    book_and_cancel(world, UUIDS[0])
    before = json.loads(Broker(world).send("GET", "/api/openbooking/orders-rpde").body)["items"][0]["data"]
    system.consent.revoke("partner-1", seller_id(1), "operator")
    sweep()
    publish(world, UUIDS[0])
    system.consent.authorise("partner-1", seller_id(1), [BOOKING], "login")
    assert sweep()[reviews.KIND] == 1
    publish(world, UUIDS[0])
    after = json.loads(Broker(world).send("GET", "/api/openbooking/orders-rpde").body)["items"][0]
    assert (after["state"], after["data"]) == ("updated", before)


def test_what_changes_after_the_revocation_is_not_shown_either(world: World, system: System) -> None:
    """An access token that is still good for some minutes may still book."""
    system.consent.revoke("partner-1", seller_id(1), "operator")
    sweep()
    book_and_cancel(world, UUIDS[0])
    assert shown(world) == {}
    system.consent.authorise("partner-1", seller_id(1), [BOOKING], "login")
    sweep()
    publish(world, UUIDS[0])
    assert shown(world) == {UUIDS[0]: "updated"}


def test_a_suspension_keeps_items(world: World, system: System) -> None:
    from chalicelib.identity.entries import Authorisation

    book_and_cancel(world, UUIDS[0])
    key = Authorisation.key_of("partner-1", seller_id(1))
    standing = system.register.find(Authorisation, key)
    assert standing is not None
    system.register.save(replace(standing, suspended=True))
    publish(world, UUIDS[0])
    assert not system.consent.is_revoked("partner-1", seller_id(1))
    assert shown(world) == {UUIDS[0]: "updated"}


def test_revoking_twice_does_nothing_more(world: World, system: System) -> None:
    assert system.consent.revoke("partner-1", seller_id(1), "operator")
    assert not system.consent.revoke("partner-1", seller_id(1), "operator")
    assert not system.consent.revoke("partner-1", seller_id(3), "operator")
    assert len(world.pending.entries(reviews.KIND, 10)) == 1


def test_steps_are_bounded_and_one_that_is_cut_off_is_taken_again(world: World, system: System) -> None:
    for uuid in UUIDS:
        book_and_cancel(world, uuid)
    system.consent.revoke("partner-1", seller_id(1), "operator")
    system = world.system
    versions = {uuid: world.system.store.snapshot(_wanted(uuid)).order for uuid in UUIDS}
    seen = []
    while entries := world.pending.entries(reviews.KIND, 1):
        # As if the process had died before it could save its progress: the step is taken twice.
        for entry in (entries[0], entries[0]):
            step = reviews.take_step(
                entry, system.feeds, system.store, world.clock.now, system.retry, limit=3
            )
        seen.append(step.handled)
        if step.progress is None:
            world.pending.finish(entries[0])
        else:
            world.pending.save(replace(entries[0], progress=step.progress))
    assert seen == [3, 3, 1]
    publish(world, *UUIDS)
    assert set(shown(world).values()) == {"deleted"}
    assert all(world.order(uuid).version > versions[uuid].version for uuid in UUIDS)  # type: ignore[union-attr]


def _wanted(uuid: str) -> Any:
    from chalicelib.booking.decisions import Wanted

    return Wanted(OrderKey("partner-1", uuid))
