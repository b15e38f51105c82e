"""Every page for people, judged by axe: WCAG 2.2 AA and good practice, in light and dark, wide and narrow."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browsing import Partner, begin, in_chromium, sign_in
from tests.support.validator import skip_or_fail

pytestmark = in_chromium

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
INSTALL = "npm ci --prefix tests/browser"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
Colours = Literal["light", "dark"]
WIDE, PHONE = (1280, 800), (390, 844)
# No rule of the style sheet combines width and colours, so that the other two combinations are left to `make prove`.
SCREENS = [
    pytest.param(WIDE, "light", id="light-wide"),
    pytest.param(PHONE, "dark", id="dark-phone"),
    pytest.param(WIDE, "dark", id="dark-wide", marks=pytest.mark.proof),
    pytest.param(PHONE, "light", id="light-phone", marks=pytest.mark.proof),
]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        skip_or_fail(f"axe is not installed; run: {INSTALL}", in_ci=bool(os.environ.get("CI")))
    return AXE.read_text(encoding="utf-8")


on_screens = pytest.mark.parametrize(("size", "colours"), SCREENS)


@pytest.fixture
def fresh(chromium: Browser, size: tuple[int, int], colours: Colours) -> Iterator[Page]:
    """A browser that fails the test where a page breaks its own Content-Security-Policy."""
    width, height = size
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=colours)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    context.close()
    assert [each for each in complaints if "Content Security Policy" in each] == []


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds on the page as it stands: the rule, and the first element that breaks it."""
    page.evaluate(axe)
    options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
    found = page.evaluate(f"axe.run({options})")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def logged_in(page: Page, username: str, password: str) -> None:
    with page.expect_navigation():
        sign_in(page, password, username)


@on_screens
def test_dataset_site(fresh: Page, url: str, axe: str) -> None:
    fresh.goto(url)
    assert fresh.url == f"{url}/openactive"
    assert violations(fresh, axe) == []


@on_screens
@pytest.mark.parametrize(
    ("username", "password", "heading"),
    [
        ("test1", "wrong", "Log in to Avonmead Bookings"),
        ("test1", "test1", "Allow Sports Finder?"),
        ("of-two-sellers", "of-two-sellers", "Allow Sports Finder?"),
        ("of-no-seller", "of-no-seller", "This login is not connected to a seller"),
    ],
    ids=["wrong password", "consent", "consent of several sellers", "no seller"],
)
def test_what_follows_a_login(
    fresh: Page, url: str, partner: Partner, axe: str, username: str, password: str, heading: str
) -> None:
    begin(fresh, url, partner)
    logged_in(fresh, username, password)
    assert fresh.get_by_role("heading").all_inner_texts() == [heading]
    assert violations(fresh, axe) == []


def expired(page: Page, url: str, partner: Partner) -> None:
    begin(page, url, partner)
    page.context.clear_cookies()
    logged_in(page, "test1", "test1")


@on_screens
def test_login(fresh: Page, url: str, partner: Partner, axe: str) -> None:
    begin(fresh, url, partner)
    assert fresh.get_by_role("heading").all_inner_texts() == ["Log in to Avonmead Bookings"]
    assert violations(fresh, axe) == []


REFUSALS: dict[str, Callable[[Page, str, Partner], None]] = {
    "This link does not work": lambda page, url, partner: begin(page, url, partner, client_id="nobody"),
    "This page has expired": expired,
}


@on_screens
@pytest.mark.parametrize("heading", REFUSALS)
def test_refusals(fresh: Page, url: str, partner: Partner, axe: str, heading: str) -> None:
    REFUSALS[heading](fresh, url, partner)
    assert fresh.get_by_role("heading").all_inner_texts() == [heading]
    assert violations(fresh, axe) == []


@on_screens
def test_axe_finds_what_is_wrong(fresh: Page, axe: str) -> None:
    """Or the tests above would show nothing."""
    fresh.set_content("<html><body><input><p style='color: #999; background: #aaa'>Faint</p></body></html>")
    rules = {each.partition(":")[0] for each in violations(fresh, axe)}
    assert {"color-contrast", "html-has-lang", "label"} <= rules
