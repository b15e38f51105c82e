"""Where the running local stack can be found by the command line's other commands.

A file says it; whether the stack still lives is asked of its ports, not of the file.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "stack.json"
_ANSWERS_WITHIN = 1.0


@dataclass(frozen=True)
class StackAddress:
    """A local stack: its API, its engine, and the names of its tables."""

    url: str
    dynamodb_url: str
    table_prefix: str
    pid: int


def state_directory() -> Path:
    """Where stacks keep what is theirs: `.local` beside app.py, else where you are.

    OPENBOOKING_STATE_DIRECTORY names another place, so that two stacks need not know each other.
    """
    if named := os.environ.get("OPENBOOKING_STATE_DIRECTORY"):
        return Path(named)
    project = Path(__file__).resolve().parents[2]
    return (project if (project / "app.py").exists() else Path.cwd()) / ".local"


def announce(address: StackAddress, directory: Path | None = None) -> None:
    """Makes `address` the stack that other commands find."""
    write_atomically((directory or state_directory()) / _FILE, json.dumps(asdict(address)))


def withdraw(address: StackAddress, directory: Path | None = None) -> None:
    """Forgets `address`, unless another stack has announced itself since."""
    if _announced(directory) == address:
        ((directory or state_directory()) / _FILE).unlink(missing_ok=True)


def running_stack(directory: Path | None = None) -> StackAddress | None:
    """The stack that was announced and answers, or None."""
    address = _announced(directory)
    if address and _answers(address.url) and _answers(address.dynamodb_url):
        return address
    return None


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file as a whole: nobody reads half of it, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _announced(directory: Path | None) -> StackAddress | None:
    try:
        text = ((directory or state_directory()) / _FILE).read_text(encoding="utf-8")
        return StackAddress(**json.loads(text))
    except (OSError, ValueError, TypeError):
        # Absent, cut short, or of another version: then nobody is there.
        return None


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_ANSWERS_WITHIN):
            return True
    except OSError:
        return False
