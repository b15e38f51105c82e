"""The stages of a booking, each as one call. Each reads, decides, commits, and retries after a lost race."""

from collections.abc import Callable

from chalicelib.booking.book import Render, book, book_proposal, propose
from chalicelib.booking.cancel import cancel_items, delete_order
from chalicelib.booking.decisions import Answer, Moment, Wanted
from chalicelib.booking.existing import read_status
from chalicelib.booking.proposals import update_proposal
from chalicelib.booking.quote import delete_quote, quote
from chalicelib.booking.requests import (
    CancellationRequest,
    OrderRequest,
    ProposalBookingRequest,
    ProposalUpdateRequest,
)
from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.partner_limits import Usage
from chalicelib.services.attempts import Attempts
from chalicelib.services.row_size import within_row
from chalicelib.storage.store import KEYS_IN_ONE_READ, KEYS_OF_AN_ORDER, KEYS_OF_ONE_OPPORTUNITY
from chalicelib.values import dataclass
from chalicelib.wire.links import is_identifier


@dataclass(frozen=True)
class Bookings:
    """The stages, for one installation.

    `moment` returns the current time with new ids and the policy. Each method raises what its stage in
    `booking` raises, and StillBusy. `seller_id` is the Seller for whom the caller acts. `on_usage` reports the
    limits that a partner is near to, or has exceeded.
    """

    attempts: Attempts
    moment: Callable[[], Moment]
    on_usage: Callable[[str, Usage], None] = lambda partner_id, usage: None

    def quote(self, request: OrderRequest, *, with_customer: bool) -> Answer:
        """C1, or C2 with a Customer."""
        moment = self.moment()
        leases = moment.policy.anonymous_leases or (with_customer and moment.policy.named_leases)
        answer = self.attempts.carry_out(
            _wanted(request, counters=leases),
            lambda snapshot: quote(request, snapshot, moment, with_customer=with_customer),
            moment.now,
        )
        return self._reported(request.key, answer)

    def delete_quote(self, key: OrderKey, *, seller_id: str | None) -> None:
        """OrderQuote Deletion."""
        now = self.moment().now
        self.attempts.carry_out(
            Wanted(key), lambda snapshot: delete_quote(snapshot, now, seller_id=seller_id), now
        )

    def propose(self, request: OrderRequest, render: Render) -> Answer:
        """P. Raises RequestTooLargeError if its row would have no space for later changes."""
        moment = self.moment()
        render = within_row(render, moment)
        try:
            answer = self.attempts.carry_out(
                _wanted(request, counters=True),
                lambda snapshot: propose(request, snapshot, moment, render),
                moment.now,
            )
        except TooManyRequestsError as refusal:
            if refusal.usage is not None:
                self.on_usage(request.key.partner_id, refusal.usage)
            raise
        return self._reported(request.key, answer)

    def book(self, request: OrderRequest, render: Render) -> Answer:
        """B of the simple flow. Raises RequestTooLargeError if its row would have no space for later changes."""
        moment = self.moment()
        render = within_row(render, moment)
        return self.attempts.carry_out(
            _wanted(request), lambda snapshot: book(request, snapshot, moment, render), moment.now
        )

    def book_proposal(
        self, request: ProposalBookingRequest, render: Render, *, seller_id: str | None
    ) -> Answer:
        """B of an accepted OrderProposal."""
        moment = self.moment()
        render = within_row(render, moment)
        return self.attempts.carry_out(
            Wanted(request.key),
            lambda snapshot: book_proposal(request, snapshot, moment, render, seller_id=seller_id),
            moment.now,
        )

    def update_proposal(self, request: ProposalUpdateRequest, *, seller_id: str | None) -> None:
        """OrderProposal Update."""
        moment = self.moment()
        self.attempts.carry_out_on_order(
            request.key,
            lambda snapshot: update_proposal(request, snapshot, moment, seller_id=seller_id),
            moment.now,
        )

    def cancel(self, request: CancellationRequest, *, seller_id: str | None) -> None:
        """Order Cancellation."""
        moment = self.moment()
        self.attempts.carry_out(
            Wanted(request.key),
            lambda snapshot: cancel_items(request, snapshot, moment, seller_id=seller_id),
            moment.now,
        )

    def delete(self, key: OrderKey, *, seller_id: str | None) -> None:
        """Order Deletion."""
        self.attempts.carry_out(
            Wanted(key), lambda snapshot: delete_order(snapshot, seller_id=seller_id), self.moment().now
        )

    def status(self, key: OrderKey, *, seller_id: str | None) -> Order:
        """Order Status."""
        now = self.moment().now
        return self.attempts.carry_out(
            Wanted(key), lambda snapshot: read_status(snapshot, now, seller_id=seller_id), now
        )

    def _reported(self, key: OrderKey, answer: Answer) -> Answer:
        for usage in answer.usage:
            self.on_usage(key.partner_id, usage)
        return answer


def _wanted(request: OrderRequest, *, counters: bool = False) -> Wanted:
    """What to read; texts that cannot be ids are not looked up. `counters`: also those of the partner."""
    seller_id = request.seller_id if request.seller_id and is_identifier(request.seller_id) else None
    opportunity_ids = tuple(filter(is_identifier, request.opportunity_ids()))
    offers_of = _whose_offers(request, opportunity_ids)
    return Wanted(request.key, seller_id, opportunity_ids, offers_of, counters)


def _whose_offers(request: OrderRequest, opportunity_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Other Opportunities to which the requested Offers may belong, by their ids: as many as fit in one read.

    An Offer that does not belong to its OrderItem's Opportunity may belong to another one, or not exist (ERR-05).
    Its id begins with that of its Opportunity, so both cases are distinguished without another round trip.
    """
    owners = dict.fromkeys(
        owner
        for item in request.items
        if item.offer_id and is_identifier(item.offer_id)
        for owner, fragment, _ in [item.offer_id.partition("#")]
        if fragment and owner not in opportunity_ids
    )
    free = KEYS_IN_ONE_READ - KEYS_OF_ONE_OPPORTUNITY * len(opportunity_ids) - KEYS_OF_AN_ORDER
    return tuple(owners)[: max(free, 0)]
