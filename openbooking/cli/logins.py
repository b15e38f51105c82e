"""`openbooking logins`: the logins of people who may speak for Sellers."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.identity.hashing import new_secret
from openbooking.cli.desks import AsJson, By, SellerId, Stage, desk_to_change, desk_to_read
from openbooking.cli.output import show, tell_once
from openbooking.cli.terminal import DynamodbUrl

Username = Annotated[str, typer.Argument(metavar="USERNAME")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password up, and show it once.")]

app = typer.Typer(
    help="Logins of people who may speak for Sellers.", no_args_is_help=True, add_completion=False
)


@app.command("add")
def add_login(
    username: Username,
    seller: Annotated[list[str], typer.Option(help="A Seller it speaks for; may be repeated.")],
    generate: Generate = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Add a login. The password is asked for, twice; it is never an argument."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        desk.logins.check_new(username, seller)  # before anybody types a password
        password = _password(generate)
        login = desk.logins.add(username, seller, password)
        if generate:
            tell_once({"user name": login.username, "password": password})
        else:
            typer.echo(f"Login {login.username} is added.")


@app.command("list")
def list_logins(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """All logins, and the Sellers for whom they speak."""
    with desk_to_read(stage, dynamodb_url) as desk:
        show(desk.logins.listed(), as_json, none="There are no logins.")


@app.command("set-password")
def set_password(
    username: Username,
    generate: Generate = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Replace a password."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        known_as = desk.logins.find(username).username
        password = _password(generate)
        desk.logins.set_password(username, password)
        if generate:
            tell_once({"user name": known_as, "password": password})
        else:
            typer.echo(f"Login {known_as} has a new password.")


@app.command("allow")
def allow_login(
    username: Username, seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Let a login speak for one more Seller."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        desk.logins.allow(username, seller)
        typer.echo(f"Login {username} speaks for {seller} too.")


@app.command("disallow")
def disallow_login(
    username: Username, seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Let a login no longer speak for a Seller. What it has allowed in its name stays."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        desk.logins.disallow(username, seller)
        typer.echo(f"Login {username} no longer speaks for {seller}.")


@app.command("suspend")
def suspend_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Let nobody log in with it until it is resumed."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        typer.echo(f"Login {desk.logins.suspend(username).username} is suspended.")


@app.command("resume")
def resume_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Let a suspended login go on."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        typer.echo(f"Login {desk.logins.resume(username).username} is active again.")


@app.command("remove")
def remove_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Take a login away. What it has allowed in its Sellers' names stays."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        typer.echo(f"Login {desk.logins.remove(username).username} is removed.")


def _password(generate: bool) -> str:
    if generate:
        return new_secret()[:20]
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
