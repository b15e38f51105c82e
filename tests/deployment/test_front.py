"""What stands in front of the functions, by option: an HTTP API with the same routes and limits, CloudFront."""

from typing import Any

import pytest

from openbooking.deployment.front import add_front
from openbooking.deployment.pipeline import ALIAS, gradual
from openbooking.deployment.project import Options
from openbooking.infra import templates
from openbooking.infra.domain import Domain

PATHS = ("/", "/feeds/{name}", "/auth/token", "/auth/authorize", "/api/openbooking/orders/{uuid}")


@pytest.fixture
def template() -> dict[str, Any]:
    """As much of a packaged template as is looked at."""
    functions = {
        each.logical_id: {"Type": "AWS::Serverless::Function", "Properties": {}}
        for each in templates.FUNCTIONS
    }
    paths = {path: {"get": {"uri": "${APIHandler.Arn}/invocations"}} for path in PATHS}
    return {
        "Resources": {
            **functions,
            "RestAPI": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"DefinitionBody": {"paths": paths}},
            },
        }
    }


def fronted(template: dict[str, Any], **options: Any) -> dict[str, Any]:
    made: dict[str, Any] = gradual(template, Options(**options))["Resources"]
    return made


def routes(resources: dict[str, Any]) -> set[str]:
    return {
        each["Properties"]["RouteKey"]
        for each in resources.values()
        if each["Type"] == "AWS::ApiGatewayV2::Route"
    }


def test_nothing_is_added_unless_asked_for(template: dict[str, Any]) -> None:
    types = {each["Type"] for each in fronted(template).values()}
    assert types == {"AWS::Serverless::Function", "AWS::Serverless::Api", "AWS::CloudWatch::Alarm"}


def test_the_http_api_has_every_route_and_one_for_all_others(template: dict[str, Any]) -> None:
    found = routes(fronted(template, http_api=True))
    assert {f"ANY {path}" for path in PATHS} <= found
    assert "$default" in found


