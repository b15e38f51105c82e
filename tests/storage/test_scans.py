"""Listing whole tables, corrections, and walks over feeds: kept by every store."""

from datetime import timedelta

import pytest

from chalicelib.booking.decisions import SaveOrder
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.orders import DeletedOrder, OrderKind
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.errors import CommitRefused, FeedMoved, HoldChanged, OpportunityChanged, OrderChanged
from chalicelib.storage.feeds import FeedEntry, FeedStore, Pointer, StoredItem
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.scans import BrokenRow, Part
from chalicelib.storage.store import HoldCorrection, Store
from chalicelib.values import replace
from tests.storage.conftest import Stores
from tests.storage.test_store import BOOKED, an_order, capacity, counts, key, leased, publish, taken
from tests.support.builders import KEY, NOW, SESSION_ID

FEED = "slots"


class TestOrders:
    def test_every_order_is_listed_once_over_pages_and_parts(self, store: Store) -> None:
        keys = {key(number) for number in range(25)}
        for each in keys:
            store.commit([SaveOrder(an_order(each), None)])
        found = []
        for part in (Part(0, 2), Part(1, 2)):
            cursor: str | None = ""
            while cursor is not None:
                page = store.scan_orders(cursor, part=part, limit=4)
                assert len(page.rows) <= 4
                found += [row.key for row in page.rows if not isinstance(row, BrokenRow)]
                cursor = page.cursor
        assert sorted(found, key=str) == sorted(keys, key=str)

    def test_one_partners_and_stubs(self, store: Store) -> None:
        mine, others = (
            an_order(key(1), kind=OrderKind.Order),
            an_order(replace(key(1), partner_id="partner-10")),
        )
        store.commit([SaveOrder(mine, None), SaveOrder(others, None)])
        stub = DeletedOrder(mine.key, mine.seller_id, published=True, version=2)
        store.commit([SaveOrder(stub, 1)])
        assert store.scan_orders(partner_id="partner-1").rows == (stub,)

    def test_none(self, stores: Stores) -> None:
        assert stores.store.scan_orders().rows == ()
        assert stores.store.scan_opportunities().rows == ()
        assert list(stores.feeds.feed_ids()) == []
        assert stores.pending.kinds() == []

    def test_one_that_cannot_be_read_hides_no_other(self, tables: Tables) -> None:
        store = DynamoStore(tables)
        store.commit([SaveOrder(an_order(), None)])
        tables.orders("p#u", kind="Order", version=1, published=False, seller_id="s", document=b"?").save()
        rows = sorted(store.scan_orders().rows, key=lambda row: isinstance(row, BrokenRow))
        assert rows == [an_order(), BrokenRow("p#u", "Undecodable")]


class TestOpportunities:
    def test_every_one_with_any_row(self, store: Store) -> None:
        ids = [f"{SESSION_ID}{number}" for number in range(7)]
        for opportunity_id in ids:
            publish(store, 5, opportunity_id)
            store.commit([taken(BOOKED, opportunity_id=opportunity_id)])
        found, cursor = set[str](), ""
        while True:
            page = store.scan_opportunities(cursor, limit=3)
            found |= set(page.rows)
            if page.cursor is None:
                break
            cursor = page.cursor
        assert found == set(ids)

    def test_the_holds_of_named_orders(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED)])
        store.commit([taken(leased(2), key(2))])
        wanted = [(SESSION_ID, KEY), (SESSION_ID, key(2)), (SESSION_ID, key(3))]
        assert store.hold_rows(wanted) == {wanted[0]: BOOKED, wanted[1]: leased(2)}

    def test_a_hold_that_cannot_be_read_is_named(self, tables: Tables) -> None:
        tables.holds(SESSION_ID, f"hold#{KEY}", spaces=1, state="odd").save()
        found = DynamoStore(tables).hold_rows([(SESSION_ID, KEY)])
        assert found == {(SESSION_ID, KEY): BrokenRow(f"{SESSION_ID} hold#{KEY}", "ValueError")}


