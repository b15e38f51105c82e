"""`openbooking sessions`: a Seller's sessions and slots, and changes of them for all who have booked."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.services.desk.sessions import Done, Move
from openbooking.cli.acting import (
    LONDON,
    After,
    DryRun,
    Limit,
    SellerOption,
    Session,
    Zone,
    acting,
    counted,
    day_of,
    looking,
    moment,
    progress,
    show_details,
    show_page,
)
from openbooking.cli.administration import AsJson, By, Stage
from openbooking.cli.output import text_of
from openbooking.cli.terminal import DynamodbUrl, refuse

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
    epilog="Examples: openbooking sessions list --seller acme; openbooking sessions list --day today; "
    "openbooking sessions list --from 2026-09-01 --limit 500 --json",
)
def list_sessions(
    seller: SellerOption = None,
    day: Annotated[str | None, typer.Option(help="Only this day, such as 2026-09-07 or today.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Those that start from this time on; by default from now on.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Those that start before this time.")] = None,
    after: After = "",
    limit: Limit = 100,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List sessions and slots by their start. One that was published a second ago may be missing."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        if day and (since or until):
            refuse("Give either --day, or --from and --until.")
        first, last = day_of(day, zone) if day else (moment(since, zone), moment(until, zone))
        page = admin.seller_lists.sessions(
            actor, since=first or admin.system.now(), until=last, after=after, limit=limit
        )
        show_page(page, as_json, "No session or slot starts in this time.", zone)


@app.command("show", epilog="Example: openbooking sessions show ID --seller acme")
def show_session(
    session: Session,
    seller: SellerOption = None,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Show a session or slot with its spaces and offers."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        show_details(admin.seller_lists.session(actor, session), as_json, zone)


@app.command("cancel", epilog=f'Example: openbooking sessions cancel ID --message "Flooded." {_CODES}')
def cancel_session(
    session: Session,
    seller: SellerOption = None,
    message: Annotated[str | None, typer.Option(help="A message for the customers; by default none.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Cancel a session or slot and all orders on it, even if it is no longer for sale."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        would = admin.seller_sessions.cancel(actor, session, message=message, dry_run=True)
        if dry_run:
            _print(would, as_json, f"{_named(would)} It would be cancelled.")
            return
        if not as_json:
            typer.echo(_named(would))
        if not yes:
            typer.confirm("Cancel it for everyone?", abort=True, err=as_json)
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
        _print(done, as_json, said)


@app.command(
    "move",
    epilog='Examples: openbooking sessions move ID --start 2026-09-07T19:00; openbooking sessions move ID --place "Studio 2"; '
    f'openbooking sessions move ID --place "Town Hall" --street "1 High Street" --postcode "BS1 1AA". {_CODES}',
)
def move_session(
    session: Session,
    seller: SellerOption = None,
    start: Annotated[
        str | None, typer.Option(help="The new start, such as 2026-09-07T19:00. It lasts as long as before.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="The new end.")] = None,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    place: Annotated[str | None, typer.Option(help="The name of the new place.")] = None,
    street: Annotated[str | None, typer.Option(help="The street of the new place.")] = None,
    locality: Annotated[str | None, typer.Option(help="The town of the new place.")] = None,
    postcode: Annotated[str | None, typer.Option(help="The postcode of the new place.")] = None,
    zone: Zone = LONDON,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Move a session or slot to another time or place, or rename it. Everybody who has booked it is informed.

    Proposals on it end if time or place change. A timetable that is imported again does not move it back.
    """
    address = {"streetAddress": street, "addressLocality": locality, "postalCode": postcode}
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
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
        if dry_run or not would.changed:
            what = (
                "It would be changed, and they would be informed." if would.changed else "It is so already."
            )
            _print(would, as_json, f"{_named(would)} {what}")
            return
        with progress("Informing", would.orders) as on_step:
            done = admin.seller_sessions.move(actor, session, change, on_step=on_step)
        _print(done, as_json, f"{_named(done)} {_informed(done)}")


@app.command(
    "notify", epilog=f'Example: openbooking sessions notify ID "Bring a mat." --seller acme. {_CODES}'
)
def notify_session(
    session: Session,
    notice: Annotated[str, typer.Argument(metavar="TEXT", help="At most 2,000 bytes.")],
    seller: SellerOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Send a notice to everybody who has booked a session or slot. It replaces an earlier notice."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        would = admin.seller_sessions.notify(actor, session, notice, dry_run=True)
        if dry_run or not would.changed:
            what = "They would get the notice." if would.changed else "It is not booked: nothing was sent."
            _print(would, as_json, f"{_named(would)} {what}")
            return
        with progress("Informing", would.orders) as on_step:
            done = admin.seller_sessions.notify(actor, session, notice, on_step=on_step)
        _print(done, as_json, f"{_named(done)} {_informed(done)}")


@app.command("close", epilog=f"Example: openbooking sessions close ID --seller acme. {_CODES}")
def close_session(
    session: Session,
    seller: SellerOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Take a session or slot off sale, until it is opened again. Orders and accepted proposals stay as they are."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        done = admin.seller_sessions.set_on_sale(actor, session, False, dry_run=dry_run)
        _print(done, as_json, f"{_named(done)} {_sale(done, dry_run, 'off sale')}")


@app.command("open", epilog=f"Example: openbooking sessions open ID --seller acme. {_CODES}")
def open_session(
    session: Session,
    seller: SellerOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Put a session or slot that was closed on sale again."""
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        done = admin.seller_sessions.set_on_sale(actor, session, True, dry_run=dry_run)
        _print(done, as_json, f"{_named(done)} {_sale(done, dry_run, 'on sale')}")


def _print(done: Done, as_json: bool, said: str) -> None:
    if as_json:
        row = {**done.session, "orders": done.orders, "reached": done.reached, "continues": done.continues}
        typer.echo(json.dumps({**row, "changed": done.changed}, default=str, indent=2))
    else:
        typer.echo(said)


def _named(done: Done) -> str:
    starts = done.session["starts"]
    start = f"{starts:%Y-%m-%d %H:%M %Z}" if starts else "without a start"
    return f"{text_of(done.session['name'])}, {start}: {_orders(done.orders)}."


def _informed(done: Done) -> str:
    if done.continues:
        return "The database is busy; the sweep will inform them."
    return f"{_orders(done.reached)} informed."


def _sale(done: Done, dry_run: bool, state: str) -> str:
    if not done.changed:
        return f"It is {state} already."
    return f"It would be {state}." if dry_run else f"It is {state}."


def _orders(orders: int) -> str:
    return counted(orders, "order or proposal", "orders or proposals")
