"""Rows that an earlier release wrote are read, and gone on with, by this one.

`rows/0.1.0.json` holds every kind of row of release 0.1.0 as DynamoDB's JSON: table -> rows, bytes as base64.
It is never written anew; a release that changes how rows are written adds a file of its own.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chalicelib.api import streams, sweep
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.domain.capacity import Capacity, Hold, HoldState
from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.domain.parties import AccessMethod, TaxMode, TaxRate
from chalicelib.identity.consent import FeedReview
from chalicelib.identity.entries import (
    ApiKey,
    Authorisation,
    Grant,
    Invitation,
    JournalEntry,
    Login,
    Partner,
    Secret,
)
from chalicelib.identity.logins import SignInRefused, TooManyAttempts
from chalicelib.identity.passwords import Passwords
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from chalicelib.services import clearing, following, reviews
from chalicelib.services.inventory import Outcome
from chalicelib.storage import codec
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import FORMAT, Tables
from chalicelib.storage.errors import UnreadableRow
from chalicelib.storage.store import Listing, SellerEntry
from chalicelib.values import replace
from tests.support.builders import NOW
from tests.support.world import API, BASE_URL, PAYMENT, Bookable, Broker, World, capacity_record, order_record

Json = dict[str, Any]
ROWS: dict[str, list[Json]] = json.loads((Path(__file__).parent / "rows" / "0.1.0.json").read_text("utf-8"))

IDS = "https://base.invalid/api/identifiers"
SELLER, OTHER_SELLER = f"{IDS}/sellers/1", f"{IDS}/sellers/2"
YOGA, ASKING, APPROVING, LEFT, MOVED, CALLED_OFF, GOING, STAYING, NET = (
    f"{IDS}/scheduled-sessions/{number}" for number in (1, 3, 4, 5, 6, 7, 8, 9, 10)
)
IMPORTED, COURT = f"{IDS}/scheduled-sessions/imported", f"{IDS}/slots/2"
LEASE_ENDS = NOW + timedelta(minutes=15)

AUTHORISATION = "00000000-0000-4000-8000-000000000048"
GRANT = "00000000-0000-4000-8000-000000000052"
FIRST_KEY, SECOND_KEY = "00000000-0000-4000-8000-000000000054", "00000000-0000-4000-8000-000000000055"
SCOPES = ("offline_access", "openactive-openbooking", "openid")
# Signed with the first of the keys.
ACCESS_TOKEN = (
    "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDA1NCJ9"
    ".eyJpc3MiOiJodHRwOi8vYm9va2luZy5leGFtcGxlL2F1dGgiLCJhdWQiOiJodHRwOi8vYm9va2luZy5leGFtcGxlL2FwaS9vcGV"
    "uYm9va2luZyIsInN1YiI6Imh0dHA6Ly9ib29raW5nLmV4YW1wbGUvYXBpL2lkZW50aWZpZXJzL3NlbGxlcnMvMSIsImNsaWVudF9"
    "pZCI6InBhcnRuZXItMSIsInNjb3BlIjoib2ZmbGluZV9hY2Nlc3Mgb3BlbmFjdGl2ZS1vcGVuYm9va2luZyBvcGVuaWQiLCJpYXQ"
    "iOjE3ODAzMTUyMDAsImV4cCI6MTc4MDMxNjEwMCwianRpIjoiMDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDUzIiw"
    "iaHR0cHM6Ly9vcGVuYWN0aXZlLmlvL2NsaWVudElkIjoicGFydG5lci0xIiwiaHR0cHM6Ly9vcGVuYWN0aXZlLmlvL3NlbGxlckl"
    "kIjoiaHR0cDovL2Jvb2tpbmcuZXhhbXBsZS9hcGkvaWRlbnRpZmllcnMvc2VsbGVycy8xIn0.U5yTMR7nfpVHwuX6y_AIZOVrzRa"
    "P5yEwPq3sw33CKfnTz6U4xlvCDZctkPqSejVz1hTgNHYmzbSxxm38u3wNsTjfPahcYWWce7KLCVb2j-P3Tqxs6LOH3i95HzHj2h8"
    "P8eC7x4NmD4QruHO2XPb7qUXLbdgcJnXn7O2IS4VuCMu9W423EGDz9tmvApV52rYWKdrpsCvc_h8zM9KpDbAMLDJRg3xGnNbcAy4"
    "DNgkqTdjHMxbm-WmHpIYdzjQ95_zFV2AJT2cnqk8HRry04hHocjT7fTLVnEn0Ru0NO0AFuqPQJVd78MhMy3w6ICiLqosHAfyEowh"
    "UL11VBmCH7-rhGg"
)


def uuid(number: int) -> str:
    return f"10000000-0000-4000-8000-{number:012d}"


def raw(row: Json) -> Json:
    """A row of the file as boto3 takes it."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else value for name, value in row.items()
    }


