"""`openbooking register`: who holds a session, and who came."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.domain.lifecycle import ItemEvent
from openbooking.cli.acting import (
    LONDON,
    After,
    DryRun,
    Items,
    Limit,
    Partner,
    SellerOption,
    Session,
    Zone,
    acting,
    counted,
    looking,
    progress,
    show_page,
)
from openbooking.cli.administration import AsJson, By, Stage
from openbooking.cli.terminal import DynamodbUrl, refuse

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

# Beside 0, 1 (nothing was marked) and 2 (a wrong option).
SOME_REFUSED = 3
_CODES = (
    "Exit codes: 0 done; 1 refused, nothing was marked; 2 a wrong option; 3 some are marked, others refused."
)


@app.command("show", epilog="Example: openbooking register show SESSION --seller acme")
def show_register(
    session: Session,
    seller: SellerOption = None,
    after: After = "",
    limit: Limit = 100,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List who holds a session or slot now: bookings with names and codes, proposals, and spaces that are reserved."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        page = admin.seller_lists.register(actor, session, after=after, limit=limit)
        show_page(page, as_json, "It is not booked.", zone, without=("item", "customer"))


@app.command("attended", epilog=f"Example: openbooking register attended SESSION UUID. {_CODES}")
def record_attended(
    session: Session,
    uuids: Uuids = None,
    everybody: Everybody = False,
    seller: SellerOption = None,
    partner: Partner = None,
    items: Items = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Record that attendees came. What was attended cannot be cancelled any more; a mark can be corrected."""
    _mark(
        ItemEvent.attends,
        session,
        uuids,
        everybody,
        seller,
        partner,
        items,
        dry_run,
        as_json,
        stage,
        dynamodb_url,
        by,
    )


@app.command("absent", epilog=f"Example: openbooking register absent SESSION UUID. {_CODES}")
def record_absent(
    session: Session,
    uuids: Uuids = None,
    everybody: Everybody = False,
    seller: SellerOption = None,
    partner: Partner = None,
    items: Items = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Record that attendees did not come."""
    _mark(
        ItemEvent.is_absent,
        session,
        uuids,
        everybody,
        seller,
        partner,
        items,
        dry_run,
        as_json,
        stage,
        dynamodb_url,
        by,
    )


def _mark(
    event: ItemEvent,
    session: str,
    uuids: list[str] | None,
    everybody: bool,
    seller: str | None,
    partner: str | None,
    items: list[str] | None,
    dry_run: bool,
    as_json: bool,
    stage: str | None,
    dynamodb_url: str | None,
    by: str | None,
) -> None:
    if bool(uuids) is everybody:
        refuse("Name the bookings to mark, or give --all.")
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        with progress("Marking", len(uuids or ()) or 1000) as on_step:
            done = admin.seller_orders.mark(
                actor,
                session,
                event,
                uuids=uuids or (),
                partner=partner,
                item_ids=items,
                dry_run=dry_run,
                on_step=on_step,
            )
        refused = {key.uuid: reason for key, reason in done.refused.items()}
        if as_json:
            typer.echo(json.dumps({"marked": done.orders, "refused": refused}, indent=2))
        else:
            would = "would be" if dry_run else "are" if done.orders != 1 else "is"
            what = "attended" if event is ItemEvent.attends else "absent"
            typer.echo(
                f"{counted(done.orders, 'booking', 'bookings').capitalize()} {would} marked as {what}."
            )
            for uuid, reason in refused.items():
                typer.echo(f"{uuid}: {reason}", err=True)
    if refused:
        raise typer.Exit(SOME_REFUSED if done.orders else 1)
