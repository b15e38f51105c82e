"""The values of cells: from the text in a file to dates, times, amounts and lists.

A reader takes the text of a cell, which is not empty, and returns its value. It raises `Wrong`, whose message says
what is wrong and what to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

from chalicelib.domain.currencies import DECIMAL_PLACES
from chalicelib.services.timetables.recurrence import InvalidRule, Move, zone_of
from chalicelib.values import dataclass
from chalicelib.wire.jsonld import read_amount
from openbooking.timetable.concepts import concept_list

T = TypeVar("T")
Reader = Callable[[str], Any]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_YES = frozenset({"yes", "y", "true", "1"})
_NO = frozenset({"no", "n", "false", "0"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_TIME = re.compile(r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(:00)?\s*(?P<half>[ap]m)?", re.IGNORECASE)
_HOUR = re.compile(r"(?P<hour>\d{1,2})\s*(?P<half>[ap]m)", re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,4})\s*(minute|hour|day|week)s?", re.IGNORECASE)
_ISO_DURATION = re.compile(r"P(?=.)(\d+W|(\d+D)?(T(?=.)(\d+H)?(\d+M)?)?)")
_UNITS = {"minute": ("PT", "M"), "hour": ("PT", "H"), "day": ("P", "D"), "week": ("P", "W")}
# BS 7666: the forms of postcodes in the United Kingdom.
_POSTCODE = re.compile(
    r"(GIR ?0AA|[A-PR-UWYZ]([0-9]{1,2}|[A-HK-Y][0-9]|[A-HK-Y][0-9][0-9ABEHMNPRV-Y]|[0-9][A-HJKPS-UW])"
    r" ?[0-9][ABD-HJLNP-UW-Z]{2})"
)
_COUNTRY = re.compile(r"[A-Z]{2}")
_URL = re.compile(r"https?://[^\s/]+\.[^\s]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

_WORDS_OF_RULES = {
    "daily": "FREQ=DAILY",
    "weekly": "FREQ=WEEKLY",
    "fortnightly": "FREQ=WEEKLY;INTERVAL=2",
    "monthly": "FREQ=MONTHLY",
}


class Wrong(ValueError):
    """A value that cannot be used; the message says what is wrong, and what to write."""


@dataclass(frozen=True)
class Repeat:
    """A recurrence rule without UNTIL, and its UNTIL: a local date, a local time, or an instant."""

    rule: str
    until: date | datetime | None = None


def text(most: int = 500) -> Reader:
    """Text of at most so many characters."""

    def read(cell: str) -> str:
        if len(cell) > most:
            raise Wrong(f"it has {len(cell):,} characters: write at most {most:,}")
        if any(not letter.isprintable() and letter not in "\n\r\t" for letter in cell):
            raise Wrong("it contains a control character: remove it")
        return cell

    return read


def own_id(cell: str) -> str:
    if not _ID.fullmatch(cell):
        raise Wrong(
            f"{cell[:70]!r} is not an id: write up to 60 letters, digits, '-', '_' and '.', without spaces"
        )
    return cell


def list_of(read_one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Values separated by semicolons."""

    def read(cell: str) -> tuple[T, ...]:
        parts = [part.strip() for part in cell.replace("\n", ";").split(";")]
        return tuple(dict.fromkeys(read_one(part) for part in parts if part))

    return read


def choice(values: Mapping[str, T]) -> Callable[[str], T]:
    """One of some words."""

    def read(cell: str) -> T:
        found = values.get(" ".join(cell.casefold().split()))
        if found is None:
            raise Wrong(
                f"{cell[:40]!r} is unknown: write {', '.join(list(values)[:-1])} or {list(values)[-1]}"
            )
        return found

    return read


def yes_or_no(cell: str) -> bool:
    word = cell.casefold()
    if word not in _YES | _NO:
        raise Wrong(f"{cell[:40]!r} is neither yes nor no: write yes or no")
    return word in _YES


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(cell: str) -> int:
        digits = cell.removesuffix(".0")
        if not (digits.isascii() and digits.isdigit()) or not least <= int(digits[:12]) <= most:
            raise Wrong(f"{cell[:40]!r} is not usable: write a whole number from {least:,} to {most:,}")
        return int(digits)

    return read


