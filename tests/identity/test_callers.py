"""Who calls, and for whom they may act."""

from typing import Any

import pytest

from chalicelib.domain.errors import (
    InvalidAuthorizationDetailsError,
    OpenBookingError,
    SellerNotFoundError,
    UnauthenticatedError,
)
from chalicelib.identity.callers import Caller, DevelopmentHeaders, Ways
from tests.support.builders import SELLER_ID

CLIENT, SELLER = "x-openactive-test-client-id", "x-openactive-test-seller-id"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({CLIENT: "partner-1", SELLER: SELLER_ID}, Caller("partner-1", SELLER_ID)),
        ({CLIENT: "partner-1"}, Caller("partner-1")),
        ({CLIENT: "partner-1", SELLER: ""}, Caller("partner-1")),
        ({CLIENT: "7a.b_c~d"}, Caller("7a.b_c~d")),
    ],
)
def test_development_headers_are_believed(headers: dict[str, str], expected: Caller) -> None:
    """AUTH-10, for development."""
    assert Ways([DevelopmentHeaders()]).caller(headers, "") == expected


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, UnauthenticatedError),
        ({SELLER: SELLER_ID}, UnauthenticatedError),
        ({CLIENT: ""}, UnauthenticatedError),
        ({"authorization": "Bearer x"}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a#b"}, InvalidAuthorizationDetailsError),  # an id that would leave its part of a key
        ({CLIENT: "a/b"}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a" * 101}, InvalidAuthorizationDetailsError),
        ({CLIENT: "a\n"}, InvalidAuthorizationDetailsError),
    ],
)
def test_others_are_refused(headers: dict[str, str], error: type[OpenBookingError]) -> None:
    """AUTH-11."""
    with pytest.raises(error):
        Ways([DevelopmentHeaders()]).caller(headers, "")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, UnauthenticatedError),
        ({CLIENT: "partner-1", SELLER: SELLER_ID}, UnauthenticatedError),
        ({"authorization": "Bearer x"}, InvalidAuthorizationDetailsError),
    ],
)
def test_without_development_headers_everybody_is_refused(
    headers: dict[str, str], error: type[OpenBookingError]
) -> None:
    """AUTH-01, AUTH-11."""
    with pytest.raises(error):
        Ways([]).caller(headers, "")


@pytest.mark.parametrize(
    ("authorised", "named", "error"),
    [
        (SELLER_ID, SELLER_ID, None),
        (SELLER_ID, "https://a.example/sellers/2", InvalidAuthorizationDetailsError),  # AUTH-12
        (None, SELLER_ID, InvalidAuthorizationDetailsError),  # AUTH-06
        (SELLER_ID, None, SellerNotFoundError),
    ],
)
def test_caller_acts_for_its_seller_only(
    authorised: Any, named: Any, error: type[OpenBookingError] | None
) -> None:
    """AUTH-06, AUTH-12."""
    caller = Caller("partner-1", authorised)
    if error is None:
        assert caller.acting_for(named) == named
    else:
        with pytest.raises(error):
            caller.acting_for(named)


def test_caller_without_a_seller_may_not_touch_an_order() -> None:
    """AUTH-06."""
    with pytest.raises(InvalidAuthorizationDetailsError):
        Caller("partner-1").authorised_seller()
