"""`openbooking sandbox`: opportunities for tests, of every criterion, type and flow, which are kept filled."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Seller
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.settings import read_settings
from chalicelib.sandbox.keeping import Kept
from chalicelib.sandbox.plan import Size
from chalicelib.services.errors import NotFound
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show as show_rows
from openbooking.cli.terminal import DynamodbUrl, refuse
from openbooking.deployment.project import UnknownStageError, is_production

app = typer.Typer(
    help="Opportunities for tests, which are kept filled; never in production.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

# The official test suite's names of the types that it can book.
TYPES = tuple(name for kind in OpportunityType for name in kind.traits.test_names)


@app.callback()
def sandbox() -> None:
    """Opportunities for tests, which are kept filled; never in production."""


@app.command()
def fill(
    each: Annotated[
        int, typer.Option(min=1, max=100, help="How many of each criterion, type and flow.")
    ] = Size().each,
    for_suite: Annotated[
        bool, typer.Option("--for-suite", help="As many as the official test suite needs in random mode.")
    ] = False,
    sellers: Annotated[
        list[str] | None,
        typer.Option("--seller", help="For this Seller; may be repeated. By default for all."),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help=f"Only this type; may be repeated: {', '.join(TYPES)}."),
    ] = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Fill the sandbox, or top it up. From then on the schedule keeps it filled."""
    if unknown := set(types or ()) - set(TYPES):
        refuse(f"There is no type {min(unknown)}: choose from {', '.join(TYPES)}.")
    size = Size(each, for_suite, frozenset(types) if types else None)
    with _changing(stage, dynamodb_url, by) as admin:
        chosen = _sellers(admin, sellers)
        if not chosen:
            refuse("There is no Seller yet. Add one with `openbooking sellers add`.")
        planned = admin.entries.patiently(lambda: admin.system.sandbox.plan(chosen, size))
        if planned:
            admin.journal.note("sandbox filled")
            typer.echo(f"{planned} places were added.")
        kept = admin.system.sandbox.fill(_Progress())
        typer.echo(f"The sandbox is filled: {kept.made} made, {kept.replaced} replaced, {kept.moved} moved.")


@app.command()
def show(stage: Stage = None, dynamodb_url: DynamodbUrl = None, as_json: AsJson = False) -> None:
    """Count the opportunities in the sandbox by type, flow and criterion."""
    _check_not_production(stage)
    with reading(stage, dynamodb_url) as admin:
        contents = admin.entries.patiently(admin.system.sandbox.contents)
        places: Counter[tuple[str, str, str, str]] = Counter()
        published: Counter[tuple[str, str, str, str]] = Counter()
        for place, listing, _ in contents:
            request = place.request
            names = request.type.traits.test_names
            name = next(name for name, parent in names.items() if parent == request.parent_type)
            criteria = request.criteria.removeprefix("TestOpportunity")
            answered = f", {place.answer} automatically" if place.answer else ""
            key = (name, request.flow.removeprefix("OpenBooking"), criteria + answered, request.seller_id)
            places[key] += 1
            published[key] += listing is not None and listing.is_open
        show_rows(
            [
                {
                    "type": key[0],
                    "flow": key[1],
                    "criterion": key[2],
                    "seller": admin.seller_ids.shown(key[3]),
                    "places": places[key],
                    "published": published[key],
                }
                for key in sorted(places)
            ],
            as_json=as_json,
            none="There is no sandbox. Fill one with `openbooking sandbox fill`.",
        )


@app.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Withdraw every opportunity of the sandbox. Orders on them stay valid."""
    with _changing(stage, dynamodb_url, by) as admin:
        if not yes:
            typer.confirm("Withdraw every opportunity of the sandbox?", abort=True)
        cleared = admin.system.sandbox.clear()
        if cleared:
            admin.journal.note("sandbox cleared")
        typer.echo(f"{cleared} opportunities were withdrawn.")


@contextmanager
def _changing(stage: str | None, dynamodb_url: str | None, by: str | None) -> Iterator[Administration]:
    _check_not_production(stage)
    with changing(stage, dynamodb_url, by) as admin:
        yield admin


def _check_not_production(stage: str | None) -> None:
    """End the command for production: a customer could book what does not take place."""
    try:
        in_production = is_production(stage) if stage else read_settings(os.environ).production
    except UnknownStageError:
        refuse(f"{stage} is not in .chalice/config.json, so it may be in production: no sandbox was changed.")
    if in_production:
        refuse("A sandbox is never in production: customers could book what does not take place.")


def _sellers(admin: Administration, wanted: list[str] | None) -> list[Seller]:
    known = sorted(admin.entries.patiently(admin.system.store.sellers), key=lambda seller: seller.id)
    if wanted is None:
        return known
    chosen = []
    for text in wanted:
        meant = admin.seller_ids.meant(text)
        found = [seller for seller in known if seller.id in meant]
        if not found:
            raise NotFound("Seller", text)
        chosen += found
    return chosen


class _Progress:
    """Prints a line after each `every` opportunities."""

    def __init__(self, every: int = 1000) -> None:
        self._every = self._next = every

    def __call__(self, kept: Kept) -> None:
        if kept.total >= self._next:
            typer.echo(f"  {kept.total} ...", err=True)
            self._next = kept.total + self._every
