"""`openbooking tokens`: refresh tokens and signing keys."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show, text_of
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Refresh tokens and signing keys.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command("list")
def list_tokens(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List valid refresh tokens by their grants; the tokens themselves are never shown."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.refresh_tokens.listed(), as_json, none="There are no refresh tokens.")


@app.command("revoke")
def revoke_tokens(
    grant: Annotated[str | None, typer.Argument(metavar="GRANT", help="As `tokens list` shows it.")] = None,
    partner: Annotated[str | None, typer.Option(help="All refresh tokens of this partner.")] = None,
    seller: Annotated[str | None, typer.Option(help="All refresh tokens for this Seller.")] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Revoke refresh tokens. The Seller then has to log in again."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Revoked: {len(admin.refresh_tokens.revoke(grant, partner=partner, seller=seller))}.")


@app.command("keys")
def list_keys(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List the signing keys of our tokens."""
    with reading(stage, dynamodb_url) as admin:
        show(
            admin.signing_keys.listed(),
            as_json,
            none="There are no signing keys yet: the first token creates one.",
        )


@app.command("rotate-keys")
def rotate_keys(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Sign with it now, before all instances and partners know it.")
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Create a new signing key. This also happens automatically every 90 days."""
    with changing(stage, dynamodb_url, by, signing_key=True) as admin:
        key = admin.signing_keys.rotate(at_once=at_once)
        typer.echo(f"Key {key.kid} signs from {text_of(key.signs_from)} UTC.")


@app.command("forget-key")
def forget_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `tokens keys` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Remove a signing key that may have leaked: all tokens it has signed are refused."""
    with changing(stage, dynamodb_url, by) as admin:
        signs = admin.signing_keys.signs(key)  # before the prompt
        warning = "This key is in use; the next token creates a new one. " if signs else ""
        if not yes and not typer.confirm(
            f"{warning}All tokens that it has signed will be refused. Remove it?"
        ):
            refuse("Nothing was changed.")
        admin.signing_keys.forget(key)
        typer.echo("The key is removed. Tokens that it signed are refused within 15 minutes.")
