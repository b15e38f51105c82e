"""Cells as people write them: what each means, and what is said of those that cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.services.timetables.recurrence import Move
from openbooking.timetable import values
from openbooking.timetable.values import Repeat, Wrong


@pytest.mark.parametrize(
    ("read", "cell", "value"),
    [
        (values.day, "2026-05-31", date(2026, 5, 31)),
        (values.day, "31/05/2026", date(2026, 5, 31)),
        (values.day, "2026-05-31 00:00:00", date(2026, 5, 31)),
        (values.clock_time, "18:30", time(18, 30)),
        (values.clock_time, "9:05", time(9, 5)),
        (values.clock_time, "18:30:00", time(18, 30)),
        (values.clock_time, "6.30pm", time(18, 30)),
        (values.clock_time, "12:15 am", time(0, 15)),
        (values.clock_time, "12pm", time(12)),
        (values.closing_time, "24:00", time(0)),
        (values.duration, "14 days", "P14D"),
        (values.duration, "1 hour", "PT1H"),
        (values.duration, "30 minutes", "PT30M"),
        (values.duration, "2 weeks", "P2W"),
        (values.duration, "P1DT12H", "P1DT12H"),
        (values.amount, "7.50", Decimal("7.50")),
        (values.amount, "£1,200", Decimal(1200)),
        (values.amount, "1,200.50", Decimal("1200.50")),
        (values.amount, "0", Decimal(0)),
        (values.percentage, "20%", Decimal("0.2")),
        (values.percentage, "20", Decimal("0.2")),
        (values.percentage, "0.2", Decimal("0.2")),
        (values.percentage, "0.5%", Decimal("0.005")),
        (values.percentage, "0", Decimal(0)),
        (values.yes_or_no, "Yes", True),
        (values.yes_or_no, "0", False),
        (values.number(1, 100), "16", 16),
        (values.number(1, 100), "16.0", 16),
        (values.degrees(90), "-2.5697", -2.5697),
        (values.currency, "gbp", "GBP"),
        (values.country, "gb", "GB"),
        (values.uk_postcode, "BS43QQ", "BS4 3QQ"),
        (values.uk_postcode, "EC1A 1BB", "EC1A 1BB"),
        (values.list_of(values.own_id), "adult; junior ;adult", ("adult", "junior")),
        (values.weekdays, "Mon-Fri", (0, 1, 2, 3, 4)),
        (values.weekdays, "Sat;Sun", (5, 6)),
        (values.weekdays, "Fri-Mon", (0, 4, 5, 6)),
        (values.weekdays, "monday, WED and su", (0, 2, 6)),
        (values.weekdays, "daily", (0, 1, 2, 3, 4, 5, 6)),
        (values.repeat, "weekly", Repeat("FREQ=WEEKLY")),
        (values.repeat, "Weekly on Mon and Wed", Repeat("FREQ=WEEKLY;BYDAY=MO,WE")),
        (values.repeat, "fortnightly on Sat", Repeat("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA")),
        (values.repeat, "RRULE:freq=monthly;byday=1sa", Repeat("FREQ=MONTHLY;BYDAY=1SA")),
        (values.repeat, "FREQ=DAILY;UNTIL=20261231", Repeat("FREQ=DAILY", date(2026, 12, 31))),
        (
            values.repeat,
            "FREQ=DAILY;UNTIL=20261231T180000Z",
            Repeat("FREQ=DAILY", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ),
        (
            values.move,
            "2026-12-25 to 2026-12-27 10:00",
            Move(date(2026, 12, 25), date(2026, 12, 27), time(10)),
        ),
        (values.move, "25/12/2026 to 27/12/2026", (date(2026, 12, 25), date(2026, 12, 27))),
        (values.time_zone, "Europe/London", "Europe/London"),
        (values.url, "https://example.org/x", "https://example.org/x"),
        (values.email, "info@example.org", "info@example.org"),
    ],
)
def test_a_cell_is_read(read: Any, cell: str, value: Any) -> None:
    assert read(cell) == value


@pytest.mark.parametrize(
    ("read", "cell", "todo"),
    [
        (values.day, "31.05.2026", "write it as 2026-05-31 or 31/05/2026"),
        (values.day, "2026-02-30", "write it as 2026-05-31"),
        (values.day, "0026-05-31", "write it as"),
        (values.clock_time, "25:00", "write it as 18:30"),
        (values.clock_time, "13pm", "write it as 18:30"),
        (values.clock_time, "18", "write it as 18:30"),
        (values.clock_time, "18:75", "write it as 18:30"),
        (values.duration, "14", "write it as 24 hours"),
        (values.duration, "P", "write it as 24 hours"),
        (values.duration, "PT", "write it as 24 hours"),
        (values.duration, "P1M", "write it as 24 hours"),
        (values.amount, "free", "write an amount such as 7.50, or 0"),
        (values.amount, "-1", "write an amount"),
        (values.amount, "7,50", "'7,50' is not a price: write an amount such as 7.50"),
        (values.amount, "1.234,50", "'1.234,50' is not a price"),
        (values.amount, "12,34,567", "write an amount"),
        (values.amount, "1e3", "write an amount"),
        (values.percentage, "120%", "write a percentage"),
        (values.percentage, "VAT", "write a percentage"),
        (values.yes_or_no, "maybe", "write yes or no"),
        (values.number(1, 100), "0", "write a whole number from 1 to 100"),
        (values.number(1, 100), "2.5", "write a whole number"),
        (values.number(1, 100), "²", "write a whole number"),
        (values.degrees(90), "91", "write degrees from -90 to 90"),
        (values.currency, "POUND", "write its three letters"),
        (values.country, "United Kingdom", "write its two letters"),
        (values.uk_postcode, "12345", "write one such as BS4 3QQ, or its country"),
        (values.own_id, "yoga mon", "write up to 60 letters"),
        (values.own_id, "-x", "write up to 60 letters"),
        (values.own_id, "a" * 61, "write up to 60 letters"),
        (values.weekdays, "Mon-Foo", "write Mon-Fri, Sat;Sun or daily"),
        (values.weekdays, "M", "write Mon-Fri"),
        (values.repeat, "every week", "write daily, weekly"),
        (values.repeat, "monthly on Mon", "only weekly and fortnightly have days"),
        (values.repeat, "FREQ=DAILY;UNTIL=tomorrow", "write it as 20261231"),
        (values.move, "2026-12-25", "write it as 2026-12-25 to 2026-12-27 10:00"),
        (values.time_zone, "London", "write one such as Europe/London"),
        (values.url, "www.example.org", "write it with https://"),
        (values.email, "info", "write one such as info@example.org"),
        (values.text(5), "abcdef", "write at most 5"),
        (values.text(50), "a\x00b", "remove it"),
        (values.choice({"yes": 1, "no": 2, "both": 3}), "x", "write yes, no or both"),
        (values.concept("activity-list"), "Yogaa", "perhaps 'Yoga'"),
        (values.concept("activity-list"), "qqqq", "`timetable activities WORD` searches it"),
    ],
)
def test_a_cell_that_cannot_be_used_says_what_to_write(read: Any, cell: str, todo: str) -> None:
    with pytest.raises(Wrong) as wrong:
        read(cell)
    assert todo in str(wrong.value)
    assert ": " in str(wrong.value)  # what is wrong, and what to do


def test_durations_have_lengths() -> None:
    assert [values.seconds_of(each) for each in ("PT30M", "P1D", "P2W", "P1DT12H")] == [
        1800,
        86_400,
        1_209_600,
        129_600,
    ]


def test_an_activity_is_found_by_its_label_or_its_id() -> None:
    yoga = values.concept("activity-list")("YOGA")
    assert yoga["@id"] == "https://openactive.io/activity-list#bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e"
    assert values.concept("activity-list")(yoga["@id"]) == yoga
