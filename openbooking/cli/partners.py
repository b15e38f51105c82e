"""`openbooking partners`: booking partners, their credentials, and what Sellers allow them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from chalicelib.identity.scopes import BOOKING
from openbooking.cli.acting import Changing
from openbooking.cli.administration import AsJson, By, PartnerId, Stage, changing, reading
from openbooking.cli.options import with_options
from openbooking.cli.output import show, show_details, show_secrets
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(
    help="Booking partners: their credentials, and what Sellers allow them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("add")
def add_partner(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shown to Sellers on the consent page.")],
    own_id: Annotated[
        str | None, typer.Option("--id", help="The client id; by default a random one.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where Sellers are redirected after login; may be repeated.")
    ] = None,
    seller: Annotated[str | None, typer.Option(help="The Seller it may act for without a login.")] = None,
    url: Annotated[str | None, typer.Option(help="The partner's website, shown with its name.")] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Add a booking partner, and show its client id and secret, once."""
    with changing(stage, dynamodb_url, by) as admin:
        partner, secret = admin.partners.add(
            name, own_id=own_id, redirect_uris=redirect_uri or (), seller=seller, url=url
        )
        show_secrets({"client id": partner.id, "client secret": secret})


@app.command("list")
def list_partners(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List all booking partners."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.partners.listed(), as_json, none="There are no booking partners.")


@app.command("show")
def show_partner(
    partner: PartnerId, as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None
) -> None:
    """Show one booking partner, with the Sellers that allow it."""
    with reading(stage, dynamodb_url) as admin:
        shown = admin.partners.shown(partner)
        if as_json:
            show([shown], as_json=True)
            return
        allowed_by = shown.pop("allowed_by")
        show_details({**shown, **({"allowed_by": allowed_by} if allowed_by else {})})
        if not allowed_by:
            typer.echo("No Seller allows it.")


@app.command(
    "allow",
    epilog="Examples: openbooking partners allow broker --seller acme; "
    "openbooking partners allow broker --seller acme --scope openactive-ordersfeed --dry-run",
)
@with_options
def allow_partner(
    options: Changing,
    partner: PartnerId,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do; may be repeated. By default openactive-openbooking."),
    ] = None,
) -> None:
    """Allow a partner to act for a Seller with its own credentials only. A partner can do so for one Seller."""
    with options.acting() as (admin, actor):
        scopes = scope or [BOOKING]
        if options.dry_run:
            admin.authorisations.check(actor.seller_id, partner, scopes)
        else:
            admin.authorisations.authorise(actor.seller_id, partner, scopes)
        shown = admin.seller_ids.shown(actor.seller_id)
        may = "might" if options.dry_run else "may"
        options.say(
            {"partner": partner, "seller": shown, "scopes": scopes},
            f"Booking partner {partner} {may} act for {shown}: {', '.join(scopes)}.",
        )


@app.command("deny", epilog="Example: openbooking partners deny broker --seller acme")
@with_options
def deny_partner(
    options: Changing,
    partner: PartnerId,
) -> None:
    """End a partner's permission to act for a Seller. Its Orders stay, and leave its feed."""
    with options.acting() as (admin, actor):
        if options.dry_run:
            admin.authorisations.current(actor.seller_id, partner)
        else:
            admin.authorisations.revoke(actor.seller_id, partner)
        shown = admin.seller_ids.shown(actor.seller_id)
        no_longer = "would no longer allow" if options.dry_run else "no longer allows"
        options.say(
            {"partner": partner, "seller": shown, "scopes": []},
            f"{shown} {no_longer} booking partner {partner}.",
        )


@app.command("suspend")
def suspend_partner(
    partner: PartnerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Issue no tokens to a partner until it is resumed."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Booking partner {admin.partners.suspend(partner).id} is suspended.")


@app.command("resume")
def resume_partner(
    partner: PartnerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Enable a suspended partner again."""
    with changing(stage, dynamodb_url, by) as admin:
        resumed = admin.partners.resume(partner)
        needs = "" if resumed.secrets else " It has no secret: create one with `rotate-secret`."
        typer.echo(f"Booking partner {resumed.id} is active again.{needs}")


@app.command("rotate-secret")
def rotate_secret(
    partner: PartnerId,
    keep_old: Annotated[int, typer.Option(min=0, help="Hours for which the old secret stays valid.")] = 24,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Create a new secret for a partner, and show it once. Its Orders are not affected."""
    with changing(stage, dynamodb_url, by) as admin:
        secret = admin.partners.rotate_secret(partner, keep_old=timedelta(hours=keep_old))
        show_secrets({"client id": partner, "client secret": secret})
        typer.echo(
            f"The old secret expires in {keep_old} hours." if keep_old else "The old secret has expired."
        )


@app.command("revoke")
def revoke_partner(
    partner: PartnerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """End a partner's secrets, API keys, refresh tokens and authorisations. Its Orders stay."""
    with changing(stage, dynamodb_url, by) as admin:
        ended = admin.partners.revoke(partner)
        counts = ", ".join(f"{what}: {number}" for what, number in ended.items())
        typer.echo(f"Booking partner {partner} is revoked. Ended with it: {counts}.")


@app.command("api-key")
def make_api_key(
    partner: PartnerId,
    seller: Annotated[str | None, typer.Option(help="The Seller it may act for with this key.")] = None,
    note: Annotated[str, typer.Option(help="What the key is for; not secret.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, help="Days until it expires; by default valid until revoked.")
    ] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Create an API key for a partner, and show it once."""
    with changing(stage, dynamodb_url, by) as admin:
        show_secrets({"API key": admin.api_keys.add(partner, seller=seller, note=note, days=days)})


@app.command("api-keys")
def list_api_keys(
    partner: PartnerId, as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None
) -> None:
    """List a partner's API keys, each with the first characters of its stored hash."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.api_keys.listed(partner), as_json, none="The partner has no API keys.")


@app.command("revoke-api-key")
def revoke_api_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `api-keys` shows it.")],
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """End an API key."""
    with changing(stage, dynamodb_url, by) as admin:
        ended = admin.api_keys.revoke(key)
        typer.echo(f"The API key of {ended.partner_id} is refused within five minutes.")


@app.command("invite")
def invite_partner(
    note: Annotated[str, typer.Option(help="Who will use it.")] = "",
    uses: Annotated[int, typer.Option(min=1, help="How many partners may register with it.")] = 1,
    days: Annotated[int, typer.Option(min=1, help="Days until it expires.")] = 14,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Create an initial access token, with which a partner can register itself, and show it once."""
    with changing(stage, dynamodb_url, by) as admin:
        show_secrets({"initial access token": admin.invitations.add(note=note, uses=uses, days=days)})


@app.command("invitations")
def list_invitations(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List invitations that can still be used."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.invitations.listed(), as_json, none="There are no invitations.")


@app.command("uninvite")
def uninvite_partner(
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="As `invitations` shows it.")],
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Withdraw an invitation. Partners that have registered with it stay."""
    with changing(stage, dynamodb_url, by) as admin:
        admin.invitations.withdraw(invitation)
        typer.echo("The invitation is withdrawn.")
