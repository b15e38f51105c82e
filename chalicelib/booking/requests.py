"""A Broker's requests as values: read from the wire, not yet checked."""

from decimal import Decimal

from chalicelib.domain.errors import OrderItemError
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.values import dataclass


@dataclass(frozen=True)
class RequestedItem:
    """One OrderItem of a request. `errors` are those found while reading it."""

    position: int | None
    opportunity_id: str | None = None
    offer_id: str | None = None
    attendee: Json | None = None
    intake_answers: tuple[Json, ...] = ()
    access_passes: tuple[Json, ...] = ()
    errors: tuple[OrderItemError, ...] = ()


@dataclass(frozen=True)
class OrderRequest:
    """The body of C1, C2, P or B.

    `broker` and `customer` are as sent, even if they are not objects: they are checked later.
    `total_payment_due` is the price that the Broker expects, in `total_currency` if it names one.

    `at_desk`: the Seller itself sells, to a person who is there. Then a Customer may be missing, and what the
    Seller asks of Brokers is not asked: approval, details, windows, how payment is taken.
    """

    key: OrderKey
    seller_id: str | None
    items: tuple[RequestedItem, ...]
    broker_role: BrokerRole | None = None
    broker: object = None
    customer: object = None
    payment: Json | None = None
    total_payment_due: Decimal | None = None
    total_currency: str | None = None
    customer_note: str | None = None
    at_desk: bool = False

    def opportunity_ids(self) -> list[str]:
        """The ids of the Opportunities in the request, each once, in order of appearance."""
        return list(dict.fromkeys(item.opportunity_id for item in self.items if item.opportunity_id))


@dataclass(frozen=True)
class CancellationRequest:
    """The body of an Order Cancellation: the ids of the OrderItems to cancel."""

    key: OrderKey
    item_ids: tuple[str, ...]


@dataclass(frozen=True)
class ProposalBookingRequest:
    """The body of B for an accepted OrderProposal: its version, and the payment if one is due (B-16).

    It may state the total (`states_total`), which must then be the accepted one.
    """

    key: OrderKey
    version: str | None
    payment: Json | None = None
    states_total: bool = False
    total_payment_due: Decimal | None = None
    total_currency: str | None = None


@dataclass(frozen=True)
class ProposalUpdateRequest:
    """The body of an OrderProposal Update: a rejection, a note, or both (PUPD-01)."""

    key: OrderKey
    rejects: bool = False
    customer_note: str | None = None
