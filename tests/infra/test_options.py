"""What options add in front of a stage and beside it: the firewall, the domain, the backups."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import TooManyRequestsError
from openbooking.deployment.front import front_template
from openbooking.deployment.project import Options, variables_of
from openbooking.infra import templates
from openbooking.infra.alarms import alarms_template
from openbooking.infra.backups import RECOVERY_DAYS, SCHEDULE, backups_template
from openbooking.infra.domain import Domain, domain_from
from openbooking.infra.firewall import LIMITS, RETRY_AFTER, WINDOW
from tests.support import errors_seen

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE = "arn:aws:acm:eu-west-2:123456789012:certificate/0a1b"
DOMAIN = Domain("booking.example.org", CERTIFICATE, "sports", "Z0123456789")
ALL = Options(firewall=True, domain=DOMAIN)


def front(options: Options = ALL) -> Any:
    template = front_template(options)
    assert template is not None
    return template["Resources"]


# --- the firewall -------------------------------------------------------------------------------


def rules() -> dict[str, Any]:
    return {each["Name"]: each for each in front()["Firewall"]["Properties"]["Rules"]}


def test_each_address_is_limited_for_logins_for_the_provider_and_for_everything() -> None:
    found = {
        name: (
            rule["Statement"]["RateBasedStatement"]["Limit"],
            rule["Statement"]["RateBasedStatement"].get("ScopeDownStatement", {}).get("ByteMatchStatement"),
        )
        for name, rule in rules().items()
    }
    assert {name: limit for name, (limit, _) in found.items()} == {
        "login": 100,
        "provider": 1500,
        "everything": 60_000,
    }
    for name, path in {"login": "/auth/authorize", "provider": "/auth/"}.items():
        match = found[name][1]
        assert (match["SearchString"], match["PositionalConstraint"]) == (path, "CONTAINS")
        # `/auth/%61uthorize` and `/auth//authorize` are the same page.
        assert {each["Type"] for each in match["TextTransformations"]} == {"URL_DECODE", "NORMALIZE_PATH"}
    assert found["everything"][1] is None
    for rule in rules().values():
        assert rule["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
        assert rule["Statement"]["RateBasedStatement"]["EvaluationWindowSec"] == WINDOW


def test_its_limits_are_between_those_of_a_partner_and_those_of_the_gateway() -> None:
    """A partner that keeps to its limit is never refused, and one address never uses up what there is for all."""
    limits = {each.name: each.requests for each in LIMITS}
    general = next(each for each in templates.throttles() if each.path == "*")
    for stage in ("dev", "prod"):
        a_minute = int(variables_of(stage)["RATE_LIMIT"])
        assert limits["everything"] > a_minute * WINDOW / 60
    assert limits["everything"] < general.rate * WINDOW / 4
    login = next(each for each in templates.throttles() if each.path == "~1auth~1authorize")
    assert limits["login"] < login.rate * WINDOW / 20
    assert [each.requests for each in LIMITS] == sorted(limits.values())


def test_a_refused_address_gets_an_open_booking_error_and_when_to_come_back() -> None:
    properties = front()["Firewall"]["Properties"]
    assert properties["DefaultAction"] == {"Allow": {}}
    for rule in rules().values():
        answer = rule["Action"]["Block"]["CustomResponse"]
        assert answer["ResponseCode"] == 429
        assert answer["ResponseHeaders"] == [{"Name": "Retry-After", "Value": str(RETRY_AFTER)}]
        content = properties["CustomResponseBodies"][answer["CustomResponseBodyKey"]]
        assert content["ContentType"] == "APPLICATION_JSON"
        body = json.loads(content["Content"])
        assert (body["@type"], body["statusCode"]) == (TooManyRequestsError.term, 429)
        assert body["name"] == TooManyRequestsError.name
        assert "requestId" not in body
        errors_seen.note(429, body)


def test_it_measures_and_keeps_no_sample_of_requests() -> None:
    """A sample shows headers, and with them tokens."""
    for each in (front()["Firewall"]["Properties"], *rules().values()):
        assert each["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False


def test_its_alarm_and_graph_watch_its_own_metrics() -> None:
    acl = front()["Firewall"]["Properties"]["VisibilityConfig"]["MetricName"]
    template = alarms_template({"firewall"})["Resources"]
    alarm = template["FirewallBlocking"]["Properties"]
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "WebACL": acl,
        "Region": {"Fn::Sub": "${AWS::Region}"},
        "Rule": "ALL",
    }
    assert "FirewallBlocking" not in alarms_template()["Resources"]
    body = json.loads(template["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    (graph,) = (e["properties"] for e in body["widgets"] if "Firewall" in str(e["properties"].get("title")))
    assert {metric[-1] for metric in graph["metrics"]} == {"ALL", *rules()}


# --- the domain ---------------------------------------------------------------------------------


def test_the_domain_speaks_tls_1_2_and_leads_to_the_stage_of_the_api() -> None:
    resources = front()
    (configuration,) = resources["Domain"]["Properties"]["DomainNameConfigurations"]
    assert configuration == {
        "CertificateArn": CERTIFICATE,
        "EndpointType": "REGIONAL",
        "SecurityPolicy": "TLS_1_2",
    }
    assert resources["DomainMapping"]["Properties"] == {
        "DomainName": {"Ref": "Domain"},
        "ApiId": {"Ref": "RestApiId"},
        "Stage": {"Ref": "ApiStage"},
        "ApiMappingKey": "sports",
    }
    assert DOMAIN.url == "https://booking.example.org/sports"


def test_without_a_base_path_and_a_zone_there_is_neither() -> None:
    plain = Domain("booking.example.org", CERTIFICATE)
    resources = front(Options(domain=plain))
    assert resources.keys() == {"Domain", "DomainMapping"}
    assert "ApiMappingKey" not in resources["DomainMapping"]["Properties"]
    assert plain.url == "https://booking.example.org"


def test_without_options_there_is_nothing_in_front() -> None:
    assert front_template(Options()) is None


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("booking.example.org", "is not an object"),
        ({"name": "booking.example.org"}, "has no certificate"),
        ({"certificate": CERTIFICATE}, "has no name"),
        ({"name": "a.example", "certificate": CERTIFICATE, "path": "x"}, "has an unknown part, path"),
        ({"name": "https://a.example", "certificate": CERTIFICATE}, "name 'https://a.example'"),
        ({"name": "a.example", "certificate": "abc"}, "certificate 'abc'"),
        ({"name": "a.example", "certificate": CERTIFICATE, "base_path": "/x/"}, "base_path '/x/'"),
        ({"name": "a.example", "certificate": CERTIFICATE, "base_path": "auth"}, "base path auth"),
        ({"name": "a.example", "certificate": CERTIFICATE, "hosted_zone": "/z"}, "hosted_zone '/z'"),
        ({"name": 7, "certificate": CERTIFICATE}, "is not an object with texts"),
    ],
)
def test_a_domain_that_cannot_be_is_refused_with_the_reason(chosen: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        domain_from(chosen)


# --- backups ------------------------------------------------------------------------------------


def test_every_table_is_backed_up_each_week_after_the_daily_erasure_of_people() -> None:
    resources = backups_template(400)["Resources"]
    (rule,) = resources["BackupPlan"]["Properties"]["BackupPlan"]["BackupPlanRule"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": 400}
    assert rule["ScheduleExpression"] == SCHEDULE == "cron(0 5 ? * SUN *)"
    named = resources["BackupSelection"]["Properties"]["BackupSelection"]["Resources"]
    exports = {
        each["Export"]["Name"]["Fn::Sub"]: each["Value"]
        for each in templates.tables_template()["Outputs"].values()
    }
    tables = {exports[each["Fn::ImportValue"]["Fn::Sub"]]["Fn::GetAtt"][0] for each in named}
    assert tables == {
        name
        for name, each in templates.tables_template()["Resources"].items()
        if each["Type"] == "AWS::DynamoDB::Table"
    }
    assert timedelta(days=RECOVERY_DAYS) == timedelta(weeks=5)


def test_without_days_the_vault_stays_alone() -> None:
    resources = backups_template(0)["Resources"]
    assert resources.keys() == {"BackupVault", "BackupRole"}
    assert resources["BackupVault"]["DeletionPolicy"] == "Retain"


def test_the_role_of_backups_is_for_aws_backup_only() -> None:
    role = backups_template(400)["Resources"]["BackupRole"]["Properties"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "backup.amazonaws.com"}


# --- what is kept ---------------------------------------------------------------------------------

# Types of resources that hold what cannot be made again. A KMS alias is a name; the alarms' key encrypts messages
# until they are sent.
HOLD_DATA = (
    "AWS::Backup::BackupVault",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
)


def test_everything_that_holds_data_is_kept_if_its_stack_is_deleted() -> None:
    documents = {
        path.name: json.loads(path.read_text())
        for path in (*(ROOT / "infra").glob("*.json"), *(ROOT / "infra" / "pipeline").glob("role.json"))
    }
    assert {"tables.json", "releases.json", "backups.json", "alarms.json", "role.json"} <= documents.keys()
    kept = 0
    for file, document in documents.items():
        for name, each in document["Resources"].items():
            if each.get("Type") in HOLD_DATA and name != "AlarmKey":
                assert each["DeletionPolicy"] == each["UpdateReplacePolicy"] == "Retain", f"{file}: {name}"
                kept += 1
    assert kept == 5 + 1 + 1 + 6 + 2 + 1  # tables, key, queue, log groups, buckets, vault


# --- what AWS's checker says ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        front_template(ALL),
        front_template(Options(domain=Domain("booking.example.org", CERTIFICATE))),
        front_template(Options(firewall=True)),
        backups_template(400),
        backups_template(0),
        alarms_template({"firewall", "http_api"}),
    ],
    ids=["front", "domain", "firewall", "backups", "vault", "alarms"],
)
def test_cloudformation_would_take_the_template(tmp_path: Path, template: Any) -> None:
    assert len(json.dumps(template, separators=(",", ":"))) < 51_200
    written = tmp_path / "template.json"
    written.write_text(json.dumps(template))
    linted = subprocess.run(
        [
            sys.executable,
            "-c",
            "from cfnlint.runner import main; main()",
            "--regions",
            "eu-west-2",
            "--",
            str(written),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
