"""Intake forms: from the rows of their questions to the fields of `orderItemIntakeForm` (DETAILS-06)."""

from __future__ import annotations

from chalicelib.domain.parties import Json
from openbooking.timetable.columns import ANSWERS
from openbooking.timetable.offers import Mismatch
from openbooking.timetable.reading import Row

_CHOICE, _YES_OR_NO = ANSWERS["one of"], ANSWERS["yes or no"]


def form_field(row: Row) -> Json:
    """One question, without its @id. Raises Mismatch."""
    options = list(row["options"] or ())
    if row["answer"] == _CHOICE and len(options) < 2:
        raise Mismatch("it has fewer than two answers to choose from: write them here", "options")
    if row["answer"] != _CHOICE and options:
        raise Mismatch("only questions with the answer `one of` have options: empty this cell", "options")
    field: Json = {
        "@type": row["answer"],
        "identifier": row.id,
        "name": row["question"],
        "description": row["help"],
        "valueRequired": None if row["answer"] == _YES_OR_NO else row["required"],
        "valueOption": options or None,
    }
    return {term: value for term, value in field.items() if value is not None}
