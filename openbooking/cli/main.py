"""The command line. Says what there is and with which options; the commands' work is elsewhere.

What a command needs is imported when it runs, so that `openbooking --help` answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openbooking.cli import identities
from openbooking.cli.terminal import DynamodbUrl, attached, console, refuse

if TYPE_CHECKING:
    from openbooking.conformance.profiles import Profile

app = typer.Typer(
    help="The booking system on this machine, and what its operator does with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
import_app = typer.Typer(help="Take an operator's data into the inventory.", no_args_is_help=True)
app.add_typer(import_app, name="import")


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Of the API; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="What to listen on.")] = "localhost",
    dynamodb_url: DynamodbUrl = None,
    dynamodb_port: Annotated[int, typer.Option(help="Of the embedded DynamoDB.")] = 0,
    samples: Annotated[bool, typer.Option(help="Load the sample inventory.")] = True,
    sweep_every: Annotated[
        float, typer.Option(help="Seconds between sweeps of expired leases; 0 for none.")
    ] = 5.0,
    conformance: Annotated[
        bool, typer.Option(help="Set up as the official test suite wants it (docs/conformance.md).")
    ] = False,
    overlay: Annotated[
        list[str] | None, typer.Option(help="With --conformance: as for suite-config; may be repeated.")
    ] = None,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    from openbooking.local.serving import serve as run

    profile = _profile(overlay, f"http://{host}:{port}", Path()) if conformance else None

    def seed() -> None:
        if samples:
            _load_samples()
        if profile is not None:
            _add_identities(profile)

    raise typer.Exit(
        run(
            host=host,
            port=port,
            dynamodb_url=dynamodb_url,
            dynamodb_port=dynamodb_port,
            sweep_every=sweep_every or None,
            seed=seed,
            settings=profile.server if profile else None,
        )
    )


@app.command("suite-config")
def suite_config(
    overlays: Annotated[
        list[str] | None, typer.Argument(help="Files of tests/suite, each laid over those before it.")
    ] = None,
    url: Annotated[str, typer.Option(help="Where the system runs.")] = "http://localhost:8000",
    output: Annotated[Path, typer.Option(help="Where the suite is to write its reports.")] = Path(
        "suite-output"
    ),
) -> None:
    """Print the official test suite's configuration, for its NODE_CONFIG: see docs/conformance.md."""
    typer.echo(json.dumps(_profile(overlays, url, output).suite))


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="Where the system runs; else the local stack's.")] = None,
) -> None:
    """Play a Broker: find a session, book it, cancel it, see that arrive in the Orders feed."""
    from openbooking.broker.client import UnexpectedAnswer
    from openbooking.broker.demo import run_demo
    from openbooking.local.discovery import running_stack

    if url is None:
        stack = running_stack()
        url = stack.url if stack else "http://localhost:8000"
    try:
        run_demo(url, typer.echo)
    except UnexpectedAnswer as error:
        refuse(str(error))


@import_app.command("rpde")
def import_rpde(
    url: Annotated[str, typer.Argument(help="The operator's dataset site.", metavar="DATASET_SITE_URL")],
    vat_rate: Annotated[
        str, typer.Option(help="The tax on its prices, which feeds do not say; 0 for none.")
    ] = "0.20",
    seller_details: Annotated[
        Path | None,
        typer.Option(
            help='JSON with what the feeds lack: {"<seller id>": {"legalName": ..., "address": {...}}}.'
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write all that is left out or withdrawn here, as JSON lines.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="The name of the site in the inventory, where its URL has changed since.")
    ] = "",
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Take in what an operator publishes; again and again, for what has changed since."""
    from chalicelib.runtime.system import from_environment
    from openbooking.cli import import_rpde as command
    from openbooking.local.discovery import running_stack

    try:
        stack = running_stack()
        options = command.ImportOptions(
            url=url,
            source=source,
            vat_rate=command.read_rate(vat_rate),
            seller_details=command.read_seller_details(seller_details) if seller_details else {},
            report=report,
            own_url=stack.url if stack else None,
        )
        with attached(dynamodb_url):
            system = from_environment()
            command.import_rpde(system.inventory, options, retry=system.retry, console=console())
    except command.ImportRefused as refused:
        refuse(str(refused))


def _profile(overlays: list[str] | None, url: str, output: Path) -> Profile:
    from openbooking.conformance.profiles import UnknownOverlayError, profile

    try:
        return profile(overlays or [], url=url, output=output)
    except UnknownOverlayError as error:
        refuse(str(error))


def _load_samples() -> None:
    from datetime import UTC, datetime

    from chalicelib.runtime.system import installed
    from openbooking.samples.seeding import load_samples

    load_samples(installed().inventory, datetime.now(UTC))


def _add_identities(profile: Profile) -> None:
    from chalicelib.runtime.system import installed
    from openbooking.conformance.profiles import add_identities

    add_identities(profile, installed().authority)


identities.add_to(app)


def main() -> None:
    """The console script."""
    app()
