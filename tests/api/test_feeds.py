"""Feeds and dataset site end to end: what a stream brings is what a reader gets."""

import json
import re
from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.storage.feeds import PageRows
from tests.support.memory import MemoryFeeds
from tests.support.world import (
    API,
    BASE_URL,
    MEDIA_TYPE,
    Bookable,
    Broker,
    World,
    capacity_record,
    order_record,
    outer,
)

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"


def orders_changed(world: World, *uuids: str, partner: str = "partner-1") -> dict[str, Any]:
    """Hand the rows of these Orders to the stream's handler, as Lambda does."""
    from chalicelib.api.streams import orders_changed as handler

    orders = [world.order(uuid, partner) for uuid in uuids]
    return handler([order_record(order, str(n)) for n, order in enumerate(orders, 1) if order is not None])


def inventory_changed(world: World, *changed: Bookable | str) -> dict[str, Any]:
    from chalicelib.api.streams import inventory_changed as handler

    ids = [each if isinstance(each, str) else each.id for each in changed]
    return handler([capacity_record(each, str(n)) for n, each in enumerate(ids, 1)])


def read(broker: Broker, path: str) -> Any:
    return broker.send("GET", path)


def walk(broker: Broker, path: str) -> list[dict[str, Any]]:
    """All items, following `next` to the end."""
    items: list[dict[str, Any]] = []
    for _ in range(20):
        page = read(broker, path).json
        items += page["items"]
        if page["next"] == BASE_URL + path:
            assert page["items"] == []
            return items
        path = page["next"].removeprefix(BASE_URL)
    raise AssertionError("the feed does not end")


def test_order_enters_the_feed_at_its_first_change(world: World, broker: Broker) -> None:
    """OFEED-02, OFEED-03, OFEED-05, OFEED-07, OFEED-10, OFEED-12, CANCEL-11, DEL-03, RPDE-06."""
    yoga = world.session(spaces=5, price=12)
    booked = broker.b(UUID, yoga.item(0), yoga.item(1), due=24)
    assert orders_changed(world, UUID) == {"batchItemFailures": []}
    assert walk(broker, f"{API}/orders-rpde") == []
    item_ids = [item["@id"] for item in booked.json["orderedItem"]]
    broker.cancel(UUID, item_ids[0])
    orders_changed(world, UUID)
    [item] = walk(broker, f"{API}/orders-rpde")
    assert (item["state"], item["kind"], item["id"], item["modified"]) == ("updated", "Order", UUID, 1)
    data = item["data"]
    assert data["identifier"] == UUID
    assert data["totalPaymentDue"]["price"] == 12
    assert [(each["@id"], each["orderItemStatus"].rsplit("/", 1)[1]) for each in data["orderedItem"]] == [
        (item_ids[0], "CustomerCancelled"),
        (item_ids[1], "OrderItemConfirmed"),
    ]
    assert "geoff" not in json.dumps(item)  # OFEED-16
    assert not {"customer", "broker", "seller", "payment", "bookingService"} & set(data)

    orders_changed(world, UUID)  # the same record once more is no news
    assert [each["modified"] for each in walk(broker, f"{API}/orders-rpde")] == [1]
    broker.delete(UUID)
    orders_changed(world, UUID)
    [item] = walk(broker, f"{API}/orders-rpde")
    assert item == {"state": "deleted", "kind": "Order", "id": UUID, "modified": 2}


def test_reader_is_sent_on_past_what_has_moved_on(world: World, broker: Broker) -> None:
    """RPDE-09: a page without items would be the end of the feed."""
    world.system.feeds = LongGap()
    for path in (f"{API}/orders-rpde", "/feeds/scheduled-sessions"):
        answer = read(broker, path)
        assert answer.status == 307
        assert answer.headers["Location"] == f"{BASE_URL}{path}?afterChangeNumber=64000"
        assert read(broker, f"{path}?afterChangeNumber=64000").json["items"] == []


class LongGap(MemoryFeeds):
    """64,000 rows without an item, and nothing after them."""

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        if after < 64_000:
            return PageRows((), 64_000, more=True)
        return PageRows((), None, more=False)


def test_order_that_was_never_shown_is_not_taken_back(world: World, broker: Broker) -> None:
    """DEL-03."""
    broker.b(UUID, world.session().item())
    broker.delete(UUID)
    orders_changed(world, UUID)
    assert walk(broker, f"{API}/orders-rpde") == []


