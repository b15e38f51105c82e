"""The errors of the Open Booking API, one class for each type the specification names.

A class carries its HTTP status and `name`, the fixed, human-readable text of its type (ERR-01); an
instance holds only what varies. The text is an attribute, because `python -OO` removes docstrings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from chalicelib.domain.partner_limits import Usage


class OpenBookingError(Exception):
    """The base of all errors that are returned to a caller."""

    #: The fixed text of this type of error.
    name: ClassVar[str] = "The request could not be completed."
    status: ClassVar[int] = 500
    #: The `@type` on the wire; a class whose own name is not a term of the
    #: specification names the nearest term here.
    term: ClassVar[str] = "OpenBookingError"

    def __init_subclass__(cls) -> None:
        if "term" not in cls.__dict__:
            cls.term = cls.__name__
        cls.__doc__ = cls.name

    def __init__(self, description: str | None = None, *, instance: str | None = None) -> None:
        """`description` says what is wrong in this request; `instance` is the IRI of the item or property."""
        super().__init__(description or self.name)
        self.description = description
        self.instance = instance

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, OpenBookingError)
            and (self.description, self.instance) == (other.description, other.instance)
        )

    def __hash__(self) -> int:
        return hash((type(self), self.description, self.instance))


# --- before any Order could be read -------------------------------------------------------
# The specification has no class for these four, nor for `TemporarilyUnavailableError` at the
# end. They use the nearest one, "the body is not an Order of the type expected" for a body and "there is
# no such endpoint" for the rest of a URL, with the status that HTTP has for the case.


class MalformedRequestError(OpenBookingError):
    name = "The body of the request is not a valid JSON object."
    status = 400
    term = "UnexpectedOrderTypeError"


class RequestTooLargeError(OpenBookingError):
    name = "The body of the request is too large."
    status = 413
    term = "UnexpectedOrderTypeError"


class UnsupportedMediaTypeError(OpenBookingError):
    name = "The media type of the request is not supported."
    status = 415
    term = "UnexpectedOrderTypeError"


class InvalidParameterError(OpenBookingError):
    name = "A parameter of the URL has a value that cannot be used."
    status = 400  # 404 would tell the reader of a feed that it is gone (RPDE-15)
    term = "UnknownOrIncorrectEndpointError"


class UnknownOrIncorrectEndpointError(OpenBookingError):
    name = "There is no such endpoint."
    status = 404


class MethodNotAllowedError(OpenBookingError):
    name = "This endpoint does not support the method of the request."
    status = 405


class TestInterfaceRefusedError(OpenBookingError):
    """The type is this system's own: the Test Interface's specification has none for a refusal."""

    __test__ = False  # pytest must not collect it
    name = "The Test Interface cannot do what the request asks."
    status = 400


# --- who is calling (AUTH-11, AUTH-12) ----------------------------------------------------


class UnauthenticatedError(OpenBookingError):
    name = "No authentication was supplied."
    status = 403


class NoAPITokenError(OpenBookingError):
    name = "No API key was supplied."
    status = 403


class InvalidAPITokenError(OpenBookingError):
    name = "The API key is malformed or has expired."
    status = 401


class InvalidAuthorizationDetailsError(OpenBookingError):
    name = "The authorisation is malformed, has expired or is not sufficient."
    status = 401

    def __init__(self, description: str | None = None, *, missing_scope: str | None = None) -> None:
        """`missing_scope` is the one that a valid token lacks."""
        super().__init__(description)
        self.missing_scope = missing_scope


class TooManyRequestsError(OpenBookingError):
    name = "Too many requests in too short a time."
    status = 429

    def __init__(
        self, description: str | None = None, *, retry_after: int = 1, usage: Usage | None = None
    ) -> None:
        """`retry_after` is in seconds; `usage` is the limit of a partner that would be exceeded, if it is one."""
        super().__init__(description)
        self.retry_after = retry_after
        self.usage = usage


# --- the Order as a whole -----------------------------------------------------------------


class UnexpectedOrderTypeError(OpenBookingError):
    name = "This endpoint does not accept an Order of this type."
    status = 500


class SellerNotFoundError(OpenBookingError):
    name = "The Seller is unknown."
    status = 500


class SellerMismatchError(OpenBookingError):
    name = "An OrderItem belongs to another Seller than the Order."
    status = 500


class IncompleteBrokerDetailsError(OpenBookingError):
    name = "The details of the Broker are missing, incomplete or not expected."
    status = 400


class IncompleteCustomerDetailsError(OpenBookingError):
    name = "The details of the Customer are missing or incomplete."
    status = 400


class MissingPaymentDetailsError(OpenBookingError):
    name = "Payment details are needed and were not supplied."
    status = 400


class UnnecessaryPaymentDetailsError(OpenBookingError):
    name = "Payment details were supplied where no payment is due."
    status = 400


class IncompletePaymentDetailsError(OpenBookingError):
    name = "The payment details lack something that is required."
    status = 400


class InvalidPaymentDetailsError(OpenBookingError):
    name = "The payment details are not valid for reconciliation."
    status = 400


class TotalPaymentDueMismatchError(OpenBookingError):
    name = "The total payment due differs from the current total."
    status = 400


class OrderAlreadyExistsError(OpenBookingError):
    name = "This Order UUID has been used for another Order."
    status = 500


class OrderCreationFailedError(OpenBookingError):
    name = "The Order could not be created."
    status = 500


class OrderProposalVersionOutdatedError(OpenBookingError):
    name = "There is a newer version of the OrderProposal."
    status = 500


class UnableToProcessOrderItemError(OpenBookingError):
    name = "An OrderItem could not be processed."
    status = 409


class UnknownOrderError(OpenBookingError):
    name = "There is no such Order."
    status = 404


class NotFoundError(OpenBookingError):
    name = "There is no such resource."
    status = 404


class GoneError(OpenBookingError):
    name = "The Order has been deleted."
    status = 410


# --- changing an Order --------------------------------------------------------------------


class PatchContainsExcessivePropertiesError(OpenBookingError):
    name = "The request contains properties that cannot be changed."
    status = 400


class PatchNotAllowedOnPropertyError(OpenBookingError):
    name = "The property cannot be given that value."
    status = 400


class CancellationNotPermittedError(OpenBookingError):
    name = "The OrderItem cannot be cancelled."
    status = 400


class OrderItemNotWithinOrderError(OpenBookingError):
    name = "The OrderItem belongs to another Order."
    status = 500


class OrderItemIdInvalidError(OpenBookingError):
    name = "The identifier of the OrderItem is malformed or unknown."
    status = 500


# --- a single OrderItem (ERR-02: inside `OrderItem.error`, with 409 for the whole) ---------


class OrderItemError(OpenBookingError):
    name = "The OrderItem cannot be booked."
    status = 409


class IncompleteOrderItemError(OrderItemError):
    name = "The OrderItem has no acceptedOffer or no orderedItem."


class InvalidOpportunityOrOfferIdError(OrderItemError):
    name = "The identifier of the opportunity or the offer has an invalid format."


class UnknownOpportunityError(OrderItemError):
    name = "The opportunity is unknown."


class UnknownOfferError(OrderItemError):
    name = "The offer is unknown."


class UnacceptableOfferError(OrderItemError):
    name = "The offer does not apply to this opportunity."


class OpportunityOfferPairNotBookableError(OrderItemError):
    name = "The opportunity cannot be booked with this offer."


class OpportunityIsFullError(OrderItemError):
    name = "The opportunity is full."


class OpportunityHasInsufficientCapacityError(OrderItemError):
    name = "The opportunity has too few spaces left."


class OpportunityCapacityIsReservedByLeaseError(OrderItemError):
    name = "The remaining spaces are reserved by other leases."


class OpportunityIsInConflictError(OrderItemError):
    name = "These OrderItems cannot be booked together."


class OpportunityIntractableError(OrderItemError):
    name = "The opportunity cannot be booked in its current state."


class IncompleteAttendeeDetailsError(OrderItemError):
    name = "A required detail of the attendee is missing."


class IncompleteIntakeFormError(OrderItemError):
    name = "A required answer of the intake form is missing."


class InvalidIntakeFormError(OrderItemError):
    name = "An answer of the intake form is not valid."


# --- the service itself -------------------------------------------------------------------


class TemporarilyUnableToProduceOrderQuoteError(OpenBookingError):
    name = "The OrderQuote could not be produced because the service is busy; try again."
    status = 503


class TemporarilyUnableToCreateOrderError(OpenBookingError):
    name = "The Order could not be created because the service is busy; try again."
    status = 503


class TemporarilyUnableToUpdateOrderError(OpenBookingError):
    name = "The Order could not be changed because the service is busy; try again."
    status = 503


class TemporarilyUnableToDeleteOrderError(OpenBookingError):
    name = "The Order could not be deleted because the service is busy; try again."
    status = 503


class TemporarilyUnavailableError(OpenBookingError):
    name = "The service is busy; try again."
    status = 503  # a feed that is only busy must not look gone (RPDE-15)
    term = "InternalApplicationError"


class InternalApplicationError(OpenBookingError):
    name = "Something went wrong inside this service."


class InternalLibraryError(OpenBookingError):
    name = "Something went wrong inside a library of this service."


class InternalLibraryConfigurationError(OpenBookingError):
    name = "This service is not configured correctly."
