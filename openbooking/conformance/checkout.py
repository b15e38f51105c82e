"""A checkout of the official test suite, checked before it runs: its commit, Node.js, its packages, its lists."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The commit with which the results in docs/conformance.md were made (May 2025).
COMMIT = "995cb492a5f2251e1564df1ab5d46b06774d60fb"

SUBSTITUTES = Path(__file__).resolve().parents[2] / "tests" / "validator" / "stubs"

BROKER = Path("packages") / "openactive-broker-microservice"
TESTS = Path("packages") / "openactive-integration-tests"
# The year 2100, in milliseconds: the suite never fetches the list again.
_FETCHED_AT = 4102444800000


class CertificationError(Exception):
    """The suite cannot run; the message is one sentence for people."""


@dataclass(frozen=True)
class Checkout:
    """A checked directory of the suite. `has_substitutes`: its vocabularies are the small files of this project."""

    directory: Path
    node: str
    commit: str
    has_substitutes: bool = False


def read_checkout(directory: Path, *, node: str | None = None, any_commit: bool = False) -> Checkout:
    """Check a directory, and Node.js: `node` is its path; by default the one on the PATH.

    Raises CertificationError.
    """
    directory = directory.resolve()
    if not (directory / "start.js").is_file() or not (directory / TESTS).is_dir():
        raise CertificationError(f"{directory} is not a checkout of the OpenActive Test Suite.")
    commit = _commit(directory)
    if commit != COMMIT and not any_commit:
        raise CertificationError(
            f"The checkout is at {commit[:8] or 'an unknown commit'}, not at {COMMIT[:8]}, with which the results "
            "are made: check that commit out, or add --any-commit."
        )
    wanted = (directory / ".nvmrc").read_text("utf-8").strip().removeprefix("v")
    found = node or shutil.which("node")
    if found is None:
        raise CertificationError(f"Node.js was not found: install version {wanted}, or name it with --node.")
    version = _version(found)
    if version != wanted:
        raise CertificationError(
            f"The suite needs Node.js {wanted}, and {found} is {version or 'not Node.js'}."
        )
    for package in (BROKER, TESTS):
        if not (directory / package / "node_modules").is_dir():
            raise CertificationError(
                f"The packages of the suite are not installed: run `npm install` in {directory}."
            )
    return Checkout(directory, found, commit, _has_substitutes(directory))


def seed_vocabularies(checkout: Checkout, is_reachable: Callable[[str], bool]) -> Checkout:
    """Where the internet cannot be reached, put small substitutes for the vocabularies into the suite's caches.

    Without them the suite's validator rejects every Opportunity that has an activity. Existing files are kept.
    """
    missing = [
        (cache / f"{hashlib.sha256(document['url'].encode()).hexdigest()}.json", document)
        for document in (json.loads(each.read_text("utf-8")) for each in sorted(SUBSTITUTES.glob("*.json")))
        for cache in (checkout.directory / BROKER / "tmp", checkout.directory / TESTS / "tmp")
    ]
    missing = [(file, document) for file, document in missing if not file.exists()]
    if missing and not all(is_reachable(url) for url in {document["url"] for _, document in missing}):
        for file, document in missing:
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(_cached(document)), "utf-8")
    return Checkout(checkout.directory, checkout.node, checkout.commit, _has_substitutes(checkout.directory))


def _cached(document: dict[str, Any]) -> dict[str, Any]:
    """An entry of the suite's cache of what it downloads."""
    return {
        "errorCode": "error_none",
        "statusCode": 200,
        "url": document["url"],
        "exception": None,
        "contentType": "application/ld+json",
        "fetchTime": _FETCHED_AT,
        "data": document["data"],
    }


def _has_substitutes(directory: Path) -> bool:
    return any(
        str(_FETCHED_AT) in file.read_text("utf-8") for file in (directory / TESTS / "tmp").glob("*.json")
    )


def _commit(directory: Path) -> str:
    asked = subprocess.run(
        ["git", "-C", str(directory), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def _version(node: str) -> str:
    try:
        asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return asked.stdout.strip().removeprefix("v")
