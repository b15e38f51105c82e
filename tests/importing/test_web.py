"""Fetching: what is tried again and for how long, and what is refused at once."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from chalicelib.importing.web import MAX_SECONDS_FRESH, SiteError, Validity, Web, parse_json
from tests.importing.site import web

URL = "https://operator.example/feed"


class Answers:
    """Gives one answer after the other; the last for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def web(self) -> Web:
        return web(self, pause=self.pauses.append, now=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC))


OK = httpx.Response(200, content=b"fine")


def test_a_fault_that_passes_is_tried_again_after_growing_pauses() -> None:
    answers = Answers(httpx.Response(503), httpx.ReadTimeout("slow"), httpx.Response(500), OK)
    with closing(answers.web()) as site:
        assert site.get(URL, "*/*").body == b"fine"
    assert answers.pauses == [1, 2, 4]


def test_http_behind_a_url_of_https_is_said_at_once() -> None:
    answers = Answers(httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"))
    with closing(answers.web()) as site, pytest.raises(SiteError, match="not served by https: is it http"):
        site.get(URL, "*/*")
    assert answers.pauses == []


def test_a_site_may_ask_for_a_longer_pause() -> None:
    answers = Answers(
        httpx.Response(429, headers={"Retry-After": "30"}),
        httpx.Response(403),  # protection against robots
        httpx.Response(503, headers={"Retry-After": "Mon, 01 Jun 2026 12:05:00 GMT"}),
        httpx.Response(503, headers={"Retry-After": "soon"}),
        OK,
    )
    with closing(answers.web()) as site:
        site.get(URL, "*/*")
    assert answers.pauses == [30, 2, 300, 8]


@pytest.mark.parametrize("after", ["86400", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_a_site_that_asks_for_a_very_long_pause_is_given_up_at_once(after: str) -> None:
    answers = Answers(httpx.Response(503, headers={"Retry-After": after}))
    with closing(answers.web()) as site, pytest.raises(SiteError, match="asks not to be read again for"):
        site.get(URL, "*/*")
    assert answers.pauses == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (httpx.Response(503), "answers 503"),
        (httpx.ConnectError("Connection refused"), r"cannot be reached \(Connection refused\)"),
        (httpx.ReadTimeout(""), "does not answer in time"),
    ],
)
def test_a_fault_that_stays_is_given_up(fault: httpx.Response | Exception, said: str) -> None:
    answers = Answers(fault)
    with (
        closing(answers.web()) as site,
        pytest.raises(SiteError, match=f"^{URL} {said}, also at the 5th attempt.$"),
    ):
        site.get(URL, "*/*")
    assert len(answers.pauses) == 4


@pytest.mark.parametrize("status", [404, 410, 401, 204])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    answers = Answers(httpx.Response(status))
    with closing(answers.web()) as site, pytest.raises(SiteError, match=f"answers {status}"):
        site.get(URL, "*/*")
    assert answers.pauses == []


def test_a_redirect_is_followed_and_told() -> None:
    answers = Answers(httpx.Response(301, headers={"Location": "https://other.example/here"}), OK)
    with closing(answers.web()) as site:
        assert site.get(URL, "*/*").url == "https://other.example/here"


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(302, headers={"Location": URL}), httpx.Response(302, headers={"Location": "ftp://x"})],
)
def test_a_redirect_to_nowhere_is_refused(answer: httpx.Response) -> None:
    with closing(Answers(answer).web()) as site, pytest.raises(SiteError):
        site.get(URL, "*/*")


@pytest.mark.parametrize(
    "url", ["ftp://operator.example/", "operator.example/openactive", "https://", "http://[::1"]
)
def test_what_is_no_url_of_the_web_is_refused(url: str) -> None:
    with closing(Web(pause=lambda seconds: None)) as site, pytest.raises(SiteError):
        site.get(url, "*/*")


def test_a_document_larger_than_the_bound_is_refused_also_when_it_comes_packed() -> None:
    import gzip

    packed = httpx.Response(200, content=gzip.compress(b"x" * 5000), headers={"Content-Encoding": "gzip"})
    with (
        closing(web(lambda _: packed, max_bytes=4096)) as site,
        pytest.raises(SiteError, match="is larger than"),
    ):
        site.get(URL, "*/*")


def test_an_answer_that_drips_is_given_up_by_the_clock() -> None:
    def drip() -> Iterator[bytes]:
        while True:
            yield b"."

    def clock() -> float:
        ticks.append(1)
        return 50.0 * len(ticks)

    ticks: list[int] = []
    with (
        closing(web(lambda _: httpx.Response(200, content=drip()), clock=clock)) as site,
        pytest.raises(SiteError, match="takes longer than 180 seconds"),
    ):
        site.get(URL, "*/*")


