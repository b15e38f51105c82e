"""What tests in a real browser share: where Chromium is, and how a Seller gets through the login."""

import base64
import hashlib
import os
import shutil
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

in_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; CHROMIUM names one"),
    # Playwright's loop is still around when the last page is closed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Partner(NamedTuple):
    """A booking partner that nobody has allowed anything yet."""

    id: str
    secret: str
    callback: str


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


def sign_in(page: Page, password: str = "test1", username: str = "test1") -> None:
    """By keyboard alone, from wherever the page has put it."""
    if not page.get_by_label("User name").input_value():
        expect(page.get_by_label("User name")).to_be_focused()
        page.keyboard.type(username)
        page.keyboard.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")
