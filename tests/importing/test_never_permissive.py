"""What a source does not say, or says in words that are not known, is not sold; and everyone learns the true reason."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.bookability import Reason
from chalicelib.domain.parties import Json
from chalicelib.importing.advice import FOR_CAUSE, FOR_REASON
from chalicelib.importing.rpde import read_seller_details
from chalicelib.wire.unreadable import Cause
from tests.importing.booking import Installation
from tests.importing.site import BASE, SELLER, OperatorSite, facility_use, offer, series, session, slot

SESSION, SERIES = f"{BASE}/scheduled-sessions/1", f"{BASE}/session-series/1"
NOT_BOOKABLE = "OpportunityOfferPairNotBookableError"


def imported(*documents: Json, **options: Any) -> tuple[Installation, str]:
    site, here = OperatorSite(), Installation()
    site.publish(*documents)
    return here, here.take(site, **options)


def one_offer(**changes: Any) -> Json:
    return series(1, offers=[{**offer(SERIES), "name": "Adult", **changes}])


def with_seller(**changes: Any) -> list[Json]:
    seller = {name: value for name, value in {**SELLER, **changes}.items() if value is not ...}
    return [series(1, organizer=seller), session(1, of=1)]


@pytest.mark.parametrize(
    "stated",
    [
        ["http://openactive.io/OpenBookingApproval"],
        ["OpenBookingApproval"],
        "oa:OpenBookingApproval",
        {"@id": "https://openactive.io/OpenBookingApproval"},
    ],
)
def test_an_approval_is_needed_in_whatever_form_it_is_stated(stated: Any) -> None:
    here, _ = imported(one_offer(openBookingFlowRequirement=stated), session(1, of=1))
    quoted = here.quote(SESSION)
    assert (quoted.status, quoted.json["orderRequiresApproval"]) == (200, True)
    assert here.book(SESSION).status != 201


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingSomethingNew"]},
            Reason.requirement_unknown,
        ),
        (
            {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingIntakeForm"]},
            Reason.form_missing,
        ),
        ({"openBookingFlowRequirement": "OpenBookingAttendeeDetails"}, Reason.details_missing),
        ({"openBookingPrepayment": "https://openactive.io/Sometimes"}, Reason.prepayment_unknown),
        ({"prepayment": "Required", "openBookingPrepayment": "Optional"}, Reason.prepayment_unknown),
        ({"openBookingInAdvance": "Maybe"}, Reason.in_advance_unknown),
        ({"advanceBooking": "http://openactive.io/Unavailable"}, Reason.not_in_advance),
        ({"availableChannel": ["https://openactive.io/TelephonePrepayment"]}, Reason.channel),
        ({"beta:availableChannel": ["https://openactive.io/ns-beta#OnlinePrepayment"]}, Reason.channel),
        ({"availableChannel": [{"name": "web"}]}, Reason.channel_unknown),
        ({"availability": "https://schema.org/SoldOut"}, Reason.not_available),
        ({"availability": "http://schema.org/Perhaps"}, Reason.availability_unknown),
        ({"validFromBeforeStartDate": "soon"}, Reason.window_unreadable),
        ({"validThrough": "2031-04-30"}, Reason.window_unreadable),  # in which time zone?
        ({"validThrough": "tomorrow"}, Reason.window_unreadable),
        ({"latestCancellationBeforeStartDate": "a day"}, Reason.cancellation_unreadable),
        ({"allowCustomerCancellationFullRefund": "perhaps"}, Reason.cancellation_unreadable),
        ({"eligibleEntitlementType": [{"@type": "Concept"}]}, Reason.restricted),
    ],
)
def test_an_offer_whose_terms_are_not_known_is_not_sold(changes: Json, reason: Reason) -> None:
    """The session is there, the report says why it cannot be booked, and a Broker who tries gets the same reason."""
    here, printed = imported(one_offer(**changes), session(1, of=1))
    listing = here.listing(SESSION)
    assert listing is not None
    [barred] = listing.opportunity.offers[0].barriers
    assert barred.reason is reason
    assert here.why_not(SESSION) == [(NOT_BOOKABLE, barred.text)]
    assert "Imported, but not bookable:" in printed
    assert FOR_REASON[reason] in printed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"@type": "beta:IndicativeOffer"}, Reason.not_an_offer),
        ({"@type": "https://openactive.io/ns-beta#IndicativeOffer"}, Reason.not_an_offer),
        ({"@type": ["Offer", "beta:IndicativeOffer"]}, Reason.not_an_offer),
        ({"@type": "AggregateOffer"}, Reason.not_an_offer),
        ({"@type": None}, Reason.not_an_offer),
        ({"price": None}, Reason.price),
        ({"price": "5.00 or so"}, Reason.price),
        ({"priceCurrency": "pounds"}, Reason.price),
    ],
)
def test_what_is_no_exact_price_is_never_charged(changes: Json, reason: Reason) -> None:
    hall = facility_use(1, offers=[{**offer(f"{BASE}/facility-uses/1"), **changes}])
    court = slot(1, hall["@id"])
    del court["offers"]
    here, printed = imported(hall, court)
    listing = here.listing(court["@id"])
    assert listing is not None and listing.opportunity.offers == ()
    [unusable] = listing.opportunity.unusable_offers
    assert unusable.barrier.reason is reason
    answer = here.quote(court["@id"], unusable.id)
    assert answer.status == 409
    assert here.why_not(court["@id"], unusable.id) == [(NOT_BOOKABLE, unusable.barrier.text)]
    assert FOR_REASON[reason] in printed


def test_one_unusable_offer_loses_that_offer_and_not_its_series() -> None:
    """Also if it became unusable at a later import."""
    good, bad = (
        {**offer(SERIES), "@id": f"{SERIES}#/offers/{number}", "name": name}
        for number, name in enumerate(("Adult", "Junior"))
    )
    site, here = OperatorSite(), Installation()
    site.publish(series(1, offers=[good, bad]), session(1, of=1))
    here.take(site)
    assert here.on_sale(SESSION) == ["Adult", "Junior"]
    site.publish(series(1, offers=[good, {**bad, "price": None}]))
    printed = here.take(site)
    assert here.on_sale(SESSION) == ["Adult"]
    assert "Offers that cannot be booked, beside others that can:" in printed and bad["@id"] in printed
    assert here.book(SESSION, good["@id"]).status == 201
    assert here.why_not(SESSION, bad["@id"])[0][0] == NOT_BOOKABLE


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        (..., Reason.seller_silent),
        (False, Reason.seller_forbids),
        ("false", Reason.seller_forbids),
        ("perhaps", Reason.seller_unclear),
        (1, Reason.seller_unclear),
    ],
)
def test_a_seller_that_does_not_say_that_it_takes_bookings_takes_none(allowed: Any, reason: Reason) -> None:
    here, printed = imported(*with_seller(isOpenBookingAllowed=allowed))
    assert here.on_sale(SESSION) == []
    [(kind, why)] = here.why_not(SESSION)
    assert kind == NOT_BOOKABLE and "in advance" not in why
    assert FOR_REASON[reason] in printed


@pytest.mark.parametrize("allowed", [True, "true", "True", "https://schema.org/True"])
def test_a_seller_may_say_in_any_form_that_it_takes_bookings(allowed: Any) -> None:
    here, _ = imported(*with_seller(isOpenBookingAllowed=allowed))
    assert here.book(SESSION).status == 201


@pytest.mark.parametrize("address", [..., "1 High Street, Oxford", {"@type": "PostalAddress"}])
def test_a_seller_without_an_address_sells_nothing_until_there_is_one(address: Any) -> None:
    """MODEL-01: every answer must show it."""
    here, printed = imported(*with_seller(address=address))
    assert "incomplete: address" in here.why_not(SESSION)[0][1]
    assert "Publish `name` and `address`" in printed
    details = {SELLER["@id"]: {"address": SELLER["address"]}}
    here, printed = imported(*with_seller(address=address), seller_details=details)
    assert here.book(SESSION).status == 201


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eventStatus": "https://schema.org/EventMovedOnline"}, Reason.status_unknown),
        ({"eventStatus": ["EventScheduled", "EventCancelled"]}, Reason.status_unknown),
        ({"beta:availability": "ask"}, Reason.availability_unknown),
        ({"beta:availability": "SoldOut"}, Reason.not_available),
    ],
)
def test_a_session_whose_state_is_not_known_is_not_sold(changes: Json, reason: Reason) -> None:
    here, printed = imported(one_offer(), session(1, of=1, **changes))
    listing = here.listing(SESSION)
    assert listing is not None
    assert [each.reason for each in listing.opportunity.barriers] == [reason]
    assert here.why_not(SESSION) == [(NOT_BOOKABLE, listing.opportunity.barriers[0].text)]
    assert FOR_REASON[reason] in printed


def test_a_session_without_any_offer_is_reported() -> None:
    here, printed = imported(series(1, offers=[]), session(1, of=1))
    assert "It has no Offer to book with." in printed
    assert "[[opportunity.offers]]" in printed
    assert here.on_sale(SESSION) == []


@pytest.mark.parametrize(
    ("window", "open_at_start"),
    [
        ({"validFrom": "2030-01-01T00:00:00Z"}, False),
        ({"validThrough": "2026-01-01T00:00:00Z"}, False),
        ({"validFrom": "2026-01-01T00:00:00Z", "validThrough": "2031-01-01T00:00:00Z"}, True),
    ],
)
def test_absolute_windows_are_kept(window: Json, open_at_start: bool) -> None:
    """An Offer is not sold after its last day (BOOKABLE-05)."""
    here, _ = imported(one_offer(**window), session(1, of=1))
    assert here.on_sale(SESSION) == (["Adult"] if open_at_start else [])
    if not open_at_start:
        assert "this offer has" in here.why_not(SESSION)[0][1]


def test_offers_above_a_series_are_not_those_of_its_sessions() -> None:
    """Modelling Opportunity Data: only a series hands its Offers to its sessions."""
    top = {"@type": "EventSeries", "@id": f"{BASE}/event-series/1", "offers": [offer(SERIES)]}
    here, printed = imported(series(1, offers=[], superEvent=top), session(1, of=1))
    assert here.on_sale(SESSION) == []
    assert "It has no Offer to book with." in printed


def test_offers_of_a_slot_replace_those_of_its_facility() -> None:
    """Modelling Opportunity Data: the facility's Offers are for slots that state none."""
    hall = facility_use(1, offers=[{**offer(f"{BASE}/facility-uses/1", 3), "name": "Cheap"}])
    own = slot(1, hall["@id"])
    plain = {name: value for name, value in slot(2, hall["@id"]).items() if name != "offers"}
    here, _ = imported(hall, {**own, "offers": [{**own["offers"][0], "name": "Peak"}]}, plain)
    assert (here.on_sale(own["@id"]), here.on_sale(plain["@id"])) == (["Peak"], ["Cheap"])


