"""The table of types: complete, consistent, and consistent with the configuration of the official suite."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.opportunity_types import (
    OPEN_FEEDS,
    OPPORTUNITY_TYPES,
    UNIT_TYPES,
    OpportunityType,
    taking_place_once,
)
from tests.support.builders import NOW

# The suite reads no feed of the first two, and each criterion compares a time with a start that the last has not.
NOT_IN_SUITE = {"HeadlineEvent", "CourseInstance", "OnDemandEvent"}
SUITE = Path(__file__).parents[1] / "suite"


def test_every_type_has_its_row() -> None:
    assert list(OPPORTUNITY_TYPES) == list(OpportunityType)


def test_each_type_has_its_feed() -> None:
    assert len(OPEN_FEEDS) == len(OpportunityType)
    assert all(OPEN_FEEDS[kind.traits.feed] is kind for kind in OpportunityType)


@pytest.mark.parametrize("kind", OpportunityType)
def test_a_parent_is_named_by_a_term_and_read_before_its_children(kind: OpportunityType) -> None:
    traits, order = kind.traits, list(OPPORTUNITY_TYPES)
    assert bool(traits.parents) == (traits.parent_term is not None)
    for parent in traits.parents:
        assert order.index(parent) < order.index(kind)
        assert parent.traits.family is traits.family


@pytest.mark.parametrize("kind", OpportunityType)
def test_what_cannot_be_booked_is_a_parent(kind: OpportunityType) -> None:
    """BOOKABLE-01."""
    assert kind.is_bookable or any(kind in each.traits.parents for each in OpportunityType)


@pytest.mark.parametrize("kind", OpportunityType)
def test_the_test_interface_makes_what_can_be_booked_with_a_parent_of_the_right_type(
    kind: OpportunityType,
) -> None:
    """TESTIF-03."""
    traits = kind.traits
    assert bool(traits.test_names) is traits.is_bookable
    parents = {name for parent in traits.parents for name in (parent.value, parent.traits.units) if name}
    alone = {None} if traits.may_stand_alone or not traits.parents else set()
    assert set(traits.test_names.values()) <= parents | alone


def test_the_official_suite_tests_no_type_that_is_missing_here() -> None:
    ours = {name for traits in OPPORTUNITY_TYPES.values() for name in traits.test_names}
    in_suite: dict[str, bool] = {}
    for path in sorted(SUITE.glob("*.json")):
        tests: Any = json.loads(path.read_text("utf-8")).get("suite", {}).get("integrationTests", {})
        in_suite |= {
            name: in_suite.get(name, False) or in_scope
            for name, in_scope in tests.get("bookableOpportunityTypesInScope", {}).items()
        }
    assert {name for name, in_scope in in_suite.items() if in_scope} == ours - NOT_IN_SUITE
    assert set(in_suite) == ours


@pytest.mark.parametrize(
    ("minutes", "duration"),
    [(0, "PT0S"), (0.5, "PT30S"), (45, "PT45M"), (60, "PT1H"), (90, "PT1H30M"), (1440, "PT24H")],
)
def test_times_state_start_end_and_length(minutes: float, duration: str) -> None:
    """RPDE-14."""
    times = taking_place_once(NOW, NOW + timedelta(minutes=minutes))
    assert (times["startDate"], times["duration"]) == ("2026-06-01T12:00:00Z", duration)
    assert datetime.fromisoformat(times["endDate"]) == NOW + timedelta(minutes=minutes)


def test_no_row_can_be_changed() -> None:
    with pytest.raises(TypeError):
        OPPORTUNITY_TYPES[OpportunityType.Slot] = OpportunityType.SessionSeries.traits  # type: ignore[index]
    with pytest.raises(AttributeError, match="immutable"):
        OpportunityType.Slot.traits.feed = "other"  # type: ignore[misc]


def test_units_are_not_types() -> None:
    assert not UNIT_TYPES & set(OpportunityType)
