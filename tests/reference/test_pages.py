"""The pages made from code say what the code says."""

import re
from pathlib import Path

import pytest

from chalicelib.domain import errors
from openbooking.reference.pages import (
    DOCS,
    ENDPOINTS,
    NOT_YET,
    OCCASIONS,
    PAGES,
    error_classes,
    errors_page,
    shown_by,
)
from tests.support import errors_seen


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """If not: python -m openbooking.reference.pages."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_error_and_no_other_has_an_occasion() -> None:
    assert set(OCCASIONS) == set(error_classes())
    assert all(occasion.endswith(".") for _, occasion in OCCASIONS.values())


def test_every_place_is_an_endpoint() -> None:
    """A bare string would be taken for a list of its letters, of which C1, P and B consist."""
    assert all(isinstance(places, tuple) for places, _ in OCCASIONS.values())
    assert {place for places, _ in OCCASIONS.values() for place in places} == set(ENDPOINTS.values())


def test_errors_that_cannot_occur_are_listed_separately() -> None:
    arising, waiting = errors_page().split("## In the specification, but not used")
    for kind in error_classes():
        missing = OCCASIONS[kind][0] == NOT_YET
        assert f"| `{kind.term}` | {kind.status} |" in (waiting if missing else arising.replace("¹ ", ""))
    assert OCCASIONS[errors.NotFoundError][0] == NOT_YET


def test_errors_that_cannot_occur_are_not_raised() -> None:
    """What the page says cannot happen does not happen, and what it says happens can."""
    root = DOCS.parent
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (*(root / "chalicelib").rglob("*.py"), root / "infra" / "gateway.json")
        if path.name != "errors.py"
    )
    named = {kind for kind in error_classes() if re.search(rf"\b{kind.__name__}\b", source)}
    listed = {kind for kind, (where, _) in OCCASIONS.items() if where != NOT_YET}
    assert named == listed


def test_every_error_that_can_arise_has_a_test_that_shows_it() -> None:
    listed = {kind.__name__ for kind, (where, _) in OCCASIONS.items() if where != NOT_YET}
    assert set(shown_by()) == listed


def test_two_tests_cannot_both_be_the_one(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py"):
        marked = '@pytest.mark.shows("GoneError")\ndef test() -> None: ...\n'
        (tmp_path / name).write_text(marked, encoding="utf-8")
    with pytest.raises(ValueError, match=r"test_a.py::test and tests/test_b.py::test are marked with Gone"):
        shown_by(tmp_path)


def test_type_and_status_identify_an_error() -> None:
    """So that an answer says which class it came from, also where a `@type` is borrowed."""
    listed = [(kind.term, kind.status) for kind in error_classes()]
    assert len(set(listed)) == len(listed)


# --- the mark, which must not be able to lie ------------------------------------------------


def test_an_error_counts_as_shown_once_an_answer_has_held_it() -> None:
    errors_seen.forget()
    assert errors_seen.not_seen(["GoneError"]) == ["GoneError"]
    errors_seen.note(410, {"@type": "GoneError"})
    assert errors_seen.not_seen(["GoneError"]) == []


def test_an_error_of_an_item_is_found_in_its_item() -> None:
    errors_seen.forget()
    item = {"@type": "OrderItem", "error": [{"@type": "UnknownOfferError"}]}
    errors_seen.note(409, {"@type": "OrderQuote", "orderedItem": [{"@type": "OrderItem"}, item]})
    assert errors_seen.not_seen(["UnknownOfferError", "OpportunityIsFullError"]) == ["OpportunityIsFullError"]


def test_a_borrowed_type_with_another_status_is_another_error() -> None:
    errors_seen.forget()
    errors_seen.note(413, {"@type": "UnexpectedOrderTypeError"})
    assert errors_seen.not_seen(["MalformedRequestError", "RequestTooLargeError"]) == [
        "MalformedRequestError"
    ]


def test_an_error_at_an_endpoint_that_is_not_named_with_it_fails() -> None:
    gone = {"@type": "GoneError"}
    errors_seen.note(410, gone, "GET", "/api/openbooking/orders/1?x=1")
    errors_seen.note(410, gone, "GET", "/somewhere/else")
    with pytest.raises(AssertionError, match="that C1 may answer with GoneError"):
        errors_seen.note(410, gone, "PUT", "/api/openbooking/order-quote-templates/1")


# By another name, so that the page does not take this one for the test of that error.
CLAIMS = pytest.mark.shows("GoneError")


@CLAIMS
@pytest.mark.xfail(strict=True, reason="no answer in it holds the error")
def test_a_test_that_claims_what_it_does_not_show_fails() -> None:
    pass
