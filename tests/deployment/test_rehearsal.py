"""A deployment from start to end, by the commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openbooking.cli.main import app as command_line
from openbooking.deployment import deploy, packaging, project, rehearsal
from openbooking.deployment.imitation import imitation_of_aws
from openbooking.infra import templates


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(project.UnknownStageError):
        project.assemble(tmp_path, "holiday")


def test_a_refusal_is_one_line() -> None:
    refused = CliRunner().invoke(command_line, ["stage", "package", "--stage", "holiday"])
    assert refused.exit_code == 1
    assert refused.stderr == (
        "There is no such stage in .chalice/config.json. holiday is not one of dev, prod\n"
    )


def test_a_deployment_with_another_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    other = (packaging.PYTHON[0], packaging.PYTHON[1] + 1)
    with imitation_of_aws() as url:
        aws = rehearsal.aws_at(url)
        with pytest.raises(packaging.WrongPythonError, match=r"make deploy STAGE=dev$"):
            deploy.deploy("dev", aws, build=tmp_path / "build", records=tmp_path / "records", python=other)
        assert aws.client("cloudformation").list_stacks()["StackSummaries"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_deployment_can_be_rehearsed_from_start_to_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The developer may have an AWS account: a rehearsal must not even look for it.
    monkeypatch.setenv("AWS_PROFILE", "must-not-be-looked-at")
    command_line(["stage", "rehearse", "--stage", "dev"], standalone_mode=False)
    standing = capfd.readouterr().out
    for table in ("inventory", "orders", "feeds", "identity"):
        assert f"table openbooking-dev-{table}: " in standing
    for function in ("", "-orders_stream", "-inventory_stream", "-lease_sweep", "-import_sources"):
        assert f"function openbooking-dev{function}: " in standing
    for handler in ("orders_stream", "inventory_stream"):
        assert (
            f"stream mapping openbooking-dev-{handler}: ReportBatchItemFailures, retried for 86400 s (-1 times)"
            in standing
        )
    assert "gateway response MISSING_AUTHENTICATION_TOKEN: 404" in standing
    assert "key alias/openbooking-dev-signing: " in standing
    assert "SealAndUnsealSigningKeys" in standing
    assert standing.count("SIGNING_KMS_KEY") == 4
    assert "alarms stack openbooking-dev-alarms: CREATE_COMPLETE, for alarms@example.org" in standing
    assert re.search(
        r"^topic openbooking-dev-alarms: alarms@example.org, encrypted with \S+$", standing, re.M
    )
    alarms = re.findall(r"^alarm (\S+): ", standing, re.M)
    wanted = [
        resource["Properties"]["AlarmName"]["Fn::Sub"].replace("${Stage}", "dev")
        for resource in templates.alarms_template()["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert sorted(alarms) == sorted(wanted)
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    says_so = (
        f"Rehearsing with Python {this}, for functions of Python {this}. A deployment needs Python 3.13."
    )
    assert (says_so in standing) == (sys.version_info[:2] != templates.RUNTIME_PYTHON)
    for throttle in templates.throttles():
        assert f"\nthrottle {throttle}\n" in standing
