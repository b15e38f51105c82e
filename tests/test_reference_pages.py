"""The pages made from code say what the code says."""

import re

import pytest

from chalicelib.domain import errors
from openbooking.reference_pages import DOCS, NOT_YET, OCCASIONS, PAGES, error_classes, errors_page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """If not: python -m openbooking.reference_pages."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_error_has_its_occasion_and_no_other_is_told() -> None:
    assert set(OCCASIONS) == set(error_classes())
    assert all(occasion.endswith(".") for _, occasion in OCCASIONS.values())


def test_errors_that_cannot_arise_are_told_apart() -> None:
    arising, waiting = errors_page().split("## In the specification, and not given here")
    for kind in error_classes():
        missing = OCCASIONS[kind][0] == NOT_YET
        assert f"| `{kind.term}` | {kind.status} |" in (waiting if missing else arising.replace("¹ ", ""))
    assert OCCASIONS[errors.NotFoundError][0] == NOT_YET


def test_errors_that_cannot_arise_are_raised_nowhere() -> None:
    """What the page says cannot happen does not happen, and what it says happens can."""
    root = DOCS.parent
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (*(root / "chalicelib").rglob("*.py"), root / "infra" / "gateway.json")
        if path.name != "errors.py"
    )
    named = {kind for kind in error_classes() if re.search(rf"\b{kind.__name__}\b", source)}
    told = {kind for kind, (where, _) in OCCASIONS.items() if where != NOT_YET}
    # Two there are only in theory: no state that can be reached makes an Opportunity intractable,
    # and the gateway could say that an API key is wrong if any were asked for.
    assert named - told == {errors.OpportunityIntractableError, errors.InvalidAPITokenError}
    assert told - named == set()
