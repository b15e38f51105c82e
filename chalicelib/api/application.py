"""Chalice's app class, changed so that it can serve several requests at the same time."""

import base64
import gzip
import threading
from collections.abc import Callable
from typing import Any

from chalice import Chalice

# API Gateway compresses what a REST API returns from this length on (`minimum_compression_size`); not with an HTTP API.
_COMPRESSED_FROM = 1400


class ThreadedChalice(Chalice):
    """Stores the current request and its context for each thread separately.

    Chalice stores them in plain attributes, because a Lambda instance serves one request at a time. The
    local stack serves the same app with several threads.

    It also does what a REST API does for the function and an HTTP API leaves to it: `unknown` answers requests of paths
    that there are not, and long answers are compressed.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._of_thread = threading.local()
        self.unknown: Callable[[], dict[str, Any]] | None = None
        super().__init__(*arguments, **options)

    def __call__(self, event: Any, context: Any) -> Any:
        if not _is_of_http_api(event):
            return super().__call__(event, context)
        if self.unknown is not None and event["requestContext"].get("resourcePath") not in self.routes:
            return self.unknown()
        return _compressed(super().__call__(event, context), event)

    @property
    def current_request(self) -> Any:
        return getattr(self._of_thread, "current_request", None)

    @current_request.setter
    def current_request(self, value: Any) -> None:
        self._of_thread.current_request = value

    @property
    def lambda_context(self) -> Any:
        return getattr(self._of_thread, "lambda_context", None)

    @lambda_context.setter
    def lambda_context(self, value: Any) -> None:
        self._of_thread.lambda_context = value


def _is_of_http_api(event: Any) -> bool:
    """Whether an HTTP API has sent the event, in the form 1.0 of its payloads; those of a REST API have no version."""
    return isinstance(event, dict) and event.get("version") == "1.0" and "requestContext" in event


def _compressed(answer: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    body, headers = answer.get("body") or "", answer.get("headers") or {}
    accepted = {name.lower(): value for name, value in (event.get("headers") or {}).items()}.get(
        "accept-encoding", ""
    )
    if answer.get("isBase64Encoded") or len(body) < _COMPRESSED_FROM or not _takes_gzip(accepted):
        return answer
    packed = base64.b64encode(gzip.compress(body.encode(), compresslevel=5, mtime=0)).decode()
    encoding = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return {**answer, "body": packed, "isBase64Encoded": True, "headers": {**headers, **encoding}}


def _takes_gzip(accepted: str) -> bool:
    """Whether the caller accepts gzip (RFC 9110, section 12.5.3)."""
    for each in accepted.lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
