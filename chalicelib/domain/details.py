"""The required details of an attendee, and the answers to an intake form (DETAILS)."""

from typing import Any

from chalicelib.domain.errors import (
    IncompleteAttendeeDetailsError,
    IncompleteIntakeFormError,
    InvalidIntakeFormError,
    OrderItemError,
)
from chalicelib.domain.limits import MAX_ANSWER_TEXT_BYTES
from chalicelib.domain.parties import Json


def attendee_errors(required: tuple[str, ...], attendee: Json | None) -> list[OrderItemError]:
    """One error for each required property of the attendee that is missing (DETAILS-04).

    `required` holds property IRIs such as https://schema.org/givenName.
    """
    given = attendee or {}
    return [
        IncompleteAttendeeDetailsError(f"The attendee's {_term(iri)} is required.", instance=iri)
        for iri in required
        if given.get(_term(iri)) in (None, "", [], {})
    ]


def intake_form_errors(form: tuple[Json, ...], answers: tuple[Json, ...]) -> list[OrderItemError]:
    """The errors in the answers to an intake form, each naming its field (DETAILS-07, DETAILS-08)."""
    given = {
        answer["propertyID"]: answer.get("value")
        for answer in answers
        if isinstance(answer.get("propertyID"), str)
    }
    errors: list[OrderItemError] = []
    for form_field in form:
        field_id, label = form_field.get("@id"), form_field.get("name") or form_field.get("@id")
        value = given.get(field_id)
        if value in (None, ""):
            if form_field.get("valueRequired") is True:
                errors.append(
                    IncompleteIntakeFormError(f"{label}: an answer is required.", instance=field_id)
                )
        elif reason := _why_invalid(form_field, value):
            errors.append(InvalidIntakeFormError(f"{label}: {reason}", instance=field_id))
    return errors


def _why_invalid(form_field: Json, value: Any) -> str | None:
    match form_field.get("@type"):
        case "BooleanFormFieldSpecification":
            return None if isinstance(value, bool) else "the answer must be true or false."
        case "DropdownFormFieldSpecification":
            options = form_field.get("valueOption", [])
            return None if value in options else "the answer must be one of the options."
        case _ if isinstance(value, str):
            fits = len(value.encode()) <= MAX_ANSWER_TEXT_BYTES
            return None if fits else f"the answer may have at most {MAX_ANSWER_TEXT_BYTES:,} bytes."
        case _:
            return "the answer must be text."


def _term(iri: str) -> str:
    return iri.rstrip("/").rsplit("/", 1)[-1].rsplit("#", 1)[-1]