@pytest.fixture
def world(tables: Tables) -> Iterator[World]:
    """An installation on the rows of release 0.1.0, at the time at which they were written."""
    made = World(
        store=DynamoStore(tables),
        feeds=DynamoFeeds(tables),
        identities=DynamoIdentities(tables),
        pending=DynamoPending(tables),
    )
    client = tables.connection.client
    for table, rows in ROWS.items():
        puts = [{"PutRequest": {"Item": raw(row)}} for row in rows]
        for start in range(0, len(puts), 25):
            answer = client.batch_write_item(RequestItems={tables.name(table): puts[start : start + 25]})
            assert not answer["UnprocessedItems"]
    yield made
    install(None)


@pytest.fixture
def broker(world: World) -> Broker:
    return Broker(world)


def order(world: World, number: int, partner: str = "partner-1") -> Order:
    found = world.order(uuid(number), partner)
    assert isinstance(found, Order)
    return found


def listing(world: World, opportunity_id: str) -> Listing:
    return world.store.listings([opportunity_id])[opportunity_id][0]


def capacity(world: World, opportunity_id: str) -> Capacity | None:
    return world.store.listings([opportunity_id])[opportunity_id][1]


def shown(broker: Broker, path: str) -> list[tuple[str, str]]:
    """State and id, without what comes before its last slash, of each item of a feed."""
    page = broker.send("GET", path)
    assert page.status == 200, page.body
    return [(item["state"], item["id"].rsplit("/", 1)[-1]) for item in page.json["items"]]


def test_every_kind_of_row_is_among_them() -> None:
    """So that no test here says something of rows that are not there."""
    kinds: Counter[str] = Counter()
    for row in ROWS["inventory"]:
        partition, part = row["opportunity_id"]["S"], row["part"]["S"]
        of_its_own = partition.startswith(("changes", "clearings"))
        kinds[partition if of_its_own else part.partition("#")[0]] += 1
    kinds.update(row["kind"]["S"] for row in ROWS["orders"])
    kinds.update(row["entry"]["S"].partition("#")[0] for row in ROWS["feeds"])
    for row in ROWS["identity"]:
        principal = row["principal"]["S"]
        kinds["seller" if row["part"]["S"] == "seller" else principal.partition("#")[0]] += 1
    assert kinds == {
        **{"details": 21, "capacity": 11, "hold": 11, "changes": 2, "clearings": 1, "clearings#dev": 1},
        **{"OrderQuote": 2, "OrderProposal": 3, "Order": 7, "Deleted": 1},
        **{"change": 28, "item": 27, "counter": 7},
        **{"seller": 2, "partner": 2, "authorisation": 3, "standing": 1, "api-key": 1, "login": 1},
        **{"invitation": 2, "code": 2, "grant": 1, "feed-reviews": 2, "journal": 1, "signing-keys": 1},
        **{"attempts": 2, "rate": 1},
    }


# --- inventory ----------------------------------------------------------------------------


def test_opportunities(world: World) -> None:
    session = listing(world, ASKING)
    assert (session.version, session.deleted, session.source, session.source_digest) == (2, False, None, None)
    opportunity = session.opportunity
    assert (opportunity.id, opportunity.type, opportunity.seller_id) == (ASKING, "ScheduledSession", SELLER)
    assert opportunity.starts_at == datetime(2026, 6, 3, 12, tzinfo=UTC)
    assert opportunity.ends_at == datetime(2026, 6, 3, 13, tzinfo=UTC)
    assert (opportunity.is_online, opportunity.is_physical, opportunity.revision) == (True, True, 2)
    assert opportunity.attendee_details_required == ("https://schema.org/givenName",)
    assert opportunity.intake_form == (
        {
            "@type": "ShortAnswerFormFieldSpecification",
            "@id": "https://base.invalid/questions/1",
            "name": "Allergies",
            "valueRequired": True,
        },
    )
    assert opportunity.access_channel == {"name": "Video room", "url": "https://video.example/1"}
    assert opportunity.document["name"] == "Zoë’s yoga"
    assert opportunity.parent is not None and opportunity.parent["@id"] == f"{IDS}/session-series/3"
    (offer,) = opportunity.offers
    assert (offer.id, offer.price, offer.currency) == (
        f"{IDS}/session-series/3#/offers/1",
        Decimal(12),
        "GBP",
    )
    assert (offer.prepayment, offer.allows_cancellation) == ("Required", True)
    assert (offer.opens_before, offer.cancellable_until_before) == (timedelta(days=7), timedelta(days=1))
    slot = listing(world, COURT).opportunity
    assert (slot.type, slot.offers[0].price, slot.document["maximumUses"]) == ("Slot", Decimal(8), 2)
    assert slot.parent is not None and slot.parent["aggregateFacilityUse"]["name"] == "Badminton"
    assert listing(world, CALLED_OFF).opportunity.status is EventStatus.EventCancelled


