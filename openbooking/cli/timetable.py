"""`openbooking timetable`: a Seller's sessions, courses and facilities, loaded from files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.domain.parties import Seller
from chalicelib.runtime.administration import Administration
from chalicelib.services import following
from chalicelib.services.errors import InvalidValue
from chalicelib.services.inventory import Outcome
from chalicelib.services.timetables.plans import Plan
from chalicelib.services.timetables.timetable import Timetable
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from openbooking.cli.acting import SellerOption
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show, text_of
from openbooking.cli.pasteable import command
from openbooking.cli.terminal import DynamodbUrl, refuse
from openbooking.timetable import concepts, template, values
from openbooking.timetable.files import read_file
from openbooking.timetable.loading import Load, load, settle
from openbooking.timetable.planning import Context, Planned, plan_timetable
from openbooking.timetable.reading import read_rows
from openbooking.timetable.report import as_json, as_text

# Exit codes beside 0 and 1 (nothing was written) and 2 (a wrong option).
SOME_ROWS_LEFT_OUT = 3

# Seconds between two looks at whether all orders follow a change.
_FOLLOWS_FOR = 5.0

_HELP = "A Seller's sessions, courses and facilities, loaded from CSV, JSON or XLSX files."
app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


class Format(StrEnum):
    """The formats of files."""

    csv = "csv"
    json = "json"
    xlsx = "xlsx"


@app.callback()
def timetable() -> None:
    """A Seller's sessions, courses and facilities, loaded from CSV, JSON or XLSX files."""


@app.command(
    "import",
    epilog="Examples: openbooking timetable import timetable.xlsx --seller acme --dry-run; "
    "openbooking timetable import sites.csv sessions.csv --seller acme --skip-invalid. "
    "Exit codes: 0 all rows are loaded; 1 nothing was written; 2 a wrong option; 3 right rows are loaded, others left out.",
)
def import_timetable(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV, JSON or XLSX; several files are one timetable."),
    ],
    seller: SellerOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and report only; nothing is written.")
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Load the right rows, even if others are wrong.")
    ] = False,
    remove_missing: Annotated[
        bool,
        typer.Option(
            "--remove-missing",
            help="The files are the whole timetable: withdraw what was loaded before and is not in them. What is "
            "booked stays.",
        ),
    ] = False,
    time_zone: Annotated[
        str, typer.Option(help="The time zone of sites that name none, and of what is online.")
    ] = "Europe/London",
    as_json_: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Load a timetable. Repeat it after changes: only what has changed is written, and those who booked are informed.

    Nothing is written if any row is wrong, unless --skip-invalid is given. docs/timetables.md describes the columns.
    """
    try:
        zone = values.time_zone(time_zone)
    except values.Wrong as wrong:
        refuse(f"--time-zone: {wrong}.")
    with changing(stage, dynamodb_url, by) as admin:
        meant = admin.sellers.meant(seller)
        planned, own = _planned(admin, files, meant, zone)
        # Also before a long import, and in a dry run: its Seller is the first thing to correct.
        unsold = _why_unsold(admin, meant)
        if unsold:
            typer.echo(unsold, err=True)
        done: Load | None = None
        if planned.plans and (skip_invalid or not planned.problems):
            with _progress() as on_progress:
                done = load(
                    own,
                    planned.plans,
                    dry_run=dry_run,
                    remove_missing=remove_missing,
                    keep=[each.row_id for each in (*planned.problems, *planned.dependent)],
                    on_progress=on_progress,
                )
            if not dry_run:
                _note(admin, own.seller_id, done)
                settle(own, done)
        _print(admin, planned, done, own.seller_id, dry_run=dry_run, json_wanted=as_json_)
    if unsold and done is not None and not dry_run:
        typer.echo(unsold, err=True)
    if done is None:
        raise typer.Exit(1)
    if planned.problems or done.children.others:
        raise typer.Exit(SOME_ROWS_LEFT_OUT)


@app.command("list", epilog="Example: openbooking timetable list --seller acme")
def list_timetable(
    seller: SellerOption = None,
    as_json_: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List the series, courses and facilities of a Seller's timetable, and until when they are published."""
    with reading(stage, dynamodb_url) as admin:
        entries = admin.timetable(admin.sellers.meant(seller).id).entries().values()
        rows = [
            {
                "id": entry.plan.id,
                "name": str(entry.plan.parent.get("name", "")),
                "type": _type_of(entry.plan),
                "published_until": f"{entry.published_until}",
                "extended_next": entry.due,
                "kept_because_booked": len(entry.kept),
                "state": "removed"
                if entry.removed
                else "loaded"
                if entry.finished
                else "interrupted: import it again",
            }
            for entry in entries
        ]
        show(rows, as_json_, none="Nothing is loaded for this Seller.")


@app.command(
    "template",
    epilog="Examples: openbooking timetable template > timetable.csv; "
    "openbooking timetable template --format xlsx --output timetable.xlsx",
)
def write_template(
    form: Annotated[Format, typer.Option("--format", help="csv, json or xlsx.")] = Format.csv,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default the template is printed. XLSX needs a file."),
    ] = None,
) -> None:
    """Write an example of a timetable to start from: every type of row with all its columns."""
    today = datetime.now().astimezone().date()
    if form is Format.xlsx:
        if output is None:
            refuse("An XLSX file cannot be printed: add --output timetable.xlsx.")
        content = template.xlsx_template(today)
    else:
        text = template.csv_template(today) if form is Format.csv else template.json_template(today)
        content = text.encode()
    if output is None:
        sys.stdout.write(content.decode())
        return
    if output.exists():
        refuse(f"{output} exists: write to another file, or remove it first.")
    try:
        output.write_bytes(content)
    except OSError as error:
        refuse(f"{output} cannot be written: {error.strerror or error}.")
    typer.echo(f"The template is in {output}.")


