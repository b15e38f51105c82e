"""`openbooking reports`: what was booked, how full sessions are, and whether payments agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import InvalidValue
from chalicelib.services.reports.figures import By
from chalicelib.services.reports.kept import period_of
from chalicelib.services.reports.payments import Reconciliation, read_statement
from chalicelib.services.reports.reading import Period, Reports
from openbooking.cli.acting import SellerOption
from openbooking.cli.administration import AsJson, Stage, reading
from openbooking.cli.rows import Format, ToFile, write
from openbooking.cli.terminal import DynamodbUrl, counting

app = typer.Typer(
    help="What was booked, how full sessions are, and whether payments agree.",
    no_args_is_help=True,
    add_completion=False,
)

Since = Annotated[str | None, typer.Option(help="The first day, such as 2026-07-01.", metavar="DAY")]
Until = Annotated[str | None, typer.Option(help="The last day, which is included.", metavar="DAY")]
Zone = Annotated[
    str | None, typer.Option("--time-zone", help="The time zone of days; by default the setting TIME_ZONE.")
]
Groups = Annotated[list[By] | None, typer.Option("--group-by", help="What to group by. Repeatable.")]


@app.command("sales")
def sales(
    seller: SellerOption = None,
    since: Since = None,
    until: Until = None,
    by: Groups = None,
    time_zone: Zone = None,
    form: Format = None,
    to: ToFile = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """What was booked in a period, by the day of booking, broker, activity or site, with the total of each currency.

    `due` and `tax` are of what is not cancelled: the totals are those of the orders.

    Example: openbooking reports sales --seller acme --since 2026-07-01 --group-by day --group-by broker --format csv
    """
    with _reports(seller, stage, dynamodb_url) as (admin, reports):
        zone = _zone(admin, time_zone)
        found = reports.sales(_period(since, until, zone), by or (), zone)
        write(found.rows(), form, to, as_json=as_json, none="Nothing was booked.")


@app.command("occupancy")
def occupancy(
    seller: SellerOption = None,
    since: Since = None,
    until: Until = None,
    by: Groups = None,
    time_zone: Zone = None,
    form: Format = None,
    to: ToFile = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """How full the sessions and slots are that start in a period, by day, activity or site. `reserved` are leases.

    Example: openbooking reports occupancy --seller acme --since 2026-07-01 --until 2026-07-31 --group-by site
    """
    with _reports(seller, stage, dynamodb_url) as (admin, reports):
        zone = _zone(admin, time_zone)
        found = reports.occupancy(_period(since, until, zone), by or (), zone)
        write(found.rows(), form, to, as_json=as_json, none="There are no sessions.")


@app.command("payments")
def payments(
    seller: SellerOption = None,
    since: Since = None,
    until: Until = None,
    time_zone: Zone = None,
    form: Format = None,
    to: ToFile = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """The payments that Brokers took for the orders of a period: one row for each order, with its identifier.

    Example: openbooking reports payments --seller acme --since 2026-07-01 --until 2026-07-31 --to july.csv
    """
    with _reports(seller, stage, dynamodb_url) as (admin, reports):
        rows = reports.payments(_period(since, until, _zone(admin, time_zone)))
        write(rows, form, to, as_json=as_json, none="No payments.")


@app.command("reconcile")
def reconcile(
    statement: Annotated[
        Path, typer.Option(help="CSV with the columns payment, amount and perhaps currency.", metavar="FILE")
    ],
    seller: SellerOption = None,
    since: Since = None,
    until: Until = None,
    broker: Annotated[
        str | None, typer.Option(help="Only orders of this booking partner, by its client id.")
    ] = None,
    time_zone: Zone = None,
    form: Format = None,
    to: ToFile = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Compare the payments of the orders of a period with a Broker's statement. Amounts are without what was refunded.

    Exits with 1 if a payment differs, or is on one side only.

    Example: openbooking reports reconcile --seller acme --statement acme-july.csv --since 2026-07-01
    """
    with _reports(seller, stage, dynamodb_url) as (admin, reports):
        try:
            with statement.open(encoding="utf-8-sig", newline="") as file:
                reconciliation = Reconciliation(read_statement(file))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValue(f"{statement} cannot be read: {error}.") from None
        differing = 0

        def compared() -> Iterator[dict[str, object]]:
            nonlocal differing
            period = _period(since, until, _zone(admin, time_zone))
            for row in reports.reconcile(period, reconciliation, broker):
                differing += row["result"] != "agrees"
                yield row

        write(compared(), form, to, as_json=as_json, none="Nothing to compare.")
    if differing:
        typer.echo(f"Payments that do not agree: {differing}.", err=True)
        raise typer.Exit(1)


@app.command("daily")
def daily(
    seller: SellerOption = None,
    since: Since = None,
    until: Until = None,
    form: Format = None,
    to: ToFile = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """The reports that the schedule makes of each day: sales by broker, activity and site, as they were that night.

    Example: openbooking reports daily --seller acme --since 2026-07-01 --format csv
    """
    with _reports(seller, stage, dynamodb_url) as (admin, reports):
        first, last = _day(since), _day(until)
        kept = admin.system.daily_reports
        bound = date.fromordinal(last.toordinal() + 1) if last else None
        rows = (
            {"day": report.day, **{"broker": "", "activity": "", "site": ""}, **row}
            for report in kept.of(reports.actor.seller_id, first, bound)
            for row in report.rows
        )
        write(rows, form, to, as_json=as_json, none="No reports: the schedule makes them after each day.")


@contextmanager
def _reports(
    seller: str | None, stage: str | None, dynamodb_url: str | None
) -> Iterator[tuple[Administration, Reports]]:
    """The reports of one Seller; afterwards, what they lack is said on stderr."""
    with reading(stage, dynamodb_url) as admin, counting("read") as progress:
        reports = Reports(admin.system.store, admin.system.retry, admin.actor(seller), progress)
        yield admin, reports
    if reports.unreadable:
        missing = ", ".join(sorted(set(reports.unreadable))[:5])
        typer.echo(
            f"Orders that cannot be read, and are missing: {len(set(reports.unreadable))}, such as {missing}.",
            err=True,
        )


def _period(since: str | None, until: str | None, zone: ZoneInfo) -> Period:
    first, last = _day(since), _day(until)
    if first and last and last < first:
        raise InvalidValue(f"The last day {last} is before the first day {first}.")
    return period_of(first, last, zone)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidValue(f"{text!r} is not a day such as 2026-07-01.") from None


def _zone(admin: Administration, name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or admin.system.settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValue(f"{name!r} is not a time zone such as Europe/London.") from None
