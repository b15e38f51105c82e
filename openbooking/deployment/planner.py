"""Decides what is to be done: compares what is wanted with what was found, and returns steps.

Pure: nothing here reads AWS or the disk. A plan is a list of values and can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openbooking.deployment.errors import DeploymentError
from openbooking.infra.templates import GatewayResponse, StreamMapping, Throttle


class StackNeedsAttentionError(DeploymentError):
    sentence = "A stack is in a state that a person must look at first."


class StreamMovedError(DeploymentError):
    sentence = "A stream handler follows a stream that is no longer the table's."


class NotDeployedError(DeploymentError):
    sentence = "Chalice has left no record of something it should have deployed."


# --- steps ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateStack:
    """Create a stack."""

    name: str
    template: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class UpdateStack:
    """Bring a stack to this template and these parameters."""

    name: str
    template: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class PutGatewayResponse:
    """Set what the gateway answers by itself in one case."""

    rest_api_id: str
    response: GatewayResponse


@dataclass(frozen=True)
class ResetGatewayResponse:
    """Give one case back to the gateway's own wording."""

    rest_api_id: str
    response_type: str


@dataclass(frozen=True)
class PublishApi:
    """Make the gateway serve what has been set; until then it serves what it did."""

    rest_api_id: str
    api_stage: str


@dataclass(frozen=True)
class SetThrottles:
    """Say how many requests the gateway lets through; it does so at once."""

    rest_api_id: str
    api_stage: str
    throttles: tuple[Throttle, ...]


@dataclass(frozen=True)
class UpdateStreamMapping:
    """Set for how long a stream handler is given a batch that fails again."""

    uuid: str
    handler: str
    mapping: StreamMapping


Step = (
    CreateStack
    | UpdateStack
    | PutGatewayResponse
    | ResetGatewayResponse
    | PublishApi
    | SetThrottles
    | UpdateStreamMapping
)


# --- what was found -------------------------------------------------------------------------


@dataclass(frozen=True)
class FoundStack:
    """A stack as it stands."""

    status: str
    template: str
    """In the same serialisation as the wanted one: one template, one text."""
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class FoundMapping:
    """A stream handler's event source mapping as it stands."""

    uuid: str
    mapping: StreamMapping


# --- plans ----------------------------------------------------------------------------------

# Where CloudFormation takes an update.
_UPDATABLE = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
}


def plan_stack(
    name: str, template: str, parameters: Mapping[str, str], found: FoundStack | None
) -> list[Step]:
    """The way to the wanted stack; nothing when it stands already."""
    if found is None:
        return [CreateStack(name, template, parameters)]
    if found.status not in _UPDATABLE:
        raise StackNeedsAttentionError(f"{name} is {found.status}")
    if found.template == template and parameters.items() <= found.parameters.items():
        return []
    # A parameter that was not named keeps the value it has, so that a plain deploy never
    # undoes a choice (deletion protection, how long logs are kept).
    kept = {
        key: value for key, value in found.parameters.items() if key in json.loads(template)["Parameters"]
    }
    return [UpdateStack(name, template, kept | dict(parameters))]


def plan_gateway(
    rest_api_id: str,
    api_stage: str,
    wanted: Iterable[GatewayResponse],
    found: Iterable[GatewayResponse],
) -> list[Step]:
    """The way to the wanted gateway responses, published at the end if anything changes."""
    left = {response.response_type: response for response in found}
    steps: list[Step] = []
    for response in wanted:
        if left.pop(response.response_type, None) != response:
            steps.append(PutGatewayResponse(rest_api_id, response))
    steps += [ResetGatewayResponse(rest_api_id, response_type) for response_type in left]
    return [*steps, PublishApi(rest_api_id, api_stage)] if steps else []


def plan_throttles(
    rest_api_id: str, api_stage: str, wanted: Iterable[Throttle], found: Iterable[Throttle]
) -> list[Step]:
    """The way to the wanted throttles. Those of other methods are left: somebody has set them by hand."""
    standing = set(found)
    missing = tuple(throttle for throttle in wanted if throttle not in standing)
    return [SetThrottles(rest_api_id, api_stage, missing)] if missing else []


def plan_streams(wanted: Mapping[str, StreamMapping], found: Mapping[str, FoundMapping]) -> list[Step]:
    """The way to the wanted handling of stream failures."""
    steps: list[Step] = []
    for handler, mapping in wanted.items():
        if handler not in found:
            raise NotDeployedError(f"{handler} follows no stream")
        standing = found[handler]
        if standing.mapping.stream_arn != mapping.stream_arn:
            # Chalice keeps a mapping whose stream has gone. Moving it is a person's decision:
            # it starts at the beginning of the new stream.
            raise StreamMovedError(
                f"{handler} follows {standing.mapping.stream_arn}; the table's stream is "
                f"{mapping.stream_arn}. Delete event source mapping {standing.uuid}, then "
                "deploy again."
            )
        if standing.mapping != mapping:
            steps.append(UpdateStreamMapping(standing.uuid, handler, mapping))
    return steps
