"""`openbooking sessions`: a Seller's changes to a session or slot, for all Orders on it."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.runtime.administration import Administration
from chalicelib.services import following
from chalicelib.services.errors import InvalidValue, NotFound
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.store import Listing
from openbooking.cli.administration import By, Stage, changing
from openbooking.cli.output import text_of
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Sessions and slots, and the orders on them.", no_args_is_help=True, add_completion=False
)


@app.callback()
def sessions() -> None:
    """Sessions and slots, and the orders on them."""


@app.command("cancel")
def cancel_session(
    session: Annotated[str, typer.Argument(metavar="ID", help="Its @id, as in feeds and import reports.")],
    message: Annotated[str | None, typer.Option(help="A message for the customers; by default none.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Cancel a session or slot and all orders on it, even if it is no longer for sale."""
    with changing(stage, dynamodb_url, by) as admin:
        listing = _found(admin, session)
        opportunity = listing.opportunity
        inventory = admin.system.inventory
        if not opportunity.type.is_bookable:
            refuse(f"{session} is a {opportunity.type}: cancel the sessions or slots that belong to it.")
        orders = admin.entries.patiently(lambda: inventory.standing(opportunity.id))
        start = f"{opportunity.starts_at:%Y-%m-%d %H:%M %Z}" if opportunity.starts_at else "without a start"
        typer.echo(f"{text_of(opportunity.name) or opportunity.type}, {start}: {_counted(orders)}.")
        if not yes:
            typer.confirm("Cancel it for everyone?", abort=True)
        try:
            admin.entries.patiently(lambda: inventory.cancel(opportunity.id, message))
        except RequestTooLargeError as error:
            raise InvalidValue(str(error)) from None
        admin.journal.note("session cancelled", opportunity=admin.seller_ids.shown(opportunity.id))
        try:
            admin.system.worker.finish(following.KIND, opportunity.id)
        except (CommitRefused, StillBusy, StoreBusy):
            typer.echo("It is cancelled. The database is busy; the sweep will cancel the orders.")
            return
        left = admin.entries.patiently(lambda: inventory.standing(opportunity.id))
        typer.echo(f"It is cancelled, with {_counted(max(orders - left, 0))}.")
        if left:
            typer.echo(
                f"{_counted(left)} are not cancelled: they were attended, or the sweep will retry them."
            )


def _found(admin: Administration, text: str) -> Listing:
    """The listing with this id. Our own ids are found under any host. Raises NotFound."""
    meant = admin.seller_ids.meant(text)
    found = admin.entries.patiently(lambda: admin.system.store.listings(meant))
    for opportunity_id in meant:
        if opportunity_id in found:
            return found[opportunity_id][0]
    raise NotFound("session or slot", text)


def _counted(orders: int) -> str:
    return "1 order or proposal" if orders == 1 else f"{orders or 'no'} orders or proposals"
