"""The engine that a measurement runs on: Dynoxide where DYNOXIDE names its binary, else moto."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from openbooking.local.embedded import EmbeddedEngine

DYNOXIDE = os.environ.get("DYNOXIDE", "")
NAME = "Dynoxide" if DYNOXIDE else "moto"


@contextmanager
def running_engine() -> Iterator[str]:
    """An empty engine that forgets everything when it ends; its URL."""
    with _dynoxide() if DYNOXIDE else _moto() as url:
        yield url


@contextmanager
def _dynoxide() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [DYNOXIDE, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
def _moto() -> Iterator[str]:
    engine = EmbeddedEngine()
    engine.start()
    try:
        yield engine.url
    finally:
        engine.stop()
