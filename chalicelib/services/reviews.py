"""A partner's feeds follow what a Seller allows it: in bounded steps, resumable, nothing forgotten (OFEED-15).

Whether an Order may be seen is decided where it is written into the feed. Here each Order of the Seller that
ever stood there is merely written anew, so that its feed item is.
"""

from dataclasses import replace
from datetime import datetime

from chalicelib.booking.decisions import Decision, SaveOrder, Snapshot, Wanted
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.streams import orders_feed, proposals_feed
from chalicelib.identity.register import FeedReview, RecordChanged, Register
from chalicelib.services.attempts import carry_out
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store

STEP = 100


def review_feeds(
    register: Register, feeds: FeedStore, store: Store, now: datetime, retry: RetryPolicy, *, steps: int = 10
) -> int:
    """Take up to `steps` steps on reviews that are not done; how many Orders were looked at."""
    seen = 0
    for _ in range(steps):
        waiting = register.feed_reviews()
        if not waiting:
            break
        seen += take_step(waiting[0], register, feeds, store, now, retry)
    return seen


def take_step(
    review: FeedReview,
    register: Register,
    feeds: FeedStore,
    store: Store,
    now: datetime,
    retry: RetryPolicy,
    limit: int = STEP,
) -> int:
    """See to the next Orders, at most `limit` of each feed; how many. Doing a step twice does no harm."""
    partner_id = review.partner_id
    pages = [
        feeds.items(feed_id, review.done_up_to, limit)
        for feed_id in (orders_feed(partner_id), proposals_feed(partner_id))
    ]
    # Up to where both pages reach, so that nothing is left out of either.
    full = [page[-1] for page in pages if len(page) == limit]
    reached = min(full) if full else None
    found = sorted({uuid for page in pages for uuid in page if reached is None or uuid <= reached})
    for uuid in found:
        key = OrderKey(partner_id, uuid)
        carry_out(
            store,
            Wanted(key),
            lambda snapshot: _written_anew(snapshot, review.seller_id),
            now=now,
            retry=retry,
        )
    try:
        if reached is None:
            register.remove(review)
        else:
            register.save(replace(review, done_up_to=reached))
    except RecordChanged:
        pass  # somebody else does the same, and is further
    return len(found)


def _written_anew(snapshot: Snapshot, seller_id: str) -> Decision[None]:
    order = snapshot.order
    if not isinstance(order, Order) or order.seller_id != seller_id or not order.published:
        return Decision(None)
    return Decision(None, (SaveOrder(replace(order, version=order.version + 1), order.version),))
