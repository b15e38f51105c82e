"""Executes the steps of a plan, one AWS call each, in order. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from openbooking.deployment.planner import (
    CreateStack,
    DeleteStack,
    ProtectStack,
    PublishApi,
    PutGatewayResponse,
    ResetGatewayResponse,
    SetAccessLogs,
    SetThrottles,
    Step,
    UpdateStack,
    UpdateStreamMapping,
)
from openbooking.infra.templates import StreamMapping, Throttle

# A new event source mapping cannot be changed before it is ready.
SETTLING_STATES = {"Creating", "Enabling", "Disabling", "Updating"}
SETTLING_LOOKS = 60
SETTLING_SECONDS = 2.0

STACK_WAIT = {"Delay": 5, "MaxAttempts": 240}


class Executor:
    """Executes steps with clients from `client(service)`; reports each with `say`."""

    def __init__(
        self,
        client: Callable[[str], Any],
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._say = say
        self._sleep = sleep

    def execute(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        match step:
            case CreateStack(name, template, parameters, protected):
                self._say(f"Creating the stack {name}")
                options = {"EnableTerminationProtection": True} if protected else {}
                self._stack("create", name, template, parameters, **options)
            case UpdateStack(name, template, parameters):
                self._say(f"Updating the stack {name}")
                self._stack("update", name, template, parameters)
            case ProtectStack(name):
                self._say(f"Protecting the stack {name}")
                self._client("cloudformation").update_termination_protection(
                    StackName=name, EnableTerminationProtection=True
                )
            case DeleteStack(name):
                self._say(f"Deleting the stack {name}")
                client = self._client("cloudformation")
                client.delete_stack(StackName=name)
                client.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=STACK_WAIT)
            case PutGatewayResponse(rest_api_id, response):
                self._say(f"Gateway response {response.response_type}: {response.status}")
                self._client("apigateway").put_gateway_response(
                    restApiId=rest_api_id,
                    responseType=response.response_type,
                    statusCode=str(response.status),
                    responseParameters={
                        f"gatewayresponse.header.{name}": f"'{value}'"
                        for name, value in response.headers.items()
                    },
                    responseTemplates={"application/json": response.template},
                )
            case ResetGatewayResponse(rest_api_id, response_type):
                self._say(f"Gateway response {response_type}: the gateway's own")
                self._client("apigateway").delete_gateway_response(
                    restApiId=rest_api_id, responseType=response_type
                )
            case PublishApi(rest_api_id, api_stage):
                self._say(f"Publishing the API on {api_stage}")
                self._client("apigateway").create_deployment(restApiId=rest_api_id, stageName=api_stage)
            case SetThrottles(rest_api_id, api_stage, throttles):
                for throttle in throttles:
                    self._say(f"Throttle {throttle}")
                self._client("apigateway").update_stage(
                    restApiId=rest_api_id,
                    stageName=api_stage,
                    patchOperations=[change for throttle in throttles for change in _patch(throttle)],
                )
            case UpdateStreamMapping(uuid, handler, mapping):
                self._say(
                    f"Stream of {handler}: {'on' if mapping.enabled else 'off'}, retried for "
                    f"{mapping.longest} seconds, then to {mapping.failures_arn}"
                )
                self._update_mapping(uuid, mapping)
            case SetAccessLogs(rest_api_id, api_stage, destination, layout):
                self._say("Access logs: " + (destination or "off"))
                change = (
                    [
                        {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": destination},
                        {"op": "replace", "path": "/accessLogSettings/format", "value": layout},
                    ]
                    if destination
                    else [{"op": "remove", "path": "/accessLogSettings"}]
                )
                self._client("apigateway").update_stage(
                    restApiId=rest_api_id, stageName=api_stage, patchOperations=change
                )
            case _:
                assert_never(step)

    def _stack(
        self, verb: str, name: str, template: str, parameters: Mapping[str, str], **options: bool
    ) -> None:
        client = self._client("cloudformation")
        getattr(client, f"{verb}_stack")(
            StackName=name,
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            # That of the backups has a role.
            Capabilities=["CAPABILITY_IAM"],
            **options,
        )
        client.get_waiter(f"stack_{verb}_complete").wait(StackName=name, WaiterConfig=STACK_WAIT)

    def _update_mapping(self, uuid: str, mapping: StreamMapping) -> None:
        client = self._client("lambda")
        for _ in range(SETTLING_LOOKS):
            if client.get_event_source_mapping(UUID=uuid).get("State") not in SETTLING_STATES:
                break
            self._sleep(SETTLING_SECONDS)
        # Retries end by the age of a record only. The handlers park records that can never be
        # handled; any other record must not be lost because it failed often.
        client.update_event_source_mapping(
            UUID=uuid,
            FunctionResponseTypes=["ReportBatchItemFailures"] if mapping.report_item_failures else [],
            BisectBatchOnFunctionError=mapping.bisect,
            MaximumRetryAttempts=mapping.retries,
            MaximumRecordAgeInSeconds=mapping.longest,
            DestinationConfig={"OnFailure": {"Destination": mapping.failures_arn}},
            MaximumBatchingWindowInSeconds=mapping.window,
            FilterCriteria={"Filters": [{"Pattern": pattern} for pattern in mapping.filters]},
            Enabled=mapping.enabled,
        )


def _patch(throttle: Throttle) -> list[dict[str, str]]:
    settings = {"rateLimit": f"{throttle.rate:g}", "burstLimit": f"{throttle.burst}"}
    return [
        {"op": "replace", "path": f"/{throttle.path}/{throttle.verb}/throttling/{name}", "value": value}
        for name, value in settings.items()
    ]
