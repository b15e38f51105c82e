"""`openbooking tokens`: refresh tokens that are out, and the keys that sign."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.cli.desks import AsJson, By, Stage, desk_to_change, desk_to_read
from openbooking.cli.output import show, text_of
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Refresh tokens that are out, and the keys that sign.", no_args_is_help=True, add_completion=False
)


@app.command("list")
def list_tokens(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """Refresh tokens that are good, by their grants; never the tokens themselves."""
    with desk_to_read(stage, dynamodb_url) as desk:
        show(desk.refresh_tokens.listed(), as_json, none="There are no refresh tokens.")


@app.command("revoke")
def revoke_tokens(
    grant: Annotated[str | None, typer.Argument(metavar="GRANT", help="As `tokens list` shows it.")] = None,
    partner: Annotated[str | None, typer.Option(help="All of this partner.")] = None,
    seller: Annotated[str | None, typer.Option(help="All of this Seller.")] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """End refresh tokens: somebody of the Seller has to log in anew."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        typer.echo(f"Ended: {len(desk.refresh_tokens.revoke(grant, partner=partner, seller=seller))}.")


@app.command("keys")
def list_keys(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """The keys that our tokens are signed with."""
    with desk_to_read(stage, dynamodb_url) as desk:
        show(desk.signing_keys.listed(), as_json, none="There are no keys yet: the first token makes one.")


@app.command("rotate-keys")
def rotate_keys(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Sign with it now, though not everyone has it yet.")
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Make a new key. It happens by itself every 90 days."""
    with desk_to_change(stage, dynamodb_url, by, signing_key=True) as desk:
        key = desk.signing_keys.rotate(at_once=at_once)
        typer.echo(f"Key {key.kid} signs from {text_of(key.signs_from)} UTC.")


@app.command("forget-key")
def forget_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `tokens keys` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Take a key away that others may have: all tokens it has signed are refused."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        signs = desk.signing_keys.signs(key)  # before anybody is asked
        warning = "It signs tokens now; the next token makes a new key. " if signs else ""
        if not yes and not typer.confirm(
            f"{warning}All tokens that it has signed will be refused. Forget it?"
        ):
            refuse("Nothing was changed.")
        desk.signing_keys.forget(key)
        typer.echo(
            "The key is forgotten. Within a quarter of an hour nothing that it signed is taken any more."
        )
