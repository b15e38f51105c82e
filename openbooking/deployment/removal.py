"""Takes a stage down: the alarms, the functions and the API; its data only if that is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from openbooking.deployment import observation, planner, project
from openbooking.deployment.deploy import Stage
from openbooking.deployment.executor import STACK_WAIT, Executor
from openbooking.infra import templates
from openbooking.infra.backups import backups_template


def remove(stage: Stage, *, with_data: bool = False) -> None:
    """Remove the functions, the API and the alarms of a stage.

    `with_data`: also its tables with every order in them, its signing key (after 30 days), its logs and its releases.
    Everything that is gone already is skipped, so an interrupted removal is completed by running it again.
    """
    stage.check("remove")
    with stage.locked("remove the stage") as releases:
        # First: an alarm would report that the sweep is missing.
        _delete_stack(stage, templates.alarms_stack_name(stage.name))
        # Before the API: a firewall and a domain belong to it.
        _delete_stack(stage, templates.front_stack_name(stage.name))
        record = stage.record(releases)
        if record["resources"]:
            stage.say("Deleting the functions, their roles, the API and the schedule")
            shutil.rmtree(stage.build_dir, ignore_errors=True)
            project.assemble(stage.build_dir, stage.name, source=stage.source)
            working = stage.build_dir / ".chalice" / "deployed" / f"{stage.name}.json"
            working.parent.mkdir(parents=True, exist_ok=True)
            working.write_text(json.dumps(record))
            project.run_chalice(
                stage.build_dir, "delete", "--stage", stage.name, environment=stage.aws.environment
            )
        releases.forget()
        if with_data:
            _delete_data(stage)
    if with_data:
        releases.delete_all()
        _delete_stack(stage, templates.releases_stack_name(stage.name))
        with suppress(releases.s3.exceptions.NoSuchBucket):
            releases.s3.delete_bucket(Bucket=releases.bucket)
        stage.say("Nothing of the stage is left. Its signing key can be restored for 30 days.")
    else:
        stage.say(
            f"Kept: tables, signing key, logs and releases (the stacks {templates.stack_name(stage.name)} and "
            f"{templates.releases_stack_name(stage.name)})."
        )


def _delete_data(stage: Stage) -> None:
    name = templates.stack_name(stage.name)
    cloudformation = stage.aws.client("cloudformation")
    found = observation.found_stack(cloudformation, name)
    if found is None:
        return
    exports = observation.exports(cloudformation, name)
    _stop_backups(stage)
    dynamodb = stage.aws.client("dynamodb")
    tables = list(_tables(dynamodb, f"{templates.APP_NAME}-{stage.name}"))
    for table in tables:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    _delete_stack(stage, name)
    # The stack retains them, so that no mistake with a stack deletes an order.
    for table in tables:
        stage.say(f"Deleting the table {table}")
        with suppress(dynamodb.exceptions.ResourceNotFoundException):
            dynamodb.delete_table(TableName=table)
    _delete_logs_and_queue(stage)
    key = exports[f"{templates.APP_NAME}-{stage.name}-SigningKeyArn"]
    kms = stage.aws.client("kms")
    with suppress(kms.exceptions.KMSInvalidStateException, kms.exceptions.NotFoundException):
        kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=30)


def _stop_backups(stage: Stage) -> None:
    """Make no more backups, whose plan uses the tables' ARNs. Those that exist stay until their own end."""
    name = templates.backups_stack_name(stage.name)
    found = observation.found_stack(stage.aws.client("cloudformation"), name)
    if found is not None:
        wanted = observation.canonical(backups_template(0))
        steps = planner.plan_stack(name, wanted, {"Stage": stage.name}, found)
        Executor(stage.aws.client, stage.say).execute(steps)
        stage.say(f"Kept: the backups in the vault {templates.APP_NAME}-{stage.name}, each until its end.")


def _delete_logs_and_queue(stage: Stage) -> None:
    resources = templates.tables_template()["Resources"].values()
    logs, sqs = stage.aws.client("logs"), stage.aws.client("sqs")
    for each in resources:
        if each["Type"] == "AWS::Logs::LogGroup":
            with suppress(logs.exceptions.ResourceNotFoundException):
                group = templates.resolve(each["Properties"]["LogGroupName"], stage.name, {})
                logs.delete_log_group(logGroupName=group)
        if each["Type"] == "AWS::SQS::Queue":
            with suppress(sqs.exceptions.QueueDoesNotExist):
                queue = templates.resolve(each["Properties"]["QueueName"], stage.name, {})
                sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])


def _tables(dynamodb: Any, prefix: str) -> Iterator[str]:
    for definition in templates.table_definitions(prefix):
        with suppress(dynamodb.exceptions.ResourceNotFoundException):
            yield dynamodb.describe_table(TableName=definition.name)["Table"]["TableName"]


def _delete_stack(stage: Stage, name: str) -> None:
    cloudformation = stage.aws.client("cloudformation")
    if observation.found_stack(cloudformation, name) is None:
        return
    stage.say(f"Deleting the stack {name}")
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=STACK_WAIT)
