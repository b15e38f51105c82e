"""A message to everybody who has booked an Opportunity: a notice, or new codes and passes. In steps that can be resumed.

The message is written as pending work before the first holder gets it, so no holder is missed if the process stops. An
Order that cannot be written is set aside and does not delay the others.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from chalicelib.booking.decisions import Decision, Moment, Snapshot, Wanted
from chalicelib.booking.seller import notify_customer, renew_access
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.services.attempts import carry_out
from chalicelib.services.pending import Observer, Step
from chalicelib.storage import codec
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.pending import HOLDER_MESSAGE, SET_ASIDE, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, replace

KIND = HOLDER_MESSAGE

# Holds in one step, as in `following`.
STEP = 100
_THREADS = 4

_PASSING = (CommitRefused, StillBusy, StoreBusy)


@dataclass(frozen=True)
class HolderMessage:
    """What each holder of an Opportunity gets. `only` is the key of the one holder that is left, as text."""

    opportunity_id: str
    notice: str | None = None
    codes: bool = False
    passes: bool = False
    code: str | None = None
    only: str | None = None


def pending_message(message: HolderMessage, message_id: str) -> PendingWork:
    """The entry of a message. Several messages on one Opportunity are separate entries."""
    return PendingWork(KIND, f"{message.opportunity_id} {message_id}", codec.to_json(message))


@dataclass(frozen=True)
class Informer:
    """Takes the steps, for one installation at one time."""

    store: Store
    pending: PendingStore
    moment: Moment
    retry: RetryPolicy
    observer: Observer

    def take_step(self, entry: PendingWork, limit: int = STEP) -> Step:
        """Inform the next holders, at most `limit`. A repeated step sends the same notice, and codes once more.

        Raises Undecodable.
        """
        message = codec.from_json(entry.document, HolderMessage)
        if message.only is not None:
            self._inform(OrderKey(*message.only.rsplit("#", 1)), message)
            return Step(1)
        holds = self.store.holds(message.opportunity_id, after=entry.progress, limit=limit)
        booked = [key for key, hold in holds.items() if hold.state is HoldState.booked]
        with ThreadPoolExecutor(_THREADS) as threads:
            errors = list(threads.map(lambda key: self._try(key, message), booked))
        self._set_aside(entry, message, booked, errors)
        return Step(len(booked), str(list(holds)[-1]) if len(holds) == limit else None)

    def _set_aside(
        self,
        entry: PendingWork,
        message: HolderMessage,
        booked: Sequence[OrderKey],
        errors: Sequence[Exception | None],
    ) -> None:
        for key, error in zip(booked, errors, strict=True):
            if error is None:
                continue
            if isinstance(error, _PASSING):
                raise error  # the step is repeated
            aside = PendingWork(
                SET_ASIDE + KIND,
                f"{entry.id} {key}",
                codec.to_json(replace(message, only=str(key))),
                error=repr(error),
                failed_at=self.moment.now,
            )
            self.pending.exchange((), [aside])
            self.observer.work_set_aside(KIND, aside.id, error)

    def _try(self, key: OrderKey, message: HolderMessage) -> Exception | None:
        try:
            self._inform(key, message)
        except Exception as error:  # any error: the other holders are informed
            return error
        return None

    def _inform(self, key: OrderKey, message: HolderMessage) -> None:
        carry_out(
            self.store,
            Wanted(key),
            lambda snapshot: self._decide(snapshot, message),
            now=self.moment.now,
            retry=self.retry,
        )

    def _decide(self, snapshot: Snapshot, message: HolderMessage) -> Decision[None]:
        order = snapshot.order
        if not isinstance(order, Order) or order.kind is not OrderKind.Order:
            return Decision(None)  # deleted meanwhile
        items = items_on(order, message.opportunity_id)
        if message.notice is not None:
            return notify_customer(snapshot, message.notice, item_ids=items)
        return renew_access(
            snapshot,
            self.moment,
            codes=message.codes,
            passes=message.passes,
            code=message.code,
            item_ids=items,
        )


def items_on(order: Order, opportunity_id: str) -> list[str]:
    """The ids of the OrderItems that hold a space of an Opportunity."""
    return [
        item.id
        for item in order.items
        if item.id and item.holds_a_space and item.opportunity and item.opportunity.id == opportunity_id
    ]
