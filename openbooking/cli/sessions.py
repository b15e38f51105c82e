"""`openbooking sessions`: a Seller's sessions and slots, and changes of them for all who have booked."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from chalicelib.services.desk.lists import Kind
from chalicelib.services.desk.sessions import Done, Move
from openbooking.cli.acting import (
    LONDON,
    Changing,
    Listing,
    Session,
    Showing,
    Zone,
    counted,
    day_of,
    differences_of,
    moment,
    progress,
)
from openbooking.cli.options import with_options
from openbooking.cli.output import text_of
from openbooking.cli.terminal import refuse

app = typer.Typer(
    help="Sessions and slots, and the orders on them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
_CODES = "Exit codes: 0 done, or nothing to do; 1 refused, nothing was changed; 2 a wrong option."


@app.command(
    "list",
    epilog="Examples: openbooking sessions list --seller acme; openbooking sessions list --day today --type slots; "
    "openbooking sessions list --from 2030-09-01 --limit 500 --json",
)
@with_options
def list_sessions(
    options: Listing,
    day: Annotated[str | None, typer.Option(help="Only this day, such as 2030-09-09 or today.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Those that start from this time on; by default from now on.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Those that start before this time.")] = None,
    kind: Annotated[
        Kind, typer.Option("--type", help="The slots of facilities are listed apart from what else there is.")
    ] = Kind.sessions,
) -> None:
    """List sessions by their start, or the slots of facilities. One that was published a second ago may be missing."""
    with options.looking() as (admin, actor):
        if day and (since or until):
            refuse("Give either --day, or --from and --until.")
        first, last = (
            day_of(day, options.zone) if day else (moment(since, options.zone), moment(until, options.zone))
        )
        page = admin.seller_lists.sessions(
            actor,
            since=first or admin.system.now(),
            until=last,
            after=options.after,
            limit=options.limit,
            kind=kind,
        )
        none = "slot" if kind is Kind.slots else "session" if kind is Kind.sessions else "session or slot"
        options.show_page(page, f"No {none} starts in this time.")
        if page.left_out and kind is Kind.sessions and not options.as_json:
            slots = counted(page.left_out, "slot is", "slots are")
            typer.echo(f"{slots} not listed: --type slots lists them.", err=True)


@app.command("show", epilog="Example: openbooking sessions show ID --seller acme")
@with_options
def show_session(
    options: Showing,
    session: Session,
) -> None:
    """Show a session or slot with its spaces and offers."""
    with options.looking() as (admin, actor):
        options.show(admin.seller_lists.session(actor, session))


@app.command("cancel", epilog=f'Example: openbooking sessions cancel ID --message "Flooded." {_CODES}')
@with_options
def cancel_session(
    options: Changing,
    session: Session,
    message: Annotated[str | None, typer.Option(help="A message for the customers; by default none.")] = None,
    yes: Yes = False,
) -> None:
    """Cancel a session or slot and all orders on it, even if it is no longer for sale."""
    with options.acting() as (admin, actor):
        would = admin.seller_sessions.cancel(actor, session, message=message, dry_run=True)
        if not would.changed:
            _print(options, would, f"{_named(would)} It is cancelled already: nothing was changed.")
            return
        if options.dry_run:
            _print(options, would, f"{_named(would)} It would be cancelled.")
            return
        if not options.as_json:
            typer.echo(_named(would))
        if not yes:
            typer.confirm("Cancel it for everyone?", abort=True, err=options.as_json)
        with progress("Cancelling", would.orders) as on_step:
            done = admin.seller_sessions.cancel(actor, session, message=message, on_step=on_step)
        if done.continues:
            said = "It is cancelled. The database is busy; the sweep will cancel the orders."
        else:
            said = f"It is cancelled, with {_orders(done.reached)}."
            if left := done.orders - done.reached:
                said += (
                    f"\n{_orders(left)} are not cancelled: they were attended, or the sweep will retry them."
                )
        _print(options, done, said)


@app.command(
    "move",
    epilog='Examples: openbooking sessions move ID --start 2030-09-09T19:00; openbooking sessions move ID --place "Studio 2"; '
    f'openbooking sessions move ID --place "Town Hall" --street "1 High Street" --postcode "BS1 1AA". {_CODES}',
)
@with_options
def move_session(
    options: Changing,
    session: Session,
    start: Annotated[
        str | None, typer.Option(help="The new start, such as 2030-09-09T19:00. It lasts as long as before.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="The new end.")] = None,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    place: Annotated[str | None, typer.Option(help="The name of the new place.")] = None,
    street: Annotated[str | None, typer.Option(help="The street of the new place.")] = None,
    locality: Annotated[str | None, typer.Option(help="The town of the new place.")] = None,
    postcode: Annotated[str | None, typer.Option(help="The postcode of the new place.")] = None,
    zone: Zone = LONDON,
) -> None:
    """Move a session or slot to another time or place, or rename it. Everybody who has booked it is informed.

    Proposals on it end if time or place change. A timetable that is imported again does not move it back.
    """
    address = {"streetAddress": street, "addressLocality": locality, "postalCode": postcode}
    texts = {"name": name, "place": place, "street": street, "locality": locality, "postcode": postcode}
    for option, text in texts.items():
        if text is not None and not text.strip():
            refuse(f"--{option} is empty.")
    with options.acting() as (admin, actor):
        change = Move(
            moment(start, zone),
            moment(end, zone),
            name,
            place,
            {term: value for term, value in address.items() if value is not None},
        )
        if change == Move():
            refuse("Nothing would change: give a new --start, --end, --place or --name.")
        would = admin.seller_sessions.move(actor, session, change, dry_run=True)
        if options.dry_run or not would.changed:
            what = (
                f"It would be changed, and they would be informed. {_what(would)}"
                if would.changed
                else "It is so already."
            )
            _print(options, would, f"{_named(would)} {what}")
            return
        with progress("Informing", would.orders) as on_step:
            done = admin.seller_sessions.move(actor, session, change, on_step=on_step)
        _print(options, done, f"{_named(done)} {_informed(done)} {_what(done)}")


@app.command(
    "notify", epilog=f'Example: openbooking sessions notify ID "Bring a mat." --seller acme. {_CODES}'
)
@with_options
def notify_session(
    options: Changing,
    session: Session,
    notice: Annotated[str, typer.Argument(metavar="TEXT", help="At most 2,000 bytes.")],
) -> None:
    """Send a notice to everybody who has booked a session or slot. It replaces an earlier notice."""
    with options.acting() as (admin, actor):
        would = admin.seller_sessions.notify(actor, session, notice, dry_run=True)
        if options.dry_run or not would.changed:
            what = "They would get the notice." if would.changed else "It is not booked: nothing was sent."
            _print(options, would, f"{_named(would)} {what}")
            return
        with progress("Informing", would.orders) as on_step:
            done = admin.seller_sessions.notify(actor, session, notice, on_step=on_step)
        _print(options, done, f"{_named(done)} {_informed(done)}")


@app.command("close", epilog=f"Example: openbooking sessions close ID --seller acme. {_CODES}")
@with_options
def close_session(options: Changing, session: Session) -> None:
    """Take a session or slot off sale, until it is opened again. Orders and accepted proposals stay as they are."""
    _set_on_sale(options, session, False)


@app.command("open", epilog=f"Example: openbooking sessions open ID --seller acme. {_CODES}")
@with_options
def open_session(options: Changing, session: Session) -> None:
    """Put a session or slot that was closed on sale again."""
    _set_on_sale(options, session, True)


def _set_on_sale(options: Changing, session: str, on_sale: bool) -> None:
    with options.acting() as (admin, actor):
        done = admin.seller_sessions.set_on_sale(actor, session, on_sale, dry_run=options.dry_run)
        state = "on sale" if on_sale else "off sale"
        what = f"{options.would_be} {state}" if done.changed else f"is {state} already"
        _print(options, done, f"{_named(done)} It {what}.")


def _print(options: Changing, done: Done, said: str) -> None:
    row = {**done.session, "orders": done.orders, "reached": done.reached, "continues": done.continues}
    options.say({**row, "changed": done.changed, "differences": done.differences}, said)


def _what(done: Done) -> str:
    return differences_of(done.differences)


def _named(done: Done) -> str:
    starts = done.session["starts"]
    start = f"{starts.astimezone(ZoneInfo(LONDON)):%Y-%m-%d %H:%M %Z}" if starts else "without a start"
    return f"{text_of(done.session['name'])}, {start}: {_orders(done.orders)}."


def _informed(done: Done) -> str:
    if done.continues:
        return "The database is busy; the sweep will inform them."
    return f"{_orders(done.reached).capitalize()} informed."


def _orders(orders: int) -> str:
    return counted(orders, "order or proposal", "orders or proposals")
