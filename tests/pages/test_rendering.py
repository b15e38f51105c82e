"""Templates and the headers of pages."""

import base64
import hashlib
import re

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from chalicelib.pages.rendering import Page, Service, favicon, render
from chalicelib.pages.sign_in import Message, Problem, consent_page, login_page, message_page

SERVICE = Service("Avonmead Bookings", "https://booking.example/dev")
EVIL = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
PARTNER = "https://broker.example"


def login(name: str = "Sports Finder", **more: Problem | str | None) -> Page:
    return login_page(SERVICE, "ticket", name, back_to=PARTNER, **more)  # type: ignore[arg-type]


def consent(
    name: str, url: str | None = None, sellers: tuple[tuple[str, str], ...] = (("1", "Kings"),)
) -> Page:
    return consent_page(
        SERVICE,
        "ticket",
        back_to=PARTNER,
        partner=name,
        partner_url=url,
        username=name,
        sellers=sellers,
        scopes=("openid", "openactive-openbooking"),
    )


def test_template_is_found_by_name_and_an_unknown_one_is_not() -> None:
    page = render("message", SERVICE, message=Message("A title", "Some advice."))
    assert "<h1>A title</h1>" in page.text
    with pytest.raises(TemplateNotFound):
        render("../style", SERVICE)


def test_value_that_a_template_lacks_is_a_fault() -> None:
    with pytest.raises(UndefinedError):
        render("message", SERVICE)


@pytest.mark.parametrize(
    "page",
    [
        login(EVIL, username=EVIL),
        consent(EVIL, f"https://{EVIL}", (("1", EVIL), (EVIL, "x"))),
        consent(EVIL, EVIL, ((EVIL, EVIL),)),
        message_page(Service(EVIL, "https://booking.example"), Message(EVIL, EVIL)),
    ],
    ids=["login", "consent of several", "consent of one", "message"],
)
def test_values_are_text(page: Page) -> None:
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{ 7 * 7 }}" in page.text


@pytest.mark.parametrize("page", [login(), consent("x"), message_page(SERVICE, Message("x", "y"))])
def test_page_allows_no_script_and_no_style_but_its_own(page: Page) -> None:
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert policy["img-src"] == "'self'"
    assert "style=" not in page.text and "script" not in page.text
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_form_may_lead_to_us_and_back_to_the_partner_only() -> None:
    assert login().headers["Content-Security-Policy"].endswith("; form-action 'self' https://broker.example")
    page = message_page(SERVICE, Message("x", "y"))
    assert page.headers["Content-Security-Policy"].endswith("; form-action 'none'")


def test_problem_is_tied_to_the_fields_it_is_about() -> None:
    """WCAG 2.2, 3.3.1 and 4.1.3."""
    page = login(problem=Problem.wrong).text
    assert f'id="problem" role="alert">{Problem.wrong}' in page
    assert page.count('aria-describedby="problem" aria-invalid="true"') == 2
    assert "problem" not in login().text


def test_every_field_has_a_label_and_every_page_its_landmarks() -> None:
    page = login().text
    for field in ("username", "password"):
        assert f'<label for="{field}">' in page and f'id="{field}"' in page
    assert '<html lang="en-GB">' in page
    assert page.count("<main") == page.count("<h1") == page.count("<header") == 1


def test_page_names_the_icon_where_the_service_is_reached() -> None:
    assert 'href="https://booking.example/dev/favicon.svg"' in login().text
    assert favicon().startswith("<svg ")


class TestSupport:
    """The pages show a contact for people who cannot log in."""

    @pytest.mark.parametrize(
        ("support", "shown"),
        [
            ("", "Contact the operator of this booking system."),
            ("help@kings.example", 'Contact <a href="mailto:help@kings.example">help@kings.example</a>.'),
            ("https://kings.example/help", 'Contact <a href="https://kings.example/help">https://kings.'),
            ("the front desk, 01632 960123", "Contact the front desk, 01632 960123."),
            ("javascript:alert(1)", "Contact javascript:alert(1)."),
            ("a@b.example?cc=<x>", "Contact a@b.example?cc=&lt;x&gt;."),
        ],
    )
    def test_is_a_link_where_it_can_be_one(self, support: str, shown: str) -> None:
        service = Service("Avonmead Bookings", "https://booking.example", support)
        for page in (
            login_page(service, "ticket", "Sports Finder", back_to=PARTNER),
            message_page(service, Message("x", "y")),
        ):
            assert shown in page.text

    def test_can_end_what_was_allowed(self) -> None:
        assert "at any time: contact the operator of this booking system" in consent("x").text


def test_official_suite_finds_what_it_fills_in_and_presses() -> None:
    """Its default `loginPagesSelectors`; a Booking System that is judged keeps to them."""
    assert re.search(r'<input[^>]*name="username"', login().text)
    assert re.search(r'<input[^>]*name="password"', login().text)
    for page in (login(), consent("Sports Finder")):
        (button,) = re.findall(r'<button class="[^"]*\bbtn-primary\b[^>]*>([^<]+)</button>', page.text)
        assert button in ("Log in", "Allow")
