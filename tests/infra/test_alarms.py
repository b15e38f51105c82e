"""The alarms: each watches a metric that exists, of its own stage, and has its section in the runbook."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.runtime import telemetry
from chalicelib.runtime.settings import read_settings
from openbooking.cli.main import load
from openbooking.deployment import observation
from openbooking.infra import templates
from openbooking.infra.alarms import WATCHED_OPTIONS, alarms_template

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
# With the alarms of all options.
TEMPLATE = alarms_template(WATCHED_OPTIONS)
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
# What AWS itself measures: namespace -> the metrics that we watch, and the dimensions that select one of ours.
OF_AWS = {
    "AWS/Lambda": ({"Errors", "Throttles", "IteratorAge"}, {"FunctionName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/ApiGateway": ({"5XXError", "Latency"}, {"ApiName", "Stage"}),
    "AWS/WAFV2": ({"BlockedRequests"}, {"WebACL", "Region", "Rule"}),
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, {"TableName"}),
}
# An HTTP API is named by its id only, which the packaged template exports for its own stage.
OF_HTTP_API = {"ApiId": "arn:dev:HttpApiId"}
FUNCTIONS = {each.deployed_name("dev") for each in templates.FUNCTIONS}


def metrics_of(alarm: Any) -> list[Any]:
    """The metrics that an alarm adds up."""
    parts = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return parts or [alarm]


def counted() -> set[str]:
    """The names of the metrics that the code writes: what it gives to `count`."""
    names: set[str] = set()
    for path in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "count"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
                and node.args[0].value.isalpha()  # str has a `count` too
            ):
                names.add(node.args[0].value)
    return names


def of_dev(value: Any) -> Any:
    """`value` as it is in the stage dev, whose topic is `the topic`."""
    if isinstance(value, list):
        return [of_dev(each) for each in value]
    if isinstance(value, dict) and "Ref" in value:
        return {"Stage": "dev", "AlarmTopic": "the topic"}[value["Ref"]]
    if isinstance(value, dict) and not value.keys() & {"Fn::Sub", "Fn::ImportValue"}:
        return {key: of_dev(each) for key, each in value.items()}
    if isinstance(value, dict) and value == {"Fn::Sub": "${AWS::Region}"}:
        return "eu-west-2"
    return templates.resolve(value, "dev", {"openbooking-dev-HttpApiId": OF_HTTP_API["ApiId"]})


def dimensions(alarm: Any) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in of_dev(alarm["Dimensions"])}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_a_metric_that_exists_and_of_its_own_stage_only(name: str) -> None:
    for metric in metrics_of(ALARMS[name]):
        if metric["Namespace"] == telemetry.NAMESPACE:
            assert metric["MetricName"] in counted()
            stage = read_settings({"TABLE_PREFIX": "openbooking-dev"}).stage
            assert dimensions(metric) == {"service": telemetry.SERVICE, "stage": stage}
            assert telemetry.METRICS[metric["MetricName"]].by == ()
        elif dimensions(metric) == OF_HTTP_API:
            assert metric["MetricName"] in {"5xx", "Latency"}
        else:
            metrics, names = OF_AWS[metric["Namespace"]]
            assert metric["MetricName"] in metrics
            assert dimensions(metric).keys() - {"GlobalSecondaryIndexName"} == names
            assert "dev" in "-".join(dimensions(metric).values())


def test_every_metric_that_is_written_is_declared_and_the_reverse() -> None:
    assert counted() == telemetry.METRICS.keys()


def test_the_table_of_functions_is_that_of_chalice() -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    assert [each.name for each in templates.FUNCTIONS] == list(config["lambda_functions"])


def test_every_function_has_its_alarms_and_streams_are_watched_for_their_age() -> None:
    def watched(metric: str) -> set[str]:
        return {
            dimensions(each)["FunctionName"] for each in ALARMS.values() if each.get("MetricName") == metric
        }

    assert watched("Errors") == FUNCTIONS
    assert watched("Throttles") == FUNCTIONS
    assert watched("IteratorAge") == {f"openbooking-dev-{handler}" for handler in templates.STREAM_HANDLERS}


def test_the_names_that_alarms_select_are_those_of_the_other_templates() -> None:
    gateway = templates.gateway_template()["Resources"].values()
    named = [each["Properties"]["FunctionName"] for each in gateway if "FunctionName" in each["Properties"]]
    assert {templates.resolve(each, "dev", {}) for each in named} == FUNCTIONS
    queue = templates.tables_template()["Resources"]["StreamFailuresQueue"]["Properties"]["QueueName"]
    assert dimensions(ALARMS["StreamFailures"]) == {"QueueName": templates.resolve(queue, "dev", {})}
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    assert dimensions(ALARMS["ApiFaults"]) == {
        "ApiName": config["app_name"],
        "Stage": config["stages"]["dev"]["api_gateway_stage"],
    }


def test_what_the_system_must_say_has_an_alarm() -> None:
    assert {metric["MetricName"] for each in ALARMS.values() for metric in metrics_of(each)} == {
        *("RecordsParked", "Sweeps", "PendingWorkWaiting", "PendingWorkFailed", "PendingWorkSetAside"),
        *("PartnerAtLimit", "Bookings", "KeyFailures", "SourcesOverdue"),
        *("Errors", "Throttles", "IteratorAge", "ApproximateNumberOfMessagesVisible", "5XXError"),
        *("Latency", "ReadThrottleEvents", "WriteThrottleEvents", "5xx", "BlockedRequests"),
    }


def test_only_silence_of_the_sweep_and_of_bookings_is_itself_an_alarm() -> None:
    silent = {name for name, each in ALARMS.items() if each["TreatMissingData"] == "breaching"}
    assert silent == {"SweepMissing", "BookingsStopped"}
    assert {each["TreatMissingData"] for each in ALARMS.values()} == {"breaching", "notBreaching"}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reaches_the_address_and_names_its_section_of_the_runbook(name: str) -> None:
    alarm = ALARMS[name]
    assert of_dev(alarm["AlarmActions"]) == ["the topic"]
    sections = set(re.findall(r"^## (\S+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))
    section = alarm["AlarmDescription"].rpartition("docs/runbook.md#")[2]
    assert section in sections


def test_every_section_of_the_runbook_names_its_alarms() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    described: dict[str, set[str]] = {}
    for alarm in ALARMS.values():
        section = alarm["AlarmDescription"].rpartition("#")[2]
        described.setdefault(section, set()).add(
            alarm["AlarmName"]["Fn::Sub"].removeprefix("openbooking-${Stage}-")
        )
    for section, names in described.items():
        assert set(re.findall(r"`openbooking-<stage>-([\w-]+)`", parts[section])) >= names
        for heading in ("What it means", "What people notice", "What to do"):
            assert f"**{heading}.**" in parts[section]


def test_every_command_of_the_runbook_exists_with_its_options() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    commands = set(re.findall(r"`(openbooking [^`]+)`", text))
    assert {command.split()[1] for command in commands} == {
        "check",
        "feeds",
        "import",
        "pending",
        "sources",
    }
    for command in commands:
        _, name, *words = command.split()
        node = load(name)
        while words and hasattr(node, "commands"):
            assert words[0] in node.commands, command
            node = node.commands[words.pop(0)]
        known = {name for parameter in node.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command


def test_a_stage_has_the_alarms_and_graphs_of_its_options_only() -> None:
    def names(*options: str) -> set[str]:
        return set(alarms_template(options)["Resources"])

    assert names("firewall") - names() == {"FirewallBlocking"}
    assert names("http_api") - names() == {"HttpApiFaults", "HttpApiSlow"}
    assert "HttpApiId" not in json.dumps(alarms_template())
    assert {"firewall", "http_api"} == WATCHED_OPTIONS


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use() -> None:
    resources = TEMPLATE["Resources"]
    assert resources["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "AlarmKey"}
    key = resources["AlarmKey"]["Properties"]
    assert key["EnableKeyRotation"] is True
    for policy in (key["KeyPolicy"], resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]):
        (statement,) = (each for each in policy["Statement"] if each["Sid"] == "Alarms")
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def graphs() -> list[Any]:
    text, values = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert of_dev(values["HttpApiId"]) == OF_HTTP_API["ApiId"]
    body = json.loads(text)
    return [each["properties"] for each in body["widgets"]]


def test_the_dashboard_shows_every_alarm_and_metrics_that_exist() -> None:
    (shown,) = (each["alarms"] for each in graphs() if "alarms" in each)
    assert {name.rpartition(":")[2] for name in shown} == {
        alarm["AlarmName"]["Fn::Sub"] for alarm in ALARMS.values()
    }
    names = set()
    for graph in graphs():
        for metric in graph.get("metrics", []):
            if metric[0] == telemetry.NAMESPACE:
                assert telemetry.METRICS[metric[1]].by == ()
                names.add(metric[1])
            elif isinstance(metric[0], dict):
                found = re.search(r'{OpenBooking,([\w,]+)} MetricName="(\w+)"', metric[0]["expression"])
                assert found, metric
                assert {*found[1].split(",")} == {"service", "stage", *telemetry.METRICS[found[2]].by}
                names.add(found[2])
    # Sold, refused, raced, leased, published, taken, how fast.
    assert names >= {
        "Bookings",
        "Refusals",
        "CommitsRefused",
        "LeasesMade",
        "FeedAge",
        "Takings",
        "milliseconds",
    }


def test_the_budget_is_of_the_stage_and_tells_the_address() -> None:
    budget = TEMPLATE["Resources"]["Budget"]
    assert budget["Condition"] == "HasBudget"
    filters = budget["Properties"]["Budget"]["CostFilters"]
    assert templates.resolve(filters, "dev", {}) == {"TagKeyValue": ["user:stage$dev"]}
    for each in budget["Properties"]["NotificationsWithSubscribers"]:
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}]
    text = RUNBOOK.read_text(encoding="utf-8")
    assert "\n## budget\n" in text


def test_the_runbook_has_no_section_without_an_alarm() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\S+)$", text, re.MULTILINE))
    assert sections == {each["AlarmDescription"].rpartition("#")[2] for each in ALARMS.values()} | {"budget"}


def test_templates_fit_into_one_call_of_cloudformation() -> None:
    """`make deploy` sends them in the call, which takes 51,200 bytes."""
    for template in (TEMPLATE, templates.tables_template(), templates.releases_template()):
        assert len(observation.canonical(template)) < 51_200
    assert templates.TABLES.stat().st_size < 51_200, "the pipeline sends it as it is"


def test_without_an_address_there_is_no_subscription() -> None:
    assert TEMPLATE["Parameters"]["AlarmEmail"]["Default"] == ""
    assert TEMPLATE["Resources"]["AlarmSubscription"]["Condition"] == "HasEmail"
    pattern = TEMPLATE["Parameters"]["AlarmEmail"]["AllowedPattern"]
    for address, allowed in {"": True, "a@b.example": True, "nobody": False, "a@b c": False}.items():
        assert bool(re.fullmatch(pattern, address)) == allowed


def test_cloudformation_would_take_the_template(tmp_path: Path) -> None:
    written = tmp_path / "alarms.json"
    written.write_text(json.dumps(TEMPLATE))
    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(written)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
