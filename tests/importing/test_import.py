"""A whole import, from an operator's site into an inventory, and again after the site has changed."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto import mock_aws
from rich.console import Console

from chalicelib.booking.decisions import MoveHold
from chalicelib.domain.capacity import Hold, HoldState
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Inventory
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from openbooking.cli.imports import import_rpde
from openbooking.importing.rpde import (
    ImportOptions,
    ImportRefused,
    read_rate,
    read_seller_details,
    source_name,
)
from tests.importing.site import BASE, SELLER, OperatorSite, facility_use, series, session, slot, unit_id
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
        ImportOptions(site.url, **options),
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
    row = next(line for line in told.splitlines() if feed in line and "│" in line)
    return [int(cell) for cell in row.split("│")[2:-1]]


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


def test_a_feed_that_cannot_be_read_changes_nothing(store: MemoryStore, site: OperatorSite) -> None:
    run(store, site)
    site.delete(session(1, of=1))
    site.faults["/feeds/Slot"] = [httpx.Response(404)]
    with pytest.raises(ImportRefused, match="Nothing was changed"):
        run(store, site)
    listing = listed(store, session(1, of=1))
    assert listing is not None and not listing.deleted


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
        (
            slot(5, unit_id(1, 1), offers=[{"@type": "Offer", "@id": f"{BASE}/o", "price": -1}]),
            "has the price",
        ),
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
