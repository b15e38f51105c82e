"""The output of an import: progress, a table per feed, and a reason for everything that was skipped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from chalicelib.domain.parties import TaxMode
from chalicelib.importing.advice import FOR_CAUSE, SELLER_GAPS, advice_for
from chalicelib.importing.bookability import NotBookable
from chalicelib.importing.intake import Intake
from chalicelib.importing.rpde import Imported, Show
from chalicelib.importing.seller_details import SellerGap
from chalicelib.importing.update import Changes
from chalicelib.services.inventory import Outcome
from openbooking.cli.import_files import COLUMNS, feed_rows
from openbooking.cli.output import Row, fits, lines_of_rows, lines_of_text
from openbooking.cli.pasteable import command

# The columns that say what is still to be done.
_ALWAYS = ("harvested", "left out", "not bookable")
_EXAMPLES = 3
_SELLERS_SHOWN = 20
# Reasons that differ only in the ids and values they quote are grouped.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|https?://\S+|\b\d+\b")


# Seconds between two lines about one task where there is no terminal.
_QUIET_FOR = 30.0


@contextmanager
def progress(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A progress bar for each task, which changes once a second.

    Without a terminal, a line when a task is done, and one every half minute until then. `clock` returns seconds.
    """
    if not console.is_terminal:
        lines = _Lines(console, clock)
        yield lines.show
        lines.end()
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        _Done(),
        console=console,
        refresh_per_second=1,
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


class _Done(ProgressColumn):
    """How much of a task is done, and of how much, if it is known."""

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), task.total
        return Text(f"{done:,}" if total is None or total == done else f"{done:,} of {total:,.0f}")


class _Lines:
    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._last: tuple[str, int, int | None] | None = None
        self._said_at = clock()

    def show(self, what: str, done: int, total: int | None) -> None:
        if self._last is None or self._last[0] != what:
            self.end()
        elif self._clock() - self._said_at >= _QUIET_FOR:
            of = "" if total is None else f" of {total:,}"
            self._say(f"{what}: {done:,}{of} so far")
        self._last = (what, done, total)

    def end(self) -> None:
        if self._last is not None:
            what, done, total = self._last
            self._say(what if not done and total is None else f"{what}: {done:,}")
        self._last = None

    def _say(self, line: str) -> None:
        _say(self._console, line)
        self._said_at = self._clock()


def print_summary(console: Console, imported: Imported, *, is_dry_run: bool = False) -> None:
    """Print what was imported, and what was not, what cannot be booked, and why."""
    harvest, intake, changes = imported.harvest, imported.intake, imported.changes
    left_out = chain(intake.left_out, changes.left_out)
    _say(console, "")
    _say(console, imported.harvest.site.url)
    width = console.width if console.is_terminal else None
    for line in lines_of_rows(_rows(imported, width), width):
        _say(console, line)
    if is_dry_run:
        _say(console, "Dry run: nothing was written. This is what an import would do now.")
        if changes.refusal:
            _say(
                console, f"It would be refused: {changes.refusal} --confirm-leaving imports it all the same."
            )
    for failed in harvest.failed:
        _say(console, f"The feed of {failed.kind} could not be read: {failed.reason} Its items are kept.")
    _print_sellers(console, intake, changes, is_dry_run=is_dry_run)
    if intake.unmatched:
        _say(console, "Defaults without effect:")
    for each in intake.unmatched:
        _say(console, f"  {each.table} {_short(each.key)}: {each.reason}. {each.advice}", hanging=4)
    _print_reasons(
        console,
        "Left out",
        (_Entry(each.kind, each.id, each.reason, FOR_CAUSE[each.cause]) for each in left_out),
    )
    _print_reasons(
        console,
        "Imported, but not bookable",
        (_not_bookable_entry(each) for each in changes.not_bookable if not each.offer_id),
    )
    _print_reasons(
        console,
        "Offers that cannot be booked, beside others that can",
        (_not_bookable_entry(each) for each in changes.not_bookable if each.offer_id),
    )
    _print_reasons(
        console,
        "To be withdrawn" if is_dry_run else "Withdrawn",
        (_Entry(each.kind, each.id, each.reason) for each in changes.withdrawn),
    )
    lost = {failed.kind for failed in harvest.failed}
    for kind, count in sorted(changes.kept.items()):
        why = "not all feeds could be read." if lost else "the site no longer lists their feed."
        _say(console, f"{count} {kind} of an earlier import are kept: {why}")
    _print_oversold(console, changes)
    _print_standing(console, changes)
    if harvest.site.unsupported:
        _say(console, f"Not supported, and not read: {', '.join(harvest.site.unsupported)}.")


@dataclass(frozen=True)
class _Entry:
    kind: str
    id: str
    reason: str
    advice: str = ""


def _not_bookable_entry(each: NotBookable) -> _Entry:
    return _Entry(each.kind, each.offer_id or each.id, each.text, advice_for(each))


