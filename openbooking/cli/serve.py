"""`openbooking serve`: the local stack, with samples and the identities of a conformance profile."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.runtime.system import installed
from chalicelib.sandbox.plan import Size
from openbooking.cli.serving import serve as run
from openbooking.cli.suite_config import read_profile
from openbooking.cli.terminal import DEFAULT_PORT, DynamodbUrl, Port, table_prefix
from openbooking.conformance.profiles import add_identities
from openbooking.samples.seeding import load_samples

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class SandboxSize(StrEnum):
    """How many opportunities for tests the local stack keeps."""

    none = "none"
    small = "small"  # two of each criterion, type and flow; they are made while the server runs
    suite = "suite"  # what the official test suite needs in random mode; made before the server answers


@app.command()
def serve(
    port: Port = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="The host to listen on.")] = "localhost",
    dynamodb_url: DynamodbUrl = None,
    dynamodb_port: Annotated[int, typer.Option(help="Port of the embedded DynamoDB; 0 for a free one.")] = 0,
    samples: Annotated[bool, typer.Option(help="Load the sample inventory.")] = True,
    sweep_every: Annotated[
        float, typer.Option(help="Seconds between sweeps of expired leases; 0 for none.")
    ] = 5.0,
    conformance: Annotated[
        bool, typer.Option(help="Use the settings for the official test suite (docs/conformance.md).")
    ] = False,
    overlay: Annotated[
        list[str] | None,
        typer.Option(help="With --conformance: an overlay, as for suite-config; may be repeated."),
    ] = None,
    sandbox: Annotated[
        SandboxSize | None,
        typer.Option(
            help="Opportunities for tests: two of each kind, as many as the official test suite needs, or none "
            "(docs/sandbox.md).",
            show_default="small; none with --conformance",
        ),
    ] = None,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    profile = read_profile(overlay, f"http://{host}:{port}", Path()) if conformance else None

    sandbox_size = sandbox or (SandboxSize.none if conformance else SandboxSize.small)

    def seed() -> None:
        if samples:
            seed_samples()
        if profile is not None:
            add_identities(profile, installed())
        if sandbox_size is not SandboxSize.none:
            seed_sandbox(sandbox_size, profile.types_in_scope if profile else None)

    raise typer.Exit(
        run(
            host=host,
            port=port,
            dynamodb_url=dynamodb_url,
            dynamodb_port=dynamodb_port,
            table_prefix=table_prefix(),
            sweep_every=sweep_every or None,
            seed=seed,
            settings=profile.server if profile else None,
        )
    )


def seed_samples() -> None:
    """Load the samples into the inventory of this process."""
    load_samples(installed().inventory, datetime.now(UTC))


def seed_sandbox(size: SandboxSize, types: frozenset[str] | None = None) -> None:
    """Plan a sandbox in the installation of this process. A small one is filled later, by the schedule."""
    system = installed()
    for_suite = size is SandboxSize.suite
    system.sandbox.plan(system.store.sellers(), Size(for_suite=for_suite, types=types))
    if for_suite:
        system.sandbox.fill()
