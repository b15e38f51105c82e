"""What a policy allows, and what a call to AWS asks for: as far as both can be seen without AWS.

Names of actions and forms of ARNs are those of AWS's Service Authorization Reference.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.loaders

ACCOUNT, REGION = "123456789012", "eu-west-2"


@dataclass(frozen=True)
class Call:
    """One call to AWS, as it arrives: `service` is the one that it is signed for."""

    service: str
    method: str
    path: str
    target: str = ""
    body: bytes = b""


class Policy:
    """The statements of a template's managed policies, for one stage."""

    def __init__(self, template: Mapping[str, Any], stage: str, *names: str) -> None:
        values = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "Stage": stage}
        self._statements = [
            _resolved(statement, values)
            for name in names
            for statement in template["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]
        ]

    def allows(self, action: str, resource: str) -> bool:
        """Whether a direct call may be made; other conditions are taken to hold."""
        return any(
            "aws:CalledVia" not in json.dumps(each.get("Condition", {}))
            and _matches(each["Action"], action)
            and _matches(each["Resource"], resource)
            for each in self._statements
        )


def asked(call: Call) -> tuple[str, str]:
    """The action and the ARN for which a call needs a permission."""
    if call.service == "apigateway":
        return f"apigateway:{call.method}", f"arn:aws:apigateway:{REGION}::{urlsplit(call.path).path}"
    if call.service == "s3":
        return _of_s3(call)
    if call.service == "lambda":
        return _of_lambda(call)
    if call.target:
        operation = call.target.rpartition(".")[2]
        return f"{call.service}:{operation}", _named(call.service, json.loads(call.body))
    parameters = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
    return f"{call.service}:{parameters['Action']}", _named(call.service, parameters)


_NAMES = {
    "cloudformation": ("StackName", "stack/{}/id"),
    "dynamodb": ("TableName", "table/{}"),
    "events": ("Rule", "rule/{}"),
    "kms": ("KeyId", "key/{}"),
    "logs": ("logGroupName", "log-group:{}"),
    "sqs": ("QueueName", "{}"),
}


def _named(service: str, parameters: Mapping[str, Any]) -> str:
    """The ARN of what a request names."""
    if service == "iam":
        return f"arn:aws:iam::{ACCOUNT}:role/{parameters['RoleName']}"
    term, form = _NAMES[service]
    name = parameters.get(term) or parameters.get("Name") or parameters["QueueUrl"].rpartition("/")[2]
    return name if name.startswith("arn:") else f"arn:aws:{service}:{REGION}:{ACCOUNT}:{form.format(name)}"


def _of_s3(call: Call) -> tuple[str, str]:
    url = urlsplit(call.path)
    bucket, _, key = url.path.lstrip("/").partition("/")
    query = parse_qs(url.query, keep_blank_values=True)
    if key:
        verb = {"HEAD": "Get"}.get(call.method, call.method.title())
        version = "Version" if "versionId" in query else ""
        return f"s3:{verb}Object{version}", f"arn:aws:s3:::{bucket}/{key}"
    listed = "ListBucketVersions" if "versions" in query else "ListBucket"
    action = listed if call.method in ("GET", "HEAD") else f"{call.method.title()}Bucket"
    return f"s3:{action}", f"arn:aws:s3:::{bucket}"


def _of_lambda(call: Call) -> tuple[str, str]:
    path = urlsplit(call.path).path
    for operation, method, pattern in _operations_of_lambda():
        found = pattern.fullmatch(path) if method == call.method else None
        if found:
            kind = "event-source-mapping:any"
            if "EventSourceMapping" not in operation:
                named = next(iter(found.groupdict().values()), "") or json.loads(call.body)["FunctionName"]
                kind = f"function:{unquote(named).rpartition(':')[2]}"
            return f"lambda:{operation}", f"arn:aws:lambda:{REGION}:{ACCOUNT}:{kind}"
    raise LookupError(f"{call.method} {path} is no operation of Lambda")


@functools.cache
def _operations_of_lambda() -> list[tuple[str, str, re.Pattern[str]]]:
    model = botocore.loaders.Loader().load_service_model("lambda", "service-2")
    return [
        (name, each["http"]["method"], re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", uri) + "/?"))
        for name, each in model["operations"].items()
        for uri in [each["http"]["requestUri"].partition("?")[0].rstrip("/")]
    ]


def _matches(patterns: str | list[str], value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(value, pattern) for pattern in listed)


def _resolved(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(each, values) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([\w:]+)\}", lambda found: values[found[1]], value["Fn::Sub"])
    if set(value) == {"Ref"}:
        return values[value["Ref"]]
    return {name: _resolved(each, values) for name, each in value.items()}


def signed_for(authorization: str) -> str:
    """The service in a signature of version 4."""
    found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", authorization)
    return found[1] if found else ""
