"""Reads the current state on AWS, as values for the planner. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from openbooking.deployment.planner import FoundMapping, FoundStack, NotDeployedError
from openbooking.infra.templates import STREAM_HANDLERS, GatewayResponse, StreamMapping, Throttle


def canonical(template: Any) -> str:
    """The same text for the same template, whatever its layout. It is also sent to CloudFormation."""
    return json.dumps(template, sort_keys=True, separators=(",", ":"))


def found_stack(cloudformation: Any, name: str) -> FoundStack | None:
    """The stack with that name, or None if it does not exist."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    template = cloudformation.get_template(StackName=name)["TemplateBody"]
    return FoundStack(
        stack["StackStatus"],
        canonical(json.loads(template) if isinstance(template, str) else template),
        {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
    )


def exports(cloudformation: Any, name: str) -> dict[str, str]:
    """Export name -> value, of one stack."""
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {output["ExportName"]: output["OutputValue"] for output in stack["Outputs"]}


def deployed_resources(record: Path) -> Mapping[str, Mapping[str, Any]]:
    """Name -> resource, from Chalice's record of a deployment."""
    if not record.exists():
        raise NotDeployedError(f"{record} does not exist")
    return {resource["name"]: resource for resource in json.loads(record.read_text())["resources"]}


def found_gateway_responses(apigateway: Any, rest_api_id: str) -> list[GatewayResponse]:
    """The gateway responses that were set, without the gateway's defaults."""
    prefix = "gatewayresponse.header."
    return [
        GatewayResponse(
            item["responseType"],
            int(item["statusCode"]) if "statusCode" in item else 0,
            {
                name.removeprefix(prefix): value.strip("'")
                for name, value in item.get("responseParameters", {}).items()
            },
            item.get("responseTemplates", {}).get("application/json", ""),
        )
        for item in _all_gateway_responses(apigateway, rest_api_id)
        if not item.get("defaultResponse")
    ]


def found_throttles(apigateway: Any, rest_api_id: str, api_stage: str) -> list[Throttle]:
    """The throttling limits of a stage's methods, without those of the whole account."""
    settings = apigateway.get_stage(restApiId=rest_api_id, stageName=api_stage).get("methodSettings", {})
    found = []
    for method, values in settings.items():
        path, _, verb = method.rpartition("/")
        if "throttlingRateLimit" in values and "throttlingBurstLimit" in values:
            found.append(
                Throttle(
                    # A slash within a path is written as ~1 in settings.
                    path if path == "*" else "~1" + path.replace("~1", "/").strip("/").replace("/", "~1"),
                    verb,
                    values["throttlingRateLimit"],
                    values["throttlingBurstLimit"],
                )
            )
    return found


def found_mappings(lambda_: Any, deployed: Mapping[str, Mapping[str, Any]]) -> dict[str, FoundMapping]:
    """Stream handler -> its event source mapping."""
    found = {}
    for handler in STREAM_HANDLERS:
        record = deployed.get(f"{handler}-dynamodb-event-source")
        if record is not None:
            found[handler] = _found_mapping(lambda_, record["event_uuid"])
    return found


def _found_mapping(lambda_: Any, uuid: str) -> FoundMapping:
    current = lambda_.get_event_source_mapping(UUID=uuid)
    return FoundMapping(
        uuid,
        StreamMapping(
            stream_arn=current["EventSourceArn"],
            failures_arn=current.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
            # -1 is Lambda's value for no limit.
            retries=current.get("MaximumRetryAttempts", -1),
            longest=current.get("MaximumRecordAgeInSeconds", -1),
            bisect=current.get("BisectBatchOnFunctionError", False),
            report_item_failures="ReportBatchItemFailures" in current.get("FunctionResponseTypes", []),
        ),
    )


def _all_gateway_responses(apigateway: Any, rest_api_id: str) -> list[Any]:
    items: list[Any] = []
    position: dict[str, str] = {}
    while True:
        page = apigateway.get_gateway_responses(restApiId=rest_api_id, limit=500, **position)
        items += page["items"]
        if "position" not in page:
            return items
        position = {"position": page["position"]}