@pytest.mark.parametrize("text", ['{"price": NaN}', "[Infinity]", "{", "[" * 100_000])
def test_what_is_not_json_is_no_value(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


# --- where it may lead ----------------------------------------------------------------------

PRIVATE = {
    "inside.example": ["10.0.0.8"],
    "half.example": ["93.184.216.34", "::1"],
    "open.example": ["93.184.216.34"],
}


def redirected(to: str) -> Web:
    """A site that redirects its first request."""
    return web(
        lambda request: (
            httpx.Response(302, headers={"Location": to})
            if str(request.url) == URL
            else httpx.Response(200, content=b"here")
        ),
        resolve=lambda host: PRIVATE.get(host, ["93.184.216.34"]),
    )


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("http://open.example/", "which is not https"),
        ("https://inside.example/", "is not a public address"),
        ("https://half.example/", "is not a public address"),
        ("https://127.0.0.1/", "is not a public address"),
        ("https://[::1]/", "is not a public address"),
        ("https://[::ffff:10.0.0.1]/", "is not a public address"),
        ("https://169.254.169.254/latest", "is not a public address"),
        ("https://100.64.0.1/", "is not a public address"),
        ("https://224.0.0.1/", "is not a public address"),
    ],
)
def test_a_redirect_leads_to_public_https_only(to: str, said: str) -> None:
    with closing(redirected(to)) as site, pytest.raises(SiteError, match=said):
        site.get(URL, "*/*")


def test_a_redirect_may_lead_to_another_public_site() -> None:
    with closing(redirected("https://open.example/x")) as site:
        assert site.get(URL, "*/*").url == "https://open.example/x"


def test_a_site_may_not_list_feeds_inside_our_network() -> None:
    with closing(web(lambda _: OK, resolve=lambda host: PRIVATE.get(host, []))) as site:
        site.get("http://127.0.0.1:8911/openactive", "*/*")  # the operator's own choice
        site.get("http://127.0.0.1:8911/feed", "*/*")
        for url in ("http://127.0.0.1:8912/", "http://inside.example/", "http://unknown.example/"):
            with pytest.raises(SiteError, match="--allow-private-addresses"):
                site.get(url, "*/*")
        site.get("http://open.example/", "*/*")


def test_a_setting_allows_private_addresses() -> None:
    with closing(web(lambda _: OK, allow_private=True, resolve=lambda host: ["10.0.0.8"])) as site:
        for url in (URL, "http://inside.example/"):
            assert site.get(url, "*/*").body == b"fine"


def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    def resolve(host: str) -> list[str]:
        tried.append(host)
        if len(tried) < 3:
            raise OSError("Temporary failure in name resolution")
        return ["93.184.216.34"]

    tried: list[str] = []
    with closing(web(lambda _: OK, resolve=resolve)) as site:
        site.get(URL, "*/*")
        assert site.get("https://open.example/", "*/*").body == b"fine"
    assert len(tried) == 3


# --- cache headers ------------------------------------------------------------------------------

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def validity_of(headers: dict[str, str], known: Validity | None = None, status: int = 200) -> Validity:
    way = web(lambda _: httpx.Response(status, headers=headers, content=b"{}"), now=lambda: AT)
    return way.read(URL, "application/json", lambda body: body, known)[1]


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"Cache-Control": "public, max-age=8"}, 8),
        ({"Cache-Control": 'Max-Age="60"'}, 60),
        ({"Cache-Control": "max-age=60", "Age": "45"}, 15),
        ({"Cache-Control": "max-age=60", "Age": "90"}, None),
        ({"Cache-Control": "max-age=60", "Expires": "Sun, 01 Nov 2026 12:30:00 GMT"}, 60),
        ({"Cache-Control": "max-age=soon", "Expires": "Sun, 01 Nov 2026 12:30:00 GMT"}, None),
        ({"Expires": "Sun, 01 Nov 2026 12:30:00 GMT"}, 1800),
        ({"Expires": "Sun, 01 Nov 2026 11:30:00 GMT"}, None),
        ({"Expires": "-1"}, None),
        ({"Cache-Control": "no-cache, max-age=60"}, None),
        ({"Cache-Control": "no-store", "Expires": "Sun, 01 Nov 2026 12:30:00 GMT"}, None),
        ({"Expires": "3600"}, None),
        ({"Cache-Control": "max-age=31536000"}, MAX_SECONDS_FRESH),  # a wrong header must not stop imports
    ],
)
def test_cache_headers_say_how_long_a_page_is_up_to_date(
    headers: dict[str, str], seconds: int | None
) -> None:
    expected = None if seconds is None else AT + timedelta(seconds=seconds)
    assert validity_of(headers).fresh_until == expected


def test_a_page_is_asked_for_by_its_validators_and_304_keeps_them() -> None:
    asked: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        return httpx.Response(304, headers={"Cache-Control": "max-age=10"})

    known = Validity('"a"', "Sun, 01 Nov 2026 11:30:00 GMT")
    found, validity = web(answer, now=lambda: AT).read(URL, "*/*", lambda body: body, known)
    assert found is None
    assert validity == Validity('"a"', "Sun, 01 Nov 2026 11:30:00 GMT", AT + timedelta(seconds=10))
    assert asked[0]["If-None-Match"] == '"a"'
    assert asked[0]["If-Modified-Since"] == "Sun, 01 Nov 2026 11:30:00 GMT"


def test_304_to_a_request_without_conditions_is_refused() -> None:
    with pytest.raises(SiteError, match="answers 304"):
        validity_of({}, status=304)
    with pytest.raises(SiteError, match="answers 304"):
        validity_of({}, Validity(), status=304)
