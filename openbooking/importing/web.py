"""Fetches documents from another site, with retries, and with limits on size and time.

Decides which errors are retried; does not know what the documents mean.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx

MAX_BYTES = 64 * 1024 * 1024  # of one document, unpacked
SECONDS_A_DOCUMENT = 180.0
_SECONDS_WITHOUT_A_BYTE = 30.0
_ATTEMPTS = 5
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_WORTH_ANOTHER_ATTEMPT = frozenset({408, 425, 429, 500, 502, 503, 504})


class SiteError(Exception):
    """The other site cannot be read to the end; the message gives the reason."""


class _Passing(Exception):
    """A temporary error; `wait` is the time in seconds that the site asks for."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Fetched:
    """A document, and its URL after redirects."""

    url: str
    body: bytes


class Web:
    """GET requests with limits on attempts, time and size. `pause` sleeps, `clock` returns seconds."""

    def __init__(
        self,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._max_bytes = max_bytes
        self._client = httpx.Client(
            timeout=_SECONDS_WITHOUT_A_BYTE,
            follow_redirects=True,
            max_redirects=5,
            headers={"User-Agent": "openbooking-import"},
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, accept: str) -> Fetched:
        """The document at `url`. Raises SiteError."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._once(url, accept)
            except _Passing as passing:
                why = passing
                if attempt + 1 < _ATTEMPTS:
                    self._pause(min(max(_FIRST_PAUSE * 2**attempt, passing.wait), _LONGEST_PAUSE))
        raise SiteError(f"{url} {why}, also at the {_ATTEMPTS}th attempt.")

    def _once(self, url: str, accept: str) -> Fetched:
        until = self._clock() + SECONDS_A_DOCUMENT
        try:
            with self._client.stream("GET", url, headers={"Accept": accept}) as answer:
                if answer.status_code in _WORTH_ANOTHER_ATTEMPT:
                    raise _Passing(
                        f"answers {answer.status_code}", _seconds(answer.headers.get("Retry-After"))
                    )
                if answer.status_code != 200:
                    raise SiteError(f"{url} answers {answer.status_code}.")
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > self._max_bytes:
                        raise SiteError(f"{url} is larger than {self._max_bytes // 1024**2} MB.")
                    if self._clock() > until:  # the timeout of each read does not limit the whole
                        raise _Passing(f"takes longer than {SECONDS_A_DOCUMENT:.0f} seconds")
                return Fetched(str(answer.url), bytes(body))
        except httpx.TimeoutException:
            raise _Passing("does not answer in time") from None
        except httpx.UnsupportedProtocol:
            raise SiteError(f"{url} is not an http or https URL.") from None
        except httpx.TransportError as error:
            raise _Passing(f"cannot be reached ({error or type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SiteError(f"{url} cannot be read: {error or type(error).__name__}.") from None


def parse_json(body: bytes | str) -> Any:
    """The parsed JSON. Raises ValueError, also for constants that Python accepts but JSON does not, such as NaN."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _seconds(retry_after: str | None) -> float:
    """The seconds in a Retry-After header; 0 for a date, so that the usual pauses apply."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
