"""A Seller as `openbooking sellers add` reads it."""

from pathlib import Path

import pytest

from chalicelib.services.errors import InvalidValue
from openbooking.cli.seller_input import seller_file, tax_rate


def test_a_rate_of_tax_that_is_no_fraction_is_refused() -> None:
    with pytest.raises(InvalidValue, match="fraction"):
        tax_rate("20")


def test_a_rate_of_zero_is_no_tax() -> None:
    assert tax_rate("0") is None
    rate = tax_rate("0.20")
    assert rate is not None and str(rate.rate) == "0.20"


@pytest.mark.parametrize("text", [None, "{", "[]", "\xff"])
def test_a_file_that_holds_no_seller_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "seller.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidValue, match=r"seller\.json (cannot be read|must contain)"):
        seller_file(path)
