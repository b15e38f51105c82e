"""Login and consent in a real browser, on a wide and a narrow screen: as a Seller meets them (AUTH-08)."""

import re
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Page, expect

from tests.support.browsing import VERIFIER, Partner, begin, in_chromium, sign_in

pytestmark = in_chromium


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
