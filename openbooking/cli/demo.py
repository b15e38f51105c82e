"""`openbooking demo`: the steps of a Broker, printed one by one."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.broker.client import UnexpectedAnswer
from openbooking.broker.demo import run_demo
from openbooking.cli.terminal import DEFAULT_PORT, OptionalPort, refuse
from openbooking.local.discovery import running_stack

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="URL of the system; by default the local stack's.")] = None,
    port: OptionalPort = None,
) -> None:
    """Act as a Broker: find a session, book it, cancel it, and find the change in the Orders feed."""
    if url is None:
        stack = None if port else running_stack()
        url = stack.url if stack else f"http://localhost:{port or DEFAULT_PORT}"
    try:
        run_demo(url, typer.echo)
    except UnexpectedAnswer as error:
        refuse(str(error))
