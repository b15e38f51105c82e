"""Finds what belongs to the Seller of an actor. What belongs to another Seller is not found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.services.actors import Actor
from chalicelib.services.errors import InvalidValue, NotFound, NotUnique
from chalicelib.services.seller_ids import SellerIds
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.lists import OrderList
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store

T = TypeVar("T")

# Keys in one read of a list: about 250 bytes each, of the 1 MB that a read can have.
_KEYS = 4000


@dataclass(frozen=True)
class Belongings:
    """The sessions, bookings and proposals of Sellers. Every method may raise StillBusy."""

    store: Store
    retry: RetryPolicy
    ids: SellerIds

    def session(self, actor: Actor, text: str) -> tuple[Listing, Capacity]:
        """The session or slot with this id, also a withdrawn one. Our own ids are found under any host.

        Raises NotFound; InvalidValue for a parent, which has no places itself.
        """
        meant = self.ids.meant(text)
        found = self.patiently(lambda: self.store.listings(meant))
        for opportunity_id in meant:
            listing, capacity = found.get(opportunity_id, (None, None))
            if listing is None or not actor.owns(listing.opportunity.seller_id):
                continue
            kind = listing.opportunity.type
            if not kind.is_bookable or capacity is None:
                raise InvalidValue(
                    f"{text} is a {kind}: name one of the sessions or slots that belong to it."
                )
            return listing, capacity
        raise NotFound("session or slot", text)

    def booking(self, actor: Actor, uuid: str, partner: str | None = None) -> Order:
        """The Order with this UUID. Without its booking partner, all keys of the Seller's bookings are read.

        Raises NotFound; NotUnique if several partners use this UUID.
        """
        return self._order(actor, uuid, partner, OrderKind.Order, (OrderList.bookings,), "booking")

    def proposal(self, actor: Actor, uuid: str, partner: str | None = None) -> Order:
        """The OrderProposal with this UUID, also one that was rejected. The same otherwise."""
        lists = (OrderList.proposals, OrderList.rejected)
        return self._order(actor, uuid, partner, OrderKind.OrderProposal, lists, "proposal")

    def _order(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None,
        kind: OrderKind,
        lists: tuple[OrderList, ...],
        what: str,
    ) -> Order:
        uuid = uuid.strip()
        keys = [OrderKey(partner, uuid)] if partner is not None else self._keys(actor, uuid, lists)
        found = [
            order
            for order in self.patiently(lambda: self.store.orders(keys)).values()
            if isinstance(order, Order) and order.kind is kind and actor.owns(order.seller_id)
        ]
        if not found:
            raise NotFound(what, uuid)
        if len(found) > 1:
            partners = ", ".join(sorted(order.key.partner_id for order in found))
            raise NotUnique(f"Several booking partners have a {what} {uuid} ({partners})", "booking partner")
        return found[0]

    def _keys(self, actor: Actor, uuid: str, lists: tuple[OrderList, ...]) -> list[OrderKey]:
        """The keys with this UUID in lists of the Seller: a UUID is unique for one booking partner only (GEN-04)."""
        found: list[OrderKey] = []
        for which in lists:
            after: str | None = ""
            while after is not None:
                page = self.patiently(
                    lambda: self.store.listed_orders(which, actor.seller_id, after=after or "", limit=_KEYS)  # noqa: B023
                )
                found += [key for key in page.keys if key.uuid == uuid]
                after = page.following
        return found

    def patiently(self, read: Callable[[], T]) -> T:
        """What `read` returns, retried while the store is busy."""
        return self.retry.run(read, on=(StoreBusy,))