def test_offers_of_one_level_never_replace_each_other() -> None:
    twins = [
        {"@type": "Offer", "identifier": "A", "name": name, "price": price, "priceCurrency": "GBP"}
        for name, price in (("Adult", 5), ("Junior", 3))
    ]
    here, _ = imported(series(1, offers=twins), session(1, of=1))
    assert here.on_sale(SESSION) == ["Adult", "Junior"]
    listing = here.listing(SESSION)
    assert listing is not None and len({each.id for each in listing.opportunity.offers}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"@type": None, "@id": None, "type": "ScheduledSession", "id": SESSION},
        {"@type": "ScheduledSession "},
        {"@type": ["ScheduledSession"]},
        {"@type": "https://openactive.io/ScheduledSession"},
        {"@type": ["Event", "ScheduledSession"]},
        {"remainingAttendeeCapacity": 10.0},
        {"remainingAttendeeCapacity": "10"},
    ],
)
def test_a_session_is_read_in_every_form(changes: Json) -> None:
    site, here = OperatorSite(), Installation()
    site.publish(one_offer())
    document = {name: value for name, value in {**session(1, of=1), **changes}.items() if value is not None}
    site.publish_as("ScheduledSession", "1", document)
    here.take(site)
    assert here.book(SESSION).status == 201


