"""The contract of `FeedStore`, kept by every one of them; and what only DynamoDB's has to see to."""

from datetime import timedelta
from random import Random

import pytest
from pynamodb.exceptions import PynamoDBException

from chalicelib.storage.codec import pack_texts
from chalicelib.storage.dynamodb.feeds import DELETED_KEPT_FOR, SETTLES_WITHIN, DynamoFeeds
from chalicelib.storage.dynamodb.rows import to_seconds
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.errors import EntryRefused, FeedMoved
from chalicelib.storage.feeds import FeedEntry, FeedState, FeedStore, Pointer
from tests.support.builders import NOW
from tests.support.engines import Calls, tables_of

FEED = "slots"


def entry(item_id: str, number: int, version: int = 1, replaces: Pointer | None = None) -> FeedEntry:
    return FeedEntry(item_id, number, version, f"{item_id}{number}", replaces)


def page(feeds: FeedStore, after: int = 0, limit: int = 100) -> tuple[tuple[str, ...], int | None, bool]:
    rows = feeds.page(FEED, after, limit, NOW)
    return rows.items, rows.last, rows.more


class TestAppending:
    def test_a_feed_begins_empty(self, feeds: FeedStore) -> None:
        assert feeds.state(FEED, ["a"]) == FeedState()
        assert page(feeds) == ((), None, False)

    def test_items_stand_in_the_order_of_their_numbers(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("b", 1), entry("a", 2)], NOW)
        assert page(feeds) == (("b1", "a2"), 2, False)
        assert feeds.state(FEED, ["a", "c"]) == FeedState(2, {"a": Pointer(2, 1)})

    def test_an_item_that_changes_moves_to_the_end(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("a", 1), entry("b", 2)], NOW)
        feeds.append(FEED, 2, [entry("a", 3, 2, Pointer(1, 1))], NOW)
        assert page(feeds)[:2] == (("b2", "a3"), 3)

    def test_who_has_read_an_older_counter_is_refused_and_nothing_is_written(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("a", 1)], NOW)
        with pytest.raises(FeedMoved):
            feeds.append(FEED, 0, [entry("b", 1)], NOW)
        assert page(feeds)[0] == ("a1",)
        assert feeds.state(FEED, ["b"]) == FeedState(1)

    def test_who_has_read_an_older_pointer_is_refused(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("a", 1)], NOW)
        with pytest.raises(FeedMoved):
            feeds.append(FEED, 1, [entry("a", 2, 2)], NOW)
        assert page(feeds)[0] == ("a1",)

    def test_a_version_can_be_noted_without_an_item(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [FeedEntry("a", 0, 7, None)], NOW)
        assert feeds.state(FEED, ["a"]) == FeedState(0, {"a": Pointer(0, 7)})
        assert page(feeds) == ((), None, False)

    def test_feeds_know_nothing_of_each_other(self, feeds: FeedStore) -> None:
        feeds.append("orders#a", 0, [entry("x", 1)], NOW)
        feeds.append("orders#b", 0, [entry("x", 1)], NOW)
        assert feeds.page("orders#a", 0, 10, NOW).items == ("x1",)

    def test_a_turn_is_given_to_the_first_who_asks_until_it_has_appended(self, feeds: FeedStore) -> None:
        later = NOW + timedelta(seconds=2)
        feeds.take_turn(FEED, "a", NOW, later)
        assert feeds.state(FEED, []) == FeedState()
        feeds.append(FEED, 0, [entry("x", 1)], NOW)
        feeds.take_turn(FEED, "a", NOW, later)
        feeds.take_turn(FEED, "b", NOW, later)
        state = feeds.state(FEED, [])
        assert state == FeedState(1, {}, "a", later)
        assert (state.is_left_to_another("a", NOW), state.is_left_to_another("b", NOW)) == (False, True)
        assert not state.is_left_to_another("b", later)
        feeds.append(FEED, 1, [entry("y", 2)], NOW)
        assert feeds.state(FEED, []) == FeedState(2)

    def test_a_turn_that_has_ended_is_given_to_the_next(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("x", 1)], NOW)
        feeds.take_turn(FEED, "a", NOW, NOW + timedelta(seconds=2))
        feeds.take_turn(FEED, "b", NOW + timedelta(seconds=2), NOW + timedelta(seconds=4))
        assert feeds.state(FEED, []).turn_of == "b"

    def test_what_is_too_large_for_a_row_is_refused_and_nothing_is_written(
        self, feeds: FeedStore, engine_tables: Tables | None
    ) -> None:
        """Not for being busy: it would be tried again for ever."""
        if engine_tables is None:
            pytest.skip("an engine has a limit")
        # Compressed, this is still 450 KB.
        large = FeedEntry("b", 2, 1, Random(1).randbytes(450_000).hex())
        with pytest.raises(EntryRefused):
            feeds.append(FEED, 0, [entry("a", 1), large], NOW)
        assert feeds.state(FEED, ["a", "b"]) == FeedState()

    def test_a_table_that_is_missing_is_no_fault_of_the_items(
        self, feeds: FeedStore, engine_tables: Tables | None
    ) -> None:
        """A broken deployment parks nothing."""
        if engine_tables is None:
            pytest.skip("only an engine has tables")
        missing = tables_of("missing", engine_tables.engine.endpoint)
        with pytest.raises(PynamoDBException):
            DynamoFeeds(missing).append(FEED, 0, [entry("a", 1)], NOW)
        missing.connection.client.close()


