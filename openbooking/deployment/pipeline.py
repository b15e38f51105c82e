"""What the template for a pipeline has beyond Chalice's: a zip for each function, versions behind an alias, and a gradual
deployment.

Pure: a template goes in, another one comes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openbooking.deployment.front import HTTP_API, add_front
from openbooking.deployment.project import Options
from openbooking.infra.templates import ACCESS_LOG_LAYOUT, APP_NAME, FUNCTIONS

# The name of every function's alias. API Gateway, the streams and the schedule invoke it, never the newest code.
ALIAS = "live"

# Alarms of the deployment alone: within a minute, and of nothing but what answers callers. CodeDeploy watches them
# while traffic moves, and goes back to the version before if one is triggered.
_ROLLBACK_ALARMS = {
    "RollbackOnErrors": {
        "suffix": "errors",
        "says": "The function of the API ends with errors while a new version gets traffic.",
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "dimensions": {
            "FunctionName": f"{APP_NAME}-${{Stage}}",
            "Resource": f"{APP_NAME}-${{Stage}}:{ALIAS}",
        },
        "Threshold": 0,
    },
    "RollbackOnFaults": {
        "suffix": "faults",
        "says": "The API answers with status 500 or above while a new version gets traffic.",
        "Namespace": "AWS/ApiGateway",
        "MetricName": "5XXError",
        "dimensions": {"ApiName": APP_NAME, "Stage": "${Stage}"},
        "Threshold": 4,
    },
}


_ON_HTTP_FAULTS = {
    **_ROLLBACK_ALARMS["RollbackOnFaults"],
    "suffix": "http-faults",
    "MetricName": "5xx",
    "dimensions": {"ApiId": f"${{{HTTP_API}}}"},
}


def _rollback_alarms(options: Options) -> dict[str, Mapping[str, Any]]:
    alarms: dict[str, Mapping[str, Any]] = {**_ROLLBACK_ALARMS}
    return alarms | ({"RollbackOnHttpFaults": _ON_HTTP_FAULTS} if options.http_api else {})


def gradual(template: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """A packaged template, changed for a deployment by pipeline with these options."""
    document: dict[str, Any] = json.loads(json.dumps(template))
    resources = document["Resources"]
    for function in FUNCTIONS:
        properties = resources[function.logical_id]["Properties"]
        properties["CodeUri"] = f"./{function.zip_name}"
        properties["AutoPublishAlias"] = ALIAS
        # Also when only settings have changed: a version has its own.
        properties["AutoPublishAliasAllProperties"] = True
        if not options.platform_logs:
            # START, END and REPORT are as long as the line of a request. Lambda's warnings stay.
            properties["LoggingConfig"] = {
                "LogFormat": "JSON",
                "ApplicationLogLevel": "DEBUG",
                "SystemLogLevel": "WARN",
            }
        if function.is_api:
            properties["DeploymentPreference"] = {
                "Type": options.gradual,
                "Alarms": [{"Ref": name} for name in _rollback_alarms(options)],
            }
            if options.snap_start:
                properties["SnapStart"] = {"ApplyOn": "PublishedVersions"}
            _call_alias(document, function.logical_id)
    alarms = _rollback_alarms(options)
    resources |= {name: _alarm(each) for name, each in alarms.items()}
    add_front(document, options, ALIAS)
    if options.access_logs:
        resources["RestAPI"]["Properties"]["AccessLogSetting"] = {
            "DestinationArn": {
                "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
                f"/{APP_NAME}/${{Stage}}/access"
            },
            "Format": ACCESS_LOG_LAYOUT,
        }
    return document


def _call_alias(document: dict[str, Any], function: str) -> None:
    """Let API Gateway call the alias, and allow it to."""
    api = document["Resources"]["RestAPI"]["Properties"]
    definition = json.dumps(api["DefinitionBody"])
    api["DefinitionBody"] = json.loads(
        definition.replace(f"${{{function}.Arn}}", f"${{{function}.Arn}}:{ALIAS}")
    )
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Permission" and resource["Properties"]["FunctionName"] == {
            "Ref": function
        }:
            resource["Properties"]["FunctionName"] = {"Ref": f"{function}.Alias"}


def _alarm(each: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"{APP_NAME}-${{Stage}}-rollback-{each['suffix']}"},
            "AlarmDescription": f"{each['says']} It ends the deployment; no message is sent.",
            "Namespace": each["Namespace"],
            "MetricName": each["MetricName"],
            "Dimensions": [
                {"Name": name, "Value": {"Fn::Sub": value} if "${" in value else value}
                for name, value in each["dimensions"].items()
            ],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": each["Threshold"],
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        },
    }