def test_a_tax_mode_may_come_from_the_details_of_sellers(tmp_path: Any) -> None:
    documents = with_seller(taxMode=..., isOpenBookingAllowed=...)
    here, printed = imported(*documents)
    assert here.listing(SESSION) is None
    assert "its organizer or provider states no taxMode" in printed and FOR_CAUSE[Cause.tax_mode] in printed
    path = tmp_path / "sellers.json"
    path.write_text(
        '{"https://operator.example/sellers/1": {"taxMode": "TaxGross", "isOpenBookingAllowed": true}}'
    )
    here, _ = imported(*documents, seller_details=read_seller_details(path))
    assert here.book(SESSION).status == 201


def test_noise_of_floating_point_is_not_charged_nor_shown() -> None:
    """MEDIA-10."""
    here, _ = imported(one_offer(price=7.300000190734863), session(1, of=1))
    listing = here.listing(SERIES)
    assert listing is not None
    assert listing.opportunity.document["offers"][0]["price"] == 7.3
    assert here.quote(SESSION).json["totalPaymentDue"]["price"] == 7.3


def test_a_schedule_is_not_sessions() -> None:
    weekly = {"@type": "PartialSchedule", "repeatFrequency": "P1W", "startTime": "08:30"}
    _, printed = imported(series(1, eventSchedule=[weekly]))
    assert "1 PartialSchedule: it is a schedule, and not sessions that each have an @id" in printed
    assert FOR_CAUSE[Cause.schedule] in printed
    _, printed = imported(series(1, eventSchedule=[weekly]), session(1, of=1))
    assert "PartialSchedule" not in printed


def test_every_reason_has_its_advice() -> None:
    assert set(FOR_REASON) == set(Reason)
    assert set(FOR_CAUSE) == set(Cause)
