"""Apply a change of an Opportunity to every Order that holds it: in bounded steps that can be resumed.

The change is written as pending work in the transaction that publishes it, and is finished when every Order
follows it. The entry records the progress, so the next step, also after a crash, continues from there. An Order
that cannot be written becomes a separate entry, so that it does not delay the others.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from chalicelib.booking.decisions import Decision, Moment, MoveHold, Snapshot, Wanted
from chalicelib.booking.opportunity_changes import OpportunityChange, follow
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.orders import OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.pending import Observer, Step
from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import CommitRefused, OrderTooLarge, StillBusy, StoreBusy, UnreadableRow
from chalicelib.storage.pending import (
    HOLDER_CHANGE,
    OPPORTUNITY_CHANGE,
    SET_ASIDE,
    PendingStore,
    PendingWork,
)
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass

KIND = OPPORTUNITY_CHANGE
# For one holder of an Opportunity to which the change could not be applied.
HOLDER_KIND = HOLDER_CHANGE

# Holds in one step: at about ten milliseconds each, a step takes far less than a Lambda's timeout.
STEP = 100
# Orders in one transaction. A row can have 400 KB and a transaction 4 MB, but few Orders are a tenth of that.
_TOGETHER = 10
# Concurrent transactions; those that move the same counters run one after another.
_THREADS = 4

_PASSING = (CommitRefused, StillBusy, StoreBusy)
# Errors that a retry cannot resolve.
_HOPELESS = (OrderTooLarge, Undecodable, UnreadableRow)


@dataclass(frozen=True)
class HolderChange:
    """A change that must still be applied to one Order or OrderProposal."""

    change: OpportunityChange
    partner_id: str
    uuid: str

    @property
    def key(self) -> OrderKey:
        return OrderKey(self.partner_id, self.uuid)


def pending_change(change: OpportunityChange) -> PendingWork:
    """The entry of a change. A later change of the same Opportunity replaces it."""
    return PendingWork(KIND, change.opportunity_id, codec.to_json(change), revision=change.revision)


def read_change(entry: PendingWork) -> OpportunityChange:
    """The change in an entry. Raises Undecodable."""
    return codec.from_json(entry.document, OpportunityChange)


@dataclass(frozen=True)
class Follower:
    """Takes the steps, for one installation at one time."""

    store: Store
    pending: PendingStore
    moment: Moment
    retry: RetryPolicy
    observer: Observer

    def take_step(self, entry: PendingWork, limit: int = STEP) -> Step:
        """Apply the change to the next holders, at most `limit`. Repeating a step changes nothing.

        One pass over the register reaches every holder: the change was published with a new revision, and no
        commit with the old one succeeds, so that no holder can be added behind. Each holder is read once.
        """
        change = read_change(entry)
        listing = self._listing(change)
        holds = self.store.holds(change.opportunity_id, after=entry.progress, limit=limit)
        holders = [key for key, hold in holds.items() if hold.state is not HoldState.leased]
        self._bring_to(holders, change, listing)
        reached = str(list(holds)[-1]) if len(holds) == limit else None
        return Step(len(holders), reached)

    def take_holders_step(self, entry: PendingWork) -> Step:
        """Apply a change to the one holder that an entry of HOLDER_KIND names."""
        holder = codec.from_json(entry.document, HolderChange)
        self._bring_to_one(holder.key, holder.change, self._listing(holder.change))
        return Step(1)

    def _listing(self, change: OpportunityChange) -> Listing:
        return self.store.listings([change.opportunity_id])[change.opportunity_id][0]

    def _bring_to(self, holders: Sequence[OrderKey], change: OpportunityChange, listing: Listing) -> None:
        """Write many Orders in one transaction; write those one by one that cannot be combined."""
        apart: list[OrderKey] = []
        with ThreadPoolExecutor(_THREADS) as threads:
            decisions = self._decided(holders, change, listing, apart)
            moving = [each for each in decisions if _moves_spaces(each[1])]
            still = [each for each in decisions if not _moves_spaces(each[1])]
            for refused in threads.map(self._commit, _in_groups(still)):
                apart += refused
            for group in _in_groups(moving):
                apart += self._commit(group)
            tried = list(threads.map(lambda key: (key, self._try_one(key, change, listing)), apart))
        failed = [(key, error) for key, error in tried if error is not None]
        if failed and len(failed) == len(holders) and not any(isinstance(e, _HOPELESS) for _, e in failed):
            raise failed[0][1]  # not caused by the Orders: the worker notes one failure, of the change
        for key, error in failed:
            if not isinstance(error, _PASSING):
                self._note(HolderChange(change, key.partner_id, key.uuid), error)
        for _, error in failed:
            if isinstance(error, _PASSING):
                raise error  # the step is repeated; holders that already have the change are skipped

    def _decided(
        self,
        holders: Sequence[OrderKey],
        change: OpportunityChange,
        listing: Listing,
        apart: list[OrderKey],
    ) -> list[tuple[OrderKey, Decision[None]]]:
        """What to write for each Order, all read at once. Those for which deciding fails go `apart`."""
        try:
            orders = self.store.orders(holders)
        except _HOPELESS:
            apart += holders  # one of them cannot be read; it is found when each is tried
            return []
        decisions = []
        for key, order in orders.items():
            try:
                decision = self._decide(Snapshot(order=order), change, listing)
            except Exception:  # the error is raised again when this one is tried
                apart.append(key)
                continue
            if decision.changes:
                decisions.append((key, decision))
        return decisions

    def _commit(self, group: Sequence[tuple[OrderKey, Decision[None]]]) -> list[OrderKey]:
        """Write the decisions in one transaction, and return those that must be tried one by one."""
        changes = [change for _, decision in group for change in decision.changes]
        try:
            self.retry.run(lambda: self.store.commit(changes), on=(StoreBusy,))
        except Exception:  # caused by one of them, and raised again when each is tried
            return [key for key, _ in group]
        return []

    def _try_one(self, key: OrderKey, change: OpportunityChange, listing: Listing) -> Exception | None:
        try:
            self._bring_to_one(key, change, listing)
        except Exception as error:
            return error
        return None

    def _bring_to_one(self, key: OrderKey, change: OpportunityChange, listing: Listing) -> None:
        carry_out(
            self.store,
            Wanted(key),
            lambda snapshot: self._decide(snapshot, change, listing),
            now=self.moment.now,
            retry=self.retry,
        )

    def _decide(self, snapshot: Snapshot, change: OpportunityChange, listing: Listing) -> Decision[None]:
        return follow(change, listing.opportunity, snapshot, self.moment, is_withdrawn=listing.deleted)

    def _note(self, holder: HolderChange, error: Exception) -> None:
        """Add a separate entry for a holder that failed: to be retried, or set aside at once."""
        document, revision = codec.to_json(holder), holder.change.revision
        entry_id = f"{holder.change.opportunity_id} {holder.key} {revision}"
        if not isinstance(error, _HOPELESS):
            self.observer.work_failed(HOLDER_KIND, entry_id, error)
            self.pending.exchange((), [PendingWork(HOLDER_KIND, entry_id, document, revision=revision)])
            return
        aside = PendingWork(
            SET_ASIDE + HOLDER_KIND,
            entry_id,
            document,
            revision=revision,
            error=repr(error),
            failed_at=self.moment.now,
        )
        self.pending.exchange((), [aside])
        self.observer.work_set_aside(HOLDER_KIND, entry_id, error)


def _moves_spaces(decision: Decision[None]) -> bool:
    return any(isinstance(change, MoveHold) for change in decision.changes)


def _in_groups(
    decisions: Sequence[tuple[OrderKey, Decision[None]]],
) -> Iterator[Sequence[tuple[OrderKey, Decision[None]]]]:
    for start in range(0, len(decisions), _TOGETHER):
        yield decisions[start : start + _TOGETHER]
