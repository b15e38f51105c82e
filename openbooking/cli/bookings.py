"""`openbooking bookings`: a Seller's bookings, and changes of single ones."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.cli.acting import (
    LONDON,
    After,
    DryRun,
    Items,
    Limit,
    Partner,
    SellerOption,
    Uuid,
    Zone,
    acting,
    day_of,
    looking,
    moment,
    show_details,
    show_page,
)
from openbooking.cli.administration import AsJson, By, Stage
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Bookings, and changes of single ones.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_CODES = "Exit codes: 0 done; 1 refused, nothing was changed; 2 a wrong option."


@app.command(
    "list",
    epilog="Examples: openbooking bookings list --seller acme; openbooking bookings list --day today; "
    "openbooking bookings list --from 2026-09-01 --oldest-first --limit 500 --json",
)
def list_bookings(
    seller: SellerOption = None,
    day: Annotated[
        str | None,
        typer.Option(help="Bookings of the sessions on this day, such as 2026-09-07 or today, by start."),
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="Booked from this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Booked before this time.")] = None,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="By default the newest first.")
    ] = False,
    after: After = "",
    limit: Limit = 100,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List bookings by the time at which they were made, or by the day of the session.

    With --day only bookings that hold a place are listed, one row for each session. What was booked a second ago
    may be missing without --day.
    """
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        if day:
            if since or until or oldest_first:
                refuse("Give either --day, or --from, --until and --oldest-first.")
            first, last = day_of(day, zone)
            page = admin.seller_lists.bookings_of_sessions(
                actor, since=first, until=last, after=after, limit=limit
            )
        else:
            page = admin.seller_lists.bookings(
                actor,
                since=moment(since, zone),
                until=moment(until, zone),
                after=after,
                limit=limit,
                newest_first=not oldest_first,
            )
        show_page(page, as_json, "There are no bookings in this time.", zone)


@app.command("show", epilog="Example: openbooking bookings show UUID --seller acme")
def show_booking(
    uuid: Uuid,
    seller: SellerOption = None,
    partner: Partner = None,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Show a booking with its customer, its items, and what they get in with."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        show_details(admin.seller_lists.booking(actor, uuid, partner), as_json, zone)


@app.command("cancel", epilog=f'Example: openbooking bookings cancel UUID --message "No teacher." {_CODES}')
def cancel_booking(
    uuid: Uuid,
    seller: SellerOption = None,
    partner: Partner = None,
    items: Items = None,
    message: Annotated[str | None, typer.Option(help="A message for the customer; by default none.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Cancel a booking or some of its items. The customer is refunded, whatever the terms of the offer."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        done = admin.seller_orders.cancel(
            actor, uuid, partner, item_ids=items, message=message, dry_run=dry_run
        )
        if as_json:
            show_details(done, as_json)
            return
        would = "would be" if dry_run else "is"
        which = "Some items of booking" if items else "Booking"
        typer.echo(f"{which} {done['uuid']} of booking partner {done['partner']} {would} cancelled.")


@app.command(
    "replace",
    epilog=f'Example: openbooking bookings replace UUID --with SESSION --notice "The court is wet." {_CODES}',
)
def replace_booking(
    uuid: Uuid,
    session: Annotated[
        str, typer.Option("--with", metavar="SESSION", help="The session or slot to book instead.")
    ],
    offer: Annotated[
        str | None, typer.Option(help="Its offer, by id or name; not needed if it has only one.")
    ] = None,
    items: Items = None,
    notice: Annotated[str | None, typer.Option(help="A notice that explains it to the customer.")] = None,
    seller: SellerOption = None,
    partner: Partner = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Move a booking, or some of its items, to another session that costs no more and has enough spaces."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        done = admin.seller_orders.replace(
            actor,
            uuid,
            partner,
            session=session,
            offer=offer,
            item_ids=items,
            notice=notice,
            dry_run=dry_run,
        )
        if as_json:
            show_details(done, as_json)
            return
        would = "would be" if dry_run else "is"
        typer.echo(f"Booking {done['uuid']} of booking partner {done['partner']} {would} replaced.")
