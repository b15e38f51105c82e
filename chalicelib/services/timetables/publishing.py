"""Publishes courses, and the sessions or slots of plans, in the inventory, and withdraws those that a plan no longer has.

What the Seller did to one session since then is kept: cancelled ones stay cancelled, moved ones stay where they are.
A session or slot that is booked is never withdrawn.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from chalicelib.domain.capacity import Capacity
from chalicelib.services.inventory import Document, Inventory, Outcome
from chalicelib.services.timetables.documents import (
    child_document,
    is_called_off,
    own_logistics,
    own_of_course,
    parent_document,
    source_of,
)
from chalicelib.services.timetables.plans import Plan, Unit
from chalicelib.services.timetables.recurrence import Occurrence
from chalicelib.storage import codec
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass, field

T = TypeVar("T")
Child: TypeAlias = tuple[str, Unit, Occurrence]
Known: TypeAlias = tuple[Listing, Capacity | None] | None

# A transaction writes two rows for each. It could be 50; a slow engine is then busy for longer than a call waits, and the
# rate is the same. DynamoDB takes 4 MB in one.
_TOGETHER = 25
_BYTES_TOGETHER = 3_000_000


@dataclass
class Published:
    """What happened to the sessions or slots of one plan."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    called_off: list[str] = field(default_factory=list)
    """Cancelled or postponed by the Seller: they are not changed."""
    more_held: dict[str, int] = field(default_factory=dict)
    """More spaces are held than the plan has: they keep as many."""
    others: list[str] = field(default_factory=list)
    """They belong to another source or Seller, which alone may change them."""

    def add(self, other: "Published") -> None:
        self.outcomes += other.outcomes
        self.called_off += other.called_off
        self.more_held |= other.more_held
        self.others += other.others


@dataclass(frozen=True)
class Publisher:
    """Raises StillBusy; what was published stays, and a repetition does the rest."""

    inventory: Inventory
    retry: RetryPolicy

    def publish_parent(self, plan: Plan) -> Outcome:
        """Publish a series or facility."""
        document = parent_document(plan)
        return self._patiently(lambda: self.inventory.put_in(document, self._known(plan.parent_id)))

    def publish_course(self, plan: Plan, sold: Collection[str], before: Collection[Plan]) -> Published:
        """Publish a course in place of that of the plans `before`; `sold` are the ids of its sessions that are sold singly.

        A session that is over stays one of them, so that those who have booked the course keep their spaces of it.
        """
        assert plan.whole is not None
        programme = {opportunity_id for opportunity_id, _ in plan.programme}

        def document(listing: Listing | None) -> Document:
            kept = set(listing.opportunity.sub_events) & programme if listing and plan.units else set()
            ids = sorted({*sold, *kept})
            found = self.inventory.store.listings(ids).values() if ids else ()
            listed = {each.opportunity.id: each.opportunity for each, _ in found if not each.deleted}
            own = own_of_course(listing, before) if listing else None
            return parent_document(plan, own, ids, listed)

        done = Published()
        wanted = _Wanted(plan.parent_id, plan.whole.spaces, document)
        self._put_in(wanted, self._patiently(lambda: self._known(plan.parent_id)), done)
        return done

    def together(self, plan: Plan, children: Sequence[Child]) -> list[Sequence[Child]]:
        """The children in parts that fit one transaction each."""
        if not children:
            return []
        _, unit, occurrence = children[0]
        opportunity = child_document(plan, unit, occurrence).published.opportunity
        size = max(1, min(_TOGETHER, _BYTES_TOGETHER // len(codec.to_json(opportunity))))
        return [children[start : start + size] for start in range(0, len(children), size)]

    def publish(self, plan: Plan, children: Sequence[Child], earlier: Mapping[str, Occurrence]) -> Published:
        """Add or change one part; `earlier` has when they took place by the plans that this one replaces."""
        done = Published()
        new = [child for child in children if child[0] not in earlier]
        known = [child for child in children if child[0] in earlier]
        if new:
            documents = [child_document(plan, unit, occurrence) for _, unit, occurrence in new]
            try:
                self.retry.run(lambda: self.inventory.add_together(documents), on=(StoreBusy,))
                done.outcomes[Outcome.added] += len(new)
            except CommitRefused:  # some are there, from an attempt that did not finish
                known += new
        if known:
            ids = [child_id for child_id, _, _ in known]
            listings = self._patiently(lambda: self.inventory.store.listings(ids))
            for child in known:
                wanted = _child_of(plan, child, earlier.get(child[0]))
                self._put_in(wanted, listings.get(child[0]), done)
        return done

    def withdraw(self, ids: Sequence[str], seller_id: str) -> tuple[int, list[str]]:
        """Withdraw up to 50 that no plan has any more: how many, and the ids of those that are held and so stay."""
        listings = self._patiently(lambda: self.inventory.store.listings(ids))
        withdrawn, held = 0, []
        for each in ids:
            listing, _ = listings.get(each, (None, None))
            if listing is None or listing.deleted or listing.source != source_of(seller_id):
                continue
            if self._patiently(partial(self.inventory.withdraw_unless_held, each)) is None:
                held.append(each)
            else:
                withdrawn += 1
        return withdrawn, held

    def _put_in(self, wanted: "_Wanted", known: Known, done: Published) -> None:
        try:
            self._decide(wanted, known, done)
        except (CommitRefused, StoreBusy):
            self._patiently(lambda: self._decide(wanted, self._known(wanted.id), done))

    def _decide(self, wanted: "_Wanted", known: Known, done: Published) -> None:
        listing = known[0] if known is not None and not known[0].deleted else None
        if listing is not None and is_called_off(listing):
            done.called_off.append(wanted.id)
            return
        outcome = self.inventory.put_in(wanted.document(listing), known)
        if outcome is Outcome.elsewhere:
            done.others.append(wanted.id)
            return
        if known is not None and known[1] is not None and known[1].spaces_total != wanted.spaces:
            total = self.inventory.resize(wanted.id, wanted.spaces)
            outcome = Outcome.changed
            if total != wanted.spaces:
                done.more_held[wanted.id] = total
        done.outcomes[outcome] += 1

    def _known(self, opportunity_id: str) -> Known:
        return self.inventory.store.listings([opportunity_id]).get(opportunity_id)

    def _patiently(self, action: Callable[[], T]) -> T:
        return self.retry.run(action, on=(CommitRefused, StoreBusy))


@dataclass(frozen=True)
class _Wanted:
    """What can be booked, as it is to be published: its document, with what the Seller changed of its listing alone."""

    id: str
    spaces: int
    document: Callable[[Listing | None], Document]


def _child_of(plan: Plan, child: Child, planned: Occurrence | None) -> _Wanted:
    opportunity_id, unit, occurrence = child

    def document(listing: Listing | None) -> Document:
        own = own_logistics(listing, planned, plan) if listing else None
        return child_document(plan, unit, occurrence, own)

    return _Wanted(opportunity_id, plan.spaces, document)
