"""Login and consent in a real browser, on a wide and a narrow screen: as a Seller meets them (AUTH-08)."""

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from openbooking.conformance.profiles import add_identities, profile
from openbooking.local.stack import LocalStack
from openbooking.samples.seeding import load_samples

INVITATION = "dynamic-primary-745ddf2d13019ce8b69c"  # the suite's, which is good for any number
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCREENS = {"wide": (1280, 800), "narrow": (320, 568)}
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; CHROMIUM names one"),
    # Playwright's loop is still around when the last page is closed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local stack with its own provider, and those whom the suite calls as."""
    from chalicelib.runtime.system import installed

    known = profile(["openid"], url="http://localhost", output=tmp_path_factory.mktemp("suite"))

    def seed() -> None:
        load_samples(installed().inventory, datetime.now(UTC))
        add_identities(known, installed().authority)

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


class Partner(NamedTuple):
    """A booking partner that nobody has allowed anything yet."""

    id: str
    secret: str
    callback: str


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


def begin(page: Page, url: str, partner: Partner, **parameters: str) -> None:
    query = {
        "response_type": "code",
        "client_id": partner.id,
        "redirect_uri": partner.callback,
        "scope": "openid openactive-openbooking offline_access openactive-identity",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **parameters,
    }
    page.goto(f"{url}/auth/authorize?{urlencode(query)}")


def sign_in(page: Page, password: str = "test1") -> None:
    """By keyboard alone, from wherever the page has put it."""
    if not page.get_by_label("User name").input_value():
        expect(page.get_by_label("User name")).to_be_focused()
        page.keyboard.type("test1")
        page.keyboard.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def back_at(page: Page, partner: Partner) -> None:
    page.wait_for_url(re.compile(re.escape(partner.callback)))
    expect(page.get_by_text("back at the partner")).to_be_visible()


def fits(page: Page) -> bool:
    """Nobody has to scroll sideways, and every button is large enough for a thumb."""
    buttons = page.get_by_role("button").all()
    sizes = [box for button in buttons if (box := button.bounding_box())]
    narrow: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return narrow and len(sizes) == len(buttons) and all(box["height"] >= 44 for box in sizes)


def test_a_seller_logs_in_and_allows_a_partner(page: Page, url: str, partner: Partner) -> None:
    begin(page, url, partner, state="xyz")
    expect(page).to_have_title("Log in to Avonmead Bookings")
    assert fits(page)
    sign_in(page, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("Wrong user name or password")
    assert fits(page)
    sign_in(page)
    expect(page.get_by_role("heading")).to_have_text("Allow Sports Finder?")
    expect(page.get_by_role("main")).to_contain_text("make and cancel bookings")
    expect(page.get_by_role("main")).to_contain_text("logged in as test1")
    assert fits(page)
    page.get_by_role("button", name="Allow", exact=True).click()
    back_at(page, partner)
    answer = parse_qs(urlsplit(page.url).query)
    assert answer["state"] == ["xyz"]
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "redirect_uri": partner.callback,
        "code_verifier": VERIFIER,
    }
    tokens = httpx.post(f"{url}/auth/token", data=form, auth=(partner.id, partner.secret))
    assert tokens.status_code == 200, tokens.text
    assert {"access_token", "id_token", "refresh_token"} <= tokens.json().keys()


def test_consent_is_remembered(page: Page, url: str, partner: Partner) -> None:
    asks = page.get_by_role("button", name="Allow", exact=True)
    begin(page, url, partner)
    sign_in(page)
    asks.click()
    back_at(page, partner)
    begin(page, url, partner, scope="openid openactive-identity")
    sign_in(page)
    back_at(page, partner)


def test_a_seller_says_no(page: Page, url: str, partner: Partner) -> None:
    begin(page, url, partner)
    sign_in(page)
    page.get_by_role("button", name="Do not allow").click()
    back_at(page, partner)
    assert parse_qs(urlsplit(page.url).query)["error"] == ["access_denied"]


def test_a_link_that_leads_nowhere_says_so(page: Page, url: str, partner: Partner) -> None:
    begin(page, url, partner, redirect_uri="http://evil.example/cb")
    expect(page.get_by_role("heading")).to_have_text("This link does not work")
    expect(page.get_by_role("main")).to_contain_text("has not registered: http://evil.example/cb")
    assert page.url.startswith(url)
    assert fits(page)


def test_no_other_page_can_hold_it_in_a_frame(page: Page, url: str, partner: Partner) -> None:
    begin(page, url, partner)
    page.set_content(f'<iframe src="{page.url}"></iframe>')
    frame = page.frame_locator("iframe")
    expect(frame.get_by_label("Password")).to_have_count(0)
