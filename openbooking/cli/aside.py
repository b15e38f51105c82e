"""Replay or discard what was put aside: one entry by its id, or all. `feeds` and `pending` share this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Protocol, TypeVar

import typer

from chalicelib.services.errors import NotPossible
from openbooking.cli.terminal import refuse

T = TypeVar("T")

All = Annotated[bool, typer.Option("--all", help="All entries that the list shows.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class Administration(Protocol[T]):
    """A service for entries that wait for an operator."""

    def all(self) -> Iterator[T]: ...

    def find(self, entry_id: str, /) -> T: ...

    def replay(self, entry: T, /) -> None: ...

    def discard(self, entry: T, /) -> None: ...


def replay(entries: Administration[T], one: str | None, every: bool) -> None:
    """Replay one entry, or each of them: those that are not possible are shown, and the others are still replayed."""
    failed = replayed = 0
    for entry in _meant(entries, one, every):
        try:
            entries.replay(entry)
            replayed += 1
        except NotPossible as error:
            if not every:
                raise
            typer.echo(str(error), err=True)
            failed += 1
    if failed:
        refuse(f"Replayed: {replayed}. Not replayed: {failed}.")
    typer.echo(f"Replayed: {replayed}.")


def discard(entries: Administration[T], one: str | None, every: bool, yes: bool) -> None:
    """Remove each permanently, after asking unless `yes`."""
    meant = _meant(entries, one, every)
    if not yes and not typer.confirm(f"Entries to be removed permanently: {len(meant)}. Remove them?"):
        refuse("Nothing was changed.")
    for entry in meant:
        entries.discard(entry)
    typer.echo(f"Discarded: {len(meant)}.")


def _meant(entries: Administration[T], one: str | None, every: bool) -> list[T]:
    if (one is None) is not every:
        refuse("Name one entry, or use --all.")
    return [entries.find(one)] if one is not None else list(entries.all())