def test_parents_and_what_has_left(world: World) -> None:
    series, facility = f"{IDS}/session-series/1", f"{IDS}/facility-uses/2"
    assert listing(world, series).opportunity.type == "SessionSeries"
    assert listing(world, series).opportunity.document["name"] == "Yoga"
    assert listing(world, facility).opportunity.document["individualFacilityUse"][0]["name"] == "Court 1"
    assert (capacity(world, series), capacity(world, facility)) == (None, None)
    assert (listing(world, LEFT).deleted, listing(world, LEFT).version) == (True, 2)
    left = capacity(world, LEFT)
    assert left is not None and not left.open_for_booking


def test_what_was_imported(world: World) -> None:
    (found,) = world.store.imported_from("https://kings.example/feeds/sessions")
    assert (found.opportunity.id, found.version, found.source_digest) == (IMPORTED, 1, "0f" * 32)


def test_counters_and_who_holds(world: World) -> None:
    assert capacity(world, YOGA) == Capacity(10, 7, 3, revision=1, version=5, next_expiry_at=LEASE_ENDS)
    assert world.store.holds(YOGA) == {
        OrderKey("partner-1", uuid(1)): Hold(2, HoldState.leased, LEASE_ENDS),
        OrderKey("partner-2", uuid(1)): Hold(1, HoldState.leased, LEASE_ENDS),
    }
    assert capacity(world, COURT) == Capacity(2, 1, 0, revision=1, version=3)
    assert world.store.holds(COURT) == {OrderKey("partner-1", uuid(2)): Hold(1, HoldState.booked)}
    assert world.store.holds(APPROVING) == {
        OrderKey("partner-1", uuid(4)): Hold(1, HoldState.proposed),
        OrderKey("partner-1", uuid(5)): Hold(1, HoldState.proposed),
        OrderKey("partner-1", uuid(6)): Hold(1, HoldState.leased, LEASE_ENDS),
        OrderKey("partner-1", uuid(7)): Hold(1, HoldState.booked),
    }


def test_leases_end_by_the_clock(world: World) -> None:
    """LEASE-04, LEASE-09: those of a rejected proposal too."""
    world.clock.advance(minutes=15)
    assert set(world.store.expired(world.clock.now, 10)) == {YOGA, APPROVING}
    assert sweep.sweep()["lease"] == 3
    after = capacity(world, YOGA)
    assert after == Capacity(10, 10, 0, revision=1, version=after.version if after else 0)
    assert world.store.holds(YOGA) == {}
    assert set(world.store.holds(APPROVING)) == {OrderKey("partner-1", uuid(each)) for each in (4, 5, 7)}


def test_a_session_takes_new_bookings(world: World) -> None:
    session = Bookable(IMPORTED, f"{IDS}/session-series/1#/offers/1", "ScheduledSession")
    assert Broker(world, "partner-9").b(uuid(99), session.item()).status == 201
    assert capacity(world, IMPORTED) == Capacity(7, 6, 0, revision=1, version=2)


