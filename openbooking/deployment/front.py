"""What can be put in front of the functions: a firewall and a domain; by pipeline an HTTP API, and CloudFront for open feeds.

Pure: resources are returned, not created. The REST API stays; what is not called costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openbooking.deployment.project import Options
from openbooking.infra.alarms import HTTP_API_ID
from openbooking.infra.domain import domain_outputs, domain_resources
from openbooking.infra.firewall import firewall_resources
from openbooking.infra.templates import APP_NAME, FUNCTIONS, Throttle, throttles

HTTP_API, HTTP_STAGE = "HttpApi", "HttpStage"
# The route for all that no other route matches; the function answers with the error for unknown endpoints.
_ANY_OTHER = "$default"

# As the REST API's, with the names that an HTTP API has for the same things: `routeKey` has no ids in it.
HTTP_ACCESS_LOG_LAYOUT = json.dumps(
    {
        "requestId": "$context.requestId",
        "time": "$context.requestTimeEpoch",
        "route": "$context.routeKey",
        "status": "$context.status",
        "bytes": "$context.responseLength",
        "latency": "$context.responseLatency",
        "functionLatency": "$context.integrationLatency",
        "error": "$context.error.responseType",
    },
    separators=(",", ":"),
)

# Managed policies of CloudFront, the same in every account.
_CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
_ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


def add_front(document: dict[str, Any], options: Options, alias: str) -> None:
    """Add what the options ask for to a packaged template, in front of the functions' alias."""
    resources, outputs = document["Resources"], document.setdefault("Outputs", {})
    if options.http_api:
        resources |= _http_api(resources, options, alias)
        outputs["HttpApiUrl"] = {
            "Description": "The URL of the HTTP API.",
            "Value": {"Fn::GetAtt": [HTTP_API, "ApiEndpoint"]},
        }
        outputs[HTTP_API_ID] = {
            "Description": "What the alarms select its metrics by.",
            "Value": {"Ref": HTTP_API},
            "Export": {"Name": {"Fn::Sub": f"{APP_NAME}-${{Stage}}-{HTTP_API_ID}"}},
        }
    if options.cached_feeds:
        resources |= _cached_feeds(is_http=options.http_api)
        outputs["FeedsUrl"] = {
            "Description": "The value of OPEN_FEEDS_URL, unless a name of your own points at it.",
            "Value": {"Fn::Sub": "https://${FeedsDistribution.DomainName}"},
        }
    if options.firewall:
        # SAM's names of the API's stage: it must exist first.
        resources |= firewall_resources("${RestAPI}", "${RestAPI.Stage}")
    if options.domain is not None:
        rest = {"Ref": "RestAPI"}, {"Ref": "RestAPI.Stage"}
        http = {"Ref": HTTP_API}, {"Ref": HTTP_STAGE}
        resources |= domain_resources(options.domain, *(http if options.http_api else rest))
        outputs |= domain_outputs()


def front_template(options: Options) -> dict[str, Any] | None:
    """The template of the stack that a deployment from a laptop puts in front of its REST API; None if nothing is chosen."""
    resources: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    if options.firewall:
        resources |= firewall_resources("${RestApiId}", "${ApiStage}")
    if options.domain is not None:
        resources |= domain_resources(options.domain, {"Ref": "RestApiId"}, {"Ref": "ApiStage"})
        outputs |= domain_outputs()
    if not resources:
        return None
    parameters = {
        "Stage": "The Chalice stage; part of every name.",
        "RestApiId": "The id of its API, which Chalice has made.",
        "ApiStage": "The stage of that API.",
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Open Booking: what is in front of the API of one stage that is deployed from a laptop.",
        "Parameters": {
            name: {"Type": "String", "Description": says}
            for name, says in parameters.items()
            if _is_used(name, resources)
        },
        "Resources": resources,
        **({"Outputs": outputs} if outputs else {}),
    }


def _is_used(parameter: str, resources: Mapping[str, Any]) -> bool:
    text = json.dumps(resources)
    return f"${{{parameter}}}" in text or f'"Ref": "{parameter}"' in text


