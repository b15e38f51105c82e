"""Between Chalice and the views: routes, and the one place where exceptions are turned into answers."""

import base64
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from chalice.app import Blueprint, Request, Response

from chalicelib.domain import identifiers
from chalicelib.domain.errors import (
    InternalApplicationError,
    InternalLibraryConfigurationError,
    InvalidAuthorizationDetailsError,
    MalformedRequestError,
    MethodNotAllowedError,
    OpenBookingError,
    RequestTooLargeError,
    TemporarilyUnavailableError,
    TooManyRequestsError,
    UnknownOrIncorrectEndpointError,
    UnsupportedMediaTypeError,
)
from chalicelib.domain.limits import MAX_BODY_BYTES
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import Json
from chalicelib.runtime.installation import installed
from chalicelib.runtime.serving import Serving
from chalicelib.runtime.settings import SettingsError
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage.errors import OrderTooLarge, StillBusy, StoreBusy
from chalicelib.values import dataclass, field, replace
from chalicelib.wire import links
from chalicelib.wire.errors import error_document
from chalicelib.wire.jsonld import BOOKING_MEDIA_TYPE, write

if TYPE_CHECKING:
    from chalicelib.identity.callers import Caller
    from chalicelib.pages.rendering import Page, Service

# Most throttles and conflicts have passed after this time.
_BUSY_SECONDS = 5

# A page may read `Retry-After` only if it is named here.
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}

_VERBS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]
_PLAIN_JSON = "application/json"
_HOST = re.compile(r"[A-Za-z0-9.\-_]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?")


@dataclass
class Call:
    """One request, and the installation that answers it. `log_ids` are the ids for the log."""

    system: Serving
    request: Request
    params: dict[str, str]
    log_ids: dict[str, str] = field(default_factory=dict)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.request.headers.items()}

    @cached_property
    def base_url(self) -> str:
        """Scheme, host and stage as the caller sees them."""
        return self.system.settings.base_url or _base_url(self.request)

    @property
    def service(self) -> "Service":
        """The installation as shown on its pages."""
        from chalicelib.pages.rendering import Service

        settings = self.system.settings
        return Service(settings.service_name, self.base_url, settings.support)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params or {})

    def repeated_query(self) -> list[str]:
        """Names of parameters that occur more than once in the query."""
        query = self.request.query_params
        return [] if query is None else [name for name in query if len(query.getlist(name)) > 1]

    def body(self) -> bytes:
        """The body in the gateway's event. Raises RequestTooLargeError, MalformedRequestError."""
        event = self.request.to_original_event()
        raw = event.get("body")
        if raw is None:
            return b""
        if not isinstance(raw, str | bytes):
            raise MalformedRequestError("The body is not text.")
        try:
            # Chalice's own decoding ignores characters that are not base64.
            if event.get("isBase64Encoded"):
                body = base64.b64decode(raw, validate=True)
            else:
                body = raw.encode() if isinstance(raw, str) else raw
        except UnicodeEncodeError:  # a lone surrogate, which the event of a gateway can contain
            raise MalformedRequestError("The body is not UTF-8.") from None
        except ValueError:
            raise MalformedRequestError("The body is not base64, although its event says so.") from None
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLargeError(f"A body may have at most {MAX_BODY_BYTES:,} bytes.")
        return body

    def caller(self) -> "Caller":
        """The authenticated caller. Raises the errors of AUTH-11, TooManyRequestsError (RATE-01)."""
        caller = self.system.callers.caller(self.headers, self.base_url)
        self.log_ids["partner"] = caller.partner_id
        self.system.rates.take(caller.partner_id)
        if caller.seller_id is None:
            return caller
        return replace(caller, seller_id=identifiers.inward(caller.seller_id, self.base_url))

    def order_key(self, caller: "Caller") -> OrderKey:
        """The key of the caller's Order in the path."""
        self.log_ids["order"] = self.params["uuid"]
        return OrderKey(caller.partner_id, self.params["uuid"])


@dataclass(frozen=True)
class Reply:
    """An answer in which our own base URL is still written as BASE."""

    status: int
    body: Json | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = BOOKING_MEDIA_TYPE


View = Callable[[Call], Reply]


