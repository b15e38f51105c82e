"""Plans: which steps lead from what is there to what is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openbooking.deployment import observation, planner
from openbooking.deployment.planner import (
    CreateStack,
    DeleteStack,
    FoundMapping,
    FoundStack,
    ProtectStack,
    PublishApi,
    PutGatewayResponse,
    ResetGatewayResponse,
    SetThrottles,
    UpdateStack,
    UpdateStreamMapping,
)
from openbooking.infra.templates import GatewayResponse, StreamMapping, Throttle

TEMPLATE = '{"Parameters":{"Stage":{},"DeletionProtection":{}}}'
STREAM = StreamMapping(
    "arn:stream", "arn:queue", retries=-1, longest=86400, bisect=True, report_item_failures=True
)
AS_CHALICE_LEAVES_IT = StreamMapping("arn:stream", None, -1, -1, False, False)
ANSWER = GatewayResponse("THROTTLED", 429, {"Retry-After": "1"}, "{}")


def test_a_missing_stack_is_created() -> None:
    assert planner.plan_stack("s", TEMPLATE, {"Stage": "dev"}, None) == [
        CreateStack("s", TEMPLATE, {"Stage": "dev"})
    ]


def test_a_stack_that_stands_is_left_alone() -> None:
    found = FoundStack("UPDATE_COMPLETE", TEMPLATE, {"Stage": "dev", "DeletionProtection": "true"})
    assert planner.plan_stack("s", TEMPLATE, {"Stage": "dev"}, found) == []


def test_an_update_keeps_what_was_chosen_and_forgets_what_is_no_parameter_any_more() -> None:
    found = FoundStack("CREATE_COMPLETE", "{}", {"DeletionProtection": "false", "Gone": "1"})
    assert planner.plan_stack("s", TEMPLATE, {"Stage": "dev"}, found) == [
        UpdateStack("s", TEMPLATE, {"DeletionProtection": "false", "Stage": "dev"})
    ]


def test_a_changed_parameter_is_an_update() -> None:
    found = FoundStack("CREATE_COMPLETE", TEMPLATE, {"Stage": "dev", "DeletionProtection": "true"})
    wanted = {"Stage": "dev", "DeletionProtection": "false"}
    assert planner.plan_stack("s", TEMPLATE, wanted, found) == [UpdateStack("s", TEMPLATE, wanted)]


def test_a_stack_that_is_not_protected_any_more_is_protected_before_it_is_changed() -> None:
    found = FoundStack("CREATE_COMPLETE", TEMPLATE, {"Stage": "dev"})
    wanted = {"Stage": "dev"}
    assert planner.plan_stack("s", TEMPLATE, wanted, found, protected=True) == [ProtectStack("s")]
    assert planner.plan_stack("s", TEMPLATE, wanted, replace(found, protected=True), protected=True) == []
    other = replace(found, template="{}")
    assert planner.plan_stack("s", TEMPLATE, wanted, other, protected=True) == [
        ProtectStack("s"),
        UpdateStack("s", TEMPLATE, wanted),
    ]


def test_a_stack_for_which_no_option_asks_is_deleted_once() -> None:
    assert planner.plan_no_stack("s", None) == []
    assert planner.plan_no_stack("s", FoundStack("CREATE_COMPLETE", TEMPLATE, {})) == [DeleteStack("s")]
    with pytest.raises(planner.StackNeedsAttentionError):
        planner.plan_no_stack("s", FoundStack("DELETE_IN_PROGRESS", TEMPLATE, {}))


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_IN_PROGRESS", "DELETE_FAILED"])
def test_a_broken_stack_is_left_to_a_person(status: str) -> None:
    with pytest.raises(planner.StackNeedsAttentionError):
        planner.plan_stack("s", TEMPLATE, {}, FoundStack(status, TEMPLATE, {}))


def test_gateway_answers_are_set_and_then_published() -> None:
    stale = replace(ANSWER, status=403)
    other = replace(ANSWER, response_type="WAF_FILTERED")
    assert planner.plan_gateway("api", "dev", [ANSWER], [stale, other]) == [
        PutGatewayResponse("api", ANSWER),
        ResetGatewayResponse("api", "WAF_FILTERED"),
        PublishApi("api", "dev"),
    ]


def test_gateway_answers_that_stand_are_not_published_again() -> None:
    assert planner.plan_gateway("api", "dev", [ANSWER], [ANSWER]) == []


LOGIN = Throttle("~1auth~1authorize", "POST", 20, 40)


def test_throttles_that_are_not_there_are_set() -> None:
    stale, other = replace(LOGIN, rate=10000.0), replace(LOGIN, verb="GET")
    assert planner.plan_throttles("api", "dev", [LOGIN], [stale, other]) == [
        SetThrottles("api", "dev", (LOGIN,))
    ]


def test_throttles_that_stand_are_left_alone() -> None:
    assert planner.plan_throttles("api", "dev", [LOGIN], [replace(LOGIN, rate=20.0)]) == []


@pytest.mark.parametrize(
    ("told", "path", "verb"),
    [
        ("*/*", "*", "*"),
        ("~1auth~1authorize/POST", "~1auth~1authorize", "POST"),
        ("auth/authorize/POST", "~1auth~1authorize", "POST"),
    ],
)
def test_throttles_are_found_however_their_method_is_told(told: str, path: str, verb: str) -> None:
    class Gateway:
        def get_stage(self, restApiId: str, stageName: str) -> Any:
            limits = {"throttlingRateLimit": 20.0, "throttlingBurstLimit": 40}
            return {"methodSettings": {told: limits, "pets/GET": {"metricsEnabled": True}}}

    assert observation.found_throttles(Gateway(), "api", "dev") == [Throttle(path, verb, 20, 40)]


def test_a_batch_that_fails_is_tried_again_until_its_records_are_a_day_old() -> None:
    found = {"orders_stream": FoundMapping("uuid", AS_CHALICE_LEAVES_IT)}
    assert planner.plan_streams({"orders_stream": STREAM}, found) == [
        UpdateStreamMapping("uuid", "orders_stream", STREAM)
    ]
    done = {"orders_stream": FoundMapping("uuid", STREAM)}
    assert planner.plan_streams({"orders_stream": STREAM}, done) == []


def test_a_handler_on_a_stream_that_has_gone_is_left_to_a_person() -> None:
    found = {"orders_stream": FoundMapping("uuid", replace(STREAM, stream_arn="arn:old"))}
    with pytest.raises(planner.StreamMovedError, match="uuid"):
        planner.plan_streams({"orders_stream": STREAM}, found)


def test_a_handler_without_a_stream_is_not_deployed() -> None:
    with pytest.raises(planner.NotDeployedError):
        planner.plan_streams({"orders_stream": STREAM}, {})
