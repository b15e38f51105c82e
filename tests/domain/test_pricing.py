"""Prices, tax, totals, and whether a payment is due."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.currencies import rounded
from chalicelib.domain.errors import (
    IncompletePaymentDetailsError,
    InvalidPaymentDetailsError,
    MissingPaymentDetailsError,
    OpenBookingError,
    UnnecessaryPaymentDetailsError,
)
from chalicelib.domain.offers import Offer, Prepayment
from chalicelib.domain.parties import TaxMode, TaxRate
from chalicelib.domain.pricing import (
    Totals,
    check_payment,
    check_reconciliation,
    payment_conflicts,
    total,
    unit_price,
)
from tests.support.builders import VAT, a_seller, an_offer

D = Decimal
REDUCED = TaxRate("VAT at 5%", D("0.05"), "reduced")


@pytest.mark.parametrize(
    ("mode", "price", "excluded", "amount", "due", "tax"),
    [
        (TaxMode.TaxGross, "12.00", False, "12.00", "12.00", "2.00"),
        (TaxMode.TaxNet, "10.00", False, "10.00", "12.00", "2.00"),
        (TaxMode.TaxGross, "10.00", False, "10.00", "10.00", "1.67"),
        (TaxMode.TaxNet, "9.99", False, "9.99", "11.99", "2.00"),
        # TAX-03: without calculation all prices are net, whatever the mode
        (TaxMode.TaxGross, "12.00", True, "10.00", "10.00", None),
        (TaxMode.TaxNet, "10.00", True, "10.00", "10.00", None),
        # TAX-08: what is free carries no tax
        (TaxMode.TaxGross, "0", False, "0.00", "0.00", None),
        (TaxMode.TaxNet, "0", False, "0.00", "0.00", None),
    ],
)
def test_unit_price(
    mode: TaxMode, price: str, excluded: bool, amount: str, due: str, tax: str | None
) -> None:
    """TAX-03, TAX-05, TAX-08."""
    found = unit_price(an_offer(price), a_seller(tax_mode=mode), tax_excluded=excluded)
    assert (found.amount, found.due) == (D(amount), D(due))
    assert [charge.amount for charge in found.taxes] == ([D(tax)] if tax else [])


def test_seller_without_a_tax_rate_charges_none() -> None:
    found = unit_price(an_offer("10"), a_seller(tax_rate=None))
    assert (found.due, found.taxes) == (D(10), ())


def test_rate_of_the_offer_goes_before_that_of_the_seller() -> None:
    """TAX-06: a charge has name, price, currency, rate and identifier."""
    [charge] = unit_price(an_offer("10.50", tax_rate=REDUCED), a_seller()).taxes
    assert (charge.name, charge.rate, charge.identifier) == ("VAT at 5%", D("0.05"), "reduced")
    assert (charge.amount, charge.currency) == (D("0.50"), "GBP")


@pytest.mark.parametrize(
    ("amount", "result"), [("0.005", "0.01"), ("0.004", "0.00"), ("1.675", "1.68"), ("2.665", "2.67")]
)
def test_halves_are_rounded_up(amount: str, result: str) -> None:
    """MEDIA-10: computed in decimal, where 1.675 is what it looks like."""
    assert rounded(D(amount), "GBP") == D(result)


def test_taxes_of_one_kind_are_summed_and_kinds_kept_apart() -> None:
    """TAX-06."""
    seller = a_seller()
    offers = [an_offer("12"), an_offer("12"), an_offer("10.50", tax_rate=REDUCED)]
    totals = total(
        [(offer, unit_price(offer, seller)) for offer in offers],
        tax_excluded=False,
        prepayment_supported=True,
    )
    assert [(charge.name, charge.amount) for charge in totals.taxes] == [
        ("VAT at 20%", D("4.00")),
        ("VAT at 5%", D("0.50")),
    ]


def test_total_of_nothing_is_nought_and_still_there() -> None:
    """C1-07, PAY-03."""
    totals = total([], tax_excluded=False, prepayment_supported=True)
    assert totals == Totals(D("0.00"), None, Prepayment.Unavailable)


prices = st.decimals(min_value=0, max_value=10_000, places=2, allow_nan=False)


@given(st.lists(st.tuples(prices, st.sampled_from([VAT, REDUCED]))), st.sampled_from(TaxMode), st.booleans())
def test_totals_are_the_sums_of_the_units(
    wanted: list[tuple[D, TaxRate]], mode: TaxMode, excluded: bool
) -> None:
    """TAX-05, TAX-07: nothing is lost between the items and the total."""
    seller = a_seller(tax_mode=mode)
    offers = [an_offer(str(price), tax_rate=rate) for price, rate in wanted]
    units = [unit_price(offer, seller, tax_excluded=excluded) for offer in offers]
    totals = total(list(zip(offers, units, strict=True)), tax_excluded=excluded, prepayment_supported=True)
    tax = sum((charge.amount for charge in totals.taxes), D(0))
    assert totals.due == sum((unit.due for unit in units), D(0))
    assert tax == sum((charge.amount for unit in units for charge in unit.taxes), D(0))
    shown = sum((unit.amount for unit in units), D(0))
    assert totals.due == (shown + tax if mode is TaxMode.TaxNet and not excluded else shown)
    assert not (excluded and totals.taxes)
    assert all(unit.due == rounded(unit.due, "GBP") for unit in units)


@given(prices)
def test_gross_price_holds_its_net_price_and_its_tax(price: D) -> None:
    """TAX-03, TAX-05: the net price shown to a business and the tax shown to a consumer add up."""
    seller = a_seller(tax_mode=TaxMode.TaxGross)
    with_tax = unit_price(an_offer(str(price)), seller)
    without = unit_price(an_offer(str(price)), seller, tax_excluded=True)
    assert without.due + sum((charge.amount for charge in with_tax.taxes), D(0)) == with_tax.due


R, O, U = Prepayment.Required, Prepayment.Optional, Prepayment.Unavailable  # noqa: E741


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ([("10", R)], R),
        ([("10", None)], R),
        ([("10", O)], O),
        ([("10", U)], U),
        ([("0", None)], U),
        ([("0", R)], U),
        ([("10", O), ("10", U)], O),
        ([("10", O), ("10", R)], R),
        ([("10", None), ("0", None)], R),
        ([("10", U), ("0", None)], U),
    ],
)
def test_prepayment_of_an_order(offers: list[tuple[str, Prepayment | None]], expected: Prepayment) -> None:
    """PAY-01."""
    chosen = [an_offer(price, prepayment=prepayment) for price, prepayment in offers]
    priced = [(offer, unit_price(offer, a_seller())) for offer in chosen]
    assert total(priced, tax_excluded=False, prepayment_supported=True).prepayment is expected
    # PAY-02: where it is not supported, nothing is said of it
    assert total(priced, tax_excluded=False, prepayment_supported=False).prepayment is None


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ([("10", R), ("10", U)], [True, True]),
        ([("10", None), ("10", U)], [True, True]),
        ([("10", R), ("10", U), ("0", None)], [True, True, False]),  # the free one does not conflict
        ([("10", R), ("10", U), ("10", O)], [True, True, False]),
        ([("10", R), ("10", O)], [False, False]),
        ([("10", U), ("10", O)], [False, False]),
        ([("10", R), ("0", U)], [False, False]),
        ([None, ("10", U)], [False, False]),
        ([], []),
    ],
)
def test_payment_required_and_unavailable_do_not_mix(
    offers: list[tuple[str, Prepayment | None] | None], expected: list[bool]
) -> None:
    """PAY-14, T12."""
    chosen: list[Offer | None] = [entry and an_offer(entry[0], prepayment=entry[1]) for entry in offers]
    assert payment_conflicts(chosen) == expected


GOOD: dict[str, Any] = {"@type": "Payment", "identifier": "1"}
NO_ID: dict[str, Any] = {"@type": "Payment", "name": "AcmeBroker Points"}
MISSING, NEEDLESS = MissingPaymentDetailsError, UnnecessaryPaymentDetailsError
INCOMPLETE = IncompletePaymentDetailsError


@pytest.mark.parametrize(
    ("due", "prepayment", "payment", "error"),
    [
        ("10", R, None, MISSING),  # PAY-09
        ("10", R, GOOD, None),
        ("10", R, NO_ID, INCOMPLETE),  # PAY-11
        ("10", R, {}, INCOMPLETE),
        ("10", O, None, None),  # PAY-13
        ("10", O, GOOD, None),
        ("10", O, NO_ID, INCOMPLETE),
        ("10", U, None, None),
        ("10", U, GOOD, NEEDLESS),  # PAY-10
        ("10", U, NO_ID, NEEDLESS),  # PAY-10 wins over PAY-11
        ("10", None, None, MISSING),  # PAY-02: without support the price alone counts
        ("10", None, GOOD, None),
        ("0", None, None, None),  # PAY-16
        ("0", None, GOOD, NEEDLESS),
        ("0", U, None, None),
        ("0", U, GOOD, NEEDLESS),
        ("0", R, None, None),
    ],
)
def test_payment_is_there_exactly_where_it_is_due(
    due: str,
    prepayment: Prepayment | None,
    payment: dict[str, Any] | None,
    error: type[OpenBookingError] | None,
) -> None:
    """PAY-02, PAY-09, PAY-10, PAY-11, PAY-13, PAY-15, PAY-16."""
    totals = Totals(D(due), "GBP", prepayment)
    if error is None:
        check_payment(payment, totals)
    else:
        with pytest.raises(error):
            check_payment(payment, totals)


WANTED = {"name": "AcmeBroker Points", "accountId": "SN1593"}


@pytest.mark.parametrize(
    ("payment", "expected", "refused"),
    [
        (None, WANTED, False),  # at C1 and C2 a payment is always optional
        ({**WANTED}, WANTED, False),
        ({**WANTED, "identifier": "1", "paymentProviderId": "STRIPE"}, WANTED, False),
        ({"name": "AcmeBroker Points"}, WANTED, True),
        ({**WANTED, "accountId": "other"}, WANTED, True),
        ({}, WANTED, True),
        ({"accountId": "whatever"}, {}, False),  # PAY-07: nothing is expected, anything goes
        ({"@type": "DynamicPayment", "accountId": "1"}, {}, True),  # DYN-03
    ],
)
def test_payment_that_cannot_be_reconciled_is_refused(
    payment: dict[str, Any] | None, expected: dict[str, Any], refused: bool
) -> None:
    """PAY-04, PAY-12."""
    if refused:
        with pytest.raises(InvalidPaymentDetailsError):
            check_reconciliation(payment, expected)
    else:
        check_reconciliation(payment, expected)