def page_reply(status: int, page: "Page", **headers: str) -> Reply:
    """A page as an answer, with its headers and additional ones."""
    from chalicelib.pages.rendering import MEDIA_TYPE

    return Reply(status, page.text, {**page.headers, **headers}, MEDIA_TYPE)


@dataclass(frozen=True)
class Resource:
    """A path with a view for each verb it supports, and the error to return if the store stays busy.

    `reads` are the accepted media types of bodies. `fault_page` is shown to people instead of an error in
    JSON when the service is busy or has failed. `any_origin` lets pages of any website read the answers
    (CORS), for open data that needs no authentication.
    """

    path: str
    views: Mapping[str, View]
    busy: Mapping[str, type[OpenBookingError]] = field(default_factory=dict)
    reads: tuple[str, ...] = (BOOKING_MEDIA_TYPE.partition(";")[0], _PLAIN_JSON)
    fault_page: "Callable[[Service, OpenBookingError], Page] | None" = None
    any_origin: bool = False

    @property
    def verbs(self) -> list[str]:
        """What `Allow` names (RFC 9110, section 10.2.1)."""
        return [*self.views, *(["OPTIONS"] if self.any_origin else [])]


def register(blueprint: Blueprint, resource: Resource) -> None:
    """Add a route. It accepts every verb, so that a wrong one is answered by us and not by the gateway."""

    def handle(**params: str) -> Response:
        return _answer(blueprint.current_request, resource, params)

    name = re.sub(r"\W+", "_", resource.path).strip("_")
    handle.__name__ = name
    blueprint.route(resource.path, methods=_VERBS, content_types=list(resource.reads), name=name)(handle)


def rewrite_refusals(event: Request, get_response: Callable[[Request], Response]) -> Response:
    """Middleware: turn Chalice's own error responses into ours (ERR-06)."""
    response = get_response(event)
    # Chalice's own responses are plain JSON or have no type; ours never.
    if response.status_code < 400 or response.headers.get("Content-Type", _PLAIN_JSON) != _PLAIN_JSON:
        return response
    error: OpenBookingError = InternalApplicationError()
    if response.status_code == 415:
        error = UnsupportedMediaTypeError("See the API's documentation for the supported media types.")
    elif response.status_code == 405:
        error = MethodNotAllowedError()
    return _response(_error_reply(error), "")


def unknown_endpoint() -> dict[str, object]:
    """What Lambda returns for an unknown path, where no gateway answers for it (ERR-06)."""
    return _response(
        _error_reply(UnknownOrIncorrectEndpointError("No resource of this API has this path.")), ""
    ).to_dict()


def _answer(request: Request, resource: Resource, params: dict[str, str]) -> Response:
    started = time.perf_counter()
    try:
        system = installed(Serving)
    except SettingsError as fault:
        Telemetry(metrics=False).failure("settings", fault)
        return _response(_error_reply(InternalLibraryConfigurationError()), "")
    call = Call(system, request, params)
    # API Gateway gives it to the caller in a header.
    system.telemetry.begin(str(request.context.get("requestId") or ""))
    base_url, error, busy = "", None, None
    try:
        base_url = call.base_url
        with system.retry.bounded():
            reply = _view(resource, call)(call)
    except OpenBookingError as refusal:
        error = refusal
    except (StillBusy, StoreBusy) as fault:
        busy = str(fault)
        error = resource.busy.get(request.method, TemporarilyUnavailableError)(
            "Please try again in a moment."
        )
    except OrderTooLarge:
        error = RequestTooLargeError(
            "The order with this change is too large for its row or for one transaction."
        )
    except Exception as fault:
        system.telemetry.failure("unhandled", fault, path=resource.path, **call.log_ids)
        error = InternalApplicationError()
    if error is not None:
        call.log_ids["error"] = error.term
        reply = _error_reply(error, resource)
        if resource.fault_page is not None and error.status >= 500:
            page = resource.fault_page(call.service, error)
            reply = page_reply(error.status, page, **_retry_after(error))
    if resource.any_origin:
        reply = replace(reply, headers={**reply.headers, **_ANY_ORIGIN})
    system.telemetry.request(
        status=reply.status,
        milliseconds=(time.perf_counter() - started) * 1000,
        verb=request.method,
        path=resource.path,
        busy=busy,
        **call.log_ids,
    )
    system.telemetry.flush()
    # With the body also for HEAD: the HTTP server counts its length and does not send it. On API Gateway a
    # function cannot set Content-Length itself (RFC 9110, section 8.6).
    return _response(reply, base_url)


