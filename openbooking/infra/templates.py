"""The one reader of `infra/`, for deployments and for the local stack. Returns values; calls nothing.

Both ways of deployment use the same file: `chalice package` merges `infra/gateway.json`, and the deploy
command sets from it what `chalice deploy` cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = ROOT / "infra" / "tables.json"
GATEWAY = ROOT / "infra" / "gateway.json"
ALARMS = ROOT / "infra" / "alarms.json"
RELEASES = ROOT / "infra" / "releases.json"
BACKUPS = ROOT / "infra" / "backups.json"

APP_NAME = "openbooking"

# The Python on which Lambda runs the functions. Chalice takes the runtime from the interpreter that packages,
# and compiled wheels and bytecode fit one minor version, so packaging and deploying run on it, too.
RUNTIME_PYTHON = (3, 13)


@dataclass(frozen=True)
class Function:
    """One function. A new one needs a line in FUNCTIONS; its alarms and graphs follow from it."""

    name: str
    """Chalice's name, in `.chalice/config.json` and in the name of its policy."""
    logical_id: str
    """In a packaged template."""
    stream: bool = False
    """It reads a stream."""

    @property
    def is_api(self) -> bool:
        return self.name == "api_handler"

    @property
    def handler(self) -> str:
        """What Lambda calls in app.py."""
        return "app" if self.is_api else self.name

    @property
    def zip_name(self) -> str:
        """The file with its code, in a package for a pipeline."""
        return f"{'api' if self.is_api else self.name}.zip"

    def deployed_name(self, stage: str) -> str:
        """Its name on AWS."""
        return f"{APP_NAME}-{stage}" if self.is_api else f"{APP_NAME}-{stage}-{self.name}"


FUNCTIONS = (
    Function("api_handler", "APIHandler"),
    Function("orders_stream", "OrdersStream", stream=True),
    Function("inventory_stream", "InventoryStream", stream=True),
    Function("lease_sweep", "LeaseSweep"),
    Function("import_sources", "ImportSources"),
)

# Chalice's name of a stream handler -> its logical id in a packaged template.
STREAM_HANDLERS = {each.name: each.logical_id for each in FUNCTIONS if each.stream}


# A line for each request, by API Gateway. No address, no path with ids, no query, no name of a user: nothing in it
# belongs to a person. `requestId` is the one of the function's log.
ACCESS_LOG_LAYOUT = json.dumps(
    {
        "requestId": "$context.requestId",
        "time": "$context.requestTimeEpoch",
        "method": "$context.httpMethod",
        "route": "$context.resourcePath",
        "status": "$context.status",
        "bytes": "$context.responseLength",
        "latency": "$context.responseLatency",
        "functionLatency": "$context.integrationLatency",
        "error": "$context.error.responseType",
    },
    separators=(",", ":"),
)


# Properties that every engine accepts in CreateTable. The template's other properties (backups,
# encryption, deletion protection, tags) protect data on AWS; local engines refuse or ignore them,
# and a table made for a test must be deletable.
_CREATE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)

_TABLE_NAME_PREFIX = f"{APP_NAME}-${{Stage}}-"


class UnknownExportError(LookupError):
    """A template imports a value that the data stack does not export."""


@dataclass(frozen=True)
class GatewayResponse:
    """A response that API Gateway sends itself, without calling the function."""

    response_type: str
    status: int
    headers: Mapping[str, str]
    """Values without the quotes that API Gateway requires around a constant."""
    template: str
    """The body; `$context.requestId` in it is replaced by the id of the request."""


@dataclass(frozen=True)
class Throttle:
    """The throttling limits of one method, or of all methods without their own."""

    path: str
    """Of the resource as API Gateway writes it in settings, without its first slash: `~1auth~1token`, or `*`."""
    verb: str
    rate: float
    """Requests a second on average."""
    burst: int
    """Burst: requests at the same time."""

    def __str__(self) -> str:
        path = self.path.replace("~1", "/")
        return f"{self.verb} {path}: {self.rate:g} a second, {self.burst} at once"


@dataclass(frozen=True)
class StreamMapping:
    """How Lambda reads one stream, and what happens to records that cannot be handled."""

    stream_arn: str
    failures_arn: str | None
    retries: int
    """How often a batch is tried again; -1: until its records are too old."""
    longest: int
    """Seconds after which a record is too old."""
    bisect: bool
    report_item_failures: bool
    window: int = 0
    """Seconds for which records are collected before the function is invoked."""
    filters: tuple[str, ...] = ()
    """Patterns; the function is invoked only for records that match one of them. Empty: for all."""
    enabled: bool = True


@dataclass(frozen=True)
class TableDefinition:
    """One table of the template, with the prefix of one stack."""

    name: str
    create: Mapping[str, Any]
    """The arguments of CreateTable."""
    ttl_attribute: str | None


def stack_name(stage: str) -> str:
    """The data stack of a stage: tables, streams, dead-letter queue, signing key, log groups."""
    return f"{APP_NAME}-{stage}-data"


def alarms_stack_name(stage: str) -> str:
    """The stack of a stage's alarms, and of the topic that sends them."""
    return f"{APP_NAME}-{stage}-alarms"


def backups_stack_name(stage: str) -> str:
    """The stack of a stage's backups beyond point-in-time recovery, if it has any."""
    return f"{APP_NAME}-{stage}-backups"


