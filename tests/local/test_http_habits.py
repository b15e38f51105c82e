"""What any client of HTTP may expect: HEAD, browsers of other websites, and errors that name what is wrong."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import app
from chalicelib.runtime.system import install
from openbooking.local.gateway import Gateway
from openbooking.local.server import HttpServer, bind
from tests.support.world import API, World

ORIGIN = {"Origin": "https://app.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "GET"}
OPEN = ["/", "/openactive", "/feeds/slots", "/feeds/session-series"]
OWN = [f"{API}/orders-rpde", f"{API}/orders/10000000-0000-4000-8000-000000000001"]


@dataclass
class Received:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def of_cors(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.startswith("Access-Control-")}


class Site:
    """The whole app behind the local gateway, on its own port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, verb: str, path: str, **headers: str) -> Received:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request(
            verb, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        received = Received(answer.status, answer.headers, answer.read())
        connection.close()
        return received


@pytest.fixture
def site() -> Iterator[Site]:
    World().session()
    server = HttpServer(Gateway(app.app), bind("127.0.0.1", 0), threads=2)
    server.start()
    yield Site(server.port)
    server.stop()
    install(None)


@pytest.mark.parametrize("path", [*OPEN, "/favicon.svg", *OWN, "/feeds/courses"])
def test_head_has_the_length_of_get_and_no_body(site: Site, path: str) -> None:
    """RFC 9110, sections 8.6 and 9.3.2: also where the answer is an error."""
    whole, head = site.ask("GET", path), site.ask("HEAD", path)
    assert (head.status, head.body) == (whole.status, b"")
    lengths = {answer.headers["Content-Length"] for answer in (whole, head)}
    assert lengths == {str(len(whole.body))}
    assert whole.body or whole.status == 303


@pytest.mark.parametrize("path", OPEN)
def test_open_data_can_be_read_by_pages_of_any_website(site: Site, path: str) -> None:
    """Fetch, CORS protocol."""
    for verb in ("GET", "HEAD"):
        assert site.ask(verb, path, **ORIGIN).headers["Access-Control-Allow-Origin"] == "*"
    asked = site.ask("OPTIONS", path, **PREFLIGHT)
    assert (asked.status, asked.body) == (204, b"")
    assert asked.of_cors == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": "*",
        "Access-Control-Max-Age": "86400",
        "Access-Control-Expose-Headers": "Retry-After",
    }


def test_page_of_another_website_can_read_what_is_wrong(site: Site) -> None:
    """Otherwise a browser shows a network error."""
    for path in ("/feeds/courses", "/feeds/slots?limit=0"):
        answer = site.ask("GET", path, **ORIGIN)
        assert answer.status in (400, 404)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", [*OWN, "/auth/token", "/auth/authorize"])
def test_pages_of_other_websites_cannot_book(site: Site, path: str) -> None:
    """The booking API and the provider are for servers and for whole pages."""
    for verb in ("GET", "OPTIONS"):
        answer = site.ask(verb, path, **PREFLIGHT)
        assert answer.of_cors == {}
    assert answer.status == 405


@pytest.mark.parametrize("value", ["", "x", "-1"])
def test_error_about_a_parameter_names_it(site: Site, value: str) -> None:
    answer = site.ask("GET", f"/feeds/slots?afterChangeNumber={value}")
    document = json.loads(answer.body)
    assert answer.status == 400
    assert document["name"] == "A parameter of the URL has a value that cannot be used."
    assert document["description"].startswith("afterChangeNumber ")