def test_the_http_api_has_the_limits_of_the_rest_api(template: dict[str, Any]) -> None:
    resources = fronted(template, http_api=True)
    stage = resources["HttpStage"]["Properties"]
    wanted = {
        "*" if each.path == "*" else f"{each.verb} {each.path.replace('~1', '/')}": (each.rate, each.burst)
        for each in templates.throttles()
    }
    limits = {
        key: (each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"])
        for key, each in {**stage["RouteSettings"], "*": stage["DefaultRouteSettings"]}.items()
    }
    assert limits == wanted
    # CloudFormation refuses settings of a route that is not there.
    assert set(stage["RouteSettings"]) <= routes(resources)
    assert set(resources["HttpStage"]["DependsOn"]) == {
        name for name, each in resources.items() if each["Type"] == "AWS::ApiGatewayV2::Route"
    }


def test_the_http_api_calls_the_alias_and_may(template: dict[str, Any]) -> None:
    resources = fronted(template, http_api=True)
    integration = resources["HttpIntegration"]["Properties"]
    assert integration["IntegrationUri"]["Fn::Sub"].endswith(f"${{APIHandler.Arn}}:{ALIAS}/invocations")
    assert integration["PayloadFormatVersion"] == "1.0"
    permission = resources["HttpApiInvokes"]["Properties"]
    assert permission["FunctionName"] == {"Ref": "APIHandler.Alias"}
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${HttpApi}/*")


def test_its_faults_take_a_new_version_back(template: dict[str, Any]) -> None:
    resources = fronted(template, http_api=True)
    watched = resources["APIHandler"]["Properties"]["DeploymentPreference"]["Alarms"]
    assert {"Ref": "RollbackOnHttpFaults"} in watched
    alarm = resources["RollbackOnHttpFaults"]["Properties"]
    assert alarm["MetricName"] == "5xx"
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": {"Fn::Sub": "${HttpApi}"}}]


def test_its_access_log_names_no_person_and_no_id(template: dict[str, Any]) -> None:
    stage = fronted(template, http_api=True, access_logs=True)["HttpStage"]["Properties"]
    layout = stage["AccessLogSettings"]["Format"]
    assert "$context.routeKey" in layout
    for personal in ("sourceIp", "$context.path", "userAgent", "authorizer", "identity"):
        assert personal not in layout


@pytest.mark.parametrize("http_api", [True, False])
def test_cloudfront_keeps_open_feeds_and_nothing_else(template: dict[str, Any], http_api: bool) -> None:
    resources = fronted(template, http_api=http_api, cached_feeds=True)
    distribution = resources["FeedsDistribution"]["Properties"]["DistributionConfig"]
    (feeds,) = distribution["CacheBehaviors"]
    assert (feeds["PathPattern"], feeds["CachePolicyId"]) == ("/feeds/*", {"Ref": "FeedPages"})
    assert "PUT" not in feeds["AllowedMethods"]
    # The managed policy CachingDisabled.
    assert distribution["DefaultCacheBehavior"]["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    pages = resources["FeedPages"]["Properties"]["CachePolicyConfig"]
    key = pages["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"]["QueryStrings"] == ["afterChangeNumber", "limit"]
    assert (pages["MinTTL"], pages["DefaultTTL"]) == (0, 0)  # the page says how long
    (origin,) = distribution["Origins"]
    assert ("OriginPath" in origin) is not http_api
    assert ("HttpApi" in origin["DomainName"]["Fn::Sub"]) is http_api


def test_the_urls_are_outputs(template: dict[str, Any]) -> None:
    document = gradual(template, Options(http_api=True, cached_feeds=True))
    assert document["Outputs"].keys() == {"HttpApiUrl", "HttpApiId", "FeedsUrl"}
    # The alarms stack imports it.
    export = document["Outputs"]["HttpApiId"]["Export"]["Name"]
    assert templates.resolve(export, "dev", {}) == "openbooking-dev-HttpApiId"


DOMAIN = Domain("booking.example.org", "arn:aws:acm:eu-west-2:123456789012:certificate/1", "sports")


def test_the_domain_leads_to_the_http_api_if_there_is_one(template: dict[str, Any]) -> None:
    rest = fronted(template, domain=DOMAIN)["DomainMapping"]["Properties"]
    assert (rest["ApiId"], rest["Stage"]) == ({"Ref": "RestAPI"}, {"Ref": "RestAPI.Stage"})
    http = fronted(template, domain=DOMAIN, http_api=True)["DomainMapping"]["Properties"]
    assert (http["ApiId"], http["Stage"]) == ({"Ref": "HttpApi"}, {"Ref": "HttpStage"})
    assert "DomainTarget" in gradual(template, Options(domain=DOMAIN))["Outputs"]


def test_the_firewall_is_of_the_stage_of_the_rest_api(template: dict[str, Any]) -> None:
    association = fronted(template, firewall=True)["FirewallOfApi"]["Properties"]
    assert association["ResourceArn"]["Fn::Sub"].endswith("::/restapis/${RestAPI}/stages/${RestAPI.Stage}")
    assert association["WebACLArn"] == {"Fn::GetAtt": ["Firewall", "Arn"]}


def test_lambdas_own_lines_can_be_left_out(template: dict[str, Any]) -> None:
    for each in templates.FUNCTIONS:
        quiet = fronted(template, platform_logs=False)[each.logical_id]["Properties"]
        assert quiet["LoggingConfig"]["SystemLogLevel"] == "WARN"
        assert "LoggingConfig" not in fronted(template)[each.logical_id]["Properties"]


def test_the_packaged_template_is_not_changed(template: dict[str, Any]) -> None:
    before = str(template)
    gradual(template, Options(http_api=True, cached_feeds=True, platform_logs=False))
    assert str(template) == before
    add_front(document := {"Resources": {}}, Options(), ALIAS)
    assert document["Resources"] == {}
