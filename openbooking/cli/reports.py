"""`openbooking reports`: what was booked, how full sessions are, and whether payments agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from openbooking.cli.acting import Reading
from openbooking.cli.options import with_options
from openbooking.cli.output import Row
from openbooking.cli.rows import Format, ToFile, write
from openbooking.cli.terminal import counting

app = typer.Typer(
    help="What was booked, how full sessions are, and whether payments agree.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Since = Annotated[str | None, typer.Option(help="The first day, such as 2026-07-01.", metavar="DAY")]
Until = Annotated[str | None, typer.Option(help="The last day, which is included.", metavar="DAY")]
Zone = Annotated[
    str | None, typer.Option("--time-zone", help="The time zone of days; by default the setting TIME_ZONE.")
]
Groups = Annotated[list[By] | None, typer.Option("--group-by", help="What to group by. Repeatable.")]


@dataclass(frozen=True)
class OfDays(Reading):
    """The options of every report: of which days, and how it is written."""

    since: Since = None
    until: Until = None
    form: Format = None
    to: ToFile = None

    @contextmanager
    def reports(self) -> Iterator[tuple[Administration, Reports]]:
        """The reports of the Seller; afterwards, what they lack is said on stderr."""
        with self.looking() as (admin, actor), counting("read") as progress:
            reports = Reports(admin.system.store, admin.system.retry, actor, progress)
            yield admin, reports
        if reports.unreadable:
            missing = ", ".join(sorted(set(reports.unreadable))[:5])
            number = len(set(reports.unreadable))
            typer.echo(f"Orders that cannot be read, and are missing: {number}, such as {missing}.", err=True)

    def write(self, rows: Iterable[Row], *, none: str) -> None:
        """Write the rows in the chosen form. Raises InvalidValue."""
        write(rows, self.form, self.to, as_json=self.as_json, none=none)


@dataclass(frozen=True)
class InPeriod(OfDays):
    """The options of a report of days in a time zone."""

    time_zone: Zone = None

    def zone_of(self, admin: Administration) -> ZoneInfo:
        """The chosen time zone. Raises InvalidValue."""
        try:
            return ZoneInfo(self.time_zone or admin.system.settings.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidValue(f"{self.time_zone!r} is not a time zone such as Europe/London.") from None

    def period(self, zone: ZoneInfo) -> Period:
        """The chosen days. Raises InvalidValue."""
        first, last = _day(self.since), _day(self.until)
        if first and last and last < first:
            raise InvalidValue(f"The last day {last} is before the first day {first}.")
        return period_of(first, last, zone)


@app.command("sales")
@with_options
def sales(
    options: InPeriod,
    by: Groups = None,
) -> None:
    """What was booked in a period, by the day of booking, broker, activity or site, with the total of each currency.

    `due` and `tax` are of what is not cancelled: the totals are those of the orders.

    Example: openbooking reports sales --seller acme --since 2026-07-01 --group-by day --group-by broker --format csv
    """
    with options.reports() as (admin, reports):
        zone = options.zone_of(admin)
        found = reports.sales(options.period(zone), by or (), zone)
        options.write(found.rows(), none="Nothing was booked.")


@app.command("occupancy")
@with_options
def occupancy(
    options: InPeriod,
    by: Groups = None,
) -> None:
    """How full the sessions and slots are that start in a period, by day, activity or site. `reserved` are leases.

    Example: openbooking reports occupancy --seller acme --since 2026-07-01 --until 2026-07-31 --group-by site
    """
    with options.reports() as (admin, reports):
        zone = options.zone_of(admin)
        found = reports.occupancy(options.period(zone), by or (), zone)
        options.write(found.rows(), none="There are no sessions.")


@app.command("payments")
@with_options
def payments(
    options: InPeriod,
) -> None:
    """The payments that Brokers took for the orders of a period: one row for each order, with its identifier.

    Example: openbooking reports payments --seller acme --since 2026-07-01 --until 2026-07-31 --to july.csv
    """
    with options.reports() as (admin, reports):
        rows = reports.payments(options.period(options.zone_of(admin)))
        options.write(rows, none="No payments.")


@app.command("reconcile")
@with_options
def reconcile(
    options: InPeriod,
    statement: Annotated[
        Path, typer.Option(help="CSV with the columns payment, amount and perhaps currency.", metavar="FILE")
    ],
    broker: Annotated[
        str | None, typer.Option(help="Only orders of this booking partner, by its client id.")
    ] = None,
) -> None:
    """Compare the payments of the orders of a period with a Broker's statement. Amounts are without what was refunded.

    Exits with 1 if a payment differs, or is on one side only.

    Example: openbooking reports reconcile --seller acme --statement acme-july.csv --since 2026-07-01
    """
    with options.reports() as (admin, reports):
        try:
            with statement.open(encoding="utf-8-sig", newline="") as file:
                reconciliation = Reconciliation(read_statement(file))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValue(f"{statement} cannot be read: {error}.") from None
        differing = 0

        def compared() -> Iterator[dict[str, object]]:
            nonlocal differing
            period = options.period(options.zone_of(admin))
            for row in reports.reconcile(period, reconciliation, broker):
                differing += row["result"] != "agrees"
                yield row

        options.write(compared(), none="Nothing to compare.")
    if differing:
        typer.echo(f"Payments that do not agree: {differing}.", err=True)
        raise typer.Exit(1)


@app.command("daily")
@with_options
def daily(
    options: OfDays,
) -> None:
    """The reports that the schedule makes of each day: sales by broker, activity and site, as they were that night.

    Example: openbooking reports daily --seller acme --since 2026-07-01 --format csv
    """
    with options.reports() as (admin, reports):
        first, last = _day(options.since), _day(options.until)
        kept = admin.system.daily_reports
        bound = date.fromordinal(last.toordinal() + 1) if last else None
        rows = (
            {"day": report.day, **{"broker": "", "activity": "", "site": ""}, **row}
            for report in kept.of(reports.actor.seller_id, first, bound)
            for row in report.rows
        )
        options.write(rows, none="No reports: the schedule makes them after each day.")


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidValue(f"{text!r} is not a day such as 2026-07-01.") from None
