"""What all commands share: the installation they work on, ports, and messages for people."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from openbooking.cli.pasteable import as_started

if TYPE_CHECKING:
    from rich.console import Console

    from openbooking.deployment.project import Place

DynamodbUrl = Annotated[
    str | None,
    typer.Option(
        envvar="DYNAMODB_URL",
        help="URL of a running DynamoDB engine, such as Dynoxide or DynamoDB Local.",
    ),
]

DEFAULT_PORT = 8000
MAX_PORT = 65535


def _read_port(text: str) -> int:
    """A port; 0 stands for a free one. Anything else ends the command with one sentence."""
    # ASCII only: int() reads the digits of every alphabet, and underscores.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MAX_PORT:
        refuse(f"{text!r} is not a port: choose a number from 1 to {MAX_PORT}, such as PORT=9000 make run")
    return int(text)


_PORT = typer.Option(parser=lambda given: _read_port(str(given)), metavar="PORT", help="Port of the API.")
Port = Annotated[int, _PORT]
OptionalPort = Annotated[int | None, _PORT]

_STAGE = re.compile(r"[a-z][a-z0-9-]{0,19}")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,240}")

# Old signing keys are kept for this time, for tokens that may still be valid. The lifetime of the stage's
# tokens is one of its settings, which are not available here.
_TOKENS_LIVE_AT_MOST = "86400"


def console() -> Console:
    """A console as wide as the terminal; without a terminal, wide enough for tables."""
    from rich.console import Console

    made = Console()
    return made if made.is_terminal else Console(width=120)


def refuse(sentence: str) -> NoReturn:
    """End the command: print the sentence on stderr, with commands that can be pasted, and exit with 1."""
    typer.echo(as_started(sentence), err=True)
    raise typer.Exit(1)


@contextmanager
def counting(what: str) -> Iterator[Callable[[str, int], None]]:
    """Show on a terminal how far long work is: one line on stderr, such as `orders read: 12,500`."""
    shown = ""

    def progress(kind: str, number: int) -> None:
        nonlocal shown
        if sys.stderr.isatty():
            line = f"{kind} {what}: {number:,}"
            typer.echo(f"\r{line:{len(shown)}}", err=True, nl=False)
            shown = line

    yield progress
    if shown:
        typer.echo(f"\r{'':{len(shown)}}\r", err=True, nl=False)


def table_prefix(expected: str | None = None) -> str:
    """The prefix of the tables' names: `expected` if that is given, else TABLE_PREFIX, else the local one.

    Ends the command with one sentence if TABLE_PREFIX contradicts `expected`: it was set for other tables.
    """
    from openbooking.local.stack import TABLE_PREFIX

    given = os.environ.get("TABLE_PREFIX", "")
    if given and not _PREFIX.fullmatch(given):
        refuse(
            f"TABLE_PREFIX={given} cannot be used: table names have letters, digits, '_', '-' and '.' only."
        )
    if expected and given not in ("", expected):
        refuse(
            f"TABLE_PREFIX={given} contradicts the tables {expected}-* that this command would use: "
            "unset TABLE_PREFIX, or give the engine with those tables in --dynamodb-url."
        )
    return expected or given or TABLE_PREFIX


def name_tables(prefix: str, where: str) -> None:
    """Print on stderr which tables the command works on; stdout is for its result."""
    typer.echo(f"Tables: {prefix}-* {where}", err=True)


@contextmanager
def attached(dynamodb_url: str | None) -> Iterator[str]:
    """Inside the block the app's modules work on the given engine, or else on that of the running local stack.

    They follow the rules (leases, proposals, limits) that the stack was started with, not those of this shell.

    Yields the engine's URL, and prints which tables are used. Ends the command with one sentence if there is
    neither, or if TABLE_PREFIX contradicts the stack.
    """
    from openbooking.local.discovery import running_stack, running_stacks
    from openbooking.local.engine import environment
    from openbooking.local.stack import environment_variables

    stack = None if dynamodb_url else running_stack()
    if stack is not None:
        dynamodb_url, prefix = stack.dynamodb_url, table_prefix(stack.table_prefix)
    elif dynamodb_url:
        prefix = table_prefix()
        served = (dynamodb_url, prefix)
        stack = next(
            (each for each in running_stacks() if (each.dynamodb_url, each.table_prefix) == served), None
        )
    else:
        refuse(
            "No local stack is running. Start one with `make run` and wait until it prints its URL, or give an engine "
            "with --dynamodb-url."
        )
    name_tables(prefix, f"at {dynamodb_url}")
    rules = stack.rules if stack is not None else {}
    with environment_variables({**environment(dynamodb_url), "TABLE_PREFIX": prefix, **rules}):
        yield dynamodb_url


@contextmanager
def on_stage(stage: str, *, signing_key: bool) -> Iterator[str]:
    """Inside the block the app's modules work on a stage on AWS, with the credentials and the region of boto3.

    Yields the region. `signing_key`: with the key that seals the stage's signing keys. Ends the command with
    one sentence if something is missing.
    """
    import boto3

    from openbooking.deployment.errors import DeploymentError
    from openbooking.deployment.place import require_place
    from openbooking.local.stack import environment_variables

    if not _STAGE.fullmatch(stage):
        refuse(f"{stage!r} is not the name of a stage.")
    # boto3 itself reads AWS_DEFAULT_REGION and the profile only.
    place = _place_of(stage)
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name or place.region or None
    if region is None:
        refuse("No region is set. Set AWS_REGION, or AWS_PROFILE to a profile with a region.")
    try:
        require_place(stage, place, lambda service: boto3.client(service, region_name=region))
    except DeploymentError as error:
        refuse(str(error))
    prefix = table_prefix(f"openbooking-{stage}")
    name_tables(prefix, f"in {region}")
    variables: dict[str, str | None] = {
        "DYNAMODB_URL": None,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "TABLE_PREFIX": prefix,
        "ACCESS_TOKEN_SECONDS": os.environ.get("ACCESS_TOKEN_SECONDS", _TOKENS_LIVE_AT_MOST),
        "SIGNING_KMS_KEY": _signing_key(stage, region) if signing_key else None,
        **_rules_of(stage),
    }
    with environment_variables(variables):
        yield region


def _place_of(stage: str) -> Place:
    """The account and the region that .chalice/config.json names; none if it does not know the stage."""
    from openbooking.deployment.errors import DeploymentError
    from openbooking.deployment.project import Place, UnknownStageError, place_of

    try:
        return place_of(stage)
    except UnknownStageError:
        return Place()
    except DeploymentError as error:
        refuse(str(error))


def _rules_of(stage: str) -> dict[str, str | None]:
    """The rules that .chalice/config.json sets for the stage; those of this shell if it does not know the stage."""
    from chalicelib.runtime.settings import rules_in
    from openbooking.deployment.project import UnknownStageError, variables_of

    try:
        return rules_in(variables_of(stage))
    except UnknownStageError:
        return {}


def _signing_key(stage: str, region: str) -> str:
    """The ARN of the KMS key, as the data stack exports it."""
    import boto3
    from botocore.exceptions import ClientError

    from openbooking.deployment.observation import exports
    from openbooking.infra.templates import stack_name

    wanted, stack = f"openbooking-{stage}-SigningKeyArn", stack_name(stage)
    try:
        known = exports(boto3.client("cloudformation", region_name=region), stack)
    except ClientError as error:
        refuse(f"The stack {stack} cannot be read: {error}.")
    if wanted not in known:
        refuse(f"The stack {stack} does not export {wanted}: deploy the stage again first.")
    return known[wanted]
