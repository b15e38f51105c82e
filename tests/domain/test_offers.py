"""When an Offer can be bought, paid and cancelled."""

from datetime import timedelta

import pytest

from chalicelib.domain.offers import FlowRequirement, Prepayment
from tests.support.builders import NOW, an_offer

HOUR = timedelta(hours=1)
STARTS_AT = NOW + timedelta(hours=48)


@pytest.mark.parametrize(
    ("opens_before", "for_sale"),
    [(None, True), (49 * HOUR, True), (48 * HOUR, True), (47 * HOUR, False)],
)
def test_booking_opens_so_long_before_the_start(opens_before: timedelta | None, for_sale: bool) -> None:
    """BOOKABLE-05."""
    reason = an_offer(opens_before=opens_before).why_not_for_sale(STARTS_AT, NOW)
    assert (reason is None) is for_sale


@pytest.mark.parametrize(
    ("closes_before", "for_sale"),
    [(None, True), (47 * HOUR, True), (48 * HOUR, False), (49 * HOUR, False)],
)
def test_booking_closes_so_long_before_the_start(closes_before: timedelta | None, for_sale: bool) -> None:
    """T5: validThroughBeforeStartDate is honoured."""
    reason = an_offer(closes_before=closes_before).why_not_for_sale(STARTS_AT, NOW)
    assert (reason is None) is for_sale


def test_offer_that_is_not_sold_in_advance_is_not_for_sale() -> None:
    """BOOKABLE-04."""
    assert an_offer(bookable_in_advance=False).why_not_for_sale(STARTS_AT, NOW)


def test_windows_need_a_start() -> None:
    assert an_offer(opens_before=HOUR, closes_before=HOUR).why_not_for_sale(None, NOW) is None


@pytest.mark.parametrize(
    ("price", "prepayment", "expected"),
    [
        ("10", None, Prepayment.Required),
        ("10", Prepayment.Required, Prepayment.Required),
        ("10", Prepayment.Optional, Prepayment.Optional),
        ("10", Prepayment.Unavailable, Prepayment.Unavailable),
        ("0", None, Prepayment.Unavailable),
        ("0", Prepayment.Required, Prepayment.Unavailable),
        ("0", Prepayment.Optional, Prepayment.Unavailable),
    ],
)
def test_prepayment_is_required_by_default_unless_free(
    price: str, prepayment: Prepayment | None, expected: Prepayment
) -> None:
    """PAY-01, PAY-03."""
    assert an_offer(price, prepayment=prepayment).effective_prepayment() is expected


@pytest.mark.parametrize(
    ("allowed", "until_before", "starts_in", "cancellable"),
    [
        (True, None, HOUR, True),
        (True, None, timedelta(0), False),
        (True, None, -HOUR, False),
        (True, 2 * HOUR, 3 * HOUR, True),
        (True, 2 * HOUR, 2 * HOUR, False),
        (True, 2 * HOUR, HOUR, False),
        (True, -2 * HOUR, -HOUR, False),  # a window that ends after the start does not reach past it
        (False, None, HOUR, False),
        (False, 2 * HOUR, 3 * HOUR, False),
    ],
)
def test_cancellation_window(
    allowed: bool, until_before: timedelta | None, starts_in: timedelta, cancellable: bool
) -> None:
    """CANCEL-06, CANCEL-08; CANCEL-07: the reason is a sentence for a customer."""
    offer = an_offer(allows_cancellation=allowed, cancellable_until_before=until_before)
    reason = offer.why_not_cancellable(NOW + starts_in, NOW)
    assert (reason is None) is cancellable
    assert reason is None or reason.endswith(".")


def test_without_a_start_there_is_no_window() -> None:
    assert an_offer(cancellable_until_before=HOUR).why_not_cancellable(None, NOW) is None


def test_approval_is_a_requirement_of_the_offer() -> None:
    assert an_offer(requirements=(FlowRequirement.OpenBookingApproval,)).needs_approval
    assert not an_offer(requirements=(FlowRequirement.OpenBookingIntakeForm,)).needs_approval
