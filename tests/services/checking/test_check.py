"""Each kind of planted damage is found, named by its row, and mended where that is safe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.attributes import NumberAttribute

from chalicelib.booking.decisions import save_order
from chalicelib.domain.capacity import Capacity, share_key
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import Order
from chalicelib.feeds.names import proposals_feed
from chalicelib.feeds.parked import ParkedRecords
from chalicelib.identity.consent import FeedReview
from chalicelib.services.checking.findings import EXPLANATIONS, Damage
from chalicelib.services.checking.repair import Repair
from chalicelib.storage import codec
from chalicelib.storage.dynamodb.rows import to_seconds
from chalicelib.storage.dynamodb.tables import ANONYMOUS_PREFIX, SHARE_PREFIX
from chalicelib.storage.pending import PendingWork, proposal_end
from chalicelib.values import replace
from tests.services.checking.site import FEED, PARTNER, SESSIONS, Site, site
from tests.support.engines import Rows, put_back, rows_of, running_engine
from tests.support.inventory import seller_id


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[Site, Rows]]:
    """One for all tests, and its rows: to make it takes longer than a check."""
    with running_engine() as url, site("check", url) as made:
        yield made, rows_of(made.tables)


@pytest.fixture
def here(whole: tuple[Site, Rows]) -> Iterator[Site]:
    made, rows = whole
    made.paused.clear()
    yield made
    # Twice: what the streams bring of the first time may have changed feeds.
    for _ in range(2):
        put_back(made.tables, rows)
        made.pump.drain()
    put_back(made.tables, rows)


def capacity_row(here: Site) -> Any:
    return here.tables.capacity.get(here.yoga.id, "capacity")


def hold_row(here: Site, name: str) -> Any:
    return here.tables.holds.get(here.yoga.id, f"hold#{here.key(name)}")


def item_row(here: Site, feed_id: str, item_id: str) -> Any:
    pointer = here.system.feeds.state(feed_id, [item_id]).pointers[item_id]
    return here.tables.feeds.get(feed_id, f"change#{pointer.change_number:016d}")


def text_of(row: Any) -> str:
    [text] = codec.unpack_texts(row.item)
    return str(text)


def pointer_row(here: Site, feed_id: str, item_id: str) -> Any:
    return here.tables.feeds.get(feed_id, f"item#{item_id}")


def capacity_name(here: Site) -> str:
    return f"inventory {here.yoga.id} capacity"


# --- what is planted; each returns the row that has to be named ------------------------------


def a_space_is_lost(here: Site) -> str:
    row = capacity_row(here)
    row.update([here.tables.capacity.spaces_left.set(row.spaces_left - 2)])
    return capacity_name(here)


def a_space_is_there_twice(here: Site) -> str:
    row = capacity_row(here)
    row.update([here.tables.capacity.spaces_left.set(row.spaces_left + 1)])
    return capacity_name(here)


def leases_are_counted_wrong(here: Site) -> str:
    capacity_row(here).update([here.tables.capacity.spaces_leased.set(7)])
    return capacity_name(here)


def a_share_is_counted_wrong(here: Site) -> str:
    """Leases of a partner that has none."""
    key = share_key("partner-9")
    capacity_row(here).update([NumberAttribute(attr_name=f"{SHARE_PREFIX}{key}").set(4)])
    return f"{capacity_name(here)} l#{key}"


def a_share_is_lost(here: Site) -> str:
    key = share_key(PARTNER)
    share = [NumberAttribute(attr_name=prefix + key).remove() for prefix in (SHARE_PREFIX, ANONYMOUS_PREFIX)]
    capacity_row(here).update(share)
    return f"{capacity_name(here)} l#{key}"


def requests_are_counted_wrong(here: Site) -> str:
    capacity_row(here).update([here.tables.capacity.spaces_requested.set(1)])
    return capacity_name(here)


def the_next_end_is_too_late(here: Site) -> str:
    ends_at = hold_row(here, "leased").lease_expires_at
    capacity_row(here).update([here.tables.capacity.next_expiry_at.set(ends_at + 60)])
    return capacity_name(here)


def the_next_end_is_missing(here: Site) -> str:
    capacity_row(here).update([here.tables.capacity.next_expiry_at.remove()])
    return capacity_name(here)


def an_end_is_lost(here: Site) -> str:
    order = here.installation.order(here.uuids["waiting"])
    assert isinstance(order, Order) and order.ends_at is not None
    entry = proposal_end(order.key, order.ends_at)
    here.system.pending.finish(entry)
    return f"pending {entry.kind} {entry.id}"


def an_earlier_release_made_a_proposal(here: Site) -> str:
    order = here.installation.order(here.uuids["accepted"])
    assert isinstance(order, Order) and order.proposal is not None
    earlier = replace(order, proposal=replace(order.proposal, ends_at=None))
    here.system.store.commit([save_order(earlier, order)])
    starts_at = order.earliest_start()
    assert starts_at is not None
    entry = proposal_end(order.key, starts_at)
    here.pump.drain()
    return f"pending {entry.kind} {entry.id}"


def the_sweep_has_not_run(here: Site) -> str:
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    order = here.installation.order(here.uuids["leased"])
    assert isinstance(order, Order)
    here.system.store.commit([save_order(replace(order, lease_expires_at=ended), order)])
    hold_row(here, "leased").update([here.tables.holds.lease_expires_at.set(to_seconds(ended))])
    capacity_row(here).update([here.tables.capacity.next_expiry_at.set(to_seconds(ended))])
    return f"inventory {here.yoga.id} hold#"


def a_hold_is_lost_with_its_count(here: Site) -> str:
    row = capacity_row(here)
    hold_row(here, "booked").delete()
    row.update([here.tables.capacity.spaces_left.set(row.spaces_left + 1)])
    return f"inventory {here.yoga.id} hold#{here.key('booked')}"


def an_order_is_lost(here: Site) -> str:
    here.tables.orders.get(str(here.key("booked"))).delete()
    return f"inventory {here.yoga.id} hold#{here.key('booked')}"


def a_hold_has_the_wrong_state(here: Site) -> str:
    holds = here.tables.holds
    later = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    hold_row(here, "booked").update([holds.state.set("leased"), holds.lease_expires_at.set(later)])
    return f"inventory {here.yoga.id} hold#{here.key('booked')}"


def details_are_lost(here: Site) -> str:
    here.tables.details.get(here.court.id, "details").delete()
    here.tables.feeds.get("slots", f"item#{here.court.id}").delete()
    for row in here.tables.feeds.query("slots", here.tables.feeds.entry.startswith("change#")):
        row.delete()
    return f"inventory {here.court.id} details"


def a_seller_is_lost(here: Site) -> str:
    here.tables.identity.get(seller_id(1), "seller").delete()
    return f"identity {seller_id(1)} seller"


def a_parent_is_lost(here: Site) -> str:
    listing, _ = here.system.store.listings([here.yoga.id])[here.yoga.id]
    assert listing.opportunity.parent is not None
    parent_id = str(listing.opportunity.parent["@id"])
    here.tables.details.get(parent_id, "details").delete()
    here.tables.feeds.get("session-series", f"item#{parent_id}").delete()
    for row in here.tables.feeds.query("session-series", here.tables.feeds.entry.startswith("change#")):
        if row.item and parent_id in json.loads(text_of(row))["id"]:
            row.delete()
    return f"inventory {parent_id} details"


def a_change_never_came(here: Site) -> str:
    uuid = here.uuids["changed"]
    item_row(here, FEED, uuid).delete()
    pointer_row(here, FEED, uuid).delete()
    return f"feeds {FEED} {uuid}"


def a_proposal_never_came(here: Site) -> str:
    uuid, feed_id = here.uuids["accepted"], proposals_feed(PARTNER)
    item_row(here, feed_id, uuid).delete()
    pointer_row(here, feed_id, uuid).delete()
    return f"feeds {feed_id} {uuid}"


def a_session_never_came(here: Site) -> str:
    item_row(here, SESSIONS, here.yoga.id).delete()
    pointer_row(here, SESSIONS, here.yoga.id).delete()
    return f"feeds {SESSIONS} {here.yoga.id}"


def a_feed_has_an_older_version(here: Site) -> str:
    uuid = here.uuids["changed"]
    row = item_row(here, FEED, uuid)
    shown = json.loads(text_of(row))
    shown["data"]["orderedItem"][0]["orderItemStatus"] = "https://openactive.io/OrderItemConfirmed"
    row.update([here.tables.feeds.item.set(codec.pack_texts(json.dumps(shown)))])
    pointer_row(here, FEED, uuid).update([here.tables.feeds.version.set(1)])
    return f"feeds {FEED} {uuid}"


def an_open_feed_has_other_spaces(here: Site) -> str:
    row = item_row(here, SESSIONS, here.yoga.id)
    shown = json.loads(text_of(row))
    shown["data"]["remainingAttendeeCapacity"] = 99
    row.update([here.tables.feeds.item.set(codec.pack_texts(json.dumps(shown)))])
    pointer_row(here, SESSIONS, here.yoga.id).update([here.tables.feeds.version.set(2)])
    return f"feeds {SESSIONS} {here.yoga.id}"


def the_store_went_back(here: Site) -> str:
    uuid = here.uuids["changed"]
    pointer_row(here, FEED, uuid).update([here.tables.feeds.version.set(9)])
    return f"feeds {FEED} {uuid}"


def a_deletion_never_came(here: Site) -> str:
    uuid = here.uuids["changed"]
    shown = item_row(here, FEED, uuid).item
    here.delete("changed")
    here.pump.drain()
    item_row(here, FEED, uuid).update([here.tables.feeds.item.set(shown)])
    return f"feeds {FEED} {uuid}"


def an_unknown_item_is_shown(here: Site) -> str:
    uuid = here.uuids["changed"]
    here.tables.orders.get(str(here.key("changed"))).delete()
    return f"feeds {FEED} {uuid}"


def a_feed_row_is_lost(here: Site) -> str:
    item_row(here, FEED, here.uuids["other"]).delete()
    return f"feeds {FEED} {here.uuids['other']}"


def another_row_has_the_same_item(here: Site) -> str:
    row, feeds = item_row(here, FEED, here.uuids["changed"]), here.tables.feeds
    number = here.system.feeds.state(FEED, []).counter + 1
    feeds(FEED, f"change#{number:016d}", item=row.item).save()
    feeds.get(FEED, "counter").update([feeds.change_number.set(number)])
    return f"feeds {FEED} change#{number}"


def a_pointer_is_lost(here: Site) -> str:
    row = item_row(here, FEED, here.uuids["changed"])
    pointer_row(here, FEED, here.uuids["changed"]).delete()
    return f"feeds {FEED} {row.entry.replace('#' + '0' * 15, '#')}"


def a_counter_is_lost(here: Site) -> str:
    here.tables.feeds.get(FEED, "counter").delete()
    return f"feeds {FEED} counter"


def work_does_not_move(here: Site) -> str:
    here.system.pending.exchange((), [PendingWork("opportunity-change", here.court.id, "{}")])
    return f"pending opportunity-change {here.court.id}"


def work_was_set_aside(here: Site) -> str:
    entry = PendingWork(
        "set-aside#opportunity-change", here.court.id, "{}", error="KeyError('x@example.com')"
    )
    here.system.pending.exchange((), [entry])
    return f"pending set-aside#opportunity-change {here.court.id}"


def a_record_is_parked(here: Site) -> str:
    records, error = ParkedRecords(here.system.pending, timedelta(days=30)), ValueError("x@example.com")
    parked, _ = records.park("orders", "1", "row", {"dynamodb": {}}, error, here.system.now())
    return f"pending parked#orders {parked.id}"


def an_order_cannot_be_read(here: Site) -> str:
    row = here.tables.orders.get(str(here.key("booked")))
    row.update([here.tables.orders.document.set(b"?")])
    return f"orders {here.key('booked')}"


def a_feed_row_cannot_be_read(here: Site) -> str:
    row = item_row(here, FEED, here.uuids["other"])
    row.update([here.tables.feeds.item.set(b"?")])
    return f"feeds {FEED} change#{int(row.entry.removeprefix('change#'))}"


def an_earlier_release_wrote_an_order(here: Site) -> str:
    forget_place(here, "orders", {"order_key": {"S": str(here.key("booked"))}})
    return f"orders {here.key('booked')}"


def an_earlier_release_wrote_a_session(here: Site) -> str:
    forget_place(here, "inventory", {"opportunity_id": {"S": here.yoga.id}, "part": {"S": "details"}})
    return f"inventory {here.yoga.id}"


def forget_place(here: Site, table: str, key: dict[str, dict[str, str]]) -> None:
    here.tables.connection.client.update_item(
        TableName=here.tables.name(table), Key=key, UpdateExpression="REMOVE seller_list, listed_at"
    )


PLANTED: list[tuple[Callable[[Site], str], Damage]] = [
    (a_space_is_lost, Damage.SPACES_DO_NOT_ADD_UP),
    (a_space_is_there_twice, Damage.SPACES_DO_NOT_ADD_UP),
    (leases_are_counted_wrong, Damage.LEASED_SPACES_WRONG),
    (a_share_is_counted_wrong, Damage.SHARE_WRONG),
    (a_share_is_lost, Damage.SHARE_WRONG),
    (requests_are_counted_wrong, Damage.REQUESTED_SPACES_WRONG),
    (the_next_end_is_too_late, Damage.LEASE_END_UNNOTICED),
    (the_next_end_is_missing, Damage.LEASE_END_UNNOTICED),
    (the_sweep_has_not_run, Damage.LEASE_OVERDUE),
    (an_end_is_lost, Damage.END_MISSING),
    (an_earlier_release_made_a_proposal, Damage.END_MISSING),
    (a_hold_is_lost_with_its_count, Damage.HOLD_MISSING),
    (an_order_is_lost, Damage.HOLD_WITHOUT_ORDER),
    (a_hold_has_the_wrong_state, Damage.HOLD_DIFFERS),
    (details_are_lost, Damage.DETAILS_MISSING),
    (a_seller_is_lost, Damage.SELLER_MISSING),
    (a_parent_is_lost, Damage.PARENT_MISSING),
    (an_earlier_release_wrote_an_order, Damage.UNLISTED),
    (an_earlier_release_wrote_a_session, Damage.UNLISTED),
    (a_change_never_came, Damage.ITEM_MISSING),
    (a_proposal_never_came, Damage.ITEM_MISSING),
    (a_session_never_came, Damage.ITEM_MISSING),
    (a_feed_has_an_older_version, Damage.ITEM_OUTDATED),
    (an_open_feed_has_other_spaces, Damage.ITEM_OUTDATED),
    (the_store_went_back, Damage.ITEM_AHEAD),
    (a_deletion_never_came, Damage.ITEM_NOT_DELETED),
    (an_unknown_item_is_shown, Damage.ITEM_UNKNOWN),
    (a_feed_row_is_lost, Damage.ITEM_ROW_MISSING),
    (another_row_has_the_same_item, Damage.ITEM_TWICE),
    (a_pointer_is_lost, Damage.POINTER_MISSING),
    (a_counter_is_lost, Damage.COUNTER_TOO_LOW),
    (work_does_not_move, Damage.WORK_STUCK),
    (work_was_set_aside, Damage.WORK_SET_ASIDE),
    (a_record_is_parked, Damage.RECORD_PARKED),
    (an_order_cannot_be_read, Damage.UNREADABLE),
    (a_feed_row_cannot_be_read, Damage.UNREADABLE),
]


@pytest.mark.parametrize(("plant", "damage"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_planted_damage_is_named_and_mended_where_that_is_safe(
    here: Site, plant: Callable[[Site], str], damage: Damage
) -> None:
    row = plant(here)
    check = here.check()
    report = check.run()
    assert (damage, row) in [(finding.damage, finding.row) for finding in report.findings]
    left = Repair(check).run(report.findings)
    if EXPLANATIONS[damage].is_repaired:
        assert left == []
        assert here.found() == []
    elif plant is not a_feed_row_cannot_be_read:  # whose item is published again, in another row
        assert (damage, row) in [(finding.damage, finding.row) for finding in left]


def test_every_kind_of_damage_is_planted() -> None:
    assert {damage for _, damage in PLANTED} == set(Damage) == set(EXPLANATIONS)


def test_without_damage_nothing_is_found_and_nobody_waits(here: Site) -> None:
    report = here.report()
    assert report.is_clean and here.paused == []
    assert report.looked_at == {"orders": 10, "opportunities": 6, "feed items": 12}


def test_what_is_only_under_way_is_not_reported(here: Site) -> None:
    """The stream brings it before it is looked at again."""
    here.cancel("booked")
    report = here.report()
    assert report.is_clean and here.paused


def test_a_lost_hold_is_given_back_with_its_space(here: Site) -> None:
    before = here.installation.capacity(here.yoga)
    a_hold_is_lost_with_its_count(here)
    check = here.check()
    Repair(check).run(check.run().findings)
    after = here.installation.capacity(here.yoga)
    assert (after.spaces_left, here.held_by("booked")) == (before.spaces_left, 1)


def test_more_held_than_there_are_is_left_to_the_seller(here: Site) -> None:
    capacity_row(here).update(
        [here.tables.capacity.spaces_total.set(1), here.tables.capacity.spaces_left.set(0)]
    )
    check = here.check()
    report = check.run()
    assert [finding.damage for finding in report.findings] == [Damage.SPACES_DO_NOT_ADD_UP]
    assert Repair(check).run(report.findings) == report.findings
    assert here.installation.capacity(here.yoga).spaces_left == 0


def test_feeds_that_are_under_review_are_not_judged_yet(here: Site) -> None:
    a_change_never_came(here)
    review = FeedReview(PARTNER, seller_id(1)).pending("1")
    here.system.pending.exchange((), [review])
    assert [damage for damage, _ in here.found()] == [Damage.WORK_STUCK]


def test_a_session_that_is_over_may_outlive_its_series(here: Site) -> None:
    past = here.installation.session(starts_in=-timedelta(days=2))
    here.pump.drain()
    listing, _ = here.system.store.listings([past.id])[past.id]
    assert listing.opportunity.type is OpportunityType.ScheduledSession and listing.opportunity.parent
    here.system.inventory.withdraw(str(listing.opportunity.parent["@id"]))
    here.pump.drain()
    assert here.found() == []


def test_a_set_aside_error_says_nothing_of_its_content(here: Site) -> None:
    work_was_set_aside(here)
    assert [finding.detail for finding in here.report().findings] == ["KeyError"]


def test_of_one_kind_so_many_are_named_and_the_rest_counted(here: Site) -> None:
    """Memory stays bounded, however much is damaged."""
    here.system.pending.exchange(
        (), [PendingWork("set-aside#clearing", f"{number}", "{}") for number in range(8)]
    )
    check = here.check()
    check.max_named = 5
    report = check.run()
    assert len(report.findings) == 5
    assert report.unnamed == {Damage.WORK_SET_ASIDE: 3}
    assert not report.is_clean


def test_an_opportunity_that_never_rests_is_named_and_not_judged(here: Site) -> None:
    class Restless(type(here.system.store)):  # type: ignore[misc]
        """Somebody books between any two readings."""

        def holds(self, opportunity_id: str, **more: Any) -> Any:
            found = super().holds(opportunity_id, **more)
            if opportunity_id == here.yoga.id:
                capacity_row(here).update([here.tables.capacity.version.add(1)])
            return found

    a_space_is_lost(here)
    check = here.check()
    check.store = Restless(here.tables)
    report = check.run()
    assert here.yoga.id in report.restless
    assert not [f for f in report.findings if f.damage is Damage.SPACES_DO_NOT_ADD_UP]


def test_a_repair_writes_nothing_where_the_counters_have_moved(here: Site) -> None:
    a_space_is_lost(here)
    before = here.installation.capacity(here.yoga)
    check = here.check()

    class Moving(type(here.system.store)):  # type: ignore[misc]
        def correct(self, opportunity_id: str, read: Capacity, *more: Any) -> None:
            capacity_row(here).update([here.tables.capacity.version.add(1)])
            super().correct(opportunity_id, read, *more)

    check.store = Moving(here.tables)
    report = check.run()
    check.retry = check.retry.__class__(pause=lambda seconds: None, jitter=lambda: 0.5, attempts=3)
    assert Repair(check).run(report.findings) == report.findings
    assert here.installation.capacity(here.yoga).spaces_left == before.spaces_left


def test_orders_are_kept_apart_by_partner(here: Site) -> None:
    here.book("theirs", partner="partner-2")
    order = here.installation.order(here.uuids["theirs"], "partner-2")
    assert isinstance(order, Order)
    here.pump.drain()
    assert here.found() == []
