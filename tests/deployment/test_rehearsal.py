"""A deployment from start to end, by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from openbooking.cli.main import app as command_line
from openbooking.deployment import project
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


def test_a_deployment_can_be_rehearsed_from_start_to_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever rehearses may have an account: it must not even be looked for.
    monkeypatch.setenv("AWS_PROFILE", "must-not-be-looked-at")
    command_line(["stage", "rehearse", "--stage", "dev"], standalone_mode=False)
    standing = capfd.readouterr().out
    for table in ("inventory", "orders", "feeds", "identity"):
        assert f"table openbooking-dev-{table}: " in standing
    for function in ("", "-orders_stream", "-inventory_stream", "-lease_sweep"):
        assert f"function openbooking-dev{function}: " in standing
    for handler in ("orders_stream", "inventory_stream"):
        assert f"stream mapping openbooking-dev-{handler}: ReportBatchItemFailures" in standing
    assert "gateway response MISSING_AUTHENTICATION_TOKEN: 404" in standing
    assert "key alias/openbooking-dev-signing: " in standing
    assert "SealAndUnsealSigningKeys" in standing
    assert standing.count("SIGNING_KMS_KEY") == 4
    for throttle in templates.throttles():
        assert f"\nthrottle {throttle}\n" in standing