def test_each_partner_has_a_feed_of_its_own(world: World, broker: Broker) -> None:
    """OFEED-01, AUTH-02; AUTH-06: over all Sellers."""
    other = Broker(world, "partner-2")
    for who, seller, uuid in ((broker, 1, UUID), (Broker(world, seller=2), 2, OTHER), (other, 1, UUID)):
        yoga = world.session(seller=seller, price=10)
        booked = who.b(uuid, yoga.item(), due=10 if seller == 1 else 12)
        assert who.cancel(uuid, booked.json["orderedItem"][0]["@id"]).status == 204
        orders_changed(world, uuid, partner=str(who.partner))
    assert {item["id"] for item in walk(Broker(world, seller=None), f"{API}/orders-rpde")} == {UUID, OTHER}
    assert [item["id"] for item in walk(other, f"{API}/orders-rpde")] == [UUID]
    assert walk(Broker(world, "partner-3"), f"{API}/orders-rpde") == []


def test_orders_feed_is_nobody_elses_and_not_to_be_cached(world: World, broker: Broker) -> None:
    """OFEED-06, RPDE-08, RPDE-19, T11."""
    answer = read(broker, f"{API}/orders-rpde")
    assert answer.media_type == MEDIA_TYPE
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.json == {"next": f"{BASE_URL}{API}/orders-rpde", "items": []}


def test_open_feed_shows_the_spaces_that_are_left_now(world: World, broker: Broker) -> None:
    """OPEN-01, LEASE-08, RPDE-07, RPDE-16, RPDE-18, RPDE-19."""
    yoga = world.session(spaces=5)
    feed = "/feeds/scheduled-sessions"

    def shown() -> int:
        inventory_changed(world, yoga)
        [item] = walk(broker, feed)
        return int(item["data"]["remainingAttendeeCapacity"])

    assert shown() == 5
    broker.c1(UUID, yoga.item(0), yoga.item(1))
    assert shown() == 3
    booked = broker.b(UUID, yoga.item(0), yoga.item(1), due=20)
    assert shown() == 3
    broker.cancel(UUID, booked.json["orderedItem"][0]["@id"])
    assert shown() == 4
    answer = read(broker, feed)
    assert answer.media_type == "application/vnd.openactive.rpde+json; version=1"
    assert answer.headers["Cache-Control"] == "public, max-age=8"
    assert answer.json["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert b"base.invalid" not in answer.body
    [item] = answer.json["items"]
    assert item["id"] == item["data"]["@id"] == yoga.outer_id
    assert answer.json["next"] == f"{BASE_URL}{feed}?afterChangeNumber={item['modified']}"


def test_lease_that_has_ended_is_shown_again_once_it_is_swept(world: World, broker: Broker) -> None:
    """LEASE-09."""
    from chalicelib.api.sweep import sweep

    yoga = world.session(spaces=5)
    broker.c1(UUID, yoga.item())
    assert sweep()["lease"] == 0
    world.clock.advance(hours=1)
    assert sweep()["lease"] == 1
    assert sweep()["lease"] == 0
    inventory_changed(world, yoga)
    [item] = walk(broker, "/feeds/scheduled-sessions")
    assert item["data"]["remainingAttendeeCapacity"] == 5


@pytest.mark.parametrize("feed", ["session-series", "scheduled-sessions", "facility-uses", "slots"])
def test_each_type_has_its_feed_and_nobody_has_to_say_who_they_are(world: World, feed: str) -> None:
    """AUTH-01, OPEN-01, RPDE-05."""
    yoga, court = world.session(), world.slot()
    inventory_changed(world, yoga, court, *(kind(each) for each in (yoga, court) for kind in (parent_id,)))
    stranger = Broker(world, partner=None, seller=None)
    items = walk(stranger, f"/feeds/{feed}")
    assert len(items) == 1
    assert "remaining" in json.dumps(items) or feed in ("session-series", "facility-uses")


def parent_id(bookable: Bookable) -> str:
    return bookable.id.replace("scheduled-sessions", "session-series").replace("slots", "facility-uses")


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 17])
def test_place_that_no_page_has_given_is_refused(world: World, broker: Broker, after: str) -> None:
    answer = read(broker, f"/feeds/slots?afterChangeNumber={after}")
    assert (answer.status, answer.json["@type"]) == (400, "UnknownOrIncorrectEndpointError")
    assert "afterChangeNumber" in answer.json["description"]
    assert "body" not in json.dumps(answer.json)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "", "9" * 17])
