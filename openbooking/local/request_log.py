"""One short line for each request: time, method, path, status, milliseconds.

Wraps any WSGI application. Headers, bodies and query strings are never shown: they contain personal data,
credentials and login codes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from openbooking.local.server import WSGIApplication

# The file name of a pass's image is the pass itself (ACCESS-04).
_PASS = re.compile(r"(?<=/passes/)[^/]+")
_UNPRINTABLE = re.compile(r"[^!-~]")
_LONGEST_PATH = 200


class RequestLog:
    """A WSGI application that wraps another one and calls `write` with a line for each answer."""

    def __init__(
        self,
        application: WSGIApplication,
        write: Callable[[str], None],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock` gives the time of day to show; `timer` counts seconds."""
        self._application = application
        self._write = write
        self._clock = clock
        self._timer = timer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        statuses: list[str] = []

        def start(status: str, *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, *rest)

        began = self._timer()
        body = self._application(environ, start)
        took = (self._timer() - began) * 1000
        at = f"{self._clock():%H:%M:%S}"
        status = statuses[-1].partition(" ")[0]
        self._write(f"{at} {environ['REQUEST_METHOD']:6} {shown_path(environ)} {status} {took:.0f} ms")
        return body


def shown_path(environ: dict[str, Any]) -> str:
    """The path as it was sent, without its query, in printable ASCII."""
    path: str = environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
    path = _UNPRINTABLE.sub("?", _PASS.sub("...", path.partition("?")[0].partition("#")[0]))
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."
