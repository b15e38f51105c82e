"""Reads timetable files into rows of text: CSV and JSON here, XLSX in `spreadsheets`.

Knows nothing of what the columns mean. A row keeps where it is in its file, as people find it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib.services.errors import AdministrationError
from chalicelib.values import dataclass
from openbooking.timetable.columns import TYPE_COLUMN, row_type

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_ROWS = 50_000
FORMATS = ("csv", "json", "xlsx")


class UnreadableFile(AdministrationError):
    """A file cannot be read as a timetable; the message names it, and says what to do."""


@dataclass(frozen=True)
class RawRow:
    """One row: its place for people, its type as it is written, and its cells that are not empty."""

    place: str
    type: str
    cells: Mapping[str, str]


def read_file(path: Path) -> list[RawRow]:
    """All rows of one file. Raises UnreadableFile."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise UnreadableFile(f"{path.name} has {size:,} bytes; {MAX_FILE_BYTES:,} is the most: split it.")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
    match path.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            rows = list(_csv_rows(path.name, _decoded(path.name, data)))
        case ".json":
            rows = list(_json_rows(path.name, data))
        case ".xlsx":
            from openbooking.timetable.spreadsheets import xlsx_tables

            rows = [
                row
                for sheet, table in xlsx_tables(path.name, data)
                for row in rows_of_table(f"{path.name} sheet {sheet!r} row", table, sheet)
            ]
        case other:
            raise UnreadableFile(f"{path.name} is {other or 'without an ending'}: use .csv, .json or .xlsx.")
    if len(rows) > MAX_ROWS:
        raise UnreadableFile(f"{path.name} has {len(rows):,} rows; {MAX_ROWS:,} is the most: split it.")
    return rows


def rows_of_table(place: str, table: Sequence[tuple[int, Sequence[str]]], name: str = "") -> Iterator[RawRow]:
    """The rows below a line of column names. `name` is the type of all rows, if it is one."""
    if not table:
        return
    heading = [_column_name(cell) for cell in table[0][1]]
    used = [column for column in heading if column]
    if twice := sorted({column for column in used if used.count(column) > 1}):
        raise UnreadableFile(f"{place} {table[0][0]}: the column {twice[0]!r} is there twice: rename one.")
    of_all = row_type(name)
    if TYPE_COLUMN not in heading and of_all is None:
        raise UnreadableFile(
            f"{place} {table[0][0]}: there is no column {TYPE_COLUMN!r}: add it, with site, session, facility or another "
            "type in each row. `openbooking timetable template` writes an example."
        )
    for number, cells in table[1:]:
        if len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
            # Usually a comma in a text without quotes: everything after it is in the wrong column.
            yield RawRow(f"{place} {number}", "", {"": "more cells than columns"})
            continue
        row = {
            column: cell.strip()
            for column, cell in zip(heading, cells, strict=False)
            if column and cell.strip()
        }
        if row:
            yield RawRow(f"{place} {number}", row.pop(TYPE_COLUMN, of_all.name if of_all else ""), row)


def _csv_rows(name: str, text: str) -> Iterator[RawRow]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    table: list[tuple[int, Sequence[str]]] = []
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                table.append((before + 1, cells))
            before = reader.line_num
    except csv.Error as error:
        raise UnreadableFile(
            f"{name} row {before + 1} is not CSV: {error}. A cell with a quote or a comma needs quotes around it."
        ) from None
    yield from rows_of_table(f"{name} row", table, Path(name).stem)


def _json_rows(name: str, data: bytes) -> Iterator[RawRow]:
    try:
        document: Any = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{name} is not JSON: {error}.") from None
    lists = document if isinstance(document, dict) else {"": document}
    for key, found in lists.items():
        of_all = row_type(key)
        if not isinstance(found, list) or (key and of_all is None):
            raise UnreadableFile(
                f"{name}: {key or 'the whole'!r} is not a list of rows: write "
                '{"sites": [{"id": ...}], "sessions": [...]}, or a list of objects with a "type".'
            )
        for number, each in enumerate(found):
            place = f"{name} {key}[{number}]"
            if not isinstance(each, dict):
                raise UnreadableFile(f"{place} is not an object with the columns of a row.")
            cells = {_column_name(column): _json_cell(place, value) for column, value in each.items()}
            cells = {column: cell for column, cell in cells.items() if cell}
            yield RawRow(place, cells.pop(TYPE_COLUMN, of_all.name if of_all else ""), cells)


def _json_cell(place: str, value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_json_cell(place, each) for each in value)
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.12g}"
    raise UnreadableFile(f"{place} has an object as a value: write text, numbers, or lists of them.")


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UnreadableFile(f"{name} row {line} is not UTF-8: save it as `CSV UTF-8`.") from None


def _column_name(cell: Any) -> str:
    return re.sub(r"[\s-]+", "_", str(cell or "").strip().casefold())
