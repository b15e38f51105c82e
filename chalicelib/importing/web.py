"""Fetches documents from another site, with retries, and with limits on size, time and where it may lead.

Decides which errors are retried, and which addresses may be read; does not know what the documents mean.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

import httpx

from chalicelib.values import dataclass

T = TypeVar("T")

MAX_BYTES = 64 * 1024 * 1024  # of one document, unpacked
SECONDS_A_DOCUMENT = 180.0
_SECONDS_WITHOUT_A_BYTE = 30.0
_ATTEMPTS = 5
_FIRST_PAUSE = 1.0
# A site may ask for a longer pause; for more than this, an import is better repeated later.
_LONGEST_PAUSE = 600.0
_MAX_REDIRECTS = 5
# A wrong header must not keep an import from a site for longer.
MAX_SECONDS_FRESH = 3600
# 403: protection against robots answers so while many pages are read.
_WORTH_ANOTHER_ATTEMPT = frozenset({403, 408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CARRIER_GRADE_NAT = ipaddress.ip_network("100.64.0.0/10")


class SiteError(Exception):
    """The other site cannot be read to the end; the message gives the reason."""


class NotUnderstood(Exception):
    """A document is not what was expected, and may be so at the next attempt. The message follows its URL."""


class _Passing(Exception):
    """A temporary error; `wait` is the time in seconds that the site asks for."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Validity:
    """What a site says of a document: its validators, and until when it need not be read again."""

    etag: str = ""
    last_modified: str = ""
    fresh_until: datetime | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """The headers of a request for the document if it has changed."""
        stated = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in stated.items() if value}


@dataclass(frozen=True)
class Fetched:
    """A document, and its URL after redirects. `is_unchanged`: the site has answered 304, without a body."""

    url: str
    body: bytes
    validity: Validity = Validity()
    is_unchanged: bool = False


