"""An installation on an engine, and a terminal whose commands work on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from chalicelib.runtime.system import System, from_environment
from chalicelib.wire.sellers import read_seller
from openbooking.deployment.imitation import imitation_of_aws
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import dynamodb_client, environment
from openbooking.local.stack import TABLE_PREFIX, environment_variables
from openbooking.local.tables import create_tables
from tests.support.engines import REGION, clear
from tests.support.terminal import Terminal
from tests.support.world import a_seller_document


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    started = EmbeddedEngine()
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def system(engine: EmbeddedEngine) -> Iterator[System]:
    """What the commands should find; empty tables take longer to make than a test."""
    client = dynamodb_client(engine.url)
    create_tables(client, TABLE_PREFIX)
    client.close()
    here = {**environment(engine.url), "TABLE_PREFIX": TABLE_PREFIX, "LOG_LEVEL": "CRITICAL"}
    with environment_variables(here):
        yield from_environment()


@pytest.fixture
def terminal(system: System, engine: EmbeddedEngine, tmp_path: Path) -> Iterator[Terminal]:
    """On an engine that is named, with two Sellers in it."""
    for number in (1, 2):
        system.store.save_seller(read_seller(a_seller_document(number)))
    with environment_variables({"OPENBOOKING_STATE_DIRECTORY": str(tmp_path), "DYNAMODB_URL": None}):
        yield Terminal(system, ["--dynamodb-url", engine.url])
    clear(system.identities._tables)  # type: ignore[attr-defined]


# --- a stage on AWS ---------------------------------------------------------------------------

STACK = {
    "Resources": {"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": []}}}},
    "Outputs": {
        "SigningKeyArn": {
            "Value": {"Fn::GetAtt": ["Key", "Arn"]},
            "Export": {"Name": "openbooking-dev-SigningKeyArn"},
        }
    },
}


@pytest.fixture(scope="module")
def empty_aws() -> Iterator[None]:
    """A simulated AWS without anything in it; all calls go to it."""
    with imitation_of_aws() as url:
        here = {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "DYNAMODB_URL": None,
            "TABLE_PREFIX": None,
        }
        with environment_variables(here):
            yield


@pytest.fixture(scope="module")
def aws(empty_aws: None) -> None:
    """A simulated AWS with the tables and the key of the stage `dev`; all calls go to it."""
    cloudformation = boto3.client("cloudformation", region_name=REGION)
    cloudformation.create_stack(StackName="openbooking-dev-data", TemplateBody=json.dumps(STACK))
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    for prefix in ("openbooking-dev", "openbooking-old"):
        create_tables(dynamodb, prefix)
    for client in (cloudformation, dynamodb):
        client.close()


@pytest.fixture
def stage(aws: None) -> Iterator[Terminal]:
    with environment_variables({"TABLE_PREFIX": "openbooking-dev", "LOG_LEVEL": "CRITICAL"}):
        system = from_environment()
    yield Terminal(system, ["--stage", "dev"])
    clear(system.identities._tables)  # type: ignore[attr-defined]
