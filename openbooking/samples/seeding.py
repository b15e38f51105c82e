"""Loads the sample inventory of two Sellers into an empty store."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.parties import AccessMethod, Json
from chalicelib.importing.catalogue import vat
from chalicelib.services.inventory import Document, Inventory
from chalicelib.values import replace
from chalicelib.wire.reading import kind_of, read_opportunity
from chalicelib.wire.sellers import read_seller
from openbooking.samples.inventory import SampleOpportunity, sample_inventory

SOURCE = "samples"


def load_samples(inventory: Inventory, now: datetime) -> int:
    """Load the samples unless they exist already; returns how many Opportunities were added.

    Existing samples keep their dates and their bookings.
    """
    samples = sample_inventory(now)
    if inventory.store.seller(samples.sellers[0]["@id"]) is not None:
        return 0
    for document in samples.sellers:
        rate = Decimal(samples.tax_rates[document["@id"]])
        access = (AccessMethod.code, AccessMethod.barcode)
        inventory.keep_seller(replace(read_seller(document, vat(rate)), access_methods=access))
    parents = _parents_by_id(samples.parents)
    documents = [Document(read_opportunity(parent), SOURCE, (parent,)) for parent in samples.parents]
    documents += [_document(sample, parents) for sample in samples.opportunities]
    for occasion in samples.occasions:
        sub_events = [part.document["@id"] for part in occasion.parts]
        documents += [
            _document(part, {occasion.whole.document["@id"]: occasion.whole.document})
            for part in occasion.parts
        ]
        documents.append(_document(occasion.whole, {}, sub_events))
    inventory.bring_in(documents)
    return sum(document.published.opportunity.type.is_bookable for document in documents)


def _parents_by_id(documents: Iterable[Json]) -> dict[str, Json]:
    """The parents that a sample may name: facilities and series, and the units of facilities with their facility."""
    found: dict[str, Json] = {}
    for parent in documents:
        found[parent["@id"]] = parent
        for unit in parent.get("individualFacilityUse", ()):
            found[unit["@id"]] = {**unit, "aggregateFacilityUse": parent}
    return found


def _document(
    sample: SampleOpportunity, parents: dict[str, Json], sub_events: Sequence[str] = ()
) -> Document:
    document = sample.document
    parent_term = kind_of(document).traits.parent_term
    parent = parents[document[parent_term]] if parent_term in document else None
    published = read_opportunity(
        document,
        parent,
        attendee_details_required=sample.attendee_details_required,
        intake_form=sample.intake_form,
        access_channel=sample.access_channel,
        sub_events=sub_events,
    )
    content = (document, parent, {"sub_events": list(sub_events)}) if sub_events else (document, parent)
    return Document(published, SOURCE, content)