def _rows(imported: Imported, width: int | None) -> list[Row]:
    """A row for each feed; where these are too wide, without the pages and the outcomes that none has."""
    counts = {row.kind: dict(zip(COLUMNS, row.counts, strict=True)) for row in feed_rows(imported)}
    rows: list[Row] = [{"feed": kind, **each} for kind, each in counts.items()]
    if width is None or not rows or fits(rows, width):
        return rows
    some = {name for each in counts.values() for name, count in each.items() if count}
    kept = [name for name in COLUMNS if name in _ALWAYS or (name in some and name != "pages")]
    return [{"feed": kind, **{name: each[name] for name in kept}} for kind, each in counts.items()]


def _print_sellers(console: Console, intake: Intake, changes: Changes, *, is_dry_run: bool) -> None:
    counts = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(changes.sellers.items()))
    _say(console, f"Sellers: {counts or 'none'}.")
    if is_dry_run:
        for seller in sorted(intake.sellers, key=lambda each: each.id)[:_SELLERS_SHOWN]:
            taxed = "prices include tax" if seller.tax_mode is TaxMode.TaxGross else "tax is added to prices"
            _say(
                console,
                f"  {seller.id}: {_short(str(seller.document.get('name') or 'without a name'))}, {taxed}",
            )
        if len(intake.sellers) > _SELLERS_SHOWN:
            _say(console, f"  and {len(intake.sellers) - _SELLERS_SHOWN} more")
    for seller_id in changes.others_sellers:
        _say(console, f"  {seller_id} is not changed: it existed before, and is not from this site")
    # Once, when it is new or has changed: unless an import is tried out, nothing has changed about the others.
    shown = (Outcome.added, Outcome.changed, *([Outcome.unchanged] if is_dry_run else []))
    gaps = [gap for gap in intake.seller_gaps if changes.seller_outcomes.get(gap.seller_id) in shown]
    for gap in gaps:
        _say(console, f"  {gap.seller_id} lacks {', '.join(gap.missing)}: {_consequence(gap)}.")
    if gaps:
        _say(console, f"  {SELLER_GAPS}")


def _consequence(gap: SellerGap) -> str:
    """What follows from the details of a Seller that are missing."""
    if {"name", "address"}.intersection(gap.missing):
        return "nothing of it can be booked"
    follows = ["its name is shown instead of the legalName"] if "legalName" in gap.missing else []
    if any(term.startswith("address.") for term in gap.missing):
        follows.append("quotes, orders and receipts show an incomplete address")
    return "; ".join(follows)


def _print_oversold(console: Console, changes: Changes) -> None:
    if changes.recounted:
        _say(console, f"Numbers of the source that changed the spaces: {changes.recounted}.")
    for each in changes.oversold:
        _say(
            console,
            f"Oversold by the source: {_short(each.name or each.kind)}, {_when(each.starts_at)}, by {each.spaces}"
            f" ({_short(each.id)}). Orders on it:",
        )
        for key in each.orders:
            _say(console, f"    partner {key.partner_id}, order {key.uuid}")


def _when(starts_at: datetime | None) -> str:
    return f"{starts_at:%Y-%m-%d %H:%M %Z}" if starts_at else "without a start"


def _print_standing(console: Console, changes: Changes) -> None:
    if not changes.standing:
        return
    orders = sum(each.orders for each in changes.standing)
    _say(console, f"Orders ({orders}) on sessions that the site no longer has. To cancel them:")
    for each in sorted(changes.standing, key=lambda each: (str(each.starts_at or ""), each.id)):
        _say(console, f"  {each.orders} on {_short(each.name or each.kind)}, {_when(each.starts_at)}:")
        # Never wrapped: a line break would end the command.
        _print(console, f"    {command('sessions', 'cancel', each.id, '--seller', each.seller_id)}")


def _print_reasons(console: Console, title: str, entries: Iterable[_Entry]) -> None:
    grouped: dict[tuple[str, str], list[str]] = {}
    example: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        key = entry.kind, _QUOTED.sub("…", entry.reason)
        grouped.setdefault(key, []).append(entry.id)
        example.setdefault(key, entry)
    if not grouped:
        return
    _say(console, f"{title}:")
    for key, ids in sorted(grouped.items(), key=lambda each: (-len(each[1]), each[0])):
        reason = example[key].reason if len(set(ids)) == 1 else key[1]
        shown = ", ".join(_short(item_id) for item_id in sorted(set(ids))[:_EXAMPLES])
        more = ", ..." if len(set(ids)) > _EXAMPLES else ""
        _say(console, f"  {len(ids)} {key[0]}: {reason} ({shown}{more})", hanging=4)
        if example[key].advice:
            _say(console, f"    {example[key].advice}")


def _short(item_id: str) -> str:
    return item_id if len(item_id) <= 120 else f"{item_id[:117]}..."


def _say(console: Console, text: str, *, hanging: int = 2) -> None:
    """Print a line; on a terminal it is wrapped between words."""
    for line in lines_of_text(text, console.width if console.is_terminal else None, hanging=hanging):
        _print(console, line)


def _print(console: Console, text: str) -> None:
    # Published values are plain text: no markup, and no control characters for the terminal.
    visible = "".join(letter if letter.isprintable() else "?" for letter in text)
    console.print(visible, markup=False, highlight=False, soft_wrap=True)