@pytest.mark.shows("InvalidParameterError")
def test_limit_that_is_no_number_of_items_is_refused(world: World, broker: Broker, limit: str) -> None:
    """RPDE-13."""
    for feed in ("/feeds/slots", f"{API}/orders-rpde"):
        answer = read(broker, f"{feed}?limit={limit}")
        assert (answer.status, answer.json["@type"]) == (400, "UnknownOrIncorrectEndpointError")
        assert answer.json["description"] == "limit must be a whole number of at least 1."


@pytest.mark.parametrize(
    ("limit", "pages"), [(1, [1, 1, 1, 0]), (2, [2, 1, 0]), (3, [3, 0]), (10**6, [3, 0])]
)
def test_reader_sets_how_many_items_a_page_has(
    world: World, broker: Broker, limit: int, pages: list[int]
) -> None:
    """RPDE-13; and the last page links to itself (RPDE-09)."""
    sessions = [world.session() for _ in range(3)]
    inventory_changed(world, *sessions)
    path, found, seen = f"/feeds/scheduled-sessions?limit={limit}", [], []
    for _ in pages:
        page = read(broker, path).json
        found.append(len(page["items"]))
        seen += [item["id"] for item in page["items"]]
        last, path = path, page["next"].removeprefix(BASE_URL)
    assert (found, path) == (pages, last)
    assert seen == [outer(session.id) for session in sessions]


def test_limit_of_an_empty_feed_is_in_its_link(world: World, broker: Broker) -> None:
    """RPDE-08, RPDE-09."""
    for feed in ("/feeds/slots", f"{API}/orders-rpde", f"{API}/order-proposals-rpde"):
        assert read(broker, f"{feed}?limit=7").json["next"] == f"{BASE_URL}{feed}?limit=7"


def test_page_has_never_more_than_its_size(world: World, broker: Broker) -> None:
    """RPDE-13: whatever the reader asks for."""
    asked: list[int] = []

    class Noting(MemoryFeeds):
        def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
            asked.append(limit)
            return super().page(feed_id, after, limit, now)

    world.system.feeds = Noting()
    for query in ("", "?limit=499", "?limit=500", "?limit=501", "?limit=9007199254740991"):
        assert read(broker, f"/feeds/slots{query}").status == 200
    assert asked == [500, 499, 500, 500, 500]


def test_reader_who_is_at_the_end_finds_what_comes_later(world: World, broker: Broker) -> None:
    """RPDE-04, RPDE-06, RPDE-09."""
    first, second = world.session(), world.session()
    inventory_changed(world, first, second)
    end = read(broker, "/feeds/scheduled-sessions").json["next"].removeprefix(BASE_URL)
    assert read(broker, end).json == {
        "next": BASE_URL + end,
        "items": [],
        "license": "https://creativecommons.org/licenses/by/4.0/",
    }
    broker.b(UUID, first.item())
    inventory_changed(world, first)
    assert [item["id"] for item in read(broker, end).json["items"]] == [outer(first.id)]
    assert [item["modified"] for item in walk(broker, "/feeds/scheduled-sessions")] == [2, 3]


def test_record_that_cannot_be_read_is_parked_and_its_neighbours_go_on(
    world: World, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted, with its content, and with nothing personal in the log."""
    from chalicelib.api.streams import orders_changed as handler

    booked = broker.b(UUID, world.session().item())
    broker.cancel(UUID, booked.json["orderedItem"][0]["@id"])
    order = world.order(UUID)
    assert order is not None
    good = order_record(order, "8")
    image = {"kind": {"S": "Order"}, "document": {"B": "geoff"}}
    poison = {"dynamodb": {"Keys": {"order_key": {"S": "p#u"}}, "NewImage": image, "SequenceNumber": "7"}}
    assert handler([poison, good]) == {"batchItemFailures": []}
    assert [item["id"] for item in walk(broker, f"{API}/orders-rpde")] == [UUID]
    [parked] = world.system.parked.listed("orders")
    assert world.system.parked.content(parked) == poison
    assert parked.row == "p#u"
    assert "geoff" not in caplog.text


def test_dataset_site_says_where_everything_is(world: World, broker: Broker) -> None:
    """DATASET-01, DATASET-02."""
    answer = Broker(world, partner=None, seller=None).send("GET", "/openactive")
    assert answer.status == 200
    assert answer.media_type == "text/html; charset=utf-8"
    match = re.search(r'<script type="application/ld\+json">(.*?)</script>', answer.body.decode(), re.S)
    assert match
    document = json.loads(match[1])
    assert document["accessService"]["endpointUrl"] == f"{BASE_URL}{API}"
    assert {each["contentUrl"] for each in document["distribution"]} == {
        f"{BASE_URL}/feeds/{name}" for name in OPEN_FEEDS
    }
