"""Which Opportunities a sandbox has: for each criterion, type and flow, as many as its size says.

Decides nothing about when they are made or replaced.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, Seller, TaxMode
from chalicelib.sandbox.criteria import CRITERIA
from chalicelib.sandbox.opportunities import TestOpportunity, build_opportunity
from chalicelib.sandbox.requests import BookingFlow, TestInterfaceRefused, TestOpportunityRequest
from chalicelib.values import dataclass

# How many Opportunities of each criterion the official test suite uses for one type and one flow: what its
# test data generator counts with every feature on.
NEEDED_BY_SUITE: Mapping[str, int] = {
    "TestOpportunityBookable": 217,
    "TestOpportunityBookableAdditionalDetails": 9,
    "TestOpportunityBookableAttendeeDetails": 6,
    "TestOpportunityBookableCancellable": 19,
    "TestOpportunityBookableCancellableOutsideWindow": 3,
    "TestOpportunityBookableCancellableWithinWindow": 3,
    "TestOpportunityBookableFiveSpaces": 4,
    "TestOpportunityBookableFree": 30,
    "TestOpportunityBookableInPast": 3,
    "TestOpportunityBookableNoSpaces": 3,
    "TestOpportunityBookableNonFree": 9,
    "TestOpportunityBookableNonFreePrepaymentOptional": 8,
    "TestOpportunityBookableNonFreePrepaymentRequired": 9,
    "TestOpportunityBookableNonFreePrepaymentUnavailable": 13,
    "TestOpportunityBookableNonFreeTaxGross": 12,
    "TestOpportunityBookableNonFreeTaxNet": 8,
    "TestOpportunityBookableNotCancellable": 1,
    "TestOpportunityBookableOneSpace": 4,
    "TestOpportunityBookableOutsideValidFromBeforeStartDate": 3,
    "TestOpportunityBookableSellerTermsOfService": 4,
    "TestOpportunityBookableUsingPayment": 15,
    "TestOpportunityBookableWithNegotiation": 3,
    "TestOpportunityBookableWithinValidFromBeforeStartDate": 3,
    "TestOpportunityOfflineBookable": 15,
    "TestOpportunityOnlineBookable": 6,
}
# The general tests take any Opportunity that meets their criterion, also one of a rarer criterion. With exactly
# the numbers above the rarer ones are then missing.
SURPLUS = 3

# What tests use of the second Seller, with its number for one type and one flow.
NEEDED_OF_SECOND_SELLER: Mapping[str, int] = {
    "TestOpportunityBookable": 5,
    "TestOpportunityBookableNonFreeTaxNet": NEEDED_BY_SUITE["TestOpportunityBookableNonFreeTaxNet"],
}


class Answer(StrEnum):
    """How the sandbox answers the OrderProposals of an Opportunity, in place of a Seller."""

    accepted = "accepted"
    rejected = "rejected"


@dataclass(frozen=True)
class Place:
    """One Opportunity of the sandbox. When it is used up or too old, another one with a new number follows.

    `index` distinguishes places that are otherwise alike.
    """

    request: TestOpportunityRequest
    index: int
    number: int = 0
    answer: Answer | None = None

    @property
    def key(self) -> tuple[TestOpportunityRequest, int, Answer | None]:
        """What stays the same when the Opportunity is replaced."""
        return self.request, self.index, self.answer


@dataclass(frozen=True)
class Size:
    """How many Opportunities of each criterion, type and flow: `each`, or as many as the suite needs.

    For the suite there are none that are answered automatically: its tests answer proposals themselves.
    `types` are the suite's names of the types to make (None: all).
    """

    each: int = 2
    for_suite: bool = False
    types: frozenset[str] | None = None

    def of(self, criteria: str, needed: Mapping[str, int]) -> int:
        return SURPLUS * needed.get(criteria, 1) if self.for_suite else self.each


def places(sellers: Sequence[Seller], size: Size, now: datetime) -> Iterator[Place]:
    """Every Opportunity that the sandbox should have, without those that cannot exist.

    The first Seller whose prices include tax, or else the first one, gets all criteria; the others get those
    that tests use of a second Seller.
    """
    including_tax = [each for each in sellers if each.tax_mode is TaxMode.TaxGross]
    first = next(iter((*including_tax, *sellers)), None)
    for seller in sellers:
        is_first = seller is first
        needed = NEEDED_BY_SUITE if is_first else NEEDED_OF_SECOND_SELLER
        for criteria in CRITERIA if is_first else NEEDED_OF_SECOND_SELLER:
            for request in _requests(seller.id, criteria, size):
                if _can_exist(request, seller.document, now):
                    for index in range(size.of(criteria, needed)):
                        yield Place(request, index)
        if is_first and not size.for_suite:
            for request in _requests(seller.id, "TestOpportunityBookable", size):
                if request.flow is BookingFlow.OpenBookingApprovalFlow:
                    for answer in Answer:
                        yield Place(request, 0, answer=answer)


def build(place: Place, seller: Json, now: datetime) -> TestOpportunity:
    """The documents of a place. Raises TestInterfaceRefused."""
    return build_opportunity(
        place.request, number=place.number, now=now, seller=seller, name=f"(sandbox: {label(place)})"
    )


def label(place: Place) -> str:
    """What is special about the Opportunity of a place, for people: part of its name."""
    words = re.sub(r"^TestOpportunity(Bookable(?=.))?", "", place.request.criteria)
    said = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).lower()
    if place.answer is not None:
        return f"proposals are {place.answer} automatically"
    return f"{said}, needs approval" if place.request.flow is BookingFlow.OpenBookingApprovalFlow else said


def _requests(seller_id: str, criteria: str, size: Size) -> Iterator[TestOpportunityRequest]:
    """One for each type that a test can book, and each flow."""
    for kind in OpportunityType:
        for name, parent_type in kind.traits.test_names.items():
            if size.types is None or name in size.types:
                for flow in BookingFlow:
                    yield TestOpportunityRequest(kind, parent_type, seller_id, criteria, flow)


def _can_exist(request: TestOpportunityRequest, seller: Json, now: datetime) -> bool:
    try:
        build_opportunity(request, number=0, now=now, seller=seller)
    except TestInterfaceRefused:
        return False
    return True
