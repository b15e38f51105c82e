"""Runs release 0.1.0 and this release on the same tables in turn, as a rolling deployment does.

`python -m bench.side_by_side` (with the path of the engine's binary in DYNOXIDE, in a clone with history) checks the code
of release 0.1.0 out and starts each release in its own process. What one has written, the other reads and continues:
quotes, bookings, cancellations, stream records, feeds and leases, in both directions. Prints a table, and fails if
anything differs from what `docs/deploying.md` says an earlier release cannot read.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.installation import Installation, Request, booking, cancellation, new_uuid, quote
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass
from openbooking.infra.templates import ROOT
from openbooking.local.delivery import lambda_record
from openbooking.local.engine import ACCESS_KEY, REGION, dynamodb_client, streams_client
from openbooking.local.streams import Positions, StreamReader
from tests.support import engines
from tests.support.inventory import Bookable

# The commit whose rows are in tests/storage/rows/0.1.0.json.
RELEASE = "3f999e41538353fd127bc0884e29c1946be39c08"
PREFIX = "side-by-side"
OLD, NEW = "0.1.0", "this release"
# (step, release that published the session): what release 0.1.0 cannot do with rows of this one. It stores packed
# Opportunities and feed items. See "Upgrade from 0.1.0" in docs/deploying.md.
UNREADABLE = {
    *(
        (step, NEW)
        for step in ("C2", "C2 after the other's", "B after the other's C2", "B repeated, of the other's")
    ),
    ("inventory stream of the other's rows", NEW),
    ("Orders feed", NEW),
    ("Orders feed", OLD),
    ("Orders feed with the other's items", OLD),
}

# Reads {"handler", "event"} lines and writes answers. "session" publishes one with so many spaces.
_RUNNER = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
sys.path.insert(0, os.getcwd())
import app
from bench.installation import Installation
for line in sys.stdin:
    asked = json.loads(line)
    try:
        if asked["handler"] == "session":
            session = Installation(os.environ["TABLE_PREFIX"], os.environ["DYNAMODB_URL"]).session(asked["event"])
            answer = {"id": session.id, "offer_id": session.offer_id}
        else:
            answer = getattr(app, asked["handler"])(asked["event"], None)
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
"""


class Release:
    """A process with the code of one release."""

    def __init__(self, name: str, root: Path, url: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER],
            cwd=root,
            env={
                "TABLE_PREFIX": PREFIX,
                "DYNAMODB_URL": url,
                "AUTHENTICATION": "headers",
                "LOG_LEVEL": "ERROR",
                "METRICS": "false",
                # 0.1.0 cannot read rows that were compressed with a dictionary (docs/deploying.md).
                "ROW_DICTIONARY": "false",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, handler: str, event: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"handler": handler, "event": event}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def ask(self, request: Request) -> tuple[int, Json]:
        """Status and body of the answer."""
        answer = self.invoke("app", request.event())
        return answer["statusCode"], json.loads(answer["body"] or "{}")

    def end(self) -> None:
        self._process.communicate()


@contextmanager
def both(url: str) -> Iterator[tuple[Release, Release]]:
    """Release 0.1.0 and this one, each in its own process."""
    with tempfile.TemporaryDirectory() as scratch:
        before = Path(scratch) / "0.1.0"
        subprocess.run(["git", "worktree", "add", "--detach", str(before), RELEASE], cwd=ROOT, check=True)
        releases = Release(OLD, before, url), Release(NEW, ROOT, url)
        try:
            yield releases
        finally:
            for each in releases:
                each.end()
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)


class Streams:
    """The records of both streams that were not handled yet."""

    def __init__(self, url: str) -> None:
        self._clients = dynamodb_client(url), streams_client(url)
        self._readers = {
            stream: StreamReader(*self._clients, f"{PREFIX}-{stream}", Positions())
            for stream in ("orders", "inventory")
        }

    def deliver(self, stream: str, release: Release) -> list[Any]:
        """The answers of a release to everything new in a stream."""
        answers, reader = [], self._readers[stream]
        while batch := reader.read(100):
            records = [lambda_record(record, batch.stream_arn) for record in batch.records]
            answers.append(release.invoke(f"{stream}_stream", {"Records": records}))
            reader.handled(batch, len(batch.records))
        return answers

    def close(self) -> None:
        for each in self._clients:
            each.close()


