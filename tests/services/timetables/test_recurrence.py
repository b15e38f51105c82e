"""Recurrence against a table worked out by hand, and against an expansion that shares nothing with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    sessions,
    slots,
    zone_of,
)

LONDON = "Europe/London"
YEAR = Span(date(2026, 1, 1), date(2026, 12, 31))

# Mondays at 18:30 in London. The clocks go forward on 29 March and back on 25 October 2026. 4 May and 31 August are
# bank holidays without a class; that of 6 April (Easter Monday) moves to Tuesday at 10:00.
MONDAYS_BY_HAND = [
    "2026-01-05T18:30Z",
    "2026-01-12T18:30Z",
    "2026-01-19T18:30Z",
    "2026-01-26T18:30Z",
    "2026-02-02T18:30Z",
    "2026-02-09T18:30Z",
    "2026-02-16T18:30Z",
    "2026-02-23T18:30Z",
    "2026-03-02T18:30Z",
    "2026-03-09T18:30Z",
    "2026-03-16T18:30Z",
    "2026-03-23T18:30Z",
    "2026-03-30T17:30Z",
    "2026-04-07T09:00Z",
    "2026-04-13T17:30Z",
    "2026-04-20T17:30Z",
    "2026-04-27T17:30Z",
    "2026-05-11T17:30Z",
    "2026-05-18T17:30Z",
    "2026-05-25T17:30Z",
    "2026-06-01T17:30Z",
    "2026-06-08T17:30Z",
    "2026-06-15T17:30Z",
    "2026-06-22T17:30Z",
    "2026-06-29T17:30Z",
    "2026-07-06T17:30Z",
    "2026-07-13T17:30Z",
    "2026-07-20T17:30Z",
    "2026-07-27T17:30Z",
    "2026-08-03T17:30Z",
    "2026-08-10T17:30Z",
    "2026-08-17T17:30Z",
    "2026-08-24T17:30Z",
    "2026-09-07T17:30Z",
    "2026-09-14T17:30Z",
    "2026-09-21T17:30Z",
    "2026-09-28T17:30Z",
    "2026-10-05T17:30Z",
    "2026-10-12T17:30Z",
    "2026-10-19T17:30Z",
    "2026-10-26T18:30Z",
    "2026-11-02T18:30Z",
    "2026-11-09T18:30Z",
    "2026-11-16T18:30Z",
    "2026-11-23T18:30Z",
    "2026-11-30T18:30Z",
    "2026-12-07T18:30Z",
    "2026-12-14T18:30Z",
    "2026-12-21T18:30Z",
]


def shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def test_a_weekly_series_over_a_year_equals_the_table_worked_out_by_hand() -> None:
    yoga = Recurrence(
        first=date(2026, 1, 5),
        at=time(18, 30),
        minutes=60,
        rule="FREQ=WEEKLY",
        until=date(2026, 12, 24),
        not_on=(date(2026, 5, 4), date(2026, 8, 31)),
        moved=(Move(date(2026, 4, 6), date(2026, 4, 7), time(10)),),
    )
    found = sessions(yoga, LONDON, YEAR)
    assert [shown(each.starts_at) for each in found] == MONDAYS_BY_HAND
    assert {each.ends_at - each.starts_at for each in found} == {timedelta(hours=1)}
    assert {each.starts_at.tzinfo for each in found} == {UTC}


def test_a_session_in_the_hour_of_a_clock_change_is_as_rfc_5545_says() -> None:
    """01:30 does not exist on 29 March, and exists twice on 25 October: 02:30, and the first of the two."""
    night = Recurrence(date(2026, 3, 22), time(1, 30), 30, "FREQ=WEEKLY")
    found = {each.key: shown(each.starts_at) for each in sessions(night, LONDON, YEAR)}
    assert [found[key] for key in ("20260322", "20260329", "20260405")] == [
        "2026-03-22T01:30Z",
        "2026-03-29T01:30Z",  # 02:30 on the clocks
        "2026-04-05T00:30Z",
    ]
    assert [found[key] for key in ("20261018", "20261025", "20261101")] == [
        "2026-10-18T00:30Z",
        "2026-10-25T00:30Z",  # the first 01:30; the second is an hour later
        "2026-11-01T01:30Z",
    ]
    assert not exists(date(2026, 3, 29), time(1, 30), LONDON)
    assert exists(date(2026, 10, 25), time(1, 30), LONDON)


def test_a_series_is_in_the_time_of_its_place() -> None:
    run = Recurrence(date(2026, 3, 7), time(9), 60, "FREQ=WEEKLY", until=date(2026, 3, 14))
    in_new_york = [shown(each.starts_at) for each in sessions(run, "America/New_York", YEAR)]
    assert in_new_york == ["2026-03-07T14:00Z", "2026-03-14T13:00Z"]  # clocks change on 8 March there


@pytest.mark.parametrize(
    ("rule", "dates"),
    [
        ("FREQ=MONTHLY;BYDAY=1SA", ["2026-02-07", "2026-03-07", "2026-04-04"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-01-31", "2026-03-31"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;COUNT=5",
            ["2026-01-13", "2026-01-15", "2026-01-27", "2026-01-29", "2026-02-10"],
        ),
        ("FREQ=DAILY;INTERVAL=30", ["2026-01-12", "2026-02-11", "2026-03-13", "2026-04-12"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=14", ["2026-02-14"]),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", []),
    ],
)
def test_rules_of_icalendar(rule: str, dates: list[str]) -> None:
    check_rule(rule)
    found = dates_of(
        Recurrence(date(2026, 1, 12), time(9), 60, rule), Span(date(2026, 1, 1), date(2026, 4, 30))
    )
    assert [each.isoformat() for each in found] == dates


def test_a_session_that_takes_place_once_has_one_date() -> None:
    gala = Recurrence(date(2026, 6, 1), time(9), 60)
    assert dates_of(gala, YEAR) == [date(2026, 6, 1)]
    assert dates_of(gala, Span(date(2026, 6, 2), date(2026, 12, 31))) == []


def test_a_closed_place_has_no_sessions_except_those_that_were_moved_there() -> None:
    moved = (Move(date(2026, 1, 12), date(2026, 1, 15), time(8)),)
    yoga = Recurrence(date(2026, 1, 5), time(9), 60, "FREQ=WEEKLY", date(2026, 1, 26), moved=moved)
    closed = [Span(date(2026, 1, 10), date(2026, 1, 20))]
    assert [shown(each.starts_at) for each in sessions(yoga, LONDON, YEAR, closed)] == [
        "2026-01-05T09:00Z",
        "2026-01-15T08:00Z",
        "2026-01-26T09:00Z",
    ]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=HOURLY", "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("INTERVAL=2", "FREQ must be"),
        ("FREQ=DAILY;BYHOUR=9", "BYHOUR cannot be used"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a number from 1 to 9999"),
        ("FREQ=DAILY;COUNT=²", "COUNT must be a number from 1 to 9999"),
        ("FREQ=DAILY;FREQ=DAILY", "not a single NAME=VALUE"),
        ("FREQ=DAILY;COUNT", "not a single NAME=VALUE"),
        ("FREQ=WEEKLY;BYDAY=XX", "not a recurrence rule"),
        ("FREQ=MONTHLY;BYMONTHDAY=x", "not a recurrence rule"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: str, reason: str) -> None:
    with pytest.raises(InvalidRule, match=reason):
        check_rule(rule)


def test_an_unknown_time_zone_is_refused() -> None:
    for name in ("Europe/Londres", "../etc/passwd", ""):
        with pytest.raises(InvalidRule, match="is not a time zone"):
            zone_of(name)


# --- slots --------------------------------------------------------------------------------------

EVERY_DAY = tuple(range(7))


def opening(*hours: Hours, minutes: int = 60) -> Opening:
    return Opening(hours, minutes, Span(date(2026, 1, 1), date(2026, 12, 31)))


def on(day: str, hall: Opening, closed: Sequence[Span] = ()) -> list[str]:
    the_day = date.fromisoformat(day)
    return [shown(each.starts_at) for each in slots(hall, LONDON, Span(the_day, the_day), closed)]


def test_slots_fill_the_opening_hours_and_end_before_closing() -> None:
    hall = opening(Hours((0, 1), time(9), time(12, 30)), Hours((5,), time(10), time(11)))
    assert on("2026-01-05", hall) == ["2026-01-05T09:00Z", "2026-01-05T10:00Z", "2026-01-05T11:00Z"]
    assert on("2026-01-07", hall) == []
    assert on("2026-01-10", hall) == ["2026-01-10T10:00Z"]
    assert on("2026-07-06", hall)[0] == "2026-07-06T08:00Z"


def test_a_hall_that_is_open_all_night_has_an_hour_less_in_march_and_one_more_in_october() -> None:
    hall = opening(Hours(EVERY_DAY, time(0), time(0)))
    assert [len(on(day, hall)) for day in ("2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26")] == [
        24,
        23,
        25,
        24,
    ]
    assert on("2026-10-25", hall)[:3] == ["2026-10-24T23:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z"]
    assert len(set(on("2026-10-25", hall))) == 25


def test_hours_may_end_on_the_next_day_and_apply_to_some_dates_only() -> None:
    late = Hours((4,), time(22), time(1), Span(date(2026, 6, 1), date(2026, 8, 31)))
    assert on("2026-06-05", opening(late)) == ["2026-06-05T21:00Z", "2026-06-05T22:00Z", "2026-06-05T23:00Z"]
    assert on("2026-05-29", opening(late)) == []


def test_a_closed_day_has_no_slots() -> None:
    hall = opening(Hours(EVERY_DAY, time(9), time(11)))
    assert on("2026-12-25", hall, [Span(date(2026, 12, 25), date(2026, 12, 26))]) == []
    assert len(on("2026-12-27", hall, [Span(date(2026, 12, 25), date(2026, 12, 26))])) == 2


def test_hours_that_overlap_are_found() -> None:
    week = Span(date(2026, 1, 5), date(2026, 1, 11))
    twice = opening(Hours(EVERY_DAY, time(9), time(12)), Hours((2,), time(10, 30), time(14)))
    found = overlapping(slots(twice, LONDON, week))
    assert found is not None and [shown(each.starts_at) for each in found] == [
        "2026-01-07T10:00Z",
        "2026-01-07T10:30Z",
    ]
    same = opening(Hours(EVERY_DAY, time(9), time(12)), Hours((2,), time(10), time(14)))
    assert overlapping(slots(same, LONDON, week)) is None  # they continue each other


# --- properties ---------------------------------------------------------------------------------

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SOME_DATE = st.dates(date(2025, 6, 1), date(2027, 6, 1))


def british(day: date, at: time) -> datetime:
    """Local time in London in UTC, by the law: summer time is from the last Sunday in March to that in October, 01:00 UTC."""

    def last_sunday(month: int) -> datetime:
        last = datetime(day.year, month, 31, 1, tzinfo=UTC)
        return last - timedelta(days=(last.weekday() + 1) % 7)

    as_winter = datetime.combine(day, at, UTC)
    as_summer = as_winter - timedelta(hours=1)
    if last_sunday(3) <= as_summer < last_sunday(10):
        return as_summer
    return as_winter


def expanded(
    first: date, interval: int, days: tuple[int, ...], weekly: bool, until: date, count: int | None
) -> list[date]:
    """Day by day, without dateutil."""
    found: list[date] = []
    monday = first - timedelta(days=first.weekday())
    day = first
    while day <= until and (count is None or len(found) < count):
        if weekly:
            fits = day.weekday() in (days or (first.weekday(),)) and (day - monday).days // 7 % interval == 0
        else:
            fits = (day - first).days % interval == 0 and (not days or day.weekday() in days)
        if fits:
            found.append(day)
        day += timedelta(days=1)
    return found


@settings(deadline=None)
@given(
    first=SOME_DATE,
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    interval=st.integers(1, 9),
    days=st.lists(st.integers(0, 6), unique=True, max_size=4).map(lambda days: tuple(sorted(days))),
    weekly=st.booleans(),
    length=st.integers(0, 500),
    count=st.none() | st.integers(1, 60),
    not_on=st.lists(SOME_DATE, max_size=5),
    window=st.tuples(st.integers(-50, 500), st.integers(0, 400)),
)
def test_any_rule_equals_an_independent_expansion(
    first: date,
    at: time,
    interval: int,
    days: tuple[int, ...],
    weekly: bool,
    length: int,
    count: int | None,
    not_on: list[date],
    window: tuple[int, int],
) -> None:
    rule = f"FREQ={'WEEKLY' if weekly else 'DAILY'};INTERVAL={interval}"
    rule += f";BYDAY={','.join(DAYS[each] for each in days)}" if days else ""
    rule += f";COUNT={count}" if count else ""
    until = first + timedelta(days=length)
    within = Span(first + timedelta(days=window[0]), first + timedelta(days=window[0] + window[1]))
    series = Recurrence(first, at, 45, rule, until, tuple(not_on))
    check_rule(rule)
    assert [each.starts_at for each in sessions(series, LONDON, within)] == [
        british(day, at)
        for day in expanded(first, interval, days, weekly, until, count)
        if within.has(day) and day not in not_on
    ]


@settings(deadline=None)
@given(
    day=st.dates(date(2026, 1, 1), date(2026, 12, 30)),
    opens=st.integers(0, 23 * 4),
    hours=st.integers(1, 24 * 4),
    minutes=st.sampled_from([15, 30, 40, 60, 90]),
)
def test_slots_never_overlap_and_stay_within_the_opening_hours(
    day: date, opens: int, hours: int, minutes: int
) -> None:
    at, to = (time(quarter // 4 % 24, quarter % 4 * 15) for quarter in (opens, opens + hours))
    hall = opening(Hours(EVERY_DAY, at, to), minutes=minutes)
    found = slots(hall, LONDON, Span(day, day))
    closes = british(day + timedelta(days=1) if to <= at else day, to)
    opened = british(day, at)
    assert overlapping(found) is None
    assert all(opened <= each.starts_at and each.ends_at <= closes for each in found)
    open_minutes = int((closes - opened).total_seconds() // 60)
    assert len(found) == max(open_minutes, 0) // minutes
    assert instant(day, at, LONDON) == opened
