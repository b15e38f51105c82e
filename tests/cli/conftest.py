"""An installation on an engine, and a terminal whose commands work on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.runtime.system import System, from_environment
from chalicelib.wire.sellers import read_seller
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import dynamodb_client, environment
from openbooking.local.stack import TABLE_PREFIX, environment_variables
from openbooking.local.tables import create_tables
from tests.support.engines import clear
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
