"""What an import knows of documents before they are in the inventory: their parents, and the tax on prices."""

from collections.abc import Iterable
from decimal import Decimal

from chalicelib.domain.parties import Json, TaxRate


def parents_by_id(parents: Iterable[Json]) -> dict[str, Json]:
    """What a child may name as its parent: these, and the IndividualFacilityUses inside them.

    An IndividualFacilityUse has its FacilityUse as `aggregateFacilityUse`, as `read_opportunity` wants it.
    """
    found: dict[str, Json] = {}
    for parent in parents:
        found[parent["@id"]] = parent
        for unit in parent.get("individualFacilityUse") or ():
            if isinstance(unit, dict) and isinstance(unit.get("@id"), str):
                found.setdefault(unit["@id"], {**unit, "aggregateFacilityUse": parent})
    return found


def vat(rate: Decimal) -> TaxRate | None:
    """The tax that a rate such as 0.2 stands for; 0 is none."""
    return TaxRate(f"VAT at {rate.normalize():%}", rate) if rate else None
