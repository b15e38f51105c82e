"""What only the store on DynamoDB has: how often it asks, and what its rows carry beside the values."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.book import book
from chalicelib.booking.decisions import MoveHold, Wanted
from chalicelib.booking.quote import quote
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.feeds.ledger import FeedItem, Ledger
from chalicelib.services.leases import sweep
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.rows import QUOTE_KEPT_SECONDS
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.feeds import FeedEntry
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Reclaimed
from chalicelib.values import replace
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    SESSION_ID,
    Observed,
    a_moment,
    a_request,
    a_seller,
    an_opportunity,
)
from tests.support.engines import Calls, cancelled, timed_out

LEASE_END = NOW + timedelta(minutes=15)
LEASE = Hold(1, HoldState.leased, LEASE_END)
WANTED = Wanted(KEY, SELLER_ID, (SESSION_ID, f"{SESSION_ID}2"))
REQUEST = a_request(total_payment_due=Decimal("10.00"), payment={"@type": "Payment", "identifier": "payment"})


@pytest.fixture
def store(tables: Tables, calls: Calls) -> DynamoStore:
    store = DynamoStore(tables)
    store.publish(Listing(an_opportunity()), 10)
    store.publish(Listing(an_opportunity(f"{SESSION_ID}2")), 10)
    store.save_seller(a_seller())
    calls.forget()
    return store


def leased(store: DynamoStore) -> None:
    snapshot = store.snapshot(Wanted(KEY, SELLER_ID, (SESSION_ID,)))
    store.commit(quote(a_request(), snapshot, a_moment(), with_customer=True).changes)


def row(tables: Tables, table: str, **key: str) -> dict[str, Any]:
    keys = {name: {"S": value} for name, value in key.items()}
    found: dict[str, Any] = tables.connection.client.get_item(TableName=tables.name(table), Key=keys)["Item"]
    return found


def order_row(tables: Tables) -> dict[str, Any]:
    return row(tables, "orders", order_key=f"{KEY.partner_id}#{KEY.uuid}")


def test_a_snapshot_of_three_tables_is_one_round_trip_and_strongly_consistent(
    store: DynamoStore, calls: Calls
) -> None:
    leased(store)
    calls.forget()
    found = store.snapshot(WANTED)
    assert (len(found.opportunities), found.seller, found.order is None) == (2, a_seller(), False)
    assert dict(calls.made) == {"BatchGetItem": 1}
    [(_, asked)] = calls.requests
    assert len(asked["RequestItems"]) == 3
    assert all(part["ConsistentRead"] for part in asked["RequestItems"].values())


def test_a_commit_is_one_round_trip_that_dynamodb_can_recognise_when_it_is_sent_again(
    store: DynamoStore, calls: Calls
) -> None:
    leased(store)
    assert calls.made["TransactWriteItems"] == 1
    assert calls.requests[-1][1]["ClientRequestToken"]


def test_a_quote_is_left_to_ttl_some_time_after_its_lease_and_an_order_never(
    store: DynamoStore, tables: Tables
) -> None:
    leased(store)
    assert order_row(tables)["expires_at"] == {"N": str(int(LEASE_END.timestamp()) + QUOTE_KEPT_SECONDS)}
    snapshot = store.snapshot(Wanted(KEY, SELLER_ID, (SESSION_ID,)))
    store.commit(book(REQUEST, snapshot, a_moment(), lambda order: "answer").changes)
    assert "expires_at" not in order_row(tables)


def test_only_a_lease_stands_in_the_indexes(store: DynamoStore, tables: Tables) -> None:
    part = f"hold#{KEY.partner_id}#{KEY.uuid}"
    store.commit([MoveHold(SESSION_ID, KEY, None, LEASE)])
    assert {"expiry_shard", "lease_expires_at"} <= row(
        tables, "inventory", opportunity_id=SESSION_ID, part=part
    ).keys()
    store.commit([MoveHold(SESSION_ID, KEY, LEASE, Hold(1, HoldState.booked))])
    assert (
        not {"expiry_shard", "lease_expires_at"}
        & row(tables, "inventory", opportunity_id=SESSION_ID, part=part).keys()
    )


def test_every_index_resolves_with_one_set_of_tables(tables: Tables) -> None:
    """Models of one table share what PynamoDB knows of it: that of the last one bound, which must know the
    indexes."""
    bound = [model for model in vars(tables).values() if hasattr(model, "get_attributes")]
    indexes = [(model, index) for model in bound for index in model._indexes.values()]
    assert {index.Meta.index_name for _, index in indexes} == {"by_expiry", "by_lease_end", "by_seller"}
    for model, index in indexes:
        ranged = next(each for each in index.Meta.attributes.values() if each.is_range_key)
        of_any_value = getattr(model, ranged.attr_name) <= (
            "1" if index.Meta.index_name == "by_seller" else 1
        )
        found = index.query("anything", of_any_value, limit=1)
        assert list(found) == []


def test_the_hot_row_stays_under_a_kilobyte(store: DynamoStore, tables: Tables) -> None:
    """One write unit: see docs/scale.md."""
    leased(store)
    found = row(tables, "inventory", opportunity_id=SESSION_ID, part="capacity")
    assert sum(len(name) + len(str(value)) for name, value in found.items()) < 500


def test_a_lease_that_is_taken_while_another_ends_is_not_overlooked(
    store: DynamoStore, tables: Tables
) -> None:
    """The mark is only raised by who has seen all leases there are."""
    early, late = replace(KEY, partner_id="early"), replace(KEY, partner_id="late")
    store.commit([MoveHold(SESSION_ID, early, None, LEASE)])
    sooner = Hold(1, HoldState.leased, LEASE_END + timedelta(minutes=1))
    calls = Calls(tables)
    calls.after("Query", lambda _: store.commit([MoveHold(SESSION_ID, late, None, sooner)]))
    assert store.reclaim(SESSION_ID, LEASE_END).ended == 1
    calls.stop()
    assert store.reclaim(SESSION_ID, LEASE_END + timedelta(minutes=1)).ended == 1
    assert store.holds(SESSION_ID) == {}


def test_the_sweep_passes_over_what_others_are_busy_with(store: DynamoStore, calls: Calls) -> None:
    for opportunity_id in WANTED.opportunity_ids:
        store.commit([MoveHold(opportunity_id, KEY, None, LEASE)])
    calls.before("TransactWriteItems", cancelled("TransactionConflict", "None"))
    assert sweep(store, LEASE_END, Observed()) == 1
    assert sweep(store, LEASE_END, Observed()) == 1
    assert sweep(store, LEASE_END, Observed()) == 0


def test_feed_rows_whose_answer_was_lost_are_not_written_twice(tables: Tables, calls: Calls) -> None:
    feeds = DynamoFeeds(tables)
    ledger = Ledger(feeds, RetryPolicy(lambda seconds: None, lambda: 0.5))
    calls.after("TransactWriteItems", timed_out)
    ledger.publish("slots", [FeedItem("a", "Slot", 1, {"n": 1}), FeedItem("b", "Slot", 1, {"n": 1})], NOW)
    assert calls.made["TransactWriteItems"] == 1
    assert len(feeds.page("slots", 0, 10, NOW).items) == feeds.state("slots", []).counter == 2


def _always(params: dict[str, Any], **_: Any) -> None:
    for action in params["TransactItems"]:
        (request,) = action.values()
        if "ConditionExpression" in request:
            anything = "attribute_exists(entry) OR attribute_not_exists(entry)"
            request["ConditionExpression"] = f"{request['ConditionExpression']} OR {anything}"


def test_without_the_condition_on_the_counter_an_item_is_lost(tables: Tables) -> None:
    """The positive control of the races of writers: it is this condition that holds (RPDE-06)."""
    feeds = DynamoFeeds(tables)
    events = tables.connection.client.meta.events
    events.register("before-parameter-build.dynamodb.TransactWriteItems", _always)
    for item_id in ("a", "b"):  # both have read that the counter is 0
        feeds.append("slots", 0, [FeedEntry(item_id, 1, 1, item_id)], NOW)
    events.unregister("before-parameter-build.dynamodb.TransactWriteItems", _always)
    assert feeds.page("slots", 0, 10, NOW).items == ("b",)


def test_a_page_is_one_query(tables: Tables, calls: Calls) -> None:
    DynamoFeeds(tables).page("slots", 0, 500, NOW)
    assert dict(calls.made) == {"Query": 1}


@pytest.mark.parametrize("missing", ["spaces", "state"])
def test_a_lease_row_that_cannot_be_read_stops_no_other(
    store: DynamoStore, tables: Tables, missing: str
) -> None:
    """It is set aside with its content by the sweep; a booking in the meantime ignores it."""
    other = replace(KEY, partner_id="other")
    for key in (KEY, other):
        store.commit([MoveHold(SESSION_ID, key, None, LEASE)])
    row = {"opportunity_id": {"S": SESSION_ID}, "part": {"S": f"hold#{KEY}"}}
    client, table = tables.connection.client, tables.holds.Meta.table_name
    client.update_item(
        TableName=table, Key=row, UpdateExpression="REMOVE #it", ExpressionAttributeNames={"#it": missing}
    )
    assert store.reclaim(SESSION_ID, LEASE_END) == Reclaimed(1)
    observed = Observed()
    assert sweep(store, LEASE_END, observed) == 0
    name = f"{SESSION_ID} hold#{KEY}"
    assert observed.reports == [("set aside", "lease", name, "ValueError")]
    assert sweep(store, LEASE_END, observed) == 0
    assert store.holds(SESSION_ID) == {}
    aside = DynamoPending(tables).entry("set-aside#lease", name)
    assert aside is not None and str(KEY) in aside.document


def test_one_opportunity_that_fails_does_not_stop_the_sweep(store: DynamoStore) -> None:
    class Failing(DynamoStore):
        def reclaim(self, opportunity_id: str, now: datetime, **how: Any) -> Reclaimed:
            if opportunity_id == SESSION_ID:
                raise RuntimeError("always")
            return super().reclaim(opportunity_id, now, **how)

    for opportunity_id in WANTED.opportunity_ids:
        store.commit([MoveHold(opportunity_id, KEY, None, LEASE)])
    observed = Observed()
    assert sweep(Failing(store._tables), LEASE_END, observed) == len(WANTED.opportunity_ids) - 1
    assert observed.reports == [("failed", "lease", SESSION_ID, "RuntimeError")]
