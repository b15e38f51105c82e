"""What is kept of the last run of a source: counts, and why items were left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chalicelib.importing.rpde import Imported
from chalicelib.values import dataclass

_REASONS_KEPT = 20


@dataclass(frozen=True)
class RunReport:
    """The result of a run: counts by outcome, or the problem that ended it."""

    at: datetime
    problem: str = ""
    counts: dict[str, int] | None = None
    reasons: tuple[str, ...] = ()
    """Why items were left out, each reason with its number; defaults without effect."""
    oversold: tuple[str, ...] = ()
    """What the source has oversold, with the partner and the UUID of each Order."""
    unsettled: int = 0


def report_of(at: datetime, imported: Imported | None) -> RunReport:
    """The report of a run at that time; None stands for a site without news."""
    if imported is None:
        return RunReport(at)
    changes = imported.changes
    counts: dict[str, int] = {}
    for (_, outcome), number in changes.outcomes.items():
        counts[outcome.value] = counts.get(outcome.value, 0) + number
    counts["left out"] = len(imported.intake.left_out) + len(changes.left_out)
    counts["not bookable"] = len(changes.not_bookable)
    failed = [f"the feed of {each.kind} could not be read: {each.reason}" for each in imported.harvest.failed]
    unmatched = [f"{each.table} {each.key}: {each.reason}" for each in imported.intake.unmatched]
    return RunReport(
        at,
        problem="; ".join(failed),
        counts=counts,
        reasons=(*unmatched[:_REASONS_KEPT], *_reasons(imported)),
        oversold=tuple(_oversold(imported)),
        unsettled=changes.unsettled,
    )


def _reasons(imported: Imported) -> Iterator[str]:
    numbers: dict[str, int] = {}
    for each in (*imported.intake.left_out[:1000], *imported.changes.left_out[:1000]):
        numbers[each.reason] = numbers.get(each.reason, 0) + 1
    for reason, number in sorted(numbers.items(), key=lambda each: -each[1])[:_REASONS_KEPT]:
        yield f"{number} left out: {reason}"


def _oversold(imported: Imported) -> Iterator[str]:
    for each in imported.changes.oversold[:_REASONS_KEPT]:
        orders = ", ".join(f"{key.partner_id}/{key.uuid}" for key in each.orders)
        yield f"{each.id} by {each.spaces}: {orders}"