def degrees(most: int) -> Callable[[str], float]:
    """A latitude or longitude."""

    def read(cell: str) -> float:
        if not re.fullmatch(r"-?\d{1,3}(\.\d{1,12})?", cell) or abs(float(cell)) > most:
            raise Wrong(f"{cell[:40]!r} is not usable: write degrees from -{most} to {most}, such as 51.4412")
        return float(cell)

    return read


_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")


def amount(cell: str) -> Decimal:
    """A price, without its currency. A comma is read where it divides thousands only: 7,50 may be 7.50 or 750."""
    bare = cell.removeprefix("£").strip()
    found = read_amount(bare.replace(",", "") if _THOUSANDS.fullmatch(bare) else bare)
    if found is None or not 0 <= found <= 1_000_000:
        raise Wrong(f"{cell[:40]!r} is not a price: write an amount such as 7.50, or 0 if it is free")
    return found


def currency(cell: str) -> str:
    if cell.upper() not in DECIMAL_PLACES:
        raise Wrong(f"{cell[:40]!r} is not a currency: write its three letters, such as GBP")
    return cell.upper()


def percentage(cell: str) -> Decimal:
    """A tax rate as a fraction; 20%, 20 and 0.2 are the same."""
    found = read_amount(cell.removesuffix("%").strip())
    if found is None or not 0 <= found <= 100:
        raise Wrong(f"{cell[:40]!r} is not a tax rate: write a percentage such as 20%, or 0")
    is_fraction = found < 1 and not cell.endswith("%")
    return (found if is_fraction else found / 100).normalize() + 0


def day(cell: str) -> date:
    """A date: 2026-05-31, or with the day first, 31/05/2026."""
    bare = cell.removesuffix(" 00:00:00").removesuffix(" 00:00")
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            found = datetime.strptime(bare, form).date()  # noqa: DTZ007 - a local date
        except ValueError:
            continue
        if 2000 <= found.year <= 2099:
            return found
    raise Wrong(f"{cell[:40]!r} is not a date: write it as 2026-05-31 or 31/05/2026")


def clock_time(cell: str) -> time:
    """A time of day: 18:30 or 6.30pm."""
    match = _TIME.fullmatch(cell) or _HOUR.fullmatch(cell)
    if match:
        parts = match.groupdict()
        hour, minute, half = (
            int(parts["hour"]),
            int(parts.get("minute") or 0),
            (parts.get("half") or "").lower(),
        )
        fits = 1 <= hour <= 12 if half else hour <= 23
        if fits and minute <= 59:
            return time(hour % 12 + (12 if half == "pm" else 0) if half else hour, minute)
    raise Wrong(f"{cell[:40]!r} is not a time: write it as 18:30")


def closing_time(cell: str) -> time:
    """The same, in which 24:00 is the end of the day."""
    return time(0) if cell in ("24:00", "24:00:00") else clock_time(cell)


def duration(cell: str) -> str:
    """A duration in ISO 8601."""
    if match := _DURATION.fullmatch(cell):
        before, after = _UNITS[match[2].lower()]
        return f"{before}{int(match[1])}{after}"
    if _ISO_DURATION.fullmatch(cell):
        return cell
    raise Wrong(f"{cell[:40]!r} is not a duration: write it as 24 hours, 14 days or 30 minutes")


def seconds_of(iso_duration: str) -> int:
    """The length of a duration that `duration` has read."""
    lengths = {"W": 604_800, "D": 86_400, "H": 3_600, "M": 60}
    return sum(int(count) * lengths[unit] for count, unit in re.findall(r"(\d+)([WDHM])", iso_duration))


def postcode(cell: str) -> str:
    """A postcode as it is written; whether it is one depends on the country."""
    return " ".join(cell.upper().split())


def uk_postcode(cell: str) -> str:
    """A postcode of the United Kingdom, with its space."""
    bare = cell.replace(" ", "")
    if not _POSTCODE.fullmatch(bare):
        raise Wrong(
            f"{cell[:20]!r} is not a postcode of the United Kingdom: write one such as BS4 3QQ, or its country"
        )
    return f"{bare[:-3]} {bare[-3:]}"


def country(cell: str) -> str:
    if not _COUNTRY.fullmatch(cell.upper()):
        raise Wrong(f"{cell[:40]!r} is not a country: write its two letters, such as GB")
    return cell.upper()


def url(cell: str) -> str:
    if not _URL.fullmatch(cell) or len(cell) > 1000:
        raise Wrong(f"{cell[:60]!r} is not a URL: write it with https://")
    return cell


