"""Writers in several processes append to one feed while a reader follows it (RPDE-06)."""

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from bench.crew import Crew
from bench.installation import Installation, new_uuid
from chalicelib.feeds.ledger import FeedItem
from tests.support.builders import NOW
from tests.support.engines import DYNOXIDE, running_engine

pytestmark = [
    pytest.mark.dynoxide,
    pytest.mark.skipif(not DYNOXIDE, reason="DYNOXIDE does not name the binary of a Dynoxide engine"),
]

WRITERS, ITEMS, VERSIONS = 3, 4, 25
LAST = {f"{writer}-{n}": VERSIONS for writer in range(WRITERS) for n in range(ITEMS)} | {"shared": VERSIONS}
GIVES_UP_AFTER = 40


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine() as url:
        yield url


def _write(feed_id: str, url: str, writer: int) -> None:
    """Each writer has items of its own, and one that all of them change."""
    installation = Installation("feeds", url)
    ledger = installation.system().ledger
    for version in range(1, VERSIONS + 1):
        ids = [*(f"{writer}-{n}" for n in range(ITEMS)), "shared"]
        items = [FeedItem(item_id, "Slot", version, {"version": version}) for item_id in ids]
        # Pages of the newest rows are what a reader must be careful with.
        ledger.publish(feed_id, items, NOW)
    installation.tables.connection.client.close()


def _follow(feed_id: str, url: str) -> tuple[dict[str, int], list[int]]:
    """What a reader knows once it knows the last versions, or when it gives up; and each number it saw."""
    installation = Installation("feeds", url)
    feeds, known, numbers, after = installation.system().feeds, dict[str, int](), list[int](), 0
    began = time.monotonic()
    while known != LAST and time.monotonic() - began < GIVES_UP_AFTER:
        page = feeds.page(feed_id, after, 7, NOW)
        for item in map(json.loads, page.items):
            known[item["id"]] = item["data"]["version"]
            numbers.append(item["modified"])
        after = page.last or after
    installation.tables.connection.client.close()
    return known, numbers


def test_a_reader_beside_several_writers_misses_nothing(url: str) -> None:
    installation, feed_id = Installation("feeds", url), new_uuid()
    installation.create()
    with Crew(WRITERS + 1) as crew:
        parts = [partial(_write, feed_id, url, writer) for writer in range(WRITERS)]
        *_, (known, numbers) = crew.run(_do, [(part,) for part in [*parts, partial(_follow, feed_id, url)]])
    assert known == LAST
    assert numbers == sorted(set(numbers))
    stored = [json.loads(text) for text in installation.system().feeds.page(feed_id, 0, 500, NOW).items]
    assert {item["id"]: item["data"]["version"] for item in stored} == LAST
    assert len(stored) == len(LAST)
    installation.close()


def _do(part: partial[object]) -> object:
    return part()
