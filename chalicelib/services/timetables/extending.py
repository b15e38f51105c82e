"""Extends plans as time passes: a kind of pending work, a step of which publishes some dates of one plan."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from chalicelib.identity.register import Register
from chalicelib.services.inventory import Inventory
from chalicelib.services.pending import Step
from chalicelib.services.timetables.due import named_in
from chalicelib.services.timetables.plans import Plan, PlanEntry, next_due
from chalicelib.services.timetables.publishing import Child, Publisher
from chalicelib.storage.errors import CommitRefused, RecordChanged, StoreBusy
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace

# Sessions or slots in one step; it ends with the date on which this number is reached.
_IN_A_STEP = 200


@dataclass(frozen=True)
class Extender:
    """Publishes what comes within the horizon of plans. It works for all Sellers, without a caller."""

    register: Register
    inventory: Inventory
    retry: RetryPolicy
    now: Callable[[], datetime]

    def take_step(self, work: PendingWork) -> Step:
        """Publish the next dates of the plan that `work` names. Raises CommitRefused, StillBusy, StoreBusy.

        A repetition publishes the same again. If the timetable is imported at the same time, the plan of the import
        applies: what this step has published and that plan does not have is withdrawn.
        """
        entry = self.register.find(PlanEntry, PlanEntry.key_of(*named_in(work)))
        if entry is None or entry.removed or not entry.finished or entry.due is None:
            return Step(0)
        target = entry.plan.horizon(self.now())
        if target <= entry.published_until:
            self._save(entry, *_rows(entry.due_row))  # another run has extended it
            return Step(0)
        children, until = self._next(entry.plan, entry.published_until, target)
        started = self._save(replace(entry, extending_to=until))
        publisher = Publisher(self.inventory, self.retry)
        for part in publisher.together(entry.plan, children):
            publisher.publish(entry.plan, part, {})
        due = next_due(entry.plan, until) if until == target else entry.due
        ended = replace(started, published_until=until, extending_to=None, due=due)
        try:
            self._save(ended, *(_rows(ended.due_row) if until == target else ()))
        except CommitRefused:
            self._withdraw_strays(entry, children, publisher)
            raise
        return Step(len(children), None if until == target else f"{until}")

    def _next(self, plan: Plan, after: date, target: date) -> tuple[list[Child], date]:
        """The children on the next dates, and the last of these dates."""
        found: list[Child] = []
        for child in plan.coming(self.now(), target):
            day = plan.own_date(child[2])
            if day <= after:
                continue
            if len(found) >= _IN_A_STEP and day > (last := plan.own_date(found[-1][2])):
                return found, last
            found.append(child)
        return found, target

    def _withdraw_strays(self, entry: PlanEntry, children: Sequence[Child], publisher: Publisher) -> None:
        current = self.register.find(PlanEntry, entry.key)
        planned = (
            {child[0] for child in current.plan.coming(self.now(), current.reached)}
            if current is not None and not current.removed
            else set()
        )
        for part in publisher.together(entry.plan, [child for child in children if child[0] not in planned]):
            publisher.withdraw([child[0] for child in part], entry.plan.seller_id)

    def _save(self, entry: PlanEntry, *rows: PendingWork) -> PlanEntry:
        """Raises CommitRefused if an import or another run has changed it."""
        try:
            return self.retry.run(lambda: self.register.save(entry, pending=rows), on=(StoreBusy,))
        except RecordChanged:
            raise CommitRefused([]) from None


def _rows(due: PendingWork | None) -> tuple[PendingWork, ...]:
    return () if due is None else (due,)