class TestPages:
    def test_go_on_where_the_last_one_ended(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry(name, number) for number, name in enumerate("abcde", 1)], NOW)
        assert page(feeds, 0, 2) == (("a1", "b2"), 2, True)
        assert page(feeds, 2, 2) == (("c3", "d4"), 4, True)
        assert page(feeds, 4, 2) == (("e5",), 5, False)
        assert page(feeds, 5, 2) == ((), None, False)

    def test_places_that_items_have_left_are_passed_over(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry("a", 1)], NOW)
        feeds.append(FEED, 1, [entry("a", 2, 2, Pointer(1, 1))], NOW)
        assert page(feeds)[:2] == (("a2",), 2)

    def test_no_page_without_items_leads_on(self, feeds: FeedStore) -> None:
        """RPDE-09: a reader takes it for the end, and the official validator for a fault."""
        feeds.append(FEED, 0, [entry("a", 1), entry("b", 2)], NOW)
        for number in range(3, 9):
            replaced = Pointer(2 if number == 3 else number - 1, number - 2)
            feeds.append(FEED, number - 1, [entry("b", number, number - 1, replaced)], NOW)
        assert page(feeds, 0, 2)[0] == ("a1",)
        assert page(feeds, 1, 2)[:2] == (("b8",), 8)
        assert page(feeds, 4, 2)[:2] == (("b8",), 8)
        assert page(feeds, 8, 2) == ((), None, False)

    def test_what_follows_empty_places_is_shown_as_far_as_a_page_goes(self, feeds: FeedStore) -> None:
        feeds.append(FEED, 0, [entry(name, number) for number, name in enumerate("abc", 1)], NOW)
        again = [entry(name, number + 3, 2, Pointer(number, 1)) for number, name in enumerate("abc", 1)]
        feeds.append(FEED, 3, again, NOW)
        seen: list[str] = []
        after = 0
        while rows := page(feeds, after, 2)[0]:
            assert len(rows) <= 2
            seen += rows
            after = page(feeds, after, 2)[1] or 0
        assert seen == ["a4", "b5", "c6"]

    def test_a_page_ends_before_it_is_more_than_lambda_returns(self, feeds: FeedStore) -> None:
        """Rows are small where their text compresses well; an answer is not. The next page leads on (RPDE-04)."""
        for number in range(1, 8):
            feeds.append(FEED, number - 1, [FeedEntry(str(number), number, 1, str(number) * 1_000_000)], NOW)
        first = feeds.page(FEED, 0, 500, NOW)
        assert (len(first.items), first.last, first.more) == (4, 4, True)
        rest = feeds.page(FEED, 4, 500, NOW)
        assert (len(rest.items), rest.last, rest.more) == (3, 7, False)

    def test_a_single_item_is_a_page_however_large_it_is(self, feeds: FeedStore) -> None:
        for number in (1, 2):
            feeds.append(FEED, number - 1, [FeedEntry(str(number), number, 1, "x" * 5_000_000)], NOW)
        first = feeds.page(FEED, 0, 500, NOW)
        assert (len(first.items), first.last, first.more) == (1, 1, True)
        assert feeds.page(FEED, 1, 500, NOW).more is False


