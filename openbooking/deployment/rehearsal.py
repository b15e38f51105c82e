"""Runs a whole deployment against a simulated AWS on this machine, and shows the result.

Deploys, reads everything back and compares it, deploys again, changes things by hand, rolls back and removes the stage.
Shows nothing about AWS itself: moto checks no permissions and runs no functions.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from openbooking.deployment import comparison, observation, project
from openbooking.deployment.deploy import Aws, DriftError, OnDrift, Stage, Who
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.imitation import imitation_of_aws, without_aws
from openbooking.deployment.outcome import Deployed
from openbooking.deployment.packaging import PYTHON
from openbooking.deployment.releases import LockedError, Releases
from openbooking.deployment.removal import remove
from openbooking.deployment.stage_state import StageState
from openbooking.infra import templates
from openbooking.infra.templates import ROOT, RUNTIME_PYTHON

REGION = "eu-west-2"
KEY = "rehearsal"
ALARM_EMAIL = "alarms@example.org"
ALARM_PARAMETERS = {"AlarmEmail": ALARM_EMAIL, "MonthlyBudget": "200"}


class RehearsalError(DeploymentError):
    sentence = "The rehearsal has failed:"


class NotIdempotentError(DeploymentError):
    sentence = "The second deployment of the same stage still changed something."


class OtherCodeError(DeploymentError):
    sentence = "A function has other code than the zip that was checked."


def rehearse(stage: str, *, source: Path = ROOT, say: Callable[[str], None] = print) -> list[str]:
    """Take `stage` through its life on a new moto server; return lines that describe what was deployed.

    Raises DeploymentError if a step does not do what it should.
    """
    if PYTHON != RUNTIME_PYTHON:
        this, wanted = (f"{major}.{minor}" for major, minor in (PYTHON, RUNTIME_PYTHON))
        say(
            f"Rehearsing with Python {this}, for functions of Python {this}. A deployment needs Python {wanted}."
        )
    with imitation_of_aws() as url, tempfile.TemporaryDirectory() as scratch:
        return Rehearsal(stage, aws_at(url), source, Path(scratch), say).run()


@dataclass
class Rehearsal:
    """One life of a stage."""

    name: str
    aws: Aws
    source: Path
    scratch: Path
    say: Callable[[str], None]

    def run(self) -> list[str]:
        self._part("Plan: nothing exists yet.")
        _expect(self._stage().plan(), "a plan of a stage that does not exist is not empty")

        self._part("Deploy.")
        first = self._deploy()
        comparison.compare(self._stage(), first)
        lines = list(_deployed_lines(self.name, self.aws, first))

        self._part("Plan and deploy again: nothing changes except by Chalice's own update.")
        planned = self._stage().plan(alarm_parameters=ALARM_PARAMETERS)
        _expect(not planned, f"the plan of a second deployment is not empty: {planned}")
        # As after an interrupted deployment, or without the team's record.
        releases = self._releases()
        releases.s3.delete_object(Bucket=releases.bucket, Key="chalice.json")
        second = self._deploy()
        if second.steps or second.rest_api_id != first.rest_api_id or second.release != first.release:
            raise NotIdempotentError(str(second.steps))

        self._part("Another person changes the stage: a deployment stops, and erases nothing.")
        self._change_by_hand(first)
        changed = self._found()
        self._expect_drift()
        _expect(self._found() == changed, "a deployment that stopped has changed something")

        self._part("DRIFT=keep leaves it.")
        self._deploy(on_drift=OnDrift.keep)
        _expect(self._found() == changed, "DRIFT=keep has changed something")
        planned = self._stage().plan(alarm_parameters=ALARM_PARAMETERS)
        _expect(not planned, f"what was kept would be changed by the next deployment: {planned}")

        self._part("A new release, and DRIFT=repair. (What was kept is now known: it is changed once more.)")
        self._change_by_hand(first, response_status=418, concurrency=5)
        other = self._changed_source()
        third = self._deploy(on_drift=OnDrift.repair, source=other)
        comparison.compare(self._stage(source=other), third)
        _expect(third.release.id > first.release.id, "a changed stage is not another release")

        self._part("Roll back.")
        back = self._stage(build="rollback").rollback(first.release.id)
        comparison.compare(self._stage(build="rollback"), back)
        _expect(back.rest_api_id == first.rest_api_id, "rolling back has made another API")

        self._part("While one person deploys, another one cannot.")
        with releases.locked("another person", "now", "deploy"):
            try:
                self._stage().rollback()
            except LockedError as error:
                self.say(str(error))
            else:
                raise RehearsalError("the lock does not hold")

        self._part("Remove the stage; its data stays.")
        remove(self._stage(build="removal"))
        _expect(not self.aws.client("lambda").list_functions()["Functions"], "functions are left")
        _expect(not self.aws.client("apigateway").get_rest_apis()["items"], "an API is left")
        tables = self.aws.client("dynamodb").list_tables()["TableNames"]
        _expect(len(tables) == len(templates.table_definitions("x")), "tables are gone")

        self._part("Remove the data too.")
        remove(self._stage(build="removal"), with_data=True)
        _expect(not self.aws.client("dynamodb").list_tables()["TableNames"], "tables are left")
        _expect(not self.aws.client("s3").list_buckets()["Buckets"], "a bucket is left")
        self.say("")
        for line in lines:
            self.say(line)
        self._part("The rehearsal succeeded: each step did what it should.")
        return lines

    def _stage(self, *, build: str = "build", source: Path | None = None) -> Stage:
        return Stage(
            self.name,
            self.aws,
            source=source or self.source,
            build=self.scratch / build,
            python=PYTHON,
            who=Who("rehearsal"),
            say=self.say,
        )

    def _deploy(self, *, on_drift: OnDrift = OnDrift.stop, source: Path | None = None) -> Deployed:
        stage = self._stage(source=source)
        return stage.deploy(alarm_parameters=ALARM_PARAMETERS, on_drift=on_drift)

    def _releases(self) -> Releases:
        found = self._stage().open_releases()
        assert found is not None
        return found

    def _found(self) -> StageState:
        return self._stage().found(self._releases())

    def _change_by_hand(
        self, deployed: Deployed, *, response_status: int = 403, concurrency: int = 7
    ) -> None:
        lambda_ = self.aws.client("lambda")
        name = f"{templates.APP_NAME}-{self.name}-orders_stream"
        arn = lambda_.get_function_configuration(FunctionName=name)["FunctionArn"]
        (mapping,) = lambda_.list_event_source_mappings(FunctionName=arn)["EventSourceMappings"]
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=concurrency)
        self.aws.client("apigateway").put_gateway_response(
            restApiId=deployed.rest_api_id, responseType="THROTTLED", statusCode=str(response_status)
        )

    def _expect_drift(self) -> None:
        try:
            self._deploy()
        except DriftError as error:
            self.say(str(error))
            for part in (
                "enabled was True, is False",
                "concurrency of orders_stream",
                "gateway response THROTTLED",
            ):
                _expect(part in str(error), f"{part!r} was not noticed")
        else:
            raise RehearsalError("drift was not noticed")

    def _changed_source(self) -> Path:
        """The same source with another setting of the stage."""
        other = self.scratch / "source"
        for name in ("chalicelib", ".chalice"):
            shutil.copytree(
                self.source / name, other / name, ignore=shutil.ignore_patterns("__pycache__", "deployed")
            )
        for name in project.SHIPPED:
            shutil.copyfile(self.source / name, other / name)
        path = other / ".chalice" / "config.json"
        config = json.loads(path.read_text())
        config["stages"][self.name]["environment_variables"]["RATE_LIMIT"] = "123"
        path.write_text(json.dumps(config))
        return other

    def _part(self, title: str) -> None:
        self.say("")
        self.say(title)


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise RehearsalError(otherwise)


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
        queries = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        watched = "; ".join(
            f"{each['Namespace']} {each['MetricName']} of "
            + ", ".join(dimension["Value"] for dimension in each["Dimensions"])
            for each in queries or [alarm]
        )
        yield f"alarm {alarm['AlarmName']}: {watched}"
    for dashboard in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]:
        yield f"dashboard {dashboard['DashboardName']}"


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
