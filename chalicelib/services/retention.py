"""Retention: once a day, people are erased from Orders whose sessions have ended long enough ago.

The whole table of Orders is read, a page in each step. A row for each Order with the time at which it is due would be
found without reading the others, but would make every booking write more; a read of 100,000 Orders costs a few cents.
What else has an end is removed by DynamoDB's TTL: quotes, parked records, the journal, deleted feed items.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.booking.decisions import Moment, Wanted
from chalicelib.booking.erasure import end_of, erase_people
from chalicelib.domain.orders import Order, OrderKind
from chalicelib.services import daily
from chalicelib.services.attempts import Attempts
from chalicelib.services.journal import Journal
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.pending import RETENTION, PendingStore, PendingWork
from chalicelib.storage.store import Store
from chalicelib.values import dataclass
from chalicelib.wire.answers import ANSWERS

KIND = RETENTION

# Orders read in one step; in the worst case each is written.
STEP = 100


@dataclass(frozen=True)
class Reached:
    """How far a day's work is: the cursor of the next page, and how many Orders were changed before it."""

    cursor: str = ""
    erased: int = 0


@dataclass(frozen=True)
class Retention:
    """Erases people `kept_for` after the end of the last session of their Order."""

    store: Store
    pending: PendingStore
    attempts: Attempts
    journal: Journal
    moment: Callable[[], Moment]
    kept_for: timedelta

    def take_step(self, entry: PendingWork, limit: int = STEP) -> Step:
        """Read the next page of Orders, and erase those that are due. A step may be repeated.

        Raises Undecodable, StillBusy, StoreBusy.
        """
        reached = codec.from_json(entry.progress, Reached) if entry.progress else Reached()
        now = self.moment().now
        page = self.store.scan_orders(reached.cursor, limit=limit)
        due = [row for row in page.rows if isinstance(row, Order) and self._is_due(row, now)]
        erased = reached.erased + sum(self._erase(order) for order in due)
        if page.cursor is not None:
            return Step(len(due), codec.to_json(Reached(page.cursor, erased)))
        if erased:
            self.journal.note("people erased after retention", orders=str(erased))
        daily.plan_next(self.pending, KIND, now)
        return Step(len(due))

    def _is_due(self, order: Order, now: datetime) -> bool:
        ends_at = end_of(order)
        if order.erased_at is not None or order.kind is OrderKind.OrderQuote or ends_at is None:
            return False
        return max(ends_at, order.created_at or ends_at) + self.kept_for <= now

    def _erase(self, order: Order) -> bool:
        moment = self.moment()
        return self.attempts.carry_out(
            Wanted(order.key), lambda snapshot: erase_people(snapshot, moment, None, ANSWERS), moment.now
        )
