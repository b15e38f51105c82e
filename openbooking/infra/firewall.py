"""The firewall of a stage (AWS WAF): one table of limits for single addresses, from which its resources are made.

Pure. The gateway's throttling applies to all callers together; this one refuses an address and leaves the others alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from openbooking.infra import templates
from openbooking.infra.templates import APP_NAME

WEB_ACL = "Firewall"
# Also the dimension `WebACL` of its metrics.
NAME = f"{APP_NAME}-${{Stage}}"
# WAF counts over this many seconds, and looks about every ten.
WINDOW = 300
# What a refused caller is to wait. WAF lets an address in again when its rate of the last window is below the limit.
RETRY_AFTER = WINDOW


@dataclass(frozen=True)
class AddressLimit:
    """How many requests of one kind an address may send in WINDOW seconds."""

    name: str
    path: str
    """What the path contains; empty: every request. Stage and base path come before it, so it is not the beginning."""
    requests: int
    why: str


LIMITS = (
    AddressLimit(
        "login",
        "/auth/authorize",
        100,
        "Login and consent are three or four requests: 25 people of one network in five minutes.",
    ),
    AddressLimit(
        "provider",
        "/auth/",
        1_500,
        "A Broker's server asks for a token for each Seller, and again after 15 minutes: 4,500 Sellers.",
    ),
    AddressLimit(
        "everything",
        "",
        60_000,
        "Twice the rate limit of a booking partner, and a fifth of what the gateway lets through for all.",
    ),
)


def firewall_resources(api: str, api_stage: str) -> dict[str, Any]:
    """The web ACL and its association with a stage of a REST API. Both are texts for Fn::Sub."""
    return {
        WEB_ACL: {
            "Type": "AWS::WAFv2::WebACL",
            "Properties": {
                "Name": {"Fn::Sub": NAME},
                "Description": "Limits for single addresses",
                "Scope": "REGIONAL",
                "DefaultAction": {"Allow": {}},
                "CustomResponseBodies": {
                    "too-many": {"ContentType": "APPLICATION_JSON", "Content": refusal_body()}
                },
                "Rules": [_rule(number, limit) for number, limit in enumerate(LIMITS)],
                "VisibilityConfig": _visibility(NAME),
                "Tags": templates.tags(),
            },
        },
        "FirewallOfApi": {
            "Type": "AWS::WAFv2::WebACLAssociation",
            "Properties": {
                "WebACLArn": {"Fn::GetAtt": [WEB_ACL, "Arn"]},
                "ResourceArn": {
                    "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}::"
                    f"/restapis/{api}/stages/{api_stage}"
                },
            },
        },
    }


def refusal_body() -> str:
    """The Open Booking error that a refused caller gets: the gateway's for throttled requests, without an id.

    WAF sends it as `application/json`: another type cannot be chosen.
    """
    (throttled,) = (each for each in templates.gateway_responses() if each.response_type == "THROTTLED")
    body = json.loads(throttled.template)
    del body["requestId"]
    body["description"] = (
        "Too many requests came from this address. Try again after the seconds in Retry-After."
    )
    return json.dumps(body)


def _rule(priority: int, limit: AddressLimit) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Limit": limit.requests,
        "EvaluationWindowSec": WINDOW,
        "AggregateKeyType": "IP",
    }
    if limit.path:
        statement["ScopeDownStatement"] = {
            "ByteMatchStatement": {
                "FieldToMatch": {"UriPath": {}},
                "PositionalConstraint": "CONTAINS",
                "SearchString": limit.path,
                # As the gateway reads a path: `/auth/%61uthorize` is the same page.
                "TextTransformations": [
                    {"Priority": 0, "Type": "URL_DECODE"},
                    {"Priority": 1, "Type": "NORMALIZE_PATH"},
                ],
            }
        }
    return {
        "Name": limit.name,
        "Priority": priority,
        "Statement": {"RateBasedStatement": statement},
        "Action": {
            "Block": {
                "CustomResponse": {
                    "ResponseCode": 429,
                    "CustomResponseBodyKey": "too-many",
                    "ResponseHeaders": [{"Name": "Retry-After", "Value": str(RETRY_AFTER)}],
                }
            }
        },
        "VisibilityConfig": _visibility(limit.name),
    }


def _visibility(metric: str) -> dict[str, Any]:
    return {
        "CloudWatchMetricsEnabled": True,
        "MetricName": {"Fn::Sub": metric} if "${" in metric else metric,
        # A sample shows addresses and headers, and with them tokens, to everybody who may read it.
        "SampledRequestsEnabled": False,
    }
