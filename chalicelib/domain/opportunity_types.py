"""The types of Opportunity that this system publishes, with all their properties, in one table.

Feeds, the dataset site, import, samples and the Test Interface read this table; none of them contains
the name of a type. To support another type, add a member of `OpportunityType`, its row, samples of it,
and tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from chalicelib.domain.parties import Json
from chalicelib.values import dataclass, field

OPENACTIVE = "https://openactive.io/"
SCHEMA_ORG = "https://schema.org/"


class OpportunityType(StrEnum):
    """The `@type` of a published item. Only some types can be booked; the others are their parents."""

    SessionSeries = "SessionSeries"
    ScheduledSession = "ScheduledSession"
    FacilityUse = "FacilityUse"
    Slot = "Slot"
    HeadlineEvent = "HeadlineEvent"
    CourseInstance = "CourseInstance"
    Event = "Event"
    OnDemandEvent = "OnDemandEvent"

    @property
    def traits(self) -> Traits:
        """The row of this type."""
        return OPPORTUNITY_TYPES[self]

    @property
    def is_bookable(self) -> bool:
        return self.traits.is_bookable

    @property
    def is_whole(self) -> bool:
        """Whether it can be booked, and so can its sub-events: a place in it is a place in each of them."""
        return self in _WHOLES


@dataclass(frozen=True)
class Family:
    """The terms that related types have in common.

    `spaces_term` states the spaces that are left, `capacity_term` all spaces, `seller_term` the
    Seller, `subject_term` the activity. `own_offers_replace`: its own Offers replace all inherited ones.
    """

    spaces_term: str
    capacity_term: str
    seller_term: str
    subject_term: str
    may_be_online: bool
    own_offers_replace: bool = False


EVENTS = Family(
    spaces_term="remainingAttendeeCapacity",
    capacity_term="maximumAttendeeCapacity",
    seller_term="organizer",
    subject_term="activity",
    may_be_online=True,
)
FACILITIES = Family(
    spaces_term="remainingUses",
    capacity_term="maximumUses",
    seller_term="provider",
    subject_term="facilityType",
    may_be_online=False,
    own_offers_replace=True,  # Modelling Opportunity Data, "Describing Slots"
)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def taking_place_once(starts_at: datetime, ends_at: datetime) -> Json:
    """The times of an Opportunity that takes place once, to the second (RPDE-14)."""
    minutes, seconds = divmod(int((ends_at - starts_at).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"H": hours, "M": minutes, "S": seconds}
    length = "".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0S"
    return {
        "startDate": _instant(starts_at),
        "endDate": _instant(ends_at),
        "duration": f"PT{length}",
    }


@dataclass(frozen=True)
class Times:
    """How a type states when it takes place.

    `state`: the properties for a start and an end. `read`: `startDate` and `endDate` or `duration` of a
    published document, each date with its time and its zone. `are_of_sub_events`: those of the first and the last
    sub-event, if it has any.
    """

    state: Callable[[datetime, datetime], Json]
    read: Callable[[Json], Json]
    are_of_sub_events: bool = False


ONCE = Times(state=taking_place_once, read=lambda document: document)


def _on_days(starts_at: datetime, ends_at: datetime) -> Json:
    """The days of a course, which the specification states without times; its sessions have these."""
    first, last = starts_at.astimezone(UTC).date(), ends_at.astimezone(UTC).date()
    return {
        "startDate": first.isoformat(),
        "endDate": last.isoformat(),
        "duration": f"P{(last - first).days + 1}D",
    }


def _from_days(document: Json) -> Json:
    """The start of the first and the end of the last session, as far as the document states them; else whole days.

    Days are those of UTC. A course that starts too early by some hours is cancelled and sold for a shorter time, and
    one that ends too late can be joined on its last day.
    """
    sessions = [each for each in document.get("subEvent") or () if isinstance(each, dict)]
    starts = [each["startDate"] for each in sessions if _has_time(each.get("startDate"))]
    ends = [each["endDate"] for each in sessions if _has_time(each.get("endDate"))]
    times = {**document}
    if (day := _day(document.get("startDate"))) is not None:
        times["startDate"] = min(starts, key=datetime.fromisoformat, default=_instant(day))
    if (day := _day(document.get("endDate"))) is not None:
        times["endDate"] = max(ends, key=datetime.fromisoformat, default=_instant(day + timedelta(days=1)))
    return times


def _has_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _day(value: object) -> datetime | None:
    """The start of a day that is stated without a time."""
    try:
        day = (
            date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-06-01") else None
        )
    except ValueError:
        return None
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


DAYS = Times(state=_on_days, read=_from_days, are_of_sub_events=True)


@dataclass(frozen=True)
class Traits:
    """The properties of one type.

    `feed`: the path of its open feed under /feeds, and of its identifiers under /api/identifiers.
    `title`: the name of that feed for people.
    `namespace`: the vocabulary of its name, which the dataset site states with its feed.
    `is_bookable`: whether it can be booked itself (BOOKABLE-01); then it must state a `startDate`,
    unless it is not `is_scheduled`: it can be used at any time, and by any number unless it states one.
    `times`: how it states its start and its end.
    `parents` and `parent_term`: the types it may inherit from, and the property that names its parent.
    `may_stand_alone`: whether the parent is optional.
    `contains_parent`: its feed shows the parent inside it, for readers that do not read the parent's feed.
    `units`: the type of its parts, which may be the parent instead (`individualFacilityUse`).
    `place_is_the_parents`: name and place are always those of the parent.
    `offers_are_the_parents`: Offers are usually published with the parent.
    `test_names`: its names in the official test suite, with the `@type` of the parent that is then
    requested from the Test Interface (TESTIF-03); None if it has no parent.
    """

    feed: str
    title: str
    family: Family
    namespace: str = OPENACTIVE
    is_bookable: bool = False
    is_scheduled: bool = True
    times: Times = ONCE
    parents: tuple[OpportunityType, ...] = ()
    parent_term: str | None = None
    units: str | None = None
    may_stand_alone: bool = False
    contains_parent: bool = False
    place_is_the_parents: bool = False
    offers_are_the_parents: bool = False
    test_names: Mapping[str, str | None] = field(default_factory=dict)


# In the order in which the dataset site lists the feeds and an import reads them: parents first.
OPPORTUNITY_TYPES: Mapping[OpportunityType, Traits] = MappingProxyType(
    {
        OpportunityType.SessionSeries: Traits("session-series", "Session series", EVENTS),
        OpportunityType.ScheduledSession: Traits(
            "scheduled-sessions",
            "Scheduled sessions",
            EVENTS,
            is_bookable=True,
            parents=(OpportunityType.SessionSeries,),
            parent_term="superEvent",
            offers_are_the_parents=True,
            test_names={"ScheduledSession": "SessionSeries"},
        ),
        OpportunityType.FacilityUse: Traits(
            "facility-uses", "Facility uses", FACILITIES, units="IndividualFacilityUse"
        ),
        OpportunityType.Slot: Traits(
            "slots",
            "Slots",
            FACILITIES,
            is_bookable=True,
            parents=(OpportunityType.FacilityUse,),
            parent_term="facilityUse",
            place_is_the_parents=True,
            test_names={
                "FacilityUseSlot": "FacilityUse",
                "IndividualFacilityUseSlot": "IndividualFacilityUse",
            },
        ),
        OpportunityType.HeadlineEvent: Traits(
            "headline-events",
            "Headline events",
            EVENTS,
            is_bookable=True,
            test_names={"HeadlineEvent": None},
        ),
        OpportunityType.CourseInstance: Traits(
            "course-instances",
            "Courses",
            EVENTS,
            is_bookable=True,
            times=DAYS,
            test_names={"CourseInstance": None},
        ),
        OpportunityType.Event: Traits(
            "events",
            "Events",
            EVENTS,
            namespace=SCHEMA_ORG,
            is_bookable=True,
            parents=(OpportunityType.HeadlineEvent, OpportunityType.CourseInstance),
            parent_term="superEvent",
            may_stand_alone=True,
            contains_parent=True,
            test_names={
                "Event": None,
                "HeadlineEventSubEvent": "HeadlineEvent",
                "CourseInstanceSubEvent": "CourseInstance",
            },
        ),
        OpportunityType.OnDemandEvent: Traits(
            "on-demand-events",
            "On-demand events",
            EVENTS,
            namespace=SCHEMA_ORG,
            is_bookable=True,
            is_scheduled=False,
            test_names={"OnDemandEvent": None},
        ),
    }
)

_WHOLES = frozenset(
    parent for traits in OPPORTUNITY_TYPES.values() for parent in traits.parents if parent.traits.is_bookable
)

OPEN_FEEDS: Mapping[str, OpportunityType] = MappingProxyType(
    {traits.feed: kind for kind, traits in OPPORTUNITY_TYPES.items()}
)
# Units have their own feeds at the source, but are stored with the Opportunity that they are part of.
UNIT_TYPES = frozenset(traits.units for traits in OPPORTUNITY_TYPES.values() if traits.units)
# The terms that state spaces; these change without a change of content.
SPACES_TERMS = frozenset(traits.family.spaces_term for traits in OPPORTUNITY_TYPES.values())
