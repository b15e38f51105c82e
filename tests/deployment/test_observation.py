"""What exists on AWS is found, also where Chalice's record does not have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openbooking.deployment import observation

API_ID, OTHER = "api1", "api2"


class Paged:
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for item in self.items:  # one a page
            yield {"items": [item]}


class Gone(Exception):
    pass


class Aws:
    """Two APIs with the same name, of two stages; the functions and mappings of one of them."""

    class meta:
        region_name = "eu-west-2"

    class exceptions:
        ResourceNotFoundException = Gone

    def __call__(self, service: str) -> Aws:
        return self

    def get_paginator(self, name: str) -> Any:
        if name == "get_rest_apis":
            return Paged([{"name": "openbooking", "id": OTHER}, {"name": "x", "id": "x"},
                          {"name": "openbooking", "id": API_ID}])  # fmt: skip
        gateway = self

        class Resources:
            def paginate(self, restApiId: str, embed: list[str]) -> Any:
                return Paged([gateway.resource(restApiId)]).paginate()

        return Resources()

    def resource(self, api_id: str) -> Any:
        function = {API_ID: "openbooking-dev", OTHER: "openbooking-prod"}[api_id]
        uri = (
            f"arn:aws:apigateway:x:lambda:path/y/functions/arn:aws:lambda:x:1:function:{function}/invocations"
        )
        return {"path": "/", "resourceMethods": {"GET": {"methodIntegration": {"uri": uri}}}}

    def get_function_configuration(self, FunctionName: str) -> Any:
        if "orders" not in FunctionName:
            raise Gone
        return {"FunctionArn": f"arn:{FunctionName}"}

    def list_event_source_mappings(self, FunctionName: str) -> Any:
        mapping = {"UUID": "uuid", "EventSourceArn": "arn:stream", "FunctionArn": FunctionName}
        return {"EventSourceMappings": [mapping]}


def test_an_api_and_a_mapping_are_found_by_the_functions_that_they_call() -> None:
    """After an interruption: otherwise Chalice makes a second API, and reads the stream twice."""
    record = observation.completed_record(Aws(), "dev", "dev", None)
    assert observation.deployed_resources(record) == {
        "rest_api": {
            "name": "rest_api",
            "resource_type": "rest_api",
            "rest_api_id": API_ID,
            "rest_api_url": f"https://{API_ID}.execute-api.eu-west-2.amazonaws.com/dev/",
        },
        "orders_stream-dynamodb-event-source": {
            "name": "orders_stream-dynamodb-event-source",
            "resource_type": "dynamodb_event",
            "stream_arn": "arn:stream",
            "event_uuid": "uuid",
            "lambda_arn": "arn:openbooking-dev-orders_stream",
        },
    }


@pytest.mark.parametrize("stage", ["test", "de", "dev2"])
def test_the_api_of_another_stage_is_not_taken(stage: str) -> None:
    record = observation.completed_record(Aws(), stage, stage, None)
    assert "rest_api" not in observation.deployed_resources(record)


def test_what_chalice_has_recorded_stays() -> None:
    known = {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": "own", "rest_api_url": "u"}
    record = observation.completed_record(Aws(), "dev", "dev", {"resources": [known]})
    assert observation.deployed_resources(record)["rest_api"] == known
