"""Tables and details as people see them on terminals of several widths, and where the output is not a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openbooking.cli.acting import _with_short_uuids
from openbooking.cli.output import lines_of, lines_of_rows

ID = "https://operator.example/api/scheduled-sessions/0001-0002"
UUID = "10000000-0000-4000-8000-000000000001"


def row(**values: Any) -> dict[str, Any]:
    return {
        "starts": datetime(2030, 9, 9, 18, 30, tzinfo=UTC),
        "id": UUID,
        "items": ["2 x Yoga for beginners and others, 2030-09-09 18:30", "1 x Pilates, 2030-09-10 10:00"],
        **values,
    }


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_table_fits_its_terminal_and_divides_no_id(width: int) -> None:
    lines = list(lines_of_rows([row(), row(items=[])], width))
    assert max(map(len, lines)) <= width
    assert sum(UUID in line for line in lines) == 2
    assert lines[0].split() == ["starts", "id", "items"]
    assert "2030-09-09 18:30" in lines[2]


def test_a_table_that_is_too_wide_becomes_a_list_for_each_row() -> None:
    lines = list(lines_of_rows([row(id=ID), row(id=ID, items=[])], 50))
    assert lines == [
        "starts:  2030-09-09 18:30",
        f"id:      {ID}",
        "items:   2 x Yoga for beginners and others,",
        "         2030-09-09 18:30, 1 x Pilates, 2030-09-10",
        "         10:00",
        "",
        "starts:  2030-09-09 18:30",
        f"id:      {ID}",
    ]


def test_without_a_terminal_each_row_is_one_line() -> None:
    lines = list(lines_of_rows([row(id=ID), row(id=ID)], None))
    assert len(lines) == 4
    assert lines[2].endswith("18:30; 1 x Pilates, 2030-09-10 10:00")


def test_wide_letters_are_counted_as_a_terminal_shows_them() -> None:
    lines = list(lines_of_rows([{"name": "瑜伽", "left": 3}, {"name": "Yoga", "left": 4}], 80))
    assert lines[2:] == ["瑜伽  3", "Yoga  4"]


def test_nested_values_are_indented_lines_after_the_others() -> None:
    details = {
        "online": {"@type": "VirtualLocation", "url": ID},
        "uuid": UUID,
        "email": "",
        "items": [
            {"item": UUID, "answers": [{"question": "Injuries?", "answer": "None"}], "notice": None},
            {"item": ID, "answers": [], "notice": "Bring a mat."},
        ],
        "offers": [{"name": "Adult", "price": 7}],
    }
    assert list(lines_of(details, 80, empty="-")) == [
        f"uuid:   {UUID}",
        "email:  -",
        "online:",
        "  @type:  VirtualLocation",
        f"  url:    {ID}",
        "items:",
        f"  item:  {UUID}",
        "  answers:",
        "    question   answer",
        "    ─────────  ──────",
        "    Injuries?  None",
        "",
        f"  item:    {ID}",
        "  notice:  Bring a mat.",
        "offers:",
        "  name   price",
        "  ─────  ─────",
        "  Adult  7",
    ]


def test_control_characters_of_others_do_not_reach_the_terminal() -> None:
    shown = "\n".join(lines_of({"name": "a\x1b[31mb", "items": [{"x": "\x07"}]}, 80))
    assert "\x1b" not in shown and "\x07" not in shown


def test_uuids_are_as_short_as_a_page_allows() -> None:
    other = UUID[:-1] + "2"
    assert [each["uuid"] for each in _with_short_uuids([{"uuid": UUID}])] == [UUID[:8]]
    assert [each["uuid"] for each in _with_short_uuids([{"uuid": UUID}, {"uuid": other}])] == [UUID, other]
