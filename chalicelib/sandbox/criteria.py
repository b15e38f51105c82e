"""The features that an Opportunity needs for each criterion of the official test suite: one line each."""

from collections.abc import Mapping
from datetime import timedelta

from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.parties import TaxMode
from chalicelib.values import dataclass

# A run takes about an hour, and the suite needs two more hours before and after every limit.
_STARTS_IN = timedelta(days=7)
_LONG_OVER = timedelta(days=-2)
_REACHED = "P10D"  # before the start: three days ago
_TO_COME = "P1D"  # before the start: in six days


@dataclass(frozen=True)
class Features:
    """The features that an Opportunity needs for a criterion; the defaults are the usual values.

    `is_paid` None: either. `spaces` None: many, or one if the type allows only one. The windows are
    ISO 8601 durations before the start. `tax_mode` and `seller_terms` are what its Seller must have.
    """

    is_paid: bool | None = None
    prepayment: Prepayment = Prepayment.Required
    spaces: int | None = None
    starts_in: timedelta = _STARTS_IN
    opens: str | None = None
    refund: bool = True
    refund_until: str | None = None
    needs: tuple[FlowRequirement, ...] = ()
    online: bool = False
    offline: bool = False
    seller_terms: bool = False
    tax_mode: TaxMode | None = None

    @property
    def needs_start(self) -> bool:
        """Whether the criterion compares a time with the start of the Opportunity."""
        return self.starts_in != _STARTS_IN or self.opens is not None or self.refund_until is not None


# Each criterion in one line.
CRITERIA: Mapping[str, Features] = {
    "TestOpportunityBookable": Features(),
    "TestOpportunityBookableFree": Features(is_paid=False),
    "TestOpportunityBookableNonFree": Features(is_paid=True),
    "TestOpportunityBookableUsingPayment": Features(is_paid=True),
    "TestOpportunityBookableNonFreePrepaymentRequired": Features(is_paid=True),
    "TestOpportunityBookableNonFreePrepaymentOptional": Features(
        is_paid=True, prepayment=Prepayment.Optional
    ),
    "TestOpportunityBookableNonFreePrepaymentUnavailable": Features(
        is_paid=True, prepayment=Prepayment.Unavailable
    ),
    "TestOpportunityBookableNonFreeTaxGross": Features(is_paid=True, tax_mode=TaxMode.TaxGross),
    "TestOpportunityBookableNonFreeTaxNet": Features(is_paid=True, tax_mode=TaxMode.TaxNet),
    "TestOpportunityBookableNoSpaces": Features(spaces=0),
    "TestOpportunityBookableOneSpace": Features(spaces=1),
    "TestOpportunityBookableFiveSpaces": Features(spaces=5),
    "TestOpportunityBookableInPast": Features(starts_in=_LONG_OVER),
    "TestOpportunityBookableWithinValidFromBeforeStartDate": Features(opens=_REACHED),
    "TestOpportunityBookableOutsideValidFromBeforeStartDate": Features(opens=_TO_COME),
    "TestOpportunityBookableCancellable": Features(),
    "TestOpportunityBookableFreeCancellable": Features(is_paid=False),
    "TestOpportunityBookableNonFreeCancellable": Features(is_paid=True),
    "TestOpportunityBookableCancellableNoWindow": Features(),
    "TestOpportunityBookableCancellableWithinWindow": Features(refund_until=_TO_COME),
    "TestOpportunityBookableCancellableOutsideWindow": Features(refund_until=_REACHED),
    "TestOpportunityBookableNotCancellable": Features(refund=False),
    "TestOpportunityBookableAttendeeDetails": Features(needs=(FlowRequirement.OpenBookingAttendeeDetails,)),
    "TestOpportunityBookableAdditionalDetails": Features(needs=(FlowRequirement.OpenBookingIntakeForm,)),
    "TestOpportunityBookableWithNegotiation": Features(needs=(FlowRequirement.OpenBookingNegotiation,)),
    "TestOpportunityBookableSellerTermsOfService": Features(seller_terms=True),
    "TestOpportunityOnlineBookable": Features(online=True),
    "TestOpportunityOfflineBookable": Features(offline=True),
}

# The suite requests these to check that they are refused: a free Offer takes no payment (PAY-03).
ILLEGAL_CRITERIA = frozenset(
    {"TestOpportunityBookableFreePrepaymentOptional", "TestOpportunityBookableFreePrepaymentRequired"}
)
