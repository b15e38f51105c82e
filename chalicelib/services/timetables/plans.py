"""A plan: one series, course or facility of a Seller's timetable, from which its sessions or slots are made.

Plans are stored, so that the schedule can add sessions and slots as time passes. Everything that they need is in
the plan: published documents, terms and times. The row is an entry of the register, of the kind `timetable`.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import ClassVar

from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.identity.entries import Key, Lasting
from chalicelib.services.seller_ids import seller_part
from chalicelib.services.timetables.due import due_row
from chalicelib.services.timetables.recurrence import (
    Occurrence,
    Opening,
    Recurrence,
    Span,
    instant,
    local_date,
    sessions,
    slots,
)
from chalicelib.storage.pending import PendingWork
from chalicelib.values import dataclass, field

# The longest time ahead for which sessions and slots are published.
MAX_DAYS_AHEAD = 400
# The longest time from the first date of a course to its last one.
MAX_COURSE = timedelta(days=4 * 366)


@dataclass(frozen=True)
class Unit:
    """What a child belongs to: the series, the facility, or one of its courts (`id` is its @id)."""

    id: str
    key: str = ""


@dataclass(frozen=True)
class Whole:
    """What a course is sold at as a whole; the terms of its sessions, if these are sold singly, are those of the plan."""

    spaces: int
    details: tuple[str, ...] = ()
    form: tuple[Json, ...] = ()
    access_channel: Json | None = None
    tax_rates: dict[str, TaxRate] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """One series, course or facility.

    `id` is the Seller's own id. `parent` is the document of the series, course or facility as its feed shows it, `child`
    has the properties that all its sessions or slots have in common, `prices` the Offers of each slot, or of each session
    of a course, without @id. `tax_rates` are by the identifier of an Offer; other Offers have the Seller's. Sessions and
    slots are published `days_ahead`, on dates that are not in `closed`.

    With a `whole` it is a course: published at once with all its sessions, which are part of its document. Its
    sessions are also sold singly if it has `units`.
    """

    seller_id: str
    id: str
    child_type: OpportunityType
    parent: Json
    child: Json
    spaces: int
    zone: str
    days_ahead: int
    recurrence: Recurrence | None = None
    opening: Opening | None = None
    units: tuple[Unit, ...] = ()
    prices: tuple[Json, ...] = ()
    closed: tuple[Span, ...] = ()
    details: tuple[str, ...] = ()
    form: tuple[Json, ...] = ()
    access_channel: Json | None = None
    tax_rates: dict[str, TaxRate] = field(default_factory=dict)
    whole: Whole | None = None

    @property
    def key(self) -> Key:
        return PlanEntry.key_of(self.seller_id, self.id)

    @property
    def parent_id(self) -> str:
        """The @id of the series, course or facility."""
        return str(self.parent["@id"])

    @cached_property
    def programme(self) -> tuple[tuple[str, Occurrence], ...]:
        """All sessions of a course by their dates, those that are over included, each with its @id."""
        if self.whole is None or self.recurrence is None:
            return ()
        first = self.recurrence.first
        within = Span(first, self.recurrence.until or first + MAX_COURSE)
        unit = Unit(self.parent_id)
        return tuple((self.child_id(unit, each), each) for each in self.occurrences(within))

    @cached_property
    def lasts(self) -> Occurrence | None:
        """From the start of the first session of a course to the end of its last one."""
        found = [occurrence for _, occurrence in self.programme]
        if not found:
            return None
        return Occurrence("", min(each.starts_at for each in found), max(each.ends_at for each in found))

    def is_current_whole(self, now: datetime) -> bool:
        """Whether it is a course that is not over."""
        return self.lasts is not None and self.lasts.ends_at > now

    def occurrences(self, within: Span) -> list[Occurrence]:
        """The sessions, or the slots of each court, whose own dates are within a span."""
        if self.recurrence is not None:
            return sessions(self.recurrence, self.zone, within, self.closed)
        return slots(self.opening, self.zone, within, self.closed) if self.opening is not None else []

    def child_id(self, unit: Unit, occurrence: Occurrence) -> str:
        """The @id of a session or slot."""
        parts = [part for part in (unit.key, occurrence.key) if part]
        return f"{own_id(self.child_type, self.seller_id, self.id)}/{'/'.join(parts)}"

    def children(self, within: Span) -> Iterator[tuple[str, Unit, Occurrence]]:
        """All sessions or slots of a span, by date and then by court."""
        for occurrence in self.occurrences(within):
            for unit in self.units:
                yield self.child_id(unit, occurrence), unit, occurrence

    def first_date(self, within: Span) -> date | None:
        """The first date of a span that has sessions or slots."""
        day = within.first
        while day <= within.last:
            month = Span(day, min(day + timedelta(days=30), within.last))
            if found := self.occurrences(month):
                return self.own_date(found[0])
            day = month.last + timedelta(days=1)
        return None

    def own_date(self, occurrence: Occurrence) -> date:
        """The date to which a session or slot belongs, also if it was moved."""
        if self.recurrence is not None:
            return datetime.strptime(occurrence.key, "%Y%m%d").date()  # noqa: DTZ007 - a local date
        return local_date(occurrence.starts_at, self.zone)

    def coming(self, now: datetime, until: date) -> Iterator[tuple[str, Unit, Occurrence]]:
        """The children up to a date that are not over yet, those that were moved to a later date included."""
        first = local_date(now, self.zone) - timedelta(days=1)
        moved = self.recurrence.moved if self.recurrence else ()
        first = min([first, *(move.on for move in moved if move.to >= first)])
        return (child for child in self.children(Span(first, until)) if child[2].ends_at > now)

    def horizon(self, now: datetime) -> date:
        """The last date up to which sessions and slots are to be published: for a course that of its last session."""
        today = local_date(now, self.zone)
        if self.whole is not None:
            return max([today, *(self.own_date(each) for _, each in self.programme)])
        return today + timedelta(days=self.days_ahead)


@dataclass(frozen=True)
class PlanEntry(Lasting):
    """A plan as stored, with what of it is published.

    Up to `published_until` its sessions or slots have been published; up to `extending_to` the schedule is publishing
    them. While it is being applied,
    `finished` is false, and `before` has the plans that it replaces: their sessions and slots are withdrawn where
    it has none. `kept` are the ids of booked ones that it no longer has. `removed`: the timetable no longer has
    this row; the entry stays until nothing of it is booked.
    """

    KIND: ClassVar[str] = "timetable"

    plan: Plan
    published_until: date
    extending_to: date | None = None
    due: datetime | None = None
    finished: bool = False
    before: tuple[Plan, ...] = ()
    kept: tuple[str, ...] = ()
    removed: bool = False

    @classmethod
    def key_of(cls, seller_id: str, plan_id: str) -> Key:
        return f"{cls.KIND}#{seller_id}", plan_id

    @property
    def key(self) -> Key:
        return self.plan.key

    @property
    def reached(self) -> date:
        """The last date for which anything can have been published."""
        return max(self.published_until, self.extending_to or self.published_until)

    @property
    def due_row(self) -> PendingWork | None:
        return None if self.due is None else due_row(self.plan.seller_id, self.plan.id, self.due)


def own_id(kind: OpportunityType, seller_id: str, plan_id: str) -> str:
    """The @id of the series, course or facility with the Seller's own id, or the beginning of those of its children."""
    return f"{IDENTIFIERS}/{kind.traits.feed}/{seller_part(seller_id)}/{plan_id}"


def place_id(seller_id: str, site_id: str) -> str:
    """The @id of a site."""
    return f"{IDENTIFIERS}/places/{seller_part(seller_id)}/{site_id}"


def next_due(plan: Plan, published_until: date) -> datetime | None:
    """When the first session or slot after `published_until` comes within the horizon; None if there is none."""
    if plan.whole is not None:
        return None
    ahead = Span(published_until + timedelta(days=1), published_until + timedelta(days=MAX_DAYS_AHEAD))
    coming = plan.first_date(ahead)
    if coming is None:
        if not _may_continue(plan, ahead.last):
            return None
        coming = ahead.last  # nothing for more than a year: look again then
    return instant(coming - timedelta(days=plan.days_ahead), time(0), plan.zone)


def _may_continue(plan: Plan, after: date) -> bool:
    recurrence = plan.recurrence
    if recurrence is None:
        return plan.opening is not None and plan.opening.within.last > after
    starts_later = recurrence.first > after
    return starts_later or (bool(recurrence.rule) and (recurrence.until is None or recurrence.until > after))
