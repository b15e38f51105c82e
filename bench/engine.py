"""The engines that measurements and tests run on: Dynoxide where DYNOXIDE names its binary, and moto."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openbooking.local.embedded import EmbeddedEngine

DYNOXIDE = os.environ.get("DYNOXIDE", "")
NAME = "Dynoxide" if DYNOXIDE else "moto"


@contextmanager
def running_engine() -> Iterator[str]:
    """An empty engine that forgets everything when it ends; its URL."""
    with dynoxide() if DYNOXIDE else moto() as url:
        yield url


@contextmanager
def dynoxide(folder: Path | None = None) -> Iterator[str]:
    """A Dynoxide engine on a free port, with its data in memory or in `folder`; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = ["--db-path", str(folder / "dynoxide.db")] if folder else []
    process = subprocess.Popen(
        [DYNOXIDE, "--port", str(port), *kept], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        # It says so when it listens; reading waits for that.
        if not any("listening" in line for line in process.stdout):
            raise RuntimeError("Dynoxide ended before it listened.")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def moto() -> Iterator[str]:
    """moto in this process, behind a port of its own as `make run` has it; its URL."""
    engine = EmbeddedEngine()
    engine.start()
    try:
        yield engine.url
    finally:
        engine.stop()
