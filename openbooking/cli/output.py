"""How commands show rows and secrets to a person, or rows as JSON to a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from openbooking.cli.terminal import console

Row = Mapping[str, Any]


def show_secrets(secrets: Mapping[str, str]) -> None:
    """Print secrets with their names. They are not stored and cannot be shown again."""
    for name, value in secrets.items():
        typer.echo(f"{name + ':':22}{value}")
    typer.echo("Save it now: it cannot be shown again.")


def show(rows: Sequence[Row], as_json: bool = False, none: str = "") -> None:
    """Print a table of rows that have the same keys, or `none` if there are no rows."""
    if as_json:
        typer.echo(json.dumps(rows, default=lambda instant: instant.isoformat(), indent=2))
        return
    if not rows:
        typer.echo(none)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in rows[0]:
        # Other columns are made narrower than those of UUIDs, which would push the last ones out of the table.
        width = _id_width(row[name] for row in rows)
        table.add_column(name.replace("_", " "), overflow="fold", min_width=width, no_wrap=width is not None)
    for row in rows:
        table.add_row(*(Text(text_of(value)) for value in row.values()))
    console().print(table)


def _id_width(values: Iterable[Any]) -> int | None:
    """The width of a column of UUIDs, so that each can be copied as a whole; None for any other column."""
    width = len(str(UUID(int=0)))
    return width if all(isinstance(each, str) and len(each) == width for each in values) else None


def text_of(value: Any, between: str = "\n") -> str:
    """The value as text for people, without control characters: some values come from other parties."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return between.join(text_of(each) for each in value)
    return "".join(each if each.isprintable() else "?" for each in str(value))
