"""Finds what belongs to the Seller of an actor. What belongs to another Seller is not found."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.services.actors import Actor
from chalicelib.services.desk.words import word
from chalicelib.services.errors import InvalidValue, NotFound, NotUnique
from chalicelib.services.seller_ids import SHORTEST_UUID, SellerIds
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.lists import OrderList
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass
from chalicelib.wire.links import parse_uuid

T = TypeVar("T")

# Keys in one read of a list: about 250 bytes each, of the 1 MB that a read can have.
_KEYS = 4000
# UUIDs that a refusal lists.
_LISTED = 5


@dataclass(frozen=True)
class Belongings:
    """The sessions, bookings and proposals of Sellers. Every method may raise StillBusy."""

    store: Store
    retry: RetryPolicy
    ids: SellerIds

    def session(self, actor: Actor, text: str) -> tuple[Listing, Capacity]:
        """The session or slot with this id, also a withdrawn one. Our own ids are found under any host, and short.

        Raises NotFound; InvalidValue for a parent, which has no places itself.
        """
        meant = self.ids.meant_by_seller(actor.seller_id, text)
        found = self.patiently(lambda: self.store.listings(meant))
        for opportunity_id in meant:
            listing, capacity = found.get(opportunity_id, (None, None))
            if listing is None or not actor.owns(listing.opportunity.seller_id):
                continue
            kind = listing.opportunity.type
            if not kind.is_bookable or capacity is None:
                raise InvalidValue(
                    f"{text} is a {word(kind)}: name one of the sessions or slots that belong to it."
                )
            return listing, capacity
        raise NotFound("session or slot", text)

    def booking(self, actor: Actor, uuid: str, partner: str | None = None) -> Order:
        """The Order with this UUID, or with this beginning of it.

        Without a whole UUID and its booking partner, all keys of the Seller's bookings are read. Raises NotFound;
        NotUnique if several partners use this UUID; InvalidValue if several UUIDs begin like this, or it is too short.
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
        is_whole = parse_uuid(uuid) is not None
        keys = (
            [OrderKey(partner, uuid)]
            if partner is not None and is_whole
            else [
                key for key in self._keys(actor.seller_id, uuid, lists) if partner in (None, key.partner_id)
            ]
        )
        found = [
            order
            for order in self.patiently(lambda: self.store.orders(keys)).values()
            if isinstance(order, Order) and order.kind is kind and actor.owns(order.seller_id)
        ]
        known = {order.key: order for order in found}
        return known[the_one(list(known), uuid, what)]

    def _keys(self, seller_id: str, uuid: str, lists: tuple[OrderList, ...]) -> list[OrderKey]:
        """The keys with this UUID in lists of the Seller: a UUID is unique for one booking partner only (GEN-04)."""
        found: list[OrderKey] = []
        for which in lists:
            after: str | None = ""
            while after is not None:
                page = self.patiently(
                    lambda: self.store.listed_orders(which, seller_id, after=after or "", limit=_KEYS)  # noqa: B023
                )
                found += [key for key in page.keys if is_named(key, uuid)]
                after = page.following
        return found

    def sessions_of(
        self, sellers: Iterable[str], uuid: str, partner: str | None = None
    ) -> dict[str, datetime]:
        """The sessions and slots that Orders and OrderProposals with this UUID book, each with when that began.

        Without a whole UUID and its booking partner, all keys of these Sellers are read.
        """
        uuid = uuid.strip()
        keys = [OrderKey(partner, uuid)] if partner is not None and parse_uuid(uuid) is not None else []
        for seller_id in () if keys else sellers:
            keys += self._keys(seller_id, uuid, tuple(OrderList))
        wanted = dict.fromkeys(key for key in keys if partner in (None, key.partner_id))
        orders = self.patiently(lambda: self.store.orders(list(wanted))).values() if wanted else ()
        return {
            item.opportunity_id: order.created_at
            for order in orders
            if isinstance(order, Order)
            for item in order.items
            if item.opportunity_id and order.created_at
        }

    def patiently(self, read: Callable[[], T]) -> T:
        """What `read` returns, retried while the store is busy."""
        return self.retry.run(read, on=(StoreBusy,))


def is_named(key: OrderKey, uuid: str) -> bool:
    """Whether the key has this UUID, or one that begins like this."""
    return bool(uuid) and key.uuid.startswith(uuid.lower())


def the_one(keys: Sequence[OrderKey], uuid: str, what: str) -> OrderKey:
    """The only key that `uuid` names, of those that fit it; `what` is the kind of Order.

    Raises NotFound if there is none; InvalidValue if several UUIDs begin like this, or too few characters are given;
    NotUnique if several partners use this UUID.
    """
    uuids = sorted({key.uuid for key in keys})
    if not keys:
        raise NotFound(what, uuid)
    if len(uuids) > 1 or len(uuid) < SHORTEST_UUID:
        more = f" and {len(uuids) - _LISTED} more" if len(uuids) > _LISTED else ""
        listed = f"{', '.join(uuids[:_LISTED])}{more}"
        if len(uuids) > 1:
            raise InvalidValue(f"Several UUIDs begin with {uuid} ({listed}): write more of it.")
        raise InvalidValue(
            f"{uuid!r} is too short: write at least {SHORTEST_UUID} characters of the UUID ({listed})."
        )
    if len(keys) > 1:
        partners = ", ".join(sorted(key.partner_id for key in keys))
        raise NotUnique(f"Several booking partners have a {what} {uuid} ({partners})", "booking partner")
    return keys[0]
