"""Creates the tables of `infra/tables.json` on any engine that speaks DynamoDB.

Knows how the template says a table and what an engine needs to be told; refuses to
know what is kept in the tables. On AWS CloudFormation does this instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "tables.json"

_NAME_PREFIX = "openbooking-${Stage}-"

# What every engine accepts in CreateTable. The template's other properties (backups,
# encryption, deletion protection, tags) guard data on AWS; engines on one machine refuse
# or ignore them, and a table made for a test must be deletable.
_CREATE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)

# Engines that have no TTL answer with one of these; nothing depends on TTL (it only tidies).
_TTL_UNSUPPORTED = {
    "UnknownOperationException",
    "InternalFailure",
    "InternalServerError",
    "NotImplemented",
    "501",
}


@dataclass(frozen=True)
class TableDefinition:
    """One table as the template has it, under the prefix of one stack."""

    name: str
    create: Mapping[str, Any]
    """The arguments of CreateTable."""
    ttl_attribute: str | None


def table_definitions(prefix: str, template: Path = TEMPLATE) -> list[TableDefinition]:
    """The tables of the template, named `{prefix}-{inventory|orders|feeds|identity}`."""
    resources = json.loads(template.read_text())["Resources"]
    return list(_definitions(prefix, resources))


def create_tables(client: Any, prefix: str, template: Path = TEMPLATE) -> list[str]:
    """Creates the tables that are missing, waits until all are active, returns their names.

    `client` is a boto3 DynamoDB client for the engine. Tables that exist are left as they
    are, so that an engine which keeps its data can be started again.
    """
    definitions = table_definitions(prefix, template)
    for definition in definitions:
        _create(client, definition)
    for definition in definitions:
        _wait_until_active(client, definition.name)
        _expire(client, definition)
    return [definition.name for definition in definitions]


def _definitions(prefix: str, resources: Mapping[str, Any]) -> Iterator[TableDefinition]:
    for resource in resources.values():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        properties = resource["Properties"]
        suffix = properties["TableName"]["Fn::Sub"].removeprefix(_NAME_PREFIX)
        create = {name: properties[name] for name in _CREATE_PROPERTIES if name in properties}
        create["TableName"] = name = f"{prefix}-{suffix}"
        if "StreamSpecification" in properties:
            # CloudFormation has no StreamEnabled; CreateTable requires it.
            create["StreamSpecification"] = {
                "StreamEnabled": True,
                **properties["StreamSpecification"],
            }
        ttl = properties.get("TimeToLiveSpecification", {})
        yield TableDefinition(name, create, ttl.get("AttributeName"))


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
