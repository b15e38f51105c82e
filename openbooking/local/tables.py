"""Creates the tables of `infra/tables.json` on any engine with DynamoDB's API.

Does not know the rows in them. On AWS, CloudFormation creates the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from openbooking.infra.templates import TableDefinition, table_definitions

# Engines without TTL answer with one of these; nothing depends on TTL, which only removes old rows.
_TTL_UNSUPPORTED = {
    "UnknownOperationException",
    "InternalFailure",
    "InternalServerError",
    "NotImplemented",
    "501",
}


def create_tables(client: Any, prefix: str, *, streams: bool = True) -> list[str]:
    """Create the missing tables, wait until all are active, return their names.

    `client` is a boto3 DynamoDB client for the engine. Existing tables only get the indexes that they lack, so that
    an engine that keeps its data can be started again, also by a later release. Without `streams` no change of a row reaches a feed; measurements
    use this where an engine's own streams would take most of the time.
    """
    definitions = table_definitions(prefix)
    for definition in definitions:
        request = dict(definition.create)
        if not streams:
            request.pop("StreamSpecification", None)
        if not _create(client, request):
            _add_indexes(client, request)
    for definition in definitions:
        _wait_until_active(client, definition.name)
        _expire(client, definition)
    return [definition.name for definition in definitions]


def _create(client: Any, request: Mapping[str, Any]) -> bool:
    """Whether the table was missing."""
    try:
        client.create_table(**request)
    except ClientError as error:
        # Another process may create the table at the same moment.
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise
        return False
    return True


def _add_indexes(client: Any, request: Mapping[str, Any]) -> None:
    """Create the indexes that an existing table lacks: an earlier release has created it."""
    name = request["TableName"]
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    described = client.describe_table(TableName=name)["Table"]
    present = {index["IndexName"] for index in described.get("GlobalSecondaryIndexes", ())}
    for index in request.get("GlobalSecondaryIndexes", ()):
        if index["IndexName"] not in present:
            client.update_table(
                TableName=name,
                AttributeDefinitions=request["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index}],
            )


def _wait_until_active(client: Any, name: str) -> None:
    # On local engines tables are active immediately; on AWS it takes seconds.
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
