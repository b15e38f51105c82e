"""What the commands of Sellers share: which Seller, pages of lists, times, dry runs, and progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.domain.parties import Json
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from chalicelib.services.desk.lists import Page
from chalicelib.services.desk.words import change_in_words
from chalicelib.services.errors import InvalidValue
from chalicelib.services.seller_ids import SHOWN_UUID
from chalicelib.services.timetables.documents import TIMETABLES
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import in_words, show, show_details, text_of
from openbooking.cli.terminal import DynamodbUrl
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


@dataclass(frozen=True)
class Reading:
    """The options of each command of a Seller: for whom, on which installation, and how the result is shown."""

    seller: SellerOption = None
    as_json: AsJson = False
    stage: Stage = None
    dynamodb_url: DynamodbUrl = None

    @contextmanager
    def looking(self) -> Iterator[tuple[Administration, Actor]]:
        """The administration of the chosen installation, and the user as an actor for the Seller; for reading only."""
        with reading(self.stage, self.dynamodb_url) as admin:
            yield admin, admin.actor(self.seller)

    @property
    def named(self) -> str:
        """The Seller as an option of a further command."""
        return f" --seller {self.seller}" if self.seller else ""

    def say(self, done: Json, sentence: str) -> None:
        """Print what was done: for people as a sentence."""
        typer.echo(as_json(done) if self.as_json else sentence)


@dataclass(frozen=True)
class Showing(Reading):
    """The options of a command that shows one thing."""

    zone: Zone = LONDON

    def show(self, details: Json) -> None:
        """Print one thing: its values by name, and lists of rows below."""
        if self.as_json:
            typer.echo(as_json(details))
        else:
            show_details(_details_for_people(local(details, self.zone)))


@dataclass(frozen=True)
class Listing(Showing):
    """The options of a list."""

    after: After = ""
    limit: Limit = 100

    def show_page(self, page: Page, none: str, without: Collection[str] = ()) -> None:
        """Print a page. As JSON: {"rows": [...], "next": the cursor of the next page, or null}.

        `without`: columns that people do without, so that a table fits a terminal. Ids are as short as commands
        take them.
        """
        if self.as_json:
            typer.echo(as_json({"rows": page.rows, "next": page.following}))
        else:
            rows = [_for_people(local(row, self.zone), without) for row in page.rows]
            show(_with_short_uuids(rows), none=none)
            if page.searched_back_to is not None:
                day = f"{page.searched_back_to.astimezone(zone_of(self.zone)):%Y-%m-%d %H:%M}"
                typer.echo(
                    f"Cancelled bookings that were made before {day} are not searched yet: --after {page.following!r}",
                    err=True,
                )
            elif page.following is not None:
                typer.echo(f"More follow: --after {page.following!r}", err=True)
        if page.unreadable:
            typer.echo(
                f"{page.unreadable} rows cannot be read, and are not shown: see `openbooking check`.",
                err=True,
            )


@dataclass(frozen=True)
class Changing(Reading):
    """The options of a command that changes something for the Seller."""

    dry_run: DryRun = False
    by: By = None

    @contextmanager
    def acting(self) -> Iterator[tuple[Administration, Actor]]:
        """The administration of the chosen installation, and the user as an actor for the Seller."""
        with changing(self.stage, self.dynamodb_url, self.by) as admin:
            yield admin, admin.actor(self.seller)

    @property
    def would_be(self) -> str:
        """The verb of a sentence about what was done, or would be."""
        return "would be" if self.dry_run else "is"


def as_json(value: Any) -> str:
    """Plain values as JSON: instants in ISO 8601, amounts as texts."""
    return json.dumps(value, default=_plain, indent=2)


def _for_people(row: Json, without: Collection[str]) -> Json:
    """The row without these columns, with short ids, and money as one text."""
    shown = _with_money({name: value for name, value in row.items() if name not in without})
    if short := shown.pop("short_id", None):
        shown["id"] = short
    if "items" in shown:
        shown["items"] = [_counted_item(each) for each in shown["items"]]
    return in_words(shown)


def _details_for_people(details: Json) -> Json:
    """One thing with short ids, words, and only those columns of its items that have a value."""
    shown = {name: value for name, value in details.items() if name != "customer_document"}
    if short := shown.pop("short_id", None):
        shown["id"] = short
    if str(shown.get("source") or "").startswith(TIMETABLES):
        shown["source"] = "your timetable"
    for name in ("items", "offers"):
        rows = [_with_money(_short_item(each)) for each in shown.get(name, [])]
        empty = {key for row in rows for key in row if all(each.get(key) in (None, "", []) for each in rows)}
        if rows:
            shown[name] = [{key: each for key, each in row.items() if key not in empty} for row in rows]
    return in_words(_with_money(shown))


def _short_item(item: Json) -> Json:
    """An item or an offer with the names that commands take instead of ids."""
    if item.get("name") and "needs_approval" in item:
        return {name: value for name, value in item.items() if name != "id"}
    named = {"session": "short_session", "offer": "offer_name"}
    return {
        name: item.get(named.get(name, "")) or value
        for name, value in item.items()
        if name not in named.values()
    }


def _with_money(row: Json) -> Json:
    """The row with its amount and currency as one text."""
    if "currency" not in row:
        return row
    return {
        name: f"{value} {row['currency'] or ''}".strip() if name in ("due", "price") else value
        for name, value in row.items()
        if name != "currency"
    }


def _counted_item(item: Json) -> str:
    starts = f", {text_of(item['starts'])}" if item["starts"] else ""
    return f"{item['places']} x {item['name']}{starts}"


def _with_short_uuids(rows: list[Json]) -> list[Json]:
    """The rows with the first characters of each UUID, as many as tell them apart on this page."""
    known = {row["uuid"] for row in rows if "uuid" in row}
    length = next(
        (size for size in range(SHOWN_UUID, 36) if len({each[:size] for each in known}) == len(known)), 36
    )
    return [{**row, "uuid": row["uuid"][:length]} if "uuid" in row else row for row in rows]


def local(row: Json, zone: str) -> Json:
    """The row with its instants in a time zone, also those of rows within it."""
    return {name: _local(value, zone) for name, value in row.items()}


def moment(text: str | None, zone: str) -> datetime | None:
    """A date or time such as 2030-09-09 or 2030-09-09T18:30, in a time zone. Raises InvalidValue."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidValue(f"{text!r} is not a time: write one such as 2030-09-09T18:30.") from None
    return (read if read.tzinfo else read.replace(tzinfo=zone_of(zone))).astimezone(UTC)


def day_of(text: str, zone: str) -> tuple[datetime, datetime]:
    """The beginning and end of a day such as 2030-09-09, or `today`. Raises InvalidValue."""
    here = zone_of(zone)
    try:
        day = datetime.now(here).date() if text == "today" else datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise InvalidValue(f"{text!r} is not a day: write one such as 2030-09-09, or today.") from None
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


def differences_of(differences: Mapping[str, str]) -> str:
    """What has changed, such as `Place: Studio 1 → Studio 2.`."""
    return " ".join(
        f"{name.capitalize()}: {change_in_words(change)}." for name, change in differences.items()
    )


def counted(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number or 'no'} {many}"


def _local(value: Any, zone: str) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone_of(zone))
    if isinstance(value, list):
        return [local(each, zone) if isinstance(each, dict) else each for each in value]
    return value


def zone_of(zone: str) -> ZoneInfo:
    """Raises InvalidValue."""
    try:
        return ZoneInfo(values.time_zone(zone))
    except values.Wrong as wrong:
        raise InvalidValue(f"{wrong}.") from None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
