"""The template of a timetable: an example of each type of row, made from the table of columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from openbooking.timetable.columns import COURSE, COURT, HOURS, ROW_TYPES, SESSION, TYPE_COLUMN, RowType

# Further rows, so that the example shows more than one of what usually has several.
_MORE: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "terms": (
        {
            "id": "on-request",
            "opens": "28 days",
            "approval": "yes",
            "messages": "yes",
            "negotiation": "yes",
        },
    ),
    "price": (
        {"id": "junior", "name": "Junior", "amount": "4.50", "max_age": "15"},
        {"id": "course", "name": "Whole course", "amount": "36"},
    ),
    "court": ({"id": "2", "name": "Court 2"},),
    "hours": ({"days": "Sat;Sun", "opens": "09:00", "closes": "18:00"},),
}
# Columns whose examples show how they are written, and are not part of the example.
_EMPTY: Mapping[str, tuple[str, ...]] = {
    "session": ("weeks_ahead", "until", "except", "moved", "url"),
    "course": ("except", "moved", "url"),
    "site": ("url",),
    "form": ("options",),
    "facility": ("weeks_ahead", "url"),
}
# Examples where those of the columns are about something else.
_OTHER: Mapping[str, Mapping[str, str]] = {
    "course": {
        "id": "tai-chi",
        "name": "Tai Chi for Beginners",
        "activity": "Tai Chi",
        "time": "10:00",
        "prices": "course",
        "leader": "Clive Barton",
        "level": "Beginner",
        "instructions": "Wear loose clothes.",
    },
}


def example_rows(today: date) -> Iterator[tuple[RowType, dict[str, str]]]:
    """The rows of the template with all columns, which load without a problem; dates are after `today`."""
    for kind in ROW_TYPES.values():
        shown = {
            column.name: "" if column.name in _EMPTY.get(kind.name, ()) else column.example
            for column in kind.columns
        }
        shown |= _OTHER.get(kind.name, {})
        if kind in (SESSION, COURSE):
            shown["start_date"] = _next_monday(today).isoformat()
        if kind is COURSE:
            shown["until"] = (_next_monday(today) + timedelta(weeks=5)).isoformat()
        if kind.name == "closure":
            shown |= {"from": f"{today.year}-12-25", "until": f"{today.year}-12-26"}
        yield kind, shown
        for more in _MORE.get(kind.name, ()):
            kept = {"facility"} if kind in (COURT, HOURS) else {"currency"}
            yield kind, {name: more.get(name, value if name in kept else "") for name, value in shown.items()}


def csv_template(today: date) -> str:
    """All types of row in one CSV file, with all columns of all types."""
    rows = [{TYPE_COLUMN: kind.name, **cells} for kind, cells in example_rows(today)]
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def json_template(today: date) -> str:
    """A list of rows for each type, without empty cells."""
    lists: dict[str, list[dict[str, str]]] = {}
    for kind, cells in example_rows(today):
        lists.setdefault(kind.plural, []).append({name: cell for name, cell in cells.items() if cell})
    return json.dumps(lists, indent=2, ensure_ascii=False) + "\n"


def xlsx_template(today: date) -> bytes:
    """A sheet for each type of row."""
    from openbooking.timetable.spreadsheets import xlsx_file

    sheets: dict[str, list[list[str]]] = {}
    for kind, cells in example_rows(today):
        sheets.setdefault(kind.plural, [list(cells)]).append(list(cells.values()))
    return xlsx_file(sheets)


def _next_monday(today: date) -> date:
    return today + timedelta(days=7 - today.weekday())
