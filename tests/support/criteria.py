"""Judges, from what the open feeds show, whether an Opportunity meets a criterion of the official test suite.

Written from the suite's own definitions (test-interface-criteria), and independent of the code that builds them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate

Json = dict[str, Any]
Judge = Callable[["Shown"], bool]

OPEN_ACTIVE, SCHEMA = "https://openactive.io/", "https://schema.org/"
_SLACK = timedelta(hours=2)


class Shown:
    """One Opportunity with its parent, as a Broker's harvest has put them together, at `now`."""

    def __init__(self, child: Json, parent: Json | None, now: datetime) -> None:
        self.child, self.parent, self.now = child, parent or {}, now
        (self.offer,) = child.get("offers") or self.parent["offers"]
        # What can be used at any time has neither, and then no limit of time; the suite itself passes over it.
        self.starts_at = _instant(child["startDate"]) if "startDate" in child else None
        self.ends_at = _instant(child["endDate"], days=1) if "endDate" in child else None
        # A unit is published within its FacilityUse, from which it has its provider.
        (self.unit,) = self.parent.get("individualFacilityUse", [None])
        self.seller = (
            child.get("organizer") or self.parent.get("organizer") or self.parent.get("provider") or {}
        )
        self.needs = set(self.offer.get("openBookingFlowRequirement", []))
        self.spaces = child.get("remainingAttendeeCapacity", child.get("remainingUses"))

    def limit(self, term: str) -> datetime | None:
        before = self.offer.get(term)
        if before is None or self.starts_at is None:
            return None
        limit: datetime = self.starts_at - isodate.parse_duration(before)
        return limit

    @property
    def needs_approval(self) -> bool:
        return f"{OPEN_ACTIVE}OpenBookingApproval" in self.needs


def _instant(value: str, days: int = 0) -> datetime:
    """A date and time; or, of a course, the beginning of a day in UTC, or the end of it with `days` 1."""
    if "T" in value:
        found: datetime = isodate.parse_datetime(value)
        return found
    return datetime.fromisoformat(value).replace(tzinfo=UTC) + timedelta(days=days)


def _is_sold(shown: Shown) -> bool:
    return (
        shown.child.get("eventStatus") not in (f"{SCHEMA}EventCancelled", f"{SCHEMA}EventPostponed")
        and shown.seller.get("isOpenBookingAllowed") is True
        and shown.offer.get("openBookingInAdvance") != f"{OPEN_ACTIVE}Unavailable"
    )


def _is_ahead(shown: Shown) -> bool:
    return shown.starts_at is None or shown.starts_at > shown.now + _SLACK


def _window_is_open(shown: Shown) -> bool:
    opens, closes = shown.limit("validFromBeforeStartDate"), shown.limit("validThroughBeforeStartDate")
    return (opens is None or opens < shown.now) and (closes is None or closes > shown.now + _SLACK)


def _has_two(shown: Shown) -> bool:
    return shown.spaces is None or bool(shown.spaces >= (1 if shown.unit else 2))


def _needs_no_details(shown: Shown) -> bool:
    return not shown.needs & {
        f"{OPEN_ACTIVE}OpenBookingAttendeeDetails",
        f"{OPEN_ACTIVE}OpenBookingIntakeForm",
    }


def _prepayment(shown: Shown) -> str | None:
    value = shown.offer.get("openBookingPrepayment")
    return None if value is None else str(value).removeprefix(OPEN_ACTIVE)


def _can_be_paid(shown: Shown) -> bool:
    return not (shown.offer["price"] > 0 and _prepayment(shown) == "Unavailable")


def _future(shown: Shown) -> bool:
    return _is_sold(shown) and _is_ahead(shown)


def _listed(shown: Shown) -> bool:
    return _future(shown) and _window_is_open(shown) and _needs_no_details(shown)


def _bookable(shown: Shown) -> bool:
    return _listed(shown) and _has_two(shown) and _can_be_paid(shown)


def _of_spaces(number: int) -> Judge:
    return lambda shown: _listed(shown) and _can_be_paid(shown) and shown.spaces == number


def _free(shown: Shown) -> bool:
    return _bookable(shown) and shown.offer["price"] == 0 and _prepayment(shown) in (None, "Unavailable")


def _paid(shown: Shown) -> bool:
    return _bookable(shown) and shown.offer["price"] > 0


def _paid_as(*prepayments: str | None) -> Judge:
    return lambda shown: _paid(shown) and _prepayment(shown) in prepayments


def _taxed(mode: str) -> Judge:
    return lambda shown: _paid(shown) and shown.seller.get("taxMode") == OPEN_ACTIVE + mode


def _refunds(shown: Shown) -> bool:
    until = shown.limit("latestCancellationBeforeStartDate")
    return shown.offer.get("allowCustomerCancellationFullRefund") is True and (
        until is None or until > shown.now + _SLACK
    )


