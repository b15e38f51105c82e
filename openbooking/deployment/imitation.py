"""A simulated AWS on this machine: a moto server on a free port, for rehearsals and tests.

It runs in a separate process, because moto keeps its data in variables of the process and reads the same
environment variables as our code.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from openbooking.infra.templates import ROOT

# What moto cannot make of a template, and no command reads.
_ONLY_NAMED = (
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::WAFv2::WebACL",
    "AWS::WAFv2::WebACLAssociation",
)

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def imitation_of_aws() -> Iterator[str]:
    """Serve an empty AWS and yield its URL; its data is discarded afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "openbooking.deployment.imitation"],
        cwd=ROOT,
        env=without_aws(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # If this process is killed, the input of the other one ends, and so does that process.
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the user's AWS profile, keys and region."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def serve() -> None:
    """Serves until the input ends, after printing the URL."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            """Nothing: a rehearsal prints its own lines."""

    _keep_stage_settings()
    _read_keys_of_templates()
    _make_alarms_from_templates()
    _protect_stacks()
    app = _reading_swagger(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()
    server.server_close()


# Differences between moto and AWS, corrected in this process, in which only moto runs.


def _keep_stage_settings() -> None:
    # On AWS a stage keeps its settings after a new deployment; in moto it does not.
    from moto.apigateway.models import RestAPI

    create: Any = RestAPI.create_deployment

    def keeping(api: Any, name: str, *arguments: Any, **options: Any) -> Any:
        before = api.stages.get(name)
        deployment = create(api, name, *arguments, **options)
        if before is not None:
            api.stages[name].method_settings = before.method_settings
        return deployment

    RestAPI.create_deployment = keeping  # type: ignore[method-assign,assignment]


def _read_keys_of_templates() -> None:
    # KMS uses TagKey and TagValue for the parts of a tag, and a policy as text; templates use Key and Value, and JSON.
    from moto.kms.models import Key

    create: Any = Key.create_from_cloudformation_json

    def reading(name: str, resource: Any, *arguments: Any, **options: Any) -> Any:
        properties = resource["Properties"]
        tags = [{f"Tag{half}": tag[half] for half in tag} for tag in properties.get("Tags", [])]
        read = {**properties, "Tags": tags, "KeyPolicy": json.dumps(properties["KeyPolicy"], default=str)}
        return create(name, {**resource, "Properties": read}, *arguments, **options)

    Key.create_from_cloudformation_json = staticmethod(reading)  # type: ignore[method-assign, assignment]


def _make_alarms_from_templates() -> None:
    # moto has alarms, subscriptions and policies of topics, but makes none of them from a template.
    from moto.budgets.models import budgets_backends
    from moto.cloudformation.parsing import get_model_map
    from moto.cloudwatch.models import (
        Dimension,
        Metric,
        MetricDataQuery,
        MetricStat,
        cloudwatch_backends,
    )
    from moto.sns.models import sns_backends

    def alarm(properties: Any, account_id: str, region: str) -> str:
        made = cloudwatch_backends[account_id][region].put_metric_alarm(
            name=properties["AlarmName"],
            description=properties["AlarmDescription"],
            namespace=properties.get("Namespace"),
            metric_name=properties.get("MetricName"),
            dimensions=properties.get("Dimensions", []),
            statistic=properties.get("Statistic"),
            extended_statistic=properties.get("ExtendedStatistic"),
            metric_data_queries=[_query(each) for each in properties.get("Metrics", [])] or None,
            period=int(properties.get("Period", 0)),
            evaluation_periods=int(properties["EvaluationPeriods"]),
            datapoints_to_alarm=int(properties["DatapointsToAlarm"]),
            comparison_operator=properties["ComparisonOperator"],
            threshold=float(properties["Threshold"]),
            treat_missing_data=properties["TreatMissingData"],
            alarm_actions=properties["AlarmActions"],
            ok_actions=properties.get("OKActions"),
        )
        return str(made.name)

    def _query(query: Any) -> Any:
        statistic = query.get("MetricStat")
        return MetricDataQuery(
            query["Id"],
            query.get("Label", ""),
            query.get("Period"),
            query["ReturnData"],
            query.get("Expression"),
            statistic
            and MetricStat(
                Metric(
                    statistic["Metric"]["MetricName"],
                    statistic["Metric"]["Namespace"],
                    [Dimension(each["Name"], each["Value"]) for each in statistic["Metric"]["Dimensions"]],
                ),
                statistic["Period"],
                statistic["Stat"],
                "None",
            ),
        )

    def budget(properties: Any, account_id: str, region: str) -> str:
        wanted = properties["Budget"]
        limit = {"Amount": str(wanted["BudgetLimit"]["Amount"]), "Unit": wanted["BudgetLimit"]["Unit"]}
        backend = budgets_backends[account_id]["aws"]
        name: str = wanted["BudgetName"]
        if name in backend.budgets[account_id]:
            backend.delete_budget(account_id, name)
        backend.create_budget(
            account_id, {**wanted, "BudgetLimit": limit}, properties["NotificationsWithSubscribers"]
        )
        return name

    def subscription(properties: Any, account_id: str, region: str) -> str:
        topic, endpoint, protocol = (properties[name] for name in ("TopicArn", "Endpoint", "Protocol"))
        return str(sns_backends[account_id][region].subscribe(topic, endpoint, protocol).arn)

    def bucket_policy(properties: Any, account_id: str, region: str) -> str:
        return "policy"  # moto would apply a denial without its condition

    def topic_policy(properties: Any, account_id: str, region: str) -> str:
        policy = json.dumps(properties["PolicyDocument"])
        for topic in properties["Topics"]:
            sns_backends[account_id][region].set_topic_attribute(topic, "Policy", policy)
        return "policy"

    def model(make: Callable[[Any, str, str], str]) -> Any:
        # A subclass of moto's own model would have to be in a package of one of moto's services.
        class Made:
            def __init__(self, physical_resource_id: str) -> None:
                self.physical_resource_id = physical_resource_id

            def is_created(self) -> bool:
                return True

            @classmethod
            def has_cfn_attr(cls, attribute: str) -> bool:
                return True

            def get_cfn_attribute(self, attribute: str) -> str:
                return f"{attribute} of {self.physical_resource_id}"

            @classmethod
            def create_from_cloudformation_json(
                cls, name: str, resource: Any, account_id: str, region_name: str, **_: Any
            ) -> Made:
                return cls(make(resource["Properties"], account_id, region_name))

            def delete(self, account_id: str, region: str) -> None:
                cloudwatch = cloudwatch_backends[account_id][region]
                if self.physical_resource_id in cloudwatch.alarms:
                    cloudwatch.delete_alarms([self.physical_resource_id])

            @classmethod
            def update_from_cloudformation_json(
                cls,
                original_resource: Any,
                new_resource_name: str,
                cloudformation_json: Any,
                account_id: str,
                region_name: str,
            ) -> Made:
                return cls(make(cloudformation_json["Properties"], account_id, region_name))

        return Made

    get_model_map().update(
        {
            "AWS::Budgets::Budget": model(budget),
            "AWS::CloudWatch::Alarm": model(alarm),
            "AWS::S3::BucketPolicy": model(bucket_policy),
            # Not imitated: only that the stack has them.
            **{kind: model(lambda properties, account_id, region: "made") for kind in _ONLY_NAMED},
            "AWS::SNS::Subscription": model(subscription),
            "AWS::SNS::TopicPolicy": model(topic_policy),
        }
    )


def _protect_stacks() -> None:
    # moto keeps what CreateStack says about termination protection, and has no call to change it.
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.models import CloudFormationBackend
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.core.responses import ActionResult

    delete: Any = CloudFormationBackend.delete_stack

    def update(response: Any) -> Any:
        stack = response.cloudformation_backend.get_stack(response._get_param("StackName"))
        stack.enable_termination_protection = bool(response._get_param("EnableTerminationProtection"))
        return ActionResult({"StackId": stack.stack_id})

    def protecting(backend: Any, name_or_stack_id: str) -> Any:
        if backend.get_stack(name_or_stack_id).enable_termination_protection:
            raise ValidationError(message=f"Stack [{name_or_stack_id}] cannot be deleted: protected")
        return delete(backend, name_or_stack_id)

    CloudFormationResponse.update_termination_protection = update  # type: ignore[attr-defined]
    CloudFormationBackend.delete_stack = protecting  # type: ignore[method-assign,assignment]


def _reading_swagger(app: WsgiApp) -> WsgiApp:
    # Chalice describes its API in Swagger 2, which API Gateway reads and moto does not. The parts
    # that moto reads (paths, integrations) are the same in OpenAPI 3.
    def reading(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/restapis") and "mode=" in environ["QUERY_STRING"]:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            document = json.loads(environ["wsgi.input"].read(length))
            if document.pop("swagger", None):
                document["openapi"] = "3.0.0"
                document["info"].setdefault("description", "")
            body = json.dumps(document).encode()
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return app(environ, start_response)

    return reading


if __name__ == "__main__":
    serve()
