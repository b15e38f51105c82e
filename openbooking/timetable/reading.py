"""From rows of text to rows of values: types, columns, required cells and duplicate ids.

What rows refer to, and whether their values fit each other, is checked in `planning`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.values import dataclass, field, replace
from openbooking.timetable.columns import ROW_TYPES, RowType, row_type
from openbooking.timetable.files import RawRow
from openbooking.timetable.values import Wrong


@dataclass(frozen=True)
class Problem:
    """Why a row is not taken: what is wrong and what to do, with its place, and its id and column if it has them."""

    place: str
    text: str
    row_id: str = ""
    column: str = ""

    def __str__(self) -> str:
        named = f" ({self.row_id})" if self.row_id else ""
        column = f"{self.column}: " if self.column else ""
        return f"{self.place}{named}: {column}{self.text}"


class Unread(Exception):
    """The value of a cell is asked for that is missing or cannot be read; that is a problem of its row already."""


@dataclass(frozen=True)
class Row:
    """A row with the values of its columns; columns without a value have their defaults.

    A row with problems has the values that could be read, so that these are checked, too: `unread` are the columns
    without one. `is_right`: it has no problem so far. `is_second`: an earlier row has its id.
    """

    place: str
    type: RowType
    values: Mapping[str, Any]
    unread: frozenset[str] = frozenset()
    is_right: bool = True
    is_second: bool = False

    @property
    def id(self) -> str:
        """Its own id; empty if its type has none, or if it cannot be read."""
        return str(self.values.get("id") or "")

    def __getitem__(self, column: str) -> Any:
        """The value of a column. Raises Unread."""
        if column in self.unread:
            raise Unread(column)
        return self.values[column]


@dataclass
class Reading:
    """The rows of all files by type, wrong ones included; `untyped` are the ids of rows of no known type, by place."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in ROW_TYPES})
    untyped: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    """Of all rows, in their order."""


def read_rows(raw_rows: Iterable[RawRow]) -> Reading:
    """Read all rows. A row may have several problems."""
    reading = Reading()
    seen: dict[tuple[str, ...], str] = {}
    for raw in raw_rows:
        reading.places.append(raw.place)
        kind = row_type(raw.type)
        if kind is None:
            reading.problems.append(
                Problem(raw.place, _unknown_type(raw), column="" if "" in raw.cells else "type")
            )
            reading.untyped[raw.cells.get("id", "")] = raw.place
            continue
        row, problems = _read_row(raw, kind)
        key = _key(kind, raw)
        if key is not None and all(key) and (other := seen.setdefault(key, raw.place)) != raw.place:
            shown = " and ".join(map(repr, key[1:]))
            text = f"{shown} is also the id in {other}: use another, or remove one of the rows"
            problems.append(Problem(raw.place, text, raw.cells.get("id", ""), kind.unique[-1]))
            # Rows that refer to this id refer to the first one.
            row = replace(row, is_right=False, is_second=True)
        reading.problems += problems
        reading.rows[kind.name].append(row)
    return reading


def _read_row(raw: RawRow, kind: RowType) -> tuple[Row, list[Problem]]:
    row_id = raw.cells.get("id", "")[:60]
    found: dict[str, Any] = {column.name: column.default for column in kind.columns}
    problems: list[Problem] = []
    unread: set[str] = set()

    def refuse(text: str, column: str = "") -> None:
        problems.append(Problem(raw.place, text, row_id, column))
        unread.add(column)

    for name, cell in raw.cells.items():
        column = kind.column(name)
        if column is None:
            refuse(_unknown_column(name, kind))
            continue
        try:
            found[name] = column.read(cell)
        except Wrong as wrong:
            refuse(str(wrong), name)
    for column in kind.columns:
        if column.required and (column.name not in raw.cells or found[column.name] == ()):
            example = f", such as {column.example}" if column.example else ""
            refuse(f"it is missing: {kind.name} rows need it{example}", column.name)
    return Row(raw.place, kind, found, frozenset(unread), not problems), problems


def _key(kind: RowType, raw: RawRow) -> tuple[str, ...] | None:
    if not kind.unique:
        return None
    return (kind.name, *(raw.cells.get(name, "") for name in kind.unique))


def _unknown_type(raw: RawRow) -> str:
    if "" in raw.cells:
        return "it has more cells than there are columns: put quotes around a text with a comma"
    known = ", ".join(ROW_TYPES)
    if not raw.type:
        return f"it has no type: write one of {known}"
    return f"{raw.type[:40]!r} is not a type of row: write one of {known}"


def _unknown_column(name: str, kind: RowType) -> str:
    names = [column.name for column in kind.columns]
    like = difflib.get_close_matches(name, names, n=1)
    elsewhere = [other.name for other in ROW_TYPES.values() if other is not kind and other.column(name)]
    if like:
        todo = f"perhaps {like[0]!r} is meant"
    elif elsewhere:
        todo = f"it belongs to {elsewhere[0]} rows; empty the cell"
    else:
        todo = f"remove it, or use one of {', '.join(names)}"
    return f"a {kind.name} has no column {name[:40]!r}: {todo}"
