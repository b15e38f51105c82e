"""A Broker's statement: read, added up, and compared with the Orders."""

from decimal import Decimal

import pytest

from chalicelib.services.errors import InvalidValue
from chalicelib.services.reports.payments import Agreement, Payment, Reconciliation, read_statement
from chalicelib.values import replace

PAID = Payment("broker", "1", "p-1", None, "GBP", Decimal("20.00"), Decimal("5.00"))


def results(statement: str, *payments: Payment) -> dict[str, tuple[str, str]]:
    reconciliation = Reconciliation(read_statement(statement.splitlines()))
    rows = [row for each in payments if (row := reconciliation.add(each))]
    return {row["payment"]: (row["result"], row["order"]) for row in (*rows, *reconciliation.rest())}


@pytest.mark.parametrize(
    ("amount", "result"),
    [("15", "agrees"), ("15.00,GBP", "agrees"), ("15.00,EUR", "differs"), ("20.00", "differs")],
)
def test_the_amount_is_compared_without_what_was_refunded(amount: str, result: str) -> None:
    assert results(f"payment,amount,currency\np-1,{amount}", PAID) == {"p-1": (result, "1")}


def test_a_payment_on_one_side_only_is_named() -> None:
    assert results("Payment,Amount\np-2,7", PAID) == {
        "p-1": (Agreement.only_here, "1"),
        "p-2": (Agreement.only_in_statement, ""),
    }


def test_orders_and_rows_of_one_payment_are_added_up() -> None:
    second = replace(PAID, uuid="2", paid=Decimal("1.00"), refunded=Decimal(0))
    assert results("payment,amount\np-1,20\np-1,-4", PAID, second) == {"p-1": ("agrees", "1 2")}
    euros = replace(second, currency="EUR")
    assert results("payment,amount,currency\np-1,16,GBP", PAID, euros) == {"p-1": ("differs", "1 2")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns payment and amount"),
        ("identifier,amount\n", "columns payment and amount"),
        ("payment,amount\np-1,ten", "Row 2"),
        ("payment,amount\np-1,NaN", "Row 2"),
        ("payment,amount\np-1,1\n,2", "Row 3"),
        ("payment,amount,currency\np-1,1,GBP\np-1,2,EUR", "another currency"),
        ('payment,amount\n"p-1,1', "cannot be read as CSV"),
    ],
)
def test_a_statement_that_cannot_be_used_is_refused_with_its_row(text: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        read_statement(text.splitlines())
