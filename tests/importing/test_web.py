"""Fetching: what is tried again and for how long, and what is refused at once."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from openbooking.importing.web import SiteError, Web, parse_json
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
        return web(self, pause=self.pauses.append)


OK = httpx.Response(200, content=b"fine")


def test_a_fault_that_passes_is_tried_again_after_growing_pauses() -> None:
    answers = Answers(httpx.Response(503), httpx.ReadTimeout("slow"), httpx.Response(500), OK)
    with closing(answers.web()) as site:
        assert site.get(URL, "*/*").body == b"fine"
    assert answers.pauses == [1, 2, 4]


def test_a_site_may_ask_for_a_longer_pause_but_not_for_any_length() -> None:
    answers = Answers(
        httpx.Response(429, headers={"Retry-After": "30"}),
        httpx.Response(503, headers={"Retry-After": "86400"}),
        httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"}),
        OK,
    )
    with closing(answers.web()) as site:
        site.get(URL, "*/*")
    assert answers.pauses == [30, 60, 4]


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
