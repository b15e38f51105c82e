"""Creates the tables of `infra/tables.json` on any engine that speaks DynamoDB.

Knows what an engine is asked for, and not what is kept in the tables. On AWS CloudFormation does this instead.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from openbooking.infra.templates import TableDefinition, table_definitions

# Engines that have no TTL answer with one of these; nothing depends on TTL (it only tidies).
_TTL_UNSUPPORTED = {
    "UnknownOperationException",
    "InternalFailure",
    "InternalServerError",
    "NotImplemented",
    "501",
}


def create_tables(client: Any, prefix: str) -> list[str]:
    """Creates the tables that are missing, waits until all are active, returns their names.

    `client` is a boto3 DynamoDB client for the engine. Tables that exist are left as they
    are, so that an engine which keeps its data can be started again.
    """
    definitions = table_definitions(prefix)
    for definition in definitions:
        _create(client, definition)
    for definition in definitions:
        _wait_until_active(client, definition.name)
        _expire(client, definition)
    return [definition.name for definition in definitions]


def _create(client: Any, definition: TableDefinition) -> None:
    try:
        client.create_table(**definition.create)
    except ClientError as error:
        # Also what a second process that starts at the same moment gets.
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise


def _wait_until_active(client: Any, name: str) -> None:
    # Engines on one machine are active at once, so the first look is nearly always the
    # last; AWS takes seconds.
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def _expire(client: Any, definition: TableDefinition) -> None:
    if definition.ttl_attribute is None:
        return
    try:
        described = client.describe_time_to_live(TableName=definition.name)
        if described["TimeToLiveDescription"].get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return
        client.update_time_to_live(
            TableName=definition.name,
            TimeToLiveSpecification={
                "AttributeName": definition.ttl_attribute,
                "Enabled": True,
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TTL_UNSUPPORTED:
            raise
