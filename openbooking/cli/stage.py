"""`openbooking stage`: packages, rehearses and deploys a stage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import boto3
import typer
from botocore.config import Config

from openbooking.cli.terminal import refuse
from openbooking.deployment.deploy import Aws
from openbooking.deployment.deploy import deploy as deploy_stage
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.packaging import package as package_stage
from openbooking.deployment.rehearsal import rehearse as rehearse_stage

app = typer.Typer(help="Package, rehearse and deploy a stage.", no_args_is_help=True, add_completion=False)

Stage = Annotated[str, typer.Option("--stage", help="A stage of .chalice/config.json.")]


class Switch(StrEnum):
    """The values of a switch."""

    on = "on"
    off = "off"


@app.command()
def package(stage: Stage = "dev") -> None:
    """Create the package for a pipeline, in dist/."""
    with _one_line_for_errors():
        made = package_stage(stage)
    typer.echo(f"{made.template}\n{made.alarms}\n{made.zip}")


@app.command()
def rehearse(stage: Stage = "dev") -> None:
    """Run the whole deployment against a simulated AWS on this machine."""
    with _one_line_for_errors():
        rehearse_stage(stage)


@app.command()
def deploy(
    stage: Stage,
    deletion_protection: Annotated[
        Switch | None, typer.Option(help="Whether AWS refuses to delete the tables.")
    ] = None,
    alarm_email: Annotated[
        str | None,
        typer.Option(help="The address that receives the alarms. Without it the one that is set stays."),
    ] = None,
) -> None:
    """Deploy to the AWS account that boto3 finds."""
    parameters = {}
    if deletion_protection:
        parameters["DeletionProtection"] = str(deletion_protection is Switch.on).lower()
    session = boto3.Session()
    # API Gateway allows one deployment in five seconds, and Chalice has just made one.
    patient = Config(retries={"mode": "standard", "max_attempts": 10})
    aws = Aws(lambda service: session.client(service, config=patient), os.environ)
    with _one_line_for_errors():
        deployed = deploy_stage(stage, aws, parameters=parameters, alarm_email=alarm_email)
    typer.echo(f"Serving at {deployed.rest_api_url}")
    if deployed.alarm_email:
        typer.echo(f"Alarms go to {deployed.alarm_email}, once that address has confirmed.")
    else:
        typer.echo(f"No address receives the alarms: make deploy STAGE={stage} ALARM_EMAIL=you@example.org")


@contextmanager
def _one_line_for_errors() -> Iterator[None]:
    """End the command with one line for errors that need no stack trace."""
    try:
        yield
    except DeploymentError as error:
        refuse(str(error))
