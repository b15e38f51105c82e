"""A Seller's actions on a whole session or slot, and on all who have booked it.

Each change is published first; the holders then follow in steps. If the process stops, or the store is busy, the sweep
continues.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from chalicelib.booking.access import gets_access
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.limits import MAX_CHANNEL_BYTES, check_bytes, check_text, json_bytes
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, EventStatus, Opportunity
from chalicelib.domain.orders import Order, OrderKind
from chalicelib.domain.parties import Json
from chalicelib.services import following, informing
from chalicelib.services.actors import Actor
from chalicelib.services.desk.acting import Acting
from chalicelib.services.desk.differences import Differences, counted_bookings, of_session
from chalicelib.services.desk.places import place_named
from chalicelib.services.desk.refusals import NO_ACCESS, as_refusals
from chalicelib.services.desk.rows import session_row
from chalicelib.services.errors import InvalidValue, NotPossible
from chalicelib.services.informing import HolderMessage
from chalicelib.services.inventory import NotListed
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass, field, replace
from chalicelib.wire.logistics import Logistics, with_logistics, with_sub_event
from chalicelib.wire.opportunities import too_large

T = TypeVar("T")

OnStep = Callable[[int], None]

# What a part of a site says of it.
_SITE = ("@type", "@id", "name", "address", "geo")
# Holds of a session in one read.
_TOGETHER = 100


@dataclass(frozen=True)
class Move:
    """What changes about a session: None and an empty `address` mean no change.

    `place` names the new place: a site or room of the Seller by its name or own id, or else a part of the present
    site. `address` has properties of a PostalAddress; with it, the place is another one, of which only this is known.
    """

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    name: str | None = None
    place: str | None = None
    address: Mapping[str, str] = field(default_factory=dict)

    def of(self, opportunity: Opportunity, now: datetime, places: Sequence[Json] = ()) -> Logistics:
        """The new time and place of an Opportunity. `places` are those of its Seller. Raises InvalidValue."""
        follows_sessions = opportunity.type.traits.times.are_of_sub_events and opportunity.programme
        if follows_sessions and (self.starts_at or self.ends_at):
            raise InvalidValue(
                "A course takes place when its sessions do: move one of these, or change the course in the timetable."
            )
        starts_at = self.starts_at or opportunity.starts_at
        lasts = None
        if self.starts_at is not None and self.starts_at <= now:
            raise InvalidValue("The new start is in the past.")
        if self.ends_at is not None:
            if starts_at is None or self.ends_at <= starts_at:
                raise InvalidValue("The end must be after the start.")
            lasts = self.ends_at - starts_at
        location = self._location(opportunity, places) if self.place or self.address else None
        return Logistics(self.name, self.starts_at, lasts, location)

    def _location(self, opportunity: Opportunity, places: Sequence[Json]) -> Json:
        stated = opportunity.stated("location")
        present: Json = stated if isinstance(stated, dict) else {"@type": "Place"}
        if self.address:
            return self._elsewhere(present)
        assert self.place is not None
        site = present.get("containedInPlace") or present
        if known := place_named(self.place, places, site):
            return known
        within = {term: site[term] for term in _SITE if term in site}
        address: Json = {term: present[term] for term in ("@type", "address", "geo") if term in present}
        return {**address, "name": self.place, **({"containedInPlace": within} if site.get("name") else {})}

    def _elsewhere(self, present: Json) -> Json:
        # The id names the place as it was, and its coordinates are wrong at another address.
        dropped = {"@id", "identifier", "geo", "containedInPlace"}
        location = {term: value for term, value in present.items() if term not in dropped}
        known = location.get("address")
        known = known if isinstance(known, dict) else {}
        location["address"] = {"@type": "PostalAddress", **known, **self.address}
        return location | ({"name": self.place} if self.place else {})


def _ignore(handled: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Done:
    """What an action has done, or would do in a dry run.

    `session` is its row, `orders` how many Orders and OrderProposals hold it, `reached` how many of these follow the
    change already. `continues`: the sweep informs the others. `changed`: whether anything had to be written, and
    `differences` what.
    """

    session: Json
    orders: int
    reached: int = 0
    continues: bool = False
    changed: bool = True
    differences: Differences = field(default_factory=dict)


@dataclass(frozen=True)
class SellerSessions:
    """The actions. Each raises NotFound, InvalidValue, NotPossible, StillBusy. In a dry run nothing is written."""

    acting: Acting
    places: Callable[[str], list[Json]] = lambda seller_id: []
    """The sites and rooms that a Seller has named, as Places."""

    def cancel(
        self,
        actor: Actor,
        text: str,
        *,
        message: str | None = None,
        dry_run: bool = False,
        on_step: OnStep = _ignore,
    ) -> Done:
        """Cancel it and all Orders on it, even if it is no longer for sale (CANCEL-14).

        Changes nothing if it is cancelled and has no Orders any more.
        """
        listing, capacity = self._found(actor, text)
        opportunity_id, orders = listing.opportunity.id, self._orders_on(listing)
        if listing.opportunity.status is EventStatus.EventCancelled and not orders:
            return self._done(actor, listing, capacity, orders, changed=False)
        with as_refusals():
            check_text("The message", message)
            if not dry_run:
                self._patiently(lambda: self.acting.actions.inventory.cancel(opportunity_id, message))
        if dry_run:
            return self._done(actor, listing, capacity, orders)
        said = {"orders": str(orders), **({"message": "given"} if message else {})}
        self._note(actor, "session cancelled", listing, said)
        self._restate(opportunity_id)
        continues = not self._finish(following.KIND, opportunity_id, on_step)
        left = orders if continues else self._orders_on(listing)
        return self._again(actor, listing, orders, max(orders - left, 0), continues)

    def move(
        self,
        actor: Actor,
        text: str,
        move: Move,
        *,
        dry_run: bool = False,
        on_step: OnStep = _ignore,
    ) -> Done:
        """Give it a new time, place or name: everybody who has booked it is informed (NOTIF-04)."""
        listing, capacity = self._on_offer(actor, text)
        opportunity, orders = listing.opportunity, self._orders_on(listing)
        places = self.places(actor.seller_id) if move.place else []
        change = move.of(opportunity, self.acting.actions.moment().now, places)
        moved = with_logistics(opportunity, change)
        if reason := too_large(moved):
            raise InvalidValue(f"The change is too large: {reason}.")
        if moved == opportunity:
            return self._done(actor, listing, capacity, orders, changed=False)
        differences = of_session(opportunity, moved)
        if dry_run:
            return replace(self._done(actor, listing, capacity, orders), differences=differences)
        with as_refusals():
            self._patiently(lambda: self.acting.actions.publish_logistics(opportunity.id, change))
        self._note(actor, "session moved", listing, differences)
        self._restate(opportunity.id)
        continues = not self._finish(following.KIND, opportunity.id, on_step)
        done = self._again(actor, listing, orders, 0 if continues else orders, continues)
        return replace(done, differences=differences)

    def notify(
        self, actor: Actor, text: str, notice: str, *, dry_run: bool = False, on_step: OnStep = _ignore
    ) -> Done:
        """Send a notice to everybody who has booked it (NOTIF-01)."""
        if not notice.strip():
            raise InvalidValue("The notice is empty.")
        message = HolderMessage("", notice=notice)
        return self._inform(actor, text, message, "notice sent", {"notice": "given"}, dry_run, on_step)

    def set_on_sale(self, actor: Actor, text: str, on_sale: bool, *, dry_run: bool = False) -> Done:
        """Take it off sale, or put it on sale again. Bookings and accepted proposals stay as they are."""
        listing, capacity = self._on_offer(actor, text)
        orders = self._orders_on(listing)
        if listing.closed is not on_sale:
            return self._done(actor, listing, capacity, orders, changed=False)
        if dry_run:
            return self._done(actor, listing, capacity, orders)
        with as_refusals():
            inventory, opportunity_id = self.acting.actions.inventory, listing.opportunity.id
            self._patiently(lambda: inventory.set_closed(opportunity_id, not on_sale))
        states = ("off sale", "on sale")
        differences = {"state": f"{states[not on_sale]} → {states[on_sale]}"}
        self._note(actor, "session opened" if on_sale else "session closed", listing, differences)
        return self._again(actor, listing, orders, orders, False)

    def set_channel(
        self, actor: Actor, text: str, channel: Json, *, dry_run: bool = False, on_step: OnStep = _ignore
    ) -> Done:
        """Set where it is held online, for those who have booked and those who will (ACCESS-06)."""
        listing, capacity = self._on_offer(actor, text)
        opportunity_id, orders = listing.opportunity.id, self._orders_on(listing)
        if not listing.opportunity.is_online:
            raise NotPossible("It is not held online: only online sessions have a channel.")
        with as_refusals():
            check_bytes("The channel", json_bytes(channel), MAX_CHANNEL_BYTES)
        given = of_session(listing.opportunity, replace(listing.opportunity, access_channel=channel))
        if dry_run:
            return replace(self._done(actor, listing, capacity, orders), differences=given)
        with as_refusals():
            self._patiently(lambda: self.acting.actions.publish_access_channel(opportunity_id, channel))
        self._note(actor, "access changed", listing, given)
        continues = not self._finish(following.KIND, opportunity_id, on_step)
        done = self._again(actor, listing, orders, 0 if continues else orders, continues)
        return replace(done, differences=given)

    def set_access(
        self,
        actor: Actor,
        text: str,
        *,
        codes: bool = False,
        passes: bool = False,
        code: str | None = None,
        dry_run: bool = False,
        on_step: OnStep = _ignore,
    ) -> Done:
        """Give everybody who has booked it new codes or passes, or the same code (NOTIF-02).

        Raises NotPossible if none of the bookings has what is asked for. `differences` counts those that do.
        """
        listing, _ = self._found(actor, text)
        booked = self._booked(listing)
        wanted = {"code": codes or code is not None, "pass": passes}
        found = {
            "code": sum(gets_access(each, listing.opportunity.id, codes=codes, code=code) for each in booked),
            "pass": sum(gets_access(each, listing.opportunity.id, passes=passes) for each in booked),
        }
        differences = {
            name: f"{counted_bookings(found[name])}" for name, is_wanted in wanted.items() if is_wanted
        }
        if booked and not any(found.values()):
            raise NotPossible(f"Nothing was changed: what is booked {NO_ACCESS}")
        message = HolderMessage("", codes=codes, passes=passes, code=code)
        return self._inform(actor, text, message, "access changed", differences, dry_run, on_step)

    def _booked(self, listing: Listing) -> list[Order]:
        """The Orders that hold places of a session."""
        store, opportunity_id = self.acting.belongings.store, listing.opportunity.id
        found: list[Order] = []
        after = ""
        while holds := self._patiently(
            lambda: store.holds(opportunity_id, after=after, limit=_TOGETHER)  # noqa: B023
        ):
            keys = list(holds)
            orders = self._patiently(lambda: store.orders(keys))  # noqa: B023 - it runs at once
            found += [each for each in orders.values() if isinstance(each, Order)]
            after = str(keys[-1])
        return [order for order in found if order.kind is OrderKind.Order]

    def _inform(
        self,
        actor: Actor,
        text: str,
        message: HolderMessage,
        what: str,
        differences: Differences,
        dry_run: bool,
        on_step: OnStep,
    ) -> Done:
        listing, capacity = self._found(actor, text)
        orders = self._orders_on(listing)
        addressed = HolderMessage(
            listing.opportunity.id, message.notice, message.codes, message.passes, message.code
        )
        with as_refusals():
            check_text("The notice", message.notice)
            check_text("The code", message.code)
            if dry_run or not orders:
                done = self._done(actor, listing, capacity, orders, changed=bool(orders))
                return replace(done, differences=differences if orders else {})
            entry_id = self._patiently(lambda: self.acting.actions.inform_holders(addressed))
        self._note(actor, what, listing, differences)
        reached = 0

        def counted(handled: int) -> None:
            nonlocal reached
            reached = handled
            on_step(handled)

        continues = not self._finish(informing.KIND, entry_id, counted)
        return replace(self._again(actor, listing, orders, reached, continues), differences=differences)

    def _restate(self, session_id: str) -> None:
        """Where it is a session of a course that is also sold singly, the course states it as it is now.

        If the store is busy, the next change of the course does.
        """
        inventory = self.acting.actions.inventory

        def listed(opportunity_id: str) -> Opportunity | None:
            found = self._patiently(lambda: inventory.store.listings([opportunity_id]))
            listing, _ = found.get(opportunity_id, (None, None))
            return None if listing is None else listing.opportunity

        with suppress(CommitRefused, NotListed, StillBusy, StoreBusy):
            session = listed(session_id)
            whole = listed(str((session.parent or {}).get("@id"))) if session else None
            if session is None or whole is None or with_sub_event(whole, session) == whole:
                return
            inventory.change(whole.id, lambda known: with_sub_event(known, session))
            self.acting.actions.worker.finish(following.KIND, whole.id)

    def _found(self, actor: Actor, text: str) -> tuple[Listing, Capacity]:
        return self.acting.belongings.session(actor, text)

    def _on_offer(self, actor: Actor, text: str) -> tuple[Listing, Capacity]:
        listing, capacity = self._found(actor, text)
        if listing.deleted:
            raise NotPossible("It was withdrawn: it can only be cancelled.")
        if listing.opportunity.status in NOT_TAKING_PLACE:
            state = listing.opportunity.status.removeprefix("Event").lower()
            raise NotPossible(f"It is {state}: nothing was changed.")
        return listing, capacity

    def _orders_on(self, listing: Listing) -> int:
        return self._patiently(lambda: self.acting.actions.inventory.standing(listing.opportunity.id))

    def _finish(self, kind: str, entry_id: str, on_step: OnStep) -> bool:
        """Whether all holders were reached; otherwise the sweep continues."""
        try:
            self.acting.actions.worker.finish(kind, entry_id, on_step)
        except (CommitRefused, StillBusy, StoreBusy):
            return False
        return True

    def _note(self, actor: Actor, what: str, listing: Listing, differences: Differences) -> None:
        shown = self.acting.belongings.ids.shown(listing.opportunity.id)
        self.acting.note(actor, what, differences, opportunity=shown)

    def _done(
        self, actor: Actor, listing: Listing, capacity: Capacity, orders: int, *, changed: bool = True
    ) -> Done:
        return Done(self._row(listing, capacity), orders, changed=changed)

    def _again(self, actor: Actor, listing: Listing, orders: int, reached: int, continues: bool) -> Done:
        """What was done, with the session as it is now."""
        store, opportunity_id = self.acting.belongings.store, listing.opportunity.id
        now, capacity = self._patiently(lambda: store.listings([opportunity_id]))[opportunity_id]
        return Done(self._row(now, capacity), orders, reached, continues)

    def _row(self, listing: Listing, capacity: Capacity | None) -> Json:
        return session_row(listing, capacity, self.acting.belongings.ids, self.acting.actions.moment().now)

    def _patiently(self, work: Callable[[], T]) -> T:
        return self.acting.belongings.patiently(work)
