"""`openbooking sources`: operators' sites that are imported by schedule; and the following of one by a command."""

from __future__ import annotations

import json
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from chalicelib.domain.parties import Json
from chalicelib.domain.source_counts import CounterMode
from chalicelib.services import following
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.values import replace
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.import_report import print_summary, progress
from openbooking.cli.output import show, show_details, text_of
from openbooking.cli.pasteable import as_started
from openbooking.cli.terminal import DynamodbUrl, console, refuse

if TYPE_CHECKING:
    from chalicelib.importing.run_reports import RunReport
    from chalicelib.importing.sources import Settings, Source, Sources
    from chalicelib.runtime.system import System

# Seconds between two looks at a site that has nothing new.
PAUSE = 60.0

app = typer.Typer(
    help="Operators' sites that are imported by schedule.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the source.")]


@app.command("list")
def list_sources(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List all sources, with the result of their last runs."""
    with _sources(stage, dynamodb_url) as sources:
        show([_row(each) for each in sources.listed()], as_json, none="There are no sources.")


@app.command("show")
def show_source(
    name: Name, as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None
) -> None:
    """Show a source, its settings and the report of its last run."""
    with _sources(stage, dynamodb_url) as sources:
        source = _found(sources, name)
        if as_json:
            typer.echo(json.dumps(_whole(source), indent=2))
        else:
            whole = _whole(source)
            texts = {name: whole.pop(name) for name in ("reasons", "oversold", "defaults")}
            show_details(whole)
            for name, lines in texts.items():
                if lines:
                    typer.echo(f"{name}:")
                    for line in lines:
                        typer.echo(f"  {text_of(line)}".rstrip())


@app.command("add")
def add_source(
    name: Name,
    url: Annotated[str, typer.Argument(help="The operator's dataset site.", metavar="DATASET_SITE_URL")],
    every: Annotated[int, typer.Option(min=1, max=1440, help="Minutes between two runs.")] = 15,
    alarm_after: Annotated[
        int,
        typer.Option(min=1, max=144, help="Hours without a successful run after which there is an alarm."),
    ] = 24,
    defaults: Annotated[
        Path | None, typer.Option(help="TOML with what the source does not say: see docs/importing.md.")
    ] = None,
    vat_rate: Annotated[
        str, typer.Option(help="The tax rate of its prices, which feeds do not state; 0 for none.")
    ] = "0.20",
    seller_details: Annotated[
        Path | None, typer.Option(help="JSON with details of Sellers by their id.")
    ] = None,
    deleted_means_cancelled: Annotated[
        bool, typer.Option("--deleted-means-cancelled", help="The operator deletes what it cancels.")
    ] = False,
    allow_private_addresses: Annotated[
        bool,
        typer.Option("--allow-private-addresses", help="The site may lead to private addresses and to http."),
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Add a source, which is then imported by schedule; or give an existing one new settings."""
    settings = source_settings(
        vat_rate, defaults, seller_details, deleted_means_cancelled, allow_private_addresses
    )
    with changing(stage, dynamodb_url, by) as admin, _explained():
        admin.system.sources.add(name, url, replace(settings, every=every, alarm_after=alarm_after))
        admin.journal.note("source added", source=name)
        typer.echo(f"Source {name}: the schedule imports {url} {_every(every)}, at first within a minute.")


@app.command("run")
def run_source(
    name: Name,
    confirm_leaving: Annotated[
        bool, typer.Option("--confirm-leaving", help="The source is right, whatever leaves sale.")
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Import a source now, and show the result."""
    with reading(stage, dynamodb_url) as admin, _explained():
        sources = admin.system.sources
        source = sources.confirm(name) if confirm_leaving else _found(sources, name)
        _run(admin.system, source, console())


@app.command("remove")
def remove_source(name: Name, stage: Stage = None, dynamodb_url: DynamodbUrl = None, by: By = None) -> None:
    """Remove a source: it is no longer imported. What it has brought in stays, with its bookings."""
    with changing(stage, dynamodb_url, by) as admin, _explained():
        admin.system.sources.remove(name)
        admin.journal.note("source removed", source=name)
        typer.echo(f"Source {name} is removed. Its sessions stay in the inventory.")


def source_settings(
    vat_rate: str,
    defaults: Path | None,
    seller_details: Path | None,
    deleted_means_cancelled: bool,
    allow_private_addresses: bool,
) -> Settings:
    """The settings that the options of a command describe. Ends the command if one of them is invalid."""
    from chalicelib.importing import rpde
    from chalicelib.importing.sources import Settings

    with _explained():
        rpde.read_rate(vat_rate)
        if defaults is not None:
            rpde.read_defaults(defaults)
        return Settings(
            vat_rate=vat_rate,
            defaults=defaults.read_text(encoding="utf-8") if defaults else "",
            seller_details=rpde.read_seller_details(seller_details) if seller_details else None,
            deleted_means_cancelled=deleted_means_cancelled,
            allow_private_addresses=allow_private_addresses,
        )


def follow_source(
    system: System,
    url: str,
    settings: Settings,
    console: Console,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Import what changes at a site, from where this stopped, until the process is asked to end.

    `wait` sleeps; a KeyboardInterrupt in it or anywhere else ends the following, and the position is kept.
    """
    from chalicelib.importing.rpde import ImportRefused
    from chalicelib.importing.sources import Held

    with _explained(), _ended_by_signals():
        source = system.sources.follow(url, settings)
        console.print(f"Following {url}. Ctrl-C stops it.", markup=False)
        is_first, said = True, ""
        try:
            while True:
                try:
                    _run(system, source, console, is_quiet=True)
                    said = ""
                except Held as held:
                    if is_first:  # another command follows it
                        raise
                    said = _said_once(console, f"{held} It is tried again every minute.", said)
                except ImportRefused as refused:  # the site may be right again later
                    _said_once(console, str(refused), "")
                except (StillBusy, StoreBusy) as busy:
                    said = _said_once(
                        console, f"The database is busy: {busy}. It is tried again in a minute.", said
                    )
                is_first = False
                wait(PAUSE)
        except KeyboardInterrupt:
            console.print("Stopped. The next --follow continues from here.", markup=False)


def _said_once(console: Console, sentence: str, before: str) -> str:
    """Print a sentence, unless it was the one before; it is returned."""
    if sentence != before:
        console.print(as_started(sentence), markup=False, soft_wrap=True)
    return sentence


def _run(system: System, source: Source, console: Console, *, is_quiet: bool = False) -> None:
    with progress(console) as show_progress:
        imported = system.sources.run(source, show=show_progress)
        with suppress(StillBusy, StoreBusy):  # the schedule continues
            while imported is not None and system.worker.run_kind(following.KIND, 5.0):
                pass
    if imported is not None:
        print_summary(console, imported)
    elif not is_quiet:
        console.print("The source has nothing new.", markup=False)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the process as Ctrl-C does."""

    def end(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _sources(stage: str | None, dynamodb_url: str | None) -> Iterator[Sources]:
    with reading(stage, dynamodb_url) as admin, _explained():
        yield admin.system.sources


@contextmanager
def _explained() -> Iterator[None]:
    from chalicelib.importing.rpde import ImportRefused
    from chalicelib.importing.sources import Held

    try:
        yield
    except (Held, ImportRefused) as refused:
        refuse(str(refused))


def _found(sources: Sources, name: str) -> Source:
    source = sources.find(name)
    if source is None:
        refuse(f"There is no source {name}: see `openbooking sources list`.")
    return source


def _row(source: Source) -> Json:
    return {
        "name": source.name,
        "url": source.url,
        "every": f"{source.settings.every} min",
        "succeeded": _instant(source.succeeded_at),
        "due": "running" if source.held_until else _instant(source.due_at),
        "result": _result(source.report),
    }


def _whole(source: Source) -> Json:
    report = source.report
    return {
        **_row(source),
        "counter": tomllib.loads(source.settings.defaults).get("counter", CounterMode.ours.value),
        "vat rate": source.settings.vat_rate,
        "alarm after": f"{source.settings.alarm_after} h",
        "complete reading": _instant(source.complete_at),
        "reasons": list(report.reasons) if report else [],
        "oversold": list(report.oversold) if report else [],
        "defaults": source.settings.defaults.splitlines(),
    }


def _every(minutes: int) -> str:
    return "every minute" if minutes == 1 else f"every {minutes} minutes"


def _result(report: RunReport | None) -> str:
    if report is None:
        return "not imported yet"
    if report.problem:
        return report.problem
    counts = report.counts or {}
    return ", ".join(f"{number} {what}" for what, number in counts.items()) or "nothing new"


def _instant(instant: Any) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"
