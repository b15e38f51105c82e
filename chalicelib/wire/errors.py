"""Errors as JSON-LD: on their own, or inside an OrderItem."""

from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.parties import Json
from chalicelib.wire.jsonld import CONTEXT


def error_document(error: OpenBookingError) -> Json:
    """The body of an order-level error (ERR-01)."""
    return {"@context": CONTEXT, **item_error(error)}


def item_error(error: OpenBookingError) -> Json:
    """An error inside `OrderItem.error` (ERR-02)."""
    document: Json = {"@type": error.term}
    if error.term == type(error).__name__:
        # `statusCode` must be the one that the specification defines for the term; an error that
        # uses another error's term has HTTP's own status only.
        document["statusCode"] = error.status
    document["name"] = error.name
    if error.description:
        document["description"] = error.description
    if error.instance:
        document["instance"] = _resolvable(error.instance)
    return document


def _resolvable(iri: str) -> str:
    # The official validator reads https://schema.org/x as a term, but `instance` must be a URL;
    # schema.org's terms have both forms.
    return iri.replace("https://schema.org/", "http://schema.org/", 1)
