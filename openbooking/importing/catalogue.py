"""The parents of imported documents, and the tax on prices."""

from collections.abc import Iterable
from decimal import Decimal

from chalicelib.domain.parties import Json, TaxRate


def parents_by_id(parents: Iterable[Json]) -> dict[str, Json]:
    """All documents that a child may name as its parent: `parents`, and the IndividualFacilityUses in them.

    Each IndividualFacilityUse gets its FacilityUse as `aggregateFacilityUse`, which `read_opportunity` needs.
    """
    found: dict[str, Json] = {}
    for parent in parents:
        found[parent["@id"]] = parent
        for unit in parent.get("individualFacilityUse") or ():
            if isinstance(unit, dict) and isinstance(unit.get("@id"), str):
                found.setdefault(unit["@id"], {**unit, "aggregateFacilityUse": parent})
    return found


def vat(rate: Decimal) -> TaxRate | None:
    """The tax for a rate such as 0.2; None for 0."""
    return TaxRate(f"VAT at {rate.normalize():%}", rate) if rate else None