def front_stack_name(stage: str) -> str:
    """From a laptop: the stack of what is in front of a stage's API, its firewall and its domain."""
    return f"{APP_NAME}-{stage}-front"


def tags() -> list[dict[str, Any]]:
    """The tags of what belongs to a stage; budgets count by them."""
    return [{"Key": "application", "Value": APP_NAME}, {"Key": "stage", "Value": {"Ref": "Stage"}}]


def releases_stack_name(stage: str) -> str:
    """The stack of what deployments from a laptop remember."""
    return f"{APP_NAME}-{stage}-releases"


def releases_template() -> dict[str, Any]:
    """The template of that stack, unchanged."""
    return _read(RELEASES)


def tables_template() -> dict[str, Any]:
    """The template of the data stack, unchanged."""
    return _read(TABLES)


def gateway_template() -> dict[str, Any]:
    """The template that is merged into the one that Chalice packages, unchanged."""
    return _read(GATEWAY)


def table_definitions(prefix: str) -> list[TableDefinition]:
    """The tables of the template, named `{prefix}-{inventory|orders|feeds|identity}`."""
    return [
        _table(prefix, resource["Properties"])
        for resource in tables_template()["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    ]


def gateway_responses() -> list[GatewayResponse]:
    """The gateway's own responses; each is an Open Booking error (ERR-06)."""
    api = gateway_template()["Resources"]["RestAPI"]["Properties"]
    return [
        GatewayResponse(
            response_type,
            response["StatusCode"],
            {name: value.strip("'") for name, value in response["ResponseParameters"]["Headers"].items()},
            response["ResponseTemplates"]["application/json"],
        )
        for response_type, response in api["GatewayResponses"].items()
    ]


def throttles() -> list[Throttle]:
    """The wanted throttling limits of the gateway (RATE-01)."""
    api = gateway_template()["Resources"]["RestAPI"]["Properties"]
    return [
        Throttle(
            setting["ResourcePath"].removeprefix("/"),
            setting["HttpMethod"],
            setting["ThrottlingRateLimit"],
            setting["ThrottlingBurstLimit"],
        )
        for setting in api["MethodSettings"]
    ]


def environment(stage: str, exports: Mapping[str, str]) -> dict[str, str]:
    """The environment variables with values of the data stack; the same for all functions."""
    resources = gateway_template()["Resources"]
    variables: dict[str, str] = resolve(
        resources["APIHandler"]["Properties"]["Environment"]["Variables"], stage, exports
    )
    return variables


def stream_mappings(
    stage: str, exports: Mapping[str, str], template: Path = GATEWAY
) -> dict[str, StreamMapping]:
    """Stream handler -> the wanted mapping to its stream, with this stage's ARNs."""
    resources = gateway_template()["Resources"]
    wanted = {}
    for handler, logical_id in STREAM_HANDLERS.items():
        (event,) = resources[logical_id]["Properties"]["Events"].values()
        properties = resolve(event["Properties"], stage, exports)
        wanted[handler] = StreamMapping(
            stream_arn=properties["Stream"],
            failures_arn=properties["DestinationConfig"]["OnFailure"]["Destination"],
            retries=properties["MaximumRetryAttempts"],
            longest=properties["MaximumRecordAgeInSeconds"],
            bisect=properties["BisectBatchOnFunctionError"],
            report_item_failures="ReportBatchItemFailures" in properties["FunctionResponseTypes"],
            window=properties["MaximumBatchingWindowInSeconds"],
            filters=tuple(each["Pattern"] for each in properties["FilterCriteria"]["Filters"]),
        )
    return wanted


def resolve(value: Any, stage: str, exports: Mapping[str, str]) -> Any:
    """`value` with the references to the data stack replaced by its exports.

    Supports the two functions that our templates use: `Fn::ImportValue`, and `Fn::Sub` of `${Stage}`.
    `chalice deploy` supports no CloudFormation functions, only plain values.
    """
    if isinstance(value, list):
        return [resolve(item, stage, exports) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Fn::Sub"}:
        text = value["Fn::Sub"].replace("${Stage}", stage)
        if left := re.search(r"\$\{.*?\}", text):
            raise UnknownExportError(f"{left[0]} cannot be resolved in {text}")
        return text
    if value.keys() == {"Fn::ImportValue"}:
        name = resolve(value["Fn::ImportValue"], stage, exports)
        if name not in exports:
            raise UnknownExportError(f"{name} is not exported by {stack_name(stage)}")
        return exports[name]
    return {key: resolve(item, stage, exports) for key, item in value.items()}


def _read(template: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))
    return document


def _table(prefix: str, properties: Mapping[str, Any]) -> TableDefinition:
    suffix = properties["TableName"]["Fn::Sub"].removeprefix(_TABLE_NAME_PREFIX)
    name = f"{prefix}-{suffix}"
    create = {each: properties[each] for each in _CREATE_PROPERTIES if each in properties}
    create["TableName"] = name
    if "StreamSpecification" in properties:
        # CloudFormation has no StreamEnabled; CreateTable requires it.
        create["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    ttl = properties.get("TimeToLiveSpecification", {})
    return TableDefinition(name, create, ttl.get("AttributeName"))
