"""`openbooking demo`: a Broker's journey, printed step by step."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.broker.client import UnexpectedAnswer
from openbooking.broker.demo import run_demo
from openbooking.cli.terminal import refuse
from openbooking.local.discovery import running_stack

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="Where the system runs; else the local stack's.")] = None,
) -> None:
    """Play a Broker: find a session, book it, cancel it, see that arrive in the Orders feed."""
    if url is None:
        stack = running_stack()
        url = stack.url if stack else "http://localhost:8000"
    try:
        run_demo(url, typer.echo)
    except UnexpectedAnswer as error:
        refuse(str(error))
