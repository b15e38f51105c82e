"""Reads a deployed stage back and compares it with what was wanted: routes, functions, policies, streams, alarms."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from openbooking.deployment.deploy import Stage
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.outcome import Deployed
from openbooking.deployment.stage_state import drift, state_from
from openbooking.infra import templates
from openbooking.infra.alarms import alarms_with
from openbooking.infra.templates import FUNCTIONS


class OtherThanWantedError(DeploymentError):
    sentence = "What was deployed is not what was wanted:"


def compare(stage: Stage, deployed: Deployed) -> None:
    """Compare the stage with the project in its build directory. Raises OtherThanWantedError."""
    differences = [
        *_functions(stage, deployed),
        *_routes(stage, deployed),
        *_settings(stage, deployed),
        *_alarms(stage),
        *_schedules(stage),
    ]
    if differences:
        raise OtherThanWantedError("; ".join(differences))


def _functions(stage: Stage, deployed: Deployed) -> Iterator[str]:
    lambda_, iam = stage.aws.client("lambda"), stage.aws.client("iam")
    digest = base64.b64encode(hashlib.sha256(deployed.zip.read_bytes()).digest()).decode()
    config = json.loads((stage.build_dir / ".chalice" / "config.json").read_text())
    runtime = "python" + ".".join(map(str, stage.python))
    for function in FUNCTIONS:
        name = function.deployed_name(stage.name)
        found = lambda_.get_function_configuration(FunctionName=name)
        own = config["lambda_functions"][function.name]
        for what, wanted, current in (
            ("code", digest, found["CodeSha256"]),
            ("runtime", runtime, found["Runtime"]),
            ("architectures", [config["lambda_architecture"]], found["Architectures"]),
            ("variables", _variables(config, stage.name), found["Environment"]["Variables"]),
            ("timeout", own.get("lambda_timeout", config["lambda_timeout"]), found["Timeout"]),
            ("memory", own.get("lambda_memory_size", config["lambda_memory_size"]), found["MemorySize"]),
        ):
            if wanted != current:
                yield f"{what} of {name} is {current}, not {wanted}"
        role = found["Role"].rsplit("/", 1)[1]
        policy = json.loads((stage.build_dir / ".chalice" / own["iam_policy_file"]).read_text())
        (policy_name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=policy_name)["PolicyDocument"]
        if document["Statement"] != policy["Statement"]:
            yield f"the policy of {name} differs"


def _variables(config: Mapping[str, Any], stage: str) -> Mapping[str, str]:
    variables: Mapping[str, str] = config["stages"][stage]["environment_variables"]
    return variables


def _routes(stage: Stage, deployed: Deployed) -> Iterator[str]:
    """Every route of the app, and no other; each calls this stage's function."""
    gateway = stage.aws.client("apigateway")
    (sam,) = (stage.build_dir / "templates").glob("sam.json") if _has_template(stage) else (None,)
    found: dict[tuple[str, str], str] = {}
    pages = gateway.get_paginator("get_resources").paginate(restApiId=deployed.rest_api_id, embed=["methods"])
    for page in pages:
        for resource in page["items"]:
            for verb, method in resource.get("resourceMethods", {}).items():
                found[resource["path"], verb] = method.get("methodIntegration", {}).get("uri", "")
    function = f":function:{templates.APP_NAME}-{stage.name}/invocations"
    for (path, verb), uri in found.items():
        if function not in uri:
            yield f"{verb} {path} calls {uri}"
    if sam is not None:
        paths = json.loads(sam.read_text())["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        wanted = {
            (path, verb.upper())
            for path, verbs in paths.items()
            for verb in verbs
            if not verb.startswith("x-")
        }
        if wanted != found.keys():
            yield f"routes differ: {sorted(wanted ^ found.keys())}"


def _has_template(stage: Stage) -> bool:
    return (stage.build_dir / "templates" / "sam.json").exists()


def _settings(stage: Stage, deployed: Deployed) -> Iterator[str]:
    wanted = state_from(deployed.release.state)
    for each in drift(wanted, stage.found(stage.open_releases())):
        yield str(each)


def _alarms(stage: Stage) -> Iterator[str]:
    """The alarms of the table, those with a condition only if it holds."""
    prefix = f"{templates.APP_NAME}-{stage.name}-"
    pages = stage.aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    found = {each["AlarmName"]: each for page in pages for each in page["MetricAlarms"]}
    for alarm in alarms_with(stage.stacks.watched_options()):
        current = found.pop(prefix + alarm.name, None)
        if current is None:
            if alarm.condition is None:
                yield f"the alarm {alarm.name} is missing"
        elif (current["Threshold"], bool(current["AlarmActions"])) != (alarm.threshold, True):
            yield f"the alarm {alarm.name} differs"
    for name in found:
        yield f"the alarm {name} is not of this template"


def _schedules(stage: Stage) -> Iterator[str]:
    events = stage.aws.client("events")
    for function in FUNCTIONS:
        if function.is_api or function.stream:
            continue
        rule = f"{function.deployed_name(stage.name)}-event"
        found = {each["Name"]: each for each in events.list_rules(NamePrefix=rule)["Rules"]}
        if rule not in found or found[rule]["State"] != "ENABLED":
            yield f"the schedule {rule} is missing or off"
