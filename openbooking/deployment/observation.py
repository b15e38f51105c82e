"""Reads the current state on AWS, as values for the planner. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from openbooking.deployment.planner import FoundMapping, FoundStack
from openbooking.deployment.stage_state import StageState
from openbooking.infra.templates import (
    APP_NAME,
    FUNCTIONS,
    STREAM_HANDLERS,
    GatewayResponse,
    StreamMapping,
    Throttle,
)


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
        bool(stack.get("EnableTerminationProtection")),
    )


def exports(cloudformation: Any, name: str) -> dict[str, str]:
    """Export name -> value, of one stack."""
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {output["ExportName"]: output["OutputValue"] for output in stack["Outputs"]}


def deployed_resources(record: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Name -> resource, from Chalice's record of a deployment."""
    return {resource["name"]: resource for resource in record["resources"]}


def completed_record(
    aws: Any, stage: str, api_stage: str, record: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Chalice's record, with what exists and is missing in it.

    Chalice writes its record at the end. After a deployment that was interrupted, or without the file, it would
    create a second API with another URL, and would map the streams twice. `aws` returns a client for a service.
    """
    known = {each["name"]: each for each in (record or {}).get("resources", ())}
    if "rest_api" not in known and (api_id := _own_api(aws("apigateway"), stage)):
        url = f"https://{api_id}.execute-api.{aws('apigateway').meta.region_name}.amazonaws.com/{api_stage}/"
        known["rest_api"] = {
            "name": "rest_api",
            "resource_type": "rest_api",
            "rest_api_id": api_id,
            "rest_api_url": url,
        }
    for handler in STREAM_HANDLERS:
        name = f"{handler}-dynamodb-event-source"
        if name not in known and (mapping := _own_mapping(aws("lambda"), stage, handler)):
            known[name] = {
                "name": name,
                "resource_type": "dynamodb_event",
                "stream_arn": mapping["EventSourceArn"],
                "event_uuid": mapping["UUID"],
                "lambda_arn": mapping["FunctionArn"],
            }
    return {"schema_version": "2.0", "backend": "api", "resources": list(known.values())}


def _own_api(apigateway: Any, stage: str) -> str | None:
    """The API that calls this stage's function; Chalice gives the APIs of all stages the same name."""
    for page in apigateway.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == APP_NAME and _calls(apigateway, api["id"], f":function:{APP_NAME}-{stage}/"):
                return str(api["id"])
    return None


def _calls(apigateway: Any, api_id: str, function: str) -> bool:
    pages = apigateway.get_paginator("get_resources").paginate(restApiId=api_id, embed=["methods"])
    return any(
        function in method.get("methodIntegration", {}).get("uri", "")
        for page in pages
        for resource in page["items"]
        for method in resource.get("resourceMethods", {}).values()
    )


def _own_mapping(lambda_: Any, stage: str, handler: str) -> Mapping[str, Any] | None:
    name = f"{APP_NAME}-{stage}-{handler}"
    try:
        arn = lambda_.get_function_configuration(FunctionName=name)["FunctionArn"]
    except lambda_.exceptions.ResourceNotFoundException:
        return None
    found = lambda_.list_event_source_mappings(FunctionName=arn)["EventSourceMappings"]
    return found[0] if found else None


def found_state(aws: Any, stage: str, api_stage: str, record: Mapping[str, Any]) -> StageState:
    """What is set on the stage beside Chalice's own resources. `aws` returns a client for a service."""
    deployed = deployed_resources(record)
    responses: Mapping[str, GatewayResponse] = {}
    throttles: Mapping[str, Throttle] = {}
    if "rest_api" in deployed:
        api_id, gateway = deployed["rest_api"]["rest_api_id"], aws("apigateway")
        responses = {each.response_type: each for each in found_gateway_responses(gateway, api_id)}
        with suppress(gateway.exceptions.NotFoundException):  # no stage was published yet
            throttles = {
                f"{each.verb} {each.path}": each for each in found_throttles(gateway, api_id, api_stage)
            }
    mappings = {handler: each.mapping for handler, each in found_mappings(aws("lambda"), deployed).items()}
    return StageState(responses, throttles, mappings, found_concurrency(aws("lambda"), stage))


def found_concurrency(lambda_: Any, stage: str) -> dict[str, int | None]:
    """Function -> reserved concurrency, of the functions that exist."""
    found: dict[str, int | None] = {}
    for function in FUNCTIONS:
        with suppress(lambda_.exceptions.ResourceNotFoundException):
            answer = lambda_.get_function_concurrency(FunctionName=function.deployed_name(stage))
            found[function.name] = answer.get("ReservedConcurrentExecutions")
    return found


def found_access_logs(apigateway: Any, rest_api_id: str, api_stage: str) -> tuple[str, str]:
    """The ARN of the log group, empty for none, and the layout of a line."""
    found = apigateway.get_stage(restApiId=rest_api_id, stageName=api_stage).get("accessLogSettings") or {}
    return found.get("destinationArn", ""), found.get("format", "")


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
            with suppress(lambda_.exceptions.ResourceNotFoundException):  # it was deleted by hand
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
            window=current.get("MaximumBatchingWindowInSeconds") or 0,
            filters=tuple(
                each["Pattern"] for each in (current.get("FilterCriteria") or {}).get("Filters", [])
            ),
            enabled=current.get("State") not in ("Disabled", "Disabling"),
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
