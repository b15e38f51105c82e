"""The Test Interface's requests, and the Opportunities made for them.

That each meets its criterion is the Test Suite's judgement to make; what is tested here is that the
documents are valid, that nothing is in them by accident, and that the system itself reads them right.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from chalicelib.domain.capacity import UNLIMITED
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.sandbox.criteria import CRITERIA
from chalicelib.sandbox.opportunities import TestOpportunity, build_opportunity
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.values import replace
from chalicelib.wire.opportunities import feed_data
from tests.support.validator import Validator, start_or_skip

NOW = datetime(2026, 3, 28, 23, 30, 12, 345, tzinfo=UTC)
BASE_URL = "https://booking.example/dev"
SELLER_ID = "https://base.invalid/api/identifiers/sellers/1"
ORDER_UUID = "e11429ea-467f-4270-ab62-e47368996fe8"

SIMPLE, APPROVAL = BookingFlow.OpenBookingSimpleFlow, BookingFlow.OpenBookingApprovalFlow
SESSION = (OpportunityType.ScheduledSession, "SessionSeries")
SLOT = (OpportunityType.Slot, "FacilityUse")
SINGLE_SLOT = (OpportunityType.Slot, "IndividualFacilityUse")
# Every type that is made here, with each parent that it may have.
TYPES = tuple((kind, parent) for kind in OpportunityType for parent in kind.traits.test_names.values())

ON_DEMAND = (OpportunityType.OnDemandEvent, None)

# What such an Opportunity cannot be.
IMPOSSIBLE = {
    ("TestOpportunityOfflineBookable", ON_DEMAND),
    ("TestOpportunityBookableNoSpaces", ON_DEMAND),
    ("TestOpportunityBookableOneSpace", ON_DEMAND),
    ("TestOpportunityBookableFiveSpaces", ON_DEMAND),
    ("TestOpportunityBookableInPast", ON_DEMAND),
    ("TestOpportunityBookableWithinValidFromBeforeStartDate", ON_DEMAND),
    ("TestOpportunityBookableOutsideValidFromBeforeStartDate", ON_DEMAND),
    ("TestOpportunityBookableCancellableWithinWindow", ON_DEMAND),
    ("TestOpportunityBookableCancellableOutsideWindow", ON_DEMAND),
    ("TestOpportunityOnlineBookable", SLOT),
    ("TestOpportunityOnlineBookable", SINGLE_SLOT),
    ("TestOpportunityBookableFiveSpaces", SINGLE_SLOT),
}

Json = dict[str, Any]

SELLER: Json = {
    "@type": "Organization",
    "@id": SELLER_ID,
    "name": "Avonmead Leisure",
    "legalName": "Avonmead Leisure Trust Limited",
    "taxMode": "https://openactive.io/TaxGross",
    "isOpenBookingAllowed": True,
    "termsOfService": [
        {
            "@type": "TermsOfUse",
            "name": "Terms and conditions",
            "url": "https://avonmead-leisure.example/terms",
            "requiresExplicitConsent": False,
        }
    ],
}

TAX_NET_SELLER: Json = SELLER | {"taxMode": "https://openactive.io/TaxNet"}


def request_for(
    criteria: str,
    types: tuple[OpportunityType, str | None] = SESSION,
    flow: BookingFlow = SIMPLE,
) -> TestOpportunityRequest:
    return TestOpportunityRequest(*types, SELLER_ID, criteria, flow)


def build(
    criteria: str,
    types: tuple[OpportunityType, str | None] = SESSION,
    flow: BookingFlow = SIMPLE,
    number: int = 1,
) -> TestOpportunity:
    seller = TAX_NET_SELLER if criteria.endswith("TaxNet") else SELLER
    return build_opportunity(request_for(criteria, types, flow), number=number, now=NOW, seller=seller)


def every_kind() -> Iterator[tuple[str, tuple[OpportunityType, str | None], BookingFlow, int]]:
    """Each criterion with each type, in both flows, free and paid."""
    for criteria, types, flow, number in product(CRITERIA, TYPES, BookingFlow, (1, 2)):
        if (criteria, types) not in IMPOSSIBLE:
            yield criteria, types, flow, number


def documents(built: TestOpportunity) -> list[Json]:
    return [document for document in (built.parent, built.document) if document is not None]


def only_offer(built: TestOpportunity) -> Json:
    """That of the Opportunity, or else of its parent."""
    (offer,) = built.document.get("offers") or (built.parent or {})["offers"]
    assert isinstance(offer, dict)
    return offer


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


@pytest.mark.node
def test_every_kind_is_valid_in_a_bookable_feed(validator: Validator) -> None:
    found = {}
    for kind in every_kind():
        for published in build(*kind).published():
            opportunity = published.opportunity
            shown = published.spaces if published.spaces != UNLIMITED else None
            document = feed_data(opportunity, shown)
            if failures := validator.failures(document, "BookableRPDEFeed"):
                found[*kind, opportunity.type] = failures
    assert found == {}


def test_every_kind_has_exactly_one_offer_of_the_flow_asked_for() -> None:
    for criteria, types, flow, number in every_kind():
        built = build(criteria, types, flow, number)
        *parents, child = (published.opportunity for published in built.published())
        (offer,) = child.offers
        assert offer.id == only_offer(built)["@id"], criteria
        assert offer.needs_approval is (flow is APPROVAL), criteria
        assert {each.seller_id for each in (*parents, child)} == {SELLER_ID}


def test_only_the_past_and_the_window_that_has_not_opened_are_not_bookable() -> None:
    refused = set()
    for criteria, types, flow, number in every_kind():
        child = build(criteria, types, flow, number).published()[-1].opportunity
        if child.why_not_bookable(child.offers[0], NOW):
            refused.add(criteria)
    assert refused == {
        "TestOpportunityBookableInPast",
        "TestOpportunityBookableOutsideValidFromBeforeStartDate",
    }


def test_every_limit_stays_two_hours_away_during_a_run_of_three() -> None:
    for criteria, types, flow, number in every_kind():
        child = build(criteria, types, flow, number).published()[-1].opportunity
        offer, start = child.offers[0], child.starts_at
        if start is None:
            continue  # there is no limit
        assert child.ends_at is not None
        limits = [start, child.ends_at]
        limits += [
            start - before for before in (offer.opens_before, offer.cancellable_until_before) if before
        ]
        for limit in limits:
            assert not NOW - timedelta(hours=2) <= limit <= NOW + timedelta(hours=5), criteria


def test_what_can_be_cancelled_is_what_the_criterion_says() -> None:
    kept = set()
    for criteria in CRITERIA:
        _, child = (published.opportunity for published in build(criteria).published())
        if child.offers[0].why_not_cancellable(child.starts_at, NOW):
            kept.add(criteria)
    assert kept == {
        "TestOpportunityBookableNotCancellable",
        "TestOpportunityBookableCancellableOutsideWindow",
        "TestOpportunityBookableInPast",
    }


@pytest.mark.parametrize(("types", "usual"), [(SESSION, 10), (SLOT, 10), (SINGLE_SLOT, 1)], ids=str)
def test_spaces_are_plenty_unless_the_criterion_says_otherwise(
    types: tuple[OpportunityType, str | None], usual: int
) -> None:
    said = {
        "TestOpportunityBookableNoSpaces": 0,
        "TestOpportunityBookableOneSpace": 1,
        "TestOpportunityBookableFiveSpaces": 5,
    }
    for criteria in CRITERIA:
        if (criteria, types) not in IMPOSSIBLE:
            parent, child = build(criteria, types).published()
            assert child.spaces == said.get(criteria, usual)
            assert parent.spaces is None


@pytest.mark.parametrize("parent", ["HeadlineEvent", "CourseInstance"])
def test_a_whole_takes_a_space_of_the_sub_event_that_is_made_with_it(parent: str) -> None:
    whole, child = build("TestOpportunityBookableFiveSpaces", (OpportunityType.Event, parent)).published()
    assert whole.opportunity.sub_events == (child.opportunity.id,)
    assert (whole.spaces, child.spaces) == (5, 5)
    assert whole.opportunity.why_not_bookable(whole.opportunity.offers[0], NOW) is None


@pytest.mark.parametrize("parent", ["HeadlineEvent", "CourseInstance"])
@pytest.mark.parametrize("criteria", CRITERIA)
def test_a_reader_that_merges_offers_books_a_sub_event_at_its_own(criteria: str, parent: str) -> None:
    """The official suite merges the Offers of both by their identifier, and takes any of them."""
    made = build(criteria, (OpportunityType.Event, parent))
    assert made.parent is not None
    own = {offer["identifier"] for offer in made.document["offers"]}
    assert [offer for offer in made.parent["offers"] if offer["identifier"] not in own] == []


def test_what_can_be_used_at_any_time_has_neither_a_limit_nor_a_start() -> None:
    (free_for_all,) = build("TestOpportunityBookable", ON_DEMAND).published()
    assert free_for_all.spaces == UNLIMITED
    assert free_for_all.opportunity.starts_at is None


@pytest.mark.parametrize(
    ("criteria", "types"), sorted(IMPOSSIBLE, key=lambda each: (each[0], each[1][0], str(each[1][1])))
)
def test_what_cannot_be_is_refused(criteria: str, types: tuple[OpportunityType, str | None]) -> None:
    with pytest.raises(TestInterfaceRefused):
        build(criteria, types)


@pytest.mark.parametrize(
    ("criteria", "prepayment"),
    [
        ("TestOpportunityBookableNonFreePrepaymentRequired", Prepayment.Required),
        ("TestOpportunityBookableNonFreePrepaymentOptional", Prepayment.Optional),
        ("TestOpportunityBookableNonFreePrepaymentUnavailable", Prepayment.Unavailable),
        ("TestOpportunityBookableUsingPayment", Prepayment.Required),
        ("TestOpportunityBookableNonFree", Prepayment.Required),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_paid_criteria_have_a_price_and_their_prepayment(
    criteria: str, prepayment: Prepayment, number: int
) -> None:
    offer = build(criteria, number=number).published()[-1].opportunity.offers[0]
    assert offer.price == Decimal("14.95")
    assert offer.prepayment is prepayment


def test_what_is_free_states_no_prepayment() -> None:
    for kind in every_kind():
        offer = only_offer(build(*kind))
        assert ("openBookingPrepayment" in offer) is (offer["price"] > 0)


def test_price_alternates_with_the_number_where_it_does_not_matter() -> None:
    prices = [only_offer(build("TestOpportunityBookable", number=number))["price"] for number in range(4)]
    assert prices == [0, 14.95, 0, 14.95]
    assert only_offer(build("TestOpportunityBookableFree", number=1))["price"] == 0


@pytest.mark.parametrize("types", TYPES, ids=str)
def test_ids_have_our_base_and_differ_with_the_number(
    types: tuple[OpportunityType, str | None],
) -> None:
    ids: list[str] = []
    for number in (1, 2):
        built = build("TestOpportunityBookable", types, number=number)
        ids += [*(each["@id"] for each in documents(built)), only_offer(built)["@id"]]
        ids += [part["@id"] for each in documents(built) for part in each.get("individualFacilityUse", [])]
    assert len(set(ids)) == len(ids)
    assert all(iri.startswith("https://base.invalid/api/identifiers/") for iri in ids)


def test_a_slot_of_an_individual_facility_use_names_it_and_not_the_facility() -> None:
    built = build("TestOpportunityBookable", SINGLE_SLOT)
    (part,) = built.parent["individualFacilityUse"]
    assert built.document["facilityUse"] == part["@id"]
    assert build("TestOpportunityBookable", SLOT).document["facilityUse"] == built.parent["@id"]


def test_attendee_details_and_intake_form_come_with_their_criteria_only() -> None:
    for criteria in CRITERIA:
        child = build(criteria).published()[-1].opportunity
        needs = child.offers[0].requirements
        assert bool(child.attendee_details_required) is (criteria == "TestOpportunityBookableAttendeeDetails")
        assert bool(child.attendee_details_required) is (FlowRequirement.OpenBookingAttendeeDetails in needs)
        assert bool(child.intake_form) is (criteria == "TestOpportunityBookableAdditionalDetails")
        assert bool(child.intake_form) is (FlowRequirement.OpenBookingIntakeForm in needs)


def test_the_intake_form_has_a_field_of_each_kind_with_its_own_id() -> None:
    form = build("TestOpportunityBookableAdditionalDetails").intake_form
    assert len({field["@type"] for field in form}) == len({field["@id"] for field in form}) == 4


def test_only_the_online_criterion_is_held_online() -> None:
    for criteria in CRITERIA:
        child = build(criteria).published()[-1].opportunity
        is_online = criteria == "TestOpportunityOnlineBookable"
        assert child.is_online is is_online
        assert child.is_physical is not is_online
        assert (child.access_channel is not None) is is_online


def test_terms_of_service_must_be_the_sellers_own() -> None:
    built = build("TestOpportunityBookableSellerTermsOfService")
    assert built.parent["organizer"]["termsOfService"] == SELLER["termsOfService"]
    without = {term: value for term, value in SELLER.items() if term != "termsOfService"}
    request = request_for("TestOpportunityBookableSellerTermsOfService")
    with pytest.raises(TestInterfaceRefused):
        build_opportunity(request, number=1, now=NOW, seller=without)
    plain = replace(request, criteria="TestOpportunityBookable")
    assert build_opportunity(plain, number=1, now=NOW, seller=without)


@pytest.mark.parametrize(
    ("criteria", "seller"),
    [
        ("TestOpportunityBookableNonFreeTaxGross", TAX_NET_SELLER),
        ("TestOpportunityBookableNonFreeTaxNet", SELLER),
    ],
)
def test_a_seller_of_another_tax_mode_is_refused(criteria: str, seller: Json) -> None:
    with pytest.raises(TestInterfaceRefused, match="The seller's taxMode is not Tax"):
        build_opportunity(request_for(criteria), number=1, now=NOW, seller=seller)
