"""`openbooking stage`: packages, plans, deploys, rolls back and removes a stage, and rehearses all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import boto3
import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from openbooking.cli.output import show
from openbooking.cli.terminal import refuse
from openbooking.deployment import project, smoke
from openbooking.deployment.deploy import Aws, OnDrift
from openbooking.deployment.deploy import Stage as DeployedStage
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.outcome import Deployed, lines_of
from openbooking.deployment.packaging import package as package_stage
from openbooking.deployment.rehearsal import rehearse as rehearse_stage
from openbooking.deployment.removal import remove as remove_stage

app = typer.Typer(
    help="Package, rehearse and deploy a stage.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Stage = Annotated[str, typer.Option("--stage", help="A stage of .chalice/config.json.")]
Drift = Annotated[
    OnDrift, typer.Option("--drift", help="What to do with what others have set since the last deployment.")
]

# What a person can do something about, by the error code of AWS.
_REFUSED = {
    "ExpiredToken": "The AWS credentials have expired: log in again.",
    "ExpiredTokenException": "The AWS credentials have expired: log in again.",
    "InvalidClientTokenId": "AWS does not know these credentials.",
    "UnrecognizedClientException": "AWS does not know these credentials.",
    "SignatureDoesNotMatch": "The AWS secret access key is wrong.",
}


class Switch(StrEnum):
    """The values of a switch."""

    on = "on"
    off = "off"


@app.command()
def package(stage: Stage = "dev") -> None:
    """Create the package for a pipeline, in dist/."""
    with _one_line_for_errors():
        made = package_stage(stage)
    for each in (made.template, made.alarms, made.bill, *made.zips.values(), made.zip):
        typer.echo(each)


@app.command()
def rehearse(stage: Stage = "dev") -> None:
    """Run a stage's whole life against a simulated AWS on this machine."""
    with _one_line_for_errors():
        rehearse_stage(stage)


DeletionProtection = Annotated[Switch | None, typer.Option(help="Whether AWS refuses to delete the tables.")]
AlarmEmail = Annotated[
    str | None,
    typer.Option(help="The address that receives the alarms. Without it the one that is set stays."),
]
QuietHours = Annotated[
    int | None, typer.Option(help="Hours without a booking after which there is an alarm; 0: never.")
]
MonthlyBudget = Annotated[int | None, typer.Option(help="US dollars a month; 0: no budget.")]


@app.command()
def plan(
    stage: Stage,
    deletion_protection: DeletionProtection = None,
    alarm_email: AlarmEmail = None,
    quiet_hours: QuietHours = None,
    monthly_budget: MonthlyBudget = None,
) -> None:
    """Show what a deployment would change, and what others have changed since the last one."""
    with _one_line_for_errors():
        lines = _of_aws(stage).plan(
            parameters=_data_parameters(deletion_protection),
            alarm_parameters=_alarm_parameters(alarm_email, quiet_hours, monthly_budget),
        )
    typer.echo("\n".join(lines) or "Nothing to change.")


@app.command()
def deploy(
    stage: Stage,
    deletion_protection: DeletionProtection = None,
    alarm_email: AlarmEmail = None,
    quiet_hours: QuietHours = None,
    monthly_budget: MonthlyBudget = None,
    drift: Drift = OnDrift.stop,
) -> None:
    """Deploy to the AWS account that boto3 finds, and check that the API answers."""
    with _one_line_for_errors():
        deployed = _of_aws(stage).deploy(
            parameters=_data_parameters(deletion_protection),
            alarm_parameters=_alarm_parameters(alarm_email, quiet_hours, monthly_budget),
            on_drift=drift,
        )
        _finish(deployed, stage)


@app.command()
def check(stage: Stage, url: Annotated[str, typer.Option(help="The API's URL, with its stage.")]) -> None:
    """Ask a deployed API a few questions that need no credentials and change nothing."""
    with _one_line_for_errors():
        ways = project.variables_of(stage).get("AUTHENTICATION", "")
        number = smoke.check(url.rstrip("/") + "/", with_provider="openid" in ways)
    typer.echo(f"Checked: {number} requests were answered as they should be.")


