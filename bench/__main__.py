"""Measure everything and write docs/performance.md."""

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import cold_start, handler_time, import_time
from bench.authentication import REPEATS as AUTHENTICATION_REPEATS
from bench.authentication import authentication_share
from bench.handler_time import Ratio
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
        handler = handler_time.handler_times(installation)
        print("Processor time, compared with the calls made directly:", flush=True)
        print({name: round(ratio.processor, 2) for name, ratio in handler.items()}, flush=True)
        share, more_calls = authentication_share(installation)
        print(f"Authentication: {share:.1%} of B, {more_calls} additional calls", flush=True)
        rates = throughput(installation)
        print("Per second:", {what: round(rate) for what, rate in rates.items()}, flush=True)
        installation.close()
        installation = Installation(f"openbooking-{cold_start.STAGE}", url)
        installation.create()
        starts = cold_start.cold_starts(installation)
        print("Cold starts:", starts, flush=True)
        installation.close()
    imports = import_time.import_time()
    print("Import to boto3:", {way: round(ratio, 2) for way, ratio in imports.items()}, flush=True)
    PAGE.write_text("\n".join(_page(made, handler, (share, more_calls), starts, imports, rates)))
    print(f"Written: {PAGE}")


def _page(
    made: dict[str, list[str]],
    handler: dict[str, Ratio],
    authentication: tuple[float, int],
    starts: dict[str, dict[str, float]],
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
    yield from _handlers(handler)
    yield from _cold_starts(starts)
    yield "## Authentication and import"
    yield ""
    yield from _table(
        ("what", "compared with", "ratio"),
        [
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
        f"Medians of {AUTHENTICATION_REPEATS} calls and of {import_time.REPEATS} fresh interpreters, each "
        "interleaved with what it is compared with. Modules are loaded from bytecode."
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


def _handlers(found: dict[str, Ratio]) -> Iterable[str]:
    yield "## Handlers"
    yield ""
    yield (
        "From the event of API Gateway to the answer, with logs and metrics, as a multiple of the same calls to "
        "DynamoDB made directly with boto3: as it comes, and with its validation of parameters switched off. "
        "Processor time is that of the process; elapsed time includes the engine, which both sides wait for. Below "
        "1.00 the handler takes less than boto3 takes for its calls alone: see [decision 30]"
        "(decisions/0030-how-calls-are-made.md)."
    )
    yield ""
    heads = ("endpoint", "processor", "elapsed", "processor, unvalidated", "elapsed, unvalidated")
    rows = [
        (
            name,
            f"{each.processor:.2f}",
            f"{each.elapsed:.2f}",
            f"{each.processor_unvalidated:.2f}",
            f"{each.elapsed_unvalidated:.2f}",
        )
        for name, each in found.items()
    ]
    yield from _table(heads, rows)
    yield ""
    yield (
        f"Ratios of medians of {handler_time.REPEATS} calls (40 feed pages, 60 Orders of 100 places), interleaved, in "
        "warm processes whose modules were loaded from bytecode, without readers of the streams. Both sides start "
        "from the same state: the direct calls are those that the handler makes, under another Order UUID, for which "
        "the same was done before. `python -m bench.handler_time 0.1` makes a tenth of the calls."
    )
    yield ""


def _cold_starts(found: dict[str, dict[str, float]], repeats: int = cold_start.REPEATS) -> Iterable[str]:
    yield "## Cold starts"
    yield ""
    yield (
        "Processor time from the start of a process to its first answer, as a multiple of that of a minimal handler "
        "(a boto3 client, one GetItem, with bytecode). Each function runs in Lambda's runtime client "
        "(`awslambdaric`), from its own unpacked zip only, in an environment with only its variables. See "
        "[decision 30](decisions/0030-how-calls-are-made.md)."
    )
    yield ""
    heads = ("function", *cold_start.FORMS, "goal")
    rows = [
        (name, *(f"{forms[form]:.2f}" for form in cold_start.FORMS), f"{cold_start.GOALS[name]:.1f}")
        for name, forms in found.items()
    ]
    yield from _table(heads, rows)
    yield ""
    described = "; ".join(f"*{form}*: {text}" for form, text in cold_start.FORMS.items())
    yield (
        f"{described}. Ratios of medians of {repeats} fresh processes each, interleaved. `python -m bench.cold_start 5` "
        "makes 5 of each."
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
