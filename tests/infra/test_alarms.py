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
from openbooking.infra import templates

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
TEMPLATE = templates.alarms_template()
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
# What AWS itself measures: namespace -> the metrics that we watch, and the dimensions that select one of ours.
OF_AWS = {
    "AWS/Lambda": ({"Errors", "Throttles", "IteratorAge"}, {"FunctionName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/ApiGateway": ({"5XXError"}, {"ApiName", "Stage"}),
}
FUNCTIONS = {
    "openbooking-dev",
    "openbooking-dev-orders_stream",
    "openbooking-dev-inventory_stream",
    "openbooking-dev-lease_sweep",
    "openbooking-dev-import_sources",
}


def counted() -> set[str]:
    """The names of the metrics that the code writes: what it gives to `count`."""
    names = set()
    for path in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "count"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                names.add(node.args[0].value)
    return names


def of_dev(value: Any) -> Any:
    """`value` as it is in the stage dev, whose topic is `the topic`."""
    if isinstance(value, list):
        return [of_dev(each) for each in value]
    if isinstance(value, dict) and "Ref" in value:
        return {"Stage": "dev", "AlarmTopic": "the topic"}[value["Ref"]]
    if isinstance(value, dict) and "Fn::Sub" not in value:
        return {key: of_dev(each) for key, each in value.items()}
    return templates.resolve(value, "dev", {})


def dimensions(alarm: Any) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in of_dev(alarm["Dimensions"])}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_a_metric_that_exists_and_of_its_own_stage_only(name: str) -> None:
    alarm = ALARMS[name]
    if alarm["Namespace"] == telemetry.NAMESPACE:
        assert alarm["MetricName"] in counted()
        stage = read_settings({"TABLE_PREFIX": "openbooking-dev"}).stage
        assert dimensions(alarm) == {"service": telemetry.SERVICE, "stage": stage}
    else:
        metrics, names = OF_AWS[alarm["Namespace"]]
        assert alarm["MetricName"] in metrics
        assert dimensions(alarm).keys() == names
        assert all("Ref" in str(each) or "${Stage}" in str(each) for each in alarm["Dimensions"][-1:])


def test_every_function_has_its_alarms_and_streams_are_watched_for_their_age() -> None:
    def watched(metric: str) -> set[str]:
        return {dimensions(each)["FunctionName"] for each in ALARMS.values() if each["MetricName"] == metric}

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
    assert {each["MetricName"] for each in ALARMS.values()} == {
        *("RecordsParked", "Sweeps", "PendingWorkWaiting", "PendingWorkFailed", "PendingWorkSetAside"),
        *("PartnerAtLimit", "SourcesOverdue"),
        *("Errors", "Throttles", "IteratorAge", "ApproximateNumberOfMessagesVisible", "5XXError"),
    }


def test_only_silence_of_the_sweep_is_itself_an_alarm() -> None:
    silent = {name for name, each in ALARMS.items() if each["TreatMissingData"] == "breaching"}
    assert silent == {"SweepMissing"}
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


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use() -> None:
    resources = TEMPLATE["Resources"]
    assert resources["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "AlarmKey"}
    key = resources["AlarmKey"]["Properties"]
    assert key["EnableKeyRotation"] is True
    for policy in (key["KeyPolicy"], resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]):
        (statement,) = (each for each in policy["Statement"] if each["Sid"] == "Alarms")
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_without_an_address_there_is_no_subscription() -> None:
    assert TEMPLATE["Parameters"]["AlarmEmail"]["Default"] == ""
    assert TEMPLATE["Resources"]["AlarmSubscription"]["Condition"] == "HasEmail"
    pattern = TEMPLATE["Parameters"]["AlarmEmail"]["AllowedPattern"]
    for address, allowed in {"": True, "a@b.example": True, "nobody": False, "a@b c": False}.items():
        assert bool(re.fullmatch(pattern, address)) == allowed


def test_cloudformation_would_take_the_template() -> None:
    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(templates.ALARMS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
