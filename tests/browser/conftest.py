"""The local stack with its provider, a booking partner, and Chromium."""

from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from chalicelib.services.logins import new_login
from openbooking.conformance.profiles import add_identities, profile
from openbooking.local.stack import LocalStack
from openbooking.samples.inventory import sample_inventory
from openbooking.samples.seeding import load_samples
from tests.support.browsing import CHROMIUM, Partner

INVITATION = "dynamic-primary-745ddf2d13019ce8b69c"  # the suite's, which is good for any number
SCREENS = {"wide": (1280, 800), "narrow": (320, 568)}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local stack with its own provider, and those whom the suite calls as."""
    from chalicelib.runtime.system import installed

    known = profile(["openid"], url="http://localhost", output=tmp_path_factory.mktemp("suite"))

    def seed() -> None:
        load_samples(installed().inventory, datetime.now(UTC))
        add_identities(known, installed())
        of_two = tuple(str(seller["@id"]) for seller in sample_inventory(datetime.now(UTC)).sellers[:2])
        for name, sellers in (("of-two-sellers", of_two), ("of-no-seller", ())):
            login = new_login(name, name, installed().passwords.hash(name), sellers, datetime.now(UTC))
            installed().register.save(login)

    settings = {"AUTHENTICATION": "openid", "SERVICE_NAME": "Avonmead Bookings"}
    with LocalStack(settings=settings, seed=seed, directory=tmp_path_factory.mktemp("stack")) as stack:
        yield stack.url


class _Partner(BaseHTTPRequestHandler):
    """Where a booking partner waits for its Seller to come back."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "19")
        self.end_headers()
        self.wfile.write(b"back at the partner")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    """The partner's own page. A server, since a browser does not ask for what a redirect leads to twice."""
    with ThreadingHTTPServer(("localhost", 0), _Partner) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/cb"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=SCREENS)
def page(request: pytest.FixtureRequest, chromium: Browser, url: str, callback: str) -> Iterator[Page]:
    """A fresh browser that notes what it complains of and where it goes."""
    width, height = SCREENS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url))
    yield page
    context.close()
    assert {urlsplit(each).netloc for each in asked} <= {urlsplit(url).netloc, urlsplit(callback).netloc}


@pytest.fixture
def partner(url: str, callback: str) -> Partner:
    metadata = {
        "client_name": "Sports Finder",
        "redirect_uris": [callback],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    answer = httpx.post(
        f"{url}/auth/register", json=metadata, headers={"Authorization": f"Bearer {INVITATION}"}
    )
    return Partner(answer.json()["client_id"], answer.json()["client_secret"], callback)
