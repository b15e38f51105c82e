"""Attendees and intake forms."""

from typing import Any

import pytest

from chalicelib.domain.details import attendee_errors, intake_form_errors
from chalicelib.domain.errors import IncompleteIntakeFormError, InvalidIntakeFormError
from chalicelib.domain.limits import MAX_ANSWER_TEXT_BYTES

GIVEN, FAMILY = "https://schema.org/givenName", "https://schema.org/familyName"
FIELD = "https://base.invalid/api/identifiers/session-series/1#/intakeForm/1"


@pytest.mark.parametrize(
    ("attendee", "missing"),
    [
        (None, [GIVEN, FAMILY]),
        ({}, [GIVEN, FAMILY]),
        ({"givenName": "Geoff"}, [FAMILY]),
        ({"givenName": "Geoff", "familyName": ""}, [FAMILY]),
        ({"givenName": "Geoff", "familyName": "Capes"}, []),
    ],
)
def test_each_missing_property_of_the_attendee_is_an_error(attendee: Any, missing: list[str]) -> None:
    """DETAILS-04: one error each, with the property's IRI."""
    errors = attendee_errors((GIVEN, FAMILY), attendee)
    assert [error.instance for error in errors] == missing
    assert {type(error).__name__ for error in errors} <= {"IncompleteAttendeeDetailsError"}


@pytest.mark.parametrize(
    "iri", ["https://schema.org/email", "https://openactive.io/email", "https://x.example/ns#email"]
)
def test_property_is_named_by_the_end_of_its_iri(iri: str) -> None:
    """DETAILS-03."""
    assert attendee_errors((iri,), {"email": "a@example.com"}) == []
    assert len(attendee_errors((iri,), {})) == 1


def field(kind: str, **properties: Any) -> dict[str, Any]:
    return {"@type": f"{kind}FormFieldSpecification", "@id": FIELD, "name": "Question", **properties}


NOTHING = ...


@pytest.mark.parametrize(
    ("asked", "value", "error"),
    [
        (field("ShortAnswer", valueRequired=True), NOTHING, IncompleteIntakeFormError),
        (field("ShortAnswer", valueRequired=True), "", IncompleteIntakeFormError),
        (field("ShortAnswer", valueRequired=True), None, IncompleteIntakeFormError),
        (field("ShortAnswer", valueRequired=True), "Left knee", None),
        (field("ShortAnswer", valueRequired=True), 7, InvalidIntakeFormError),
        (field("ShortAnswer"), NOTHING, None),
        (field("ShortAnswer", valueRequired=False), NOTHING, None),
        (field("ShortAnswer"), ["a"], InvalidIntakeFormError),
        (field("ShortAnswer"), "é" * (MAX_ANSWER_TEXT_BYTES // 2), None),
        (field("ShortAnswer"), "é" * (MAX_ANSWER_TEXT_BYTES // 2) + "x", InvalidIntakeFormError),
        (field("Paragraph", valueRequired=True), NOTHING, IncompleteIntakeFormError),
        (field("Paragraph"), "Much to tell", None),
        (field("Paragraph"), True, InvalidIntakeFormError),
        (field("Dropdown", valueOption=["a", "b"]), "a", None),
        (field("Dropdown", valueOption=["a", "b"]), "c", InvalidIntakeFormError),
        (field("Dropdown", valueOption=["a", "b"]), {"a": 1}, InvalidIntakeFormError),
        (field("Dropdown", valueOption=["a"], valueRequired=True), NOTHING, IncompleteIntakeFormError),
        (field("Boolean"), True, None),
        (field("Boolean"), False, None),
        (field("Boolean"), "true", InvalidIntakeFormError),
        (field("Boolean"), 1, InvalidIntakeFormError),
        (field("Boolean"), NOTHING, None),
    ],
)
def test_answers_must_fit_their_fields(asked: dict[str, Any], value: Any, error: type | None) -> None:
    """DETAILS-07, DETAILS-08: each error names its field, an invalid answer also why."""
    answers = () if value is NOTHING else ({"@type": "PropertyValue", "propertyID": FIELD, "value": value},)
    errors = intake_form_errors((asked,), answers)
    assert [type(found) for found in errors] == ([error] if error else [])
    assert all(found.instance == FIELD and found.description for found in errors)


@pytest.mark.parametrize("property_id", [None, 7, ["x"], {"@id": FIELD}, "https://example.com/other"])
def test_answer_to_another_question_is_no_answer(property_id: Any) -> None:
    """DETAILS-08."""
    answers = ({"propertyID": property_id, "value": "Left knee"},)
    errors = intake_form_errors((field("ShortAnswer", valueRequired=True),), answers)
    assert [type(found) for found in errors] == [IncompleteIntakeFormError]
