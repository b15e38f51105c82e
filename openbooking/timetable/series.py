"""Sessions, courses and facilities: from their rows, with what these refer to, to plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, Seller
from chalicelib.services.timetables.plans import MAX_DAYS_AHEAD, Plan, Unit, Whole, own_id
from chalicelib.services.timetables.recurrence import (
    Hours,
    InvalidRule,
    Move,
    Opening,
    Recurrence,
    Span,
    check_rule,
    dates_of,
    exists,
    instant,
    overlapping,
    slots,
    zone_of,
)
from chalicelib.values import dataclass, replace
from openbooking.timetable.columns import MAX_SOLD_SINGLY, MAX_WEEKS, OPEN_ENDED_WEEKS, WHERE
from openbooking.timetable.offers import Mismatch, PriceList, age_range, check_ages, together
from openbooking.timetable.reading import Row

_CONTEXT = "https://openactive.io/"
_SCHEDULED = "https://schema.org/EventScheduled"
# Sessions of a course that are not sold singly; all of them are in its document.
MAX_SESSIONS = 100
_FIRST, _LAST = date(2000, 1, 1), date(2099, 12, 31)


@dataclass(frozen=True)
class Setting:
    """What a session, course or facility refers to: its Seller, place, prices and closures."""

    seller: Seller
    zone: str
    place: Json | None
    prices: PriceList
    form: tuple[Json, ...] = ()
    access: Json | None = None
    closed: tuple[Span, ...] = ()


def session_plan(row: Row, setting: Setting, today: date) -> Plan:
    """The plan of a session or of a series of them. Raises Mismatches."""
    _check_event(row, setting, lambda: _recurrence(row, setting.zone))
    recurrence = _recurrence(row, setting.zone)
    parent = _event(OpportunityType.SessionSeries, row, setting)
    series_id = str(parent["@id"])
    return Plan(
        seller_id=setting.seller.id,
        id=row.id,
        child_type=OpportunityType.ScheduledSession,
        parent=_stated(parent),
        child={"eventStatus": _SCHEDULED, **_page(row)},
        spaces=row["spaces"],
        zone=setting.zone,
        days_ahead=_days_ahead(row, has_end=_has_end(recurrence)),
        recurrence=recurrence,
        units=(Unit(series_id),),
        closed=setting.closed,
        details=setting.prices.details,
        form=_form(series_id, setting),
        access_channel=setting.access,
        tax_rates=setting.prices.tax_rates,
    )


def course_plan(row: Row, whole: Setting, singly: Setting | None) -> Plan:
    """The plan of a course; `singly` has the prices of its sessions if these are sold singly. Raises Mismatches."""

    def has_an_end() -> None:
        if not _has_end(_recurrence(row, whole.zone)):
            raise Mismatch("a course needs an end: write its last date, or a COUNT in the rule", "until")

    _check_event(
        row,
        whole,
        has_an_end,
        lambda: _session_spaces(row, is_sold=singly is not None),
        lambda: _check_channel(row, singly),
    )
    recurrence = _recurrence(row, whole.zone)
    parent = _event(OpportunityType.CourseInstance, row, whole) | {"eventStatus": _SCHEDULED}
    course_id = str(parent["@id"])
    # A single session has all that the course has; its name and place are those of the course unless they differ.
    child = {
        term: parent[term]
        for term in ("activity", "description", "eventAttendanceMode", "eventStatus", "url")
    }
    plan = Plan(
        seller_id=whole.seller.id,
        id=row.id,
        child_type=OpportunityType.Event,
        parent=_stated(parent),
        child=_stated(child),
        spaces=_session_spaces(row, is_sold=singly is not None),
        zone=whole.zone,
        days_ahead=0,
        recurrence=recurrence,
        closed=whole.closed,
        whole=Whole(
            row["spaces"], whole.prices.details, _form(course_id, whole), whole.access, whole.prices.tax_rates
        ),
    )
    if singly is not None:
        plan = replace(
            plan,
            units=(Unit(course_id),),
            prices=singly.prices.offers,
            details=singly.prices.details,
            form=_form(course_id, singly),
            access_channel=singly.access,
            tax_rates=singly.prices.tax_rates,
        )
    _check_programme(plan)
    return plan


def _session_spaces(row: Row, *, is_sold: bool) -> int:
    spaces = row["session_spaces"]
    if spaces is None:
        return int(row["spaces"])
    if not is_sold:
        raise Mismatch(
            "its sessions are not sold singly: write their prices in session_prices, or empty this cell",
            "session_spaces",
        )
    if spaces < row["spaces"]:
        raise Mismatch(
            f"a session has fewer spaces than the course, which has {row['spaces']}: write at least as many",
            "session_spaces",
        )
    return int(spaces)


def _check_programme(plan: Plan) -> None:
    sessions = len(plan.programme)
    if not sessions:
        raise Mismatch("it has no session: its dates are all in except, or its site is closed", "start_date")
    if plan.units and sessions > MAX_SOLD_SINGLY:
        raise Mismatch(
            f"it has {sessions} sessions, and a course has at most {MAX_SOLD_SINGLY} that are also sold singly: make two "
            "courses of it, or empty this cell",
            "session_prices",
        )
    if sessions > MAX_SESSIONS:
        raise Mismatch(
            f"it has {sessions} sessions, and a course has at most {MAX_SESSIONS}: make several courses of it",
            "repeat",
        )


def facility_plan(
    row: Row, setting: Setting, courts: Sequence[Row], hours: Sequence[Row], today: date
) -> Plan:
    """The plan of a facility with its courts and hours. Raises Mismatches."""
    within = Span(row["from"] or _FIRST, row["until"] or _LAST)

    def has_no_channel() -> None:
        if setting.access is not None:
            raise Mismatch(
                "its terms have an online channel, which a facility cannot have: use other terms", "terms"
            )

    def has_time() -> None:
        if within.last < within.first:
            raise Mismatch(f"it ends before it begins, on {within.first}: exchange the dates", "until")

    def opens() -> Opening:
        if not hours:
            raise Mismatch(
                f"it has no opening hours: add a row of the type hours with the facility {row.id!r}", "id"
            )
        read = together(*(partial(_hours, each, row["slot_minutes"]) for each in hours))
        opening = Opening(tuple(read), row["slot_minutes"], within)
        _check_overlap(opening, setting.zone, today)
        return opening

    together(has_no_channel, has_time, opens)
    opening = opens()
    facility_id = own_id(OpportunityType.FacilityUse, setting.seller.id, row.id)
    traits = OpportunityType.FacilityUse.traits
    units = tuple(Unit(f"{facility_id}/individual-facility-uses/{court.id}", court.id) for court in courts)
    parent: Json = {
        **_parent(OpportunityType.FacilityUse, facility_id, row, setting),
        "facilityType": [dict(concept) for concept in row["facility_type"]],
        "location": setting.place,
        "provider": _seller(setting),
        "individualFacilityUse": [
            {"@type": traits.units, "@id": unit.id, "identifier": court.id, "name": court["name"]}
            for unit, court in zip(units, courts, strict=True)
        ],
    }
    return Plan(
        seller_id=setting.seller.id,
        id=row.id,
        child_type=OpportunityType.Slot,
        parent=_stated(parent),
        child=_page(row),
        spaces=row["spaces"],
        zone=setting.zone,
        days_ahead=_days_ahead(row, has_end=row["until"] is not None),
        opening=opening,
        units=units or (Unit(facility_id),),
        prices=setting.prices.offers,
        closed=setting.closed,
        details=setting.prices.details,
        form=_form(facility_id, setting),
        tax_rates=setting.prices.tax_rates,
    )


def _event(kind: OpportunityType, row: Row, setting: Setting) -> Json:
    """The document of a series or a course, with its Offers."""
    event_id = own_id(kind, setting.seller.id, row.id)
    return {
        **_parent(kind, event_id, row, setting),
        "activity": [dict(concept) for concept in row["activity"]],
        "ageRange": age_range(row),
        "genderRestriction": f"{_CONTEXT}{row['gender']}",
        "level": list(row["level"] or ()),
        "leader": [{"@type": "Person", "name": row["leader"]}] if row["leader"] else None,
        "eventAttendanceMode": f"https://schema.org/{row['online']}EventAttendanceMode",
        "attendeeInstructions": row["instructions"],
        "location": setting.place,
        "organizer": _seller(setting),
        "isAccessibleForFree": True if setting.prices.is_free else None,
        "offers": [
            {**offer, "@id": f"{event_id}#/offers/{offer['identifier']}"} for offer in setting.prices.offers
        ],
    }


def _check_event(row: Row, setting: Setting, *more: Callable[[], object]) -> None:
    """What must be right of a series or a course, and further checks. Raises Mismatches."""
    together(
        lambda: check_ages(row),
        lambda: _check_place(row, setting),
        lambda: _check_channel(row, setting),
        *more,
    )


def _check_place(row: Row, setting: Setting) -> None:
    if setting.place is None and row["online"] != WHERE["yes"]:
        raise Mismatch("it has no site: write the id of its site, or yes in online", "site")
    if setting.place is not None and row["online"] == WHERE["yes"]:
        raise Mismatch(
            "it is online only and has a site: empty the site and the room, or write both", "online"
        )


def _check_channel(row: Row, setting: Setting | None) -> None:
    if setting is not None and setting.access is not None and row["online"] == WHERE["no"]:
        raise Mismatch("its terms have an online channel, and it is not online: use other terms", "online")


def _has_end(recurrence: Recurrence) -> bool:
    return recurrence.until is not None or "COUNT=" in recurrence.rule or not recurrence.rule


def _recurrence(row: Row, zone: str) -> Recurrence:
    first, at, until = row["start_date"], row["time"], row["until"]
    repeat = row["repeat"]
    if repeat is None:

        def is_once(column: str) -> None:
            if row[column]:
                raise Mismatch(
                    "it takes place once: empty this cell, or say in repeat how it repeats", column
                )

        def exists_then() -> None:
            if not exists(first, at, zone):
                shown = instant(first, at, zone).astimezone(zone_of(zone))
                raise Mismatch(
                    f"{at:%H:%M} does not exist on {first}, when the clocks go forward: write {shown:%H:%M}",
                    "time",
                )

        together(*(partial(is_once, column) for column in ("until", "except", "moved")), exists_then)
        return Recurrence(first, at, row["minutes"])
    try:
        check_rule(repeat.rule)
    except InvalidRule as error:
        raise Mismatch(f"{repeat.rule} cannot be used: {error}", "repeat") from None
    if repeat.until is not None:
        if until is not None:
            raise Mismatch("the rule has an UNTIL too: write the last date in one of them", "until")
        until = _last_date(repeat.until, at, zone)
    if until is not None and "COUNT=" in repeat.rule:
        raise Mismatch("the rule has a COUNT too: remove that, or empty this cell", "until")
    if until is not None and until < first:
        raise Mismatch(f"it ends before it begins, on {first}: exchange the dates", "until")
    recurrence = Recurrence(first, at, row["minutes"], repeat.rule, until, tuple(sorted(row["except"])))
    moves = tuple(sorted((_move(each, at) for each in row["moved"]), key=lambda move: move.on))
    _check_moves(recurrence, moves)
    if not dates_of(recurrence, Span(first, first + timedelta(days=4 * 366))):
        raise Mismatch("the rule has no date after the start: correct the rule or the last date", "repeat")
    return replace(recurrence, moved=moves)


def _check_moves(recurrence: Recurrence, moves: Sequence[Move]) -> None:
    known: set[date] = set()
    for move in moves:
        if move.on in known:
            raise Mismatch(f"{move.on} is moved twice: remove one", "moved")
        known.add(move.on)
        if move.on in recurrence.not_on:
            raise Mismatch(f"{move.on} is in except, too: remove it from one of them", "moved")
        if not dates_of(recurrence, Span(move.on, move.on)):
            raise Mismatch(f"{move.on}, a {move.on:%A}, is not a date of this series: correct it", "moved")


def check_hours(row: Row) -> None:
    """Raises Mismatch for hours of no date."""
    if row["from"] is not None and row["until"] is not None and row["until"] < row["from"]:
        raise Mismatch(f"they end before they begin, on {row['from']}: exchange the dates", "until")


def _hours(row: Row, slot_minutes: int) -> Hours:
    first, last = row["from"] or _FIRST, row["until"] or _LAST
    opens, closes = (each.hour * 60 + each.minute for each in (row["opens"], row["closes"]))
    minutes = (closes - opens) if closes > opens else closes - opens + 24 * 60
    if minutes < slot_minutes:
        raise Mismatch(
            f"{row.place}: from {row['opens']:%H:%M} to {row['closes']:%H:%M} is shorter than a slot of {slot_minutes} "
            "minutes: correct one of them",
            "slot_minutes",
        )
    is_limited = row["from"] is not None or row["until"] is not None
    return Hours(row["days"], row["opens"], row["closes"], Span(first, last) if is_limited else None)


def _check_overlap(opening: Opening, zone: str, today: date) -> None:
    found = overlapping(slots(opening, zone, Span(today, today + timedelta(days=MAX_DAYS_AHEAD))))
    if found is not None:
        local = [each.starts_at.astimezone(zone_of(zone)) for each in found]
        raise Mismatch(
            f"its opening hours overlap: slots at {local[0]:%Y-%m-%d %H:%M} and at {local[1]:%H:%M}: correct the rows of "
            "the type hours",
            "id",
        )


def _parent(kind: OpportunityType, parent_id: str, row: Row, setting: Setting) -> Json:
    page = row["url"] or (setting.place or {}).get("url") or setting.seller.document.get("url") or parent_id
    return {
        "@context": _CONTEXT,
        "@type": kind.value,
        "@id": parent_id,
        "identifier": row.id,
        "name": row["name"],
        "description": row["description"],
        "url": page,
        "image": [{"@type": "ImageObject", "url": row["image"]}] if row["image"] else None,
    }


def _page(row: Row) -> Json:
    return {"url": row["url"]} if row["url"] else {}


def _seller(setting: Setting) -> Json:
    """The Seller as feeds show it: what is in a timetable is sold through Brokers (BOOKABLE-03)."""
    return {**setting.seller.document, "isOpenBookingAllowed": True}


def _form(owner_id: str, setting: Setting) -> tuple[Json, ...]:
    return tuple({**each, "@id": f"{owner_id}#/intakeForm/{each['identifier']}"} for each in setting.form)


def _days_ahead(row: Row, *, has_end: bool) -> int:
    weeks = row["weeks_ahead"] or (MAX_WEEKS if has_end else OPEN_ENDED_WEEKS)
    return int(weeks) * 7


def _last_date(until: date | datetime, at: Any, zone: str) -> date:
    """The last local date with a session at the time `at` that is not after an UNTIL."""
    if not isinstance(until, datetime):
        return until
    local = until.astimezone(zone_of(zone)) if until.tzinfo is UTC else until
    return local.date() if at <= local.time() else local.date() - timedelta(days=1)


def _move(move: Move | tuple[date, date], at: Any) -> Move:
    return move if isinstance(move, Move) else Move(*move, at)


def _stated(document: Json) -> Json:
    return {term: value for term, value in document.items() if value is not None and value != []}
