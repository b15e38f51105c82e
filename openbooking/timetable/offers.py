"""Prices and terms: from their rows to Offers, and which of them do not fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from chalicelib.domain.currencies import rounded
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.parties import Json, TaxRate
from chalicelib.values import dataclass, field
from chalicelib.wire.jsonld import CONTEXT, number, term_iri
from openbooking.timetable.columns import PREPAYMENTS
from openbooking.timetable.reading import Row, Unread
from openbooking.timetable.values import seconds_of

T = TypeVar("T")

_NO_TERMS: Mapping[str, Any] = {
    "prepayment": None,
    "opens": None,
    "closes": None,
    "refund": False,
    "refund_until": None,
    "approval": False,
    "messages": False,
    "negotiation": False,
    "details": (),
    "form": None,
    "access": None,
}


class Mismatch(ValueError):
    """Values that do not fit together; the message says what, and what to do. `column` is where to change it."""

    def __init__(self, text: str, column: str = "") -> None:
        super().__init__(text)
        self.column = column


class Mismatches(ExceptionGroup[Exception]):
    """Several of them, or of `Unread` where a value is missing."""


def together(*checks: Callable[[], T]) -> list[T]:
    """The results of all checks. Raises Mismatches with every one that fails: one that fails hides no other."""
    results: list[T] = []
    failed: list[Exception] = []
    for check in checks:
        try:
            results.append(check())
        except Mismatches as several:
            failed += several.exceptions
        except (Mismatch, Unread) as one:
            failed.append(one)
    if failed:
        raise Mismatches("several columns", failed)
    return results


@dataclass(frozen=True)
class PriceList:
    """What a session, course or facility is sold at: Offers without @id, taxes, and what a booking must contain."""

    offers: tuple[Json, ...]
    tax_rates: dict[str, TaxRate] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    form: str | None = None
    access: str | None = None

    @property
    def is_free(self) -> bool:
        return any(offer["price"] == 0 for offer in self.offers)


def check_terms(terms: Row, *, prepayment_supported: bool) -> None:
    """Raises Mismatches for terms under which nothing can be sold, or that contradict each other."""

    def before_start(column: str) -> int | None:
        return terms[column] and seconds_of(terms[column])

    def booking_has_time() -> None:
        opens, closes = before_start("opens"), before_start("closes")
        if opens is not None and closes is not None and closes >= opens:
            raise Mismatch("booking closes before it opens: write a shorter time before the start", "closes")

    def refund_is_given() -> None:
        if terms["refund_until"] is not None and not terms["refund"]:
            raise Mismatch(
                "there is no refund that ends then: write yes in refund, or empty this cell", "refund_until"
            )

    def refund_has_time() -> None:
        opens, refund_until = before_start("opens"), before_start("refund_until")
        if opens is not None and refund_until is not None and refund_until >= opens:
            raise Mismatch(
                "refunds end before booking opens: write a shorter time, or no in refund", "refund_until"
            )

    def needs_approval(column: str) -> None:
        if terms[column] and not terms["approval"]:
            raise Mismatch(
                "there is no approval that it belongs to: write yes in approval, or no here", column
            )

    def payment_is_taken() -> None:
        if not prepayment_supported and terms["prepayment"] in (Prepayment.Required, Prepayment.Optional):
            raise Mismatch(
                "this installation takes no payments through Brokers (PREPAYMENT is false): write unavailable",
                "prepayment",
            )

    together(
        booking_has_time,
        refund_is_given,
        refund_has_time,
        lambda: needs_approval("messages"),
        lambda: needs_approval("negotiation"),
        payment_is_taken,
    )


def check_price(price: Row) -> None:
    """Raises Mismatches for a price that cannot be charged."""

    def has_few_decimals() -> None:
        if rounded(price["amount"], price["currency"]) != price["amount"]:
            raise Mismatch(
                f"{price['amount']} has more decimals than {price['currency']}: round it", "amount"
            )

    def has_a_tax() -> None:
        if price["amount"] == 0 and price["vat"]:
            raise Mismatch("there is no tax on a free price: empty this cell", "vat")

    together(has_few_decimals, has_a_tax, lambda: check_ages(price))


def check_ages(row: Row) -> None:
    """Raises Mismatch."""
    if row["min_age"] is not None and row["max_age"] is not None and row["min_age"] > row["max_age"]:
        raise Mismatch(f"the greatest age is below the least, {row['min_age']}: exchange them", "max_age")


def price_list(prices: Sequence[tuple[Row, Row | None]], column: str = "prices") -> PriceList:
    """The Offers of these prices, each with its terms or none; `column` names them. Raises Mismatches."""

    def have_one_currency() -> None:
        if len({price["currency"] for price, _ in prices}) > 1:
            raise Mismatch("its prices have different currencies: choose prices in one", column)

    asked = {_asked(terms) for _, terms in prices}

    def ask_the_same() -> None:
        if len(asked) > 1:
            raise Mismatch(
                "its prices have terms with different details, form or access, which are the same for all who book: use "
                "terms that agree in these",
                column,
            )

    together(have_one_currency, ask_the_same)
    offers = tuple(together(*(partial(_offer, price, terms, column) for price, terms in prices)))
    details, form, access = asked.pop()
    rates = {price.id: _tax(price["vat"]) for price, _ in prices if price["vat"] is not None}
    return PriceList(offers, rates, details, form, access)


def age_range(row: Row) -> Json | None:
    """The ages of a row as feeds show them."""
    bounds = {"minValue": row["min_age"], "maxValue": row["max_age"]}
    stated = {name: value for name, value in bounds.items() if value is not None}
    return {"@type": "QuantitativeValue", **stated} if stated else None


def _asked(terms: Row | None) -> tuple[tuple[str, ...], str | None, str | None]:
    stated = _NO_TERMS if terms is None else terms.values
    details = tuple(f"https://schema.org/{name}" for name in stated["details"])
    return details, stated["form"], stated["access"]


def _offer(price: Row, terms: Row | None, column: str) -> Json:
    stated = _NO_TERMS if terms is None else terms.values
    prepayment = stated["prepayment"]
    if price["amount"] == 0 and prepayment in (Prepayment.Required, Prepayment.Optional):
        word = next(word for word, each in PREPAYMENTS.items() if each is prepayment)
        raise Mismatch(
            f"{price.id} is free, and its terms make prepayment {word}: give it terms without prepayment",
            column,
        )
    needs = [
        term_iri(requirement)
        for requirement, is_needed in (
            (FlowRequirement.OpenBookingIntakeForm, stated["form"]),
            (FlowRequirement.OpenBookingAttendeeDetails, stated["details"]),
            (FlowRequirement.OpenBookingApproval, stated["approval"]),
            (FlowRequirement.OpenBookingMessageExchange, stated["messages"]),
            (FlowRequirement.OpenBookingNegotiation, stated["negotiation"]),
        )
        if is_needed
    ]
    offer: Json = {
        "@type": "Offer",
        "identifier": price.id,
        "name": price["name"],
        "description": price["description"],
        "price": number(price["amount"]),
        "priceCurrency": price["currency"],
        "openBookingInAdvance": f"{CONTEXT}Required",
        "openBookingPrepayment": prepayment and term_iri(prepayment),
        "validFromBeforeStartDate": stated["opens"],
        "validThroughBeforeStartDate": stated["closes"],
        "allowCustomerCancellationFullRefund": stated["refund"],
        "latestCancellationBeforeStartDate": stated["refund_until"],
        "openBookingFlowRequirement": needs or None,
        "ageRestriction": age_range(price),
    }
    return {term: value for term, value in offer.items() if value is not None}


def _tax(rate: Decimal) -> TaxRate:
    return TaxRate(f"VAT at {rate.normalize():%}", rate)