def _needs(requirement: str) -> Judge:
    wanted = OPEN_ACTIVE + requirement

    def judge(shown: Shown) -> bool:
        others = shown.needs - {wanted, f"{OPEN_ACTIVE}OpenBookingApproval"}
        return (
            _future(shown)
            and _window_is_open(shown)
            and _has_two(shown)
            and wanted in shown.needs
            and not others
        )

    return judge


def _cancellation_is_over(shown: Shown) -> bool:
    until = shown.limit("latestCancellationBeforeStartDate")
    return _bookable(shown) and until is not None and until < shown.now


def _cancellation_is_open(shown: Shown) -> bool:
    return (
        _bookable(shown) and shown.limit("latestCancellationBeforeStartDate") is not None and _refunds(shown)
    )


def _mode(shown: Shown) -> str | None:
    if shown.child["@type"] == "OnDemandEvent":
        return "OnlineEventAttendanceMode"  # it may not state one
    mode = shown.child.get("eventAttendanceMode") or shown.parent.get("eventAttendanceMode")
    return None if mode is None else str(mode).removeprefix(SCHEMA)


CRITERIA: dict[str, Judge] = {
    "TestOpportunityBookable": _bookable,
    "TestOpportunityBookableFree": _free,
    "TestOpportunityBookableNonFree": _paid,
    "TestOpportunityBookableUsingPayment": lambda shown: _paid(shown) and _prepayment(shown) != "Unavailable",
    "TestOpportunityBookableNonFreePrepaymentRequired": _paid_as(None, "Required"),
    "TestOpportunityBookableNonFreePrepaymentOptional": _paid_as("Optional"),
    "TestOpportunityBookableNonFreePrepaymentUnavailable": lambda shown: (
        _listed(shown)
        and _has_two(shown)
        and shown.offer["price"] > 0
        and _prepayment(shown) == "Unavailable"
    ),
    "TestOpportunityBookableNonFreeTaxGross": _taxed("TaxGross"),
    "TestOpportunityBookableNonFreeTaxNet": _taxed("TaxNet"),
    "TestOpportunityBookableNoSpaces": _of_spaces(0),
    "TestOpportunityBookableOneSpace": _of_spaces(1),
    "TestOpportunityBookableFiveSpaces": _of_spaces(5),
    "TestOpportunityBookableInPast": lambda shown: (
        _is_sold(shown) and shown.ends_at < shown.now and _has_two(shown) and _needs_no_details(shown)
    ),
    "TestOpportunityBookableWithinValidFromBeforeStartDate": lambda shown: (
        _bookable(shown) and shown.limit("validFromBeforeStartDate") is not None
    ),
    "TestOpportunityBookableOutsideValidFromBeforeStartDate": lambda shown: (
        _future(shown)
        and _needs_no_details(shown)
        and _has_two(shown)
        and (shown.limit("validFromBeforeStartDate") or shown.now) > shown.now + _SLACK
    ),
    "TestOpportunityBookableCancellable": lambda shown: _bookable(shown) and _refunds(shown),
    "TestOpportunityBookableFreeCancellable": lambda shown: _free(shown) and _refunds(shown),
    "TestOpportunityBookableNonFreeCancellable": lambda shown: _paid(shown) and _refunds(shown),
    "TestOpportunityBookableCancellableNoWindow": lambda shown: (
        _bookable(shown) and _refunds(shown) and "latestCancellationBeforeStartDate" not in shown.offer
    ),
    "TestOpportunityBookableCancellableWithinWindow": _cancellation_is_open,
    "TestOpportunityBookableCancellableOutsideWindow": _cancellation_is_over,
    "TestOpportunityBookableNotCancellable": lambda shown: (
        _bookable(shown)
        and (shown.offer.get("allowCustomerCancellationFullRefund") is False or _cancellation_is_over(shown))
    ),
    "TestOpportunityBookableAttendeeDetails": _needs("OpenBookingAttendeeDetails"),
    "TestOpportunityBookableAdditionalDetails": _needs("OpenBookingIntakeForm"),
    "TestOpportunityBookableWithNegotiation": _needs("OpenBookingNegotiation"),
    "TestOpportunityBookableSellerTermsOfService": lambda shown: (
        _bookable(shown) and bool(shown.seller.get("termsOfService"))
    ),
    "TestOpportunityOnlineBookable": lambda shown: (
        _bookable(shown) and _mode(shown) in ("OnlineEventAttendanceMode", "MixedEventAttendanceMode")
    ),
    "TestOpportunityOfflineBookable": lambda shown: (
        _bookable(shown) and _mode(shown) in (None, "OfflineEventAttendanceMode")
    ),
}
