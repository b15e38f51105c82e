"""Writes docs/timetable-columns.md from the table of columns."""

from openbooking.timetable.columns import ROW_TYPES, Column


def columns_page() -> str:
    """The text of docs/timetable-columns.md."""
    lines = [
        "# Columns of a timetable",
        "",
        "Generated from the code by `python -m openbooking.reference.pages`; do not edit.",
        "",
        "For each type of row, its columns. How files are written and loaded: [timetables.md](timetables.md). Columns that are",
        "needed are in bold. In CSV, the column `type` names the type of the row; in XLSX, the name of the sheet can.",
    ]
    for kind in ROW_TYPES.values():
        lines += [
            "",
            f"## {kind.name}",
            "",
            kind.about,
            "",
            "| column | meaning | example |",
            "|---|---|---|",
        ]
        lines += [_line(column) for column in kind.columns]
    return "\n".join([*lines, ""])


def _line(column: Column) -> str:
    name = f"**`{column.name}`**" if column.required else f"`{column.name}`"
    return f"| {name} | {column.about} | {f'`{column.example}`' if column.example else ''} |"
