"""The columns of a timetable: for each type of row its columns, what each means, and how it is read.

One table: files are read by it, the template is written from it, and docs/timetables.md lists it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.offers import Prepayment
from chalicelib.values import dataclass
from openbooking.timetable import values
from openbooking.timetable.concepts import ACTIVITIES, FACILITY_TYPES
from openbooking.timetable.values import Reader

GENDERS = {"any": "NoRestriction", "female": "FemaleOnly", "male": "MaleOnly"}
WHERE = {"no": "Offline", "yes": "Online", "both": "Mixed"}
DETAILS = {
    "given name": "givenName",
    "family name": "familyName",
    "email": "email",
    "telephone": "telephone",
    "date of birth": "birthDate",
    "gender": "gender",
    "address": "address",
}
ANSWERS = {
    "short text": "ShortAnswerFormFieldSpecification",
    "long text": "ParagraphFormFieldSpecification",
    "one of": "DropdownFormFieldSpecification",
    "yes or no": "BooleanFormFieldSpecification",
}
PREPAYMENTS = {member.value.lower(): member for member in Prepayment}


# Weeks for which a series is published: at most, and by default if it has no end.
MAX_WEEKS = 56
OPEN_ENDED_WEEKS = 8
# A place in a course takes spaces of these and of itself (decision 26).
MAX_SOLD_SINGLY = MAX_OPPORTUNITIES - 1


@dataclass(frozen=True)
class Column:
    """One column of a type of row. `default` is its value if the cell is empty and not required."""

    name: str
    read: Reader
    about: str
    example: str = ""
    required: bool = False
    default: Any = None


@dataclass(frozen=True)
class RowType:
    """A type of row. `unique` are the columns that no two rows of the type may have in common."""

    name: str
    plural: str
    about: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...] = ("id",)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def _needed(name: str, read: Reader, about: str, example: str = "") -> Column:
    return Column(name, read, about, example, required=True)


_OWN_ID = "Your own id, which stays the same when the row changes."
_IDS = values.list_of(values.own_id)
_DATES = values.list_of(values.day)
_AGE = values.number(0, 120)

_PRICES = _needed("prices", _IDS, "The ids of its prices, separated by semicolons.", "adult; junior")
_TERMS = Column("terms", values.own_id, "The id of the terms of those prices that name none.", "standard")
_AHEAD = Column(
    "weeks_ahead",
    values.number(1, MAX_WEEKS),
    "For how many weeks ahead it is published, 1 to 56; the schedule adds what comes next. By default 8 weeks, or 56 if "
    "it has an end.",
    "8",
)
_URL = Column("url", values.url, "Its page on your website.", "https://avonmead.example/yoga")
_DESCRIPTION = Column("description", values.text(5000), "A description for customers.")

SITE = RowType(
    "site",
    "sites",
    "A place at which sessions and facilities are.",
    (
        _needed("id", values.own_id, _OWN_ID, "centre"),
        _needed("name", values.text(200), "Its name.", "Avonmead Leisure Centre"),
        _needed("street", values.text(200), "Number and street.", "12 Meadow Lane"),
        _needed("locality", values.text(100), "Town or city.", "Bristol"),
        Column("region", values.text(100), "County or region.", "Avon"),
        _needed("postcode", values.postcode, "Postcode; checked if the country is GB.", "BS4 3QQ"),
        Column("country", values.country, "Country, by default GB.", "GB", default="GB"),
        Column("latitude", values.degrees(90), "Latitude, with the longitude.", "51.4412"),
        Column("longitude", values.degrees(180), "Longitude, with the latitude.", "-2.5697"),
        Column("telephone", values.text(40), "Telephone number.", "0117 496 0142"),
        Column("email", values.email, "Email address."),
        _URL,
        _DESCRIPTION,
        Column(
            "amenities",
            values.list_of(values.text(80)),
            "Amenities, separated by semicolons.",
            "Parking; Showers",
        ),
        Column(
            "time_zone", values.time_zone, "Its time zone, by default that of the import.", "Europe/London"
        ),
    ),
)
ROOM = RowType(
    "room",
    "rooms",
    "A room of a site.",
    (
        _needed("id", values.own_id, _OWN_ID, "studio-1"),
        _needed("site", values.own_id, "The id of its site.", "centre"),
        _needed("name", values.text(200), "Its name.", "Studio 1"),
        _DESCRIPTION,
    ),
)
FORM = RowType(
    "form",
    "forms",
    "A question that is asked with a booking. The rows with the same form are one form.",
    (
        _needed("form", values.own_id, "The id of the form.", "health"),
        _needed("id", values.own_id, "Your own id of the question.", "injuries"),
        _needed("question", values.text(300), "The question.", "Do you have any injuries?"),
        Column("help", values.text(500), "An explanation below it."),
        Column(
            "answer",
            values.choice(ANSWERS),
            f"Kind of answer: {', '.join(ANSWERS)}; by default short text.",
            "long text",
            default=ANSWERS["short text"],
        ),
        Column(
            "options",
            values.list_of(values.text(200)),
            "The possible answers, for `one of`.",
            "Beginner; Advanced",
        ),
        Column(
            "required", values.yes_or_no, "Whether an answer is required, by default no.", "no", default=False
        ),
    ),
    unique=("form", "id"),
)
ACCESS = RowType(
    "access",
    "access",
    "An online channel, shown to those who have booked.",
    (
        _needed("id", values.own_id, _OWN_ID, "video"),
        _needed("name", values.text(200), "Its name.", "Video call"),
        _needed("url", values.url, "The URL to open.", "https://video.example/avonmead"),
        Column("description", values.text(400), "How to use it.", "Opens ten minutes before the start."),
    ),
)
TERMS = RowType(
    "terms",
    "terms",
    "Reusable terms of a booking.",
    (
        _needed("id", values.own_id, _OWN_ID, "standard"),
        Column(
            "prepayment",
            values.choice(PREPAYMENTS),
            "Payment through the Broker: required (the default), optional or unavailable.",
            "required",
        ),
        Column("opens", values.duration, "How long before the start booking opens.", "14 days"),
        Column("closes", values.duration, "How long before the start booking closes.", "30 minutes"),
        Column(
            "refund",
            values.yes_or_no,
            "Whether customers may cancel for a full refund, by default no.",
            "yes",
            default=False,
        ),
        Column("refund_until", values.duration, "Until how long before the start they may.", "24 hours"),
        Column(
            "approval",
            values.yes_or_no,
            "Whether you approve each booking, by default no.",
            "no",
            default=False,
        ),
        Column(
            "messages",
            values.yes_or_no,
            "Whether customers may write you a note with what they ask for, by default no. Needs approval.",
            "no",
            default=False,
        ),
        Column(
            "negotiation",
            values.yes_or_no,
            "Whether you may propose another session or price instead, by default no. Needs approval.",
            "no",
            default=False,
        ),
        Column(
            "details",
            values.list_of(values.choice(DETAILS)),
            f"Details of each attendee that are required: {', '.join(DETAILS)}.",
            "given name; family name",
            default=(),
        ),
        Column("form", values.own_id, "The id of the form that is asked.", "health"),
        Column("access", values.own_id, "The id of the online channel.", ""),
    ),
)
PRICE = RowType(
    "price",
    "prices",
    "A reusable price.",
    (
        _needed("id", values.own_id, _OWN_ID, "adult"),
        _needed("name", values.text(200), "Its name.", "Adult"),
        _needed("amount", values.amount, "The price, 0 if it is free.", "7.50"),
        Column("currency", values.currency, "Its currency, by default GBP.", "GBP", default="GBP"),
        Column("vat", values.percentage, "Its tax rate, by default that of the Seller.", ""),
        Column("terms", values.own_id, "The id of its terms, by default those of the session.", ""),
        Column("min_age", _AGE, "The least age it is for."),
        Column("max_age", _AGE, "The greatest age it is for."),
        Column("description", values.text(1000), "A description for customers."),
    ),
)
_WHAT = (
    _needed("id", values.own_id, _OWN_ID, "yoga-mon"),
    _needed("name", values.text(200), "Its name.", "Vinyasa Flow Yoga"),
    _needed(
        "activity",
        values.list_of(values.concept(ACTIVITIES)),
        "Labels of the OpenActive activity list, separated by semicolons; `timetable activities` lists them.",
        "Yoga",
    ),
    Column("site", values.own_id, "The id of its site; not needed online.", "centre"),
    Column("room", values.own_id, "The id of its room.", "studio-1"),
    Column("online", values.choice(WHERE), "yes, no (the default), or both.", "no", default=WHERE["no"]),
)
_START = (
    _needed("start_date", values.day, "The first date: 2026-05-31 or 31/05/2026.", "2026-01-05"),
    _needed("time", values.clock_time, "The time of the start, where it takes place.", "18:30"),
    _needed("minutes", values.number(5, 60 * 24 * 7), "How many minutes it lasts.", "60"),
    Column(
        "repeat",
        values.repeat,
        "daily, weekly, fortnightly, monthly, weekly on Mon and Wed, or an RRULE of iCalendar. Empty: it takes place "
        "once. The first session is the first date on or after the start that fits.",
        "weekly",
    ),
)
_EXCEPTIONS = (
    Column(
        "except",
        _DATES,
        "Dates on which it does not take place, separated by semicolons.",
        "2026-05-04",
        default=(),
    ),
    Column(
        "moved",
        values.list_of(values.move),
        "Dates that move, separated by semicolons: the date, ` to `, the new date and the new time.",
        "2026-04-06 to 2026-04-07 10:00",
        default=(),
    ),
)
_SPACES = _needed("spaces", values.number(1, 100_000), "How many can take part.", "16")
_ABOUT = (
    _DESCRIPTION,
    Column("leader", values.text(200), "Who leads it.", "Priya Nair"),
    Column("level", values.list_of(values.text(100)), "Levels, separated by semicolons.", "All levels"),
    Column("min_age", _AGE, "The least age."),
    Column("max_age", _AGE, "The greatest age."),
    Column(
        "gender",
        values.choice(GENDERS),
        "any (the default), female or male.",
        "any",
        default=GENDERS["any"],
    ),
    Column("instructions", values.text(2000), "What attendees need to know.", "Bring a mat."),
    _URL,
    Column("image", values.url, "The URL of an image."),
)

SESSION = RowType(
    "session",
    "sessions",
    "A session that takes place once, or a series of sessions that repeats.",
    (
        *_WHAT,
        *_START,
        Column("until", values.day, "The last date. Empty: it goes without an end.", "2026-12-28"),
        *_EXCEPTIONS,
        _AHEAD,
        _SPACES,
        _PRICES,
        _TERMS,
        *_ABOUT,
    ),
)
COURSE = RowType(
    "course",
    "courses",
    "A course that is booked as a whole: a place in it is a place in each of its sessions. It needs an end.",
    (
        *_WHAT,
        *_START,
        Column("until", values.day, "The last date, unless the rule has a COUNT.", "2026-02-09"),
        *_EXCEPTIONS,
        _SPACES,
        _PRICES,
        _TERMS,
        Column(
            "session_prices",
            _IDS,
            "The ids of the prices of a single session. Empty: sessions are not sold singly. A course has at most "
            f"{MAX_SOLD_SINGLY} sessions that are.",
            "adult",
            default=(),
        ),
        Column(
            "session_spaces",
            values.number(1, 100_000),
            "How many can take part in a session that is sold singly, those on the course included; by default as many "
            "as in the course.",
            "16",
        ),
        *_ABOUT,
    ),
)
FACILITY = RowType(
    "facility",
    "facilities",
    "A facility to hire in slots. Its opening hours are rows of the type hours.",
    (
        _needed("id", values.own_id, _OWN_ID, "badminton"),
        _needed("name", values.text(200), "Its name.", "Badminton"),
        _needed(
            "facility_type",
            values.list_of(values.concept(FACILITY_TYPES)),
            "Labels of the OpenActive facility types; `timetable activities --facilities` lists them.",
            "Badminton Court",
        ),
        _needed("site", values.own_id, "The id of its site.", "centre"),
        _needed("slot_minutes", values.number(5, 60 * 24), "How many minutes a slot lasts.", "60"),
        Column(
            "spaces",
            values.number(1, 10_000),
            "How many can book a slot, or a court of it; by default 1.",
            "1",
            default=1,
        ),
        Column("from", values.day, "The first date.", ""),
        Column("until", values.day, "The last date.", ""),
        _AHEAD,
        _PRICES,
        _TERMS,
        _DESCRIPTION,
        _URL,
        Column("image", values.url, "The URL of an image."),
    ),
)
COURT = RowType(
    "court",
    "courts",
    "A court, lane or table of a facility: each has its own slots.",
    (
        _needed("id", values.own_id, _OWN_ID, "1"),
        _needed("facility", values.own_id, "The id of its facility.", "badminton"),
        _needed("name", values.text(200), "Its name.", "Court 1"),
    ),
    unique=("facility", "id"),
)
HOURS = RowType(
    "hours",
    "hours",
    "When a facility is open.",
    (
        _needed("facility", values.own_id, "The id of the facility.", "badminton"),
        _needed("days", values.weekdays, "Days: Mon-Fri, Sat;Sun or daily.", "Mon-Fri"),
        _needed("opens", values.clock_time, "The time at which it opens.", "07:00"),
        _needed(
            "closes",
            values.closing_time,
            "The time at which it closes; 24:00 for the end of the day. An earlier time than it opens is on the next day.",
            "22:00",
        ),
        Column("from", values.day, "The first date on which these hours apply."),
        Column("until", values.day, "The last date on which they apply."),
    ),
    unique=(),
)
CLOSURE = RowType(
    "closure",
    "closures",
    "Dates on which a site or a facility is closed: no sessions or slots.",
    (
        _needed("at", values.own_id, "The id of the site or of the facility.", "centre"),
        _needed("from", values.day, "The first date.", "2026-12-25"),
        Column("until", values.day, "The last date, by default the first.", "2026-12-26"),
        Column("reason", values.text(200), "For yourself.", "Christmas"),
    ),
    unique=(),
)

# In the order of docs and templates: what is referred to comes first.
ROW_TYPES: Mapping[str, RowType] = MappingProxyType(
    {
        each.name: each
        for each in (SITE, ROOM, FORM, ACCESS, TERMS, PRICE, SESSION, COURSE, FACILITY, COURT, HOURS, CLOSURE)
    }
)
TYPE_COLUMN = "type"


def row_type(word: str) -> RowType | None:
    """The type with this name, in the singular or plural."""
    plain = word.strip().casefold()
    return next((each for each in ROW_TYPES.values() if plain in (each.name, each.plural)), None)
