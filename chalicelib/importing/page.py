"""Finds the JSON-LD in an HTML page, which contains the metadata of a dataset site."""

from __future__ import annotations

from html.parser import HTMLParser


def json_ld_blocks(html: str) -> list[str]:
    """The text of each `<script type="application/ld+json">` element, in the order of the page."""
    page = _JsonLd()
    page.feed(html)
    return page.found


class _JsonLd(HTMLParser):
    """Collects the `<script type="application/ld+json">` elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = (dict(attrs).get("type") or "").partition(";")[0].strip().lower()
        if tag == "script" and kind == "application/ld+json":
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data
