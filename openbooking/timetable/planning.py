"""From the rows of a timetable to plans: what rows refer to, and whether their values fit each other.

All problems are found at once: a row with one is checked in its other columns, too. A row that refers to a row with a
problem is not taken either, because its sessions would be at the wrong place or price; that is not counted as a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json, Seller
from chalicelib.services.errors import AdministrationError
from chalicelib.services.timetables.documents import child_document, parent_document
from chalicelib.services.timetables.plans import Plan
from chalicelib.services.timetables.recurrence import Occurrence, Span, local_date
from chalicelib.values import dataclass
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
    ROW_TYPES,
    SESSION,
    SITE,
    TERMS,
    RowType,
)
from openbooking.timetable.forms import form_field
from openbooking.timetable.offers import Mismatch, Mismatches, PriceList, check_price, check_terms, price_list
from openbooking.timetable.places import check_site, room_place, site_place
from openbooking.timetable.reading import Problem, Reading, Row, Unread
from openbooking.timetable.series import Setting, check_hours, course_plan, facility_plan, session_plan

# Rows without which another would be published wrongly: the type of the row, its column, and what that refers to.
_PARTS = (
    (FORM, "form", (FORM,)),
    (COURT, "facility", (FACILITY,)),
    (HOURS, "facility", (FACILITY,)),
    (CLOSURE, "at", (SITE, FACILITY)),
)
# Rows that others do not name by their ids, which are unique in their form or facility only.
_WITHOUT_NAMES = (FORM.name, COURT.name)
# Stands for a site that is wrong, while the other columns of a row at it are checked.
_SOMEWHERE: Json = {"@type": "Place", "@id": "https://unknown.example/"}


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

    `dependent` are rows without a problem that are not taken because of others: each says of which.
    `notes` name what is possible and unusual, such as a series that is over.
    """

    plans: tuple[tuple[Row, Plan], ...]
    problems: tuple[Problem, ...]
    dependent: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    rows: int

    @property
    def wrong_rows(self) -> int:
        return len({problem.place for problem in self.problems})


def plan_timetable(reading: Reading, context: Context) -> Planned:
    """Make the plans of all rows that are right."""
    return _Planner(reading, context).planned()


class _Dependent(Exception):
    """What a row refers to is not taken: that is the problem of another row, at `place`."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class _Checks:
    """Checks of one row: in each `with` block one that may fail, so that the next is made all the same."""

    def __init__(self) -> None:
        self.failed: list[Exception] = []

    def __enter__(self) -> None:
        """A check begins."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(
            error, Mismatches | Mismatch | AdministrationError | Unreadable | Unread | _Dependent
        ):
            return False
        self.failed += error.exceptions if isinstance(error, Mismatches) else [error]
        return True


