"""Brings the plans of a timetable into the inventory, or previews that. Decides the order; `Timetable` does the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from chalicelib.services.inventory import Outcome
from chalicelib.services.timetables.plans import Plan, PlanEntry
from chalicelib.services.timetables.publishing import Published
from chalicelib.services.timetables.timetable import Applied, Each, Timetable
from chalicelib.values import dataclass, field
from openbooking.timetable.columns import COURSE
from openbooking.timetable.reading import Row

_THREADS = 4
# A plan with more sessions or slots is worked on by all threads; others are worked on side by side.
_LARGE = 500

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Loaded:
    """The result for one row; `row` is None for what the timetable no longer has."""

    plan_id: str
    row: Row | None
    applied: Applied


@dataclass
class Load:
    """The results for all rows."""

    loaded: list[Loaded] = field(default_factory=list)
    stored: frozenset[str] = frozenset()
    """Ids of other series, courses and facilities of the Seller, which are not in these files and stay."""

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Of series, courses and facilities."""
        return Counter(each.applied.outcome for each in self.loaded)

    @property
    def children(self) -> Published:
        """Of all sessions and slots."""
        total = Published()
        for each in self.loaded:
            total.add(each.applied.children)
        return total


def load(
    timetable: Timetable,
    plans: Sequence[tuple[Row, Plan]],
    *,
    dry_run: bool = False,
    remove_missing: bool = False,
    keep: Iterable[str] = (),
    on_progress: OnProgress = lambda done, total: None,
) -> Load:
    """Apply all plans; `on_progress` gets how many of them are done.

    `remove_missing`: withdraw the series, courses and facilities that were loaded before and are not among the plans, without
    those in `keep`, whose rows are wrong. Raises StillBusy and AdministrationError; what was done stays, and a
    repetition does the rest.
    """
    known = timetable.entries()
    total = len(plans)
    results: dict[str, Applied] = {}
    with ThreadPoolExecutor(_THREADS) as threads:

        def apply(plan: Plan, each: Each = map) -> Applied:
            entry = known.get(plan.id)
            return timetable.preview(plan, entry) if dry_run else timetable.apply(plan, entry, each=each)

        large = {plan.id for _, plan in plans if _size(plan) > _LARGE}
        try:
            small = [plan for _, plan in plans if plan.id not in large]
            for plan, applied in zip(small, threads.map(apply, small), strict=True):
                results[plan.id] = applied
                on_progress(len(results), total)
            for _, plan in plans:
                if plan.id in large:
                    results[plan.id] = apply(plan, threads.map)
                    on_progress(len(results), total)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    done = Load([Loaded(plan.id, row, results[plan.id]) for row, plan in plans])
    missing = [
        entry for plan_id, entry in known.items() if plan_id not in results and plan_id not in set(keep)
    ]
    if remove_missing:
        for entry in missing:
            done.loaded.append(Loaded(entry.plan.id, None, _remove(timetable, entry, dry_run=dry_run)))
    else:
        done.stored = frozenset(entry.plan.id for entry in missing if not entry.removed)
    return done


def settle(timetable: Timetable, done: Load) -> None:
    """Withdraw the sessions that a course no longer has and that its Orders no longer hold, as they follow it now.

    Raises StillBusy and ChangedMeanwhile; the next import does the same.
    """
    courses = [each for each in done.loaded if each.row is not None and each.row.type is COURSE]
    changed = [each for each in courses if each.applied.kept]
    known = timetable.entries() if changed else {}
    for each in changed:
        kept = timetable.settle(known[each.plan_id])
        each.applied.counts[Outcome.withdrawn] += len(each.applied.kept) - len(kept)
        each.applied.kept = kept


def _remove(timetable: Timetable, entry: PlanEntry, *, dry_run: bool) -> Applied:
    return timetable.preview_removal(entry) if dry_run else timetable.remove(entry)


def _size(plan: Plan) -> int:
    """About how many sessions or slots a plan has; a rule has at most one a day."""
    if plan.opening is None:
        return plan.days_ahead
    return plan.days_ahead * len(plan.units) * (12 * 60 // plan.opening.minutes)