def _http_api(resources: Mapping[str, Any], options: Options, alias: str) -> dict[str, Any]:
    paths = resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    limits = throttles()
    (everything,) = (each for each in limits if each.path == "*")
    limited = [each for each in limits if each.path != "*"]
    keys = [
        _ANY_OTHER,
        *(f"ANY {path}" for path in sorted(paths)),
        # A limit of one verb needs a separate route.
        *(_route_key(each) for each in limited),
    ]
    routes = {f"HttpRoute{number}": key for number, key in enumerate(keys)}
    (function,) = (each.logical_id for each in FUNCTIONS if each.is_api)
    stage: dict[str, Any] = {
        "ApiId": {"Ref": HTTP_API},
        "StageName": "$default",
        "AutoDeploy": True,
        "DefaultRouteSettings": _limits(everything),
        "RouteSettings": {_route_key(each): _limits(each) for each in limited},
    }
    if options.access_logs:
        stage["AccessLogSettings"] = {
            "DestinationArn": {
                "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
                f"/{APP_NAME}/${{Stage}}/access"
            },
            "Format": HTTP_ACCESS_LOG_LAYOUT,
        }
    return {
        HTTP_API: {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": {"Fn::Sub": f"{APP_NAME}-${{Stage}}"}, "ProtocolType": "HTTP"},
        },
        "HttpIntegration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": HTTP_API},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": {
                    "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
                    f"${{{function}.Arn}}:{alias}/invocations"
                },
                # Of the form that a REST API sends.
                "PayloadFormatVersion": "1.0",
                "TimeoutInMillis": 29000,
            },
        },
        **{name: _route(key) for name, key in routes.items()},
        HTTP_STAGE: {
            "Type": "AWS::ApiGatewayV2::Stage",
            # The settings of a route need the route.
            "DependsOn": list(routes),
            "Properties": stage,
        },
        "HttpApiInvokes": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": f"{function}.Alias"},
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {
                    "Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${HttpApi}/*"
                },
            },
        },
    }


def _route(key: str) -> dict[str, Any]:
    return {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {
            "ApiId": {"Ref": HTTP_API},
            "RouteKey": key,
            "Target": {"Fn::Sub": "integrations/${HttpIntegration}"},
        },
    }


def _route_key(limit: Throttle) -> str:
    return f"{limit.verb} /{limit.path.replace('~1', '/').lstrip('/')}"


def _limits(limit: Throttle) -> dict[str, Any]:
    return {"ThrottlingRateLimit": limit.rate, "ThrottlingBurstLimit": limit.burst}


def _cached_feeds(*, is_http: bool) -> dict[str, Any]:
    """A distribution for the open feeds. All else goes through it uncached, with the answers of the API."""
    api = HTTP_API if is_http else "RestAPI"
    origin: dict[str, Any] = {
        "Id": "api",
        "DomainName": {"Fn::Sub": f"${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}"},
        "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
    }
    if not is_http:
        origin["OriginPath"] = {"Fn::Sub": "/${Stage}"}
    common = {"TargetOriginId": "api", "ViewerProtocolPolicy": "redirect-to-https", "Compress": True}
    readers = {"AllowedMethods": ["GET", "HEAD", "OPTIONS"], "CachedMethods": ["GET", "HEAD"]}
    everything = {"AllowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]}
    return {
        "FeedPages": {
            "Type": "AWS::CloudFront::CachePolicy",
            "Properties": {
                "CachePolicyConfig": {
                    "Name": {"Fn::Sub": f"{APP_NAME}-${{Stage}}-feeds"},
                    # How long a page is kept, says the page (RPDE-19).
                    "MinTTL": 0,
                    "DefaultTTL": 0,
                    "MaxTTL": 3600,
                    "ParametersInCacheKeyAndForwardedToOrigin": {
                        "CookiesConfig": {"CookieBehavior": "none"},
                        "HeadersConfig": {"HeaderBehavior": "none"},
                        "QueryStringsConfig": {
                            "QueryStringBehavior": "whitelist",
                            "QueryStrings": ["afterChangeNumber", "limit"],
                        },
                        "EnableAcceptEncodingGzip": True,
                        "EnableAcceptEncodingBrotli": False,
                    },
                }
            },
        },
        "FeedsDistribution": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Enabled": True,
                    "HttpVersion": "http2and3",
                    "IPV6Enabled": True,
                    "Comment": {"Fn::Sub": f"Open feeds of {APP_NAME}-${{Stage}}"},
                    "Origins": [origin],
                    "CacheBehaviors": [
                        {
                            **common,
                            **readers,
                            "PathPattern": "/feeds/*",
                            "CachePolicyId": {"Ref": "FeedPages"},
                        }
                    ],
                    "DefaultCacheBehavior": {
                        **common,
                        **everything,
                        "CachePolicyId": _CACHING_DISABLED,
                        "OriginRequestPolicyId": _ALL_VIEWER_EXCEPT_HOST,
                    },
                }
            },
        },
    }
