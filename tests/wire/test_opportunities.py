"""Reading published Opportunities and showing them again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.bookability import Reason
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import TaxMode
from chalicelib.domain.pricing import unit_price
from chalicelib.values import replace
from chalicelib.wire.opportunities import accepted_offer, feed_data, ordered_item, ordered_item_in_feed
from chalicelib.wire.reading import read_opportunity
from chalicelib.wire.sellers import read_seller
from chalicelib.wire.unreadable import Unreadable

Json = dict[str, Any]

ORGANIZER: Json = {
    "@type": "Organization",
    "@id": "https://a.example/sellers/1",
    "name": "Kings Mead",
    "taxMode": "https://openactive.io/TaxGross",
    "isOpenBookingAllowed": True,
}
OFFER: Json = {
    "@type": "Offer",
    "@id": "https://a.example/series/1#/offers/1",
    "price": 10,
    "priceCurrency": "GBP",
}
SERIES: Json = {
    "@context": "https://openactive.io/",
    "@type": "SessionSeries",
    "@id": "https://a.example/series/1",
    "name": "Yoga",
    "organizer": ORGANIZER,
    "offers": [OFFER],
    "subEvent": [{"@type": "ScheduledSession"}],
}
SESSION: Json = {
    "@context": ["https://openactive.io/"],
    "@type": "ScheduledSession",
    "@id": "https://a.example/sessions/1",
    "superEvent": "https://a.example/series/1",
    "startDate": "2026-06-03T18:00:00+01:00",
    "endDate": "2026-06-03T19:00:00+01:00",
    "remainingAttendeeCapacity": 5,
}
FACILITY: Json = {
    "@type": "FacilityUse",
    "@id": "https://a.example/facilities/1",
    "name": "Badminton",
    "provider": ORGANIZER,
    "individualFacilityUse": [{"@type": "IndividualFacilityUse", "@id": "https://a.example/courts/1"}],
}
COURT: Json = {
    "@type": "IndividualFacilityUse",
    "@id": "https://a.example/courts/1",
    "name": "Court 1",
    "aggregateFacilityUse": FACILITY,
}
SLOT: Json = {
    "@type": "Slot",
    "@id": "https://a.example/slots/1",
    "facilityUse": "https://a.example/courts/1",
    "startDate": "2026-06-03T18:00:00Z",
    "duration": "PT1H",
    "remainingUses": 1,
    "offers": [OFFER],
}


def a_session(series: Json | None = None, **changes: Any) -> Any:
    document = {name: value for name, value in (SESSION | changes).items() if value is not ...}
    return read_opportunity(document, SERIES | (series or {}))


def an_offer(organizer: Json | None = None, **changes: Any) -> Any:
    document = {name: value for name, value in (OFFER | changes).items() if value is not ...}
    series = {"offers": [document], "organizer": ORGANIZER | (organizer or {})}
    return a_session(series).opportunity.offers[0]


def test_session_inherits_seller_offers_and_parent() -> None:
    """BOOKABLE-02, BOOKABLE-06."""
    published = a_session()
    opportunity = published.opportunity
    assert published.spaces == 5
    assert opportunity.seller_id == "https://a.example/sellers/1"
    assert opportunity.starts_at == datetime(2026, 6, 3, 17, tzinfo=UTC)
    assert opportunity.ends_at == datetime(2026, 6, 3, 18, tzinfo=UTC)
    assert [offer.id for offer in opportunity.offers] == [OFFER["@id"]]


def test_slot_of_a_court_has_its_sellers_facility() -> None:
    published = read_opportunity(SLOT, COURT)
    assert published.opportunity.seller_id == "https://a.example/sellers/1"
    assert published.opportunity.ends_at == datetime(2026, 6, 3, 19, tzinfo=UTC)
    assert published.spaces == 1


def test_own_offer_replaces_the_inherited_one() -> None:
    """BOOKABLE-02."""
    own = OFFER | {"price": 7, "identifier": "adult"}
    series = {
        "offers": [OFFER, OFFER | {"@id": "https://a.example/series/1#/offers/2", "identifier": "adult"}]
    }
    offers = a_session(series, offers=[own]).opportunity.offers
    assert [(offer.id, offer.price) for offer in offers] == [(OFFER["@id"], Decimal(7))]


@pytest.mark.parametrize(
    ("changes", "organizer", "sold"),
    [
        ({}, {}, True),
        ({}, {"isOpenBookingAllowed": False}, False),
        ({}, {"isOpenBookingAllowed": None}, False),  # T5: nothing says that it is sold here
        (
            {"availableChannel": ["https://openactive.io/OpenBookingPrepayment"]},
            {"isOpenBookingAllowed": None},
            True,
        ),
        ({"availableChannel": ["https://openactive.io/OnlinePrepayment"]}, {}, False),  # BOOKABLE-03
        ({"openBookingInAdvance": "https://openactive.io/Unavailable"}, {}, False),  # BOOKABLE-04
        ({"advanceBooking": "https://openactive.io/Unavailable"}, {}, False),  # T2: the name of CR3
        ({"openBookingInAdvance": "https://openactive.io/Required"}, {}, True),
    ],
)
def test_offer_is_sold_here(changes: Json, organizer: Json, sold: bool) -> None:
    """BOOKABLE-03, BOOKABLE-04, T2, T5."""
    assert an_offer(organizer, **changes).bookable_in_advance is sold


@pytest.mark.parametrize("term", ["openBookingPrepayment", "prepayment"])
@pytest.mark.parametrize("member", Prepayment)
def test_both_names_of_prepayment_are_read(term: str, member: Prepayment) -> None:
    """T2, PAY-01."""
    assert an_offer(**{term: f"https://openactive.io/{member}"}).prepayment is member


def test_windows_and_requirements_of_an_offer() -> None:
    """BOOKABLE-05, CANCEL-06, OPEN-02, MODEL-04; a month is the one before the start."""
    offer = an_offer(
        validFromBeforeStartDate="P1M",
        validThroughBeforeStartDate="PT2H",
        latestCancellationBeforeStartDate="P1D",
        allowCustomerCancellationFullRefund=True,
        openBookingFlowRequirement=["https://openactive.io/OpenBookingApproval"],
    )
    assert offer.opens_before == timedelta(days=31)
    assert offer.closes_before == timedelta(hours=2)
    assert offer.cancellable_until_before == timedelta(days=1)
    assert offer.allows_cancellation
    assert offer.requirements == (FlowRequirement.OpenBookingApproval,)


@pytest.mark.parametrize(
    ("requirement", "details", "reason"),
    [
        ("OpenBookingAttendeeDetails", {}, Reason.details_missing),
        ("OpenBookingAttendeeDetails", {"attendee_details_required": ["https://schema.org/email"]}, None),
        ("OpenBookingIntakeForm", {}, Reason.form_missing),
        ("OpenBookingIntakeForm", {"intake_form": [{"@id": "https://a.example/form#1"}]}, None),
        ("OpenBookingSomethingNew", {}, Reason.requirement_unknown),
    ],
)
def test_requirement_without_what_it_needs_prevents_a_booking(
    requirement: str, details: Json, reason: Reason | None
) -> None:
    """OPEN-02, DETAILS-03, DETAILS-06."""
    asking = OFFER | {"openBookingFlowRequirement": [f"https://openactive.io/{requirement}"]}
    [offer] = read_opportunity(SESSION, SERIES | {"offers": [asking]}, **details).opportunity.offers
    assert [each.reason for each in offer.barriers] == ([reason] if reason else [])
    assert offer.bookable_in_advance is (reason is None)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("https://schema.org/EventCancelled", EventStatus.EventCancelled),
        ("https://schema.org/EventPostponed", EventStatus.EventPostponed),
        ("http://schema.org/EventRescheduled", EventStatus.EventRescheduled),
        (..., EventStatus.EventScheduled),
    ],
)
def test_event_status(published: Any, expected: EventStatus) -> None:
    """BOOKABLE-08."""
    assert a_session(eventStatus=published).opportunity.status is expected


def test_status_of_the_series_holds_for_its_sessions() -> None:
    """BOOKABLE-08."""
    cancelled = a_session({"eventStatus": "https://schema.org/EventCancelled"})
    assert cancelled.opportunity.status is EventStatus.EventCancelled


def test_online_series_has_online_sessions() -> None:
    series = {"eventAttendanceMode": "https://schema.org/OnlineEventAttendanceMode"}
    online, usual = a_session(series).opportunity, a_session().opportunity
    assert (online.is_online, online.is_physical) == (True, False)
    assert (usual.is_online, usual.is_physical) == (False, True)


def test_mixed_series_has_sessions_of_both_kinds() -> None:
    mixed = a_session({"eventAttendanceMode": "https://schema.org/MixedEventAttendanceMode"}).opportunity
    assert mixed.is_online and mixed.is_physical


def test_source_that_has_oversold_has_nothing_left() -> None:
    assert a_session(remainingAttendeeCapacity=-3).spaces == 0


@pytest.mark.parametrize(
    ("document", "parent", "reason"),
    [
        (SESSION | {"@type": "Festival"}, SERIES, "'Festival' is not supported"),
        ({"@type": "ScheduledSession"}, SERIES, "no @id"),
        (SESSION, None, "no superEvent"),
        (SLOT, None, "no facilityUse"),
        (SESSION, {"@type": "SessionSeries"}, "no organizer"),
        (SESSION, SERIES | {"organizer": {"taxMode": "x"}}, "no @id"),
        (SESSION, SERIES | {"organizer": {"@id": "https://a.example/1"}}, "no taxMode"),
        ({**SESSION, "startDate": None}, SERIES, "no startDate"),
        (SESSION | {"startDate": "tomorrow"}, SERIES, "not a date and time"),
        (SESSION | {"startDate": "2026-06-03T18:00:00"}, SERIES, "no time zone"),
        (SESSION | {"startDate": 7}, SERIES, "not a date and time"),
        (SESSION | {"remainingAttendeeCapacity": None}, SERIES, "no remainingAttendeeCapacity"),
        (SESSION | {"remainingAttendeeCapacity": "five"}, SERIES, "no remainingAttendeeCapacity"),
        (SESSION | {"remainingAttendeeCapacity": 4.5}, SERIES, "no remainingAttendeeCapacity"),
        (SLOT | {"remainingUses": True}, COURT, "no remainingUses"),
        (SLOT | {"duration": "an hour"}, COURT, "not a duration"),
    ],
)
def test_what_cannot_be_sold_is_left_out_with_a_reason(
    document: Json, parent: Json | None, reason: str
) -> None:
    """BOOKABLE-06."""
    with pytest.raises(Unreadable, match=reason):
        read_opportunity(document, parent)


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"price": None}, "it has none"),
    ],
)
def test_offer_without_a_price_is_lost_but_not_its_session(changes: Json, value: str) -> None:
    other = OFFER | {"@id": "https://a.example/series/1#/offers/2"}
    opportunity = a_session({"offers": [OFFER | changes, other]}).opportunity
    assert [offer.id for offer in opportunity.offers] == [other["@id"]]
    [unusable] = opportunity.unusable_offers
    assert (unusable.id, unusable.barrier.reason) == (OFFER["@id"], Reason.price)
    assert value in unusable.barrier.value
    assert value in str(opportunity.why_unusable(OFFER["@id"]))


@pytest.mark.parametrize(
    ("price", "currency", "charged"),
    [
        (14.95, "GBP", "14.95"),
        (9.995, "GBP", "10.00"),  # half up
        (9.994, "GBP", "9.99"),
        ("9.995", "GBP", "10.00"),
        (0.004, "GBP", "0"),
        (1000, "JPY", "1000"),
        (999.5, "JPY", "1000"),
        (999.4, "JPY", "999"),
        (1.2345, "KWD", "1.235"),
        (1.234, "KWD", "1.234"),
        (1_000_000, "EUR", "1000000"),
    ],
)
def test_price_is_rounded_once_when_it_is_read(price: Any, currency: str, charged: str) -> None:
    """MEDIA-10: by the decimals of its currency; the feed shows what is charged, and so does an Order."""
    published = OFFER | {"price": price, "priceCurrency": currency}
    series = read_opportunity(SERIES | {"offers": [published]}).opportunity
    [offer] = series.offers
    assert offer.price == Decimal(charged)
    [shown] = feed_data(series, None)["offers"]
    assert Decimal(str(shown["price"])) == Decimal(charged)
    assert accepted_offer(offer, unit_price(offer, read_seller(ORGANIZER)).amount)["price"] == float(charged)


def test_price_that_needs_no_rounding_stays_as_published() -> None:
    """MEDIA-10: as text, if it was text."""
    published = OFFER | {"price": "12.50"}
    unit = {"@type": "IndividualFacilityUse", "@id": "https://a.example/unit", "offers": [published]}
    facility = FACILITY | {"offers": [published], "individualFacilityUse": [unit]}
    assert read_opportunity(facility).opportunity.document["offers"] == [published]
    assert read_opportunity(facility).opportunity.document["individualFacilityUse"] == [unit]


def test_prices_of_the_units_of_a_facility_are_rounded_too() -> None:
    finer = OFFER | {"price": 12.345}
    unit = {"@type": "IndividualFacilityUse", "@id": "https://a.example/unit", "offers": [finer]}
    document = read_opportunity(FACILITY | {"individualFacilityUse": [unit]}).opportunity.document
    assert document["individualFacilityUse"][0]["offers"][0]["price"] == 12.35


def test_free_offer_needs_no_currency() -> None:
    """PAY-03."""
    assert an_offer(price=0, priceCurrency=...).is_free


def test_seller_as_published() -> None:
    """MODEL-01, TAX-04."""
    seller = read_seller(ORGANIZER | {"taxMode": "https://openactive.io/TaxNet", "url": ""})
    assert seller.tax_mode is TaxMode.TaxNet
    assert "url" not in seller.document
    assert seller.open_booking_allowed
    assert not read_seller(ORGANIZER | {"isOpenBookingAllowed": False}).open_booking_allowed


def terms_in(document: Any) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {term for value in document.values() for term in terms_in(value)}
    if isinstance(document, list):
        return {term for value in document for term in terms_in(value)}
    return set()


@pytest.mark.parametrize(("document", "parent"), [(SESSION, SERIES), (SLOT, COURT)])
def test_ordered_item_holds_its_parent_but_neither_offers_nor_seller(document: Json, parent: Json) -> None:
    """Section 3.3, C1-08: at every level."""
    opportunity = read_opportunity(document, parent).opportunity
    shown = ordered_item(opportunity, 3)
    hidden = {"@context", "offers", "subEvent", "event", "organizer", "provider", "individualFacilityUse"}
    assert terms_in(shown) & hidden == set()
    assert {"@type", "@id", "startDate"} <= set(shown)
    assert shown["superEvent" if "superEvent" in document else "facilityUse"]["name"] == parent["name"]


@pytest.mark.parametrize(
    ("document", "parent", "term"),
    [(SESSION, SERIES, "remainingAttendeeCapacity"), (SLOT, COURT, "remainingUses")],
)
def test_remaining_spaces_are_the_live_ones_or_not_there(document: Json, parent: Json, term: str) -> None:
    """C1-09: never what the source once said."""
    opportunity = read_opportunity(document, parent).opportunity
    assert ordered_item(opportunity, 0)[term] == 0
    assert term not in ordered_item(opportunity, None)
    assert feed_data(opportunity, 2)[term] == 2


def test_orders_feed_shows_the_opportunity_as_answers_do() -> None:
    """NOTIF-04: so that a change of its time or place shows."""
    opportunity = a_session().opportunity
    assert ordered_item_in_feed(opportunity, {}) == ordered_item(opportunity, None)


def test_orders_feed_names_the_provider_of_a_facility() -> None:
    """What the official validator wants of every facility in a feed."""
    facility = {"@type": "FacilityUse", "name": "Hall"}
    unit = {"@type": "IndividualFacilityUse", "name": "Court", "aggregateFacilityUse": facility}
    slot = replace(a_session().opportunity, type=OpportunityType.Slot, parent=unit)
    seller = {"@type": "Organization", "@id": "https://a.example/1", "name": "Seller", "email": "a@b.example"}
    shown = ordered_item_in_feed(slot, seller)["facilityUse"]
    provider = {"@type": "Organization", "@id": "https://a.example/1", "name": "Seller"}
    assert shown["provider"] == shown["aggregateFacilityUse"]["provider"] == provider


def test_accepted_offer_is_the_published_one_without_what_is_for_open_data() -> None:
    """OPEN-03, MODEL-04."""
    offer = an_offer(
        openBookingFlowRequirement=["https://openactive.io/OpenBookingApproval"],
        availableChannel=["https://openactive.io/OpenBookingPrepayment"],
        name="Adult",
    )
    assert accepted_offer(offer, Decimal("10.00")) == OFFER | {"name": "Adult"}


def test_accepted_offer_shows_the_price_that_is_charged_as_a_number() -> None:
    """TAX-03, MEDIA-10."""
    offer = an_offer(price="12.50")
    assert accepted_offer(offer, Decimal("12.50"))["price"] == 12.5
    assert accepted_offer(offer, Decimal("10.42"))["price"] == 10.42
    assert accepted_offer(offer, None)["price"] == 12.5


def test_open_feed_keeps_offers_seller_and_flow_requirements() -> None:
    """OPEN-01, OPEN-02, MEDIA-02."""
    series = read_opportunity(SERIES).opportunity
    data = feed_data(series, None)
    assert data["@context"] == ["https://openactive.io/"]
    assert data["offers"] == [OFFER]
    assert data["organizer"] == ORGANIZER
