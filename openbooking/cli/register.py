"""`openbooking register`: who holds a session, and who came."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.domain.lifecycle import ItemEvent
from openbooking.cli.acting import (
    LONDON,
    Changing,
    Items,
    Listing,
    Partner,
    Session,
    as_json,
    counted,
    progress,
    zone_of,
)
from openbooking.cli.options import with_options
from openbooking.cli.terminal import refuse

app = typer.Typer(
    help="Who has booked a session, and who came.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Uuids = Annotated[
    list[str] | None, typer.Argument(metavar="[UUID]...", help="The bookings, as `register show` lists them.")
]
Everybody = Annotated[bool, typer.Option("--all", help="All bookings of the session.")]

DayZone = Annotated[str, typer.Option("--time-zone", help="The time zone of the session's day.")]

# Beside 0, 1 (nothing was marked) and 2 (a wrong option).
SOME_REFUSED = 3
_CODES = (
    "Exit codes: 0 done; 1 refused, nothing was marked; 2 a wrong option; 3 some are marked, others refused."
)


@app.command("show", epilog="Example: openbooking register show SESSION --seller acme")
@with_options
def show_register(
    options: Listing,
    session: Session,
    cancelled: Annotated[
        bool,
        typer.Option(
            "--cancelled/--no-cancelled", help="Also places that were cancelled, which take no space."
        ),
    ] = True,
) -> None:
    """List who holds a session or slot: bookings with names and codes, proposals, and spaces that are reserved.

    Then those who have cancelled, or whose places you cancelled, with no spaces.
    """
    with options.looking() as (admin, actor):
        page = admin.seller_lists.register(
            actor, session, after=options.after, limit=options.limit, with_cancelled=cancelled
        )
        options.show_page(page, "It is not booked.", without=("item", "customer", "partner"))


@app.command("attended", epilog=f"Example: openbooking register attended SESSION UUID. {_CODES}")
@with_options
def record_attended(
    options: Changing,
    session: Session,
    uuids: Uuids = None,
    everybody: Everybody = False,
    partner: Partner = None,
    items: Items = None,
    zone: DayZone = LONDON,
) -> None:
    """Record that attendees came, from the day of the session on. A mark can be corrected.

    What was attended cannot be cancelled any more. Of the bookings named all are marked, or none.
    """
    _mark(options, ItemEvent.attends, session, uuids, everybody, partner, items, zone)


@app.command("absent", epilog=f"Example: openbooking register absent SESSION UUID. {_CODES}")
@with_options
def record_absent(
    options: Changing,
    session: Session,
    uuids: Uuids = None,
    everybody: Everybody = False,
    partner: Partner = None,
    items: Items = None,
    zone: DayZone = LONDON,
) -> None:
    """Record that attendees did not come, from the day of the session on."""
    _mark(options, ItemEvent.is_absent, session, uuids, everybody, partner, items, zone)


def _mark(
    options: Changing,
    event: ItemEvent,
    session: str,
    uuids: list[str] | None,
    everybody: bool,
    partner: str | None,
    items: list[str] | None,
    zone: str,
) -> None:
    if bool(uuids) is everybody:
        refuse("Name the bookings to mark, or give --all.")
    with options.acting() as (admin, actor):
        with progress("Marking", len(uuids or ()) or 1000) as on_step:
            done = admin.seller_orders.mark(
                actor,
                session,
                event,
                uuids=uuids or (),
                partner=partner,
                item_ids=items,
                zone=zone_of(zone),
                dry_run=options.dry_run,
                on_step=on_step,
            )
        refused = {key.uuid: reason for key, reason in done.refused.items()}
        if options.as_json:
            typer.echo(as_json({"marked": done.orders, "already": done.already, "refused": refused}))
        else:
            would = "would be" if options.dry_run else "are" if done.orders != 1 else "is"
            what = "attended" if event is ItemEvent.attends else "absent"
            typer.echo(
                f"{counted(done.orders, 'booking', 'bookings').capitalize()} {would} marked as {what}."
            )
            if done.already:
                are = "are" if done.already != 1 else "is"
                typer.echo(
                    f"{counted(done.already, 'booking', 'bookings').capitalize()} {are} marked so already."
                )
            for uuid, reason in refused.items():
                typer.echo(f"{uuid}: {reason}", err=True)
    if refused:
        raise typer.Exit(SOME_REFUSED if done.orders else 1)
