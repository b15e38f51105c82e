"""`openbooking proposals`: OrderProposals that wait for the Seller, and the answers to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.parties import Json
from chalicelib.services.actors import Actor
from chalicelib.services.desk.orders import SellerOrders
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
    looking,
    show_details,
    show_page,
)
from openbooking.cli.administration import AsJson, By, Stage
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(
    help="Order proposals that wait for an answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Note = Annotated[str | None, typer.Option(help="A note for the customer.")]
_CODES = "Exit codes: 0 done; 1 refused, nothing was changed; 2 a wrong option."


@app.command(
    "list",
    epilog="Examples: openbooking proposals list --seller acme; openbooking proposals list --status SellerRejected --json",
)
def list_proposals(
    seller: SellerOption = None,
    status: Annotated[
        ProposalStatus, typer.Option(help="Those in this state instead of those that wait.")
    ] = ProposalStatus.AwaitingSellerConfirmation,
    after: After = "",
    limit: Limit = 100,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List the proposals that wait for the Seller, with the customers' notes; the oldest first."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        page = admin.seller_lists.proposals(actor, after=after, limit=limit, which=[status])
        none = "No proposal waits for an answer."
        show_page(page, as_json, none, zone, without=("seller", "status", "since"))


@app.command("show", epilog="Example: openbooking proposals show UUID --seller acme")
def show_proposal(
    uuid: Uuid,
    seller: SellerOption = None,
    partner: Partner = None,
    zone: Zone = LONDON,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Show a proposal with its items, its customer and the customer's note."""
    with looking(seller, stage, dynamodb_url) as (admin, actor):
        show_details(admin.seller_lists.proposal(actor, uuid, partner), as_json, zone)


@app.command("accept", epilog=f"Example: openbooking proposals accept UUID --seller acme. {_CODES}")
def accept_proposal(
    uuid: Uuid,
    seller: SellerOption = None,
    partner: Partner = None,
    note: Note = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Accept a proposal: the Broker may then book it."""

    def accept(orders: SellerOrders, actor: Actor) -> Json:
        return orders.accept(actor, uuid, partner, note=note, dry_run=dry_run)

    _answer(seller, stage, dynamodb_url, by, as_json, "accepted", dry_run, accept)


@app.command("reject", epilog=f'Example: openbooking proposals reject UUID --note "We are full." {_CODES}')
def reject_proposal(
    uuid: Uuid,
    seller: SellerOption = None,
    partner: Partner = None,
    note: Note = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Reject a proposal, even if it was accepted, as long as it is not booked."""

    def reject(orders: SellerOrders, actor: Actor) -> Json:
        return orders.reject(actor, uuid, partner, note=note, dry_run=dry_run)

    _answer(seller, stage, dynamodb_url, by, as_json, "rejected", dry_run, reject)


@app.command(
    "amend",
    epilog="Examples: openbooking proposals amend UUID --with SESSION --offer Adult; "
    f'openbooking proposals amend UUID --note "Only with a helmet." {_CODES}',
)
def amend_proposal(
    uuid: Uuid,
    session: Annotated[
        str | None, typer.Option("--with", metavar="SESSION", help="The session to propose instead.")
    ] = None,
    offer: Annotated[
        str | None, typer.Option(help="Its offer, by id or name; not needed if it has only one.")
    ] = None,
    items: Items = None,
    seller: SellerOption = None,
    partner: Partner = None,
    note: Note = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Propose another session or offer, or another note. The proposal then waits again for your acceptance.

    Another session needs an offer that allows negotiation, and enough spaces.
    """

    def amend(orders: SellerOrders, actor: Actor) -> Json:
        return orders.amend(
            actor, uuid, partner, session=session, offer=offer, item_ids=items, note=note, dry_run=dry_run
        )

    _answer(seller, stage, dynamodb_url, by, as_json, "amended", dry_run, amend)


def _answer(
    seller: str | None,
    stage: str | None,
    dynamodb_url: str | None,
    by: str | None,
    as_json: bool,
    what: str,
    dry_run: bool,
    answer: Callable[[SellerOrders, Actor], Json],
) -> None:
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        row = answer(admin.seller_orders, actor)
        if as_json:
            typer.echo(json.dumps(row, default=str, indent=2))
            return
        would = "would be" if dry_run else "is"
        typer.echo(f"Proposal {row['uuid']} of booking partner {row['partner']} {would} {what}.")
