"""What an Order costs: unit prices, tax, totals and whether a payment is due. All in Decimal."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from chalicelib.domain.currencies import rounded
from chalicelib.domain.errors import (
    IncompletePaymentDetailsError,
    InvalidPaymentDetailsError,
    MissingPaymentDetailsError,
    UnnecessaryPaymentDetailsError,
)
from chalicelib.domain.offers import Offer, Prepayment
from chalicelib.domain.parties import Json, Seller, TaxMode
from chalicelib.values import dataclass

ZERO = Decimal("0.00")


@dataclass(frozen=True)
class TaxCharge:
    """An amount of one kind of tax (`TaxChargeSpecification`, TAX-06)."""

    name: str
    amount: Decimal
    currency: str | None
    rate: Decimal | None = None
    identifier: str | None = None


@dataclass(frozen=True)
class UnitPrice:
    """The price of one OrderItem: `amount` as its Offer shows it, `due` with all tax."""

    amount: Decimal
    due: Decimal
    currency: str | None
    taxes: tuple[TaxCharge, ...] = ()


@dataclass(frozen=True)
class Totals:
    """`totalPaymentDue` and `totalPaymentTax`.

    `prepayment` is None where prepayment is not supported. `tax_excluded` says that no tax was
    calculated, so that `due` is net (TAX-03).
    """

    due: Decimal
    currency: str | None
    prepayment: Prepayment | None
    taxes: tuple[TaxCharge, ...] = ()
    tax_excluded: bool = False


def unit_price(offer: Offer, seller: Seller, *, tax_excluded: bool = False) -> UnitPrice:
    """What one OrderItem with `offer` costs (TAX-03, TAX-05).

    A gross price includes its tax; tax is added to a net price. Without tax calculation every price is net.
    """
    rate = offer.tax_rate or seller.tax_rate
    price, currency = rounded(offer.price, offer.currency), offer.currency
    if rate is None or offer.is_free:
        return UnitPrice(price, price, currency)
    if seller.tax_mode is TaxMode.TaxGross:
        tax = rounded(price - price / (1 + rate.rate), currency)
        net, gross = price - tax, price
    else:
        tax = rounded(price * rate.rate, currency)
        net, gross = price, price + tax
    if tax_excluded:
        return UnitPrice(net, net, currency)
    charge = TaxCharge(rate.name, tax, currency, rate.rate, rate.identifier)
    return UnitPrice(price, gross, currency, (charge,))


def total(
    priced: Sequence[tuple[Offer, UnitPrice]], *, tax_excluded: bool, prepayment_supported: bool
) -> Totals:
    """The totals of the OrderItems that count, given as pairs of offer and price (C1-07, PAY-01, TAX-05, TAX-06).

    If no item counts, the total is 0 and still present.
    """
    prices = [price for _, price in priced]
    return Totals(
        due=sum((price.due for price in prices), ZERO),
        currency=next((price.currency for price in prices if price.currency), None),
        prepayment=_prepayment(offer for offer, _ in priced) if prepayment_supported else None,
        taxes=_summed(charge for price in prices for charge in price.taxes),
        tax_excluded=tax_excluded,
    )


def _prepayment(offers: Iterable[Offer]) -> Prepayment:
    found = {offer.effective_prepayment() for offer in offers}
    for choice in (Prepayment.Required, Prepayment.Optional):
        if choice in found:
            return choice
    return Prepayment.Unavailable


def _summed(charges: Iterable[TaxCharge]) -> tuple[TaxCharge, ...]:
    """One charge for each kind of tax (TAX-06)."""
    sums: dict[tuple[str, Decimal | None, str | None, str | None], Decimal] = {}
    for charge in charges:
        kind = (charge.name, charge.rate, charge.identifier, charge.currency)
        sums[kind] = sums.get(kind, ZERO) + charge.amount
    return tuple(
        TaxCharge(name, amount, currency, rate, identifier)
        for (name, rate, identifier, currency), amount in sums.items()
    )


def payment_conflicts(offers: Sequence[Offer | None]) -> list[bool]:
    """For each Offer, whether it conflicts with another one in the same Order (PAY-14).

    Offers that must be paid through the Broker conflict with Offers that cannot be paid there.
    """
    kinds = {
        id(offer): None if offer is None or offer.is_free else offer.effective_prepayment()
        for offer in {id(offer): offer for offer in offers}.values()  # many items have the same one
    }
    if {Prepayment.Required, Prepayment.Unavailable} <= set(kinds.values()):
        return [kinds[id(offer)] in (Prepayment.Required, Prepayment.Unavailable) for offer in offers]
    return [False] * len(offers)


def is_due(expected: Decimal | None, currency: str | None, totals: Totals) -> bool:
    """Whether a total is the one that is due, to the smallest unit of the currency (B-05).

    A Broker that adds up in binary arrives at 0.30000000000000004. One that names no currency means that
    of the Order.
    """
    if expected is None or (currency and totals.currency and currency != totals.currency):
        return False
    return rounded(expected, totals.currency) == rounded(totals.due, totals.currency)


def check_payment(payment: Json | None, totals: Totals) -> None:
    """Refuse a payment that is missing, not expected or incomplete, in that order (PAY-09 to PAY-16).

    Raises MissingPaymentDetailsError, UnnecessaryPaymentDetailsError or IncompletePaymentDetailsError.
    """
    due = totals.prepayment or (Prepayment.Required if totals.due else Prepayment.Unavailable)
    if totals.due == 0:
        due = Prepayment.Unavailable
    if payment is None:
        if due is Prepayment.Required:
            raise MissingPaymentDetailsError("A payment is due for this Order.")
        return
    if due is Prepayment.Unavailable:
        raise UnnecessaryPaymentDetailsError("No payment is due for this Order.")
    identifier = payment.get("identifier")
    if not isinstance(identifier, str) or not identifier.strip():
        raise IncompletePaymentDetailsError("The payment must have an identifier, as text.")  # PAY-11


def check_reconciliation(payment: Json | None, expected: Json) -> None:
    """Refuse payment details that cannot be reconciled (PAY-04, PAY-06, PAY-12).

    `expected` maps properties of Payment to the value each must have. A payment must also be of type
    Payment, and its details must be text. A missing payment is not checked here.

    Raises InvalidPaymentDetailsError.
    """
    if payment is None:
        return
    if payment.get("@type") == "DynamicPayment":
        raise InvalidPaymentDetailsError("DynamicPayment is not supported.")  # DYN-03
    if payment.get("@type", "Payment") != "Payment":
        raise InvalidPaymentDetailsError("The @type of payment must be Payment.")
    for name in ("name", "accountId", "paymentProviderId"):
        if not isinstance(payment.get(name, ""), str):
            raise InvalidPaymentDetailsError(f"The payment's {name} must be text.")
    for name, value in expected.items():
        if payment.get(name) != value:
            raise InvalidPaymentDetailsError(f"The payment's {name} is not one that can be reconciled.")
