"""`openbooking restore`: copies the rows of restored tables into the original tables."""

from __future__ import annotations

import time
from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from openbooking.cli.administration import Stage
from openbooking.cli.terminal import DynamodbUrl, attached, on_stage, refuse, table_prefix
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.restoring import restore as restore_table
from openbooking.local.engine import dynamodb_client

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Table(StrEnum):
    """The tables of an installation."""

    inventory = "inventory"
    orders = "orders"
    pending = "pending"
    identity = "identity"
    feeds = "feeds"


# These change together. Restore identities only if they were damaged, because revoked tokens would be valid again.
# Feeds are not restored, because readers have read them.
_TOGETHER = [Table.inventory, Table.orders, Table.pending]


@app.command()
def restore(
    from_prefix: Annotated[
        str,
        typer.Option(help="The prefix of the restored copies: PREFIX-inventory and so on.", metavar="PREFIX"),
    ],
    table: Annotated[list[Table] | None, typer.Option(help="Restore only this table.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Copy restored rows into the original tables, and delete rows that were added since.

    docs/restoring.md describes the procedure. Nothing else may write to the tables at the same time.
    """
    if stage and dynamodb_url:
        refuse("Either --stage or an engine (--dynamodb-url, DYNAMODB_URL), not both.")
    with ExitStack() as entered:
        if stage:
            client = boto3.client(
                "dynamodb", region_name=entered.enter_context(on_stage(stage, signing_key=False))
            )
            prefix = table_prefix(f"openbooking-{stage}")
        else:
            client = dynamodb_client(entered.enter_context(attached(dynamodb_url)))
            prefix = table_prefix()
        entered.callback(client.close)
        if from_prefix == prefix:
            refuse(f"The tables {prefix}-* are the originals. Use the prefix of the copies.")
        wanted = table or _TOGETHER
        names = ", ".join(f"{prefix}-{name}" for name in wanted)
        if not yes and not typer.confirm(
            f"Copy {from_prefix}-* into {names}? Rows that were added since are deleted."
        ):
            refuse("Nothing was changed.")
        try:
            for name in wanted:
                done = restore_table(client, f"{from_prefix}-{name}", f"{prefix}-{name}", pause=time.sleep)
                typer.echo(f"{done.table}: {done.put} rows restored, {done.deleted} deleted.")
        except DeploymentError as error:
            refuse(str(error))
        except (BotoCoreError, ClientError) as error:
            refuse(f"The command failed: {error}.")