class TestCorrections:
    def test_put_counters_and_holds_at_once(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased())])
        store.commit([SaveOrder(an_order(key(2)), None)])
        read = capacity(store)
        right = replace(read, spaces_left=8, spaces_leased=0, next_expiry_at=None)
        holds = [
            HoldCorrection(KEY, leased(), None),
            HoldCorrection(key(2), None, Hold(2, HoldState.booked), order_version=1),
        ]
        store.correct(SESSION_ID, read, right, holds)
        assert counts(store) == (8, 0)
        assert capacity(store) == replace(right, version=read.version + 1)

    def test_are_refused_where_anything_has_changed(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED)])
        store.commit([SaveOrder(an_order(key(2)), None)])
        read = capacity(store)
        for correction, reason in [
            (HoldCorrection(KEY, leased(), None), HoldChanged(SESSION_ID)),
            (HoldCorrection(key(2), BOOKED, None, order_version=1), HoldChanged(SESSION_ID)),
            (HoldCorrection(key(2), None, BOOKED), OrderChanged(key(2))),
            (HoldCorrection(key(2), None, BOOKED, order_version=2), OrderChanged(key(2))),
        ]:
            with pytest.raises(CommitRefused) as refusal:
                store.correct(SESSION_ID, read, read, [correction])
            assert refusal.value.reasons == (reason,)
        store.commit([taken(BOOKED, key(3))])
        with pytest.raises(CommitRefused) as refusal:
            store.correct(SESSION_ID, read, read)
        assert refusal.value.reasons == (OpportunityChanged(SESSION_ID),)
        assert counts(store) == (8, 0)


def entries(*names: str) -> list[FeedEntry]:
    return [FeedEntry(name, number, 1, f"{name}{number}") for number, name in enumerate(names, 1)]


class TestWalks:
    def test_pointers_and_rows_are_walked_in_pages(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, entries("https://a/1", "https://a/10", "z"), NOW)
        feeds.append(FEED, 3, [FeedEntry("z", 4, 2, "z4", Pointer(3, 1))], NOW)
        assert feeds.pointers(FEED, "", 2) == {"https://a/1": Pointer(1, 1), "https://a/10": Pointer(2, 1)}
        assert feeds.pointers(FEED, "https://a/1", 2) == {"https://a/10": Pointer(2, 1), "z": Pointer(4, 2)}
        assert feeds.walk(FEED, 1, 2) == [StoredItem(2, "https://a/102"), StoredItem(3, None)]
        assert feeds.stored(FEED, [1, 4, 9]) == {1: StoredItem(1, "https://a/11"), 4: StoredItem(4, "z4")}
        assert (feeds.last(FEED), feeds.last("none")) == (4, 0)
        assert feeds.walk("none", 0, 5) == []

    def test_a_walk_goes_on_where_a_query_has_read_a_megabyte(self, tables: Tables) -> None:
        feeds, text = DynamoFeeds(tables), "x" * 300_000
        for number in range(1, 6):
            feeds.append(FEED, number - 1, [FeedEntry(str(number), number, 1, text)], NOW)
        assert [row.change_number for row in feeds.walk(FEED, 0, 5)] == [1, 2, 3, 4, 5]

    def test_every_feed_is_listed_once(self, feeds: FeedStore) -> None:
        feeds.append("orders#a", 0, entries("x", "y"), NOW)
        feeds.append(FEED, 0, entries("x"), NOW)
        assert sorted(feeds.feed_ids()) == ["orders#a", FEED]

    def test_a_counter_is_raised_and_readers_go_on_behind_the_gap_at_once(self, feeds: FeedStore) -> None:
        """RPDE-06: another gap before a fresh row holds a reader up, since a row may be on its way there."""
        feeds.append(FEED, 0, entries("a"), NOW)
        feeds.raise_counter(FEED, 1, 1000, NOW)
        feeds.append(FEED, 1000, [FeedEntry("b", 1001, 1, "b1001")], NOW + timedelta(seconds=1))
        rows = feeds.page(FEED, 1, 10, NOW + timedelta(seconds=2))
        assert (rows.items, rows.last) == (("b1001",), 1001)
        with pytest.raises(FeedMoved):
            feeds.raise_counter(FEED, 1000, 2000, NOW)

    def test_a_counter_that_is_gone_is_put_again(self, feeds: FeedStore) -> None:
        feeds.raise_counter(FEED, 0, 10, NOW)
        assert feeds.state(FEED, []).counter == 10

    def test_pointers_are_adopted_only_where_there_are_none(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, entries("a"), NOW)
        feeds.adopt(FEED, {"a": Pointer(7, 7), "b": Pointer(8, 8)})
        assert feeds.pointers(FEED, "", 9) == {"a": Pointer(1, 1), "b": Pointer(8, 8)}

    def test_only_a_row_that_its_item_does_not_point_to_is_vacated(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, entries("a", "b"), NOW)
        assert not feeds.vacate(FEED, 1, "a", NOW)
        assert feeds.vacate(FEED, 2, "c", NOW)
        assert feeds.walk(FEED, 0, 9) == [StoredItem(1, "a1"), StoredItem(2, None)]


def test_the_kinds_of_pending_work_are_listed(stores: Stores) -> None:
    stores.pending.exchange((), [PendingWork(kind, "1", "{}") for kind in ("b", "a", "set-aside#a")])
    stores.pending.exchange((), [PendingWork("a", "2", "{}")])
    assert stores.pending.kinds() == ["a", "b", "set-aside#a"]
