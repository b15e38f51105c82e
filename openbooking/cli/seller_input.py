"""The input of `openbooking sellers add`: a file with a Seller, and a tax rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chalicelib.domain.parties import Json, TaxRate
from chalicelib.importing.catalogue import vat
from chalicelib.importing.rpde import ImportRefused, read_rate
from chalicelib.services.errors import InvalidValue


def tax_rate(text: str) -> TaxRate | None:
    """A VAT rate such as 0.20; None for 0. Raises InvalidValue."""
    try:
        return vat(read_rate(text))
    except ImportRefused as refused:
        raise InvalidValue(str(refused)) from None


def seller_file(path: Path) -> Json:
    """A Seller as JSON, in the form of the `organizer` of a feed. Raises InvalidValue."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} cannot be read: {error}.") from None
    if not isinstance(document, dict):
        raise InvalidValue(
            f"{path} must contain one JSON object, a Seller in the form of a feed's organizer."
        )
    return document
