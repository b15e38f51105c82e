"""JSON-LD documents: reading a body safely, writing an answer, terms and namespaces."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, NoReturn

import msgspec

from chalicelib.domain.errors import MalformedRequestError
from chalicelib.domain.parties import Json

BOOKING_MEDIA_TYPE = "application/vnd.openactive.booking+json; version=1"
CONTEXT = "https://openactive.io/"
BETA_CONTEXT = "https://openactive.io/ns-beta"

# The two names of the property (T2).
_PREPAYMENT = frozenset({"openBookingPrepayment", "prepayment"})

_AMOUNT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")

_COMPACT = msgspec.json.Encoder(decimal_format="number")

_NESTED = (dict, list)

# No document of this API is nested more than about ten levels deep.
MAX_DEPTH = 32


def read_body(body: bytes | str) -> Json:
    """The JSON object in a request body, without null, empty text and empty lists (MEDIA-03).

    Raises MalformedRequestError for anything else, including values that Python reads but cannot write
    again: NaN, infinite numbers, lone surrogates.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        value = json.loads(text, parse_constant=_refused, parse_float=_finite)
        if "\\u" in text:  # only an escape can make a lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise MalformedRequestError("The body is nested too deeply.") from None
    except ValueError:  # includes bytes that are not UTF-8
        raise MalformedRequestError("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MalformedRequestError("The body is not a JSON object.")
    depth, has_empty = _looked_through(value)
    if depth > MAX_DEPTH:
        raise MalformedRequestError(f"The body is nested more than {MAX_DEPTH} levels deep.")
    pruned: Json = without_empty(value) if has_empty else value
    return pruned


def write(document: Any) -> str:
    """The document as compact JSON."""
    return _COMPACT.encode(document).decode()


def size(document: Any) -> int:
    """The bytes of the document as compact JSON in UTF-8."""
    return len(_COMPACT.encode(document))


def as_text(text: str) -> Any:
    """A value that `write` writes as this text."""
    return msgspec.Raw(text)


def without_empty(value: Any) -> Any:
    """The value without properties that are null, "" or [] (MEDIA-03); 0 and false are kept."""
    if isinstance(value, dict):
        pruned = {}
        for key, inner in value.items():
            kept = without_empty(inner) if isinstance(inner, dict | list) else inner
            if kept is not None and kept != "" and kept != []:
                pruned[key] = kept
        return pruned
    if isinstance(value, list):
        return [without_empty(inner) for inner in value if inner is not None]
    return value


def without_extensions(value: Any) -> Any:
    """The value without properties of other namespaces, such as `acme:colour` (GEN-10)."""
    if isinstance(value, dict):
        return {key: without_extensions(inner) for key, inner in value.items() if not is_extension(key)}
    if isinstance(value, list):
        return [without_extensions(inner) for inner in value]
    return value


def without_prepayment(value: Any) -> Any:
    """The same value, in which nothing says whether a payment is taken through the Broker (PAY-02)."""
    if isinstance(value, dict):
        return {term: without_prepayment(inner) for term, inner in value.items() if term not in _PREPAYMENT}
    if isinstance(value, list):
        return [without_prepayment(inner) for inner in value]
    return value


def is_extension(term: str) -> bool:
    return ":" in term


def only(document: Json, terms: Iterable[str]) -> Json:
    """The properties of `document` that are among `terms`, without extensions inside them."""
    return {term: without_extensions(document[term]) for term in terms if term in document}


def number(amount: Decimal) -> int | float:
    """An amount as a JSON number, with the decimal places that it was rounded to (MEDIA-10)."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def read_amount(value: Any) -> Decimal | None:
    """An amount of money given as a number, or as text in plain digits (MEDIA-10); None for anything else.

    `Decimal` itself would also take other scripts' digits, underscores, NaN and an exponent of any size.
    """
    if isinstance(value, str):
        return Decimal(value) if _AMOUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(str(value))
    return amount if amount.is_finite() else None


def term_iri(member: StrEnum) -> str:
    """A member of one of the specification's enumerations, as its IRI."""
    return CONTEXT + member.value


def reference(value: Any) -> str | None:
    """The id in a reference, which may be `{"@id": ..}` or the bare id (MEDIA-09)."""
    iri = value.get("@id") if isinstance(value, dict) else value
    return iri if isinstance(iri, str) and iri else None


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError("the number is too large")
    return value


def _looked_through(value: Json) -> tuple[int, bool]:
    """How deep the value is, and whether anything in it is null, "" or []."""
    depth, has_empty = 0, False
    level: list[Any] = [value]
    while level:
        depth += 1
        following: list[Any] = []
        for outer in level:
            for inner in outer.values() if isinstance(outer, dict) else outer:
                if isinstance(inner, _NESTED):
                    following.append(inner)
                    has_empty = has_empty or inner == []
                elif inner is None or inner == "":
                    has_empty = True
        level = following
    return depth, has_empty
