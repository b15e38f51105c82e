"""From the rows of a timetable to plans: what rows refer to, and whether their values fit each other.

A row that refers to a row with a problem is not taken either: its sessions would be at the wrong place or price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json, Seller
from chalicelib.services.errors import AdministrationError
from chalicelib.services.timetables.documents import child_document, parent_document
from chalicelib.services.timetables.plans import Plan
from chalicelib.services.timetables.recurrence import Occurrence, Span, local_date
from chalicelib.wire.unreadable import Unreadable
from openbooking.timetable.columns import (
    ACCESS,
    CLOSURE,
    COURSE,
    COURT,
    FACILITY,
    FORM,
    HOURS,
    PRICE,
    ROOM,
    SESSION,
    SITE,
    TERMS,
    RowType,
)
from openbooking.timetable.forms import form_field
from openbooking.timetable.offers import Mismatch, check_price, check_terms, price_list
from openbooking.timetable.places import check_site, room_place, site_place
from openbooking.timetable.reading import Problem, Reading, Row
from openbooking.timetable.series import Setting, course_plan, facility_plan, session_plan

# Rows without which another would be published wrongly: the type of the row, its column, and what that refers to.
_PARTS = (
    (FORM, "form", (FORM,)),
    (COURT, "facility", (FACILITY,)),
    (HOURS, "facility", (FACILITY,)),
    (CLOSURE, "at", (SITE, FACILITY)),
)
# Rows that others do not name by their ids, which are unique in their form or facility only.
_WITHOUT_NAMES = (FORM.name, COURT.name)


@dataclass(frozen=True)
class Context:
    """What files do not say: the Seller, the usual time zone, and what the installation supports.

    `check` raises AdministrationError for a plan that cannot be stored.
    """

    seller: Seller
    zone: str
    now: datetime
    prepayment_supported: bool = True
    check: Callable[[Plan], None] = lambda plan: None


@dataclass(frozen=True)
class Planned:
    """The plans of a timetable, each with its row, in the order of the rows; and the problems of the other rows.

    `notes` name what is possible and unusual, such as a series that is over.
    """

    plans: tuple[tuple[Row, Plan], ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    rows: int

    @property
    def wrong_rows(self) -> int:
        return len({problem.place for problem in self.problems})


def plan_timetable(reading: Reading, context: Context) -> Planned:
    """Make the plans of all rows that are right."""
    return _Planner(reading, context).planned()


class _Planner:
    def __init__(self, reading: Reading, context: Context) -> None:
        self._reading = reading
        self._context = context
        self._today = local_date(context.now, context.zone)
        self._problems = list(reading.problems)
        self._notes: list[Problem] = []
        self._plans: list[tuple[Row, Plan]] = []
        # Rows by type and id; and for what is not taken, the place of the problem.
        self._known: dict[tuple[str, str], Row] = {}
        self._lost: dict[tuple[str, str], str] = {}
        for name, rows in reading.wrong.items():
            for place, cells in rows:
                if name not in _WITHOUT_NAMES:
                    self._lose(name, cells.get("id", ""), place)
                for part, column, wholes in _PARTS:
                    if part.name == name:
                        for whole in wholes:
                            self._lose(whole.name, cells.get(column, ""), place)
        self._sites: dict[str, Json] = {}
        self._forms: dict[str, list[Json]] = {}

    def planned(self) -> Planned:
        for kind in (SESSION, COURSE, FACILITY, SITE):
            for row in self._reading.rows[kind.name]:
                self._known[kind.name, row.id] = row
        self._each(CLOSURE, self._closure)
        self._each(COURT, lambda row: self._check_named(FACILITY, row["facility"], "facility"))
        self._each(HOURS, lambda row: self._check_named(FACILITY, row["facility"], "facility"))
        self._each(SITE, self._site)
        self._each(ROOM, self._room)
        self._each(FORM, self._question)
        self._each(ACCESS, lambda row: None)
        self._each(TERMS, self._terms)
        self._each(PRICE, self._price)
        self._each(SESSION, self._session)
        self._each(COURSE, self._course)
        self._each(FACILITY, self._facility)
        return Planned(tuple(self._plans), tuple(self._problems), tuple(self._notes), self._reading.count)

    def _each(self, kind: RowType, take: Callable[[Row], None]) -> None:
        for row in self._reading.rows[kind.name]:
            try:
                if kind.name not in _WITHOUT_NAMES and (place := self._lost.get((kind.name, row.id))):
                    raise Mismatch(f"it depends on {place}, which is wrong: correct that first", "id")
                take(row)
            except (Mismatch, AdministrationError, Unreadable) as error:
                column = error.column if isinstance(error, Mismatch) else ""
                self._problems.append(Problem(row.place, str(error), row.id, column))
                if kind.name not in _WITHOUT_NAMES:
                    self._lose(kind.name, row.id, row.place)
                for part, name, wholes in _PARTS:
                    if part is kind:
                        for whole in wholes:
                            self._lose(whole.name, row[name], row.place)
            else:
                if kind.name not in _WITHOUT_NAMES:
                    self._known[kind.name, row.id] = row

    def _lose(self, kind: str, row_id: str, place: str) -> None:
        if row_id:
            self._lost.setdefault((kind, row_id), place)

    # --- each type of row -------------------------------------------------------------------

    def _site(self, row: Row) -> None:
        check_site(row)
        self._sites[row.id] = site_place(self._context.seller.id, row)

    def _room(self, row: Row) -> None:
        self._find(SITE, row["site"], "site")

    def _question(self, row: Row) -> None:
        self._forms.setdefault(row["form"], []).append(form_field(row))
        self._known.setdefault((FORM.name, row["form"]), row)

    def _terms(self, row: Row) -> None:
        check_terms(row, prepayment_supported=self._context.prepayment_supported)
        if row["form"] is not None:
            self._find(FORM, row["form"], "form")
        if row["access"] is not None:
            self._find(ACCESS, row["access"], "access")

    def _price(self, row: Row) -> None:
        check_price(row)
        if row["terms"] is not None:
            self._find(TERMS, row["terms"], "terms")

    def _closure(self, row: Row) -> None:
        at, until = row["at"], row["until"] or row["from"]
        if until < row["from"]:
            raise Mismatch(f"it ends before it begins, on {row['from']}: exchange the dates", "until")
        named = [kind for kind in (SITE, FACILITY) if (kind.name, at) in {**self._known, **self._lost}]
        if len(named) == 2:
            raise Mismatch(f"{at!r} is a site and a facility: give one of them another id", "at")
        if not named:
            raise Mismatch(f"there is no site or facility {at!r}: add it, or correct the id", "at")

    def _session(self, row: Row) -> None:
        site, place = self._place(row)
        self._check_own(row, (FACILITY,))
        self._take(row, session_plan(row, self._setting(row, site, place), self._today))

    def _course(self, row: Row) -> None:
        site, place = self._place(row)
        self._check_own(row, (SESSION, FACILITY))
        whole = self._setting(row, site, place)
        singly = self._setting(row, site, place, "session_prices") if row["session_prices"] else None
        self._take(row, course_plan(row, whole, singly))

    def _place(self, row: Row) -> tuple[Row | None, Json | None]:
        """The site of a session or course, and the Place that it is held in. Raises Mismatch."""
        room = self._find(ROOM, row["room"], "room") if row["room"] is not None else None
        site_id = row["site"] or (room["site"] if room else None)
        if room is not None and room["site"] != site_id:
            raise Mismatch(f"the room is in the site {room['site']!r}: write that, or another room", "room")
        site = self._find(SITE, site_id, "site") if site_id else None
        place = self._sites[site.id] if site else None
        if room is not None and place is not None:
            place = room_place(self._context.seller.id, room, place)
        return site, place

    def _check_own(self, row: Row, others: Sequence[RowType]) -> None:
        """Sessions, courses and facilities share their ids. Raises Mismatch."""
        for kind in others:
            if (kind.name, row.id) in self._known:
                raise Mismatch(f"a {kind.name} has the id {row.id!r}, too: use another", "id")

    def _facility(self, row: Row) -> None:
        site = self._find(SITE, row["site"], "site")
        courts, hours = (
            [each for each in self._reading.rows[kind.name] if each["facility"] == row.id]
            for kind in (COURT, HOURS)
        )
        setting = self._setting(row, site, self._sites[site.id])
        self._take(row, facility_plan(row, setting, courts, hours, self._today))

    # --- what rows refer to -----------------------------------------------------------------

    def _setting(self, row: Row, site: Row | None, place: Json | None, column: str = "prices") -> Setting:
        usual = self._find(TERMS, row["terms"], "terms") if row["terms"] is not None else None
        prices = [self._find(PRICE, each, column) for each in row[column]]
        sold = price_list(
            [
                (price, self._find(TERMS, price["terms"], column) if price["terms"] else usual)
                for price in prices
            ],
            column,
        )
        access = self._find(ACCESS, sold.access, "terms") if sold.access is not None else None
        return Setting(
            seller=self._context.seller,
            zone=(site["time_zone"] if site else None) or self._context.zone,
            place=place,
            prices=sold,
            form=tuple(self._forms[sold.form]) if sold.form is not None else (),
            access=_channel(access) if access else None,
            closed=self._closed([row.id] if row.type is FACILITY else [], site),
        )

    def _closed(self, ids: Sequence[str], site: Row | None) -> tuple[Span, ...]:
        at = {*ids, *([site.id] if site else [])}
        spans = {
            Span(row["from"], row["until"] or row["from"])
            for row in self._reading.rows[CLOSURE.name]
            if row["at"] in at
        }
        return tuple(sorted(spans, key=lambda span: (span.first, span.last)))

    def _find(self, kind: RowType, row_id: str, column: str) -> Row:
        """The row that is referred to. Raises Mismatch."""
        self._check_named(kind, row_id, column)
        return self._known[kind.name, row_id]

    def _check_named(self, kind: RowType, row_id: str, column: str) -> None:
        key = (kind.name, row_id)
        if place := self._lost.get(key):
            raise Mismatch(f"the {kind.name} {row_id!r} ({place}) is wrong: correct that first", column)
        if key not in self._known:
            raise Mismatch(f"there is no {kind.name} {row_id!r}: add a row for it, or correct the id", column)

    # --- the plan ---------------------------------------------------------------------------

    def _take(self, row: Row, plan: Plan) -> None:
        self._context.check(plan)
        parent_document(plan)
        now = self._context.now
        if plan.units:
            child_document(plan, plan.units[0], Occurrence("check", now, now + timedelta(hours=1)))
        self._plans.append((row, plan))
        if not plan.is_current_whole(now) and not any(plan.coming(now, plan.horizon(now))):
            self._notes.append(
                Problem(row.place, "nothing of it is within the time for which it is published", row.id)
            )


def _channel(access: Row) -> Json:
    channel = {
        "@type": "VirtualLocation",
        "name": access["name"],
        "description": access["description"],
        "url": access["url"],
    }
    return {term: value for term, value in channel.items() if value is not None}
