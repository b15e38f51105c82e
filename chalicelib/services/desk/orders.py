"""A Seller's actions on single bookings and proposals, and on the register of a session."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, timedelta, tzinfo

from chalicelib.booking.proposal_ends import as_of
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.lifecycle import (
    ItemEvent,
    OrderItemStatus,
    ProposalEvent,
    ProposalStatus,
    next_item_status,
)
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKey, OrderKind
from chalicelib.domain.parties import Json
from chalicelib.services.actors import Actor
from chalicelib.services.desk.acting import Acting, OnOrders
from chalicelib.services.desk.belongings import is_named, the_one
from chalicelib.services.desk.differences import Differences, of_order
from chalicelib.services.desk.refusals import NO_ACCESS, as_refusals
from chalicelib.services.desk.rows import booking_details, proposal_row
from chalicelib.services.errors import InvalidValue, NotFound, NotPossible, NotUnique
from chalicelib.services.informing import items_on
from chalicelib.services.seller_actions import Choices, SellerActions
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass

_HOLDS = 1000
# People may come that much earlier, also on the day before a session soon after midnight.
_BEFORE_START = timedelta(hours=2)

_ANSWERS = {
    ProposalEvent.accept: (SellerActions.accept, "accepted"),
    ProposalEvent.seller_rejects: (SellerActions.reject, "rejected"),
}


@dataclass(frozen=True)
class Marked:
    """How many Orders were marked, and why others were not, by the key of the Order. `already`: those so marked before."""

    orders: int
    refused: dict[OrderKey, str]
    already: int = 0


@dataclass(frozen=True)
class SellerOrders:
    """The actions. Each raises NotFound, InvalidValue, NotPossible, StillBusy. In a dry run nothing is written.

    `uuid` and `partner` name an Order, as in `Belongings.booking`. `item_ids` are some of its items, by default all.
    """

    acting: Acting

    # --- bookings ---------------------------------------------------------------------------

    def cancel(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None = None,
        *,
        item_ids: Collection[str] | None = None,
        message: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Cancel a booking or some of its items, as the Seller (CANCEL-14); the booking afterwards."""
        order = self._booking(actor, uuid, partner, item_ids)
        on = self.acting.on_orders(dry_run=dry_run)
        with as_refusals("A person has attended: what was attended cannot be cancelled."):
            on.actions.cancel(order.key, message=message, item_ids=item_ids)
        return self._after(actor, order, on, "booking cancelled", dry_run)

    def replace(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None = None,
        *,
        session: str,
        offer: str | None = None,
        item_ids: Collection[str] | None = None,
        notice: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Move a booking, or some of its items, to another session and offer that cost no more (REPL-01)."""
        order = self._booking(actor, uuid, partner, item_ids)
        choices = self._choices(actor, order, session, offer, item_ids)
        on = self.acting.on_orders(dry_run=dry_run)
        with as_refusals():
            on.actions.replace(order.key, choices, notice=notice)
        return self._after(actor, order, on, "booking replaced", dry_run)

    def set_access(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None = None,
        *,
        codes: bool = False,
        passes: bool = False,
        code: str | None = None,
        channel: Json | None = None,
        item_ids: Collection[str] | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Give one Customer new codes or passes, a given code, or another channel (NOTIF-02)."""
        order = self._booking(actor, uuid, partner, item_ids)
        on = self.acting.on_orders(dry_run=dry_run)
        with as_refusals():
            on.actions.renew_access(
                order.key, codes=codes, passes=passes, channel=channel, code=code, item_ids=item_ids
            )
        if order.key not in on.decided:
            raise NotPossible(f"Nothing was changed: booking {order.key.uuid} {NO_ACCESS}")
        return self._after(actor, order, on, "access changed", dry_run)

    # --- the register -----------------------------------------------------------------------

    def mark(
        self,
        actor: Actor,
        session: str,
        event: ItemEvent,
        *,
        uuids: Sequence[str] = (),
        partner: str | None = None,
        item_ids: Collection[str] | None = None,
        zone: tzinfo = UTC,
        dry_run: bool = False,
        on_step: Callable[[int], None] = lambda marked: None,
    ) -> Marked:
        """Record that attendees came, or did not (NOTIF-03): of the Orders named, or of all on the session.

        Repeating it changes nothing, and a mark may be corrected. Of those named all are marked, or none: raises
        NotFound or NotPossible for the first that cannot be. Of all, one that is refused does not stop the others.
        Nothing is marked before the day of the session in `zone`.
        """
        listing, _ = self.acting.belongings.session(actor, session)
        self._check_has_come(listing.opportunity, zone)
        keys = self._holders(listing)
        if uuids:
            keys = self._chosen(actor, listing, keys, uuids, partner)
        items = self._items_of(keys, listing.opportunity.id)
        if item_ids is not None and (
            unknown := sorted(set(item_ids) - {each for own in items.values() for each in own})
        ):
            raise NotFound("item of this booking", unknown[0])
        refused: dict[OrderKey, str] = {}
        mark = next_item_status(OrderItemStatus.OrderItemConfirmed, event)
        marked = already = 0
        for rehearses in (True, False) if uuids and not dry_run else (dry_run,):
            marked = already = 0
            for key, own in items.items():
                meant = [each for each in own if item_ids is None or each in item_ids]
                chosen = [each for each in meant if own[each] is not mark]
                if meant and not chosen:
                    already += 1
                    continue
                try:
                    marked += self._mark(key, event, chosen, rehearses)
                except NotPossible as error:
                    if uuids:
                        raise NotPossible(f"{key.uuid}: {error} Nothing was marked.") from None
                    refused[key] = str(error)
                if rehearses is dry_run:
                    on_step(marked)
        if marked and not dry_run:
            shown = self.acting.belongings.ids.shown(listing.opportunity.id)
            self.acting.note(actor, f"attendance recorded: {event}", opportunity=shown)
        return Marked(marked, refused, already)

    def _check_has_come(self, opportunity: Opportunity, zone: tzinfo) -> None:
        """Raises NotPossible before the day on which it starts; early in the day, before two hours before its start."""
        if opportunity.starts_at is None:
            return  # such as what is watched on demand
        starts = opportunity.starts_at.astimezone(zone)
        opens = min(starts.replace(hour=0, minute=0, second=0, microsecond=0), starts - _BEFORE_START)
        if self.acting.actions.moment().now < opens:
            raise NotPossible(
                f"It is on {starts:%Y-%m-%d}, {starts:%H:%M}: who came can be recorded from that day on. "
                "Nothing was marked."
            )

    def _mark(self, key: OrderKey, event: ItemEvent, item_ids: Sequence[str], dry_run: bool) -> int:
        if not item_ids:
            return 0
        with as_refusals("It cannot be marked in this state."):
            self.acting.on_orders(dry_run=dry_run).actions.record_attendance(key, event, item_ids=item_ids)
        return 1

    def _items_of(
        self, keys: Sequence[OrderKey], opportunity_id: str
    ) -> dict[OrderKey, dict[str, OrderItemStatus | None]]:
        """The items of the bookings on a session, with their states."""
        store = self.acting.belongings.store
        orders = self.acting.belongings.patiently(lambda: store.orders(keys)) if keys else {}
        return {
            key: {item.id: item.status for item in order.items if item.id in items_on(order, opportunity_id)}
            for key in keys
            if isinstance(order := orders.get(key), Order) and order.kind is OrderKind.Order
        }

    def _holders(self, listing: Listing) -> list[OrderKey]:
        store, opportunity_id = self.acting.belongings.store, listing.opportunity.id
        found: list[OrderKey] = []
        after = ""
        while holds := self.acting.belongings.patiently(
            lambda: store.holds(opportunity_id, after=after, limit=_HOLDS)  # noqa: B023
        ):
            found += [key for key, hold in holds.items() if hold.state is HoldState.booked]
            after = str(list(holds)[-1])
        return found

    def _chosen(
        self,
        actor: Actor,
        listing: Listing,
        keys: Sequence[OrderKey],
        uuids: Sequence[str],
        partner: str | None,
    ) -> list[OrderKey]:
        """The keys of the bookings named, each once. Raises for the first that does not hold a place."""
        chosen: dict[OrderKey, None] = {}
        for uuid in map(str.strip, uuids):
            fitting = [key for key in keys if is_named(key, uuid) and partner in (None, key.partner_id)]
            if not fitting:
                self._check_not_cancelled(actor, listing, uuid, partner)
            chosen[the_one(fitting, uuid, "booking of this session")] = None
        return list(chosen)

    def _check_not_cancelled(self, actor: Actor, listing: Listing, uuid: str, partner: str | None) -> None:
        """Raises NotPossible for a booking whose places on the session are cancelled."""
        with suppress(NotFound, InvalidValue, NotUnique):
            order = self.acting.belongings.booking(actor, uuid, partner)
            if any(item.opportunity_id == listing.opportunity.id for item in order.items):
                raise NotPossible(f"Booking {order.key.uuid} is cancelled: nothing was marked.")

    # --- proposals --------------------------------------------------------------------------

    def decide(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None = None,
        event: ProposalEvent = ProposalEvent.accept,
        *,
        note: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Accept a proposal: the Broker may then book it (A-01). Or reject it, even if it was accepted (A-02)."""
        order = self.acting.belongings.proposal(actor, uuid, partner)
        answer, what = _ANSWERS[event]
        return self._answer(
            actor, order, what, dry_run, lambda actions: answer(actions, order.key, note=note)
        )

    def amend(
        self,
        actor: Actor,
        uuid: str,
        partner: str | None = None,
        *,
        session: str | None = None,
        offer: str | None = None,
        item_ids: Collection[str] | None = None,
        note: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Propose another session or offer for a proposal, or another note; it must still be accepted (A-04)."""
        order = self.acting.belongings.proposal(actor, uuid, partner)
        if session is None and note is None:
            raise InvalidValue("Nothing would change: choose another session, or write a note.")
        if item_ids is not None:
            _check_items(order, item_ids)
        choices = self._choices(actor, order, session, offer, item_ids) if session is not None else None
        return self._answer(
            actor,
            order,
            "amended",
            dry_run,
            lambda actions: actions.amend(order.key, choices=choices, note=note),
        )

    def _answer(
        self,
        actor: Actor,
        order: Order,
        what: str,
        dry_run: bool,
        answer: Callable[[SellerActions], None],
    ) -> Json:
        now = as_of(order, self.acting.actions.moment().now)
        status = now.proposal.status if now.proposal else None
        on = self.acting.on_orders(dry_run=dry_run)
        with as_refusals(f"Proposal {order.key.uuid} {_already(status)}: nothing was changed."):
            answer(on.actions)
        after = on.decided.get(order.key, order)
        changed = self._note(actor, f"proposal {what}", order, after, dry_run, "proposal")
        return {**proposal_row(after, self.acting.belongings.ids), "differences": changed}

    # --- shared -----------------------------------------------------------------------------

    def _booking(
        self, actor: Actor, uuid: str, partner: str | None, item_ids: Collection[str] | None
    ) -> Order:
        order = self.acting.belongings.booking(actor, uuid, partner)
        if item_ids is not None:
            _check_items(order, item_ids)
        if not any(item.holds_a_space for item in order.items):
            raise NotPossible(f"Booking {order.key.uuid} is cancelled: nothing was changed.")
        return order

    def _after(self, actor: Actor, order: Order, on: OnOrders, what: str, dry_run: bool) -> Json:
        after = on.decided.get(order.key, order)
        changed = self._note(actor, what, order, after, dry_run, "order")
        return {**booking_details(after, self.acting.belongings.ids), "differences": changed}

    def _note(
        self, actor: Actor, what: str, before: Order, after: Order, dry_run: bool, kind: str
    ) -> Differences:
        """Note what has changed; unless nothing is written."""
        changed = of_order(before, after, self.acting.belongings.ids)
        if not dry_run:
            ids = {"partner": before.key.partner_id, kind: before.key.uuid}
            self.acting.note(actor, what, changed, **ids)
        return changed

    def _choices(
        self,
        actor: Actor,
        order: Order,
        session: str,
        offer: str | None,
        item_ids: Collection[str] | None,
    ) -> Choices:
        """The session and offer for each item that is to change."""
        listing, _ = self.acting.belongings.session(actor, session)
        offer_id = offer_of(listing, offer, self.acting.belongings.ids.meant)
        concerned = [item for item in order.items if _is_concerned(item, item_ids)]
        if not concerned:
            raise NotPossible("These items are cancelled: nothing was changed.")
        return {item.id or "": (listing.opportunity.id, offer_id) for item in concerned}


def _already(status: ProposalStatus | None) -> str:
    match status:
        case ProposalStatus.SellerAccepted:
            return "is accepted already"
        case ProposalStatus.SellerRejected:
            return "is rejected already, or its time is over"
        case ProposalStatus.CustomerRejected:
            return "was withdrawn by its customer"
    return "is no longer a proposal"


def offer_of(listing: Listing, wanted: str | None, meant: Callable[[str], list[str]]) -> str:
    """The id of the offer with this id or name; without one, of the only offer. Raises InvalidValue."""
    offers = listing.opportunity.offers
    named = {str(offer.document.get("name") or "").casefold(): offer.id for offer in offers}
    listed = ", ".join(str(offer.document.get("name") or offer.id) for offer in offers) or "none"
    if wanted is None:
        if len(offers) == 1:
            return offers[0].id
        if not offers:
            raise InvalidValue("It has no offers.")
        raise InvalidValue(f"It has {len(offers)} offers: choose one with --offer ({listed}).")
    for offer in offers:
        if offer.id in meant(wanted):
            return offer.id
    if wanted.strip().casefold() in named:
        return named[wanted.strip().casefold()]
    raise InvalidValue(f"It has no offer {wanted!r}; its offers are: {listed}.")


def _is_concerned(item: OrderItem, item_ids: Collection[str] | None) -> bool:
    return item.holds_a_space and (item_ids is None or item.id in item_ids)


def _check_items(order: Order, item_ids: Collection[str]) -> None:
    unknown = sorted(set(item_ids) - {item.id or "" for item in order.items})
    if unknown:
        raise NotFound("item of this booking", unknown[0])
