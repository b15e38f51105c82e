"""Runs a whole deployment against a simulated AWS on this machine, and shows the result.

Shows that every step is accepted and that a second run has nothing to do. Shows nothing about AWS itself:
moto checks no permissions and runs no functions.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from openbooking.deployment import observation
from openbooking.deployment.deploy import Aws, Deployed, deploy
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.imitation import imitation_of_aws, without_aws
from openbooking.deployment.packaging import PYTHON
from openbooking.infra import templates
from openbooking.infra.templates import ROOT, RUNTIME_PYTHON

REGION = "eu-west-2"
KEY = "rehearsal"
ALARM_EMAIL = "alarms@example.org"


class NotIdempotentError(DeploymentError):
    sentence = "The second deployment of the same stage still changed something."


class OtherCodeError(DeploymentError):
    sentence = "A function has other code than the zip that was checked."


def rehearse(stage: str, *, source: Path = ROOT, say: Callable[[str], None] = print) -> list[str]:
    """Deploy `stage` twice to a new moto server; return lines that describe the result."""
    if PYTHON != RUNTIME_PYTHON:
        this, wanted = (f"{major}.{minor}" for major, minor in (PYTHON, RUNTIME_PYTHON))
        say(
            f"Rehearsing with Python {this}, for functions of Python {this}. A deployment needs Python {wanted}."
        )
    with imitation_of_aws() as url, tempfile.TemporaryDirectory() as scratch:
        aws = aws_at(url)
        first = _deploy(stage, aws, source, Path(scratch), say)
        say("")
        say("Second run: nothing should change except Chalice's own update.")
        second = _deploy(stage, aws, source, Path(scratch), say)
        if second.steps or second.rest_api_id != first.rest_api_id:
            raise NotIdempotentError(str(second.steps))
        lines = list(_deployed_lines(stage, aws, first))
    say("")
    for line in lines:
        say(line)
    return lines


def aws_at(url: str) -> Aws:
    """An AWS at `url`. Profiles and credentials of this machine are not used."""
    # A new session that uses no profile and reads no file.
    nothing = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    session = boto3.Session(KEY, KEY, region_name=REGION, botocore_session=nothing)
    return Aws(
        client=lambda service: session.client(service, endpoint_url=url),
        environment={
            **without_aws(os.environ),
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )


def _deploy(stage: str, aws: Aws, source: Path, scratch: Path, say: Callable[[str], None]) -> Deployed:
    return deploy(
        stage,
        aws,
        source=source,
        build=scratch / "build",
        records=scratch / "records",
        alarm_email=ALARM_EMAIL,
        python=PYTHON,
        say=say,
    )


def _deployed_lines(stage: str, aws: Aws, deployed: Deployed) -> Iterator[str]:
    name = templates.stack_name(stage)
    yield f"data stack {name}: {observation.found_stack(aws.client('cloudformation'), name).status}"  # type: ignore[union-attr]
    dynamodb = aws.client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        description = dynamodb.describe_table(TableName=table)["Table"]
        stream = description.get("StreamSpecification", {}).get("StreamViewType", "no stream")
        yield f"table {table}: {stream}"
    yield f"dead-letter queue {deployed.exports[f'openbooking-{stage}-StreamFailuresQueueArn']}"
    kms = aws.client("kms")
    key = deployed.exports[f"openbooking-{stage}-SigningKeyArn"]
    for alias in kms.list_aliases(KeyId=key)["Aliases"]:
        rotation = (
            "rotated every year"
            if kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
            else "not rotated"
        )
        yield f"key {alias['AliasName']}: {key.rsplit(':', 1)[1]}, {rotation}"
    yield from _functions(aws, deployed)
    for mapping in aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
        yield (
            f"stream mapping {mapping['FunctionArn'].rsplit(':', 1)[1]}: "
            f"{mapping['FunctionResponseTypes'][0]}, retried for {mapping['MaximumRecordAgeInSeconds']} s "
            f"({mapping['MaximumRetryAttempts']} times), then {mapping['DestinationConfig']['OnFailure']['Destination'].rsplit(':', 1)[1]}"
        )
    for rule in aws.client("events").list_rules()["Rules"]:
        yield f"schedule {rule['Name']}: {rule['ScheduleExpression']}"
    responses = observation.found_gateway_responses(aws.client("apigateway"), deployed.rest_api_id)
    for response in responses:
        kind = json.loads(response.template)["@type"]
        yield f"gateway response {response.response_type}: {response.status} {kind}"
    api_stage = deployed.rest_api_url.rstrip("/").rsplit("/", 1)[1]
    for throttle in observation.found_throttles(aws.client("apigateway"), deployed.rest_api_id, api_stage):
        yield f"throttle {throttle}"
    yield from _alarms(stage, aws, deployed)
    yield f"API {deployed.rest_api_url}"


def _alarms(stage: str, aws: Aws, deployed: Deployed) -> Iterator[str]:
    name = templates.alarms_stack_name(stage)
    stack = observation.found_stack(aws.client("cloudformation"), name)
    assert stack is not None
    yield f"alarms stack {name}: {stack.status}, for {deployed.alarm_email}"
    sns = aws.client("sns")
    for topic in sns.list_topics()["Topics"]:
        arn = topic["TopicArn"]
        key = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["KmsMasterKeyId"]
        for subscription in sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]:
            yield f"topic {arn.rsplit(':', 1)[1]}: {subscription['Endpoint']}, encrypted with {key}"
    for alarm in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        watched = ", ".join(each["Value"] for each in alarm["Dimensions"])
        yield f"alarm {alarm['AlarmName']}: {alarm['Namespace']} {alarm['MetricName']} of {watched}"


def _functions(aws: Aws, deployed: Deployed) -> Iterator[str]:
    iam: Any = aws.client("iam")
    digest = base64.b64encode(hashlib.sha256(deployed.zip.read_bytes()).digest()).decode()
    for function in aws.client("lambda").list_functions()["Functions"]:
        if function["CodeSha256"] != digest:
            raise OtherCodeError(function["FunctionName"])
        role = function["Role"].rsplit("/", 1)[1]
        (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        yield (
            f"function {function['FunctionName']}: {function['Runtime']} "
            f"{function['Architectures'][0]}, {function['MemorySize']} MB, "
            f"{function['Timeout']} s, may "
            + ", ".join(statement["Sid"] for statement in document["Statement"])
            + "; gets "
            + ", ".join(sorted(function["Environment"]["Variables"]))
        )
