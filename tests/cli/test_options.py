"""Options that commands have in common, as typer takes them from dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from openbooking.cli.options import with_options

app = typer.Typer()


@dataclass(frozen=True)
class Where:
    """Options of a test."""

    stage: Annotated[str | None, typer.Option(help="A stage.")] = None
    is_dry: Annotated[bool, typer.Option("--dry-run")] = False


@app.command()
@with_options
def command(where: Where, name: Annotated[str, typer.Argument()], times: int = 1) -> None:
    """Says what it was given."""
    typer.echo(f"{name} {times} {where}")


def test_each_field_is_an_option_and_the_command_gets_them_as_one_object() -> None:
    run = CliRunner().invoke(app, ["Ann", "--times", "2", "--stage", "dev", "--dry-run"])
    assert run.stdout == "Ann 2 Where(stage='dev', is_dry=True)\n"
    assert CliRunner().invoke(app, ["Ann"]).stdout == "Ann 1 Where(stage=None, is_dry=False)\n"
    assert CliRunner().invoke(app, ["Ann", "--where", "x"]).exit_code == 2


def test_its_help_is_that_of_the_function() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Says what it was given." in shown and "--dry-run" in shown and "A stage." in shown
