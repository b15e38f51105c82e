"""A whole deployment: the data stack, then Chalice, then what Chalice cannot set, then the alarms.

Every part checks first and does only what is missing, so an interrupted deployment is completed by running
it again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbooking.deployment import observation, packaging, planner, project
from openbooking.deployment.executor import Executor
from openbooking.deployment.planner import Step
from openbooking.infra import templates
from openbooking.infra.templates import ROOT, RUNTIME_PYTHON


@dataclass(frozen=True)
class Aws:
    """The AWS to use: clients for our own calls, the environment for Chalice."""

    client: Callable[[str], Any]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Deployed:
    """The result of a deployment."""

    rest_api_url: str
    rest_api_id: str
    exports: Mapping[str, str]
    steps: list[Step]
    """The steps in addition to Chalice's own."""
    alarm_email: str
    """The address that gets the alarms; empty if they are not sent."""
    zip: Path
    """The code of the functions."""


def deploy(
    stage: str,
    aws: Aws,
    *,
    source: Path = ROOT,
    build: Path | None = None,
    records: Path | None = None,
    parameters: Mapping[str, str] | None = None,
    alarm_email: str | None = None,
    python: tuple[int, int] = RUNTIME_PYTHON,
    say: Callable[[str], None] = print,
) -> Deployed:
    """Deploy `stage` and return the result.

    `build` is where Chalice's project is assembled, `records` the folder with Chalice's record of what it
    has deployed: without that record it would create everything again. `parameters` are those of the data
    stack. `alarm_email` is the address for alarms; None keeps the current one. `python` is the Python
    version of the functions; a rehearsal passes its own.
    """
    build = build or source / "build" / stage
    records = records or source / ".chalice" / "deployed"
    project.require_stage(stage, source)
    packaging.require_python(python, f"deploy STAGE={stage}")
    executor = Executor(aws.client, say)

    name = templates.stack_name(stage)
    stack_steps = _plan_stack(name, templates.tables_template(), {"Stage": stage, **(parameters or {})}, aws)
    executor.execute(stack_steps)
    exports = observation.exports(aws.client("cloudformation"), name)
    streams = templates.stream_mappings(stage, exports)

    project.assemble(
        build,
        stage,
        source=source,
        policy=lambda document: templates.resolve(document, stage, exports),
        environment={f"{handler.upper()}_ARN": mapping.stream_arn for handler, mapping in streams.items()}
        | templates.environment(stage, exports),
    )
    made = packaging.build_zip(build, stage, build / "templates", source=source, environment=aws.environment)
    deployed = _run_chalice(stage, aws, build, records)
    if packaging.zips(build) != [made]:
        raise packaging.BadPackageError("Chalice has deployed another zip than the one that was checked")

    rest_api, api_stage = deployed["rest_api"], _api_stage(build, stage)
    api_id, gateway = rest_api["rest_api_id"], aws.client("apigateway")
    steps = [
        *planner.plan_gateway(
            api_id,
            api_stage,
            templates.gateway_responses(),
            observation.found_gateway_responses(gateway, api_id),
        ),
        *planner.plan_throttles(
            api_id,
            api_stage,
            templates.throttles(),
            observation.found_throttles(gateway, api_id, api_stage),
        ),
        *planner.plan_streams(streams, observation.found_mappings(aws.client("lambda"), deployed)),
    ]
    executor.execute(steps)

    name = templates.alarms_stack_name(stage)
    chosen = {} if alarm_email is None else {"AlarmEmail": alarm_email}
    alarm_steps = _plan_stack(name, templates.alarms_template(), {"Stage": stage, **chosen}, aws)
    executor.execute(alarm_steps)
    current = observation.found_stack(aws.client("cloudformation"), name)
    assert current is not None
    return Deployed(
        rest_api["rest_api_url"],
        api_id,
        exports,
        [*stack_steps, *steps, *alarm_steps],
        current.parameters.get("AlarmEmail", ""),
        made,
    )


def _plan_stack(name: str, template: Any, parameters: Mapping[str, str], aws: Aws) -> list[Step]:
    return planner.plan_stack(
        name,
        observation.canonical(template),
        parameters,
        observation.found_stack(aws.client("cloudformation"), name),
    )


def _run_chalice(stage: str, aws: Aws, build: Path, records: Path) -> Mapping[str, Mapping[str, Any]]:
    record = records / f"{stage}.json"
    working = build / ".chalice" / "deployed" / f"{stage}.json"
    working.parent.mkdir(parents=True, exist_ok=True)
    working.unlink(missing_ok=True)
    if record.exists():
        shutil.copyfile(record, working)
    try:
        project.run_chalice(
            build, "deploy", "--stage", stage, "--connection-timeout", "120",
            environment=aws.environment,
        )  # fmt: skip
    finally:
        if working.exists():
            records.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(working, record)
    return observation.deployed_resources(record)


def _api_stage(build: Path, stage: str) -> str:
    config = json.loads((build / ".chalice" / "config.json").read_text())
    return str(config["stages"][stage]["api_gateway_stage"])
