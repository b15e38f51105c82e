"""The timetable of one Seller: its plans, applied to the inventory so that a repetition changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from chalicelib.identity.register import Register
from chalicelib.services.errors import ChangedMeanwhile, InvalidValue, NotPossible
from chalicelib.services.inventory import Inventory, Outcome
from chalicelib.services.timetables.plans import Plan, PlanEntry, next_due
from chalicelib.services.timetables.publishing import Child, Published, Publisher
from chalicelib.services.timetables.recurrence import Occurrence
from chalicelib.storage import codec
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass, field, replace

A = TypeVar("A")
T = TypeVar("T")

# A row holds a plan and, while it is being replaced, the one before; DynamoDB takes 400 KB.
MAX_PLAN_BYTES = 120_000
# Sessions or slots that one plan may have at a time.
MAX_CHILDREN = 200_000
_ROWS_IN_ONE_READ = 50
_SHOWN_OF_THE_KEPT = 200

OnProgress = Callable[[int, int], None]


class Each(Protocol):
    """Applies a function to each part: `map`, or that of an executor."""

    def __call__(self, work: Callable[[A], T], parts: Iterable[A], /) -> Iterable[T]: ...


@dataclass(frozen=True)
class Kept:
    """A session or slot that is booked, and that the timetable no longer has."""

    id: str
    name: str
    starts_at: datetime | None
    orders: int


@dataclass
class Applied:
    """The result for one plan: the outcome for its row, and for its sessions or slots."""

    outcome: Outcome
    children: Published = field(default_factory=Published)
    kept: list[Kept] = field(default_factory=list)

    @property
    def counts(self) -> Counter[Outcome]:
        return self.children.outcomes


@dataclass(frozen=True)
class Timetable:
    """Acts for the Seller `seller_id` and refuses what belongs to another.

    Every method may raise StillBusy. What was done is kept, and a repetition does the rest.
    """

    seller_id: str
    inventory: Inventory
    retry: RetryPolicy
    now: Callable[[], datetime]
    register: Register

    def entries(self) -> dict[str, PlanEntry]:
        """The stored plans by the Seller's own ids."""
        found = self._busy(lambda: self.register.of(PlanEntry, PlanEntry.key_of(self.seller_id, "")[0]))
        return {entry.plan.id: entry for entry in found}

    def check(self, plan: Plan) -> None:
        """Raises NotPossible for a plan of another Seller, InvalidValue for one that is too large."""
        if plan.seller_id != self.seller_id:
            raise NotPossible(f"{plan.id} belongs to another Seller.")
        if (size := len(codec.to_json(plan))) > MAX_PLAN_BYTES:
            raise InvalidValue(
                f"it takes {size:,} bytes with all its terms; {MAX_PLAN_BYTES:,} can be stored"
            )

    def is_current(self, plan: Plan, known: PlanEntry | None) -> bool:
        """Whether a plan has been applied and is not changed."""
        return known is not None and known.finished and not known.removed and known.plan == as_stored(plan)

    def preview(self, plan: Plan, known: PlanEntry | None) -> Applied:
        """What `apply` would do, without the changes of single sessions that the Seller made since."""
        self.check(plan)
        if known is not None and self.is_current(plan, known):
            return Applied(Outcome.unchanged, kept=self._kept(known.kept))
        children, earlier = self._children(plan, known)
        ids = {child[0] for child in children}
        done = Published(
            Counter({Outcome.added: len(ids - set(earlier)), Outcome.changed: len(ids & set(earlier))})
        )
        gone = self._gone(known, earlier, ids | {plan.parent_id})
        kept = self._kept(gone)
        done.outcomes[Outcome.withdrawn] = len(gone) - len(kept)
        done.outcomes = +done.outcomes
        return Applied(Outcome.changed if known and not known.removed else Outcome.added, done, kept)

    def apply(
        self,
        plan: Plan,
        known: PlanEntry | None,
        *,
        each: Each = map,
        on_progress: OnProgress = lambda done, total: None,
    ) -> Applied:
        """Publish a plan in place of `known`, its stored form. Raises ChangedMeanwhile, and what `check` raises.

        The row is written first, with the plans that it replaces, so that a repetition after a failure knows what
        to withdraw.
        """
        self.check(plan)
        if known is not None and self.is_current(plan, known):
            settled = self._settled(known, each)
            if settled == known or plan.opening is None:
                return Applied(Outcome.unchanged, kept=self._kept(settled.kept))
            known = settled  # slots may take the place of those that were released
        children, earlier = self._children(plan, known)
        started = self._start(plan, known)
        applied = Applied(Outcome.changed if known and not known.removed else Outcome.added)
        step = _Step(Publisher(self.inventory, self.retry), plan, earlier, applied, each, on_progress)
        gone = self._gone(started, earlier, {plan.parent_id, *(child[0] for child in children)})
        publish = self._publish_series if plan.whole is None else self._publish_course
        kept = publish(step, children, gone, known)
        if kept is None:
            return applied
        due = next_due(plan, started.published_until)
        self._save(replace(started, finished=True, before=(), kept=tuple(kept), due=due))
        applied.kept = self._kept(kept)
        return applied

    def settle(self, known: PlanEntry) -> list[Kept]:
        """Withdraw what the timetable no longer has and is no longer booked; what is booked still. Raises ChangedMeanwhile."""
        return self._kept(self._settled(known, map).kept)

    def _publish_series(
        self, step: "_Step", children: list[Child], gone: Sequence[str], known: PlanEntry | None
    ) -> list[str] | None:
        """A series or facility and its children; the ids of `gone` that stay. None if it belongs to another source."""
        if step.publisher.publish_parent(step.plan) is Outcome.elsewhere:
            step.applied.children.others.append(step.plan.parent_id)
            return None
        # First what is withdrawn: where a slot stays because it is booked, no other may take its time.
        kept = self._withdraw(step.publisher, gone, step.applied, step.each)
        children, blocked = self._without_overlaps(step.plan, children, kept)
        blocked = [each for each in blocked if each in step.earlier]
        kept += self._withdraw(step.publisher, blocked, step.applied, step.each)
        step.publish(children)
        return kept

    def _publish_course(
        self, step: "_Step", children: list[Child], gone: Sequence[str], known: PlanEntry | None
    ) -> list[str] | None:
        """The same for a course, without anything once it is over.

        Those who have booked it get a space of each new session as the course is changed, so that these are there
        before; and release those of the others, which are withdrawn last.
        """
        plan, sold = step.plan, [child[0] for child in children]
        before = (*known.before, known.plan) if known else ()
        is_new = known is None or known.plan.parent_id != plan.parent_id
        if is_new and not self._put_course(step, sold, before):
            return None
        step.publish(children)
        if not is_new and not self._put_course(step, sold, before):
            return None
        return self._withdraw(step.publisher, gone, step.applied, step.each)

    def _put_course(self, step: "_Step", sold: Sequence[str], before: Sequence[Plan]) -> bool:
        """Whether the course is as planned now; not if it belongs to another source."""
        if not step.plan.is_current_whole(self.now()):
            return True
        done = step.publisher.publish_course(step.plan, sold, before)
        step.applied.children.add(replace(done, outcomes=Counter()))
        return not done.others

    def preview_removal(self, known: PlanEntry) -> Applied:
        """What `remove` would do."""
        gone = self._gone(known, self._children(known.plan, known)[1], set())
        kept = self._kept(gone)
        counts = +Counter({Outcome.withdrawn: len(gone) - len(kept)})
        return Applied(Outcome.withdrawn, Published(counts), kept)

    def remove(self, known: PlanEntry) -> Applied:
        """Withdraw everything of a plan that is not booked, and the plan itself if nothing is. Raises ChangedMeanwhile."""
        publisher = Publisher(self.inventory, self.retry)
        _, earlier = self._children(known.plan, known)
        started = self._save(replace(known, removed=True, finished=False, due=None))
        applied = Applied(Outcome.withdrawn)
        kept = self._withdraw(publisher, self._gone(started, earlier, set()), applied, map)
        if kept:
            self._save(replace(started, finished=True, before=(), kept=tuple(kept)))
            applied.kept = self._kept(kept)
        else:
            publisher.withdraw([known.plan.parent_id], self.seller_id)
            self._busy(lambda: self.register.remove(started))
        return applied

    def _start(self, plan: Plan, known: PlanEntry | None) -> PlanEntry:
        before = (*known.before, known.plan) if known else ()
        entry = PlanEntry(
            as_stored(plan),
            self._until(plan, known),
            due=known.due if known else None,
            before=tuple(_different(before, plan)),
            kept=known.kept if known else (),
            version=known.version if known else 0,
        )
        return self._save(entry)

    def _withdraw(self, publisher: Publisher, ids: Sequence[str], applied: Applied, each: Each) -> list[str]:
        """Withdraw those that are not held; the ids of the others."""
        parts = [ids[start : start + _ROWS_IN_ONE_READ] for start in range(0, len(ids), _ROWS_IN_ONE_READ)]
        kept: list[str] = []
        for withdrawn, held in each(lambda part: publisher.withdraw(part, self.seller_id), parts):
            applied.counts[Outcome.withdrawn] += withdrawn
            kept += held
        applied.children.outcomes = +applied.counts
        return kept

    def _without_overlaps(
        self, plan: Plan, children: Sequence[Child], kept: Sequence[str]
    ) -> tuple[list[Child], list[str]]:
        """Slots without those that overlap with a booked one of the same court, and the ids of these."""
        taken: dict[str, list[tuple[datetime, datetime]]] = {}
        for listing in self._listings(kept) if plan.opening is not None else ():
            opportunity = listing.opportunity
            if opportunity.starts_at and opportunity.ends_at:
                court = opportunity.id.rpartition("/")[0]
                taken.setdefault(court, []).append((opportunity.starts_at, opportunity.ends_at))
        free: list[Child] = []
        blocked: list[str] = []
        for child in children:
            spans = taken.get(child[0].rpartition("/")[0], ())
            if any(child[2].starts_at < end and start < child[2].ends_at for start, end in spans):
                blocked.append(child[0])
            else:
                free.append(child)
        return free, blocked

    def _settled(self, known: PlanEntry, each: Each) -> PlanEntry:
        """Withdraw those that were booked and no longer are."""
        if not known.kept:
            return known
        publisher = Publisher(self.inventory, self.retry)
        kept = tuple(self._withdraw(publisher, known.kept, Applied(Outcome.unchanged), each))
        return known if kept == known.kept else self._save(replace(known, kept=kept))

    def _children(self, plan: Plan, known: PlanEntry | None) -> tuple[list[Child], dict[str, Occurrence]]:
        """The children of a plan that are not over, and when those of the plans before took place, and courses, by id."""
        now = self.now()
        children = list(plan.coming(now, self._until(plan, known)))
        if len(children) > MAX_CHILDREN:
            raise InvalidValue(f"it makes {len(children):,} sessions or slots; {MAX_CHILDREN:,} is the most")
        if known is None:
            return children, {}
        earlier = {
            child_id: occurrence
            for before in (*known.before, known.plan)
            for child_id, _, occurrence in before.coming(now, known.reached)
        }
        courses = {
            before.parent_id: before.lasts
            for before in (*known.before, known.plan)
            if before.lasts is not None and before.is_current_whole(now)
        }
        return children, courses | earlier

    def _until(self, plan: Plan, known: PlanEntry | None) -> date:
        horizon = plan.horizon(self.now())
        return max(horizon, known.reached) if known else horizon

    def _gone(self, known: PlanEntry | None, earlier: Iterable[str], ids: set[str]) -> list[str]:
        """What was published by an earlier plan and is in this one no longer."""
        return [each for each in dict.fromkeys([*(known.kept if known else ()), *earlier]) if each not in ids]

    def _kept(self, ids: Sequence[str]) -> list[Kept]:
        """Those of `ids` that are held and listed, and how many Orders hold them."""
        found: list[Kept] = []
        for start in range(0, len(ids), _ROWS_IN_ONE_READ):
            batch = ids[start : start + _ROWS_IN_ONE_READ]
            for listing, capacity in self._busy(lambda: self.inventory.store.listings(batch)).values():  # noqa: B023
                if not listing.deleted and capacity and capacity.spaces_left != capacity.spaces_total:
                    found.append(self._as_kept(listing, counted=len(found) < _SHOWN_OF_THE_KEPT))
        return sorted(found, key=lambda each: (str(each.starts_at), each.id))

    def _listings(self, ids: Sequence[str]) -> Iterator[Listing]:
        for start in range(0, len(ids), _ROWS_IN_ONE_READ):
            batch = ids[start : start + _ROWS_IN_ONE_READ]
            for listing, _ in self._busy(lambda: self.inventory.store.listings(batch)).values():  # noqa: B023
                yield listing

    def _as_kept(self, listing: Listing, *, counted: bool) -> Kept:
        opportunity = listing.opportunity
        orders = self._busy(lambda: self.inventory.standing(opportunity.id)) if counted else 1
        return Kept(opportunity.id, opportunity.name, opportunity.starts_at, orders)

    def _save(self, entry: PlanEntry) -> PlanEntry:
        try:
            pending = [row] if (row := entry.due_row) else []
            return self._busy(lambda: self.register.save(entry, pending=pending))
        except RecordChanged:
            raise ChangedMeanwhile(
                f"Another import, or the schedule, has just changed {entry.plan.id}. Run this again."
            ) from None

    def _busy(self, action: Callable[[], T]) -> T:
        return self.retry.run(action, on=(StoreBusy,))


@dataclass(frozen=True)
class _Step:
    """The application of one plan."""

    publisher: Publisher
    plan: Plan
    earlier: Mapping[str, Occurrence]
    applied: Applied
    each: Each
    on_progress: OnProgress

    def publish(self, children: Sequence[Child]) -> None:
        parts, done = self.publisher.together(self.plan, children), 0

        def publish_part(part: Sequence[Child]) -> Published:
            return self.publisher.publish(self.plan, part, self.earlier)

        for part, published in zip(parts, self.each(publish_part, parts), strict=True):
            self.applied.children.add(published)
            done += len(part)
            self.on_progress(done, len(children))


def as_stored(plan: Plan) -> Plan:
    """The plan as it is read from its row, for a comparison with one that was."""
    return codec.from_json(codec.to_json(plan), Plan)


def _different(before: Iterable[Plan], plan: Plan) -> Iterator[Plan]:
    """The plans that differ from `plan` and from each other."""
    seen = [as_stored(plan)]
    for each in before:
        if each not in seen:
            seen.append(each)
            yield each
