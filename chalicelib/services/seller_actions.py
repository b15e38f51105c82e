"""A Seller's actions on bookings: on one Order, one OrderProposal, or all holders of an Opportunity."""

from collections.abc import Callable, Collection, Mapping

from chalicelib.booking.decisions import Decision, Moment, Snapshot
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.booking.seller import (
    cancel_by_seller,
    notify_customer,
    record_attendance,
    renew_access,
    replace_items,
)
from chalicelib.domain.lifecycle import ItemEvent, ProposalEvent
from chalicelib.domain.limits import MAX_CHANNEL_BYTES, check_bytes, check_text, json_bytes
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import Json
from chalicelib.services import following, informing
from chalicelib.services.attempts import Attempts
from chalicelib.services.informing import HolderMessage
from chalicelib.services.inventory import Inventory
from chalicelib.services.pending import Worker
from chalicelib.values import dataclass, replace
from chalicelib.wire.logistics import Logistics, with_logistics

# The Opportunity and the Offer that replace those of an OrderItem, by the item's id.
Choices = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class SellerActions:
    """The actions, for one installation.

    Actions on one Order raise UnknownOrderError or GoneError if there is none, TransitionRefused if its state
    does not allow it, and StillBusy. They change the items named by `item_ids`, or all. RequestTooLargeError
    refuses a notice, message or note that is too long, and a change that makes an Opportunity too large.
    """

    attempts: Attempts
    inventory: Inventory
    worker: Worker
    moment: Callable[[], Moment]

    def accept(self, key: OrderKey, *, note: str | None = None) -> None:
        """A: the Seller accepts an OrderProposal (A-01)."""
        self._on(key, lambda snapshot, now: decide_proposal(snapshot, ProposalEvent.accept, now, note=note))

    def reject(self, key: OrderKey, *, note: str | None = None) -> None:
        """The Seller rejects an OrderProposal (A-02)."""
        self._on(
            key, lambda snapshot, now: decide_proposal(snapshot, ProposalEvent.seller_rejects, now, note=note)
        )

    def amend(self, key: OrderKey, *, choices: Choices | None = None, note: str | None = None) -> None:
        """A new version of an OrderProposal, which the Seller must still accept (A-04).

        Raises UnacceptableOfferError, OpportunityOfferPairNotBookableError, OpportunityIsFullError,
        OpportunityHasInsufficientCapacityError.
        """
        self._on(
            key,
            lambda snapshot, now: amend_proposal(snapshot, now, choices=choices, note=note),
            also=_opportunities(choices or {}),
        )

    def cancel(
        self, key: OrderKey, *, message: str | None = None, item_ids: Collection[str] | None = None
    ) -> None:
        """Cancel items, with or without a message (CANCEL-14)."""
        self._on(key, lambda snapshot, _: cancel_by_seller(snapshot, message=message, item_ids=item_ids))

    def replace(self, key: OrderKey, choices: Choices, *, notice: str | None = None) -> None:
        """Replace the Opportunities of items (REPL-01).

        Raises OpportunityOfferPairNotBookableError, OpportunityIsFullError,
        OpportunityHasInsufficientCapacityError, UnacceptableOfferError.
        """
        self._on(
            key,
            lambda snapshot, now: replace_items(snapshot, now, choices, notice=notice),
            also=_opportunities(choices),
        )

    def notify(self, key: OrderKey, notice: str, *, item_ids: Collection[str] | None = None) -> None:
        """Send the Customer a notice (NOTIF-01)."""
        self._on(key, lambda snapshot, _: notify_customer(snapshot, notice, item_ids=item_ids))

    def record_attendance(
        self, key: OrderKey, event: ItemEvent, *, item_ids: Collection[str] | None = None
    ) -> None:
        """Record that attendees came, or did not (NOTIF-03)."""
        self._on(key, lambda snapshot, _: record_attendance(snapshot, event, item_ids=item_ids))

    def renew_access(
        self,
        key: OrderKey,
        *,
        codes: bool = False,
        passes: bool = False,
        channel: Json | None = None,
        code: str | None = None,
        item_ids: Collection[str] | None = None,
    ) -> None:
        """Replace codes or passes with new ones, or the code or the channel with a given one (NOTIF-02).

        `channel` contains the properties of a VirtualLocation, as the Seller enters them (ACCESS-06). Raises
        RequestTooLargeError.
        """
        _check_channel(channel)
        check_text("The code", code)
        self._on(
            key,
            lambda snapshot, now: renew_access(
                snapshot,
                now,
                codes=codes,
                passes=passes,
                channel=channel,
                code=code,
                item_ids=item_ids,
            ),
        )

    def inform_holders(self, message: HolderMessage) -> str:
        """Queue a notice, or new codes and passes, for all who have booked an Opportunity; the entry's id (NOTIF-01).

        `worker.finish(informing.KIND, id)` carries it out; otherwise the schedule does. Raises
        RequestTooLargeError.
        """
        check_text("The notice", message.notice)
        check_text("The code", message.code)
        entry = informing.pending_message(message, self.moment().new_id())
        self.worker.store.exchange((), [entry])
        return entry.id

    def change_logistics(self, opportunity_id: str, change: Logistics) -> int:
        """Change an Opportunity's name, time or place for all holders; returns their number (NOTIF-04).

        Raises NotListed. If the process is interrupted, the schedule continues.
        """
        self.publish_logistics(opportunity_id, change)
        return self.worker.finish(following.KIND, opportunity_id)

    def publish_logistics(self, opportunity_id: str, change: Logistics) -> None:
        """The same, without waiting for the holders: the schedule informs them."""
        self.inventory.change(opportunity_id, lambda current: with_logistics(current, change))

    def change_access_channel(self, opportunity_id: str, channel: Json) -> int:
        """Set where an Opportunity is held online, for all holders; returns their number (ACCESS-06, NOTIF-02).

        `channel` as in `renew_access`. Raises NotListed, RequestTooLargeError. If the process is interrupted, the
        schedule continues.
        """
        self.publish_access_channel(opportunity_id, channel)
        return self.worker.finish(following.KIND, opportunity_id)

    def publish_access_channel(self, opportunity_id: str, channel: Json) -> None:
        """The same, without waiting for the holders: the schedule informs them."""
        _check_channel(channel)
        self.inventory.change(opportunity_id, lambda current: replace(current, access_channel=channel))

    def cancel_opportunity(self, opportunity_id: str, *, message: str | None = None) -> int:
        """Cancel an Opportunity, also a withdrawn one, for all holders; returns their number (CANCEL-14).

        Raises NotListed. If the process is interrupted, the schedule continues.
        """
        self.inventory.cancel(opportunity_id, message)
        return self.worker.finish(following.KIND, opportunity_id)

    def _on(
        self,
        key: OrderKey,
        decide: Callable[[Snapshot, Moment], Decision[None]],
        *,
        also: tuple[str, ...] = (),
    ) -> None:
        moment = self.moment()
        self.attempts.carry_out_on_order(
            key, lambda snapshot: decide(snapshot, moment), moment.now, also=also
        )


def _check_channel(channel: Json | None) -> None:
    check_bytes("accessChannel", json_bytes(channel), MAX_CHANNEL_BYTES)


def _opportunities(choices: Choices) -> tuple[str, ...]:
    return tuple(opportunity_id for opportunity_id, _ in choices.values())