def test_changes_are_followed_to_their_end(world: World, broker: Broker) -> None:
    """NOTIF-04, CANCEL-14: from where they were left, and nobody twice."""
    said = "The instructor is unwell."
    moved = OpportunityChange(MOVED, ChangeKind.logistics, revision=2)
    off = OpportunityChange(CALLED_OFF, ChangeKind.cancelled, said, revision=2)
    assert world.pending.take_over() == 5
    taken = {entry.id: entry for entry in world.pending.entries(following.KIND, 10)}
    assert {each: following.read_change(entry) for each, entry in taken.items()} == {
        MOVED: moved,
        CALLED_OFF: off,
    }
    assert (taken[MOVED].progress, taken[CALLED_OFF].progress) == ("", f"partner-1#{uuid(9)}")
    before, seen_to = order(world, 10), order(world, 9)
    assert [item.status for item in before.items] == ["OrderItemConfirmed"]
    assert [(item.status, item.cancellation_message) for item in seen_to.items] == [("SellerCancelled", said)]

    assert sweep.sweep()[following.KIND] == 2
    assert world.pending.entries(following.KIND, 10) == []
    assert order(world, 9) == seen_to
    (item,) = order(world, 10).items
    assert (item.status, item.cancellation_message) == ("SellerCancelled", said)
    assert world.store.holds(CALLED_OFF) == {}
    (item,) = Broker(world, "partner-2").status(uuid(8)).json["orderedItem"]
    assert item["orderedItem"]["startDate"] == "2026-06-03T13:00:00Z"
    assert item["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"


def test_a_dataset_that_was_deleted_goes(world: World, broker: Broker) -> None:
    """TESTIF-01: what was noted to go now, and what stands until its own dataset is deleted."""
    noted, stands = (GOING, f"{IDS}/session-series/8"), (STAYING, f"{IDS}/session-series/9")
    world.set(test_interface=True)
    assert sweep.sweep()[clearing.KIND] == 2
    assert world.pending.entries(clearing.KIND, 10) == []
    assert all(listing(world, each).deleted for each in noted)
    assert world.order(uuid(11)) == DeletedOrder(OrderKey("partner-1", uuid(11)), SELLER, version=2)
    assert world.store.holds(GOING) == {}
    assert not listing(world, STAYING).deleted

    assert broker.send("DELETE", f"{API}/test-interface/datasets/dev").status == 204
    assert all(listing(world, each).deleted for each in stands)
    assert world.pending.entries("dataset#dev", 10) == world.pending.entries(clearing.KIND, 10) == []


# --- orders -------------------------------------------------------------------------------


def test_an_order_is_answered_as_it_was(broker: Broker) -> None:
    document = broker.status(uuid(2)).json
    assert document["@id"] == f"{BASE_URL}{API}/orders/{uuid(2)}"
    assert document["customer"] == {
        "@type": "Person",
        "givenName": "Geoff",
        "email": "geoff@example.com",
        "telephone": "020 811 8055",
    }
    assert document["broker"] == {"@type": "Organization", "name": "Acme Broker"}
    assert document["brokerRole"] == "https://openactive.io/AgentBroker"
    assert document["payment"] == {"@type": "Payment", "identifier": "payment-1"}
    assert document["seller"]["legalName"] == "Kings Mead Leisure Trust"
    assert document["totalPaymentDue"] == {
        "@type": "PriceSpecification",
        "price": 20,
        "priceCurrency": "GBP",
        "openBookingPrepayment": "https://openactive.io/Required",
    }
    assert [tax["price"] for tax in document["totalPaymentTax"]] == [3.33]
    session, court, cancelled = document["orderedItem"]
    assert [item["orderItemStatus"].rsplit("/", 1)[1] for item in document["orderedItem"]] == [
        "OrderItemConfirmed",
        "AttendeeAttended",
        "CustomerCancelled",
    ]
    assert session["@id"].endswith("#/orderedItem/00000000-0000-4000-8000-000000000001")
    assert session["orderedItem"]["name"] == "Zoë’s yoga"
    assert session["acceptedOffer"]["latestCancellationBeforeStartDate"] == "PT24H"
    assert session["attendee"] == {"@type": "Person", "givenName": "Zoë"}
    assert session["orderItemIntakeFormResponse"] == [
        {"@type": "PropertyValue", "propertyID": f"{BASE_URL}/questions/1", "value": "Nuts"}
    ]
    assert session["accessCode"] == [
        {"@type": "PropertyValue", "name": "Access code", "description": "822222"}
    ]
    assert session["accessPass"] == [
        {"@type": "Barcode", "text": "0123456789"},
        {
            "@type": "Barcode",
            "text": "922222222222",
            "url": f"{BASE_URL}/api/passes/922222222222.svg",
            "beta:codeType": "qrcode",
        },
        {"@type": "ImageObject", "url": f"{BASE_URL}/api/passes/A22222222222.svg"},
    ]
    assert session["accessChannel"] == {
        "@type": "VirtualLocation",
        "name": "Video room",
        "url": "https://video.example/1",
        "accessId": "622222222",
        "accessCode": "722222",
    }
    assert session["customerNotice"] == "Please bring your own mat."
    assert court["orderedItem"]["facilityUse"]["aggregateFacilityUse"]["name"] == "Badminton"
    assert court["acceptedOffer"]["price"] == cancelled["acceptedOffer"]["price"] == 8


def test_an_order_as_it_was_kept(world: World) -> None:
    kept = order(world, 2)
    assert (kept.kind, kept.seller_id, kept.version, kept.published) == (OrderKind.Order, SELLER, 4, True)
    assert (kept.totals.due, kept.totals.currency, kept.totals.tax_excluded) == (
        Decimal("20.00"),
        "GBP",
        False,
    )
    assert [(tax.name, tax.amount, tax.rate) for tax in kept.totals.taxes] == [
        ("VAT at 20%", Decimal("3.33"), Decimal("0.2"))
    ]
    assert kept.created_at == NOW
    assert kept.access_methods == (AccessMethod.code, AccessMethod.barcode, AccessMethod.image)
    assert [(item.position, item.opportunity_id) for item in kept.items] == [
        (0, ASKING),
        (1, COURT),
        (2, COURT),
    ]
    assert kept.items[0].broker_passes == ({"@type": "Barcode", "text": "0123456789"},)
    assert kept.items[0].opportunity is not None and kept.items[0].opportunity.revision == 2
    assert kept.items[0].price is not None and kept.items[0].price.due == Decimal("12.00")
    assert kept.holds() == {ASKING: Hold(1, HoldState.booked), COURT: Hold(1, HoldState.booked)}


def test_an_order_can_be_cancelled_and_deleted(world: World, broker: Broker) -> None:
    """CANCEL-01, DEL-04."""
    item_id = broker.status(uuid(2)).json["orderedItem"][0]["@id"]
    assert broker.cancel(uuid(2), item_id).status == 204
    assert broker.status(uuid(2)).json["totalPaymentDue"]["price"] == 8
    assert world.store.holds(ASKING) == {}
    assert broker.delete(uuid(2)).status == 204
    key = OrderKey("partner-1", uuid(2))
    assert world.order(uuid(2)) == DeletedOrder(key, SELLER, published=True, version=6)
    assert capacity(world, COURT) == Capacity(2, 2, 0, revision=1, version=4)


def test_a_repeated_b_gets_its_first_answer(broker: Broker) -> None:
    """B-08: known again by what it asks, though the session has been called off since."""
    session = Bookable(CALLED_OFF, f"{IDS}/session-series/7#/offers/1", "ScheduledSession")
    again = broker.b(uuid(10), session.item())
    assert again.status == 201
    assert again.json["orderedItem"][0]["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"
    assert again.json["totalPaymentDue"]["price"] == 10


def test_a_lease_can_be_booked(world: World, broker: Broker) -> None:
    """LEASE-03, B-01: the spaces that it holds, and no others."""
    quote = order(world, 1)
    assert (quote.kind, quote.lease_expires_at) == (OrderKind.OrderQuote, LEASE_ENDS)
    assert (quote.totals.due, quote.customer) == (Decimal("20.00"), None)  # a lease keeps nobody's name
    session = Bookable(YOGA, f"{IDS}/session-series/1#/offers/1", "ScheduledSession")
    booked = broker.b(uuid(1), session.item(0), session.item(1), due=20)
    assert booked.status == 201, booked.body
    assert world.store.holds(YOGA)[OrderKey("partner-1", uuid(1))] == Hold(2, HoldState.booked)
    left = capacity(world, YOGA)
    assert left is not None and (left.spaces_left, left.spaces_leased) == (7, 1)
    assert order(world, 1, "partner-2").customer is None
    assert Broker(world, "partner-2").delete_quote(uuid(1)).status == 204
    assert set(world.store.holds(YOGA)) == {OrderKey("partner-1", uuid(1))}


def test_proposals(world: World) -> None:
    found = [(number, order(world, number)) for number in (4, 5, 6)]
    assert [(each.kind, each.version, each.published) for _, each in found] == [
        (OrderKind.OrderProposal, 1, False),
        (OrderKind.OrderProposal, 2, True),
        (OrderKind.OrderProposal, 2, True),
    ]
    decided = [each.proposal for _, each in found]
    assert [(each.status, each.seller_note) for each in decided if each] == [
        ("AwaitingSellerConfirmation", None),
        ("SellerAccepted", "With pleasure."),
        ("SellerRejected", "We are closed that day."),
    ]
    assert [[item.status for item in each.items] for _, each in found] == [["OrderItemProposed"]] * 3


def test_an_accepted_proposal_can_be_booked(world: World, broker: Broker) -> None:
    """B-16: and one that was booked already gets its first answers again (B-08, P-12)."""
    accepted = order(world, 5)
    assert accepted.proposal is not None

    def b(number: int, version: str) -> Any:
        version_id = f"{BASE_URL}{API}/order-proposals/{uuid(number)}/versions/{version}"
        body = {"@type": "Order", "orderProposalVersion": version_id, "payment": PAYMENT}
        return broker.send("PUT", f"{API}/orders/{uuid(number)}", body)

    booked = b(5, accepted.proposal.version)
    assert booked.status == 201, booked.body
    assert booked.json["orderedItem"][0]["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"
    assert world.store.holds(APPROVING)[OrderKey("partner-1", uuid(5))] == Hold(1, HoldState.booked)

    before = order(world, 7)
    assert (before.kind, before.version) == (OrderKind.Order, 3)
    assert before.proposal is not None and before.proposal_answer is not None
    again = b(7, before.proposal.version)
    assert (again.status, again.json["@type"]) == (201, "Order")
    assert order(world, 7) == before


def test_what_is_left_of_a_deleted_order(world: World, broker: Broker) -> None:
    """DEL-04, DEL-06."""
    key = OrderKey("partner-1", uuid(3))
    assert world.order(uuid(3)) == DeletedOrder(key, SELLER, published=True, version=3)
    assert broker.delete(uuid(3)).status == 204
    session = Bookable(YOGA, f"{IDS}/session-series/1#/offers/1", "ScheduledSession")
    assert broker.b(uuid(3), session.item()).json["@type"] == "OrderAlreadyExistsError"


# --- feeds --------------------------------------------------------------------------------


def test_a_page_of_an_open_feed(broker: Broker) -> None:
    """RPDE-04: in its order; what was vacated is passed over."""
    page = broker.send("GET", "/feeds/scheduled-sessions").json
    numbers = ["1", "10", "3", "4", "6", "7", "8", "9", "imported"]
    assert [(item["state"], item["id"].rsplit("/", 1)[1]) for item in page["items"]] == [
        *(("updated", number) for number in numbers),
        ("deleted", "5"),
    ]
    assert [item["modified"] for item in page["items"]] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert page["next"].endswith("afterChangeNumber=11")
    asking = page["items"][2]["data"]
    assert (asking["name"], asking["remainingAttendeeCapacity"]) == ("Zoë’s yoga", 5)
    assert shown(broker, "/feeds/slots") == [("updated", "2")]
    assert shown(broker, "/feeds/facility-uses") == [("updated", "2")]
    assert len(shown(broker, "/feeds/session-series")) == 9


def test_pages_of_a_partners_own_feeds(broker: Broker) -> None:
    """OFEED-02, OFEED-14."""
    page = broker.send("GET", f"{API}/orders-rpde").json
    assert [(item["state"], item["id"], item["modified"]) for item in page["items"]] == [
        ("updated", uuid(2), 1),
        ("deleted", uuid(3), 3),
    ]
    assert page["items"][0]["data"]["totalPaymentDue"]["price"] == 20
    proposals = [("updated", uuid(5)), ("updated", uuid(6))]
    assert shown(broker, f"{API}/order-proposals-rpde") == proposals


def test_feeds_go_on_where_they_were(world: World, broker: Broker) -> None:
    """RPDE-06: what they know is no news; what is, gets the next number and leaves the old one."""
    path = f"{API}/orders-rpde"
    before = broker.send("GET", path).json["items"]
    assert streams.orders_changed([order_record(order(world, 2))]) == {"batchItemFailures": []}
    assert broker.send("GET", path).json["items"] == before
    newer = replace(order(world, 2), version=5)
    assert streams.orders_changed([order_record(newer)]) == {"batchItemFailures": []}
    after = broker.send("GET", path).json["items"]
    assert [(item["state"], item["id"], item["modified"]) for item in after] == [
        ("deleted", uuid(3), 3),
        ("updated", uuid(2), 4),
    ]
    # It went before anyone had seen it: an earlier version that comes late stays unseen.
    late = replace(order(world, 7), kind=OrderKind.OrderProposal, published=True, version=2)
    assert streams.orders_changed([order_record(late)]) == {"batchItemFailures": []}
    assert ("updated", uuid(7)) not in shown(broker, f"{API}/order-proposals-rpde")

    assert streams.inventory_changed([capacity_record(YOGA), capacity_record(NET)]) == {
        "batchItemFailures": []
    }
    items = broker.send("GET", "/feeds/scheduled-sessions").json["items"]
    # The one of both has been sold and leased since it was last shown.
    newest = [(item["id"].rsplit("/", 1)[1], item["modified"]) for item in items[-2:]]
    assert newest == [("1", 12), ("10", 13)]
    assert [item["data"]["remainingAttendeeCapacity"] for item in items[-2:]] == [7, 3]


def test_reviews_of_feeds_are_done(world: World) -> None:
    """OFEED-15."""
    assert world.pending.take_over() == 5
    assert [
        (codec.from_json(entry.document, FeedReview), entry.progress)
        for entry in world.pending.entries(reviews.KIND, 10)
    ] == [(FeedReview("partner-2", SELLER), uuid(1)), (FeedReview("partner-3", OTHER_SELLER), "")]
    late = Broker(world, "partner-3", seller=None)
    assert shown(late, f"{API}/orders-rpde") == [("updated", uuid(13))]
    assert sweep.sweep()[reviews.KIND] == 1
    assert world.pending.entries(reviews.KIND, 10) == []
    reviewed = order(world, 13, "partner-3")
    assert reviewed.version == 3
    assert streams.orders_changed([order_record(reviewed)]) == {"batchItemFailures": []}
    assert shown(late, f"{API}/orders-rpde") == [("deleted", uuid(13))]


# --- identity -----------------------------------------------------------------------------


def test_sellers(world: World) -> None:
    first, second = sorted(world.store.sellers(), key=lambda seller: seller.id)
    assert (first.id, first.tax_mode, first.open_booking_allowed) == (SELLER, TaxMode.TaxGross, True)
    assert first.tax_rate == TaxRate("VAT at 20%", Decimal("0.2"))
    assert first.access_methods == (AccessMethod.code, AccessMethod.barcode, AccessMethod.image)
    assert first.document["legalName"] == "Kings Mead Leisure Trust"
    assert (second.id, second.tax_mode, second.access_methods) == (OTHER_SELLER, TaxMode.TaxNet, ())
    assert world.store.seller(SELLER) == first


def test_a_seller_that_says_not_whose_it_is_goes_to_the_import_that_had_it(world: World) -> None:
    """Release 0.1.0 noted no source; the import that already has Opportunities of the Seller keeps it."""
    inventory, seller = world.system.inventory, world.store.seller(SELLER)
    assert seller is not None
    changed = replace(seller, open_booking_allowed=False)
    assert inventory.keep_seller(changed, "another", lambda: False) is Outcome.elsewhere
    assert world.store.seller(SELLER) == seller
    assert inventory.keep_seller(changed, "theirs", lambda: True) is Outcome.changed
    assert world.store.seller_entry(SELLER) == SellerEntry(changed, "theirs")
    assert inventory.keep_seller(seller, "another", lambda: True) is Outcome.elsewhere


def test_partners_and_their_secrets(world: World) -> None:
    """AUTH-05."""
    system = world.system
    partner = system.credentials.partner("partner-1")
    assert partner is not None
    newer, older = (
        system.credentials.has_secret(partner, "partner-secret"),
        system.credentials.has_secret(partner, "older-secret"),
    )
    assert (newer, older, system.credentials.has_secret(partner, "another")) == (True, True, False)
    secrets = [(secret.made_at, secret.ends_at) for secret in partner.secrets]
    assert secrets == [(NOW - timedelta(days=90), NOW + timedelta(hours=1)), (NOW, None)]
    assert replace(partner, secrets=(), invited_with=None) == Partner(
        "partner-1",
        "Broker Ltd",
        NOW,
        redirect_uris=("https://broker.example/cb",),
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        scopes=(
            "openid",
            "openactive-openbooking",
            "openactive-ordersfeed",
            "openactive-identity",
            "offline_access",
        ),
        url="https://broker.example",
        version=2,
    )
    invitation = system.credentials.invitation("invitation-secret")
    assert invitation is not None and partner.invited_with == invitation.digest
    world.clock.advance(hours=1)
    assert not system.credentials.has_secret(partner, "older-secret")

    assert system.credentials.partner("partner-2") is None
    suspended = system.register.find(Partner, Partner.key_of("partner-2"))
    assert suspended is not None and suspended.suspended
    assert (suspended.name, suspended.seller_id, suspended.version) == ("Suspended Ltd", SELLER, 2)
    assert suspended.secrets == (
        Secret("0ae70fa044cf10a0fc3887b85fe3675acc620a7d15e588e5f1f47e8b27787e5f", NOW),
    )


def test_authorisations(world: World) -> None:
    """AUTH-06."""
    system = world.system
    stands = Authorisation(AUTHORISATION, "partner-1", SELLER, SCOPES, NOW, "login-1", version=1)
    assert system.consent.authorisation("partner-1", SELLER) == stands
    assert system.consent.authorisation("partner-2", SELLER) is None
    assert system.consent.authorisation("partner-3", OTHER_SELLER) is None
    (suspended,) = system.register.authorisations_of("partner-2")
    assert (suspended.suspended, suspended.revoked_at, suspended.version) == (True, None, 2)
    (revoked,) = system.register.authorisations_of("partner-3")
    assert (revoked.suspended, revoked.revoked_at, revoked.version) == (False, NOW, 2)
    assert not system.consent.is_revoked("partner-2", SELLER)
    assert system.consent.is_revoked("partner-3", OTHER_SELLER)
    assert (system.consent.may_be_acted_for(SELLER), system.consent.may_be_acted_for(OTHER_SELLER)) == (
        True,
        False,
    )


def test_an_api_key(world: World) -> None:
    """AUTH-10."""
    world.set(authentication="api-keys")
    broker = Broker(world, partner=None, seller=None)
    answer = broker.send("GET", f"{API}/orders/{uuid(2)}", headers={"X-Api-Key": "api-key-secret7a7946"})
    assert (answer.status, answer.json["totalPaymentDue"]["price"]) == (200, 20)
    (key,) = world.system.register.all(ApiKey)
    assert key == ApiKey(
        "10f4481e459984d539bf71e5a6450735480dcf51547a79f82953ae32c5853637",
        "partner-1",
        SELLER,
        NOW,
        "for the desk",
        NOW + timedelta(days=365),
        AUTHORISATION,
        version=1,
    )


def test_a_login(world: World) -> None:
    system = world.system
    login = system.logins.sign_in("alex@KINGS.example", "correct horse battery staple", "192.0.2.1")
    assert replace(login, password="") == Login(
        "login-1", "Alex@kings.example", "", (SELLER, OTHER_SELLER), NOW, version=1
    )
    assert [seller.id for seller in system.logins.sellers_of(login)] == [SELLER]
    with pytest.raises(SignInRefused):
        system.logins.sign_in("alex@kings.example", "another", "192.0.2.1")


def test_invitations(world: World) -> None:
    system = world.system
    some, any_number = (
        system.credentials.invitation("invitation-secret"),
        system.credentials.invitation("for-everybody"),
    )
    assert some is not None and any_number is not None
    assert some == Invitation(some.digest, "Broker Ltd", NOW, NOW + timedelta(days=14), 2, version=1)
    assert any_number == Invitation(any_number.digest, "everybody", NOW, None, None, version=1)
    assert Administration(system).partners.register(some, "Another")
    used = system.credentials.invitation("invitation-secret")
    assert used is not None and used.uses_left == 1


def test_a_code_is_redeemed(world: World) -> None:
    system = world.system
    code = system.grants.redeem("code-secret", "partner-1")
    assert code is not None
    assert (code.seller_id, code.authorisation_id, code.scopes) == (SELLER, AUTHORISATION, SCOPES)
    assert (code.redirect_uri, code.code_challenge) == ("https://broker.example/cb", "challenge")
    assert (code.nonce, code.signed_in_at) == ("nonce-1", NOW)
    token = system.grants.open(code)
    assert token is not None and system.grants.find(token, "partner-1") is not None


def test_a_refresh_token_goes_on(world: World) -> None:
    system = world.system
    grant = system.grants.find(f"{GRANT}.refresh-2", "partner-1")
    assert grant is not None
    assert replace(grant, current="", earlier=None) == Grant(
        GRANT,
        "partner-1",
        SELLER,
        AUTHORISATION,
        SCOPES,
        made_at=NOW,
        ends_at=NOW + timedelta(days=180),
        current="",
        leeway_ends_at=NOW + timedelta(seconds=30),
        renewed_at=NOW,
        version=2,
    )
    assert system.grants.find(f"{GRANT}.refresh-1", "partner-1") == grant  # an answer may be lost on its way
    renewed = system.grants.renew(grant)
    assert renewed is not None and system.grants.find(renewed, "partner-1") is not None


def test_a_code_used_twice_ends_what_came_of_it(world: World) -> None:
    """RFC 6749, section 4.1.2."""
    system = world.system
    assert system.grants.redeem("used-code", "partner-1") is None
    assert system.grants.find(f"{GRANT}.refresh-2", "partner-1") is None


def test_the_journal(world: World) -> None:
    assert world.system.register.journal("2026-06") == [
        JournalEntry(
            "j0000000-0000-4000-8000-000000000001",
            NOW,
            "partner suspended",
            "operator",
            {"partner": "partner-2"},
            version=1,
        )
    ]


def test_tokens_are_read_and_signed_with_the_same_keys(world: World) -> None:
    """AUTH-08: and the second key signs once its time has come."""
    world.set(authentication="openid")
    system = world.system
    assert [key["kid"] for key in system.keys.public()] == [FIRST_KEY, SECOND_KEY]

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        broker = Broker(world, partner=None, seller=None)
        return broker.send("GET", f"{API}/orders/{uuid(2)}", headers=headers).status

    def signed() -> tuple[str, str]:
        token = system.issuer.access_token(BASE_URL, "partner-1", SELLER, SCOPES)
        header, claims = system.keys.verify(token)
        assert claims["client_id"] == "partner-1"
        return token, header["kid"]

    header, claims = system.keys.verify(ACCESS_TOKEN)
    assert (header["kid"], header["typ"]) == (FIRST_KEY, "at+jwt")
    assert claims["https://openactive.io/sellerId"] == f"{BASE_URL}/api/identifiers/sellers/1"
    assert status(ACCESS_TOKEN) == 200
    token, kid = signed()
    assert (kid, status(token)) == (FIRST_KEY, 200)
    world.clock.advance(minutes=15)
    token, kid = signed()
    assert (kid, status(token)) == (SECOND_KEY, 200)


def test_what_was_counted_counts(world: World, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """RATE-01: requests of this minute, and attempts to sign in."""
    world.set(rate_limit=2)
    assert broker.status(uuid(2)).status == 429
    world.clock.advance(minutes=1)
    assert broker.status(uuid(2)).status == 200
    # The ten attempts of 0.1.0 count towards the hundred of all networks.
    system = world.system
    monkeypatch.setattr(Passwords, "check", lambda *_: False)  # each guess would take 0.2 s
    for number in range(90):
        with pytest.raises(SignInRefused) as refused:
            system.logins.sign_in("sam@kings.example", "whatever", f"192.0.2.{number}")
        assert not isinstance(refused.value, TooManyAttempts)
    with pytest.raises(TooManyAttempts):
        system.logins.sign_in("sam@kings.example", "whatever", "192.0.2.9")
    world.clock.advance(minutes=15)
    with pytest.raises(SignInRefused) as refused:
        system.logins.sign_in("sam@kings.example", "whatever", "192.0.2.9")
    assert not isinstance(refused.value, TooManyAttempts)


# --- later releases -----------------------------------------------------------------------


def test_rows_of_a_later_release_are_refused_and_not_misread(tables: Tables, world: World) -> None:
    """After a release is taken back, what the later one wrote may mean something else."""
    client, name = tables.connection.client, tables.orders.Meta.table_name
    key = {"order_key": {"S": f"partner-1#{uuid(2)}"}}
    row = client.get_item(TableName=name, Key=key)["Item"]
    client.put_item(TableName=name, Item={**row, "row_format": {"N": str(FORMAT + 1)}})
    with pytest.raises(UnreadableRow):
        world.order(uuid(2))


def test_rows_name_their_format(world: World, tables: Tables) -> None:
    session = world.session()
    assert Broker(world).b(uuid(98), session.item()).status == 201
    client = tables.connection.client
    key = {"order_key": {"S": f"partner-1#{uuid(98)}"}}
    written = [client.get_item(TableName=tables.orders.Meta.table_name, Key=key)["Item"]]
    for part in ("details", "capacity", f"hold#partner-1#{uuid(98)}"):
        key = {"opportunity_id": {"S": session.id}, "part": {"S": part}}
        written.append(client.get_item(TableName=tables.details.Meta.table_name, Key=key)["Item"])
    assert [row["row_format"] for row in written] == [{"N": str(FORMAT)}] * 4
