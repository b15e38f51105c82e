"""Bringing a change of an Opportunity to everyone who holds it: in bounded steps, resumable, nobody missed.

The change is written in the transaction that publishes it, as pending work, and finished when everyone has
it. Whoever takes the next step, after a crash or in the next minute, continues where the entry says.
"""

from chalicelib.booking.decisions import Moment
from chalicelib.booking.opportunity_changes import OpportunityChange, follow
from chalicelib.domain.capacity import HoldState
from chalicelib.services.attempts import carry_out_on_order
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

KIND = "opportunity-change"

# Holds in one step: with some ten milliseconds each, a step stays far below a Lambda's time.
STEP = 100


def pending_change(change: OpportunityChange) -> PendingWork:
    """The entry of a change. A later change of the same Opportunity takes its place."""
    return PendingWork(KIND, change.opportunity_id, codec.to_json(change), revision=change.revision)


def read_change(entry: PendingWork) -> OpportunityChange:
    """The change that an entry is about. Raises Undecodable."""
    return codec.from_json(entry.document, OpportunityChange)


def take_step(
    entry: PendingWork, store: Store, moment: Moment, retry: RetryPolicy, limit: int = STEP
) -> Step:
    """Bring the change to the next holders, at most `limit`. Repeating a step changes nothing.

    One pass over the register reaches everyone: since the change was published, with a new revision,
    no commit at the old one succeeds, so that nobody can be added behind.
    """
    change = read_change(entry)
    listing = store.listings([change.opportunity_id])[change.opportunity_id][0]
    holds = store.holds(change.opportunity_id, after=entry.progress, limit=limit)
    holders = [key for key, hold in holds.items() if hold.state is not HoldState.leased]
    for key in holders:
        carry_out_on_order(
            store,
            key,
            lambda snapshot: follow(change, listing.opportunity, snapshot, moment),
            now=moment.now,
            retry=retry,
        )
    reached = str(list(holds)[-1]) if len(holds) == limit else None
    return Step(len(holders), reached)
