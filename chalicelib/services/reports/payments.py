"""Payments as the Orders have them, and as a Broker's statement has them. Values only."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from chalicelib.domain.orders import Order
from chalicelib.domain.parties import Json
from chalicelib.domain.pricing import ZERO
from chalicelib.services.errors import InvalidValue
from chalicelib.values import dataclass, field

# The columns of a statement; `currency` may be missing.
COLUMNS = ("payment", "amount", "currency")
_LONGEST = 1_000_000  # rows of a statement: they are kept in memory


class Agreement(StrEnum):
    """How the Orders of a payment and the statement agree."""

    agrees = "agrees"  # the same amount
    differs = "differs"  # another amount
    only_here = "only here"  # the statement does not have the payment
    only_in_statement = "only in the statement"  # no Order in the period has the payment


@dataclass(frozen=True)
class Payment:
    """What one Order says of its payment. `paid` is for all that was booked, `refunded` for what was cancelled."""

    partner_id: str
    uuid: str
    identifier: str
    placed_at: datetime | None
    currency: str
    paid: Decimal
    refunded: Decimal

    @property
    def due(self) -> Decimal:
        return self.paid - self.refunded

    def as_row(self) -> Json:
        return {
            "booked": self.placed_at,
            "broker": self.partner_id,
            "order": self.uuid,
            "payment": self.identifier,
            "currency": self.currency,
            "paid": self.paid,
            "refunded": self.refunded,
            "due": self.due,
        }


def payment_of(order: Order) -> Payment | None:
    """The payment of a booked Order; None if nothing was paid through the Broker."""
    identifier = (order.payment or {}).get("identifier")
    if not isinstance(identifier, str):
        return None
    prices = [(item.price.due, item.holds_a_space) for item in order.items if item.price]
    return Payment(
        order.key.partner_id,
        order.key.uuid,
        identifier,
        order.placed_at,
        order.totals.currency
        or next((item.price.currency for item in order.items if item.price), None)
        or "",
        sum((due for due, _ in prices), ZERO),
        sum((due for due, is_kept in prices if not is_kept), ZERO),
    )


@dataclass
class Reconciliation:
    """A statement, and the Orders that are compared with it. Only the statement is kept in memory."""

    statement: dict[str, tuple[Decimal, str]]
    _here: dict[str, Payment] = field(default_factory=dict)

    def add(self, payment: Payment) -> Json | None:
        """Count an Order; the row of a payment that the statement does not have."""
        if payment.identifier not in self.statement:
            return self._row(payment.identifier, payment, Agreement.only_here)
        before = self._here.get(payment.identifier)
        if before is not None:  # several Orders of one payment
            payment = Payment(
                payment.partner_id,
                f"{before.uuid} {payment.uuid}",
                payment.identifier,
                before.placed_at,
                payment.currency if payment.currency == before.currency else "several",
                before.paid + payment.paid,
                before.refunded + payment.refunded,
            )
        self._here[payment.identifier] = payment
        return None

    def rest(self) -> Iterator[Json]:
        """The rows of the payments in the statement, after all Orders were counted."""
        for identifier, (amount, currency) in self.statement.items():
            payment = self._here.get(identifier)
            if payment is None:
                yield self._row(identifier, None, Agreement.only_in_statement)
            elif payment.due == amount and currency in ("", payment.currency):
                yield self._row(identifier, payment, Agreement.agrees)
            else:
                yield self._row(identifier, payment, Agreement.differs)

    def _row(self, identifier: str, payment: Payment | None, agreement: Agreement) -> Json:
        amount, currency = self.statement.get(identifier, (None, ""))
        return {
            "payment": identifier,
            "result": agreement.value,
            "broker": payment.partner_id if payment else "",
            "order": payment.uuid if payment else "",
            "currency": payment.currency if payment else currency,
            "due": payment.due if payment else None,
            "statement": amount,
        }


def read_statement(lines: Iterable[str]) -> dict[str, tuple[Decimal, str]]:
    """A Broker's statement in CSV: amount and currency by payment identifier; rows of one payment are added up.

    Raises InvalidValue with the number of the row.
    """
    reader = csv.DictReader(lines, strict=True)
    found: dict[str, tuple[Decimal, str]] = {}
    try:
        columns = {name.strip().casefold() for name in reader.fieldnames or ()}
        if not {"payment", "amount"} <= columns:
            raise InvalidValue(
                "A statement is CSV with the columns payment and amount, and perhaps currency."
            )
        for number, row in enumerate(reader, 2):
            values = {(name or "").strip().casefold(): value for name, value in row.items()}
            identifier = (values.get("payment") or "").strip()
            amount = _amount(values.get("amount"), number)
            if not identifier:
                raise InvalidValue(f"Row {number} of the statement names no payment.")
            currency = (values.get("currency") or "").strip().upper()
            before, before_currency = found.get(identifier, (ZERO, currency))
            if currency != before_currency:
                raise InvalidValue(f"Row {number} of the statement has another currency for {identifier}.")
            found[identifier] = (before + amount, currency)
            if len(found) > _LONGEST:
                raise InvalidValue(f"A statement has at most {_LONGEST:,} payments: use a shorter period.")
    except csv.Error as error:
        raise InvalidValue(f"The statement cannot be read as CSV: {error}.") from None
    return found


def _amount(text: str | None, number: int) -> Decimal:
    try:
        amount = Decimal((text or "").strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise InvalidValue(f"Row {number} of the statement has no amount such as 12.50: {text!r}.")
    return amount
