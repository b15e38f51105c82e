"""`openbooking check`: verifies that the rows of a running system are consistent, and repairs them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from chalicelib.runtime.upkeep import Upkeep
from chalicelib.services.checking.check import PAUSE_SECONDS, Report
from chalicelib.services.checking.findings import Finding
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import text_of
from openbooking.cli.terminal import DynamodbUrl, console

app = typer.Typer(add_completion=False, rich_markup_mode=None)

# The number of rows shown under each heading; --json shows all.
_SHOWN = 20


@app.command()
def check(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is safe to repair.")] = False,
    pause: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds before a suspected row is read again. If streams and sweeps need longer, "
            "unfinished changes are reported as damage.",
        ),
    ] = PAUSE_SECONDS,
    parts: Annotated[
        int, typer.Option(min=1, max=32, help="Parts of each table that are read in parallel.")
    ] = 4,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Verify that spaces, orders, feeds and pending work agree, while the system runs.

    The exit status is 0 if nothing is damaged or everything was repaired, otherwise 1.
    """
    opened = changing(stage, dynamodb_url, by) if repair else reading(stage, dynamodb_url)
    with opened as admin:
        upkeep = Upkeep(admin.system)
        made = upkeep.check(pause, parts)
        report = made.run()
        left = upkeep.repair(made).run(report.findings) if repair else report.findings
        if repair:
            repaired = len(report.findings) - len(left)
            admin.journal.note("rows repaired", findings=str(repaired))
    if as_json:
        typer.echo(json.dumps(as_rows(report, left), indent=2))
    else:
        print_report(console(), report, left, repaired=repair)
    if left or report.unnamed:
        raise typer.Exit(1)


def as_rows(report: Report, left: Sequence[Finding]) -> dict[str, Any]:
    """The report as JSON, for programs."""
    still = set(left)
    return {
        "looked_at": dict(report.looked_at),
        "findings": [
            {
                "damage": str(finding.damage),
                "row": finding.row,
                "detail": finding.detail,
                "meaning": finding.explanation.meaning,
                "remedy": finding.explanation.remedy,
                "repaired": finding not in still,
            }
            for finding in report.findings
        ],
        "not_named": {str(damage): number for damage, number in report.unnamed.items()},
        "never_at_rest": list(report.restless),
    }


def print_report(
    console: Console, report: Report, left: Sequence[Finding], *, repaired: bool = False
) -> None:
    """Print the report as text: a heading for each kind of damage, and its rows below."""
    still = set(left)
    for damage, group in groupby(report.findings, key=lambda finding: finding.damage):
        findings = list(group)
        explanation = findings[0].explanation
        repaired_here = [finding for finding in findings if finding not in still]
        waiting = [finding for finding in findings if finding in still]
        more = report.unnamed[damage]
        console.print(Text(f"{explanation.title}: {len(findings) + more}", style="bold"))
        _indented(console, [explanation.meaning, explanation.remedy])
        if repaired_here:
            _indented(console, [f"Repaired: {len(repaired_here)}."])
        _indented(console, [_line(finding) for finding in waiting[:_SHOWN]], by=4)
        if len(waiting) + more > _SHOWN:
            _indented(console, [f"and {len(waiting) + more - min(len(waiting), _SHOWN)} more"], by=4)
        console.print()
    if report.restless:
        console.print(Text("Changed all the time, so that their counters could not be checked:"))
        _indented(console, report.restless[:_SHOWN], by=4)
        console.print()
    counted = ", ".join(f"{number} {what}" for what, number in sorted(report.looked_at.items()))
    outcome = f"{len(still) + report.unnamed.total()} findings" if still or report.unnamed else "no damage"
    if repaired and len(still) < len(report.findings):
        outcome += f", {len(report.findings) - len(still)} repaired"
    console.print(Text(f"Looked at {counted or 'no rows'}: {outcome}."))


def _line(finding: Finding) -> str:
    return f"{finding.row}: {finding.detail}" if finding.detail else finding.row


def _indented(console: Console, lines: Iterable[str], by: int = 2) -> None:
    for line in lines:
        console.print(Padding(Text(text_of(line), overflow="fold"), (0, 0, 0, by)))
