"""`openbooking suite-config`: the official test suite's configuration for this system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from openbooking.cli.terminal import refuse
from openbooking.conformance.profiles import Profile, UnknownOverlayError, profile

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def suite_config(
    overlays: Annotated[
        list[str] | None, typer.Argument(help="Files in tests/suite; each overrides those before it.")
    ] = None,
    url: Annotated[str, typer.Option(help="URL of the system.")] = "http://localhost:8000",
    output: Annotated[Path, typer.Option(help="Folder for the suite's reports.")] = Path("suite-output"),
) -> None:
    """Print the official test suite's configuration, for its NODE_CONFIG: see docs/conformance.md."""
    typer.echo(json.dumps(read_profile(overlays, url, output).suite))


def read_profile(overlays: list[str] | None, url: str, output: Path) -> Profile:
    """The profile with these overlays. Ends the command if an overlay does not exist."""
    try:
        return profile(overlays or [], url=url, output=output)
    except UnknownOverlayError as error:
        refuse(str(error))
