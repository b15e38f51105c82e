"""Simulates API Gateway and its Lambda integration, on top of Chalice's local gateway.

Answers requests that do not reach the app on AWS either (unknown paths, bodies that are too large) and
turns the others into REST API events. Knows no endpoint.
"""

from __future__ import annotations

import base64
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import responses
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LambdaEventConverter, LocalGateway, MatchResult, RouteMatcher

from openbooking.infra.templates import gateway_responses

MAX_REQUEST_BYTES = 6 * 1024 * 1024
"""What Lambda takes at most; API Gateway itself takes 10 MB."""
MAX_RESPONSE_BYTES = 6 * 1024 * 1024
"""Lambda's limit for a response."""
STAGE = "local"

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""

_READS = {"GET", "HEAD", "OPTIONS"}
_NO_BODY = {204, 304}

log = logging.getLogger(__name__)


class Gateway:
    """The WSGI application that serves a Chalice app as API Gateway would."""

    def __init__(
        self,
        app: Chalice,
        *,
        after_write: Callable[[], None] = lambda: None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
    ) -> None:
        """`app` must separate concurrent requests, as ThreadedChalice does.

        `after_write` is called after a request that may have changed something."""
        self._app = app
        self._gateway = LocalGateway(app, Config.create(app_name=app.app_name, lambda_timeout=30))
        self._gateway.event_converter = _EventConverter(app)
        self._routes = _Routes(app)
        self._responses = {each.response_type: each for each in gateway_responses()}
        self._after_write = after_write
        self._max_request_bytes = max_request_bytes

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        try:
            status, headers, body = self._respond(method, environ)
        except Exception:
            log.exception("%s %s failed in the gateway", method, environ.get("PATH_INFO"))
            status, headers, body = self._own("DEFAULT_5XX")
        if method not in _READS:
            self._after_write()
        if status not in _NO_BODY:
            headers = [*headers, ("Content-Length", str(len(body)))]
        start_response(f"{status} {responses.get(status, 'Unknown')}", headers)
        return [b"" if method == "HEAD" or status in _NO_BODY else body]

    def refuse(self, status: int) -> Answer:
        """The response for a request that the HTTP server refuses before it is complete."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return self._own("REQUEST_TOO_LARGE")
        return self._own("DEFAULT_4XX" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "DEFAULT_5XX")

    def _respond(self, method: str, environ: dict[str, Any]) -> Answer:
        url = _url(environ)
        if not self._is_routed(method, url):
            return self._own("MISSING_AUTHENTICATION_TOKEN")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > self._max_request_bytes:
            return self._own("REQUEST_TOO_LARGE")
        body = environ["wsgi.input"].read(length) if length else None
        response = self._gateway.handle_request(method, url, _headers(environ), body)
        answer = _unpacked(response)
        if len(answer[2]) > MAX_RESPONSE_BYTES:
            log.error("%s: %d bytes are more than Lambda can return", url, len(answer[2]))
            return self._own("DEFAULT_5XX")
        return answer

    def _is_routed(self, method: str, url: str) -> bool:
        try:
            methods = self._app.routes[self._routes.match_route(url).route]
        except ValueError:
            return False
        # API Gateway has no 405: a method that is not deployed is treated like an unknown path.
        # Chalice deploys OPTIONS automatically with CORS only.
        return method in methods or (method == "OPTIONS" and any(route.cors for route in methods.values()))

    def _own(self, response_type: str) -> Answer:
        """`response_type` is a GatewayResponse type of API Gateway, such as DEFAULT_5XX."""
        response = self._responses[response_type]
        body = response.template.replace("$context.requestId", str(uuid.uuid4()))
        return response.status, list(response.headers.items()), body.encode()


class _Routes(RouteMatcher):
    """Chalice's matcher, corrected for unusual paths.

    Chalice parses the path as a URL, so that `//host/path` and `/path;x` match `/path`, and accepts an
    empty segment as a parameter. API Gateway does neither.
    """

    def __init__(self, app: Chalice) -> None:
        super().__init__(list(app.routes))

    def match_route(self, url: str) -> MatchResult:
        path, _, query = url.partition("?")
        if path.startswith("//"):
            raise ValueError(path)
        match = super().match_route(path.replace(";", "%3B"))
        if not all(match.captured.values()):
            raise ValueError(path)
        return match._replace(query_params=parse_qs(query, keep_blank_values=True))


class _EventConverter(LambdaEventConverter):
    """Creates the complete event of a REST API's proxy integration; Chalice's has only a part of it.

    Path parameters stay percent-encoded, as in REST APIs.
    """

    def __init__(self, app: Chalice) -> None:
        super().__init__(_Routes(app), app.api.binary_types)

    def create_lambda_event(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        match = self._route_matcher.match_route(path)
        query = match.query_params or None
        path = path.partition("?")[0]
        text, is_base64 = self._encoded(headers, body)
        return {
            "resource": match.route,
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query and {name: vals[-1] for name, vals in query.items()},
            "multiValueQueryStringParameters": query,
            "pathParameters": match.captured or None,
            "stageVariables": None,
            "requestContext": {
                "accountId": "123456789012",
                # No domainName, by which the app knows that a request came by https.
                "apiId": STAGE,
                "httpMethod": method,
                "identity": {
                    "sourceIp": headers["x-forwarded-for"],
                    "userAgent": headers.get("user-agent"),
                },
                # On AWS this begins with the stage, and `path` does not. Here neither does.
                "path": path,
                "protocol": "HTTP/1.1",
                "requestId": str(uuid.uuid4()),
                "requestTimeEpoch": int(time.time() * 1000),
                "resourcePath": match.route,
                "stage": STAGE,
            },
            "body": text,
            "isBase64Encoded": is_base64,
        }

    def _encoded(self, headers: dict[str, str], body: bytes | None) -> tuple[str | None, bool]:
        if body is None:
            return None, False
        if not self._is_binary(headers):
            try:
                return body.decode("utf-8"), False
            except UnicodeDecodeError:
                # An event is text. With replacement characters such a body could be valid JSON
                # with a changed name; as bytes the app refuses it.
                pass
        return base64.b64encode(body).decode("ascii"), True


def _url(environ: dict[str, Any]) -> str:
    """Path and query as they were sent, still percent-encoded."""
    uri: str = environ["REQUEST_URI"]
    if not uri.startswith("/"):
        # The absolute form, sent to proxies (RFC 9112, 3.2.2).
        parts = urlsplit(uri)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return uri.partition("#")[0]


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    headers["x-forwarded-for"] = environ.get("REMOTE_ADDR", "127.0.0.1")
    headers["x-forwarded-proto"] = environ["wsgi.url_scheme"]
    headers["x-forwarded-port"] = environ["SERVER_PORT"]
    return headers


def _unpacked(response: dict[str, Any]) -> Answer:
    content = response.get("body") or b""
    if response.get("isBase64Encoded"):
        content = base64.b64decode(content)
    elif isinstance(content, str):
        content = content.encode("utf-8")
    status = int(response["statusCode"])
    headers = [(name, str(value)) for name, value in response["headers"].items()]
    for name, values in (response.get("multiValueHeaders") or {}).items():
        headers += [(name, str(value)) for value in values]
    # The gateway sets the length; an answer without a body has no type.
    dropped = {"content-length"} | ({"content-type"} if status in _NO_BODY else set())
    headers = [(name, value) for name, value in headers if name.lower() not in dropped]
    if status not in _NO_BODY and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return status, headers, content
