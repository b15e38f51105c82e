"""`openbooking certify`: the official test suite, in all configurations of the reference implementation's CI."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from openbooking.cli.terminal import refuse
from openbooking.conformance.certification import Certification, answers
from openbooking.conformance.checkout import CertificationError, Checkout, read_checkout, seed_vocabularies
from openbooking.conformance.results import NAMED_RUNS, Result, as_markdown, as_text, chosen

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def certify(
    suite: Annotated[Path, typer.Option(help="A checkout of the OpenActive Test Suite.")],
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run", help="Only this run, mode or profile, such as random.no-auth; may be repeated."
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", help="Only this part of the suite, such as core or payment/free-opportunities."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for results, logs and certificates.")] = Path(
        "build/certification"
    ),
    certificate_url: Annotated[
        str, typer.Option(help="URL under which the certificates will be published.")
    ] = "https://booking.example/certificates",
    dynoxide: Annotated[
        str, typer.Option(envvar="DYNOXIDE", help="Path of the engine Dynoxide; by default moto is used.")
    ] = "",
    node: Annotated[str | None, typer.Option(help="Path of Node.js; by default the one on the PATH.")] = None,
    strict: Annotated[
        bool, typer.Option(help="Also the checks that the reference implementation fails.")
    ] = True,
    any_commit: Annotated[bool, typer.Option("--any-commit", help="Accept any commit of the suite.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Repeat runs that have finished.")] = False,
) -> None:
    """Run the official test suite in all configurations, and list the results: see docs/conformance.md."""
    # So that the engine, the server and the suite of a run are ended with this command.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        wanted = chosen(runs or [])
    except KeyError as error:
        names = ", ".join(run.name for run in NAMED_RUNS)
        refuse(f"There is no run {error.args[0]!r}. Choose from: {names}.")
    try:
        checkout = _seeded(read_checkout(suite, node=node, any_commit=any_commit))
        certification = Certification(
            checkout=checkout,
            output=output,
            certificates=certificate_url,
            dynoxide=dynoxide or None,
            strict=strict,
            features=_paths(features or [], checkout),
        )
        results = certification.run(wanted, typer.echo, again=again)
    except CertificationError as error:
        refuse(str(error))
    _report(results, output)
    if not all(result.is_success for result in results):
        raise typer.Exit(1)


def _seeded(checkout: Checkout) -> Checkout:
    seeded = seed_vocabularies(checkout, answers)
    if seeded.has_substitutes:
        typer.echo(
            "The suite uses substitutes for vocabularies of openactive.io, with only what is used here."
        )
    return seeded


def _paths(features: list[str], checkout: Checkout) -> tuple[str, ...]:
    """Raises CertificationError for a part that the suite does not have."""
    known = checkout.directory / "packages" / "openactive-integration-tests" / "test" / "features"
    paths = tuple(each.strip("/") for each in features)
    for path in paths:
        if not (known / path).is_dir():
            raise CertificationError(f"The suite has no part {path!r}: see the folders in {known}.")
    return paths


def _report(results: list[Result], output: Path) -> None:
    (output / "results.md").write_text(as_markdown(results), "utf-8")
    (output / "results.txt").write_text(as_text(results) + "\n", "utf-8")
    typer.echo(f"\n{as_text(results)}\n")
    typer.echo(f"openbooking {version('openbooking')}. As Markdown: {output / 'results.md'}")