@dataclass(frozen=True)
class Step:
    """What a release did with a session that `publisher` published, and rows of the other release; `wrong` is "" if it can."""

    name: str
    publisher: str
    release: str
    wrong: str


def steps(first: Release, second: Release, publisher: Release, streams: Streams) -> Iterator[Step]:
    """What `first` writes, `second` continues."""

    published = publisher.invoke("session", 20)
    session = Bookable(published["id"], published["offer_id"], "ScheduledSession")

    def outcome(step: str, release: Release, found: object, wanted: object) -> Step:
        return Step(
            step, publisher.name, release.name, "" if found == wanted else f"{found} instead of {wanted}"
        )

    order = new_uuid()
    status, _ = first.ask(quote(order, session))
    yield outcome("C2", first, status, 200)
    if status != 200:
        return
    yield outcome("C2 after the other's", second, second.ask(quote(order, session))[0], 200)
    status, booked = second.ask(booking(order, session))
    yield outcome("B after the other's C2", second, status, 201)

    order = new_uuid()
    status, booked = first.ask(booking(order, session))
    yield outcome("B", first, status, 201)
    yield outcome("B repeated, of the other's", second, second.ask(booking(order, session)), (201, booked))
    status, shown = second.ask(Request("GET", f"orders/{order}"))
    yield outcome("Order Status of the other's", second, status, 200)
    item = booked["orderedItem"][0]["@id"]
    yield outcome("Order Cancellation of the other's", second, second.ask(cancellation(order, item))[0], 204)
    status, shown = first.ask(Request("GET", f"orders/{order}"))
    states = [each["orderItemStatus"].rsplit("/", 1)[1] for each in shown.get("orderedItem", ())]
    yield outcome(
        "Order Status after the other's cancellation", first, (status, states), (200, ["CustomerCancelled"])
    )

    done: dict[str, list[Any]] = {"batchItemFailures": []}
    for stream in ("inventory", "orders"):
        answers = streams.deliver(stream, second)
        yield outcome(f"{stream} stream of the other's rows", second, [a for a in answers if a != done], [])
    for release in (second, first):
        status, page = release.ask(Request("GET", "orders-rpde"))
        listed = order in [each["id"] for each in page.get("items", ())]
        step = "Orders feed" if release is second else "Orders feed with the other's items"
        yield outcome(step, release, (status, listed), (200, True))

    status, _ = first.ask(quote(new_uuid(), session))
    yield outcome(
        "sweep of the other's rows", second, "failed" in second.invoke("lease_sweep", _SCHEDULED), False
    )


_SCHEDULED = {
    "version": "0",
    "id": "00000000-0000-0000-0000-000000000000",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": REGION,
    "resources": [],
    "detail": {},
}


def side_by_side(url: str) -> list[Step]:
    """Every step in both directions, on sessions of both releases. `url` is that of an empty engine."""
    installation = Installation(PREFIX, url)
    installation.create()
    installation.close()
    streams = Streams(url)
    with both(url) as (old, new):
        found = [
            step
            for publisher in (old, new)
            for first, second in ((old, new), (new, old))
            for step in steps(first, second, publisher, streams)
        ]
    streams.close()
    return found


def differences(found: list[Step]) -> list[Step]:
    """The steps that failed and should not, and the reverse."""
    return [
        step
        for step in found
        if bool(step.wrong) != (step.release == OLD and (step.name, step.publisher) in UNREADABLE)
    ]


def main() -> None:
    with engines.running_engine() as url:
        found = side_by_side(url)
    for step in found:
        session = f"session of {step.publisher}"
        print(f"{step.name:40} {session:26} {step.release:13} {step.wrong[:100] or 'works'}")
    if unexpected := differences(found):
        sys.exit(f"Not as documented: {unexpected}")


if __name__ == "__main__":
    main()
