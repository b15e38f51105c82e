"""What reaches the log."""

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
