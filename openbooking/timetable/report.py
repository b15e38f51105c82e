"""The report on an import of a timetable: as rows for programs, and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Outcome
from openbooking.timetable.loading import Load
from openbooking.timetable.planning import Planned
from openbooking.timetable.reading import Problem

_SHOWN = 100
# Rows that are named in one sentence.
_NAMED = 20
_OUTCOMES = (Outcome.added, Outcome.changed, Outcome.unchanged, Outcome.withdrawn)

Shown = Callable[[str], str]


def as_json(planned: Planned, load: Load | None, *, dry_run: bool, cancel: Shown, shown: Shown) -> Json:
    """Everything, for programs. `shown` is an @id as people know it, `cancel` the command that cancels it."""
    report: dict[str, Any] = {
        "dry_run": dry_run,
        "rows": planned.rows,
        "rows_wrong": planned.wrong_rows,
        "problems": [_problem(each) for each in planned.problems],
        "rows_that_need_wrong_ones": [_problem(each) for each in planned.dependent],
        "notes": [_problem(each) for each in planned.notes],
        "written": load is not None and not dry_run,
    }
    if load is not None:
        children = load.children
        report |= {
            "series_and_facilities": _counted(load.outcomes),
            "sessions_and_slots": _counted(children.outcomes),
            "not_in_these_files": sorted(load.stored),
            "called_off": [shown(each) for each in children.called_off],
            "more_spaces_booked": {shown(each): spaces for each, spaces in children.more_held.items()},
            "of_another_source": [shown(each) for each in children.others],
            "booked_and_no_longer_in_the_timetable": [
                {
                    "id": shown(kept.id),
                    "name": kept.name,
                    "starts_at": kept.starts_at,
                    "orders": kept.orders,
                    "cancel": cancel(shown(kept.id)),
                }
                for each in load.loaded
                for kept in each.applied.kept
            ],
        }
    return report


def as_text(
    planned: Planned, load: Load | None, *, dry_run: bool, cancel: Shown, shown: Shown
) -> Iterator[str]:
    """The lines for people."""
    right = planned.rows - planned.wrong_rows
    yield f"{_number(planned.rows, 'row')}: {right:,} right, {planned.wrong_rows:,} wrong."
    yield from _first(map(str, planned.problems), len(planned.problems))
    if planned.dependent:
        named = [each.row_id or each.place for each in planned.dependent]
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        yield f"Not loaded as long as these are wrong, because they need them: {', '.join(named[:_NAMED])}{more}."
    yield from (f"Note: {each}" for each in planned.notes[:_SHOWN])
    if load is None:
        return
    verb = "This would be done" if dry_run else "Done"
    yield f"{verb}: series, courses and facilities: {_sentence(load.outcomes)}; sessions and slots: {_sentence(load.children.outcomes)}."
    children = load.children
    if load.stored:
        yield f"{_number(len(load.stored), 'series, course or facility', 'series, courses or facilities')} loaded before and not in these files: unchanged."
    if children.called_off:
        yield f"{_number(len(children.called_off), 'session')} that you cancelled or postponed: unchanged."
    for each, spaces in sorted(children.more_held.items())[:_SHOWN]:
        yield f"{shown(each)} has {spaces} spaces booked, more than its row has: it keeps them."
    for each in sorted(children.others)[:_SHOWN]:
        yield f"{shown(each)} belongs to another source, which alone may change it: use another id."
    kept = [each for loaded in load.loaded for each in loaded.applied.kept]
    if kept:
        yield f"{_number(len(kept), 'session, course or slot', 'sessions, courses or slots')} booked and no longer in the timetable; they stay:"
        lines = (
            f"  {each.name}, {each.starts_at:%Y-%m-%d %H:%M} UTC, {_number(each.orders, 'order')}; "
            f"to cancel it: {cancel(shown(each.id))}"
            for each in kept
        )
        yield from _first(lines, len(kept))


def _problem(problem: Problem) -> Json:
    return {"row": problem.place, "id": problem.row_id, "column": problem.column, "problem": problem.text}


def _first(lines: Iterable[str], count: int) -> Iterator[str]:
    for _, line in zip(range(_SHOWN), lines, strict=False):
        yield line
    if count > _SHOWN:
        yield f"... and {count - _SHOWN:,} more; --json lists all."


def _counted(counts: Counter[Outcome]) -> Json:
    return {outcome.value: counts[outcome] for outcome in _OUTCOMES}


def _sentence(counts: Counter[Outcome]) -> str:
    return ", ".join(f"{counts[each]:,} {each}" for each in _OUTCOMES if counts[each]) or "none"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