def addresses_of(host: str) -> list[str]:
    """The IP addresses of a host. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Web:
    """GET requests with limits on attempts, time and size.

    The first address that is read is the operator's choice, and may be anywhere; its host may be read by http, too.
    Every other address, where a redirect, a dataset site or a page leads, must be https and public, unless
    `allow_private`: a site must not be able to make us read addresses inside our own network.

    `pause` sleeps, `clock` returns seconds, `now` the time, `resolve` the addresses of a host. `on_wait` is called before
    each pause, with the reason and the seconds.
    """

    def __init__(
        self,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resolve: Callable[[str], Iterable[str]] = addresses_of,
        transport: httpx.BaseTransport | None = None,
        max_bytes: int = MAX_BYTES,
        allow_private: bool = False,
    ) -> None:
        self.on_wait: Callable[[str, float], None] = lambda why, seconds: None
        self._pause = pause
        self._clock = clock
        self._now = now
        self._resolve = resolve
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._chosen: tuple[str, int | None] | None = None
        self._public: dict[str, bool] = {}
        self._client = httpx.Client(
            timeout=_SECONDS_WITHOUT_A_BYTE,
            follow_redirects=False,
            headers={"User-Agent": "openbooking-import"},
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, accept: str) -> Fetched:
        """The document at `url`. Raises SiteError."""
        return self._attempt(url, lambda: self._once(url, accept))

    def read(
        self, url: str, accept: str, understand: Callable[[bytes], T], known: Validity | None = None
    ) -> tuple[T | None, Validity]:
        """What `understand` makes of the document at `url`, which is fetched again where it raises NotUnderstood.

        None if it has not changed since it was `known`. Raises SiteError.
        """

        def once() -> tuple[T | None, Validity]:
            found = self._once(url, accept, known)
            try:
                return None if found.is_unchanged else understand(found.body), found.validity
            except NotUnderstood as error:
                raise _Passing(str(error)) from None

        return self._attempt(url, once)

    def _attempt(self, url: str, once: Callable[[], T]) -> T:
        for attempt in range(_ATTEMPTS):
            try:
                return once()
            except _Passing as passing:
                why = passing
                if passing.wait > _LONGEST_PAUSE:
                    raise SiteError(
                        f"{url} {passing}, and asks not to be read again for {passing.wait:.0f} seconds."
                    ) from None
                if attempt + 1 < _ATTEMPTS:
                    seconds = max(_FIRST_PAUSE * 2**attempt, passing.wait)
                    self.on_wait(f"{url} {passing}", seconds)
                    self._pause(seconds)
        raise SiteError(f"{url} {why}, also at the {_ATTEMPTS}th attempt.")

    def _once(self, url: str, accept: str, known: Validity | None = None) -> Fetched:
        until = self._clock() + SECONDS_A_DOCUMENT
        headers = {"Accept": accept, **(known.conditions if known else {})}
        try:
            target = httpx.URL(url)
            for _ in range(_MAX_REDIRECTS + 1):
                self._check_address(target, is_redirect=str(target) != url)
                with self._client.stream("GET", target, headers=headers) as answer:
                    if answer.status_code in _REDIRECTS and "Location" in answer.headers:
                        target = target.join(answer.headers["Location"])
                        continue
                    validity = self._validity(answer.headers, known)
                    if answer.status_code == 304 and known is not None and known.conditions:
                        return Fetched(str(answer.url), b"", validity, is_unchanged=True)
                    return Fetched(str(answer.url), self._body(url, answer, until), validity)
        except httpx.TimeoutException:
            raise _Passing("does not answer in time") from None
        except httpx.UnsupportedProtocol:
            raise SiteError(not_of_the_web(url)) from None
        except httpx.TransportError as error:
            if "WRONG_VERSION_NUMBER" in str(error):
                raise SiteError(f"{url} is not served by https: is it http?") from None
            raise _Passing(f"cannot be reached ({error or type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SiteError(f"{url} cannot be read: {error or type(error).__name__}.") from None
        raise SiteError(f"{url} cannot be read: it has more than {_MAX_REDIRECTS} redirects.")

    def _body(self, url: str, answer: httpx.Response, until: float) -> bytes:
        if answer.status_code in _WORTH_ANOTHER_ATTEMPT:
            wait = self._seconds(answer.headers.get("Retry-After"))
            raise _Passing(f"answers {answer.status_code}", wait)
        if answer.status_code != 200:
            raise SiteError(f"{url} answers {answer.status_code}.")
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > self._max_bytes:
                raise SiteError(f"{url} is larger than {self._max_bytes // 1024**2} MB.")
            if self._clock() > until:  # the timeout of each read does not limit the whole
                raise _Passing(f"takes longer than {SECONDS_A_DOCUMENT:.0f} seconds")
        return bytes(body)

    def _check_address(self, target: httpx.URL, *, is_redirect: bool) -> None:
        """Raises SiteError for an address that the operator has not chosen, and that is not public."""
        if target.scheme not in ("http", "https") or not target.host:
            raise SiteError(not_of_the_web(str(target)))
        place = (target.host, target.port)
        if self._chosen is None:
            self._chosen = place
        if self._allow_private or (place == self._chosen and not is_redirect):
            return
        if is_redirect and target.scheme != "https":
            raise SiteError(f"A redirect leads to {target}, which is not https.")
        if target.host not in self._public:
            self._public[target.host] = self._is_public(target.host)
        if place == self._chosen or self._public[target.host]:
            return
        raise SiteError(
            f"{target} is not a public address. Sites may lead to public addresses only;"
            " --allow-private-addresses is for tests and for sites in your own network."
        )

    def _is_public(self, host: str) -> bool:
        try:
            found = [ipaddress.ip_address(host)]
        except ValueError:
            try:
                found = [ipaddress.ip_address(each.partition("%")[0]) for each in self._resolve(host)]
            except OSError as error:
                raise _Passing(f"cannot be reached ({error})") from None
        return bool(found) and all(_is_public(each) for each in found)

    def _validity(self, headers: httpx.Headers, known: Validity | None) -> Validity:
        """What the headers say; a 304 need not repeat the validators."""
        before = known or Validity()
        seconds = self._fresh_for(headers)
        return Validity(
            etag=headers.get("ETag", before.etag),
            last_modified=headers.get("Last-Modified", before.last_modified),
            fresh_until=self._now() + timedelta(seconds=min(seconds, MAX_SECONDS_FRESH))
            if seconds > 0
            else None,
        )

    def _fresh_for(self, headers: httpx.Headers) -> float:
        """The seconds for which a document is up to date (RFC 9111); 0 if nothing says so."""
        stated = (each.partition("=") for each in headers.get("Cache-Control", "").split(","))
        directives = {name.strip().lower(): value.strip().strip('"') for name, _, value in stated}
        if "no-store" in directives or "no-cache" in directives:
            return 0.0
        if (seconds := directives.get("max-age", "")).isdecimal():
            age = headers.get("Age", "0").strip()
            return float(seconds[:10]) - (float(age[:10]) if age.isdecimal() else 0.0)
        expires = headers.get("Expires", "").strip()
        return 0.0 if "max-age" in directives or expires.isdecimal() else self._seconds(expires)

    def _seconds(self, retry_after: str | None) -> float:
        """The seconds until the time in a header, which is a number of them or a date; 0 for anything else."""
        if not retry_after:
            return 0.0
        if retry_after.strip().isdecimal():
            return float(retry_after)
        try:
            date = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - self._now()).total_seconds())


def not_of_the_web(url: str) -> str:
    """What is said of a URL that cannot be that of a site."""
    return f"{url} is not an http or https URL: it must begin with https://, or http://."


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return address.is_global and not address.is_multicast and address not in _CARRIER_GRADE_NAT


def parse_json(body: bytes | str) -> Any:
    """The parsed JSON. Raises ValueError, also for constants that Python accepts but JSON does not, such as NaN."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