class _Planner:
    def __init__(self, reading: Reading, context: Context) -> None:
        self._reading = reading
        self._context = context
        self._today = local_date(context.now, context.zone)
        self._problems = list(reading.problems)
        self._dependent: list[Problem] = []
        self._notes: list[Problem] = []
        self._plans: list[tuple[Row, Plan]] = []
        # Rows by type and id; and for what is not taken, the place of the problem.
        self._known: dict[tuple[str, str], Row] = {}
        self._lost: dict[tuple[str, str], str] = {}
        for row_id, place in reading.untyped.items():
            for name in ROW_TYPES:
                self._lose(name, row_id, place)
        for rows in reading.rows.values():
            for row in rows:
                if not row.is_right:
                    self._lose_row(row, row.place)
        self._sites: dict[str, Json] = {}
        self._forms: dict[str, list[Json]] = {}

    def planned(self) -> Planned:
        for kind in (SESSION, COURSE, FACILITY, SITE):
            for row in self._reading.rows[kind.name]:
                self._known.setdefault((kind.name, row.id), row)
        self._each(CLOSURE, self._closure)
        self._each(COURT, lambda row, checks: self._check_named(FACILITY, row["facility"], "facility"))
        self._each(HOURS, self._hours)
        self._each(SITE, self._site)
        self._each(ROOM, lambda row, checks: self._check_named(SITE, row["site"], "site"))
        self._each(FORM, self._question)
        self._each(ACCESS, lambda row, checks: None)
        self._each(TERMS, self._terms)
        self._each(PRICE, self._price)
        self._each(SESSION, self._session)
        self._each(COURSE, self._course)
        self._each(FACILITY, self._facility)
        # One row after the other, as people correct them.
        order = {place: number for number, place in enumerate(self._reading.places)}
        return Planned(
            tuple(self._plans),
            tuple(sorted(self._problems, key=lambda problem: order[problem.place])),
            tuple(sorted(self._dependent, key=lambda problem: order[problem.place])),
            tuple(self._notes),
            len(self._reading.places),
        )

    def _each(self, kind: RowType, take: Callable[[Row, _Checks], Plan | None]) -> None:
        """Check all rows of a type, and take those that are right. `take` makes the plan of a row, if it has one."""
        for row in self._reading.rows[kind.name]:
            checks = _Checks()
            plan: Plan | None = None
            with checks:
                plan = take(row, checks)
                if plan is not None and not checks.failed:
                    self._check_plan(row, plan)
            problems = [each for each in checks.failed if not isinstance(each, Unread | _Dependent)]
            on = next((each.place for each in checks.failed if isinstance(each, _Dependent)), None)
            if kind.name not in _WITHOUT_NAMES and row.is_right:
                on = on or self._lost.get((kind.name, row.id))
            for error in problems:
                column = error.column if isinstance(error, Mismatch) else ""
                problem = Problem(row.place, str(error), row.id, column)
                if problem not in self._problems:
                    self._problems.append(problem)
            if not row.is_right:
                continue
            if problems or on:
                self._lose_row(row, row.place if problems else on or "")
                if not problems:
                    self._dependent.append(Problem(row.place, f"it needs {on}", row.id))
                continue
            if kind.name not in _WITHOUT_NAMES:
                self._known[kind.name, row.id] = row
            if plan is not None:
                self._plans.append((row, plan))

    def _lose_row(self, row: Row, place: str) -> None:
        """The row is not taken, because of what is at `place`; neither is a whole of which it is a part."""
        if row.type.name not in _WITHOUT_NAMES and not row.is_second:
            self._lose(row.type.name, row.id, place)
        for part, column, wholes in _PARTS:
            if part is row.type:
                for whole in wholes:
                    self._lose(whole.name, row.values.get(column) or "", place)

    def _lose(self, kind: str, row_id: str, place: str) -> None:
        if row_id:
            self._lost.setdefault((kind, row_id), place)

    # --- each type of row -------------------------------------------------------------------

    def _site(self, row: Row, checks: _Checks) -> None:
        check_site(row)
        self._sites[row.id] = site_place(self._context.seller.id, row)

    def _question(self, row: Row, checks: _Checks) -> None:
        self._known.setdefault((FORM.name, row["form"]), row)
        self._forms.setdefault(row["form"], []).append(form_field(row))

    def _terms(self, row: Row, checks: _Checks) -> None:
        with checks:
            check_terms(row, prepayment_supported=self._context.prepayment_supported)
        for kind in (FORM, ACCESS):
            with checks:
                if row[kind.name] is not None:
                    self._check_named(kind, row[kind.name], kind.name)

    def _price(self, row: Row, checks: _Checks) -> None:
        with checks:
            check_price(row)
        if row["terms"] is not None:
            self._check_named(TERMS, row["terms"], "terms")

    def _hours(self, row: Row, checks: _Checks) -> None:
        with checks:
            check_hours(row)
        self._check_named(FACILITY, row["facility"], "facility")

    def _closure(self, row: Row, checks: _Checks) -> None:
        with checks:
            if (row["until"] or row["from"]) < row["from"]:
                raise Mismatch(f"it ends before it begins, on {row['from']}: exchange the dates", "until")
        at = row["at"]
        named = [kind for kind in (SITE, FACILITY) if (kind.name, at) in self._known]
        if len(named) == 2:
            raise Mismatch(f"{at!r} is a site and a facility: give one of them another id", "at")
        if not named:
            for kind in (SITE, FACILITY):
                self._check_kept(kind, at)
            raise Mismatch(f"there is no site or facility {at!r}: add it, or correct the id", "at")

    def _session(self, row: Row, checks: _Checks) -> Plan:
        site, place = self._place(row, checks)
        with checks:
            self._check_own(row, (FACILITY,))
        return session_plan(row, self._setting(row, site, place, checks), self._today)

    def _course(self, row: Row, checks: _Checks) -> Plan:
        site, place = self._place(row, checks)
        with checks:
            self._check_own(row, (SESSION, FACILITY))
        whole = self._setting(row, site, place, checks)
        singly = None
        with checks:
            if row["session_prices"]:
                singly = self._setting(row, site, place, checks, "session_prices")
        return course_plan(row, whole, singly)

    def _place(self, row: Row, checks: _Checks) -> tuple[Row | None, Json | None]:
        """The site of a session or course, and the Place that it is held in."""
        room, site, place = None, None, None
        with checks:
            if row["room"] is not None:
                place = _SOMEWHERE
                room = self._find(ROOM, row["room"], "room")
        with checks:
            site_id = row["site"] or (room["site"] if room else None)
            if site_id is not None:
                place = _SOMEWHERE
                if room is not None and room["site"] != site_id:
                    raise Mismatch(
                        f"the room is in the site {room['site']!r}: write that, or another room", "room"
                    )
                site = self._find(SITE, site_id, "site")
                place = self._sites[site.id]
                if room is not None:
                    place = room_place(self._context.seller.id, room, place)
        return site, _SOMEWHERE if place is None and row.unread & {"site", "room"} else place

    def _check_own(self, row: Row, others: Sequence[RowType]) -> None:
        """Sessions, courses and facilities share their ids. Raises Mismatch."""
        for kind in others:
            if row.id and (kind.name, row.id) in self._known:
                raise Mismatch(f"a {kind.name} has the id {row.id!r}, too: use another", "id")

    def _facility(self, row: Row, checks: _Checks) -> Plan:
        site = None
        with checks:
            site = self._find(SITE, row["site"], "site")
        courts, hours = (
            # One whose facility cannot be read may be of this one.
            [each for each in self._reading.rows[kind.name] if each.values["facility"] in (row.id, None)]
            for kind in (COURT, HOURS)
        )
        if any("facility" in each.unread for each in hours):
            raise Unread("hours")
        setting = self._setting(row, site, self._sites[site.id] if site else _SOMEWHERE, checks)
        return facility_plan(row, setting, courts, hours, self._today)

    # --- what rows refer to -----------------------------------------------------------------

    def _setting(
        self, row: Row, site: Row | None, place: Json | None, checks: _Checks, column: str = "prices"
    ) -> Setting:
        """What is known of it: a reference that fails is noted, and the other columns are checked without it."""
        sold, access = PriceList(()), None
        with checks:
            sold = self._price_list(row, checks, column)
            access = self._find(ACCESS, sold.access, "terms") if sold.access is not None else None
        return Setting(
            seller=self._context.seller,
            zone=(site.values["time_zone"] if site else None) or self._context.zone,
            place=place,
            prices=sold,
            form=tuple(self._forms.get(sold.form, ())) if sold.form is not None else (),
            access=_channel(access) if access else None,
            closed=self._closed([row.id] if row.type is FACILITY else [], site),
        )

    def _price_list(self, row: Row, checks: _Checks, column: str) -> PriceList:
        """What it is sold at, of all prices that are known."""
        usual, prices = None, []
        with checks:
            usual = self._find(TERMS, row["terms"], "terms") if row["terms"] is not None else None
        for each in row[column]:
            with checks:
                price = self._find(PRICE, each, column)
                prices.append((price, self._find(TERMS, price["terms"], column) if price["terms"] else usual))
        return price_list(prices, column) if prices else PriceList(())

    def _closed(self, ids: Sequence[str], site: Row | None) -> tuple[Span, ...]:
        at = {*ids, *([site.id] if site else [])}
        spans = {
            Span(row["from"], row["until"] or row["from"])
            for row in self._reading.rows[CLOSURE.name]
            if row.is_right and row["at"] in at
        }
        return tuple(sorted(spans, key=lambda span: (span.first, span.last)))

    def _find(self, kind: RowType, row_id: str, column: str) -> Row:
        """The row that is referred to. Raises Mismatch, _Dependent."""
        self._check_named(kind, row_id, column)
        return self._known[kind.name, row_id]

    def _check_named(self, kind: RowType, row_id: str, column: str) -> None:
        self._check_kept(kind, row_id)
        if (kind.name, row_id) not in self._known:
            raise Mismatch(f"there is no {kind.name} {row_id!r}: add a row for it, or correct the id", column)

    def _check_kept(self, kind: RowType, row_id: str) -> None:
        """Raises _Dependent."""
        if place := self._lost.get((kind.name, row_id)):
            raise _Dependent(place)

    # --- the plan ---------------------------------------------------------------------------

    def _check_plan(self, row: Row, plan: Plan) -> None:
        """Whether it can be stored and published. Raises AdministrationError, Unreadable."""
        self._context.check(plan)
        parent_document(plan)
        now = self._context.now
        if plan.units:
            child_document(plan, plan.units[0], Occurrence("check", now, now + timedelta(hours=1)))
        if row.is_right and not plan.is_current_whole(now) and not any(plan.coming(now, plan.horizon(now))):
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
