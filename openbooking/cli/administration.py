"""Common options of the commands on partners, sellers, logins and tokens, and the installation they work on."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.runtime.administration import Administration
from chalicelib.runtime.settings import SettingsError
from chalicelib.runtime.system import from_environment
from chalicelib.services.errors import AdministrationError
from chalicelib.storage.errors import StillBusy, StoreBusy
from openbooking.cli.installation import check_reachable, explained
from openbooking.cli.pasteable import on_installation
from openbooking.cli.terminal import attached, on_stage, refuse
from openbooking.local.discovery import running_stack
from openbooking.local.stack import environment_variables

Stage = Annotated[
    str | None, typer.Option(help="Work on this stage on AWS, with the credentials that boto3 finds.")
]
By = Annotated[
    str | None, typer.Option(help="User for the journal; by default your user name, on AWS your ARN.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PartnerId = Annotated[str, typer.Argument(metavar="PARTNER", help="The partner's client id.")]
SellerId = Annotated[
    str, typer.Argument(metavar="SELLER", help="The Seller's id, as `sellers list` shows it.")
]


@contextmanager
def changing(
    stage: str | None, dynamodb_url: str | None, by: str | None, *, signing_key: bool = False
) -> Iterator[Administration]:
    """The administration of the chosen installation, in the name of `by` or the current user.

    `signing_key`: on a stage, with the key that seals signing keys. An error inside the block ends the
    command with one sentence.
    """
    with reading(stage, dynamodb_url, signing_key=signing_key) as admin:
        admin.by = by or _user(stage)
        yield admin
    if admin.journal.unwritten:
        refuse(admin.journal.unwritten)


@contextmanager
def reading(
    stage: str | None, dynamodb_url: str | None, *, signing_key: bool = False
) -> Iterator[Administration]:
    """The administration of the chosen installation, for reading only."""
    if stage and dynamodb_url:
        refuse("Use either --stage or an engine (--dynamodb-url, DYNAMODB_URL), not both.")
    with on_installation(stage, dynamodb_url), _failures_explained(), ExitStack() as entered:
        own_url = None
        if stage:
            entered.enter_context(on_stage(stage, signing_key=signing_key))
        else:
            stack = None if dynamodb_url else running_stack()
            own_url = stack.url if stack else None
            entered.enter_context(attached(dynamodb_url))
        # The commands print what they do, and write it to the journal.
        quiet = {"LOG_LEVEL": "WARNING", "METRICS": "false", "PRODUCTION": "false"}
        entered.enter_context(environment_variables(quiet))
        system = from_environment()
        check_reachable(system)
        yield Administration(system, base_url=own_url or system.settings.base_url or None)


@contextmanager
def _failures_explained() -> Iterator[None]:
    """An error inside the block ends the command with one sentence."""
    try:
        yield
    except AdministrationError as error:
        refuse(explained(error))
    except (StillBusy, StoreBusy):
        refuse(
            "The database is busy, or another command changes the same data. Check the result, then try again."
        )
    except (SettingsError, BotoCoreError, ClientError, PynamoDBException) as error:
        refuse(f"The command failed: {error}.")


def _user(stage: str | None) -> str:
    """The current user; on AWS the ARN of the credentials."""
    if stage:
        return str(boto3.client("sts").get_caller_identity()["Arn"])
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
