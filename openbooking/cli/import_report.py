"""The output of an import: progress, a table per feed, and a reason for everything that was skipped."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from chalicelib.domain.opportunity_types import UNIT_TYPES
from chalicelib.services.inventory import Outcome
from openbooking.importing.harvest import SUPPORTED, Harvest
from openbooking.importing.intake import Intake, LeftOut
from openbooking.importing.rpde import Show
from openbooking.importing.update import Changes

_EXAMPLES = 3
_OUTCOMES = (Outcome.added, Outcome.changed, Outcome.unchanged, Outcome.withdrawn)
# Reasons that differ only in the ids and values they quote are grouped.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|https?://\S+|\b\d+\b")


@contextmanager
def progress(console: Console) -> Iterator[Show]:
    """A progress bar for each task; without a terminal, one line when it is done."""
    if not console.is_terminal:
        lines = _Lines(console)
        yield lines.show
        lines.end()
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, total=bars.tasks[earlier].completed)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
        for task in tasks.values():
            bars.update(task, total=bars.tasks[task].completed)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, int] | None = None

    def show(self, what: str, done: int, total: int | None) -> None:
        if self._last is not None and self._last[0] != what:
            self.end()
        self._last = (what, done)

    def end(self) -> None:
        if self._last is not None:
            self._console.print(f"{self._last[0]}: {self._last[1]}", markup=False)
        self._last = None


def print_summary(console: Console, harvest: Harvest, intake: Intake, changes: Changes) -> None:
    """Print what was imported, and what was not and why."""
    left_out = [*intake.left_out, *changes.left_out]
    console.print()
    console.print(_table(harvest, changes, left_out))
    _print_sellers(console, intake, changes)
    _print_reasons(console, "Left out", ((each.kind, each.id, each.reason) for each in left_out))
    _print_reasons(console, "Withdrawn", ((each.kind, each.id, each.reason) for each in changes.withdrawn))
    for kind, count in sorted(changes.kept.items()):
        _say(console, f"{count} {kind} of an earlier import are kept: the site no longer lists their feed.")
    _print_standing(console, changes)
    if harvest.site.unsupported:
        _say(console, f"Not supported, and not read: {', '.join(harvest.site.unsupported)}.")


def write_report(file: TextIO, intake: Intake, changes: Changes) -> None:
    """Write everything that was skipped or withdrawn, and Orders on deleted sessions, one JSON object per line."""
    for outcome, entries in (
        ("left out", [*intake.left_out, *changes.left_out]),
        ("withdrawn", changes.withdrawn),
    ):
        for each in entries:
            row = {"outcome": outcome, "type": each.kind, "id": each.id, "reason": each.reason}
            file.write(json.dumps(row) + "\n")
    for standing in changes.standing:
        row = {"outcome": "orders stand", "type": standing.kind, "id": standing.id, "name": standing.name}
        row["startDate"] = standing.starts_at.isoformat() if standing.starts_at else ""
        file.write(json.dumps(row | {"orders": standing.orders}) + "\n")


def _table(harvest: Harvest, changes: Changes, left_out: list[LeftOut]) -> Table:
    table = Table(title=harvest.site.url, title_justify="left")
    table.add_column("feed")
    for name in ("pages", "harvested", *(outcome.value for outcome in _OUTCOMES), "left out"):
        table.add_column(name, justify="right")
    refused = Counter(each.kind for each in left_out)
    shown = [kind for kind in SUPPORTED if any(harvest.of_kind(kind))]
    shown += sorted({*refused, *(kind for kind, _ in changes.outcomes)} - set(shown))
    for kind in shown:
        feeds = list(harvest.of_kind(kind))
        published = sum(1 for feed in feeds for item in feed.items.values() if item.data is not None)
        harvested = published + sum(len(feed.malformed) for feed in feeds)
        counts = [str(changes.outcomes[kind, outcome]) for outcome in _OUTCOMES]
        if kind in UNIT_TYPES:  # they are part of their FacilityUses
            counts = ["" for _ in _OUTCOMES]
        pages = sum(feed.pages for feed in feeds)
        table.add_row(kind, str(pages), str(harvested), *counts, str(refused[kind]))
    return table


def _print_sellers(console: Console, intake: Intake, changes: Changes) -> None:
    counts = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(changes.sellers.items()))
    _say(console, f"Sellers: {counts or 'none'}.")
    for seller_id in changes.others_sellers:
        _say(console, f"  {seller_id} is not changed: it existed before, and is not from this site")
    for gap in intake.seller_gaps:
        name = " (its name is used)" if "legalName" in gap.missing and "name" not in gap.missing else ""
        missing = ", ".join(f"{term}{name if term == 'legalName' else ''}" for term in gap.missing)
        _say(console, f"  {gap.seller_id} lacks {missing}")
    if intake.seller_gaps:
        _say(console, "  Every answer must show these. Add them with --seller-details.")


def _print_standing(console: Console, changes: Changes) -> None:
    if not changes.standing:
        return
    orders = sum(each.orders for each in changes.standing)
    _say(console, f"Orders ({orders}) on sessions that the site no longer has. To cancel them:")
    for each in sorted(changes.standing, key=lambda each: (str(each.starts_at or ""), each.id)):
        when = f"{each.starts_at:%Y-%m-%d %H:%M %Z}" if each.starts_at else "without a start"
        _say(console, f"  {each.orders} on {_short(each.name or each.kind)}, {when}:")
        _say(console, f"    openbooking sessions cancel {shlex.quote(each.id)}")


def _print_reasons(console: Console, title: str, entries: Iterable[tuple[str, str, str]]) -> None:
    grouped: dict[tuple[str, str], list[str]] = {}
    example: dict[tuple[str, str], str] = {}
    for kind, item_id, reason in entries:
        key = kind, _QUOTED.sub("…", reason)
        grouped.setdefault(key, []).append(item_id)
        example.setdefault(key, reason)
    if not grouped:
        return
    _say(console, f"{title}:")
    for key, ids in sorted(grouped.items(), key=lambda each: (-len(each[1]), each[0])):
        reason = example[key] if len(ids) == 1 else key[1]
        shown = ", ".join(_short(item_id) for item_id in sorted(ids)[:_EXAMPLES])
        more = ", ..." if len(ids) > _EXAMPLES else ""
        _say(console, f"  {len(ids)} {key[0]}: {reason} ({shown}{more})")


def _short(item_id: str) -> str:
    return item_id if len(item_id) <= 120 else f"{item_id[:117]}..."


def _say(console: Console, text: str) -> None:
    # Published values are plain text: no markup, and no control characters for the terminal.
    visible = "".join(letter if letter.isprintable() else "?" for letter in text)
    console.print(visible, markup=False, highlight=False, soft_wrap=True)
