"""`openbooking sellers`: Sellers, and which booking partners they allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.domain.parties import AccessMethod
from chalicelib.services.errors import AlreadyExists
from openbooking.cli.administration import AsJson, By, PartnerId, SellerId, Stage, changing, reading
from openbooking.cli.output import in_words, show, show_details
from openbooking.cli.seller_input import seller_file, tax_rate
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Sellers, and which booking partners they allow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_sellers(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List all Sellers, and the booking partners they allow."""
    with reading(stage, dynamodb_url) as admin:
        rows = admin.sellers.listed()
        if not as_json:
            rows = [in_words({**row, "id": row["short_id"]}) for row in rows]
            for row in rows:
                del row["short_id"]
        show(rows, as_json, none="There are no Sellers.")


@app.command("show")
def show_seller(
    seller: SellerId, as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None
) -> None:
    """Show what is known of a Seller, whether anything of it can be booked, and what is missing.

    Example: openbooking sellers show acme
    """
    with reading(stage, dynamodb_url) as admin:
        shown = admin.sellers.shown(admin.sellers.find(seller))
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
    else:
        show_details(in_words(shown))


@app.command("add")
def add_seller(
    own_id: Annotated[
        str | None,
        typer.Option(
            "--id", help="The Seller's id in your feeds (a URL), or a short name for an id of ours."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name shown to customers.")] = None,
    legal_name: Annotated[str | None, typer.Option(help="The legal name, for receipts.")] = None,
    tax_mode: Annotated[
        str | None, typer.Option(help="gross: prices include tax; net: tax is added.")
    ] = None,
    vat_rate: Annotated[str, typer.Option(help="The tax rate of its prices; 0 for none.")] = "0.20",
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A JSON file with the Seller in the form of a feed's organizer."),
    ] = None,
    access: Annotated[
        list[AccessMethod] | None,
        typer.Option(
            help="What is made for those who book, to get in with: a code, or a pass as an image or a barcode. "
            "Repeatable; by default none."
        ),
    ] = None,
    replacing: Annotated[
        bool, typer.Option("--replace", help="Replace an existing Seller with this id.")
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Add a Seller. Options override the values in the file."""
    with changing(stage, dynamodb_url, by) as admin:
        options = {"@id": own_id, "name": name, "legalName": legal_name, "taxMode": tax_mode}
        document = seller_file(file) if file else {}
        document |= {term: value for term, value in options.items() if value is not None}
        try:
            seller, lacking = admin.sellers.add(
                document, tax_rate(vat_rate), replacing=replacing, access_methods=access or ()
            )
        except AlreadyExists as error:
            refuse(f"{str(error).removesuffix('.')}; use --replace to replace it.")
        typer.echo(f"Seller {admin.seller_ids.shown(seller.id)} is {'replaced' if replacing else 'added'}.")
        if reason := seller.why_no_bookings:
            typer.echo(f"Nothing of it can be booked yet. {reason}")
        if lacking:
            typer.echo(f"Its receipts will lack {', '.join(lacking)}: add them with --from and --replace.")


@app.command("authorise")
def authorise_partner(
    seller: SellerId,
    partner: PartnerId,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do; may be repeated. By default openactive-openbooking."),
    ] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Allow a partner to act for a Seller with its own credentials only, without a login."""
    with changing(stage, dynamodb_url, by) as admin:
        given = admin.authorisations.authorise(seller, partner, *([scope] if scope else []))
        allowed = ", ".join(given.scopes)
        typer.echo(
            f"Booking partner {given.partner_id} may act for {admin.seller_ids.shown(given.seller_id)}: {allowed}."
        )


@app.command("revoke")
def revoke_authorisation(
    seller: SellerId,
    partner: Annotated[
        str | None, typer.Argument(metavar="PARTNER", help="Only this partner; by default all.")
    ] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Revoke a partner's authorisation for a Seller, or those of all partners."""
    with changing(stage, dynamodb_url, by) as admin:
        for ended in admin.authorisations.revoke(seller, partner):
            typer.echo(
                f"{admin.seller_ids.shown(ended.seller_id)} no longer allows booking partner {ended.partner_id}."
            )


@app.command("suspend")
def suspend_seller(
    seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Stop all partners from acting for a Seller until it is resumed."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Seller {admin.seller_ids.shown(admin.sellers.suspend(seller).seller_id)} is suspended.")


@app.command("resume")
def resume_seller(
    seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Enable a suspended Seller again."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(
            f"Seller {admin.seller_ids.shown(admin.sellers.resume(seller).seller_id)} is active again."
        )
