"""Erase people from an Order: who they are and what they wrote, and never what was sold or what it cost.

Items, their states, prices, totals, and the identifier of the payment are kept: reports and audits need them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from chalicelib.booking.book import keyed_fingerprint
from chalicelib.booking.decisions import Decision, Moment, Snapshot, save_order
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.parties import Json
from chalicelib.domain.people import Traces, all_traces
from chalicelib.values import dataclass, replace

T = TypeVar("T")

# What is kept of a payment: what reconciles it, and what Brokers and Sellers agreed on (PAY-04).
_OF_A_PAYMENT = ("@type", "identifier", "name", "accountId", "paymentProviderId")


@dataclass(frozen=True)
class Erasure:
    """What is erased from one Order.

    `everyone`: all that was given with the Order, because the Customer is erased. Otherwise only `item_ids`, whose
    attendees are erased. `traces` are the people, who are also removed where other texts name them. `broker_passes` are
    those that the Broker gave with the items: they may name people (ACCESS-05).
    """

    everyone: bool
    item_ids: frozenset[str]
    traces: Traces
    broker_passes: tuple[Json, ...] = ()

    def concerns(self, item_id: str | None) -> bool:
        return self.everyone or item_id in self.item_ids

    def kept(self, value: T | None) -> T | None:
        """A text or document without the people."""
        kept: T | None = self.traces.without(value)
        return kept

    def own_passes(self, passes: Iterable[Json]) -> tuple[Json, ...]:
        """The passes that were made here, with which the place can still be entered."""
        return tuple(each for each in passes if each not in self.broker_passes)

    def payment_kept(self, payment: Json | None) -> Json | None:
        """A payment without the people. Its identifier stays: a payment is reconciled by it (PAY-11)."""
        if payment is None:
            return None
        own = {name: payment[name] for name in _OF_A_PAYMENT if name in payment}
        kept = self.kept(own if self.everyone else payment) or {}
        return {**kept, **({"identifier": payment["identifier"]} if "identifier" in payment else {})}


@dataclass(frozen=True)
class Answers:
    """How stored answers are read: what people may have written in one, and the same answer without them."""

    texts: Callable[[str], Any]
    without: Callable[[str, Erasure], str]


def people_in(order: Order) -> Traces:
    """Everyone whom the Order names as its Customer or as an attendee."""
    return all_traces((order.customer, *(item.attendee for item in order.items)))


def erasure_of(order: Order, sought: Traces | None, answers: Answers) -> Erasure | None:
    """What to erase so that the Order no longer contains these people; None if it does not contain them.

    `sought` None: everyone. A Customer is erased with all that the Customer gave, also of the attendees.
    """
    broker_passes = tuple(each for item in order.items for each in item.broker_passes)
    if sought is None or sought.are_of(order.customer):
        return Erasure(True, frozenset(), (sought or Traces()) | people_in(order), broker_passes)
    attendees = [item for item in order.items if sought.are_of(item.attendee)]
    erasure = Erasure(
        False,
        frozenset(item.id for item in attendees if item.id),
        sought | all_traces(item.attendee for item in attendees),
        broker_passes,
    )
    return erasure if attendees or sought.are_in(texts_of(order, answers)) else None


def texts_of(order: Order, answers: Answers) -> list[Any]:
    """Everything in an Order that a person may have written, or that may name one; also in its stored answers."""
    proposal = order.proposal
    return [
        order.customer,
        order.broker,
        order.payment,
        (proposal.customer_note, proposal.seller_note) if proposal else None,
        [answers.texts(each) for each in (order.answer, order.proposal_answer) if each],
        [
            (
                *(item.attendee, item.intake_answers, item.broker_passes, item.access_codes),
                *(item.access_passes, item.access_channel, item.customer_notice, item.cancellation_message),
            )
            for item in order.items
        ],
    ]


def erase_people(
    snapshot: Snapshot, moment: Moment, sought: Traces | None, answers: Answers
) -> Decision[bool]:
    """Erase these people, or everyone, from the stored Order; the answer says whether it contained any.

    A repeated B is still recognised: its fingerprint, against which guesses of the details could be tested, is
    replaced by one that needs the key of the installation (B-08, T22). Money, states and holds stay as they are.
    """
    order = snapshot.order
    if not isinstance(order, Order) or (sought is None and order.erased_at is not None):
        return Decision(False)
    erasure = erasure_of(order, sought, answers)
    if erasure is None:
        return Decision(False)
    changed = _without(order, erasure, moment, answers)
    if replace(changed, erased_at=order.erased_at) == order and (order.erased_at or not erasure.everyone):
        return Decision(False)  # what is left is kept, such as the identifier of the payment
    return Decision(True, (save_order(changed, order),))


def end_of(order: Order) -> datetime | None:
    """When the last of its Opportunities has ended, as far as that is known; for one without dates when it was made."""
    ends = [
        item.opportunity.ends_at or item.opportunity.starts_at for item in order.items if item.opportunity
    ]
    return max((each for each in ends if each is not None), default=order.created_at)


def _without(order: Order, erasure: Erasure, moment: Moment, answers: Answers) -> Order:
    customer = None if erasure.everyone else erasure.kept(order.customer)
    proposal = order.proposal and replace(
        order.proposal,
        customer_note=None if erasure.everyone else erasure.kept(order.proposal.customer_note),
        seller_note=erasure.kept(order.proposal.seller_note),
    )
    return replace(
        order,
        customer=customer,
        broker=erasure.kept(order.broker),
        payment=erasure.payment_kept(order.payment),
        items=tuple(_item_without(item, erasure) for item in order.items),
        proposal=proposal,
        fingerprint=order.fingerprint if customer == order.customer else keyed_fingerprint(order, moment),
        answer=order.answer and answers.without(order.answer, erasure),
        proposal_answer=order.proposal_answer and answers.without(order.proposal_answer, erasure),
        erased_at=moment.now if erasure.everyone else order.erased_at,
    )


def _item_without(item: OrderItem, erasure: Erasure) -> OrderItem:
    gone = erasure.concerns(item.id)
    return replace(
        item,
        attendee=None if gone else erasure.kept(item.attendee),
        intake_answers=() if gone else _all_kept(item.intake_answers, erasure),
        broker_passes=() if gone else _all_kept(item.broker_passes, erasure),
        access_codes=_all_kept(item.access_codes, erasure),
        access_passes=_all_kept(
            erasure.own_passes(item.access_passes) if gone else item.access_passes, erasure
        ),
        access_channel=erasure.kept(item.access_channel),
        customer_notice=erasure.kept(item.customer_notice),
        cancellation_message=erasure.kept(item.cancellation_message),
    )


def _all_kept(documents: tuple[Json, ...], erasure: Erasure) -> tuple[Json, ...]:
    return tuple(kept for each in documents if (kept := erasure.kept(each)) is not None)