class TestOnDynamo:
    """What a Query may see while transactions are under way (RPDE-06)."""

    def write(self, tables: Tables, number: int, age: timedelta) -> None:
        written_at = to_seconds(NOW - age)
        item = pack_texts(str(number))
        tables.feeds(FEED, f"change#{number:016d}", item=item, written_at=written_at).save()

    def test_a_gap_before_a_fresh_row_is_not_read_across(self, tables: Tables) -> None:
        for number in (1, 2, 4):
            self.write(tables, number, timedelta(0))
        assert page(DynamoFeeds(tables)) == (("1", "2"), 2, False)

    def test_a_gap_behind_empty_places_is_not_read_across_either(self, tables: Tables) -> None:
        """Nor does the page lead on: it has no items, and looks like the last."""
        feeds = DynamoFeeds(tables)
        for number in (1, 2, 4):
            self.write(tables, number, timedelta(0))
        for number in (1, 2):
            row = tables.feeds.get(FEED, f"change#{number:016d}")
            row.update([tables.feeds.item.remove()])
        assert page(feeds) == page(feeds, 0, 1) == ((), None, False)
        self.write(tables, 3, timedelta(0))
        assert page(feeds, 0, 1) == (("3",), 3, True)

    def test_looking_through_empty_places_has_a_bound_and_goes_on_where_it_stopped(
        self, tables: Tables, calls: Calls
    ) -> None:
        """Each of these rows is so large that a Query of a megabyte ends after four."""
        client, table = tables.connection.client, tables.feeds.Meta.table_name
        for number in range(1, 20):
            row = {
                "feed_id": {"S": FEED},
                "entry": {"S": f"change#{number:016d}"},
                "pad": {"S": "x" * 280_000},
            }
            client.put_item(TableName=table, Item=row)
        self.write(tables, 20, timedelta(0))
        calls.forget()
        feeds = DynamoFeeds(tables, further_reads=2)
        asked, after = [], 0
        while not (rows := feeds.page(FEED, after, 2, NOW)).items:
            assert rows.more and rows.last is not None and rows.last > after
            after = rows.last
            asked.append(calls.made["Query"])
            calls.forget()
        assert (rows.items, rows.last) == (("20",), 20)
        assert len(asked) > 1
        assert max(*asked, calls.made["Query"]) == 3
        assert page(feeds, 20) == ((), None, False)

    def test_a_gap_before_an_old_row_is_what_ttl_has_left(self, tables: Tables) -> None:
        for number in (3, 4):
            self.write(tables, number, SETTLES_WITHIN + timedelta(seconds=1))
        self.write(tables, 5, timedelta(0))
        assert page(DynamoFeeds(tables)) == (("3", "4", "5"), 5, False)

    def test_a_page_ends_where_a_query_has_read_a_megabyte(self, tables: Tables) -> None:
        feeds, noise = DynamoFeeds(tables), Random(1)
        for number in range(1, 6):
            text = noise.randbytes(300_000).hex()  # which compression halves
            feeds.append(FEED, number - 1, [FeedEntry(str(number), number, 1, text)], NOW)
        first = feeds.page(FEED, 0, 100, NOW)
        assert first.more and first.last is not None and first.last < 5
        pages = [first]
        while pages[-1].more:
            pages.append(feeds.page(FEED, pages[-1].last or 0, 100, NOW))
        assert sum(len(rows.items) for rows in pages) == 5

    def test_items_of_release_0_1_0_are_read_beside_those_of_today(self, tables: Tables) -> None:
        """There an item was text; see tests/storage/rows."""
        row = {
            "feed_id": {"S": FEED},
            "entry": {"S": f"change#{1:016d}"},
            "item": {"S": "old"},
            "written_at": {"N": str(to_seconds(NOW - timedelta(days=1)))},
        }
        tables.connection.client.put_item(TableName=tables.name("feeds"), Item=row)
        self.write(tables, 2, timedelta(0))
        assert page(DynamoFeeds(tables)) == (("old", "2"), 2, False)

    def test_deleted_items_are_left_to_ttl_after_more_than_seven_days(self, tables: Tables) -> None:
        DynamoFeeds(tables).append(FEED, 0, [FeedEntry("a", 1, 1, "gone", is_deleted=True)], NOW)
        row = tables.feeds.get(FEED, f"change#{1:016d}")
        assert row.expires_at == to_seconds(NOW + DELETED_KEPT_FOR)
        assert timedelta(days=7) < DELETED_KEPT_FOR
