"""Timetables in XLSX files. The one module that uses openpyxl."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException

from openbooking.timetable.files import MAX_ROWS, UnreadableFile

# An XLSX file is a zip: a small one may unpack to more than the memory of this machine.
MAX_UNPACKED_BYTES = 400 * 1024 * 1024

Table = list[tuple[int, Sequence[str]]]


def xlsx_tables(name: str, data: bytes) -> Iterator[tuple[str, Table]]:
    """Each sheet that is not empty with its rows, numbered as the spreadsheet does. Raises UnreadableFile."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(each.file_size for each in packed.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise UnreadableFile(f"{name} unpacks to {unpacked:,} bytes; {MAX_UNPACKED_BYTES:,} is the most.")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise UnreadableFile(f"{name} is not an XLSX file: {error}. Save it as XLSX.") from None
    try:
        for sheet in book.worksheets:
            table: Table = []
            for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
                row = [_cell(value) for value in cells]
                if any(row):
                    table.append((number, row))
                if len(table) > MAX_ROWS:
                    raise UnreadableFile(f"{name} has more than {MAX_ROWS:,} rows: split it.")
            if table:
                yield sheet.title, table
    finally:
        book.close()


def xlsx_file(tables: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """An XLSX file with a sheet for each table; its first row is the heading. All cells are text."""
    book = openpyxl.Workbook(write_only=False)
    book.remove(book.active)
    for title, rows in tables.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for cells in sheet.iter_cols():
            longest = max(len(str(cell.value or "")) for cell in cells)
            sheet.column_dimensions[cells[0].column_letter].width = min(longest + 2, 50)
            for cell in cells:
                cell.number_format = "@"
        sheet.freeze_panes = "A2"
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:.12g}"
        case datetime():
            is_date = value.time() == time(0)
            return f"{value:%Y-%m-%d}" if is_date else f"{value:%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case time():
            return f"{value:%H:%M}"
        case timedelta():  # a time of day of 24:00 and more
            hours, seconds = divmod(int(value.total_seconds()), 3600)
            return f"{hours:02}:{seconds // 60:02}"
        case _:
            return str(value).strip()
