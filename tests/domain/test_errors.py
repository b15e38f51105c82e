"""The error tree against the table of the specification."""

import pytest

from chalicelib.domain import errors
from chalicelib.domain.errors import OpenBookingError, OrderItemError

# The specification's table (requirements 4), in its order.
STATUSES = {
    **dict.fromkeys(
        [
            "IncompleteCustomerDetailsError",
            "IncompleteBrokerDetailsError",
            "UnnecessaryPaymentDetailsError",
            "MissingPaymentDetailsError",
            "IncompletePaymentDetailsError",
            "InvalidPaymentDetailsError",
            "TotalPaymentDueMismatchError",
            "CancellationNotPermittedError",
            "PatchContainsExcessivePropertiesError",
            "PatchNotAllowedOnPropertyError",
        ],
        400,
    ),
    **dict.fromkeys(["InvalidAPITokenError", "InvalidAuthorizationDetailsError"], 401),
    **dict.fromkeys(["UnauthenticatedError", "NoAPITokenError"], 403),
    **dict.fromkeys(["UnknownOrderError", "UnknownOrIncorrectEndpointError", "NotFoundError"], 404),
    "MethodNotAllowedError": 405,
    **dict.fromkeys(
        [
            "OpportunityHasInsufficientCapacityError",
            "UnableToProcessOrderItemError",
            "IncompleteAttendeeDetailsError",
            "IncompleteOrderItemError",
            "IncompleteIntakeFormError",
            "InvalidIntakeFormError",
            "UnacceptableOfferError",
            "UnknownOfferError",
            "UnknownOpportunityError",
            "InvalidOpportunityOrOfferIdError",
            "OpportunityOfferPairNotBookableError",
            "OpportunityIntractableError",
            "OpportunityIsInConflictError",
            "OpportunityIsFullError",
            "OpportunityCapacityIsReservedByLeaseError",
        ],
        409,
    ),
    "GoneError": 410,
    "TooManyRequestsError": 429,
    **dict.fromkeys(
        [
            "OrderAlreadyExistsError",
            "OrderProposalVersionOutdatedError",
            "OrderCreationFailedError",
            "UnexpectedOrderTypeError",
            "SellerNotFoundError",
            "SellerMismatchError",
            "OrderItemNotWithinOrderError",
            "OrderItemIdInvalidError",
            "InternalApplicationError",
            "InternalLibraryError",
            "InternalLibraryConfigurationError",
        ],
        500,
    ),
    **dict.fromkeys(
        [
            "TemporarilyUnableToProduceOrderQuoteError",
            "TemporarilyUnableToCreateOrderError",
            "TemporarilyUnableToUpdateOrderError",
            "TemporarilyUnableToDeleteOrderError",
        ],
        503,
    ),
}
CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, OpenBookingError)
}
ABSTRACT = {"OpenBookingError", "OrderItemError"}
OWN = {"TestInterfaceRefusedError"}  # not an endpoint of the specification


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_each_error_of_the_specification_has_its_class_and_status(name: str, status: int) -> None:
    """The error table; T26."""
    assert CLASSES[name].status == status
    assert CLASSES[name].term == name


@pytest.mark.parametrize("name", sorted(set(CLASSES) - set(STATUSES) - ABSTRACT - OWN))
def test_class_without_a_term_uses_a_term_of_the_specification(name: str) -> None:
    """ERR-04."""
    assert CLASSES[name].term in STATUSES


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ABSTRACT))
def test_name_is_one_sentence(name: str) -> None:
    """ERR-01: `name` is a fixed text."""
    text = CLASSES[name]("this time").name
    assert text.endswith(".")
    assert text != OpenBookingError().name
    assert text == CLASSES[name]().name


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_states_its_own_name(name: str) -> None:
    """An inherited one would name another error."""
    assert vars(CLASSES[name])["name"]


def test_item_errors_answer_with_409() -> None:
    """ERR-02."""
    assert {found.status for found in CLASSES.values() if issubclass(found, OrderItemError)} == {409}


def test_errors_are_equal_by_type_and_content() -> None:
    first = errors.UnknownOfferError("gone", instance="https://a.example/1")
    assert first == errors.UnknownOfferError("gone", instance="https://a.example/1")
    assert hash(first) == hash(errors.UnknownOfferError("gone", instance="https://a.example/1"))
    assert first != errors.UnknownOfferError("gone")
    assert first != errors.UnacceptableOfferError("gone", instance="https://a.example/1")
    assert str(first) == "gone"
    assert str(errors.UnknownOfferError()) == "The offer is unknown."
