"""The judge can say no: what is wrong is found, and its absence is not mistaken for approval."""

from collections.abc import Iterator

import pytest

from tests.support.validator import FeedPage, Validator, skip_or_fail, start_or_skip

FEED = "https://base.invalid/feeds/slots"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
UNKNOWN_ORDER = {"@context": "https://openactive.io/", "@type": "UnknownOrderError", "statusCode": 404}


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


def page(at: str, modified: list[int], next_at: str) -> FeedPage:
    items = [{"state": "deleted", "kind": "Slot", "id": f"slots/{n}", "modified": n} for n in modified]
    return FeedPage(url=at, body={"next": next_at, "items": items, "license": LICENCE})


def test_valid_document_has_no_failure_but_is_given_advice(validator: Validator) -> None:
    assert validator.failures(UNKNOWN_ORDER, "OpenBookingError") == []
    assert any("description" in advice for advice in validator.warnings_of(UNKNOWN_ORDER, "OpenBookingError"))


def test_failure_tells_the_place_and_the_reason(validator: Validator) -> None:
    [failure] = validator.failures(UNKNOWN_ORDER | {"statusCode": 400}, "OpenBookingError")
    assert failure.startswith("$.statusCode: ")
    assert '"404"' in failure


def test_context_without_a_stub_is_a_failure_and_not_a_download(validator: Validator) -> None:
    document = UNKNOWN_ORDER | {
        "@context": ["https://openactive.io/", "https://example.com/ns"],
        "ex:note": "Hello",
    }
    assert any("example.com/ns" in failure for failure in validator.failures(document, "OpenBookingError"))


def test_walk_through_a_sound_feed_has_no_failure(validator: Validator) -> None:
    end = f"{FEED}?afterChangeNumber=2"
    assert validator.rpde_failures([page(FEED, [1, 2], end), page(end, [], end)]) == []


def test_change_numbers_that_go_back_are_found_between_pages(validator: Validator) -> None:
    walk = [
        page(FEED, [5], f"{FEED}?afterChangeNumber=5"),
        page(f"{FEED}?afterChangeNumber=5", [4], f"{FEED}?afterChangeNumber=4"),
    ]
    assert any("must always increase" in failure for failure in validator.rpde_failures(walk))


def test_orders_feed_is_held_to_rules_of_its_own(validator: Validator) -> None:
    told = " ".join(validator.rpde_failures(page(FEED, [], FEED), orders_feed=True))
    assert "license" in told
    assert "application/vnd.openactive.booking+json" in told


def test_absent_validator_skips_but_fails_in_ci() -> None:
    with pytest.raises(pytest.skip.Exception, match="no Node"):
        skip_or_fail("no Node", in_ci=False)
    with pytest.raises(pytest.fail.Exception, match="no Node"):
        skip_or_fail("no Node", in_ci=True)
