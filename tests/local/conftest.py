"""Engines to test against, each on a free port, started and ended here."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import Engine

DYNOXIDE = os.environ.get("DYNOXIDE", "")


@pytest.fixture(scope="module", params=["embedded", "dynoxide"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A started engine: the embedded one, then Dynoxide where DYNOXIDE names its binary."""
    if request.param == "embedded":
        started: Engine = EmbeddedEngine()
        started.start()
        yield started
        started.stop()
        return
    with Dynoxide(tmp_path_factory.mktemp("dynoxide") / "data.db") as url:
        started = Engine(url)
        started.start()
        yield started


@pytest.fixture
def dynoxide() -> type[Dynoxide]:
    """What runs Dynoxide on a file, for tests that run it twice."""
    return Dynoxide


class Dynoxide:
    """A Dynoxide process on a free port, with its data in `path`."""

    def __init__(self, path: Path) -> None:
        if not DYNOXIDE:
            pytest.skip("DYNOXIDE does not name a binary")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._path = path

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            [DYNOXIDE, "--port", str(self._port), "--db-path", str(self._path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        # It says so when it listens; reading waits for that.
        for line in self._process.stdout:
            if "listening" in line:
                return f"http://127.0.0.1:{self._port}"
        raise AssertionError("Dynoxide ended before it listened")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