@app.command(
    "activities",
    epilog="Examples: openbooking timetable activities yoga; openbooking timetable activities --facilities; "
    "openbooking timetable activities --update activity-list.jsonld",
)
def list_activities(
    word: Annotated[
        str, typer.Argument(metavar="WORD", help="Only those like this word; by default all.")
    ] = "",
    facilities: Annotated[
        bool, typer.Option("--facilities", help="Types of facility instead of activities.")
    ] = False,
    update: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Replace the list in this installation's code by a newer one that OpenActive publishes at "
            "https://openactive.io/activity-list/activity-list.jsonld, or "
            "https://openactive.io/facility-types/facility-types.jsonld.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --update: compare only.")] = False,
    as_json_: AsJson = False,
) -> None:
    """List or search the activities of OpenActive, which timetables name by their labels."""
    name = concepts.FACILITY_TYPES if facilities else concepts.ACTIVITIES
    if update is not None:
        _update(name, update, dry_run=dry_run)
        return
    known = concepts.concept_list(name)
    plain = word.casefold()
    found = [
        {"label": each.label, "other_names": list(each.others), "id": each.id}
        for each in known.concepts
        if any(plain in label.casefold() for label in (each.label, *each.others))
    ]
    if word and not found and (like := known.like(word)):
        refuse(f"No label contains {word!r}: perhaps {' or '.join(map(repr, like))} is meant.")
    show(found, as_json_, none=f"No label contains {word!r}.")


def _type_of(plan: Plan) -> str:
    if plan.whole is not None:
        return "course"
    return "session" if plan.recurrence else "facility"


def _planned(
    admin: Administration, files: list[Path], seller: Seller, zone: str
) -> tuple[Planned, Timetable]:
    """Read the files for a Seller; nothing is written. Raises AdministrationError."""
    if not seller.open_booking_allowed:
        raise InvalidValue(
            f"Seller {admin.seller_ids.shown(seller.id)} does not allow open booking: remove isOpenBookingAllowed from "
            "its details first, with `openbooking sellers add --replace`."
        )
    own = admin.timetable(seller.id)
    rows = [row for path in files for row in read_file(path)]
    if not rows:
        raise InvalidValue("The files have no rows: `openbooking timetable template` writes an example.")
    settings = admin.system.settings
    context = Context(seller, zone, admin.system.now(), settings.prepayment, own.check)
    return plan_timetable(read_rows(rows), context), own


def _why_unsold(admin: Administration, seller: Seller) -> str:
    """Why nothing of the Seller can be booked, with what to do; empty if it can."""
    if seller.why_no_bookings is None:
        return ""
    seller_id = admin.seller_ids.short_seller(seller.id)
    return (
        f"Nothing of {seller_id} can be booked. {seller.why_no_bookings} "
        f"Add them with `openbooking sellers add --id {seller_id} --from FILE --replace`; "
        f"`openbooking sellers show {seller_id}` lists what is missing."
    )


def _note(admin: Administration, seller_id: str, done: Load) -> None:
    """Write the journal, and wait until orders on what has changed follow; the schedule does the rest."""
    counts = ", ".join(
        f"{number} {outcome.value}"
        for outcome, number in done.outcomes.items()
        if number and outcome is not Outcome.unchanged
    )
    admin.journal.note("timetable imported", {"rows": counts or "none changed"}, seller=seller_id)
    with suppress(CommitRefused, StillBusy, StoreBusy):
        while admin.system.worker.run_kind(following.KIND, _FOLLOWS_FOR):
            pass


def _print(
    admin: Administration,
    planned: Planned,
    done: Load | None,
    seller_id: str,
    *,
    dry_run: bool,
    json_wanted: bool,
) -> None:
    shown = admin.seller_ids.shown
    seller = shown(seller_id)

    def cancel(session_id: str) -> str:
        return command("sessions", "cancel", session_id, "--seller", seller)

    if json_wanted:
        report = as_json(planned, done, dry_run=dry_run, cancel=cancel, shown=shown)
        typer.echo(json.dumps(report, default=lambda instant: instant.isoformat(), indent=2))
        return
    for line in as_text(planned, done, dry_run=dry_run, cancel=cancel, shown=shown):
        typer.echo(text_of(line))
    if done is None and planned.problems:
        typer.echo("Nothing was written: correct these rows, or load the others with --skip-invalid.")
    elif done is None:
        typer.echo("Nothing was written: there is no session, course or facility in the files.")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where it is a terminal."""
    from rich.console import Console

    from openbooking.cli.import_report import progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with progress(console) as shown:
        yield lambda done, total: shown("Loading the timetable", done, total)


def _update(name: str, path: Path, *, dry_run: bool) -> None:
    try:
        newer = concepts.read_published(name, path.read_bytes())
        added, removed = concepts.changes(concepts.concept_list(name), newer)
        if not dry_run:
            concepts.write_list(newer)
    except OSError as error:
        refuse(f"{error.filename or path} cannot be used: {error.strerror or error}.")
    except concepts.InvalidList as error:
        refuse(f"{path} cannot be used: {error}")
    for label in added:
        typer.echo(f"New: {label}")
    for label in removed:
        typer.echo(f"No longer in it: {label}")
    typer.echo(f"{'The newer list has' if dry_run else 'The list now has'} {len(newer.concepts):,} labels.")
