"""Finds the servers that `make run` has started in this folder, for the other commands.

Each server has its own folder, named after its port. A file in it contains the addresses. A server is
running if its ports answer; the file alone does not count.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "stack.json"
_ANSWERS_WITHIN = 1.0


@dataclass(frozen=True)
class StackAddress:
    """A local stack: its API, its engine, the prefix of its tables' names, and the settings that commands need.

    `rules` are variables, such as LEASE_SECONDS; None is one that is not set.
    """

    url: str
    dynamodb_url: str
    table_prefix: str
    pid: int
    rules: dict[str, str | None] = field(default_factory=dict)


def state_directory() -> Path:
    """The folder for files of stacks: `.local` next to app.py, or else in the current folder.

    OPENBOOKING_STATE_DIRECTORY sets another folder.
    """
    if named := os.environ.get("OPENBOOKING_STATE_DIRECTORY"):
        return Path(named)
    project = Path(__file__).resolve().parents[2]
    return (project if (project / "app.py").exists() else Path.cwd()) / ".local"


def stack_directory(address: StackAddress, directory: Path | None = None) -> Path:
    """The folder for files that one stack needs while it runs; `withdraw` removes it."""
    return (directory or state_directory()) / str(urlsplit(address.url).port)


def announce(address: StackAddress, directory: Path | None = None) -> None:
    """Let other commands find `address`."""
    # The time is in the file, because two stacks may start within one tick of the file system's clock.
    document = asdict(address) | {"started_at": time.time()}
    write_atomically(stack_directory(address, directory) / _FILE, json.dumps(document))


def withdraw(address: StackAddress, directory: Path | None = None) -> None:
    """Remove `address`, unless another stack was announced on that port since."""
    own = stack_directory(address, directory)
    if (announced := _read(own / _FILE)) and announced[1] == address:
        shutil.rmtree(own, ignore_errors=True)


def running_stacks(directory: Path | None = None) -> list[StackAddress]:
    """The announced stacks that answer, in the order in which they were started."""
    files = (directory or state_directory()).glob(f"*/{_FILE}")
    announced = sorted((found for file in files if (found := _read(file))), key=lambda each: each[0])
    return [stack for _, stack in announced if _answers(stack.url) and _answers(stack.dynamodb_url)]


def running_stack(directory: Path | None = None) -> StackAddress | None:
    """The stack that commands use: the running one that was started first."""
    return next(iter(running_stacks(directory)), None)


def write_atomically(path: Path, text: str) -> None:
    """Replace the whole file: no reader sees a part of it, even if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _read(file: Path) -> tuple[float, StackAddress] | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return float(document.pop("started_at")), StackAddress(**document)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        # Absent, incomplete, or written by another version.
        return None


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_ANSWERS_WITHIN):
            return True
    except OSError:
        return False