@app.command()
def rollback(
    stage: Stage,
    release: Annotated[
        str | None, typer.Option(help="Its id; without it the one before the current one.")
    ] = None,
    drift: Drift = OnDrift.stop,
) -> None:
    """Restore an earlier release: code, routes, settings and policies. Data stays."""
    with _one_line_for_errors():
        deployed = _of_aws(stage).rollback(release, on_drift=drift)
        _finish(deployed, stage)


@app.command()
def releases(stage: Stage, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the releases of a stage, oldest first."""
    with _one_line_for_errors():
        listed, current = _of_aws(stage).releases()
    rows = [
        {
            "release": each.id,
            "state": "current" if each.id == current else "",
            "at": each.at,
            "commit": each.commit,
            "python": each.python,
            "by": each.by,
        }
        for each in listed
    ]
    show(rows, as_json, none="There is no release.")


@app.command()
def unlock(stage: Stage) -> None:
    """Release the lock that a command which was cut off has left."""
    with _one_line_for_errors():
        holder = _of_aws(stage).unlock()
    if holder is None:
        refuse("The stage is not locked.")
    typer.echo(f"Released: {holder['by']} had begun to {holder['doing']} at {holder['at']}.")


@app.command()
def remove(
    stage: Stage,
    data: Annotated[bool, typer.Option("--data", help="Delete its data too, with every order.")] = False,
    confirm: Annotated[
        str, typer.Option(help="With --data: the stage's name once more, instead of typing it.")
    ] = "",
) -> None:
    """Take a stage down. Its tables, signing key, logs and releases are kept, unless --data is given."""
    if data and (confirm or typer.prompt(f"Type {stage} to delete every order of it")) != stage:
        refuse("That is not the stage's name. Nothing was deleted.")
    with _one_line_for_errors():
        remove_stage(_of_aws(stage), with_data=data)


def _of_aws(stage: str) -> DeployedStage:
    # Chalice and the AWS command line read different variables; both of them work here.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = region or project.place_of(stage).region or None
    session = boto3.Session(region_name=region)
    if session.get_credentials() is None:
        raise NoCredentialsError
    if session.region_name is None:
        raise NoRegionError
    # API Gateway allows one deployment in five seconds, and Chalice has just made one.
    patient = Config(retries={"mode": "standard", "max_attempts": 10})
    environment = {**os.environ, "AWS_DEFAULT_REGION": session.region_name}
    return DeployedStage(stage, Aws(lambda service: session.client(service, config=patient), environment))


def _data_parameters(protection: Switch | None) -> dict[str, str]:
    return {} if protection is None else {"DeletionProtection": str(protection is Switch.on).lower()}


def _alarm_parameters(email: str | None, quiet_hours: int | None, budget: int | None) -> dict[str, str]:
    given = {"AlarmEmail": email, "QuietHours": quiet_hours, "MonthlyBudget": budget}
    return {name: str(value) for name, value in given.items() if value is not None}


def _finish(deployed: Deployed, stage: str) -> None:
    typer.echo("\n".join(lines_of(deployed, stage)))
    ways = project.variables_of(stage).get("AUTHENTICATION", "")
    try:
        number = smoke.check(deployed.rest_api_url, with_provider="openid" in ways)
    except smoke.SmokeTestError as error:
        refuse(f"{error} To go back: make rollback STAGE={stage}")
    typer.echo(f"Checked: {number} requests were answered as they should be.")


@contextmanager
def _one_line_for_errors() -> Iterator[None]:
    """End the command with one line for errors that need no stack trace."""
    try:
        yield
    except DeploymentError as error:
        refuse(str(error))
    except NoCredentialsError:
        refuse("No AWS credentials were found: set AWS_PROFILE, or run: aws configure")
    except NoRegionError:
        refuse("No AWS region is set: set AWS_REGION, such as AWS_REGION=eu-west-2")
    except ClientError as error:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        if code.startswith("AccessDenied") or code == "UnauthorizedOperation":
            refuse(f"These AWS credentials may not do this: {message}")
        if code in _REFUSED:
            refuse(_REFUSED[code])
        raise
    except BotoCoreError as error:  # an unknown profile, no connection
        refuse(f"AWS cannot be used: {error}")
