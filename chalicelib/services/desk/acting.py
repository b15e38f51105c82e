"""What all actions of a Seller share: the actions themselves, a dry run of them, and the journal."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from chalicelib.booking.decisions import Change, SaveOrder
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.services.actors import Actor
from chalicelib.services.desk.belongings import Belongings
from chalicelib.services.journal import Journal
from chalicelib.services.seller_actions import SellerActions
from chalicelib.storage.store import Reclaimed, Store
from chalicelib.values import dataclass, replace


@dataclass(frozen=True)
class Acting:
    """The actions of one installation, each in the name of an actor. `journal` notes what was done."""

    belongings: Belongings
    actions: SellerActions
    journal: Journal

    def on_orders(self, *, dry_run: bool) -> "OnOrders":
        """The actions on single Orders; in a dry run they decide, raise their errors, and write nothing."""
        attempts = self.actions.attempts
        kept = _Kept(attempts.store, writes=not dry_run)
        actions = replace(self.actions, attempts=replace(attempts, store=cast(Store, kept)))
        return OnOrders(actions, kept.orders)

    def note(self, actor: Actor, what: str, changed: Mapping[str, str] | None = None, /, **ids: str) -> None:
        """Note what the actor has done for its Seller."""
        self.journal.note_as(actor, what, changed, **ids)


@dataclass(frozen=True)
class OnOrders:
    """Actions on single Orders. `decided`: each Order as they left it, or in a dry run would leave it."""

    actions: SellerActions
    decided: Mapping[OrderKey, Order]


class _Kept:
    """A store that keeps the Orders which are committed; it writes them only if `writes`."""

    def __init__(self, store: Store, *, writes: bool) -> None:
        self._store = store
        self._writes = writes
        self.orders: dict[OrderKey, Order] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, changes: Sequence[Change]) -> None:
        """Without writing: the decision was made on what is stored, and raised its errors."""
        if self._writes:
            self._store.commit(changes)
        for change in changes:
            if isinstance(change, SaveOrder) and isinstance(change.order, Order):
                self.orders[change.order.key] = change.order

    def reclaim(
        self, opportunity_id: str, now: datetime, *, set_aside: bool = False, at_most: int | None = None
    ) -> Reclaimed:
        if not self._writes:
            return Reclaimed(0)
        return self._store.reclaim(opportunity_id, now, set_aside=set_aside, at_most=at_most)
