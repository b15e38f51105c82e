"""Asks a deployed API a few questions that need no credentials and change nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from openbooking.deployment.errors import DeploymentError

# Longer than API Gateway waits for a function.
_SECONDS = 35.0


class SmokeTestError(DeploymentError):
    sentence = "The stage is deployed, but does not answer as it should."


@dataclass(frozen=True)
class Reply:
    """What a URL answered; status 0 if nothing did."""

    status: int
    media_type: str
    body: str


def fetch(url: str) -> Reply:
    """GET `url`, whatever its status."""
    try:
        with urlopen(Request(url), timeout=_SECONDS) as answer:  # noqa: S310 - our own API
            return Reply(answer.status, answer.headers.get_content_type(), answer.read().decode())
    except HTTPError as error:
        with error:
            return Reply(error.code, error.headers.get_content_type(), error.read().decode())
    except (URLError, TimeoutError) as error:
        return Reply(0, "", str(error))


def check(url: str, *, with_provider: bool, fetch: Callable[[str], Reply] = fetch) -> int:
    """Check the API at `url`, which ends in a slash; return the number of checks. Raises SmokeTestError.

    `with_provider`: the built-in provider issues its tokens.
    """
    checks = list(_checks(url, with_provider, fetch))
    faults = [fault for fault in checks if fault]
    if faults:
        raise SmokeTestError("; ".join(faults))
    return len(checks)


def _checks(url: str, with_provider: bool, fetch: Callable[[str], Reply]) -> Iterator[str]:
    site = fetch(f"{url}openactive")
    yield _fault("the dataset site", site, 200, "application/ld+json" in site.body)
    feed = fetch(f"{url}feeds/slots")
    yield _fault("an open feed", feed, 200, "items" in _json(feed))
    order = fetch(f"{url}api/openbooking/orders/{uuid.uuid4()}")
    is_ours = _json(order).get("@type") == "UnauthenticatedError"
    yield _fault("a request without credentials", order, 403, is_ours)
    unknown = fetch(f"{url}no-such-path")
    refused = _json(unknown).get("@type") == "UnknownOrIncorrectEndpointError"
    yield _fault("an unknown path", unknown, 404, refused)
    if with_provider:
        keys = fetch(f"{url}auth/jwks")
        yield _fault("the keys of the provider", keys, 200, "keys" in _json(keys))


def _fault(what: str, reply: Reply, status: int, is_right: bool) -> str:
    if reply.status == 0:
        return f"{what}: no answer ({reply.body})"
    if reply.status != status:
        return f"{what}: status {reply.status} instead of {status}"
    return "" if is_right else f"{what}: status {status}, but with another content"


def _json(reply: Reply) -> dict[str, object]:
    try:
        document = json.loads(reply.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
