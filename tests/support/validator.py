"""Asks the official OpenActive validators about documents and feed pages.

Runs one Node process for as long as it is open. Knows no rule of the
specification itself and never reaches the network (tests/validator/stubs).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

import pytest

HOME = Path(__file__).resolve().parent.parent / "validator"
INSTALL = "npm ci --prefix tests/validator"

# A SessionSeries in a feed of its own has its sessions in another feed. The
# Test Suite's broker leaves this one finding out of account for that reason.
CHILDREN_ELSEWHERE = "A `SessionSeries` must have an `eventSchedule` or at least one `subEvent`."


@dataclass(frozen=True)
class FeedPage:
    """One RPDE page with the headers it was served with."""

    url: str
    body: Mapping[str, Any]
    content_type: str = "application/json"
    cache_control: str | None = None
    status: int = 200


class Validator:
    """A conversation with tests/validator/validate.js."""

    def __init__(self) -> None:
        """Start the Node process; raises FileNotFoundError if it cannot run."""
        missing = reason_not_to_run()
        if missing:
            raise FileNotFoundError(missing)
        self._process = subprocess.Popen(
            ["node", "validate.js"],
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the Node process, which ends by itself when its input does."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def failures(self, document: Mapping[str, Any], mode: str) -> list[str]:
        """What makes the document invalid in a validation mode, e.g. C1Response.

        Modes are those of the data models: BookableRPDEFeed, C1Response,
        C1ResponseOrderItemError, C2Response, BResponse, OrderStatus, OrdersFeed,
        OpenBookingError, DatasetSite and so on.
        """
        return self._found(document, mode, "failure")

    def warnings_of(self, document: Mapping[str, Any], mode: str) -> list[str]:
        """What the validator recommends to add or change, without failing."""
        return self._found(document, mode, "warning")

    def rpde_failures(self, pages: FeedPage | Sequence[FeedPage], *, orders_feed: bool = False) -> list[str]:
        """What is wrong with a feed's pages, in the order a reader met them.

        One walk from the first page to the last; a single page is a walk of one.
        Checks the envelope and the headers, not the items' data.
        """
        walk = [pages] if isinstance(pages, FeedPage) else list(pages)
        request = {
            "orders": orders_feed,
            "pages": [
                {
                    "url": page.url,
                    "json": page.body,
                    "contentType": page.content_type,
                    "cacheControl": page.cache_control or "",
                    "status": page.status,
                }
                for page in walk
            ],
        }
        return [_told(error) for error in self._ask(request)]

    def _found(self, document: Mapping[str, Any], mode: str, severity: str) -> list[str]:
        errors: Iterable[dict[str, Any]] = self._ask({"mode": mode, "document": document})
        return [
            _told(error)
            for error in errors
            if error["severity"] == severity and not error["message"].startswith(CHILDREN_ELSEWHERE)
        ]

    def _ask(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        to_node, from_node = self._pipes()
        to_node.write(json.dumps(request) + "\n")
        to_node.flush()
        line = from_node.readline()
        if not line:
            raise RuntimeError(f"the validator ended with status {self._process.wait()}")
        reply = json.loads(line)
        if "crash" in reply:
            raise RuntimeError(f"the validator could not judge this: {reply['crash']}")
        errors: list[dict[str, Any]] = reply["errors"]
        return errors

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the validator has no pipes")
        return self._process.stdin, self._process.stdout


def reason_not_to_run() -> str | None:
    """Why the validators cannot run here, or None when they can."""
    if shutil.which("node") is None:
        return "Node is not installed; the official validators need it"
    if not (HOME / "node_modules" / "@openactive" / "rpde-validator").is_dir():
        return f"the official validators are not installed; run: {INSTALL}"
    return None


def start_or_skip() -> Validator:
    """A running validator, or a skipped test; where the environment says CI, a failed one."""
    missing = reason_not_to_run()
    if missing is not None:
        skip_or_fail(missing, in_ci=bool(os.environ.get("CI")))
    return Validator()


def skip_or_fail(missing: str, *, in_ci: bool) -> NoReturn:
    """CI must not pass merely because the judge was absent."""
    if in_ci:
        pytest.fail(f"in CI the validators must run: {missing}")
    pytest.skip(missing)


def _told(error: Mapping[str, Any]) -> str:
    sentence = str(error["message"]).splitlines()[0]
    return f"{error['path']}: {sentence} [{error['type']}]"
