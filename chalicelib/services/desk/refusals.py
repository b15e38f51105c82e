"""The refusals of a Seller's actions: what is wrong, as a sentence. Nothing was changed."""

from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.domain.errors import (
    GoneError,
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    RequestTooLargeError,
    UnacceptableOfferError,
    UnknownOrderError,
)
from chalicelib.domain.lifecycle import TransitionRefused
from chalicelib.services.errors import InvalidValue, NotPossible
from chalicelib.services.inventory import NotListed

# Errors whose own text is written for a Broker's developer.
_SENTENCES: dict[type[OpenBookingError], str] = {
    OpportunityIsFullError: "No space is left there.",
    OpportunityHasInsufficientCapacityError: "Too few spaces are left there.",
    UnknownOrderError: "This is not booked, or no longer.",
    GoneError: "The booking partner has deleted this booking.",
}

# Why nothing was changed about how people get in.
NO_ACCESS = (
    "has no codes or passes of this kind. `sellers show` lists those that are made for it; --code sets a code where "
    "people come to a place."
)


@contextmanager
def as_refusals(state: str = "Its state does not allow this.") -> Iterator[None]:
    """Turn the errors of decisions into refusals. `state` is the sentence where a state does not allow the action.

    Raises InvalidValue, NotPossible.
    """
    try:
        yield
    except RequestTooLargeError as error:
        raise InvalidValue(str(error)) from None
    except NotListed:
        raise NotPossible("It is no longer offered.") from None
    except TransitionRefused:
        raise NotPossible(state) from None
    except OpenBookingError as error:
        raise NotPossible(sentence(error)) from None


def sentence(error: OpenBookingError) -> str:
    """The error as a sentence for the Seller."""
    if isinstance(error, UnacceptableOfferError) and error.description is None:
        return "The session, or its offer, is unknown or belongs to another Seller."
    return _SENTENCES.get(type(error)) or str(error)
