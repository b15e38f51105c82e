"""Update a partner's feeds after a Seller's authorisation changes: in bounded, resumable steps (OFEED-15).

Whether the partner may see an Order is decided when its feed item is written. This module only writes each
Order of the Seller that was ever in the feed again, so that its feed item is written again too.
"""

from datetime import datetime

from chalicelib.booking.decisions import Decision, Snapshot, Wanted, save_order
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.identity.consent import FeedReview
from chalicelib.services.attempts import carry_out
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.pending import FEED_REVIEW, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

KIND = FEED_REVIEW
STEP = 100


def take_step(
    entry: PendingWork,
    feeds: FeedStore,
    store: Store,
    now: datetime,
    retry: RetryPolicy,
    limit: int = STEP,
) -> Step:
    """Write the next Orders again, at most `limit` of each feed. A step may be repeated."""
    review = codec.from_json(entry.document, FeedReview)
    partner_id = review.partner_id
    pages = [
        feeds.items(feed_id, entry.progress, limit)
        for feed_id in (orders_feed(partner_id), proposals_feed(partner_id))
    ]
    # Only up to where both pages reach, so that no item of either is skipped.
    full = [page[-1] for page in pages if len(page) == limit]
    reached = min(full) if full else None
    found = sorted({uuid for page in pages for uuid in page if reached is None or uuid <= reached})
    for uuid in found:
        carry_out(
            store,
            Wanted(OrderKey(partner_id, uuid)),
            lambda snapshot: _written_again(snapshot, review.seller_id),
            now=now,
            retry=retry,
        )
    return Step(len(found), reached)


def _written_again(snapshot: Snapshot, seller_id: str) -> Decision[None]:
    order = snapshot.order
    if not isinstance(order, Order) or order.seller_id != seller_id or not order.published:
        return Decision(None)
    return Decision(None, (save_order(order, order),))
