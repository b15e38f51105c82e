"""What can be booked, and until when."""

from datetime import timedelta

import pytest

from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.opportunity_types import OpportunityType
from tests.support.builders import NOW, an_offer, an_opportunity

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("kind", "bookable"),
    [
        (OpportunityType.ScheduledSession, True),
        (OpportunityType.Slot, True),
        (OpportunityType.SessionSeries, False),
        (OpportunityType.FacilityUse, False),
        (OpportunityType.HeadlineEvent, True),
        (OpportunityType.CourseInstance, True),
        (OpportunityType.Event, True),
        (OpportunityType.OnDemandEvent, True),
    ],
)
def test_parents_cannot_be_booked_themselves(kind: OpportunityType, bookable: bool) -> None:
    """BOOKABLE-01."""
    reason = an_opportunity(type=kind).why_not_bookable(an_offer(), NOW)
    assert (reason is None) is bookable


def test_every_type_is_in_the_table_above() -> None:
    assert len(OpportunityType) == 8


@pytest.mark.parametrize(
    ("status", "bookable"),
    [
        (EventStatus.EventScheduled, True),
        (EventStatus.EventRescheduled, True),
        (EventStatus.EventCancelled, False),
        (EventStatus.EventPostponed, False),
    ],
)
def test_what_does_not_take_place_cannot_be_booked(status: EventStatus, bookable: bool) -> None:
    """BOOKABLE-08."""
    reason = an_opportunity(status=status).why_not_bookable(an_offer(), NOW)
    assert (reason is None) is bookable


@pytest.mark.parametrize(
    ("starts_in", "lasts", "bookable"),
    [
        (HOUR, HOUR, True),
        (-HOUR / 2, HOUR, True),  # it has started and is not over
        (-HOUR, HOUR, False),
        (-2 * HOUR, HOUR, False),
        (HOUR, None, True),
        (-HOUR, None, False),  # without an end, the start counts
    ],
)
def test_bookable_until_its_end(starts_in: timedelta, lasts: timedelta | None, bookable: bool) -> None:
    """BOOKABLE-07."""
    starts_at = NOW + starts_in
    opportunity = an_opportunity(starts_at=starts_at, ends_at=starts_at + lasts if lasts else None)
    assert (opportunity.why_not_bookable(an_offer(), NOW) is None) is bookable


def test_what_the_offer_says_counts_too() -> None:
    """BOOKABLE-04."""
    assert an_opportunity().why_not_bookable(an_offer(bookable_in_advance=False), NOW)


def test_offer_is_found_by_its_id() -> None:
    """BOOKABLE-02."""
    first, second = an_offer(offer_id="https://a.example/1"), an_offer(offer_id="https://a.example/2")
    opportunity = an_opportunity("https://a.example/session", first, second)
    assert opportunity.offer("https://a.example/2") is second
    assert opportunity.offer("https://a.example/3") is None
