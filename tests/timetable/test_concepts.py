"""The lists of OpenActive, and their replacement by newer ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openbooking.timetable.concepts import (
    ACTIVITIES,
    FACILITY_TYPES,
    LISTS,
    TITLES,
    Concept,
    ConceptList,
    InvalidList,
    changes,
    concept_list,
    read_published,
    write_list,
)


@pytest.mark.parametrize(("name", "least"), [(ACTIVITIES, 700), (FACILITY_TYPES, 30)])
def test_the_lists_have_their_concepts_and_name_their_licence(name: str, least: int) -> None:
    assert len(concept_list(name).concepts) >= least
    first = (LISTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[0]
    assert TITLES[name] in first and "CC BY 4.0" in first and "Changed:" in first


def test_a_concept_is_shown_as_in_feeds() -> None:
    known = concept_list(FACILITY_TYPES)
    court = known.find("badminton  court")
    assert court is not None
    assert known.document(court) == {
        "@type": "Concept",
        "@id": "https://openactive.io/facility-types#9db5681e-700e-4b30-99a5-355885d94db2",
        "inScheme": "https://openactive.io/facility-types",
        "prefLabel": "Badminton Court",
    }


def test_another_label_is_suggested() -> None:
    known = concept_list(ACTIVITIES)
    assert known.like("Yogaa")[0] == "Yoga"
    assert "Yoga" in known.like("hot yoga class")
    assert known.like("") == []


def test_a_published_list_is_written_and_read_again(tmp_path: Path) -> None:
    published = {
        "id": "https://openactive.io/activity-list",
        "concept": [
            {
                "id": "https://openactive.io/activity-list#bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e",
                "prefLabel": "Yoga",
                "altLabel": "Yoga class",
            }
        ],
    }
    read = read_published(ACTIVITIES, json.dumps(published))
    assert read.concepts == (Concept("bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e", "Yoga", ("Yoga class",)),)
    write_list(read, tmp_path)
    lines = (tmp_path / "activity-list.tsv").read_text().splitlines()
    assert lines[1:] == ["bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e\tYoga\tYoga class"]
    newer = ConceptList(ACTIVITIES, (Concept("1", "Judo"),))
    assert changes(read, newer) == (["Judo"], ["Yoga"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "not a list of concepts"),
        ("{}", "not a list of concepts"),
        (
            '{"id": "https://openactive.io/facility-types", "concept": []}',
            "not https://openactive.io/activity-list",
        ),
        ('{"id": "https://openactive.io/activity-list", "concept": []}', "no concepts"),
        (
            '{"id": "https://openactive.io/activity-list", "concept": [{"identifier": "1", "prefLabel": "x"}]}',
            "without a UUID",
        ),
    ],
)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidList, match=reason):
        read_published(ACTIVITIES, text)
