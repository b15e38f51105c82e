"""The same rows from CSV, JSON and XLSX; and files that cannot be read."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from openbooking.timetable import files, spreadsheets
from openbooking.timetable.files import RawRow, UnreadableFile, read_file

# Cells have no zone.
A_DAY = datetime(2026, 1, 5)  # noqa: DTZ001
A_TIME = datetime(2026, 1, 5, 9, 30)  # noqa: DTZ001


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def xlsx(sheets: dict[str, list[list[Any]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def test_csv_rows_know_where_they_are(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "t.csv",
        '\ufefftype,ID,Start Date,description\r\nsession, yoga ,2026-01-05,"Two\r\nlines, and a comma"\r\n\r\nsite,centre,,\r\n',
    )
    assert read_file(path) == [
        RawRow(
            "t.csv row 2",
            "session",
            {"id": "yoga", "start_date": "2026-01-05", "description": "Two\r\nlines, and a comma"},
        ),
        RawRow("t.csv row 5", "site", {"id": "centre"}),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    path = written(
        tmp_path, "t.csv", delimiter.join(["type", "id"]) + "\n" + delimiter.join(["site", "centre"]) + "\n"
    )
    assert read_file(path) == [RawRow("t.csv row 2", "site", {"id": "centre"})]


def test_a_file_of_one_type_needs_no_column_for_it(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "sites.csv", "id\ncentre\n")) == [
        RawRow("sites.csv row 2", "site", {"id": "centre"})
    ]


def test_a_row_with_more_cells_than_columns_is_one_problem(tmp_path: Path) -> None:
    [row] = read_file(written(tmp_path, "t.csv", "type,id,name\nsite,centre,Leisure Centre, Bristol\n"))
    assert row == RawRow("t.csv row 2", "", {"": "more cells than columns"})


def test_json_lists_by_type_or_with_a_type_in_each(tmp_path: Path) -> None:
    by_type = '{"sites": [{"id": "centre"}], "sessions": [{"id": "y", "spaces": 16, "prices": ["a", "b"], "terms": null}]}'
    assert read_file(written(tmp_path, "a.json", by_type)) == [
        RawRow("a.json sites[0]", "site", {"id": "centre"}),
        RawRow("a.json sessions[0]", "session", {"id": "y", "spaces": "16", "prices": "a; b"}),
    ]
    each = '[{"type": "terms", "id": "t", "refund": true, "x": 0.5}]'
    assert read_file(written(tmp_path, "b.json", each)) == [
        RawRow("b.json [0]", "terms", {"id": "t", "refund": "yes", "x": "0.5"})
    ]


def test_xlsx_cells_of_every_kind(tmp_path: Path) -> None:
    data = xlsx(
        {
            "sessions": [
                ["id", "start_date", "time", "minutes", "vat", "refund", "closes", "until", None],
                [
                    "y",
                    A_DAY,
                    time(18, 30),
                    60,
                    0.2,
                    True,
                    timedelta(hours=24),
                    date(2026, 2, 1),
                    None,
                ],
                [None] * 9,
                ["z", A_TIME, " 7pm ", 45.0, None, False, None, None, None],
            ],
            "Notes": [],
            "sites": [["id"], ["centre"]],
        }
    )
    assert read_file(written(tmp_path, "t.xlsx", data)) == [
        RawRow(
            "t.xlsx sheet 'sessions' row 2",
            "session",
            {
                "id": "y",
                "start_date": "2026-01-05",
                "time": "18:30",
                "minutes": "60",
                "vat": "0.2",
                "refund": "yes",
                "closes": "24:00",
                "until": "2026-02-01",
            },
        ),
        RawRow(
            "t.xlsx sheet 'sessions' row 4",
            "session",
            {"id": "z", "start_date": "2026-01-05 09:30", "time": "7pm", "minutes": "45", "refund": "no"},
        ),
        RawRow("t.xlsx sheet 'sites' row 2", "site", {"id": "centre"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.pdf", "x", "t.pdf is .pdf: use .csv, .json or .xlsx."),
        ("t", "x", "t is without an ending: use .csv, .json or .xlsx."),
        ("t.csv", "id,name\n1,x\n", "there is no column 'type': add it"),
        ("t.csv", "type,id,ID\n", "the column 'id' is there twice: rename one."),
        ("t.csv", b"type,id\nsite,caf\xe9\n", "t.csv row 2 is not UTF-8: save it as `CSV UTF-8`."),
        ("t.csv", 'type,id\nsite,"a"b\n', "t.csv row 2 is not CSV"),
        ("t.json", "[", "t.json is not JSON"),
        ("t.json", '{"places": []}', "'places' is not a list of rows: write"),
        ("t.json", "3", "'the whole' is not a list of rows: write"),
        ("t.json", "[3]", "t.json [0] is not an object with the columns of a row."),
        ("t.json", '{"sites": [{"id": {"a": 1}}]}', "t.json sites[0] has an object as a value"),
        ("t.xlsx", "id,name", "t.xlsx is not an XLSX file"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, name: str, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read_file(written(tmp_path, name, content))
    assert sentence in str(refused.value)


def test_a_zip_that_is_no_spreadsheet_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("a.txt", "x")
    with pytest.raises(UnreadableFile, match="is not an XLSX file"):
        read_file(written(tmp_path, "t.xlsx", data.getvalue()))


def test_limits_on_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 1)
    with pytest.raises(UnreadableFile, match="2 rows; 1 is the most"):
        read_file(written(tmp_path, "sites.csv", "id\na\nb\n"))
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 3)
    with pytest.raises(UnreadableFile, match="3 is the most"):
        read_file(written(tmp_path, "sites.csv", "id\na\n"))
    monkeypatch.setattr(spreadsheets, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(UnreadableFile, match="unpacks to"):
        list(spreadsheets.xlsx_tables("t.xlsx", xlsx({"sites": [["id"]]})))
