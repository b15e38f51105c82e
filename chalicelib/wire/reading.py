"""Published documents read as Opportunities, with what they inherit over any number of levels.

Decides what an Opportunity takes from which level, and what prevents a booking; does not know where documents are
from, or what a source's defaults add to them.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from chalicelib.domain.bookability import Barrier, Reason, barrier
from chalicelib.domain.capacity import UNLIMITED
from chalicelib.domain.opportunities import NOT_IN_ORDERS, EventStatus, Opportunity, without_terms
from chalicelib.domain.opportunity_types import SPACES_TERMS, OpportunityType
from chalicelib.domain.parties import Json, Seller
from chalicelib.values import replace
from chalicelib.wire.documents import MAX_LEVELS, SCHEMA, levels, member, read_document, types_of
from chalicelib.wire.opportunities import Published, too_large
from chalicelib.wire.reading_offers import (
    InheritedOffers,
    Surroundings,
    availability,
    duration,
    instant,
    read_offers,
    with_ids,
)
from chalicelib.wire.sellers import SELLER_TERMS, seller_document, seller_in
from chalicelib.wire.unreadable import Cause, Unreadable

MAX_SPACES = 10**9

# Dates outside these years are placeholders, such as 0001-01-01 and 9999-12-31, or mistakes.
FIRST_YEAR, LAST_YEAR = 1970, 2199

# The sub-events of a parent and their numbers of spaces change without it.
_NOT_IN_CONTAINED_PARENT = frozenset({"@context", *SPACES_TERMS})

_ONLINE = f"{SCHEMA}OnlineEventAttendanceMode"
_MIXED = f"{SCHEMA}MixedEventAttendanceMode"


class Parent:
    """A document that others inherit from, in the form of `read_document`, with what its children share, read once.

    What it inherits from itself is in it: the FacilityUse of an IndividualFacilityUse as `aggregateFacilityUse`, the
    EventSeries of a SessionSeries as `superEvent`. Each property may raise what reading a document may raise.
    """

    def __init__(self, document: Json) -> None:
        self.document = document

    @cached_property
    def levels(self) -> tuple[Json, ...]:
        return tuple(islice(levels(self.document), MAX_LEVELS))

    @cached_property
    def in_orders(self) -> Json:
        """What an Opportunity keeps of it: all that an Order shows of it (requirements 3.3)."""
        shown: Json = without_terms(self.document, NOT_IN_ORDERS)
        return shown

    @cached_property
    def contained(self) -> Json:
        """What its children contain of it in open data."""
        shown: Json = without_terms(self.document, _NOT_IN_CONTAINED_PARENT)
        return shown

    @cached_property
    def organizer(self) -> Json:
        return seller_document(self.levels)

    @cached_property
    def seller(self) -> Seller:
        return seller_in(self.organizer)

    @cached_property
    def offers(self) -> InheritedOffers:
        return InheritedOffers(self.levels)


def kind_of(document: Json) -> OpportunityType:
    """The type of a document in the form of `read_document`: the one that is supported. Raises Unreadable.

    Event is the general type of all events: it counts only where there is no other.
    """
    found = types_of(document)
    known = [kind for kind in OpportunityType if kind in found]
    if len(known) > 1:
        known = [kind for kind in known if kind is not OpportunityType.Event]
    if len(known) != 1:
        raise Unreadable(f"its type {document.get('@type')!r} is not supported", Cause.kind)
    return known[0]


def read_opportunity(document: Json, parent: Json | None = None, **details: Any) -> Published:
    """The Opportunity in a published document, in any of the forms that `read_document` knows.

    `parent` and `details`: see `build_opportunity`. Raises Unreadable, with a reason for people, also if it is too large.
    """
    read = None if parent is None else Parent(read_document(parent))
    published = build_opportunity(read_document(document), read, **details)
    if reason := too_large(published.opportunity):
        raise Unreadable(reason, Cause.size)
    return published


def build_opportunity(
    document: Json,
    parent: Parent | None = None,
    *,
    attendee_details_required: Sequence[str] = (),
    intake_form: Sequence[Json] = (),
    access_channel: Json | None = None,
    is_embedded: bool = False,
    sub_events: Sequence[str] = (),
    no_limit: bool = False,
) -> Published:
    """The Opportunity in a document in the form of `read_document`, with the properties it inherits from `parent`.

    `sub_events`: see `with_sub_events`. `no_limit`: any number of people can book it if it states no number of spaces,
    as is always so for what takes place at any time. Its size is not checked. Raises Unreadable.
    """
    kind, opportunity_id = kind_of(document), document.get("@id")
    if not isinstance(opportunity_id, str) or not opportunity_id:
        raise Unreadable("it has no @id", Cause.id)
    traits = kind.traits
    if traits.parent_term and parent is None and not traits.may_stand_alone:
        raise Unreadable(f"it has no {traits.parent_term}", Cause.parent)
    document = {**document, "@type": kind.value}
    sources = [document, *(parent.levels if parent else islice(levels(document), 1, None))]
    if parent is None or any(term in document for term in SELLER_TERMS):
        organizer = seller_document(sources)
        seller = seller_in(organizer)
    else:
        organizer, seller = parent.organizer, parent.seller
    if traits.contains_parent and traits.parent_term and parent is not None:
        document[traits.parent_term] = parent.contained
        document.setdefault(traits.family.seller_term, organizer)
    starts_at, ends_at = _times(document, kind)
    around = Surroundings(
        allowed=organizer.get("isOpenBookingAllowed"),
        starts_at=starts_at,
        requirements=tuple(_stated_beside_offers(sources, "openBookingFlowRequirement")),
        opens=tuple(_stated_beside_offers(sources, "beta:offerValidityPeriod")),
        form=bool(intake_form),
        details=bool(attendee_details_required),
    )
    nearest_only = traits.family.own_offers_replace
    if parent is None or document.get("offers"):
        read = read_offers(sources, around, nearest_only=nearest_only)
    else:
        read = parent.offers.read(around, nearest_only=nearest_only)
    status, barriers = _status(sources)
    if kind.is_bookable and (found := availability(_nearest(sources, "beta:availability"))):
        barriers = (*barriers, found)
    mode = _nearest(sources, "eventAttendanceMode")
    if mode is None and not traits.is_scheduled:
        mode = _ONLINE  # what can be used at any time has no place, and may not state a mode
    opportunity = Opportunity(
        id=opportunity_id,
        type=kind,
        seller_id=seller.id,
        starts_at=starts_at,
        ends_at=ends_at,
        status=status,
        is_online=mode in (_ONLINE, _MIXED),
        is_physical=mode != _ONLINE,
        offers=read.offers,
        attendee_details_required=tuple(attendee_details_required),
        intake_form=tuple(intake_form),
        access_channel=access_channel,
        document={term: value for term, value in with_ids(document).items() if term != "@context"},
        parent=parent.in_orders if parent else None,
        barriers=barriers,
        unusable_offers=read.unusable,
        is_embedded=is_embedded,
    )
    published = Published(
        opportunity, _spaces(document, kind, no_limit=no_limit) if kind.is_bookable else None
    )
    return with_sub_events(published, sub_events)


def with_sub_events(published: Published, sub_events: Sequence[str]) -> Published:
    """The course or HeadlineEvent with its sub-events that are also sold singly, by their ids.

    With more of them than one Order takes spaces of, it cannot be booked (decision 26).
    """
    if not sub_events:
        return published
    opportunity = replace(published.opportunity, sub_events=tuple(sorted(sub_events)))
    if (too_many := opportunity.too_many_sub_events) is not None:
        opportunity = replace(opportunity, barriers=(*opportunity.barriers, too_many))
    return replace(published, opportunity=opportunity)


def _times(document: Json, kind: OpportunityType) -> tuple[datetime | None, datetime | None]:
    times = kind.traits.times.read(document)

    def read(term: str) -> datetime | None:
        value = times.get(term)
        try:
            return None if value is None else instant(value)
        except ValueError as error:
            if not kind.is_bookable:
                return None  # a series may state the dates of its first and its last session
            raise Unreadable(f"its {term} {value!r} {error}", Cause.time) from None

    starts_at, ends_at = read("startDate"), read("endDate")
    if kind.is_bookable and kind.traits.is_scheduled and starts_at is None:
        raise Unreadable("it has no startDate", Cause.time)
    stated = f"endDate {times.get('endDate')!r}"
    if ends_at is None and starts_at is not None and "duration" in times:
        stated = f"duration {times['duration']!r}"
        try:
            lasts = duration(times["duration"], starts_at)
            ends_at = None if lasts is None else starts_at + lasts
        except (ValueError, OverflowError):
            raise Unreadable(f"its {stated} is not a duration", Cause.time) from None
    if kind.is_bookable:
        _check_times(starts_at, ends_at, f"startDate {times.get('startDate')!r}", stated)
    return starts_at, ends_at


def _check_times(starts_at: datetime | None, ends_at: datetime | None, start: str, end: str) -> None:
    """Refuse times that cannot be right. Raises Unreadable, which quotes what states the `start` or the `end`."""
    for at, stated in ((starts_at, start), (ends_at, end)):
        if at is not None and not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise Unreadable(
                f"its {stated} leads to the year {at.year}: only {FIRST_YEAR} to {LAST_YEAR} are accepted",
                Cause.time,
            )
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise Unreadable(f"its {end} does not lead to an end after its {start}", Cause.time)


def _status(sources: Sequence[Json]) -> tuple[EventStatus, tuple[Barrier, ...]]:
    """The status that the nearest level states; one that is not known prevents a booking (BOOKABLE-08)."""
    stated = _nearest(sources, "eventStatus")
    if stated is None:
        return EventStatus.EventScheduled, ()
    known = next((status for status in EventStatus if status == member(stated)), None)
    if known is None:
        return EventStatus.EventScheduled, (barrier(Reason.status_unknown, stated),)
    return known, ()


def _nearest(sources: Sequence[Json], term: str) -> Any:
    return next((source[term] for source in sources if term in source), None)


def _stated_beside_offers(sources: Sequence[Json], term: str) -> list[Any]:
    found = [source[term] for source in sources if term in source]
    return [each for value in found for each in (value if isinstance(value, list) else [value])]


def _spaces(document: Json, kind: OpportunityType, *, no_limit: bool) -> int:
    family = kind.traits.family
    term = family.spaces_term
    spaces = document.get(term)
    may_have_no_limit = no_limit or not kind.traits.is_scheduled
    if spaces is None and family.capacity_term not in document and may_have_no_limit:
        return UNLIMITED
    if isinstance(spaces, bool) or not isinstance(spaces, int):
        stated = "" if spaces is None else f" that is a whole number, but {str(spaces)[:40]!r}"
        raise Unreadable(f"it states no {term}{stated}", Cause.spaces)
    if spaces > MAX_SPACES:
        raise Unreadable(f"it states {spaces} spaces", Cause.spaces)
    return 0 if why_full(document, kind) else spaces


def why_full(document: Json, kind: OpportunityType) -> str | None:
    """Why a number of spaces that cannot be right is treated as full, as a sentence; None if it can be right.

    `document` is in the form of `read_document`.
    """
    family = kind.traits.family
    spaces, capacity = document.get(family.spaces_term), document.get(family.capacity_term)
    if not isinstance(spaces, int):
        return None
    if spaces < 0:
        return f"Its {family.spaces_term} is {spaces}: it is treated as full."
    if isinstance(capacity, int | float) and spaces > capacity:
        return (
            f"Its {family.spaces_term} of {spaces} is more than its {family.capacity_term} of {capacity}:"
            " it is treated as full."
        )
    return None
