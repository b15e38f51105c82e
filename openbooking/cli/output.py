"""How commands show rows and single things to a person, or as JSON to a program; and secrets.

On a terminal, a table is as wide as the terminal. Texts are wrapped between words, ids never: where even that is too
wide, each row is a list of its values. Without a terminal, each row of a table is one line, however long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

import typer
from rich.cells import cell_len, set_cell_size

from chalicelib.services.desk.words import partner_word
from chalicelib.services.desk.words import word as word_for
from openbooking.cli.terminal import console

Row = Mapping[str, Any]

# Between two columns, and before what belongs to the line above.
_GAP = "  "
_INDENT = "  "
# Texts in a column are not wrapped to fewer characters than this.
_NARROWEST_TEXT = 12
# Values of the specification, by the names of what has them.
_STANDARD = ("status", "sold_by", "tax", "where")
_CAPITALS = re.compile(r"(?<=[a-z])[A-Z]+")
# Names before values are aligned up to this width.
_WIDEST_NAME = 24


def show_secrets(secrets: Mapping[str, str]) -> None:
    """Print secrets with their names. They are not stored and cannot be shown again."""
    for name, value in secrets.items():
        typer.echo(f"{name + ':':22}{value}")
    typer.echo("Save it now: it cannot be shown again.")


def show(rows: Sequence[Row], as_json: bool = False, none: str = "") -> None:
    """Print a table of rows that have the same keys, or `none` if there are no rows."""
    if as_json:
        typer.echo(json.dumps(rows, default=lambda instant: instant.isoformat(), indent=2))
    elif not rows:
        typer.echo(none)
    else:
        for line in lines_of_rows(rows, terminal_width()):
            typer.echo(line)


def in_words(row: Row) -> dict[str, Any]:
    """The row with words of people instead of the specification's, also within it. JSON shows it as it is."""
    return {name: _in_words(name, value) for name, value in row.items() if name != "@type"}


def _in_words(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return in_words(value)
    if isinstance(value, list):
        return [in_words(each) if isinstance(each, Mapping) else each for each in value]
    if name == "partner" and isinstance(value, str):
        return partner_word(value)
    return word_for(value) if name in _STANDARD and isinstance(value, str) else value


def show_details(details: Row) -> None:
    """Print one thing: its values by name, and below each name what has several values."""
    for line in lines_of(details, terminal_width(), empty="-"):
        typer.echo(line)


def lines_of_text(text: str, width: int | None, *, hanging: int = 2) -> Iterator[str]:
    """A line with its indentation, wrapped between words; further lines are indented by `hanging` columns more."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    within = None if width is None else width - len(indent) - hanging
    first, *others = _folded(text.strip(" "), within)
    yield indent + first
    for line in others:
        yield indent + " " * hanging + line


def terminal_width() -> int | None:
    """The columns of the terminal; None if the output goes elsewhere."""
    here = console()
    return here.width if here.is_terminal else None


def lines_of_rows(rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """A table, or where that is too wide a list of values for each row. `width` None: without a bound."""
    columns = _columns(rows, "; " if width is None else "\n")
    widths = _fitting(columns, width)
    if widths is not None:
        names, *cells = zip(*columns, strict=True)
        yield from _table(names, cells, widths)
        return
    for number, row in enumerate(rows):
        if number:
            yield ""
        yield from lines_of(row, width)


def _columns(rows: Sequence[Row], between: str) -> list[tuple[str, ...]]:
    """The texts of each column, its name first; `between` divides the parts of a value."""
    cells = [[text_of(value, between) for value in row.values()] for row in rows]
    return list(zip([_readable(name) for name in rows[0]], *cells, strict=True))


def fits(rows: Sequence[Row], width: int) -> bool:
    """Whether rows are a table at this width."""
    return _fitting(_columns(rows, "\n"), width) is not None


def lines_of(values: Row, width: int | None, *, empty: str | None = None) -> Iterator[str]:
    """Values by name, a line for each; at the end what has several values, indented below its name.

    `empty` stands for a value that is missing; None leaves out its name, too.
    """
    names = {name: f"{_readable(name)}:" for name in values}
    known = [
        names[name]
        for name, value in values.items()
        if not _is_nested(value) and not (empty is None and _is_missing(value))
    ]
    widest = min(max(map(cell_len, known), default=0) + len(_GAP), _WIDEST_NAME)
    for name, value in sorted(values.items(), key=lambda each: _is_nested(each[1])):
        if _is_missing(value):
            if empty is not None:
                yield f"{names[name]:{widest}}{empty}"
        elif _is_nested(value):
            yield names[name]
            yield from (_INDENT + line if line else line for line in _nested(value, width))
        else:
            yield from _wrapped(f"{names[name]:{widest}}", text_of(value, between=", "), width)


def text_of(value: Any, between: str = "\n") -> str:
    """The value as text for people, without control characters: some values come from other parties."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_readable(name)} {text_of(each, ', ')}" for name, each in value.items())
    if isinstance(value, list):
        return between.join(text_of(each) for each in value)
    return "".join(each if each.isprintable() else "?" for each in str(value))


