"""Turns a template and its values into a page, with the headers that every page has.

Knows the names of templates, not their contents. Jinja2 is imported when the first page is rendered, so
that a cold start of the API does not wait for it.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.values import dataclass

if TYPE_CHECKING:
    from jinja2 import Environment

MEDIA_TYPE = "text/html; charset=utf-8"
FAVICON_MEDIA_TYPE = "image/svg+xml"

_TEMPLATES = Path(__file__).parent / "templates"
# A URL with any other scheme, for example javascript:, is shown as text.
_EMAIL = re.compile(r"[^\s@:/?]+@[^\s@:/?]+")
_LINKED = ("https://", "http://", "mailto:")


@dataclass(frozen=True)
class Service:
    """The installation as shown on its pages, at `base_url` (without a trailing slash).

    `support` is the contact for help: an email address, a URL, or text; empty if there is none.
    """

    name: str
    base_url: str
    support: str = ""

    @property
    def support_url(self) -> str | None:
        """The link for `support`, if it is an email address or a URL."""
        if _EMAIL.fullmatch(self.support):
            return f"mailto:{self.support}"
        return self.support if self.support.startswith(_LINKED) else None


@dataclass(frozen=True)
class Page:
    """The text of a page, and the headers to send with it."""

    text: str
    headers: Mapping[str, str]


def render(
    template: str,
    service: Service,
    *,
    cache_control: str = "no-store",
    form_targets: Sequence[str] = ("'none'",),
    **values: Any,
) -> Page:
    """The template of this name, rendered with `values`, which are escaped.

    `form_targets` are the Content-Security-Policy sources to which its form may be sent, including redirects.
    """
    page = _environment().get_template(f"{template}.html")
    return Page(page.render(service=service, **values), _headers(cache_control, form_targets))


def favicon() -> str:
    """The icon of every page, as SVG."""
    return (_TEMPLATES / "favicon.svg").read_text(encoding="utf-8")


def _headers(cache_control: str, form_targets: Sequence[str]) -> dict[str, str]:
    """No content from other hosts, no frames, no scripts, and only our own style."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_style_digest()}'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {' '.join(form_targets)}"
    )
    return {
        "Cache-Control": cache_control,
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


@cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _style_digest() -> str:
    # The style is inline, which saves a request; the digest permits no other style (CSP 3, section 2.3.1).
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    environment.globals["style"] = Markup(_style())  # noqa: S704 - a file of ours
    environment.tests["linked"] = lambda url: isinstance(url, str) and url.startswith(_LINKED)
    return environment
