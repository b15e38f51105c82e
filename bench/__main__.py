"""Measure everything and write docs/performance.md."""

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import handler_time, import_time
from bench.authentication import authentication_share
from bench.installation import Installation
from bench.round_trips import AT_MOST, round_trips
from bench.throughput import BATCHES, BOOKINGS, ROUNDS, throughput
from chalicelib.storage.feeds import MAX_ENTRIES
from tests.support import engines

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> None:
    with engines.running_engine() as url:
        print(f"Measuring on {engines.ENGINE_NAME}.", flush=True)
        installation = Installation("bench", url)
        installation.create()
        made = round_trips(installation)
        print("Round trips:", {endpoint: len(calls) for endpoint, calls in made.items()}, flush=True)
        handler = handler_time.handler_time(installation)
        print(f"B, compared with its calls made directly: {handler:.2f}", flush=True)
        share, more_calls = authentication_share(installation)
        print(f"Authentication: {share:.1%} of B, {more_calls} additional calls", flush=True)
        rates = throughput(installation)
        print("Per second:", {what: round(rate) for what, rate in rates.items()}, flush=True)
        installation.close()
    imports = import_time.import_time()
    print("Import to boto3:", {way: round(ratio, 2) for way, ratio in imports.items()}, flush=True)
    PAGE.write_text("\n".join(_page(made, handler, (share, more_calls), imports, rates)))
    print(f"Written: {PAGE}")


def _page(
    made: dict[str, list[str]],
    handler: float,
    authentication: tuple[float, int],
    imports: dict[str, float],
    rates: dict[str, float],
) -> Iterable[str]:
    yield "# Performance"
    yield ""
    yield (
        f"Written by `make bench` on {datetime.now(UTC):%d %B %Y}, on {engines.ENGINE_NAME}, with Python "
        f"{platform.python_version()} and boto3 {version('boto3')}. The engine runs on the same machine, so "
        "there is almost no network latency. The figures are ratios within one run: they show how much the "
        "system adds, not how long a Broker waits on AWS."
    )
    yield ""
    yield "## Round trips to DynamoDB"
    yield ""
    yield (
        "Without conflicts, and if no lease has just ended. A test checks the limits "
        "(`tests/api/test_round_trips.py`)."
    )
    yield ""
    rows = [
        (endpoint, str(len(calls)), str(AT_MOST[endpoint]), _listed(calls))
        for endpoint, calls in made.items()
    ]
    yield from _table(("endpoint", "round trips", "limit", "calls"), rows)
    yield ""
    yield "## Handler and import"
    yield ""
    repeats = handler_time.REPEATS
    yield from _table(
        ("what", "compared with", "ratio"),
        [
            (
                "B, from event to answer",
                "the same read and transaction, made directly with boto3",
                f"{handler:.2f}",
            ),
            (
                "the check of an access token, warm",
                "the whole B with that token",
                f"{authentication[0]:.3f}, and {authentication[1]} additional calls to DynamoDB",
            ),
            ("`import app`", "`import boto3` and a DynamoDB client", f"{imports['app']:.2f}"),
            ("`import app`, and its DynamoDB client", "the same", f"{imports['ready']:.2f}"),
        ],
    )
    yield ""
    yield (
        f"Medians of {repeats} calls and of {import_time.REPEATS} fresh interpreters, each interleaved with what "
        "it is compared with. The direct calls write the same rows, of the same size, under another Order UUID."
    )
    yield ""
    yield "## Bookings and feed rows"
    yield ""
    yield (
        "As multiples of the rate of one process in this run. All processes and the engine share one machine and "
        "its cores; four processes that do less than four times as much show the limit of that machine, not of "
        "DynamoDB (see [scale](scale.md)). Every booking succeeded; conflicts were retried."
    )
    yield ""
    yield from _table(("what", "ratio"), list(_relative(rates)))
    yield ""
    yield (
        f"Medians of {ROUNDS} interleaved rounds of {BOOKINGS} bookings of one place each, and of "
        f"{BATCHES * MAX_ENTRIES} feed rows of 1 KB, {MAX_ENTRIES} a transaction. One writer wrote "
        f"{rates['rows of one feed, 1 writer'] / rates['bookings of many sessions, 1 process']:.1f} "
        "feed rows in the time of one booking."
    )
    yield ""
    if not engines.DYNOXIDE:
        yield "**On moto**, which serves one request at a time; the figures for several processes mean little."
        yield ""
    yield "## Races"
    yield ""
    yield (
        "`python -m bench.race` (with the path of the engine's binary in DYNOXIDE): 20 processes book the last "
        "5 spaces of one session, 20 rounds, and once more without the condition on spaces."
    )
    yield ""
    yield (
        "`python -m bench.crowd` (likewise): a Seller cancels a session that 1,000 Orders hold while 20 processes "
        "continue to book it: once without interruption, once with the process that follows the change killed "
        "half-way, and once, on fewer Orders, without the condition on the revision. The results are in "
        "[scale](scale.md)."
    )
    yield ""


def _relative(rates: dict[str, float]) -> Iterable[tuple[str, str]]:
    """Each rate as a multiple of the rate of one process for the same kind of work."""
    for what, rate in rates.items():
        base = "rows of one feed, 1 writer" if "rows" in what else "bookings of one session, 1 process"
        yield what, f"{rate / rates[base]:.2f}"


def _listed(calls: Sequence[str]) -> str:
    return ", ".join(f"{name} x {count}" if count > 1 else name for name, count in Counter(calls).items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main()
