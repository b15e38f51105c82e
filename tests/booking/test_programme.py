"""Notices for people on a course about its sessions (NOTIF-01, decision 26)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.booking.opportunity_changes import programme_notice
from chalicelib.domain.limits import check_text
from chalicelib.domain.opportunities import EventStatus, Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.wire.logistics import with_sub_event

WEEKS = ("2026-10-05", "2026-10-12")


def course(*sessions: tuple[str, str, str], kind: str = "CourseInstance", **document: Any) -> Opportunity:
    listed = [{"@id": each, "startDate": start, "endDate": end} for each, start, end in sessions]
    return Opportunity(
        "https://a.example/course",
        OpportunityType(kind),
        "https://a.example/seller",
        document={"name": "Tai Chi", "subEvent": listed, **document},
    )


def at(day: str, hour: int = 10, zone: str = "Z") -> tuple[str, str, str]:
    return f"https://a.example/{day}", f"{day}T{hour:02}:00:00{zone}", f"{day}T{hour + 1:02}:00:00{zone}"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([at(WEEKS[0]), at(WEEKS[1])], None),
        ([at(WEEKS[1]), at(WEEKS[0])], None),
        ([at(WEEKS[0], 11, "+01:00"), at(WEEKS[1])], None),  # the same, written in another way
        (
            [at(WEEKS[0]), at(WEEKS[1], 12, "+01:00")],
            "12 October 2026, 10:00 UTC is now 12 October 2026, 11:00 UTC",
        ),
        ([at(WEEKS[0])], "12 October 2026, 10:00 UTC is left out"),
        ([at(WEEKS[0]), at(WEEKS[1]), at("2026-10-19")], "19 October 2026, 10:00 UTC is new"),
        (
            [at(WEEKS[0]), (*at(WEEKS[1])[:2], "2026-10-12T12:00:00Z")],
            "12 October 2026, 10:00 UTC ends 12 October 2026, 12:00 UTC",
        ),
        (
            [at(WEEKS[0]), (at(WEEKS[1])[0], "2026-10-13", "2026-10-13")],
            "12 October 2026, 10:00 UTC is now 13 October 2026",
        ),
        ([at(WEEKS[0]), (at(WEEKS[1])[0], "soon", "")], "12 October 2026, 10:00 UTC is now soon"),
        ([], None),  # a course that lists nothing says nothing of its sessions
    ],
)
def test_a_notice_names_what_is_different(after: list[tuple[str, str, str]], said: str | None) -> None:
    found = programme_notice(course(at(WEEKS[0]), at(WEEKS[1])), course(*after))
    assert found == (None if said is None else f"The sessions of Tai Chi have changed: {said}.")
    assert programme_notice(course(), course(*after)) is None


def test_a_notice_about_a_hundred_sessions_fits() -> None:
    days = [f"2026-{month:02}-{day:02}" for month in range(1, 11) for day in range(1, 11)]
    before, after = course(*map(at, days)), course(*(at(day, 19) for day in days), name="T" * 200)
    said = programme_notice(before, after)
    assert said is not None and said.count("is now") == 24 and said.endswith("and 76 more.")
    check_text("The notice", said)


@pytest.mark.parametrize("listed", ["nothing", [7, {"@id": "x"}, {"startDate": "2026-10-05"}]])
def test_what_is_not_a_list_of_sessions_with_ids_and_starts_is_no_programme(listed: Any) -> None:
    assert course(subEvent=listed).programme == {}


def session(day: str, hour: int, status: EventStatus = EventStatus.EventScheduled) -> Opportunity:
    starts_at = datetime.fromisoformat(f"{day}T{hour}:00:00+00:00")
    return Opportunity(
        f"https://a.example/{WEEKS[1]}",
        OpportunityType.Event,
        "https://a.example/seller",
        starts_at,
        starts_at.replace(hour=hour + 1),
        status,
    )


def test_a_course_states_a_session_as_it_is_now_and_ends_with_it() -> None:
    whole = course(at(WEEKS[0]), at(WEEKS[1]), startDate=WEEKS[0], endDate=WEEKS[1])
    moved = with_sub_event(whole, session("2026-10-14", 15))
    assert moved.programme[f"https://a.example/{WEEKS[1]}"] == (
        "2026-10-14T15:00:00Z",
        "2026-10-14T16:00:00Z",
    )
    assert (moved.starts_at, moved.ends_at) == (
        datetime(2026, 10, 5, 10, tzinfo=UTC),
        datetime(2026, 10, 14, 16, tzinfo=UTC),
    )
    assert (moved.document["startDate"], moved.document["endDate"]) == ("2026-10-05", "2026-10-14")
    assert with_sub_event(moved, session("2026-10-14", 15)) is moved
    off = with_sub_event(whole, session(WEEKS[1], 10, EventStatus.EventCancelled))
    assert off.document["subEvent"][1]["eventStatus"] == "https://schema.org/EventCancelled"
    assert "eventStatus" not in with_sub_event(off, session(WEEKS[1], 10)).document["subEvent"][1]


def test_a_headline_event_keeps_its_own_times_and_what_is_not_listed_changes_nothing() -> None:
    day = course(at(WEEKS[0]), at(WEEKS[1]), kind="HeadlineEvent")
    assert with_sub_event(day, session("2026-10-14", 15)).starts_at is None
    other = course(at(WEEKS[0]))
    assert with_sub_event(other, session("2026-10-14", 15)) is other
