"""`openbooking stage`: what stops it is one sentence, and it changes nothing."""

from __future__ import annotations

import os

import pytest
import typer
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from openbooking.cli import stage
from openbooking.cli.main import app

COMMANDS = ("plan", "deploy", "rollback", "releases", "unlock", "remove")


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["stage", *arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_credentials_are_one_sentence(command: str) -> None:
    refused = run(command, "--stage", "dev")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "No AWS credentials were found: set AWS_PROFILE, or run: aws configure\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_region_is_one_sentence(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    refused = run(command, "--stage", "dev")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "No AWS region is set: set AWS_REGION, such as AWS_REGION=eu-west-2\n",
    )


def test_an_unknown_profile_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    refused = run("plan", "--stage", "dev")
    assert refused.exit_code == 1
    assert refused.stderr == ("AWS cannot be used: The config profile (nowhere) could not be found\n")


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_either_variable_sets_the_region_for_us_and_for_chalice(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv(name, "eu-north-1")
    made = stage._of_aws("dev")
    assert made.aws.environment["AWS_DEFAULT_REGION"] == "eu-north-1"
    client = made.aws.client("sqs")
    assert client.meta.region_name == "eu-north-1"
    client.close()


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not allowed to delete"}}, "DeleteStack")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refusal("ExpiredToken"), "The AWS credentials have expired: log in again.\n"),
        (refusal("AccessDenied"), "These AWS credentials may not do this: not allowed to delete\n"),
        (refusal("AccessDeniedException"), "These AWS credentials may not do this: not allowed to delete\n"),
        (refusal("UnrecognizedClientException"), "AWS does not know these credentials.\n"),
    ],
)
def test_what_aws_refuses_is_one_sentence(
    error: ClientError, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit), stage._one_line_for_errors():
        raise error
    assert capsys.readouterr().err == sentence


def test_another_error_of_aws_is_not_hidden() -> None:
    with pytest.raises(ClientError), stage._one_line_for_errors():
        raise refusal("InternalFailure")


@pytest.mark.parametrize("typed", ["", "prod", "DEV"])
def test_data_is_deleted_only_for_the_stage_that_was_typed(typed: str) -> None:
    refused = CliRunner().invoke(app, ["stage", "remove", "--stage", "dev", "--data"], input=f"{typed}\n\n")
    assert refused.exit_code == 1
    assert "No AWS credentials" not in refused.stderr


def test_an_unknown_stage_is_refused_before_aws_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    for command in ("plan", "deploy", "rollback", "remove"):
        refused = run(command, "--stage", "holiday")
        assert refused.exit_code == 1
        assert "holiday is not one of dev, prod" in refused.stderr
