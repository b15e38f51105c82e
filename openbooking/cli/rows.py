"""Rows as a table for people, or as CSV or JSON for programs, one after the other as they are made."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from chalicelib.services.errors import InvalidValue
from openbooking.cli.import_files import cell
from openbooking.cli.output import Row, show

# Rows of a table; longer output is for programs.
_SHOWN = 500


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


Format = Annotated[Form | None, typer.Option("--format", help="table, csv or json; by default a table.")]
ToFile = Annotated[
    Path | None,
    typer.Option(
        "--to", help="Write to this new file: CSV, or JSON if its name ends in .json.", metavar="FILE"
    ),
]


def write(rows: Iterable[Row], form: Form | None, to: Path | None, *, as_json: bool, none: str) -> None:
    """Write the rows in the chosen form. Raises InvalidValue if the file exists or the options do not agree."""
    if as_json and form not in (None, Form.json):
        raise InvalidValue(f"Use either --json or --format {form}.")
    if to is not None:
        by_name = Form.json if to.suffix.casefold() == ".json" else Form.csv
        chosen = Form.json if as_json else form or by_name
        if chosen is Form.table:
            raise InvalidValue("A file is CSV or JSON: use --format csv or --format json.")
        with _new(to) as file:
            _WRITERS[chosen](rows, file)
        typer.echo(f"Written to {to}.", err=True)
        return
    chosen = Form.json if as_json else form or Form.table
    if chosen is Form.table:
        _show(rows, none)
    else:
        _WRITERS[chosen](rows, sys.stdout)


def _show(rows: Iterable[Row], none: str) -> None:
    following = iter(rows)
    shown = list(islice(following, _SHOWN))
    show(shown, none=none)
    if next(following, None) is not None:
        typer.echo(f"These are the first {_SHOWN} rows: use --format csv for all.", err=True)


@contextmanager
def _new(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            yield file
    except FileExistsError:
        raise InvalidValue(f"{path} exists already: choose another file.") from None
    except OSError as error:
        raise InvalidValue(f"{path} cannot be written: {error.strerror}.") from None


def _csv(rows: Iterable[Row], file: IO[str]) -> None:
    following = iter(rows)
    first = next(following, None)
    if first is None:
        return
    table = csv.DictWriter(file, list(first), lineterminator="\n")
    table.writeheader()
    for row in chain([first], following):
        table.writerow({name: cell(_plain(value)) for name, value in row.items()})


def _json(rows: Iterable[Row], file: IO[str]) -> None:
    between = "["
    for row in rows:
        file.write(between + "\n  " + json.dumps({name: _plain(value) for name, value in row.items()}))
        between = ","
    file.write("[]\n" if between == "[" else "\n]\n")


def _plain(value: Any) -> Any:
    """Instants in ISO 8601; amounts as texts, so that no program makes floats of them."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


_WRITERS = {Form.csv: _csv, Form.json: _json}