def _view(resource: Resource, call: Call) -> View:
    verb = "GET" if call.request.method == "HEAD" else call.request.method
    if "uuid" in call.params:
        order_uuid = links.parse_uuid(call.params["uuid"])
        if order_uuid is None:
            raise UnknownOrIncorrectEndpointError("The path must end in a UUID.")  # T27
        call.params["uuid"] = order_uuid
    if verb == "OPTIONS" and resource.any_origin:
        return _preflight
    if verb not in resource.views:
        raise MethodNotAllowedError(f"Supported methods: {', '.join(resource.views)}.")
    return resource.views[verb]


def _error_reply(error: OpenBookingError, resource: Resource | None = None) -> Reply:
    headers = _retry_after(error)
    if isinstance(error, MethodNotAllowedError) and resource is not None:
        headers["Allow"] = ", ".join(resource.verbs)  # RFC 9110, section 15.5.6
    if error.status == 401:
        headers["WWW-Authenticate"] = _challenge(error)  # RFC 9110, section 15.5.2
    return Reply(error.status, error_document(error), headers)


def _challenge(error: OpenBookingError) -> str:
    """What a caller needs that was refused (RFC 6750, section 3)."""
    if not isinstance(error, InvalidAuthorizationDetailsError):
        return "Bearer"
    if error.missing_scope is None:
        return 'Bearer error="invalid_token"'
    return f'Bearer error="insufficient_scope", scope="{error.missing_scope}"'


def _retry_after(error: OpenBookingError) -> dict[str, str]:
    """The seconds to wait: those of the rate limit, or the usual ones for a busy store."""
    if isinstance(error, TooManyRequestsError):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": str(_BUSY_SECONDS)} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def _preflight(call: Call) -> Reply:
    """The answer to a CORS preflight, which a browser sends before some requests (Fetch Standard)."""
    methods = "GET, HEAD, OPTIONS"
    return Reply(
        204,
        None,
        {
            "Allow": methods,
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "*",
            "Access-Control-Max-Age": "86400",
        },
    )


def _response(reply: Reply, base_url: str) -> Response:
    text = ""
    if reply.body is not None:
        text = reply.body if isinstance(reply.body, str) else write(reply.body)
    outward = partial(identifiers.outward, base_url=base_url) if base_url else str
    headers: dict[str, str | list[str]] = {name: outward(value) for name, value in reply.headers.items()}
    if reply.status != 204:
        headers["Content-Type"] = reply.media_type
    return Response(body=outward(text), status_code=reply.status, headers=headers)


def _base_url(request: Request) -> str:
    """The base URL of this request. Raises MalformedRequestError for an invalid host."""
    event, context = request.to_original_event(), request.context
    host = str(context.get("domainName") or request.headers.get("host") or "")
    if not _HOST.fullmatch(host):
        raise MalformedRequestError("The Host header is not valid.")
    # API Gateway uses https only, and its event contains its domain; a header could be sent by any caller
    # (RFC 9700, section 4.13). Behind another proxy, BASE_URL must be set.
    scheme = "https" if context.get("domainName") else "http"
    # API Gateway gives the path with the stage in one place and without it in another.
    path, whole = str(event.get("path") or ""), str(context.get("path") or "")
    if path == "/" and not whole.endswith("/"):
        whole += "/"  # the stage without a trailing slash is the path "/" too
    stage = whole[: -len(path)] if path and whole.endswith(path) else ""
    if not stage:
        # With the base path of a custom domain, both have all of it. The route says what of that is ours.
        parts, route = whole.strip("/").split("/"), str(context.get("resourcePath") or whole).strip("/")
        stage = "".join(
            f"/{part}" for part in parts[: max(0, len(parts) - len(route.split("/") if route else ()))]
        )
    return f"{scheme}://{host}{stage.rstrip('/')}"
