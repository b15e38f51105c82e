"""Measures imports of a large made site: time, CPU, calls, write units and memory, beside bare batch writes.

Run it with `python -m bench.import_scale --items 20000`, with the path of the engine's binary in DYNOXIDE. The site
is made while it is read, by another process; each import is a separate process. The results are in docs/scale.md.
"""

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib.domain.parties import Json
from chalicelib.importing.rpde import ImportOptions, import_rpde
from chalicelib.importing.web import Web
from chalicelib.services.inventory import Inventory
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.storage.retry import RetryPolicy
from openbooking.local.engine import dynamodb_client
from openbooking.local.tables import create_tables
from tests.support.engines import REGION, running_engine

PAGE = 500
SESSIONS_OF_A_SERIES = 24
KILLS = 10
START = datetime(2031, 1, 1, 9, tzinfo=UTC)
_BATCH = 25
_KINDS = ("SessionSeries", "ScheduledSession")


# --- the site ----------------------------------------------------------------------------------------


class MadeSite:
    """A site of so many items; in a later round one item of 100 has changed, and moved to the end of its feed."""

    def __init__(self, items: int, base: str = "") -> None:
        self.base = base
        self.round = 0
        self.count = {"SessionSeries": max(items // (SESSIONS_OF_A_SERIES + 1), 1)}
        self.count["ScheduledSession"] = items - self.count["SessionSeries"]

    def answer(self, path: str, query: str) -> Json:
        kind = path.rpartition("/")[2]
        if path.startswith("/round/"):
            self.round = int(kind)
            return {}
        if kind not in self.count:
            return self._dataset()
        after = int(parse_qs(query).get("afterChangeNumber", ["0"])[0])
        items = list(self._following(kind, after))
        last = items[-1]["modified"] if items else after
        return {"next": f"{self.base}{path}?afterChangeNumber={last}", "items": items, "license": "none"}

    def _following(self, kind: str, after: int) -> Iterator[Json]:
        count, number, left = self.count[kind], after, PAGE
        while left and number < 2 * count:
            number += 1
            place = (number - 1) % count
            is_changed = self.round > 0 and kind == "ScheduledSession" and place % 100 == 0
            if (number > count) is not is_changed:
                if number > count:
                    number += (-place) % 100 - 1 if place % 100 else 0
                continue
            document = self._session(place) if kind == "ScheduledSession" else self._series(place)
            left -= 1
            yield {"id": str(place), "kind": kind, "state": "updated", "modified": number, "data": document}

    def _series(self, place: int) -> Json:
        series_id = f"https://operator.example/session-series/{place}"
        return {
            "@context": ["https://openactive.io/"],
            "@type": "SessionSeries",
            "@id": series_id,
            "name": f"Yoga {place}",
            "description": f"Session {place} for all who want to stretch. " * 8,
            "activity": [
                {"@type": "Concept", "@id": "https://openactive.io/activity-list#yoga", "prefLabel": "Yoga"}
            ],
            "location": {
                "@type": "Place",
                "name": f"Hall {place % 50}",
                "address": {
                    "@type": "PostalAddress",
                    "streetAddress": f"{place % 50} High Street",
                    "postalCode": "OX1",
                },
                "geo": {"@type": "GeoCoordinates", "latitude": 51.75, "longitude": -1.25},
            },
            "organizer": {
                "@type": "Organization",
                "@id": f"https://operator.example/sellers/{place % 5}",
                "name": f"Acme {place % 5}",
                "legalName": f"Acme {place % 5} Ltd",
                "taxMode": "https://openactive.io/TaxGross",
                "isOpenBookingAllowed": True,
                "address": {
                    "@type": "PostalAddress",
                    "streetAddress": "1 High Street",
                    "addressLocality": "Oxford",
                    "addressRegion": "Oxfordshire",
                    "postalCode": "OX1 1AA",
                    "addressCountry": "GB",
                },
            },
            "offers": [
                {
                    "@type": "Offer",
                    "@id": f"{series_id}#{name}",
                    "name": name,
                    "price": price,
                    "priceCurrency": "GBP",
                }
                for name, price in (("Adult", 7.5), ("Junior", 3.75))
            ],
        }

    def _session(self, place: int) -> Json:
        starts = START + timedelta(hours=place % 9000)
        renamed = {"name": f"Moved to the hall, {self.round}"} if self.round and place % 100 == 0 else {}
        return {
            "@context": ["https://openactive.io/"],
            "@type": "ScheduledSession",
            "@id": f"https://operator.example/scheduled-sessions/{place}",
            "superEvent": f"https://operator.example/session-series/{place % self.count['SessionSeries']}",
            "startDate": starts.isoformat(),
            "endDate": (starts + timedelta(hours=1)).isoformat(),
            "duration": "PT1H",
            "maximumAttendeeCapacity": 20,
            "remainingAttendeeCapacity": place % 20,
            **renamed,
        }

    def _dataset(self) -> Json:
        return {
            "@type": "Dataset",
            "distribution": [
                {"additionalType": f"https://openactive.io/{kind}", "contentUrl": f"{self.base}/feeds/{kind}"}
                for kind in _KINDS
            ],
        }


def serve(items: int) -> None:
    """Serve the site, in a separate process, and print its address."""
    site = MadeSite(items)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = json.dumps(site.answer(url.path, url.query)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.base = f"http://127.0.0.1:{server.server_port}"
        print(site.base, flush=True)
        server.serve_forever()


@contextmanager
def served(items: int) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.import_scale", "serve", str(items)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- measured processes ------------------------------------------------------------------------------


def _tables(engine: str, prefix: str) -> Tables:
    return Tables(
        Engine(prefix=prefix, region=REGION, endpoint=engine, access_key="bench", secret_key="bench")
    )


def _counted(tables: Tables, calls: Counter[str], units: Counter[str], counting: list[float]) -> None:
    """Count calls and write units, and keep the CPU time that this takes, which is not that of the import."""

    def count(model: Any, params: Json, **_: Any) -> None:
        began = time.thread_time()
        calls[model.name] += 1
        for action in params.get("TransactItems", ()):
            (written,) = action.values()
            # An update keeps the row, which has less than 1 KB.
            units["written"] += 2 * ceil(_size(written["Item"]) / 1024) if "Item" in written else 2
        counting.append(time.thread_time() - began)

    tables.connection.client.meta.events.register("before-parameter-build.dynamodb", count)


def _size(item: Json) -> int:
    size = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        size += len(name) + len(content if kind == "B" else str(content))
    return size


def _result(began: float, cpu: float, calls: Counter[str], units: Counter[str], **more: Any) -> Json:
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu": round(time.process_time() - cpu, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "calls": sum(calls.values()),
        "by_call": dict(calls),
        "write_units": units["written"],
        **more,
    }


def import_once(site: str, engine: str, prefix: str) -> Json:
    tables = _tables(engine, prefix)
    calls: Counter[str] = Counter()
    units: Counter[str] = Counter()
    counting: list[float] = []
    _counted(tables, calls, units, counting)
    store, retry = DynamoStore(tables), RetryPolicy(time.sleep, random.random)
    began, cpu = time.perf_counter(), time.process_time()
    options = ImportOptions(f"{site}/openactive", source="made", vat_rate=Decimal("0.20"))
    done = import_rpde(
        Inventory(store, DynamoPending(tables), retry),
        options,
        retry=retry,
        web=lambda: Web(allow_private=True),
    )
    outcomes: Counter[str] = Counter()
    for (_, outcome), count in done.changes.outcomes.items():
        outcomes[outcome.value] += count
    return _result(began, cpu + sum(counting), calls, units, outcomes=dict(outcomes))


def write_bare(site: str, engine: str, prefix: str, rows_of: str) -> Json:
    """Fetch and decode the same pages, and write the same rows by BatchWriteItem, with nothing in between.

    The rows are read from the table of an import; that is not measured.
    """
    client = dynamodb_client(engine)
    calls: Counter[str] = Counter()
    seconds, cpu = time.perf_counter(), time.process_time()
    web = Web(allow_private=True)
    for kind in _KINDS:
        url, following = "", f"{site}/feeds/{kind}"
        while url != following:
            url = following
            following = json.loads(web.get(url, "application/json").body)["next"]
    web.close()
    fetched = time.perf_counter() - seconds, time.process_time() - cpu
    written = [0.0, 0.0]
    start: Json = {}
    while True:
        page = client.scan(TableName=f"{rows_of}-inventory", Limit=1000, **start)
        for at in range(0, len(page["Items"]), _BATCH):
            batch = [{"PutRequest": {"Item": row}} for row in page["Items"][at : at + _BATCH]]
            seconds, cpu = time.perf_counter(), time.process_time()
            client.batch_write_item(RequestItems={f"{prefix}-inventory": batch})
            written = [written[0] + time.perf_counter() - seconds, written[1] + time.process_time() - cpu]
            calls["BatchWriteItem"] += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    client.close()
    return {
        "seconds": round(fetched[0] + written[0], 2),
        "cpu": round(fetched[1] + written[1], 2),
        "fetch": [round(each, 2) for each in fetched],
        "calls": sum(calls.values()),
        "by_call": dict(calls),
    }


def contents(engine: str, prefix: str) -> str:
    """A digest of all rows of the inventory."""
    client, digests = dynamodb_client(engine), []
    start: Json = {}
    while True:
        page = client.scan(TableName=f"{prefix}-inventory", Limit=1000, **start)
        digests += [hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest() for row in page["Items"]]
        if "LastEvaluatedKey" not in page:
            client.close()
            return f"{len(digests)} rows {hashlib.sha256(''.join(sorted(digests)).encode()).hexdigest()}"
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


# --- the measurement ---------------------------------------------------------------------------------


def child(*arguments: str, kill_after: float | None = None) -> Json | None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.import_scale", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        printed, _ = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    assert process.returncode == 0, printed
    found: Json = json.loads(printed.splitlines()[-1])
    return found


def measure(items: int, kills: int) -> None:
    """All measurements with a site of so many items."""
    with running_engine() as engine, served(items) as site:
        for prefix in ("whole", "bare", "killed"):
            client = dynamodb_client(engine)
            create_tables(client, prefix, streams=False)
            client.close()

        def shown(name: str, found: Json | None) -> Json:
            assert found is not None
            print(f"{name}: {items / found['seconds']:.0f} items/s, {json.dumps(found)}", flush=True)
            return found

        first = shown("first import", child("import", site, engine, "whole"))
        bare = shown("bare", child("bare", site, engine, "bare", "whole"))
        print(
            f"first import to bare: CPU {first['cpu'] / bare['cpu']:.2f}, calls {first['calls'] / bare['calls']:.2f},"
            f" time {first['seconds'] / bare['seconds']:.2f}; {first['calls'] / items:.3f} calls an item",
            flush=True,
        )
        unchanged = shown("unchanged import", child("import", site, engine, "whole"))
        print(f"unchanged import to fetching alone: CPU {unchanged['cpu'] / max(bare['fetch'][1], 0.01):.2f}")
        if kills:
            waits = [first["seconds"] * (number + 1) / (kills + 2) for number in range(kills)]
            done = [child("import", site, engine, "killed", kill_after=wait) for wait in waits]
            child("import", site, engine, "killed")
            equal = contents(engine, "killed") == contents(engine, "whole")
            print(
                f"killed {done.count(None)} times and started again: {'equal' if equal else 'DIFFERENT'}",
                flush=True,
            )
        Web(allow_private=True).get(f"{site}/round/1", "application/json")
        shown("1 % changed", child("import", site, engine, "whole"))


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        return serve(int(sys.argv[2]))
    if sys.argv[1:2] == ["import"]:
        return print(json.dumps(import_once(*sys.argv[2:])))
    if sys.argv[1:2] == ["bare"]:
        return print(json.dumps(write_bare(*sys.argv[2:])))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=KILLS)
    given = parser.parse_args()
    return measure(given.items, given.kills)


if __name__ == "__main__":
    main()
