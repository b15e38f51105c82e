"""An Offer: its price, when it can be bought, and when a booking made with it can be cancelled."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from chalicelib.domain.bookability import Barrier
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.values import dataclass, field


class Prepayment(StrEnum):
    """Whether a payment is taken through the Broker (`openBookingPrepayment`, PAY-01)."""

    Required = "Required"
    Optional = "Optional"
    Unavailable = "Unavailable"


class FlowRequirement(StrEnum):
    """A feature that a Broker must have to book with the Offer (OPEN-02)."""

    OpenBookingIntakeForm = "OpenBookingIntakeForm"
    OpenBookingAttendeeDetails = "OpenBookingAttendeeDetails"
    OpenBookingApproval = "OpenBookingApproval"
    OpenBookingNegotiation = "OpenBookingNegotiation"
    OpenBookingMessageExchange = "OpenBookingMessageExchange"


@dataclass(frozen=True)
class Offer:
    """One price for one Opportunity.

    `document` is the Offer as published. The windows are durations before the start of the
    Opportunity: booking opens `opens_before`, closes `closes_before`, and a booking can be
    cancelled until `cancellable_until_before`. It is sold from `opens_at` until `closes_at`, too.
    `barriers`: why it cannot be booked as it is published, whatever the time.
    """

    id: str
    price: Decimal
    currency: str | None = None
    prepayment: Prepayment | None = None
    bookable_in_advance: bool = True
    opens_before: timedelta | None = None
    closes_before: timedelta | None = None
    cancellable_until_before: timedelta | None = None
    allows_cancellation: bool = False
    requirements: tuple[FlowRequirement, ...] = ()
    tax_rate: TaxRate | None = None
    document: Json = field(default_factory=dict)
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    barriers: tuple[Barrier, ...] = ()

    @property
    def is_free(self) -> bool:
        return self.price == 0

    @property
    def needs_approval(self) -> bool:
        return FlowRequirement.OpenBookingApproval in self.requirements

    def effective_prepayment(self) -> Prepayment:
        """Required by default; Unavailable if the Offer is free (PAY-01, PAY-03)."""
        if self.is_free:
            return Prepayment.Unavailable
        return self.prepayment or Prepayment.Required

    def why_not_for_sale(
        self, starts_at: datetime | None, now: datetime, *, at_desk: bool = False
    ) -> str | None:
        """Why this Offer cannot be bought now, or None (BOOKABLE-04, BOOKABLE-05).

        The windows are for sales in advance: at the Seller's desk it can be bought until the activity is over.
        """
        if self.barriers:
            return self.barriers[0].text
        if at_desk:
            return None
        if not self.bookable_in_advance:
            return "This offer is not sold in advance."
        if self.opens_at is not None and now < self.opens_at:
            return "Booking with this offer has not opened yet."
        if self.closes_at is not None and now >= self.closes_at:
            return "Booking with this offer has closed."
        if starts_at is not None:
            if self.opens_before is not None and now < starts_at - self.opens_before:
                return "Booking with this offer has not opened yet."
            if self.closes_before is not None and now >= starts_at - self.closes_before:
                return "Booking with this offer has closed."
        return None

    def why_not_cancellable(self, starts_at: datetime | None, now: datetime) -> str | None:
        """Why a booking with this Offer cannot be cancelled now, or None (CANCEL-06, CANCEL-08)."""
        if not self.allows_cancellation:
            return "This booking cannot be cancelled for a refund."
        if starts_at is None:
            return None
        if now >= starts_at:
            return "It is too late to cancel this booking: the activity has started."
        if self.cancellable_until_before is not None and now >= starts_at - self.cancellable_until_before:
            return "It is too late to cancel this booking."
        return None
