"""Errors as JSON-LD."""

from chalicelib.domain.errors import (
    IncompleteAttendeeDetailsError,
    MalformedRequestError,
    OpportunityIsFullError,
    TemporarilyUnavailableError,
    UnknownOrderError,
)
from chalicelib.wire.errors import error_document, item_error


def test_error_of_an_order_stands_alone() -> None:
    """ERR-01, MEDIA-02."""
    assert error_document(UnknownOrderError("No such order.", instance="https://a.example/orders/1")) == {
        "@context": "https://openactive.io/",
        "@type": "UnknownOrderError",
        "statusCode": 404,
        "name": "There is no such Order.",
        "description": "No such order.",
        "instance": "https://a.example/orders/1",
    }


def test_error_of_an_item_has_no_context_and_nothing_empty() -> None:
    """ERR-02, MEDIA-03."""
    assert item_error(OpportunityIsFullError()) == {
        "@type": "OpportunityIsFullError",
        "statusCode": 409,
        "name": "The opportunity is full.",
    }


def test_borrowed_term_does_not_state_another_status_than_its_own() -> None:
    """ERR-01: `statusCode` must be the one the specification gives the type."""
    for error in (MalformedRequestError(), TemporarilyUnavailableError()):
        document = error_document(error)
        assert "statusCode" not in document
        assert document["@type"] == error.term


def test_property_of_schema_org_is_named_by_its_resolvable_iri() -> None:
    """DETAILS-04, and the validator, which takes the https form for a term instead of a URL."""
    error = IncompleteAttendeeDetailsError(instance="https://schema.org/givenName")
    assert item_error(error)["instance"] == "http://schema.org/givenName"
