"""A whole import, from an operator's site into an inventory, and again after the site has changed."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto import mock_aws
from rich.console import Console

from chalicelib.booking.cancel import cancel_items
from chalicelib.booking.decisions import MoveHold, SaveOrder, Wanted
from chalicelib.booking.requests import CancellationRequest
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.errors import CancellationNotPermittedError
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import Order, OrderItem, OrderKey, OrderKind
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.domain.pricing import Totals
from chalicelib.importing.rpde import (
    ImportOptions,
    ImportRefused,
    read_rate,
    read_seller_details,
    source_name,
)
from chalicelib.services import following
from chalicelib.services.following import Follower
from chalicelib.services.inventory import Inventory
from chalicelib.services.pending import Worker
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.values import replace
from chalicelib.wire.sellers import read_seller
from openbooking.cli.imports import import_rpde
from tests.importing.site import (
    BASE,
    END,
    SELLER,
    OperatorSite,
    facility_use,
    series,
    session,
    slot,
    unit_id,
)
from tests.support.builders import NOW, Observed, a_moment
from tests.support.engines import new_tables
from tests.support.memory import MemoryStore

RETRY = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5)


@pytest.fixture
def site() -> OperatorSite:
    """Children before their parents, one of them an orphan."""
    site = OperatorSite()
    site.publish(session(1, of=1), session(2, of=1, spaces=0), session(3, of=99))
    site.publish(series(1))
    site.publish(slot(1, unit_id(1, 2)), slot(2, facility_use(1)["@id"], spaces=4))
    site.publish(facility_use(1, 1, 2))
    return site


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def pending_of(store: Store) -> PendingStore:
    if isinstance(store, MemoryStore):
        return store.pending
    assert isinstance(store, DynamoStore)
    return DynamoPending(store._tables)


def run(store: Store, site: OperatorSite, report: Path | None = None, **options: Any) -> str:
    """What the import prints."""
    told = io.StringIO()
    import_rpde(
        Inventory(store, pending_of(store), RETRY),
        ImportOptions(site.url, **{"is_confirmed": True, **options}),
        retry=RETRY,
        console=Console(file=told, width=200),
        report=report,
        web=site.web,
    )
    return told.getvalue()


def listed(store: Store, document: Json) -> Listing | None:
    return store.listings([document["@id"]]).get(document["@id"], (None, None))[0]


def counts(told: str, feed: str) -> list[int]:
    """Pages, harvested, added, changed, unchanged, withdrawn, left out."""
    row = next(line for line in told.splitlines() if line.startswith(f"{feed}  "))
    return [int(cell) for cell in row.split()[1:]][:7]


def take_a_space(store: Store, opportunity_id: str) -> None:
    hold = Hold(1, HoldState.booked)
    store.commit([MoveHold(opportunity_id, OrderKey("partner", "order"), None, hold)])


def spaces_left(store: Store, document: Json) -> int:
    capacity = store.listings([document["@id"]])[document["@id"]][1]
    assert capacity is not None
    return capacity.spaces_left


def test_everything_that_can_be_taken_in_is_and_the_rest_has_a_reason(
    store: MemoryStore, site: OperatorSite
) -> None:
    told = run(store, site)
    assert counts(told, "ScheduledSession")[1:] == [3, 2, 0, 0, 0, 1]
    assert counts(told, "Slot")[1:] == [2, 2, 0, 0, 0, 0]
    assert "its superEvent is in none of the feeds" in told
    assert spaces_left(store, session(1, of=1)) == 10
    assert spaces_left(store, slot(2, "")) == 4
    assert listed(store, session(3, of=99)) is None


def test_a_slot_of_a_unit_has_its_facility_beside_it(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    listing = listed(store, slot(1, ""))
    assert listing is not None
    assert listing.opportunity.parent is not None
    assert listing.opportunity.parent["aggregateFacilityUse"]["name"] == "Hall 1"


def test_a_second_import_changes_nothing(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    told = run(store, site)
    for feed, unchanged in {"SessionSeries": 1, "ScheduledSession": 2, "FacilityUse": 1, "Slot": 2}.items():
        assert counts(told, feed)[2:6] == [0, 0, unchanged, 0]
    assert "2 unchanged" in told or "1 unchanged" in told


def test_our_counter_is_the_truth_after_the_first_import(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    take_a_space(store, session(1, of=1)["@id"])
    site.publish(session(1, of=1, spaces=3, name="Another name"))
    run(store, site)
    listing = listed(store, session(1, of=1))
    assert listing is not None and listing.opportunity.document["name"] == "Another name"
    assert spaces_left(store, session(1, of=1)) == 9


def test_a_change_of_spaces_alone_is_no_change(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    site.publish(session(1, of=1, spaces=3))
    assert counts(run(store, site), "ScheduledSession")[3] == 0


def test_a_change_of_the_parent_changes_its_children(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    site.publish(series(1, name="Pilates"))
    told = run(store, site)
    assert counts(told, "SessionSeries")[3] == 1
    assert counts(told, "ScheduledSession")[3] == 2
    listing = listed(store, session(1, of=1))
    assert listing is not None and listing.opportunity.parent is not None
    assert listing.opportunity.parent["name"] == "Pilates"


@pytest.mark.parametrize("how", ["deleted", "forgotten"])
def test_what_is_gone_at_the_source_is_withdrawn(store: MemoryStore, site: OperatorSite, how: str) -> None:
    run(store, site)
    (site.delete if how == "deleted" else site.forget)(session(1, of=1))
    assert counts(run(store, site), "ScheduledSession")[5] == 1
    listing = listed(store, session(1, of=1))
    assert listing is not None and listing.deleted


def test_what_comes_back_can_be_booked_again_with_its_old_counter(
    store: MemoryStore, site: OperatorSite
) -> None:
    run(store, site)
    take_a_space(store, session(1, of=1)["@id"])
    site.delete(session(1, of=1))
    run(store, site)
    site.publish(session(1, of=1))
    run(store, site)
    listing = listed(store, session(1, of=1))
    assert listing is not None and not listing.deleted
    assert spaces_left(store, session(1, of=1)) == 9


def test_children_of_a_parent_that_is_deleted_are_withdrawn(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    site.delete(series(1))
    told = run(store, site)
    assert counts(told, "ScheduledSession")[5] == 2
    assert counts(told, "SessionSeries")[5] == 1


@pytest.mark.parametrize(
    ("dead", "withdrawn"),
    [
        ("Slot", True),
        ("ScheduledSession", False),
        ("SessionSeries", False),  # the sessions that it would give their Sellers and prices stay as they are
    ],
)
def test_a_feed_that_cannot_be_read_withdraws_nothing_of_it(
    store: MemoryStore, site: OperatorSite, dead: str, withdrawn: bool
) -> None:
    run(store, site)
    site.delete(session(1, of=1))
    site.faults[f"/feeds/{dead}"] = [httpx.Response(404)]
    told = run(store, site)
    assert (
        f"The feed of {dead} could not be read: {BASE}/feeds/{dead} answers 404. Its items are kept." in told
    )
    found = {number: listed(store, session(number, of=1)) for number in (1, 2)}
    assert [each is not None and each.deleted for each in found.values()] == [withdrawn, False]
    court = listed(store, slot(1, ""))
    assert court is not None and not court.deleted


def test_a_site_without_any_feed_that_can_be_read_changes_nothing(
    store: MemoryStore, site: OperatorSite
) -> None:
    run(store, site)
    for kind in site.listed:
        site.faults[f"/feeds/{kind}"] = [httpx.Response(404)]
    with pytest.raises(ImportRefused, match=r"answers 404\. Nothing was changed"):
        run(store, site)


def test_a_feed_that_is_no_longer_listed_withdraws_nothing(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    del site.listed["Slot"]
    run(store, site)
    listing = listed(store, slot(1, ""))
    assert listing is not None and not listing.deleted


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (session(5, of=1, startDate="yesterday"), "is not a date and time"),
        (session(5, of=1, startDate="2027-01-01T10:00:00"), "has no time zone"),
        (session(5, of=1, remainingAttendeeCapacity=None), "it states no remainingAttendeeCapacity"),
        (session(5, of=1, **{"@id": f"{BASE}/{'x' * 3000}"}), "more than the"),
        (session(5, of=1, **{"@id": "not a url"}), "is not an http or https URL"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_its_reason(
    store: MemoryStore, site: OperatorSite, document: Json, reason: str
) -> None:
    site.publish(document)
    assert reason in run(store, site)
    assert listed(store, document) is None


def test_sellers_come_with_the_tax_and_details_that_were_given(
    store: MemoryStore, site: OperatorSite
) -> None:
    details = {SELLER["@id"]: {"legalName": "Operator Ltd"}}
    run(store, site, vat_rate=read_rate("0.05"), seller_details=details)
    seller = store.seller(SELLER["@id"])
    assert seller is not None and seller.tax_rate is not None
    assert (seller.tax_rate.name, seller.document["legalName"]) == ("VAT at 5%", "Operator Ltd")


def test_the_report_names_every_item_that_was_left_out(
    store: MemoryStore, site: OperatorSite, tmp_path: Path
) -> None:
    run(store, site, report=tmp_path / "report.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [session(3, of=99)["@id"]]


def test_one_does_not_import_from_oneself(store: MemoryStore, site: OperatorSite) -> None:
    with pytest.raises(ImportRefused, match="own dataset site"):
        run(store, site, own_url=site.base)


def test_nobody_else_names_one_of_our_own_sellers(store: MemoryStore, site: OperatorSite) -> None:
    ours = {**SELLER, "@id": "https://here.example/api/identifiers/sellers/1"}
    site.publish(series(1, organizer=ours))
    told = run(store, site, own_url="https://here.example")
    assert "cannot be used here" in told
    assert store.seller(ours["@id"]) is None


def test_what_another_source_has_brought_in_is_left_to_it(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    site.publish(session(1, of=1, name="Another name"))
    run(store, site, source="another")
    listing = listed(store, session(1, of=1))
    assert listing is not None and "name" not in listing.opportunity.document


@pytest.mark.parametrize("text", ["20", "-0.1", "much", "NaN"])
def test_a_rate_that_is_no_fraction_is_refused(text: str) -> None:
    with pytest.raises(ImportRefused, match="fraction"):
        read_rate(text)


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', "{", '{"https://a.example/1": {"taxMode": "x"}}'])
def test_details_of_sellers_that_make_no_sense_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sellers.json"
    path.write_text(text)
    with pytest.raises(ImportRefused):
        read_seller_details(path)


def test_a_site_keeps_its_name_however_its_url_is_written() -> None:
    assert source_name("HTTPS://user@Operator.Example/openactive/") == "https://operator.example/openactive"


@pytest.mark.parametrize("url", ["http://[::1", "operator.example/openactive", "ftp://operator.example"])
def test_what_is_no_url_of_a_site_is_refused(url: str) -> None:
    with pytest.raises(ImportRefused, match="is not an http or https URL"):
        source_name(url)


@pytest.mark.parametrize("name", ["report.xlsx", "report.ODS"])
def test_a_report_that_no_spreadsheet_could_open_is_refused(
    store: DynamoStore, site: OperatorSite, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ImportRefused, match=r"Spreadsheets open \.csv"):
        run(store, site, report=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_without_the_tables_is_said_before_anything_is_read(site: OperatorSite) -> None:
    with mock_aws():
        tables = new_tables("imported")
        missing = Tables(replace(tables.engine, prefix="nothing"))
        with pytest.raises(ImportRefused, match=r"The inventory cannot be reached: .*not found"):
            run(DynamoStore(missing), site)
        assert site.requests == []
        for each in (tables, missing):
            each.connection.client.close()


def test_on_dynamodb_an_import_does_the_same(site: OperatorSite) -> None:
    with mock_aws():
        tables = new_tables("imported")
        store = DynamoStore(tables)
        run(store, site)
        assert counts(run(store, site), "Slot")[2:6] == [0, 0, 2, 0]
        site.delete(slot(1, ""))
        run(store, site)
        listing = listed(store, slot(1, ""))
        assert listing is not None and listing.deleted
        tables.connection.client.close()


# --- what becomes of those who booked ---------------------------------------------------------

KEYS = [OrderKey(f"partner-{number}", f"10000000-0000-4000-8000-{number:012d}") for number in range(3)]


def book_a_space(store: Store, document: Json, number: int = 0) -> None:
    """One Order for one place at the session, as it is now."""
    listing = listed(store, document)
    assert listing is not None
    opportunity = listing.opportunity
    key, hold = KEYS[number], Hold(1, HoldState.booked)
    item = OrderItem(
        0,
        opportunity.id,
        opportunity.offers[0].id,
        replace(opportunity, offers=()),
        opportunity.offers[0],
        id=f"item-{number}",
        status=OrderItemStatus.OrderItemConfirmed,
    )
    order = Order(
        key,
        OrderKind.Order,
        opportunity.seller_id,
        {},
        BrokerRole.NoBroker,
        (item,),
        Totals(Decimal(5), "GBP", None),
    )
    move = MoveHold(opportunity.id, key, None, hold, opportunity.revision)
    store.commit([SaveOrder(order, None), move])


def follow(store: MemoryStore) -> int:
    """What the schedule does."""
    follower = Follower(store, store.pending, a_moment(), RETRY, Observed())
    worker = Worker(store.pending, {following.KIND: follower.take_step}, RETRY, lambda: NOW, Observed())
    return worker.run_kind(following.KIND, 60)


def item_of(store: Store, number: int = 0) -> OrderItem:
    order = store.orders([KEYS[number]])[KEYS[number]]
    assert isinstance(order, Order)
    return order.items[0]


def test_what_the_source_changes_reaches_those_who_booked(store: MemoryStore, site: OperatorSite) -> None:
    """NOTIF-04: moved, renamed by its parent, cancelled; each in one import or in several."""
    run(store, site)
    book_a_space(store, session(1, of=1))
    site.publish(session(1, of=1, startDate=END, endDate="2031-05-01T12:00:00+01:00"))
    run(store, site)
    site.publish(series(1, name="Pilates"))
    run(store, site)
    assert follow(store) == 1
    item = item_of(store)
    assert item.opportunity is not None and item.opportunity.starts_at is not None
    assert (item.opportunity.starts_at.isoformat(), item.opportunity.name) == (
        "2031-05-01T10:00:00+00:00",
        "Pilates",
    )
    cancelled = {"eventStatus": "https://schema.org/EventCancelled"}
    site.publish(session(1, of=1, startDate=END, endDate="2031-05-01T12:00:00+01:00", **cancelled))
    run(store, site)
    assert follow(store) == 1
    assert item_of(store).status is OrderItemStatus.SellerCancelled
    assert spaces_left(store, session(1, of=1)) == 10


def test_the_deadline_is_that_of_the_offer_as_booked_before_the_start_as_it_is_now(
    store: MemoryStore, site: OperatorSite
) -> None:
    """CANCEL-06: moved from May to July, it can be cancelled in June."""
    a_day = {"allowCustomerCancellationFullRefund": True, "latestCancellationBeforeStartDate": "P1D"}
    site.publish(series(1, offers=[{**series(1)["offers"][0], **a_day}]))
    run(store, site)
    book_a_space(store, session(1, of=1))
    in_june = a_moment(datetime(2031, 6, 1, tzinfo=UTC))

    def cancel() -> None:
        snapshot = store.snapshot(Wanted(KEYS[0]))
        request = CancellationRequest(KEYS[0], ("item-0",))
        cancel_items(request, snapshot, in_june, seller_id=SELLER["@id"])

    with pytest.raises(CancellationNotPermittedError):
        cancel()
    july = {"startDate": "2031-07-01T10:00:00+01:00", "endDate": "2031-07-01T11:00:00+01:00"}
    # What the Offer says from now on does not apply to who has booked.
    site.publish(session(1, of=1, **july), series(1))
    run(store, site)
    follow(store)
    cancel()


def test_a_second_import_has_nothing_to_follow(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    book_a_space(store, session(1, of=1))
    run(store, site)
    site.publish(session(1, of=1, spaces=3))
    run(store, site)
    assert store.pending.entries(following.KIND, 10) == []


def test_orders_on_what_was_deleted_stand_and_the_import_says_so(
    store: MemoryStore, site: OperatorSite, tmp_path: Path
) -> None:
    """Every import until they are cancelled, since one that is killed would not say it."""
    run(store, site)
    book_a_space(store, session(1, of=1))
    site.delete(session(1, of=1), session(2, of=1))
    for _ in range(2):
        told = run(store, site, report=tmp_path / "report.jsonl")
        assert "Orders (1) on sessions that the site no longer has" in told
        assert "1 on Yoga 1, 2031-05-01 09:00 UTC:" in told
        assert f"openbooking sessions cancel {session(1, of=1)['@id']}" in told
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line for line in lines if line["outcome"] == "orders stand"] == [
        {
            "outcome": "orders stand",
            "type": "ScheduledSession",
            "id": session(1, of=1)["@id"],
            "name": "Yoga 1",
            "startDate": "2031-05-01T09:00:00+00:00",
            "orders": 1,
        }
    ]
    assert follow(store) == 1  # it is looked at, as a proposal would be rejected
    assert item_of(store).status is OrderItemStatus.OrderItemConfirmed
    Inventory(store, store.pending, RETRY).cancel(session(1, of=1)["@id"])
    assert follow(store) == 1
    assert "on sessions that the site no longer has" not in run(store, site)


def test_past_sessions_that_disappear_concern_nobody(store: MemoryStore, site: OperatorSite) -> None:
    past = {"startDate": "2020-05-01T10:00:00+01:00", "endDate": "2020-05-01T11:00:00+01:00"}
    site.publish(session(1, of=1, **past))
    run(store, site)
    book_a_space(store, session(1, of=1))
    site.delete(session(1, of=1))
    told = run(store, site, deleted_means_cancelled=True)
    assert "on sessions that the site no longer has" not in told and follow(store) == 1
    assert item_of(store).status is OrderItemStatus.OrderItemConfirmed


def test_an_operator_may_delete_what_it_cancels(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    book_a_space(store, session(1, of=1))
    site.delete(session(1, of=1))
    told = run(store, site, deleted_means_cancelled=True)
    assert "so it is cancelled" in told and "on sessions that the site no longer has" not in told
    assert follow(store) == 1
    assert item_of(store).status is OrderItemStatus.SellerCancelled


def test_what_cannot_be_read_any_more_is_not_deleted(store: MemoryStore, site: OperatorSite) -> None:
    """Nobody is cancelled for a fault in a feed."""
    run(store, site)
    book_a_space(store, session(1, of=1))
    site.publish(session(1, of=1, startDate="soon"))
    told = run(store, site, deleted_means_cancelled=True)
    assert "Orders (1) on sessions" in told and follow(store) == 1
    assert item_of(store).status is OrderItemStatus.OrderItemConfirmed


def test_a_seller_of_another_source_stays_as_it_is(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    before = store.seller(SELLER["@id"])
    other = OperatorSite()
    theirs = {
        **SELLER,
        "name": "Other",
        "taxMode": "https://openactive.io/TaxNet",
        "isOpenBookingAllowed": False,
    }
    other.publish(series(7, organizer=theirs), session(7, of=7, organizer=theirs))
    told = run(store, other, source="other")
    assert f"{SELLER['@id']} is not changed" in told
    assert store.seller(SELLER["@id"]) == before
    site.publish(series(1, organizer={**SELLER, "name": "New name"}), session(1, of=1))
    site.publish(facility_use(1, 1, 2, provider={**SELLER, "name": "New name"}))
    assert "1 changed" in run(store, site)


def test_a_seller_that_a_command_has_added_stays_as_it_is(store: MemoryStore, site: OperatorSite) -> None:
    mine = read_seller({**SELLER, "name": "As the operator of this system wants it"})
    store.save_seller(mine)
    for _ in range(2):  # the second time, this source has sessions of it
        assert f"{SELLER['@id']} is not changed" in run(store, site)
    assert store.seller(SELLER["@id"]) == mine
