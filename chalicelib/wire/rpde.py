"""Pages of RPDE 1.0 feeds, ordered by change number (RPDE-03, strategy ii).

The items of a page are joined as they were stored. They are parsed only if properties are left out.
"""

import json
from collections.abc import Sequence

from chalicelib.domain.errors import InvalidParameterError
from chalicelib.domain.parties import Json
from chalicelib.wire.jsonld import without_prepayment, write

OPEN_FEED_MEDIA_TYPE = "application/vnd.openactive.rpde+json; version=1"
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
PAGE_SIZE = 500

# How long a cache may keep a page (RPDE-19): a full page changes only if an item on it changes; the
# last page can change at any moment.
FULL_PAGE_SECONDS = 3600
LAST_PAGE_SECONDS = 8

# JavaScript cannot represent whole numbers above this exactly.
MAX_CHANGE_NUMBER = 2**53 - 1


def item_text(state: str, kind: str, item_id: str, change_number: int, data: Json | None) -> str:
    """One item of a feed; `data` is present if the state is `updated`, and only then (RPDE-02)."""
    item: Json = {"state": state, "kind": kind, "id": item_id, "modified": change_number}
    if data is not None:
        item["data"] = data
    return write(item)


def item_without_prepayment(text: str) -> str:
    """A stored item, in which nothing says whether a payment is taken through the Broker (PAY-02)."""
    # The name occurs in all that could be left out, and in few items of most feeds.
    return write(without_prepayment(json.loads(text))) if "repayment" in text else text


def page_text(items: Sequence[str], next_url: str, *, is_open: bool) -> str:
    """A page of stored items; only open feeds carry a licence (T11)."""
    license_part = f',"license":"{LICENSE}"' if is_open else ""
    return f'{{"next":{write(next_url)},"items":[{",".join(items)}]{license_part}}}'


def next_url(feed_url: str, after: int, limit: int | None = None) -> str:
    """The link to the page after change number `after`; the URL of the feed itself if it is 0.

    It includes the `limit` of the request, so that the last page links to itself (RPDE-09).
    """
    parameters = {"afterChangeNumber": after or None, "limit": limit}
    query = "&".join(f"{name}={value}" for name, value in parameters.items() if value is not None)
    return f"{feed_url}?{query}" if query else feed_url


def read_after(query: dict[str, str] | None) -> int:
    """`afterChangeNumber` of a request, 0 without one. Raises InvalidParameterError."""
    value = (query or {}).get("afterChangeNumber")
    number = 0 if value is None else _whole_number(value)
    if number is None:
        raise InvalidParameterError("afterChangeNumber must be a change number from a page of this feed.")
    return number


def read_limit(query: dict[str, str] | None) -> int | None:
    """The requested maximum of items on a page, None without one. Raises InvalidParameterError."""
    value = (query or {}).get("limit")
    if value is None:
        return None
    number = _whole_number(value)
    if not number:
        raise InvalidParameterError("limit must be a whole number of at least 1.")
    return number


def _whole_number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > MAX_CHANGE_NUMBER:
        return None
    return int(text)


def cache_control(*, is_open: bool, is_full: bool) -> str:
    """Pages of open feeds may be cached, those of a partner's own feeds not (RPDE-19)."""
    if not is_open:
        return "private, no-store"
    return f"public, max-age={FULL_PAGE_SECONDS if is_full else LAST_PAGE_SECONDS}"
