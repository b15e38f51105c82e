"""What the commands of Sellers share: which Seller, pages of lists, times, dry runs, and progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.domain.parties import Json
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from chalicelib.services.desk.lists import Page
from chalicelib.services.errors import InvalidValue
from openbooking.cli.administration import changing, reading
from openbooking.cli.output import show, text_of
from openbooking.timetable import values

SellerOption = Annotated[
    str | None,
    typer.Option(
        "--seller",
        help="The Seller for whom you act, as `sellers list` shows it; not needed if there is only one.",
    ),
]
Session = Annotated[
    str, typer.Argument(metavar="SESSION", help="Its id, as `sessions list` and feeds show it.")
]
Uuid = Annotated[str, typer.Argument(metavar="UUID", help="As the lists show it.")]
Partner = Annotated[
    str | None,
    typer.Option(help="The booking partner's client id. Without it, all keys of the list are read."),
]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", help="Only this item, as `bookings show` lists it; may be repeated."),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="The maximum number of rows to show.")]
After = Annotated[str, typer.Option(help="The cursor that the page before has printed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; nothing is written.")]
Zone = Annotated[str, typer.Option("--time-zone", help="The time zone of the times you write and read.")]

LONDON = "Europe/London"


@contextmanager
def acting(
    seller: str | None, stage: str | None, dynamodb_url: str | None, by: str | None
) -> Iterator[tuple[Administration, Actor]]:
    """The administration of the chosen installation, and the user as an actor for one Seller."""
    with changing(stage, dynamodb_url, by) as admin:
        yield admin, admin.actor(seller)


@contextmanager
def looking(
    seller: str | None, stage: str | None, dynamodb_url: str | None
) -> Iterator[tuple[Administration, Actor]]:
    """The same, for reading only."""
    with reading(stage, dynamodb_url) as admin:
        yield admin, admin.actor(seller)


def show_page(
    page: Page, as_json: bool, none: str, zone: str = LONDON, without: Collection[str] = ()
) -> None:
    """Print a page of a list. As JSON: {"rows": [...], "next": the cursor of the next page, or null}.

    `without`: columns that people do without, so that a table fits a terminal.
    """
    if as_json:
        typer.echo(json.dumps({"rows": page.rows, "next": page.following}, default=_plain, indent=2))
    else:
        show([_for_people(local(row, zone), without) for row in page.rows], none=none)
        if page.following is not None:
            typer.echo(f"More follow: --after {page.following!r}", err=True)
    if page.unreadable:
        typer.echo(
            f"{page.unreadable} rows cannot be read, and are not shown: see `openbooking check`.", err=True
        )


def _for_people(row: Json, without: Collection[str]) -> Json:
    """The row without these columns, and money as one text."""
    shown = {name: value for name, value in row.items() if name not in without}
    if "currency" in shown:
        shown["due"] = f"{shown['due']} {shown.pop('currency') or ''}".strip()
    return shown


def show_details(details: Json, as_json: bool, zone: str = LONDON) -> None:
    """Print one thing: its values by name, and lists of rows below."""
    if as_json:
        typer.echo(json.dumps(details, default=_plain, indent=2))
        return
    tables = {name: value for name, value in details.items() if _is_rows(value)}
    for name, value in local(details, zone).items():
        if name not in tables:
            typer.echo(f"{name.replace('_', ' ') + ':':20}{text_of(value, between=', ') or '-'}")
    for name, rows in tables.items():
        typer.echo(f"{name.replace('_', ' ')}:")
        show([local(row, zone) for row in rows])


def local(row: Json, zone: str) -> Json:
    """The row with its instants in a time zone."""
    return {
        name: value.astimezone(ZoneInfo(zone)) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def moment(text: str | None, zone: str) -> datetime | None:
    """A date or time such as 2026-09-07 or 2026-09-07T18:30, in a time zone. Raises InvalidValue."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidValue(f"{text!r} is not a time: write one such as 2026-09-07T18:30.") from None
    return (read if read.tzinfo else read.replace(tzinfo=_zone(zone))).astimezone(UTC)


def day_of(text: str, zone: str) -> tuple[datetime, datetime]:
    """The beginning and end of a day such as 2026-09-07, or `today`. Raises InvalidValue."""
    here = _zone(zone)
    try:
        day = datetime.now(here).date() if text == "today" else datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise InvalidValue(f"{text!r} is not a day: write one such as 2026-09-07, or today.") from None
    first = datetime.combine(day, time(), here)
    # The next midnight, not 24 hours later: a day of a clock change has 23 or 25.
    following = datetime.combine(day + timedelta(days=1), time(), here)
    return first.astimezone(UTC), following.astimezone(UTC)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for long work, where it is a terminal; called with how many are done."""
    from rich.console import Console

    from openbooking.cli.import_report import progress as bars

    console = Console(stderr=True)
    if not console.is_terminal or total < 2:
        yield lambda done: None
        return
    with bars(console) as shown:
        yield lambda done: shown(what, min(done, total), total)


def counted(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number or 'no'} {many}"


def _zone(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(values.time_zone(zone))
    except values.Wrong as wrong:
        raise InvalidValue(f"{wrong}.") from None


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
