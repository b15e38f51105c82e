"""When the sessions of a series and the slots of a facility take place, in the time zone of the operator.

The one module that uses `dateutil`, for the recurrence rules of iCalendar (RFC 5545). A rule is expanded in
local time and each occurrence is converted to UTC, so that a class at 18:30 stays at 18:30 when the clocks change.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr

from chalicelib.values import dataclass

MIDNIGHT = time(0)
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_PARTS = frozenset(
    {
        "FREQ",
        "INTERVAL",
        "COUNT",
        "BYDAY",
        "BYMONTHDAY",
        "BYMONTH",
        "BYSETPOS",
        "BYYEARDAY",
        "BYWEEKNO",
        "WKST",
    }
)


class InvalidRule(ValueError):
    """The recurrence rule or the time zone cannot be used; the message gives the reason."""


@dataclass(frozen=True)
class Span:
    """Local dates from `first` to `last`, both included."""

    first: date
    last: date

    def has(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Move:
    """The occurrence of the date `on` takes place at another local date and time."""

    on: date
    to: date
    at: time


@dataclass(frozen=True)
class Recurrence:
    """A series of sessions of `minutes` each.

    `rule` is an RRULE without UNTIL and times of day; it is empty for a session that takes place once. `until` is
    the last date. Occurrences on `not_on` are left out. A move overrides both, and `closed` dates of the place.
    """

    first: date
    at: time
    minutes: int
    rule: str = ""
    until: date | None = None
    not_on: tuple[date, ...] = ()
    moved: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Hours:
    """Open from `opens` to `closes` on some weekdays (0 is Monday), on dates within `within`.

    If `closes` is not later than `opens`, it is on the next day; 00:00 is the end of the day.
    """

    days: tuple[int, ...]
    opens: time
    closes: time
    within: Span | None = None


@dataclass(frozen=True)
class Opening:
    """The slots of a facility: `minutes` long, one after another through its opening hours."""

    hours: tuple[Hours, ...]
    minutes: int
    within: Span


@dataclass(frozen=True)
class Occurrence:
    """One session or slot. `key` identifies it within its series or court, also after a change of its time."""

    key: str
    starts_at: datetime
    ends_at: datetime


def check_rule(rule: str) -> None:
    """Raises InvalidRule if a rule cannot be used for a series. An empty one can: it takes place once."""
    if not rule:
        return
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name in parts:
            raise InvalidRule(f"{part!r} in it is not a single NAME=VALUE")
        parts[name] = value
    if unknown := sorted(set(parts) - _PARTS):
        raise InvalidRule(f"{unknown[0]} cannot be used in it")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidRule("its FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not (
            parts[name].isascii() and parts[name].isdigit() and 0 < int(parts[name]) < 10_000
        ):
            raise InvalidRule(f"its {name} must be a number from 1 to 9999")
    try:
        rrulestr(rule, dtstart=datetime(2000, 1, 1))  # noqa: DTZ001 - rules are expanded in local time
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InvalidRule(f"it is not a recurrence rule of iCalendar ({error})") from None


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone, such as Europe/London. Raises InvalidRule."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRule(f"{name!r} is not a time zone") from None


def instant(day: date, at: time, zone: str) -> datetime:
    """A local date and time in UTC.

    A time that exists twice is the first of the two; one that does not exist, as the clocks go forward, is as much
    later as they go forward (RFC 5545, 3.3.5).
    """
    return datetime.combine(day, at, tzinfo=zone_of(zone)).astimezone(UTC)


def exists(day: date, at: time, zone: str) -> bool:
    """Whether the clocks show this time on this date."""
    there = instant(day, at, zone).astimezone(zone_of(zone))
    return (there.date(), there.time()) == (day, at)


def local_date(moment: datetime, zone: str) -> date:
    return moment.astimezone(zone_of(zone)).date()


def dates_of(recurrence: Recurrence, within: Span) -> list[date]:
    """The dates of the rule within a span; exceptions and moves are not applied."""
    last = min(within.last, recurrence.until or within.last)
    if not recurrence.rule:
        return [recurrence.first] if within.first <= recurrence.first <= last else []
    if last < recurrence.first:
        return []
    # dateutil looks for a next occurrence until the year 9999 unless the rule has an end.
    start, end = _naive(recurrence.first), _naive(last)
    text = (
        f"{recurrence.rule};UNTIL={end:%Y%m%dT%H%M%S}" if "COUNT=" not in recurrence.rule else recurrence.rule
    )
    rule = rrulestr(text, dtstart=start)
    return [found.date() for found in rule.between(max(start, _naive(within.first)), end, inc=True)]


def sessions(
    recurrence: Recurrence, zone: str, within: Span, closed: Sequence[Span] = ()
) -> list[Occurrence]:
    """The sessions whose dates by the rule are within a span, by date. A moved one keeps the key of its date."""
    moved = {move.on: move for move in recurrence.moved}
    lasts = timedelta(minutes=recurrence.minutes)
    found = []
    for day in dates_of(recurrence, within):
        move = moved.get(day)
        if move is None and (day in recurrence.not_on or any(span.has(day) for span in closed)):
            continue
        starts_at = instant(move.to, move.at, zone) if move else instant(day, recurrence.at, zone)
        found.append(Occurrence(f"{day:%Y%m%d}", starts_at, starts_at + lasts))
    return found


def slots(opening: Opening, zone: str, within: Span, closed: Sequence[Span] = ()) -> list[Occurrence]:
    """The slots of one court on the dates of a span; a slot belongs to the date on which its place opens.

    On the day on which the clocks go back, a place that is open all night has an hour more of them.
    """
    lasts = timedelta(minutes=opening.minutes)
    found: dict[str, Occurrence] = {}
    for day in _days(max(within.first, opening.within.first), min(within.last, opening.within.last)):
        if any(span.has(day) for span in closed):
            continue
        for hours in opening.hours:
            if day.weekday() not in hours.days or (hours.within and not hours.within.has(day)):
                continue
            closes_on = day + timedelta(days=1) if hours.closes <= hours.opens else day
            starts_at, closes_at = instant(day, hours.opens, zone), instant(closes_on, hours.closes, zone)
            while starts_at + lasts <= closes_at:
                key = f"{starts_at:%Y%m%dT%H%MZ}"
                found.setdefault(key, Occurrence(key, starts_at, starts_at + lasts))
                starts_at += lasts
    return sorted(found.values(), key=lambda slot: slot.starts_at)


def overlapping(found: Sequence[Occurrence]) -> tuple[Occurrence, Occurrence] | None:
    """Two slots of one court at the same time, if there are any; `found` is in the order of starts."""
    for earlier, later in pairwise(found):
        if later.starts_at < earlier.ends_at:
            return earlier, later
    return None


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _naive(day: date) -> datetime:
    return datetime.combine(day, MIDNIGHT)
