"""Bringing a change of an Opportunity to everyone who holds it: in bounded steps, resumable, nobody missed.

The change is noted in the same transaction that publishes it, and crossed off when it is done. Whoever
comes next, after a crash or in the next minute, goes on where the note says.
"""

from dataclasses import replace

from chalicelib.booking.decisions import Moment
from chalicelib.booking.opportunity_changes import OpportunityChange, follow
from chalicelib.domain.capacity import HoldState
from chalicelib.services.attempts import carry_out_on_order
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

# Orders in one step: with some ten milliseconds each, a step stays far below a Lambda's time.
STEP = 100


def follow_all(store: Store, moment: Moment, retry: RetryPolicy, *, steps: int = 10) -> int:
    """Take up to `steps` steps on changes that are not done; how many Orders were looked at."""
    seen = 0
    for _ in range(steps):
        changes = store.open_changes(1)
        if not changes:
            break
        seen += take_step(store, changes[0], moment, retry)
    return seen


def finish_change(store: Store, opportunity_id: str, moment: Moment, retry: RetryPolicy) -> int:
    """Work through the change of one Opportunity to its end; how many Orders were looked at."""
    seen = 0
    while change := store.open_change(opportunity_id):
        seen += take_step(store, change, moment, retry)
    return seen


def take_step(
    store: Store, change: OpportunityChange, moment: Moment, retry: RetryPolicy, limit: int = STEP
) -> int:
    """See to the next holders, at most `limit`; how many. Doing a step twice does nothing more.

    One pass over the register reaches everyone: since the change was published, with a new revision,
    no commit at the old one gets through, so that nobody can still come in behind.
    """
    listing = store.listings([change.opportunity_id])[change.opportunity_id][0]
    holders = sorted(
        (
            (str(key), key)
            for key, hold in store.holds(change.opportunity_id).items()
            if hold.state is not HoldState.leased and str(key) > change.done_up_to
        ),
        key=lambda pair: pair[0],
    )
    for _, key in holders[:limit]:
        carry_out_on_order(
            store,
            key,
            lambda snapshot: follow(change, listing.opportunity, snapshot, moment),
            now=moment.now,
            retry=retry,
        )
    if len(holders) > limit:
        store.note_change(replace(change, done_up_to=holders[limit - 1][0]))
    else:
        store.close_change(change)
    return len(holders[:limit])
