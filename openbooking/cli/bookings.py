"""`openbooking bookings`: a Seller's bookings, and changes of single ones."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.services.desk.words import from_partner
from openbooking.cli.acting import (
    Changing,
    Items,
    Listing,
    Partner,
    Showing,
    Uuid,
    day_of,
    differences_of,
    moment,
)
from openbooking.cli.options import with_options
from openbooking.cli.terminal import refuse

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
    "openbooking bookings list --from 2030-09-01 --oldest-first --limit 500 --json",
)
@with_options
def list_bookings(
    options: Listing,
    day: Annotated[
        str | None,
        typer.Option(help="Bookings of the sessions on this day, such as 2030-09-09 or today, by start."),
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="Booked from this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Booked before this time.")] = None,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="By default the newest first.")
    ] = False,
) -> None:
    """List bookings by the time at which they were made, or by the day of the session.

    With --day only bookings that hold a place are listed, one row for each session. What was booked a second ago
    may be missing without --day.
    """
    with options.looking() as (admin, actor):
        if day:
            if since or until or oldest_first:
                refuse("Give either --day, or --from, --until and --oldest-first.")
            first, last = day_of(day, options.zone)
            page = admin.seller_lists.bookings_of_sessions(
                actor, since=first, until=last, after=options.after, limit=options.limit
            )
        else:
            page = admin.seller_lists.bookings(
                actor,
                since=moment(since, options.zone),
                until=moment(until, options.zone),
                after=options.after,
                limit=options.limit,
                newest_first=not oldest_first,
            )
        # With --day each row has its session and spaces already.
        without = ("partner", "booked", "items") if day else ("partner",)
        options.show_page(page, "There are no bookings in this time.", without=without)


@app.command("show", epilog="Example: openbooking bookings show UUID --seller acme")
@with_options
def show_booking(
    options: Showing,
    uuid: Uuid,
    partner: Partner = None,
) -> None:
    """Show a booking with its customer, its items, and what they get in with."""
    with options.looking() as (admin, actor):
        options.show(admin.seller_lists.booking(actor, uuid, partner))


@app.command("cancel", epilog=f'Example: openbooking bookings cancel UUID --message "No teacher." {_CODES}')
@with_options
def cancel_booking(
    options: Changing,
    uuid: Uuid,
    partner: Partner = None,
    items: Items = None,
    message: Annotated[str | None, typer.Option(help="A message for the customer; by default none.")] = None,
) -> None:
    """Cancel a booking or some of its items. The customer is refunded, whatever the terms of the offer."""
    with options.acting() as (admin, actor):
        done = admin.seller_orders.cancel(
            actor, uuid, partner, item_ids=items, message=message, dry_run=options.dry_run
        )
        which = "A part of booking" if items else "Booking"
        said = f"{which} {done['uuid']}, {from_partner(done['partner'])}, {options.would_be} cancelled."
        options.say(done, f"{said} {differences_of(done['differences'])}")


@app.command(
    "replace",
    epilog=f'Example: openbooking bookings replace UUID --with SESSION --notice "The court is wet." {_CODES}',
)
@with_options
def replace_booking(
    options: Changing,
    uuid: Uuid,
    session: Annotated[
        str, typer.Option("--with", metavar="SESSION", help="The session or slot to book instead.")
    ],
    offer: Annotated[
        str | None, typer.Option(help="Its offer, by id or name; not needed if it has only one.")
    ] = None,
    items: Items = None,
    notice: Annotated[str | None, typer.Option(help="A notice that explains it to the customer.")] = None,
    partner: Partner = None,
) -> None:
    """Move a booking, or some of its items, to another session that costs no more and has enough spaces."""
    with options.acting() as (admin, actor):
        done = admin.seller_orders.replace(
            actor,
            uuid,
            partner,
            session=session,
            offer=offer,
            item_ids=items,
            notice=notice,
            dry_run=options.dry_run,
        )
        said = f"Booking {done['uuid']}, {from_partner(done['partner'])}, {options.would_be} replaced."
        options.say(done, f"{said} {differences_of(done['differences'])}")
