"""What is wanted on AWS, read from `infra/`: values only, nothing is called.

The same file serves both ways of deploying: `chalice package` merges `infra/gateway.json`,
and the deploy command sets from it what `chalice deploy` cannot.
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

APP_NAME = "openbooking"

# Chalice's name of a stream handler -> its logical id in a packaged template.
STREAM_HANDLERS = {"orders_stream": "OrdersStream", "inventory_stream": "InventoryStream"}


class UnknownExportError(LookupError):
    """A template imports a value that the data stack does not export."""


@dataclass(frozen=True)
class GatewayResponse:
    """What API Gateway answers itself, without asking the function."""

    response_type: str
    status: int
    headers: Mapping[str, str]
    """Values without the quotes that API Gateway wants around a constant."""
    template: str
    """The body; `$context.requestId` in it stands for the id of the request."""


@dataclass(frozen=True)
class Throttle:
    """How many requests the gateway lets through to one method, or to all that have no throttle of their own."""

    path: str
    """Of the resource as API Gateway writes it in settings, without its first slash: `~1auth~1token`, or `*`."""
    verb: str
    rate: float
    """Requests a second in the long run."""
    burst: int
    """Requests at once."""

    def __str__(self) -> str:
        path = self.path.replace("~1", "/")
        return f"{self.verb} {path}: {self.rate:g} a second, {self.burst} at once"


@dataclass(frozen=True)
class StreamMapping:
    """How Lambda follows one stream, and what becomes of records it cannot handle."""

    stream_arn: str
    failures_arn: str | None
    retries: int
    bisect: bool
    report_item_failures: bool


def stack_name(stage: str) -> str:
    """The data stack of a stage: tables, streams, dead-letter queue, signing key, log groups."""
    return f"{APP_NAME}-{stage}-data"


def gateway_responses(template: Path = GATEWAY) -> list[GatewayResponse]:
    """What the gateway answers by itself, an Open Booking error each (ERR-06)."""
    api = json.loads(template.read_text())["Resources"]["RestAPI"]["Properties"]
    return [
        GatewayResponse(
            response_type,
            response["StatusCode"],
            {name: value.strip("'") for name, value in response["ResponseParameters"]["Headers"].items()},
            response["ResponseTemplates"]["application/json"],
        )
        for response_type, response in api["GatewayResponses"].items()
    ]


def throttles(template: Path = GATEWAY) -> list[Throttle]:
    """What the gateway is to let through at most (RATE-01)."""
    api = json.loads(template.read_text())["Resources"]["RestAPI"]["Properties"]
    return [
        Throttle(
            setting["ResourcePath"].removeprefix("/"),
            setting["HttpMethod"],
            setting["ThrottlingRateLimit"],
            setting["ThrottlingBurstLimit"],
        )
        for setting in api["MethodSettings"]
    ]


def environment(stage: str, exports: Mapping[str, str], template: Path = GATEWAY) -> dict[str, str]:
    """What every function is told of the data stack; all read the same settings."""
    resources = json.loads(template.read_text())["Resources"]
    variables: dict[str, str] = resolve(
        resources["APIHandler"]["Properties"]["Environment"]["Variables"], stage, exports
    )
    return variables


def stream_mappings(
    stage: str, exports: Mapping[str, str], template: Path = GATEWAY
) -> dict[str, StreamMapping]:
    """Stream handler -> how it is to follow its stream, in terms of this stage's ARNs."""
    resources = json.loads(template.read_text())["Resources"]
    wanted = {}
    for handler, logical_id in STREAM_HANDLERS.items():
        (event,) = resources[logical_id]["Properties"]["Events"].values()
        properties = resolve(event["Properties"], stage, exports)
        wanted[handler] = StreamMapping(
            stream_arn=properties["Stream"],
            failures_arn=properties["DestinationConfig"]["OnFailure"]["Destination"],
            retries=properties["MaximumRetryAttempts"],
            bisect=properties["BisectBatchOnFunctionError"],
            report_item_failures="ReportBatchItemFailures" in properties["FunctionResponseTypes"],
        )
    return wanted


def resolve(value: Any, stage: str, exports: Mapping[str, str]) -> Any:
    """`value` with the references to the data stack replaced by what it exports.

    Understands the two functions our templates use: `Fn::ImportValue`, and `Fn::Sub` of
    `${Stage}`. `chalice deploy` takes no CloudFormation functions, only plain values.
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
