"""A small operator's site to import from: a dataset page and RPDE feeds, in either ordering strategy."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from chalicelib.domain.parties import Json
from chalicelib.importing.web import Web

BASE = "https://operator.example"
ADDRESS: Json = {
    "@type": "PostalAddress",
    "streetAddress": "1 High Street",
    "addressLocality": "Oxford",
    "addressRegion": "Oxfordshire",
    "postalCode": "OX1 1AA",
    "addressCountry": "GB",
}
SELLER: Json = {
    "@type": "Organization",
    "@id": f"{BASE}/sellers/1",
    "name": "Acme Fitness Ltd",
    "taxMode": "https://openactive.io/TaxGross",
    "isOpenBookingAllowed": True,
    "address": ADDRESS,
}
START, END = "2031-05-01T10:00:00+01:00", "2031-05-01T11:00:00+01:00"


def offer(owner: str, price: float = 5.0) -> Json:
    return {"@type": "Offer", "@id": f"{owner}#/offers/0", "price": price, "priceCurrency": "GBP"}


def series(n: int, **changes: Any) -> Json:
    series_id = f"{BASE}/session-series/{n}"
    return {
        "@context": ["https://openactive.io/"],
        "@type": "SessionSeries",
        "@id": series_id,
        "name": f"Yoga {n}",
        "organizer": SELLER,
        "offers": [offer(series_id)],
        **changes,
    }


def session(n: int, of: int, spaces: int = 10, **changes: Any) -> Json:
    return {
        "@context": ["https://openactive.io/"],
        "@type": "ScheduledSession",
        "@id": f"{BASE}/scheduled-sessions/{n}",
        "superEvent": f"{BASE}/session-series/{of}",
        "startDate": START,
        "endDate": END,
        "remainingAttendeeCapacity": spaces,
        **changes,
    }


def facility_use(n: int, *units: int, **changes: Any) -> Json:
    return {
        "@context": ["https://openactive.io/"],
        "@type": "FacilityUse",
        "@id": f"{BASE}/facility-uses/{n}",
        "name": f"Hall {n}",
        "provider": SELLER,
        "individualFacilityUse": [
            {"@type": "IndividualFacilityUse", "@id": unit_id(n, unit), "name": f"Court {unit}"}
            for unit in units
        ],
        **changes,
    }


def unit_id(n: int, unit: int) -> str:
    return f"{BASE}/facility-uses/{n}/individual-facility-uses/{unit}"


def slot(n: int, of: str, spaces: int = 1, **changes: Any) -> Json:
    slot_id = f"{BASE}/slots/{n}"
    return {
        "@context": ["https://openactive.io/"],
        "@type": "Slot",
        "@id": slot_id,
        "facilityUse": of,
        "startDate": START,
        "endDate": END,
        "remainingUses": spaces,
        "offers": [offer(slot_id, 12.5)],
        **changes,
    }


class OperatorSite:
    """What an operator publishes. `faults` holds, by path, what is answered before the truth.

    `cache_headers` are those of feed pages; with `has_etags` they also have an ETag, and are compared with it.
    """

    def __init__(self, *, by: str = "timestamp", page_size: int = 2, base: str = BASE) -> None:
        self.base = base
        self.by = by
        self.page_size = page_size
        self.faults: dict[str, list[httpx.Response]] = {}
        self.requests: list[str] = []
        self.statuses: list[int] = []
        self.cache_headers: dict[str, str] = {}
        self.has_etags = False
        self.listed: dict[str, str] = {}
        self._rows: dict[str, list[Json]] = {}
        self._changes = 1000
        for kind in ("SessionSeries", "ScheduledSession", "FacilityUse", "Slot"):
            self.list_feed(kind)

    @property
    def url(self) -> str:
        return f"{self.base}/openactive"

    def list_feed(self, kind: str) -> None:
        self.listed[kind] = f"/feeds/{kind}"
        self._rows.setdefault(kind, [])

    def publish(self, *documents: Json) -> None:
        for document in documents:
            self._change(document["@type"], document["@id"], {"state": "updated", "data": document})

    def publish_as(self, kind: str, item_id: str, document: Json) -> None:
        """The document as an item of the feed of `kind`, in whatever form it is."""
        self._change(kind, item_id, {"state": "updated", "data": document})

    def delete(self, *documents: Json) -> None:
        for document in documents:
            self._change(document["@type"], document["@id"], {"state": "deleted"})

    def forget(self, document: Json) -> None:
        """Drop it without a trace, as a site that has been set up again does."""
        rows = self._rows[document["@type"]]
        rows[:] = [row for row in rows if row["id"] != document["@id"]]

    def _change(self, kind: str, item_id: str, change: Json) -> None:
        self._changes += 1
        rows = self._rows[kind]
        rows[:] = [row for row in rows if row["id"] != item_id]
        rows.append({**change, "kind": kind, "id": item_id, "modified": self._changes})

    def answer(self, path: str, query: str, if_none_match: str = "") -> httpx.Response:
        self.requests.append(path)
        answer = self._answer(path, query)
        if answer.status_code == 200 and path.startswith("/feeds"):
            answer.headers.update(self.cache_headers)
            if self.has_etags:
                etag = f'"{hashlib.sha256(answer.content).hexdigest()[:8]}"'
                if etag == if_none_match:
                    answer = httpx.Response(304, headers=self.cache_headers)
                answer.headers["ETag"] = etag
        self.statuses.append(answer.status_code)
        return answer

    def _answer(self, path: str, query: str) -> httpx.Response:
        if self.faults.get(path):
            return self.faults[path].pop(0)
        if path == "/openactive":
            return httpx.Response(200, html=self._page())
        kind = path.rpartition("/")[2]
        if kind not in self._rows:
            return httpx.Response(404)
        return httpx.Response(200, json=self._feed_page(path, kind, parse_qs(query)))

    def _page(self) -> str:
        dataset = {
            "@context": ["https://schema.org/", "https://openactive.io/"],
            "@type": "Dataset",
            "name": "A </title> of sessions & more",
            "distribution": [
                {
                    "@type": "DataDownload",
                    "additionalType": f"https://openactive.io/{kind}",
                    "contentUrl": self.base + path,
                }
                for kind, path in self.listed.items()
            ],
        }
        text = json.dumps(dataset).replace("<", "\\u003c")
        return (
            "<!doctype html><title>Open data</title><script>if (1 < 2) {}</script>"
            f'<script type="application/ld+json">{text}</script>'
        )

    def _feed_page(self, path: str, kind: str, query: dict[str, list[str]]) -> Json:
        rows, here = self._rows[kind], self.base + path
        if self.by == "change number":
            after = int(query.get("afterChangeNumber", ["0"])[0])
            items = [row for row in rows if row["modified"] > after][: self.page_size]
            last = items[-1]["modified"] if items else after
            return {"next": f"{here}?afterChangeNumber={last}" if last else here, "items": items}
        position = int(query.get("afterTimestamp", ["0"])[0]), query.get("afterId", [""])[0]
        items = [row for row in rows if (row["modified"], row["id"]) > position][: self.page_size]
        if items:
            position = items[-1]["modified"], items[-1]["id"]
        if position[0]:
            here += f"?afterTimestamp={position[0]}&afterId={quote(position[1], safe='')}"
        return {"next": here, "items": items}

    def web(self, **options: Any) -> Web:
        """A way to it that needs no network and never waits."""
        return web(self._respond, **options)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        condition = request.headers.get("If-None-Match", "")
        return self.answer(request.url.path, request.url.query.decode(), condition)


def web(answer: Any, **options: Any) -> Web:
    """The requests go to `answer`; pauses take no time."""
    options.setdefault("pause", lambda seconds: None)
    options.setdefault("resolve", lambda host: ["93.184.216.34"])
    return Web(transport=httpx.MockTransport(answer), **options)


@contextmanager
def served(site: OperatorSite) -> Iterator[None]:
    """The site on a free port of this machine; its base becomes that address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            answer = site.answer(url.path, url.query)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("content-type", "text/plain"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # the reader may have been killed
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        site.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
