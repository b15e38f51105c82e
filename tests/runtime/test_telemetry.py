"""What reaches the log."""

import json
import logging

import pytest

from chalicelib.runtime.telemetry import Telemetry


@pytest.mark.parametrize("name", ["authlib.oauth2.rfc6749.grants.client_credentials", "joserfc.jwt"])
def test_libraries_that_handle_tokens_say_nothing_at_any_level(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    Telemetry(level="DEBUG", metrics=False)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(name).debug("Issue token %r", "secret")
        logging.getLogger(name).critical("Issue token %r", "secret")
    assert caplog.records == []


@pytest.mark.parametrize("name", ["botocore.parsers", "pynamodb.connection.base", "urllib3.connectionpool"])
def test_libraries_that_handle_rows_and_keys_speak_only_of_trouble(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    Telemetry(level="DEBUG", metrics=False)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(name).debug("Response body: %r", "secret")
        logging.getLogger(name).warning("no answer")
    assert [record.message for record in caplog.records] == ["no answer"]


def test_metrics_name_their_stage_in_every_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    stages = {stage: Telemetry(level="CRITICAL", stage=stage) for stage in ("dev", "prod")}
    for _ in range(2):
        for telemetry in stages.values():
            telemetry.count("Sweeps")
            telemetry.flush()
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["stage"] for each in written] == ["dev", "prod", "dev", "prod"]
    for each in written:
        (metrics,) = each["_aws"]["CloudWatchMetrics"]
        assert metrics["Namespace"] == "OpenBooking"
        assert [sorted(names) for names in metrics["Dimensions"]] == [["service", "stage"]]
        assert each["service"] == "open-booking"
