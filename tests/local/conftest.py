"""Engines to test against, each on a free port, started and ended here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import Engine
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE
from tests.support.engines import dynoxide as running_dynoxide


@pytest.fixture(scope="module", params=["embedded", "dynoxide"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A started engine: the embedded one, then Dynoxide where DYNOXIDE names its binary."""
    if request.param == "embedded":
        with EmbeddedEngine() as started:
            yield started
        return
    if not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    with running_dynoxide(tmp_path_factory.mktemp("dynoxide")) as url, Engine(url) as elsewhere:
        yield elsewhere


@pytest.fixture
def dynoxide() -> Callable[[Path], AbstractContextManager[str]]:
    """What runs Dynoxide with its data in a folder, for tests that run it twice."""
    if not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    return running_dynoxide
