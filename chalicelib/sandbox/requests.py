"""What an Opportunity for tests must be: its type, its Seller, its criterion and its booking flow."""

from enum import StrEnum

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.values import dataclass


class TestInterfaceRefused(Exception):
    """The Test Interface cannot do what the request asks."""

    __test__ = False  # pytest must not collect it


class BookingFlow(StrEnum):
    """The flow with which a test will book."""

    OpenBookingSimpleFlow = "OpenBookingSimpleFlow"
    OpenBookingApprovalFlow = "OpenBookingApprovalFlow"


@dataclass(frozen=True)
class TestOpportunityRequest:
    """An Opportunity that a test needs (TESTIF-02). `parent_type` may be the type of a part of the parent."""

    __test__ = False

    type: OpportunityType
    parent_type: str | None
    seller_id: str
    criteria: str
    flow: BookingFlow
