"""Published documents read as Opportunities, with what they inherit over any number of levels.

Decides what an Opportunity takes from which level, and what prevents a booking; does not know where documents are
from, or what a source's defaults add to them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.domain.bookability import Barrier, Reason, barrier
from chalicelib.domain.capacity import UNLIMITED
from chalicelib.domain.opportunities import NOT_IN_ORDERS, EventStatus, Opportunity, without_terms
from chalicelib.domain.opportunity_types import SPACES_TERMS, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.wire.documents import SCHEMA, levels, member, read_document, types_of
from chalicelib.wire.opportunities import Published, too_large
from chalicelib.wire.reading_offers import (
    Surroundings,
    availability,
    duration,
    instant,
    read_offers,
    with_ids,
)
from chalicelib.wire.sellers import seller_document, seller_in
from chalicelib.wire.unreadable import Cause, Unreadable

MAX_SPACES = 10**9

# The sub-events of a parent and their numbers of spaces change without it.
_NOT_IN_CONTAINED_PARENT = frozenset({"@context", *SPACES_TERMS})

_ONLINE = f"{SCHEMA}OnlineEventAttendanceMode"
_MIXED = f"{SCHEMA}MixedEventAttendanceMode"


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

    `parent` and `details`: see `build_opportunity`. Raises Unreadable, with a reason for people.
    """
    parent = None if parent is None else read_document(parent)
    return build_opportunity(read_document(document), parent, **details)


def build_opportunity(
    document: Json,
    parent: Json | None = None,
    *,
    attendee_details_required: Sequence[str] = (),
    intake_form: Sequence[Json] = (),
    access_channel: Json | None = None,
    is_embedded: bool = False,
    shown_parent: Json | None = None,
    sub_events: Sequence[str] = (),
    no_limit: bool = False,
) -> Published:
    """The Opportunity in a document in the form of `read_document`, with the properties it inherits from `parent`.

    What the parent inherits from is in it: the FacilityUse of an IndividualFacilityUse as `aggregateFacilityUse`, the
    EventSeries of a SessionSeries as `superEvent`. `shown_parent` is `parent_in_orders(parent)`, if the caller knows it.
    `sub_events`: see `with_sub_events`. `no_limit`: any number of people can book it if it states no number of spaces,
    as is always so for what takes place at any time. Raises Unreadable.
    """
    kind, opportunity_id = kind_of(document), document.get("@id")
    if not isinstance(opportunity_id, str) or not opportunity_id:
        raise Unreadable("it has no @id", Cause.id)
    traits = kind.traits
    if traits.parent_term and parent is None and not traits.may_stand_alone:
        raise Unreadable(f"it has no {traits.parent_term}", Cause.parent)
    document = {**document, "@type": kind.value}
    sources = list(levels(document, parent))
    organizer = seller_document(sources)
    if traits.contains_parent and traits.parent_term and parent is not None:
        document[traits.parent_term] = without_terms(parent, _NOT_IN_CONTAINED_PARENT)
        document.setdefault(traits.family.seller_term, organizer)
    seller = seller_in(organizer)
    starts_at, ends_at = _times(document, kind)
    read = read_offers(
        sources,
        Surroundings(
            organizer=organizer,
            starts_at=starts_at,
            requirements=tuple(_stated_beside_offers(sources, "openBookingFlowRequirement")),
            opens=tuple(_stated_beside_offers(sources, "beta:offerValidityPeriod")),
            form=bool(intake_form),
            details=bool(attendee_details_required),
        ),
        nearest_only=traits.family.own_offers_replace,
    )
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
        parent=(shown_parent or parent_in_orders(parent)) if parent else None,
        barriers=barriers,
        unusable_offers=read.unusable,
        is_embedded=is_embedded,
    )
    published = Published(
        opportunity, _spaces(document, kind, no_limit=no_limit) if kind.is_bookable else None
    )
    published = with_sub_events(published, sub_events)
    if reason := too_large(published.opportunity):
        raise Unreadable(reason, Cause.size)
    return published


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


def parent_in_orders(parent: Json) -> Json:
    """What an Opportunity keeps of its parent: all that an Order shows of it (requirements 3.3)."""
    shown: Json = without_terms(parent, NOT_IN_ORDERS)
    return shown


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
    if ends_at is None and starts_at is not None and "duration" in times:
        try:
            lasts = duration(times["duration"], starts_at)
            ends_at = None if lasts is None else starts_at + lasts
        except (ValueError, OverflowError):
            raise Unreadable(f"its duration {times['duration']!r} is not a duration", Cause.time) from None
    return starts_at, ends_at


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
    return max(spaces, 0)  # a source that has oversold has nothing left
