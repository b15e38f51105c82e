"""`openbooking demo`: the steps of a Broker, printed one by one."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.broker.client import UnexpectedAnswer
from openbooking.broker.demo import run_demo, run_proposal
from openbooking.cli.pasteable import command, on_installation
from openbooking.cli.terminal import DynamodbUrl, OptionalPort, refuse
from openbooking.local.discovery import running_stacks

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="URL of the system; by default the local stack's.")] = None,
    port: OptionalPort = None,
    dynamodb_url: DynamodbUrl = None,
    seller: Annotated[
        str | None, typer.Option(help="Only a session of this Seller: its id, such as acme.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Book a session, and do not cancel it.")] = False,
    propose: Annotated[
        bool,
        typer.Option(
            "--propose", help="Propose to book a session that needs approval, and leave the answer to you."
        ),
    ] = False,
) -> None:
    """Act as a Broker: find a session, book it, cancel it, and find the change in the Orders feed.

    It talks to a running system: that of --url or --port, or the local stack that works on --dynamodb-url, or else
    the one that was started first.
    """
    if url is None:
        url = f"http://localhost:{port}" if port else _running(dynamodb_url)
    typer.echo(f"System: {url}", err=True)
    if keep and propose:
        refuse("Give either --keep or --propose.")
    try:
        if propose:
            order, of = run_proposal(url, typer.echo, seller=seller)
            with on_installation(None, dynamodb_url):
                typer.echo(f"\nTo answer: {command('proposals', 'accept', order, '--seller', seller or of)}")
        else:
            of = run_demo(url, typer.echo, seller=seller, keep=keep)
            if keep:
                with on_installation(None, dynamodb_url):
                    typer.echo(f"To see it: {command('bookings', 'list', '--seller', seller or of)}")
    except UnexpectedAnswer as error:
        refuse(str(error))


def _running(dynamodb_url: str | None) -> str:
    """The URL of the local stack. Ends the command if none is running, or none on the engine that was named."""
    stacks = running_stacks()
    if not stacks:
        refuse(
            "No local stack is running. Start one with `make run` and wait until it prints its URL, or name a system "
            "with --url or --port."
        )
    found = next((each for each in stacks if dynamodb_url in (None, each.dynamodb_url)), None)
    if found is None:
        refuse(
            f"No local stack works on {dynamodb_url} (--dynamodb-url, DYNAMODB_URL). "
            "Start one there with `make run`, or name a system with --url or --port."
        )
    return found.url
