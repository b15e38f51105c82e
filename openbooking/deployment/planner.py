"""Compares the wanted state with the current one, and returns the steps from one to the other.

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
    sentence = "A stream handler reads a stream that is no longer the table's."


class NotDeployedError(DeploymentError):
    sentence = "Chalice has no record of something that it should have deployed."


# --- steps ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateStack:
    """Create a stack; `protected` from being deleted as a whole."""

    name: str
    template: str
    parameters: Mapping[str, str]
    protected: bool = False

    def __str__(self) -> str:
        return f"create the stack {self.name}"


@dataclass(frozen=True)
class UpdateStack:
    """Bring a stack to this template and these parameters."""

    name: str
    template: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        return f"update the stack {self.name}"


@dataclass(frozen=True)
class ProtectStack:
    """Protect a stack from being deleted as a whole, which was switched off."""

    name: str

    def __str__(self) -> str:
        return f"protect the stack {self.name} from being deleted"


@dataclass(frozen=True)
class DeleteStack:
    """Delete a stack for which no option of the stage asks any more."""

    name: str

    def __str__(self) -> str:
        return f"delete the stack {self.name}"


@dataclass(frozen=True)
class PutGatewayResponse:
    """Set one of the gateway's own responses."""

    rest_api_id: str
    response: GatewayResponse

    def __str__(self) -> str:
        return f"set the gateway response {self.response.response_type}"


@dataclass(frozen=True)
class ResetGatewayResponse:
    """Reset one of the gateway's own responses to its default."""

    rest_api_id: str
    response_type: str

    def __str__(self) -> str:
        return f"reset the gateway response {self.response_type}"


@dataclass(frozen=True)
class PublishApi:
    """Publish changed gateway responses; they take effect with the next deployment of the API."""

    rest_api_id: str
    api_stage: str

    def __str__(self) -> str:
        return f"publish the API on {self.api_stage}"


@dataclass(frozen=True)
class SetThrottles:
    """Set throttling limits; they take effect immediately."""

    rest_api_id: str
    api_stage: str
    throttles: tuple[Throttle, ...]

    def __str__(self) -> str:
        return "set throttles: " + "; ".join(map(str, self.throttles))


@dataclass(frozen=True)
class SetAccessLogs:
    """Write a line for each request to a log group, or to none."""

    rest_api_id: str
    api_stage: str
    destination: str
    layout: str

    def __str__(self) -> str:
        return f"access logs: {self.destination or 'off'}"


@dataclass(frozen=True)
class UpdateStreamMapping:
    """Set for how long a stream handler is given a batch that fails again."""

    uuid: str
    handler: str
    mapping: StreamMapping

    def __str__(self) -> str:
        return f"set how the stream of {self.handler} is read"


Step = (
    CreateStack
    | UpdateStack
    | ProtectStack
    | DeleteStack
    | PutGatewayResponse
    | ResetGatewayResponse
    | PublishApi
    | SetThrottles
    | SetAccessLogs
    | UpdateStreamMapping
)


# --- what was found -------------------------------------------------------------------------


@dataclass(frozen=True)
class FoundStack:
    """A current stack."""

    status: str
    template: str
    """Serialised in the same way as the wanted one, so that equal templates are equal texts."""
    parameters: Mapping[str, str]
    protected: bool = False
    """From being deleted as a whole."""


@dataclass(frozen=True)
class FoundMapping:
    """The current event source mapping of a stream handler."""

    uuid: str
    mapping: StreamMapping


# --- plans ----------------------------------------------------------------------------------

# The states in which CloudFormation accepts an update.
_UPDATABLE = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
}


def plan_stack(
    name: str,
    template: str,
    parameters: Mapping[str, str],
    found: FoundStack | None,
    *,
    protected: bool = False,
) -> list[Step]:
    """The steps to the wanted stack; none if it exists already. `protected`: from being deleted as a whole."""
    if found is None:
        return [CreateStack(name, template, parameters, protected)]
    if found.status not in _UPDATABLE:
        raise StackNeedsAttentionError(f"{name} is {found.status}")
    protection: list[Step] = [ProtectStack(name)] if protected and not found.protected else []
    if found.template == template and parameters.items() <= found.parameters.items():
        return protection
    # A parameter that is not given keeps its value, so that a plain deployment never resets a
    # choice (deletion protection, retention of logs).
    kept = {
        key: value for key, value in found.parameters.items() if key in json.loads(template)["Parameters"]
    }
    return [*protection, UpdateStack(name, template, kept | dict(parameters))]


def plan_no_stack(name: str, found: FoundStack | None) -> list[Step]:
    """The steps to a stack that is not there."""
    if found is None:
        return []
    if found.status not in _UPDATABLE:
        raise StackNeedsAttentionError(f"{name} is {found.status}")
    return [DeleteStack(name)]


def plan_gateway(
    rest_api_id: str,
    api_stage: str,
    wanted: Iterable[GatewayResponse],
    found: Iterable[GatewayResponse],
) -> list[Step]:
    """The steps to the wanted gateway responses, published at the end if anything changes."""
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
    """The steps to the wanted throttling limits. Limits of other methods were set by hand and are kept."""
    current = set(found)
    missing = tuple(throttle for throttle in wanted if throttle not in current)
    return [SetThrottles(rest_api_id, api_stage, missing)] if missing else []


def plan_access_logs(
    rest_api_id: str, api_stage: str, wanted: tuple[str, str], found: tuple[str, str]
) -> list[Step]:
    """The steps to the wanted log of requests: the ARN of its group, empty for none, and the layout of a line."""
    return [] if wanted == found else [SetAccessLogs(rest_api_id, api_stage, *wanted)]


def plan_streams(wanted: Mapping[str, StreamMapping], found: Mapping[str, FoundMapping]) -> list[Step]:
    """The steps to the wanted handling of stream failures."""
    steps: list[Step] = []
    for handler, mapping in wanted.items():
        if handler not in found:
            raise NotDeployedError(f"{handler} reads no stream")
        current = found[handler]
        if current.mapping.stream_arn != mapping.stream_arn:
            # Chalice keeps a mapping whose stream no longer exists. Replacing it must be decided
            # by hand: the new mapping starts at the beginning of the new stream.
            raise StreamMovedError(
                f"{handler} reads {current.mapping.stream_arn}; the table's stream is "
                f"{mapping.stream_arn}. Delete event source mapping {current.uuid}, then "
                "deploy again."
            )
        if current.mapping != mapping:
            steps.append(UpdateStreamMapping(current.uuid, handler, mapping))
    return steps