def _nested(value: Any, width: int | None) -> Iterator[str]:
    within = None if width is None else width - len(_INDENT)
    if isinstance(value, Mapping):
        yield from lines_of(value, within)
    elif all(isinstance(each, Mapping) for each in value):
        if any(_is_nested(each) for row in value for each in row.values()):
            for number, row in enumerate(value):
                if number:
                    yield ""
                yield from lines_of(row, within)
        else:
            yield from lines_of_rows(value, within)
    else:
        for each in value:
            yield from _wrapped("", text_of(each), within)


def _is_nested(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(each, Mapping | list) for each in value)
    return isinstance(value, Mapping)


def _is_missing(value: Any) -> bool:
    return value is None or value in ("", [], (), {})


def _readable(name: str) -> str:
    """The name in words: `published_until` and `legalName` are names of values in JSON."""
    apart = _CAPITALS.sub(lambda found: f" {found[0] if len(found[0]) > 1 else found[0].lower()}", name)
    return apart.replace("_", " ")


def _wrapped(before: str, text: str, width: int | None) -> Iterator[str]:
    """The text after what is before it, with its further lines below its first."""
    within = None if width is None else width - cell_len(before)
    for number, line in enumerate(_folded(text, within)):
        yield (" " * cell_len(before) if number else before) + line


def _folded(text: str, width: int | None) -> list[str]:
    """The lines of a text, wrapped between words where they are wider than `width`."""
    folded = []
    for line in text.split("\n"):
        if width is None or cell_len(line) <= width:
            folded.append(line)
            continue
        words = line.split()
        now = ""
        for word in words:
            longer = f"{now} {word}" if now else word
            if now and cell_len(longer) > width:
                folded.append(now)
                longer = word
            now = longer
        folded.append(now)
    return folded


def _fitting(columns: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """How wide each column is; None if no word may be divided and the table is still too wide."""
    wanted = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    if width is None:
        return wanted
    least = [
        max(
            max((cell_len(word) for text in column for word in text.split()), default=0),
            # The name of a column may be wrapped anywhere.
            min(max(cell_len(text) for text in column[1:]), _NARROWEST_TEXT),
        )
        for column in columns
    ]
    left = width - sum(least) - len(_GAP) * (len(columns) - 1)
    if left < 0:
        return None
    # The narrowest columns get what they want first: a date stays on one line beside a long text.
    widths = list(least)
    for place in sorted(range(len(columns)), key=lambda each: wanted[each]):
        more = min(wanted[place] - least[place], left)
        widths[place] += more
        left -= more
    return widths


def _table(names: Sequence[str], cells: Iterable[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for row in (names, ["─" * width for width in widths], *cells):
        folded = [_folded(text, width) for text, width in zip(row, widths, strict=True)]
        for line in zip_longest(*folded, fillvalue=""):
            padded = (set_cell_size(part, width) for part, width in zip(line, widths, strict=True))
            yield _GAP.join(padded).rstrip()
