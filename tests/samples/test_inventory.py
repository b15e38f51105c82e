"""The sample inventory: valid to the official validator, whole, and varied enough to try every rule."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Inventory
from chalicelib.wire.opportunities import feed_data
from openbooking.samples.inventory import SampleInventory, SampleOpportunity, sample_inventory
from openbooking.samples.seeding import SOURCE, load_samples
from tests.support.builders import AT_ONCE
from tests.support.memory import MemoryStore
from tests.support.validator import Validator, start_or_skip

NOW = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


@pytest.fixture(scope="module")
def inventory() -> SampleInventory:
    return sample_inventory(NOW)


def parent_of(inventory: SampleInventory, opportunity: SampleOpportunity) -> Json:
    """Its parent, also where the Slot is of one of its courts; itself if its type has no parent."""
    document = opportunity.document
    term = OpportunityType(document["@type"]).traits.parent_term
    if term is None:
        return document
    parent_id = document[term]
    for parent in inventory.parents:
        parts = [part["@id"] for part in parent.get("individualFacilityUse", [])]
        if parent_id in (parent["@id"], *parts):
            return parent
    raise AssertionError(f"{document['@id']} is an orphan")


def offers_of(inventory: SampleInventory, opportunity: SampleOpportunity) -> list[Json]:
    offers: list[Json] = opportunity.document.get("offers") or parent_of(inventory, opportunity)["offers"]
    return offers


def seller_of(inventory: SampleInventory, opportunity: SampleOpportunity) -> str:
    parent = parent_of(inventory, opportunity)
    seller_id: str = (parent.get("organizer") or parent["provider"])["@id"]
    return seller_id


def starts_at(opportunity: SampleOpportunity) -> datetime:
    return datetime.fromisoformat(opportunity.document["startDate"])


def left(opportunity: SampleOpportunity) -> int:
    document = opportunity.document
    spaces: int = document[OpportunityType(document["@type"]).traits.family.spaces_term]
    return spaces


def test_every_document_is_valid_in_a_bookable_feed(validator: Validator, inventory: SampleInventory) -> None:
    documents = inventory.parents + [opportunity.document for opportunity in inventory.opportunities]
    found = {document["@id"]: validator.failures(document, "BookableRPDEFeed") for document in documents}
    assert {document_id: failures for document_id, failures in found.items() if failures} == {}


def test_intake_forms_and_attendee_details_are_valid_in_a_quote(
    validator: Validator, inventory: SampleInventory
) -> None:
    asking = [o for o in inventory.opportunities if o.intake_form or o.attendee_details_required]
    assert asking
    for opportunity in asking:
        assert validator.failures(quote_for(inventory, opportunity), "C1Response") == []


def quote_for(inventory: SampleInventory, opportunity: SampleOpportunity) -> Json:
    parent = parent_of(inventory, opportunity)
    hidden = ("@context", "organizer", "offers")
    item: Json = {
        "@type": "OrderItem",
        "position": 0,
        "acceptedOffer": offers_of(inventory, opportunity)[0],
        "orderedItem": {name: value for name, value in opportunity.document.items() if name != "@context"}
        | {"superEvent": {name: value for name, value in parent.items() if name not in hidden}},
    }
    if opportunity.attendee_details_required:
        item["attendeeDetailsRequired"] = opportunity.attendee_details_required
    if opportunity.intake_form:
        item["orderItemIntakeForm"] = opportunity.intake_form
    return {
        "@context": "https://openactive.io/",
        "@type": "OrderQuote",
        "@id": "https://base.invalid/api/openbooking/order-quotes/e11429ea-467f-4270-ab62-e47368996fe8",
        "brokerRole": "https://openactive.io/AgentBroker",
        "seller": parent["organizer"],
        "orderRequiresApproval": False,
        "orderedItem": [item],
        "totalPaymentDue": {"@type": "PriceSpecification", "price": 0},
    }


def test_two_sellers_state_their_prices_each_in_one_tax_mode(inventory: SampleInventory) -> None:
    assert [seller["taxMode"] for seller in inventory.sellers] == [
        "https://openactive.io/TaxGross",
        "https://openactive.io/TaxNet",
    ]
    assert set(inventory.tax_rates) == {seller["@id"] for seller in inventory.sellers}


def test_sellers_are_complete(inventory: SampleInventory) -> None:
    expected = {
        *("name", "legalName", "taxMode", "address", "email", "telephone", "vatID", "url", "logo"),
        *("termsOfService", "isOpenBookingAllowed"),
    }
    for seller in inventory.sellers:
        assert expected <= set(seller)
        assert all(terms["url"].startswith("https://") for terms in seller["termsOfService"])


def test_ids_are_unique_and_have_our_base(inventory: SampleInventory) -> None:
    ids = [document["@id"] for document in inventory.parents]
    ids += [court["@id"] for parent in inventory.parents for court in parent.get("individualFacilityUse", [])]
    ids += [opportunity.document["@id"] for opportunity in inventory.opportunities]
    ids += [offer["@id"] for parent in inventory.parents for offer in parent.get("offers", [])]
    ids += [offer["@id"] for o in inventory.opportunities for offer in o.document.get("offers", [])]
    assert [repeated for repeated, times in Counter(ids).items() if times > 1] == []
    assert all(document_id.startswith("https://base.invalid/api/identifiers/") for document_id in ids)


def test_every_opportunity_has_a_parent_a_seller_and_an_offer(inventory: SampleInventory) -> None:
    sellers = {seller["@id"] for seller in inventory.sellers}
    for opportunity in inventory.opportunities:
        assert seller_of(inventory, opportunity) in sellers
        assert offers_of(inventory, opportunity)


def test_slots_carry_their_own_offers_and_sessions_inherit_theirs(inventory: SampleInventory) -> None:
    for opportunity in inventory.opportunities:
        traits = OpportunityType(opportunity.document["@type"]).traits
        assert ("offers" in opportunity.document) is not traits.offers_are_the_parents


def test_what_a_booking_asks_for_is_announced_on_every_offer(inventory: SampleInventory) -> None:
    for opportunity in inventory.opportunities:
        for offer in offers_of(inventory, opportunity):
            needs = offer.get("openBookingFlowRequirement", [])
            asks_attendee = bool(opportunity.attendee_details_required)
            assert ("https://openactive.io/OpenBookingAttendeeDetails" in needs) == asks_attendee
            assert ("https://openactive.io/OpenBookingIntakeForm" in needs) == bool(opportunity.intake_form)


def test_nothing_is_left_that_was_never_there(inventory: SampleInventory) -> None:
    for opportunity in inventory.opportunities:
        document = opportunity.document
        total = document["maximumUses" if document["@type"] == "Slot" else "maximumAttendeeCapacity"]
        assert 0 <= left(opportunity) <= total


def test_programme_spans_two_weeks_from_now_and_a_day_before(inventory: SampleInventory) -> None:
    starts = [starts_at(opportunity) for opportunity in inventory.opportunities]
    assert NOW - timedelta(days=2) < min(starts) < NOW
    assert NOW + timedelta(days=9) < max(starts) < NOW + timedelta(days=14)


def test_same_day_gives_the_same_documents() -> None:
    assert sample_inventory(NOW) == sample_inventory(NOW - timedelta(hours=9))


VARIETY: dict[str, Callable[[SampleOpportunity, Json, Json], bool]] = {
    "a session with one space": lambda o, p, f: p["@type"] == "SessionSeries" and left(o) == 1,
    "a full session": lambda o, p, f: p["@type"] == "SessionSeries" and left(o) == 0,
    "a free session": lambda o, p, f: p["@type"] == "SessionSeries" and f["price"] == 0,
    "prepayment required": lambda o, p, f: f["price"] > 0 and prepayment(f) == "Required",
    "prepayment optional": lambda o, p, f: f["price"] > 0 and prepayment(f) == "Optional",
    "prepayment unavailable": lambda o, p, f: f["price"] > 0 and prepayment(f) == "Unavailable",
    "cancellable at any time": lambda o, p, f: refundable(f) and "latestCancellationBeforeStartDate" not in f,
    "cancellable up to a time": lambda o, p, f: refundable(f) and "latestCancellationBeforeStartDate" in f,
    "not cancellable": lambda o, p, f: f["allowCustomerCancellationFullRefund"] is False,
    "attendee details": lambda o, p, f: bool(o.attendee_details_required),
    "an intake form": lambda o, p, f: bool(o.intake_form),
    "online": lambda o, p, f: (
        "Online" in p.get("eventAttendanceMode", "")
        and "attendeeInstructions" in p
        and bool(o.access_channel)
    ),
    "approval": lambda o, p, f: (
        "https://openactive.io/OpenBookingApproval" in f.get("openBookingFlowRequirement", [])
    ),
    "booking not open yet": lambda o, p, f: (
        f.get("validFromBeforeStartDate") == "P7D" and starts_at(o) > NOW + timedelta(days=7)
    ),
    "booking opened": lambda o, p, f: (
        f.get("validFromBeforeStartDate") == "P7D" and NOW < starts_at(o) < NOW + timedelta(days=7)
    ),
    "in the past": lambda o, p, f: starts_at(o) < NOW,
    "a court's slot": lambda o, p, f: "individualFacilityUse" in p and o.document["maximumUses"] == 1,
    "a court's slot that is taken": lambda o, p, f: "individualFacilityUse" in p and left(o) == 0,
    "a slot for several": lambda o, p, f: o.document.get("maximumUses", 0) > 1,
}


def prepayment(offer: Json) -> str:
    return str(offer.get("openBookingPrepayment", "")).rsplit("/", 1)[-1]


def refundable(offer: Json) -> bool:
    return bool(offer["allowCustomerCancellationFullRefund"])


@pytest.mark.parametrize("kind", VARIETY)
def test_each_seller_has(inventory: SampleInventory, kind: str) -> None:
    having = {
        seller_of(inventory, opportunity)
        for opportunity in inventory.opportunities
        for offer in offers_of(inventory, opportunity)
        if VARIETY[kind](opportunity, parent_of(inventory, opportunity), offer)
    }
    assert having == {seller["@id"] for seller in inventory.sellers}


@pytest.fixture(scope="module")
def stored() -> MemoryStore:
    store = MemoryStore()
    load_samples(Inventory(store, store.pending, AT_ONCE), NOW)
    return store


def test_courses_and_events_are_valid_in_a_bookable_feed(
    validator: Validator, inventory: SampleInventory, stored: MemoryStore
) -> None:
    """As the feeds publish them: an Event contains its course."""
    found = {}
    for occasion in inventory.occasions:
        for sample in (occasion.whole, *occasion.parts):
            listing, capacity = stored.listings([sample.document["@id"]])[sample.document["@id"]]
            assert capacity is not None
            document = feed_data(listing.opportunity, capacity.spaces_shown)
            if failures := validator.failures(document, "BookableRPDEFeed"):
                found[sample.document["@id"]] = failures
    assert found == {}


def test_every_bookable_type_has_a_sample_that_can_be_booked() -> None:
    """BOOKABLE-01, decision 26: a course and a HeadlineEvent with a session that is sold singly, and one that is not."""
    store = MemoryStore()
    added = load_samples(Inventory(store, store.pending, AT_ONCE), NOW)
    stored = [listing.opportunity for listing in store.imported_from(SOURCE)]
    assert added == sum(each.type.is_bookable for each in stored)
    bookable = {
        each.type
        for each in stored
        if any(each.why_not_bookable(offer, NOW) is None for offer in each.offers)
    }
    assert bookable == {kind for kind in OpportunityType if kind.is_bookable}
    for whole in (each for each in stored if each.type.is_whole):
        [sub_event] = whole.sub_events
        assert sub_event in {each.id for each in stored}
        assert len(whole.document["subEvent"]) > 1