def email(cell: str) -> str:
    if not _EMAIL.fullmatch(cell):
        raise Wrong(f"{cell[:60]!r} is not an email address: write one such as info@example.org")
    return cell


def time_zone(cell: str) -> str:
    try:
        zone_of(cell)
    except InvalidRule as error:
        raise Wrong(f"{error}: write one such as Europe/London") from None
    return cell


def concept(name: str) -> Reader:
    """A label of one of the lists of OpenActive, as the document that feeds show."""

    def read(cell: str) -> Any:
        known = concept_list(name)
        found = known.find(cell)
        if found is None:
            like = known.like(cell)
            meant = (
                f"perhaps {' or '.join(map(repr, like))}"
                if like
                else "`timetable activities WORD` searches it"
            )
            raise Wrong(f"{cell[:60]!r} is not in the {name} of OpenActive: write one of its labels, {meant}")
        return _Frozen(known.document(found))

    return read


def weekdays(cell: str) -> tuple[int, ...]:
    """Weekdays as numbers, Monday is 0: daily, Mon-Fri, or Mon;Wed;Sat."""
    if cell.casefold() in ("daily", "every day", "all"):
        return tuple(range(7))
    found: list[int] = []
    for part in re.split(r"[;,]| and ", cell):
        first, dash, last = (each.strip() for each in part.partition("-"))
        start = _weekday(first, cell)
        end = _weekday(last, cell) if dash else start
        found += [number % 7 for number in range(start, end + 1 if end >= start else end + 8)]
    return tuple(sorted(set(found)))


def repeat(cell: str) -> Repeat:
    """A rule: weekly, weekly on Mon and Wed, or an RRULE of iCalendar. `recurrence.check_rule` checks the latter."""
    words, on, days = cell.casefold().partition(" on ")
    if rule := _WORDS_OF_RULES.get(words.strip()):
        if not on:
            return Repeat(rule)
        if "WEEKLY" not in rule:
            raise Wrong(
                f"{cell[:60]!r} names days: only weekly and fortnightly have days; write an RRULE for others"
            )
        return Repeat(f"{rule};BYDAY={','.join(_DAY_CODES[each] for each in weekdays(days))}")
    rule = cell.upper().removeprefix("RRULE:").replace(" ", "")
    if not rule.startswith("FREQ=") and ";FREQ=" not in rule:
        raise Wrong(
            f"{cell[:60]!r} is not a repetition: write daily, weekly, fortnightly, monthly, weekly on Mon and Wed, "
            "or an RRULE such as FREQ=MONTHLY;BYDAY=1SA"
        )
    kept = [part for part in rule.split(";") if part and not part.startswith("UNTIL=")]
    ends = [part.removeprefix("UNTIL=") for part in rule.split(";") if part.startswith("UNTIL=")]
    return Repeat(";".join(kept), _until(ends[0]) if ends else None)


def move(cell: str) -> Move | tuple[date, date]:
    """A moved date: 2026-12-25 to 2026-12-27 10:00; without a time, the date moves at its usual time."""
    before, to, after = cell.partition(" to ")
    if not to:
        raise Wrong(f"{cell[:60]!r} is not a moved date: write it as 2026-12-25 to 2026-12-27 10:00")
    to_date, _, at = after.strip().partition(" ")
    if at.strip():
        return Move(day(before.strip()), day(to_date), clock_time(at.strip()))
    return day(before.strip()), day(to_date)


class _Frozen(dict[str, Any]):
    """A document that a list of distinct values can contain."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self["@id"])


def _weekday(word: str, cell: str) -> int:
    for number, name in enumerate(DAYS):
        if len(word) >= 2 and name.casefold().startswith(word.casefold()):
            return number
    raise Wrong(f"{cell[:60]!r} are not days: write Mon-Fri, Sat;Sun or daily")


def _until(value: str) -> date | datetime:
    for form in ("%Y%m%d", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S"):
        try:
            found = datetime.strptime(value, form)  # noqa: DTZ007 - a local date, unless it says UTC
        except ValueError:
            continue
        if "T" not in form:
            return found.date()
        return found.replace(tzinfo=UTC) if form.endswith("Z") else found
    raise Wrong(f"its UNTIL {value[:30]!r} is not a date: write it as 20261231")
