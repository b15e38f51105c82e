"""What a document inherits from, over all levels; and the tax on prices."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from chalicelib.domain.parties import Json, TaxRate
from chalicelib.wire.documents import MAX_LEVELS, PARENT_TERMS
from chalicelib.wire.jsonld import reference


def with_ancestors(document: Json, known: Callable[[str], Json | None], depth: int = 0) -> Json:
    """The document with each parent that it names replaced by the document that `known` returns for its id."""
    if depth >= MAX_LEVELS:
        return document
    changed: Json = {}
    for term in PARENT_TERMS:
        if (value := document.get(term)) is None:
            continue
        ancestor = known(reference(value) or "")
        if ancestor is None and isinstance(value, dict) and is_described(value):
            ancestor = value
        if ancestor is not None:
            whole = {name: inner for name, inner in ancestor.items() if name != "@context"}
            changed[term] = with_ancestors(whole, known, depth + 1)
    return {**document, **changed} if changed else document


def is_described(value: Json) -> bool:
    """Whether this is a document, and not only a reference to one."""
    return bool(set(value) - {"@id", "@type"})


def vat(rate: Decimal) -> TaxRate | None:
    """The tax for a rate such as 0.2; None for 0."""
    return TaxRate(f"VAT at {rate.normalize():%}", rate) if rate else None
