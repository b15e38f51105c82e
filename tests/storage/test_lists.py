"""The lists of Sellers, in every store; and the rows of DynamoDB that lack a place in them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.booking.book import book, book_proposal, propose
from chalicelib.booking.decisions import Decision, Wanted, save_order
from chalicelib.booking.proposals import decide_proposal
from chalicelib.booking.requests import ProposalBookingRequest
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.services.upgrading import Upgrade
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.lists import ListPage, OrderList
from chalicelib.storage.store import Listing, Store
from chalicelib.values import replace
from tests.support.builders import (
    AT_ONCE,
    CUSTOMER,
    NOW,
    SELLER_ID,
    SESSION_ID,
    a_moment,
    a_request,
    a_seller,
    an_item,
    an_offer,
    an_opportunity,
    saved_order,
)
from tests.support.engines import Calls

OTHER_SELLER = f"{SELLER_ID}2"
APPROVED = an_opportunity(
    f"{SESSION_ID}-approved",
    an_offer(
        offer_id=f"{SESSION_ID}-approved#/offers/1",
        requirements=frozenset({FlowRequirement.OpenBookingApproval}),
    ),
)


def opened(store: Store) -> None:
    store.save_seller(a_seller())
    store.publish(Listing(an_opportunity()), 1000)
    store.publish(Listing(APPROVED), 1000)


@pytest.fixture(autouse=True)
def sessions(request: pytest.FixtureRequest) -> None:
    if "store" in request.fixturenames:
        opened(request.getfixturevalue("store"))


def decided(store: Store, number: int, at: datetime, session: Any = None) -> Decision[Any]:
    """B on the ordinary session, P on the one that needs approval; not yet written."""
    session = session or an_opportunity()
    request = a_request(
        an_item(session),
        key=OrderKey("partner-1", f"10000000-0000-4000-8000-{number:012d}"),
        total_payment_due=Decimal("10.00"),
        payment={"@type": "Payment", "identifier": "payment"},
    )
    found = store.snapshot(Wanted(request.key, SELLER_ID, (session.id,)))
    place = propose if session is APPROVED else book
    return place(request, found, a_moment(at), lambda order: "answer")


def booked(store: Store, number: int, at: datetime = NOW, session: Any = None) -> Order:
    decision = decided(store, number, at, session)
    store.commit(decision.changes)
    return saved_order(decision)


def pages(read: Any, **options: Any) -> list[Any]:
    found: list[Any] = []
    page: ListPage[Any] = read(**options)
    found.append(list(page.keys))
    while page.following is not None:
        page = read(after=page.following, **options)
        found.append(list(page.keys))
    return found


def bookings_of(store: Store, seller_id: str = SELLER_ID, **options: Any) -> list[Any]:
    return pages(lambda **given: store.listed_orders(OrderList.bookings, seller_id, **given), **options)


def test_bookings_are_listed_by_their_time_in_pages_that_follow_each_other(store: Store) -> None:
    made = [booked(store, number, NOW + timedelta(minutes=5 - number)).key for number in range(5)]
    assert bookings_of(store, limit=2) == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
    assert bookings_of(store, limit=2, newest_first=True) == [
        [made[0], made[1]],
        [made[2], made[3]],
        [made[4]],
    ]
    assert bookings_of(store, limit=5) == [made[::-1]]


def test_bookings_of_the_same_instant_are_on_one_page_each(store: Store) -> None:
    made = {booked(store, number).key for number in range(7)}
    found = bookings_of(store, limit=3)
    assert [len(page) for page in found] == [3, 3, 1]
    assert {key for page in found for key in page} == made


def test_a_list_begins_at_one_time_and_ends_before_another(store: Store) -> None:
    made = [booked(store, number, NOW + timedelta(minutes=number)).key for number in range(4)]
    since, until = NOW + timedelta(minutes=1), NOW + timedelta(minutes=3)
    assert bookings_of(store, since=since, until=until) == [made[1:3]]
    assert bookings_of(store, since=since, until=until, limit=1, newest_first=True) == [[made[2]], [made[1]]]
    assert bookings_of(store, since=until, until=since) == [[]]


def test_a_page_follows_an_order_that_has_left_the_list(store: Store) -> None:
    made = [booked(store, number, NOW + timedelta(minutes=number)) for number in range(4)]
    first = store.listed_orders(OrderList.bookings, SELLER_ID, limit=2)
    stub = DeletedOrder(made[1].key, SELLER_ID)
    store.commit([save_order(stub, made[1])])
    rest = store.listed_orders(OrderList.bookings, SELLER_ID, limit=2, after=first.following or "")
    assert list(rest.keys) == [made[2].key, made[3].key]
    assert bookings_of(store) == [[made[0].key, made[2].key, made[3].key]]


def test_a_list_is_of_one_seller(store: Store) -> None:
    booked(store, 1)
    assert bookings_of(store, OTHER_SELLER) == [[]]
    assert pages(lambda **given: store.listed_opportunities(OTHER_SELLER, **given)) == [[]]


def test_an_open_proposal_moves_to_the_bookings_at_the_time_of_b(store: Store) -> None:
    proposed = booked(store, 1, NOW, APPROVED)

    def listed() -> tuple[list[Any], list[Any]]:
        proposals = pages(lambda **given: store.listed_orders(OrderList.proposals, SELLER_ID, **given))
        return proposals, bookings_of(store, since=NOW + timedelta(hours=1))

    assert listed() == ([[proposed.key]], [[]])
    found = store.snapshot(Wanted(proposed.key, SELLER_ID, (APPROVED.id,)))
    store.commit(decide_proposal(found, ProposalEvent.accept, a_moment()).changes)
    assert listed() == ([[proposed.key]], [[]])
    found = store.snapshot(Wanted(proposed.key, SELLER_ID, (APPROVED.id,)))
    assert isinstance(found.order, Order) and found.order.proposal
    request = ProposalBookingRequest(
        proposed.key,
        found.order.proposal.version,
        payment={"@type": "Payment", "identifier": "payment"},
        total_payment_due=Decimal("10.00"),
    )
    later = a_moment(NOW + timedelta(hours=2))
    store.commit(book_proposal(request, found, later, lambda order: "answer", seller_id=SELLER_ID).changes)
    assert listed() == ([[]], [[proposed.key]])


def test_a_rejected_proposal_leaves_the_list_for_that_of_rejected_ones(store: Store) -> None:
    proposed = booked(store, 1, NOW, APPROVED)
    found = store.snapshot(Wanted(proposed.key, SELLER_ID, (APPROVED.id,)))
    store.commit(decide_proposal(found, ProposalEvent.seller_rejects, a_moment()).changes)
    assert pages(lambda **given: store.listed_orders(OrderList.proposals, SELLER_ID, **given)) == [[]]
    rejected = pages(lambda **given: store.listed_orders(OrderList.rejected, SELLER_ID, **given))
    assert rejected == [[proposed.key]]


def test_opportunities_are_listed_by_their_start_and_those_without_one_last(store: Store) -> None:
    later = an_opportunity(f"{SESSION_ID}-later", starts_in=timedelta(days=9))
    sooner = an_opportunity(f"{SESSION_ID}-sooner", starts_in=timedelta(days=1))
    undated = replace(an_opportunity(f"{SESSION_ID}-undated"), type=OpportunityType.Slot, starts_at=None)
    parent = replace(an_opportunity(f"{SESSION_ID}-series"), type=OpportunityType.SessionSeries)
    for each in (later, undated, sooner, parent):
        store.publish(Listing(each), None if each is parent else 5)
    found = pages(lambda **given: store.listed_opportunities(SELLER_ID, **given), limit=3)
    flat = [each for page in found for each in page]
    assert (flat[0], flat[3:]) == (sooner.id, [later.id, undated.id])
    day = NOW + timedelta(days=2)
    on_day = store.listed_opportunities(SELLER_ID, since=day, until=day + timedelta(days=1))
    assert set(on_day.keys) == {SESSION_ID, APPROVED.id}


def test_a_moved_session_moves_in_the_list_and_a_withdrawn_one_stays(store: Store) -> None:
    moved = an_opportunity(starts_in=timedelta(days=30))
    store.publish(Listing(moved, version=2, deleted=True), 0)
    found = store.listed_opportunities(SELLER_ID)
    assert found.keys == (APPROVED.id, SESSION_ID)


# --- rows of earlier releases, in DynamoDB ----------------------------------------------------------


def forget_places(tables: Tables) -> None:
    """As release 0.1.0 wrote the rows."""
    client = tables.connection.client
    for table, key in (
        (tables.name("orders"), ("order_key",)),
        (tables.name("inventory"), ("opportunity_id", "part")),
    ):
        for item in client.scan(TableName=table)["Items"]:
            client.update_item(
                TableName=table,
                Key={name: item[name] for name in key},
                UpdateExpression="REMOVE seller_list, listed_at",
            )


def test_rows_without_a_place_are_found_and_listed(tables: Tables, calls: Calls) -> None:
    store = DynamoStore(tables)
    opened(store)
    store.publish(
        Listing(replace(an_opportunity(f"{SESSION_ID}-series"), type=OpportunityType.SessionSeries)), None
    )
    order, proposal = booked(store, 1), booked(store, 2, NOW, APPROVED)
    refused = booked(store, 3, NOW, APPROVED)
    found = store.snapshot(Wanted(refused.key, SELLER_ID, (APPROVED.id,)))
    store.commit(decide_proposal(found, ProposalEvent.seller_rejects, a_moment()).changes)
    assert store.scan_orders().unlisted == ()
    forget_places(tables)
    assert bookings_of(store) == [[]]

    keys, ids = [order.key, proposal.key, refused.key], [SESSION_ID, APPROVED.id, f"{SESSION_ID}-series"]
    assert set(store.scan_orders().unlisted) == {str(key) for key in keys}
    assert set(store.scan_opportunities().unlisted) == set(ids)
    assert set(store.unlisted_orders(keys)) == set(keys)
    assert set(store.unlisted_opportunities(ids)) == {SESSION_ID, APPROVED.id}
    assert (store.list_orders(keys), store.list_opportunities(ids)) == (3, 2)
    assert (store.list_orders(keys), store.list_opportunities(ids)) == (0, 0)
    assert bookings_of(store) == [[order.key]]
    assert set(store.listed_opportunities(SELLER_ID).keys) == {SESSION_ID, APPROVED.id}
    # Nothing that a stream compares has changed.
    assert store.orders([order.key]) == {order.key: store.orders([order.key])[order.key]}
    assert store.orders([order.key])[order.key].version == 1


def test_an_index_row_contains_keys_only(tables: Tables) -> None:
    """Nothing of the Customer is copied, and an index row costs one write unit."""
    store = DynamoStore(tables)
    opened(store)
    booked(store, 1)
    client = tables.connection.client
    [found] = client.query(
        TableName=tables.name("orders"),
        IndexName="by_seller",
        KeyConditionExpression="seller_list = :list",
        ExpressionAttributeValues={":list": {"S": f"bookings#{SELLER_ID}"}},
    )["Items"]
    assert found.keys() == {"order_key", "seller_list", "listed_at"}
    assert CUSTOMER["email"] not in str(found)


def test_an_upgrade_lists_what_an_earlier_release_has_written_and_may_be_repeated(tables: Tables) -> None:
    store = DynamoStore(tables)
    opened(store)
    order = booked(store, 1)
    forget_places(tables)
    upgrade = Upgrade(store, AT_ONCE, parts=2)
    counted = upgrade.run(dry_run=True)
    assert (counted.orders, counted.opportunities, bookings_of(store)) == (1, 2, [[]])
    done = upgrade.run()
    assert (done.orders, done.opportunities, bookings_of(store)) == (1, 2, [[order.key]])
    again = upgrade.run()
    assert (again.orders, again.opportunities) == (0, 0) and again.seen == done.seen
