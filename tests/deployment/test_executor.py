"""Steps as they are taken: one after the other, each when AWS is ready for it."""

from __future__ import annotations

from typing import Any

from openbooking.deployment.executor import SETTLING_LOOKS, Executor
from openbooking.deployment.planner import (
    PublishApi,
    PutGatewayResponse,
    ResetGatewayResponse,
    SetThrottles,
    UpdateStack,
    UpdateStreamMapping,
)
from openbooking.infra.templates import GatewayResponse, StreamMapping, Throttle

STREAM = StreamMapping(
    "arn:stream", "arn:queue", retries=-1, longest=86400, bisect=True, report_item_failures=True
)
ANSWER = GatewayResponse("THROTTLED", 429, {"Retry-After": "1"}, "{}")
LOGIN = Throttle("~1auth~1authorize", "POST", 20, 40)


class SettlingLambda:
    """A Lambda whose new mapping is ready at the third look."""

    def __init__(self, looks_needed: int) -> None:
        self.looks_left = looks_needed
        self.updates: list[dict[str, Any]] = []

    def get_event_source_mapping(self, UUID: str) -> dict[str, str]:
        self.looks_left -= 1
        return {"State": "Creating" if self.looks_left > 0 else "Enabled"}

    def update_event_source_mapping(self, **arguments: Any) -> None:
        self.updates.append(arguments)


def test_a_mapping_is_changed_only_when_it_has_settled() -> None:
    lambda_ = SettlingLambda(looks_needed=3)
    pauses: list[float] = []
    executor = Executor(lambda service: lambda_, lambda line: None, pauses.append)
    executor.execute([UpdateStreamMapping("uuid", "orders_stream", STREAM)])
    assert len(pauses) == 2 < SETTLING_LOOKS
    assert lambda_.updates == [
        {
            "UUID": "uuid",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": -1,
            "MaximumRecordAgeInSeconds": 86400,
            "DestinationConfig": {"OnFailure": {"Destination": "arn:queue"}},
            "MaximumBatchingWindowInSeconds": 0,
            "FilterCriteria": {"Filters": []},
            "Enabled": True,
        }
    ]


class Recorder:
    """A client of any service that notes what it is asked, and has nothing to wait for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def called(*arguments: Any, **options: Any) -> Recorder:
            self.calls.append((operation, options))
            return self

        return called


def test_steps_are_taken_in_the_order_of_the_plan() -> None:
    client = Recorder()
    executor = Executor(lambda service: client, lambda line: None)
    executor.execute(
        [
            UpdateStack("s", "{}", {"Stage": "dev"}),
            ResetGatewayResponse("api", "WAF_FILTERED"),
            PutGatewayResponse("api", ANSWER),
            PublishApi("api", "dev"),
            SetThrottles("api", "dev", (LOGIN,)),
        ]
    )
    assert [operation for operation, _ in client.calls] == [
        "update_stack",
        "get_waiter",
        "wait",
        "delete_gateway_response",
        "put_gateway_response",
        "create_deployment",
        "update_stage",
    ]
    assert client.calls[4][1]["responseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}
    path = "/~1auth~1authorize/POST/throttling"
    assert client.calls[6][1]["patchOperations"] == [
        {"op": "replace", "path": f"{path}/rateLimit", "value": "20"},
        {"op": "replace", "path": f"{path}/burstLimit", "value": "40"},
    ]
