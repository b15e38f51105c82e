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
        # `statusCode` must be the one the specification gives the term; where a term had to be
        # borrowed, HTTP's own status says it alone.
        document["statusCode"] = error.status
    document["name"] = error.name
    if error.description:
        document["description"] = error.description
    if error.instance:
        document["instance"] = _resolvable(error.instance)
    return document


def _resolvable(iri: str) -> str:
    # The official validator takes https://schema.org/x for a term instead of the URL that
    # `instance` must be; schema.org's terms have both forms.
    return iri.replace("https://schema.org/", "http://schema.org/", 1)
