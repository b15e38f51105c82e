"""`openbooking logins`: the logins of people who may act for Sellers."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.identity.hashing import new_secret
from openbooking.cli.administration import AsJson, By, SellerId, Stage, changing, reading
from openbooking.cli.output import show, show_secrets
from openbooking.cli.terminal import DynamodbUrl

Username = Annotated[str, typer.Argument(metavar="USERNAME", help="The name with which the person signs in.")]
Generate = Annotated[bool, typer.Option("--generate", help="Generate a password, and show it once.")]

app = typer.Typer(
    help="Logins of people who may act for Sellers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("add")
def add_login(
    username: Username,
    seller: Annotated[list[str], typer.Option(help="A Seller the login may act for; may be repeated.")],
    generate: Generate = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Add a login. The command prompts for the password twice; it is never an argument."""
    with changing(stage, dynamodb_url, by) as admin:
        admin.logins.check_new(username, seller)  # before the prompt for a password
        password = _password(generate)
        login = admin.logins.add(username, seller, password)
        if generate:
            show_secrets({"user name": login.username, "password": password})
        else:
            typer.echo(f"Login {login.username} is added.")


@app.command("list")
def list_logins(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List all logins, and the Sellers they may act for."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.logins.listed(), as_json, none="There are no logins.")


@app.command("set-password")
def set_password(
    username: Username,
    generate: Generate = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Replace a password."""
    with changing(stage, dynamodb_url, by) as admin:
        user_name = admin.logins.find(username).username
        password = _password(generate)
        admin.logins.set_password(username, password)
        if generate:
            show_secrets({"user name": user_name, "password": password})
        else:
            typer.echo(f"Login {user_name} has a new password.")


@app.command("allow")
def allow_login(
    username: Username, seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Allow a login to act for one more Seller."""
    with changing(stage, dynamodb_url, by) as admin:
        admin.logins.allow(username, seller)
        typer.echo(f"Login {username} may now act for {seller}.")


@app.command("disallow")
def disallow_login(
    username: Username, seller: SellerId, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Stop a login from acting for a Seller. Consents that it gave for the Seller stay."""
    with changing(stage, dynamodb_url, by) as admin:
        admin.logins.disallow(username, seller)
        typer.echo(f"Login {username} may no longer act for {seller}.")


@app.command("suspend")
def suspend_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Disable a login until it is resumed."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Login {admin.logins.suspend(username).username} is suspended.")


@app.command("resume")
def resume_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Enable a suspended login again."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Login {admin.logins.resume(username).username} is active again.")


@app.command("remove")
def remove_login(
    username: Username, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None
) -> None:
    """Remove a login. Consents that it gave for its Sellers stay."""
    with changing(stage, dynamodb_url, by) as admin:
        typer.echo(f"Login {admin.logins.remove(username).username} is removed.")


def _password(generate: bool) -> str:
    if generate:
        return new_secret()[:20]
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
