"""Amounts rounded by the decimals of their currency."""

from decimal import Decimal

import pytest

from chalicelib.domain.currencies import DECIMAL_PLACES, rounded


@pytest.mark.parametrize(
    ("amount", "currency", "result"),
    [
        ("9.995", "GBP", "10.00"),
        ("9.9949", "GBP", "9.99"),
        ("0.30000000000000004", "GBP", "0.30"),
        ("999.5", "JPY", "1000"),
        ("1.2345", "KWD", "1.235"),
        ("1.235", None, "1.24"),  # PAY-03: what is free names none
        ("1e300", "GBP", "1" + "0" * 300 + ".00"),
        ("1.235", "QQQ", "1.24"),  # as a row of release 0.1.0 may have it
    ],
)
def test_amounts_are_rounded_half_up_by_their_currency(
    amount: str, currency: str | None, result: str
) -> None:
    """MEDIA-10."""
    assert str(rounded(Decimal(amount), currency)) == result


def test_table_holds_codes_of_iso_4217_only_once() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in DECIMAL_PLACES)
    assert {DECIMAL_PLACES[code] for code in ("GBP", "EUR", "USD", "CHF")} == {2}
    assert "XTS" not in DECIMAL_PLACES
    assert len(DECIMAL_PLACES) > 150
