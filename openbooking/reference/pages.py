"""Writes docs/errors.md and docs/settings.md from the code, so that they cannot say anything else.

`python -m openbooking.reference.pages` writes both, in a checkout; a test fails where one is out of date.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from chalicelib.domain import errors
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.limits import LIMITS
from chalicelib.runtime.settings import Settings

_ROOT = Path(__file__).resolve().parents[2]
DOCS, TESTS = _ROOT / "docs", _ROOT / "tests"

_API = "/api/openbooking"

# The endpoints that answer with errors of the Open Booking API, by verb and route, as the field calls them.
ENDPOINTS: dict[tuple[str, str], str] = {
    ("PUT", f"{_API}/order-quote-templates/{{uuid}}"): "C1",
    ("PUT", f"{_API}/order-quotes/{{uuid}}"): "C2",
    ("DELETE", f"{_API}/order-quotes/{{uuid}}"): "OrderQuote Deletion",
    ("PUT", f"{_API}/order-proposals/{{uuid}}"): "P",
    ("PATCH", f"{_API}/order-proposals/{{uuid}}"): "OrderProposal Update",
    ("PUT", f"{_API}/orders/{{uuid}}"): "B",
    ("GET", f"{_API}/orders/{{uuid}}"): "Order Status",
    ("PATCH", f"{_API}/orders/{{uuid}}"): "Order Cancellation",
    ("DELETE", f"{_API}/orders/{{uuid}}"): "Order Deletion",
    ("GET", f"{_API}/orders-rpde"): "Orders feed",
    ("GET", f"{_API}/order-proposals-rpde"): "OrderProposals feed",
    ("GET", "/feeds/{name}"): "open feeds",
    ("GET", "/openactive"): "dataset site",
}
_QUOTES = ("C1", "C2")
_BOOKINGS = ("P", "B")
_WITH_ITEMS = (*_QUOTES, *_BOOKINGS)
_PATCHES = ("OrderProposal Update", "Order Cancellation")
_WITH_BODY = (*_WITH_ITEMS, *_PATCHES)
_OPEN = ("open feeds", "dataset site")
_FEEDS = ("Orders feed", "OrderProposals feed", "open feeds")
EVERYWHERE = tuple(ENDPOINTS.values())
_NOT_OPEN = tuple(name for name in EVERYWHERE if name not in _OPEN)

NOT_YET: tuple[str, ...] = ()

# Where each error arises, and on what occasion. An error that cannot arise has NOT_YET for places, and
# says why. Tests fail where an answer has an error at an endpoint that is not named with it.
OCCASIONS: dict[type[OpenBookingError], tuple[tuple[str, ...], str]] = {
    errors.MalformedRequestError: (
        (*_WITH_BODY, *_FEEDS),
        "The body is not JSON in UTF-8, not an object, nested too deeply, or has no `orderedItem`; a number in it is not finite; `afterChangeNumber` is not one that a page has given; the Host header is not a host.",
    ),
    errors.RequestTooLargeError: (
        _WITH_BODY,
        "The body is larger than 6 MB, has more than 200 OrderItems, or has details beyond their bounds; or the Order would leave no room in its row for later changes. The description names the property or the number of items. All bounds are in [limits.md](limits.md).",
    ),
    errors.UnsupportedMediaTypeError: (
        EVERYWHERE,
        "The Content-Type is neither `application/vnd.openactive.booking+json` nor `application/json`.",
    ),
    errors.UnknownOrIncorrectEndpointError: (
        EVERYWHERE,
        "There is no such path, or it does not end in a UUID. Unknown paths are answered by API Gateway with the responses of `infra/gateway.json`.",
    ),
    errors.MethodNotAllowedError: (
        EVERYWHERE,
        "The path is known and does not support the verb; `Allow` says which it does.",
    ),
    errors.UnauthenticatedError: (
        _NOT_OPEN,
        "The request does not say who calls.",
    ),
    errors.NoAPITokenError: (
        _NOT_OPEN,
        "Callers have API keys here (`AUTHENTICATION=api-keys`), and `X-API-Key` is missing or empty.",
    ),
    errors.InvalidAPITokenError: (
        _NOT_OPEN,
        "The key in `X-API-Key` is malformed, unknown, revoked or has ended, or its partner is suspended.",
    ),
    errors.InvalidAuthorizationDetailsError: (
        _NOT_OPEN,
        "The token is malformed, forged, expired, of another issuer or for another audience; it lacks the scope that is "
        "needed; it names no Seller where one is needed, or another than the Order's.",
    ),
    errors.TooManyRequestsError: (
        EVERYWHERE,
        "The booking partner has used up its requests of this minute (`RATE_LIMIT`), or API Gateway throttles, as it is "
        "set up to; its responses are in `infra/gateway.json`. `Retry-After` says when to come back.",
    ),
    errors.UnexpectedOrderTypeError: (_WITH_BODY, "`@type` is not the one that the endpoint takes."),
    errors.SellerNotFoundError: (_WITH_ITEMS, "`seller` is missing, or is not a Seller of this system."),
    errors.SellerMismatchError: (_WITH_ITEMS, "An OrderItem is an Opportunity of another Seller."),
    errors.IncompleteBrokerDetailsError: (
        _WITH_ITEMS,
        "`brokerRole` is missing or not one of the three; `broker` is missing, is not an Organization or has no name; or there is one although `brokerRole` is NoBroker.",
    ),
    errors.IncompleteCustomerDetailsError: (
        ("C2", *_BOOKINGS),
        "`customer` is missing (a ResellerBroker need not give one), is neither Person nor Organization, or has no email.",
    ),
    errors.MissingPaymentDetailsError: (_BOOKINGS, "A payment is due and there is no `payment`."),
    errors.UnnecessaryPaymentDetailsError: (
        _BOOKINGS,
        "There is a `payment`, and nothing is to be paid through the Broker.",
    ),
    errors.IncompletePaymentDetailsError: (_BOOKINGS, "`payment` has no `identifier`."),
    errors.InvalidPaymentDetailsError: (
        _WITH_ITEMS,
        "`payment` differs from what the settings say can be reconciled, or is a DynamicPayment.",
    ),
    errors.TotalPaymentDueMismatchError: (
        _BOOKINGS,
        "`totalPaymentDue` is missing or is not what the items cost now. A lease stays.",
    ),
    errors.OrderAlreadyExistsError: (
        _WITH_ITEMS,
        "The UUID belongs to an Order or to a deleted one. At B the same items and the same customer are answered with the first answer instead.",
    ),
    errors.OrderCreationFailedError: (
        _BOOKINGS,
        "At B an item needs the Seller's approval, or the OrderProposal is not accepted; at P no item needs it.",
    ),
    errors.OrderProposalVersionOutdatedError: (
        ("B",),
        "The version is not the latest of the OrderProposal under this UUID.",
    ),
    errors.UnableToProcessOrderItemError: (
        NOT_YET,
        "Errors of items at B are answered as at C2: 409 with the whole Order, each error in its item.",
    ),
    errors.UnknownOrderError: (
        ("B", "Order Status", *_PATCHES, "Order Deletion"),
        "This booking partner has no such Order; a quote whose lease has ended counts as none.",
    ),
    errors.NotFoundError: (
        NOT_YET,
        "The more specific UnknownOrderError and UnknownOrIncorrectEndpointError are given.",
    ),
    errors.GoneError: (("Order Status", *_PATCHES), "The Order has been deleted."),
    errors.PatchContainsExcessivePropertiesError: (
        _PATCHES,
        "Beside `@context` and `@type`, an Order has another property than `orderedItem`, or that one another than `@type`, `@id`, `orderItemStatus`; an OrderProposal another than `orderProposalStatus`, `orderCustomerNote`. Those of other namespaces are ignored.",
    ),
    errors.PatchNotAllowedOnPropertyError: (
        _PATCHES,
        "`orderItemStatus` is not `https://openactive.io/CustomerCancelled`, `orderProposalStatus` not `https://openactive.io/CustomerRejected`; or the Seller has rejected the OrderProposal before.",
    ),
    errors.CancellationNotPermittedError: (
        ("Order Cancellation",),
        "The Offer that was booked allows no cancellation, the time for it is over, or the activity was attended. No item is cancelled then.",
    ),
    errors.OrderItemNotWithinOrderError: (
        ("Order Cancellation",),
        "The item's id is that of an item of another Order UUID.",
    ),
    errors.OrderItemIdInvalidError: (
        ("Order Cancellation",),
        "The id is not that of an OrderItem of this system, or the Order has no such item.",
    ),
    errors.IncompleteOrderItemError: (
        _WITH_ITEMS,
        "`orderedItem` or `acceptedOffer` is missing; `position` is missing, is no whole number or is used twice.",
    ),
    errors.InvalidOpportunityOrOfferIdError: (
        _WITH_ITEMS,
        "The id is not of a form that is used here.",
    ),
    errors.UnknownOpportunityError: (
        _WITH_ITEMS,
        "There is no such Opportunity, or it has been withdrawn.",
    ),
    errors.UnknownOfferError: (
        _WITH_ITEMS,
        "The Opportunity has no such Offer, nor has any other in the Order.",
    ),
    errors.UnacceptableOfferError: (
        _WITH_ITEMS,
        "The Offer is that of another Opportunity in the Order, or an OfferOverride.",
    ),
    errors.OpportunityOfferPairNotBookableError: (
        _WITH_ITEMS,
        "The Opportunity is over, cancelled, postponed, closed, or not of a bookable type; the Offer is not sold in advance, not sold here, or its booking window is not open; or the Seller takes no bookings.",
    ),
    errors.OpportunityIsFullError: (_WITH_ITEMS, "Nothing is left and nobody holds a lease."),
    errors.OpportunityHasInsufficientCapacityError: (
        _WITH_ITEMS,
        "More items than spaces: on those in excess.",
    ),
    errors.OpportunityCapacityIsReservedByLeaseError: (
        _WITH_ITEMS,
        "More items than spaces: on as many of those in excess as others hold by lease.",
    ),
    errors.OpportunityIsInConflictError: (
        _WITH_ITEMS,
        "Items whose payment is required and items whose payment is unavailable; several currencies; more different Opportunities than one transaction takes (24).",
    ),
    errors.OpportunityIntractableError: (
        NOT_YET,
        "No state of an Opportunity that can be reached leads here.",
    ),
    errors.IncompleteAttendeeDetailsError: (
        ("C2", *_BOOKINGS),
        "A property of the attendee that the Seller requires is missing; one error each.",
    ),
    errors.IncompleteIntakeFormError: (("C2", *_BOOKINGS), "A required answer is missing."),
    errors.InvalidIntakeFormError: (
        ("C2", *_BOOKINGS),
        "An answer is not of the kind its field asks for, or not one of its options.",
    ),
    errors.TemporarilyUnableToProduceOrderQuoteError: (_QUOTES, "The tables stayed busy for all attempts."),
    errors.TemporarilyUnableToCreateOrderError: (_BOOKINGS, "The same."),
    errors.TemporarilyUnableToUpdateOrderError: (_PATCHES, "The same."),
    errors.TemporarilyUnableToDeleteOrderError: (("OrderQuote Deletion", "Order Deletion"), "The same."),
    errors.TemporarilyUnavailableError: (("Order Status", *_FEEDS), "The same."),
    errors.InternalApplicationError: (
        EVERYWHERE,
        "A fault of this system. The log has the trace; the answer has not.",
    ),
    errors.InternalLibraryError: (NOT_YET, "A fault in a library is answered as one of this system."),
    errors.InternalLibraryConfigurationError: (EVERYWHERE, "A setting cannot be used; the log says which."),
}


def errors_page() -> str:
    """The text of docs/errors.md."""
    shown = shown_by()
    arising, waiting = [], []
    for kind in error_classes():
        where, occasion = OCCASIONS[kind]
        borrowed = "" if kind.term == kind.__name__ else " ¹"
        if where == NOT_YET:
            waiting.append(f"| `{kind.term}` | {kind.status} | {occasion} |")
        else:
            arising.append(
                f"| `{kind.term}`{borrowed} | {kind.status} | {_places(kind)} | {kind().name} | {occasion} "
                f"| `{shown[kind.__name__]}` |"
            )
    return "\n".join(
        [
            "# Errors",
            "",
            "Made from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Every error is an Open Booking error in JSON-LD, of media type `application/vnd.openactive.booking+json; version=1`.",
            "One of an OrderItem stands in its `error` property, with 409 for the whole answer; any other stands alone.",
            "The test named with it fails unless an answer in it holds that error; every test fails in which an answer has",
            "an error at an endpoint that is not named with it.",
            "",
            "| `@type` | Status | Where | `name` | When | Shown by |",
            "|---|---|---|---|---|---|",
            *arising,
            "",
            "¹ The specification has no type for this. The nearest one is used, with HTTP's own status and without `statusCode`.",
            "",
            "## In the specification, and not given here",
            "",
            "| `@type` | Status | Why not |",
            "|---|---|---|",
            *waiting,
            "",
        ]
    )


def _places(kind: type[OpenBookingError]) -> str:
    where = OCCASIONS[kind][0]
    named = {EVERYWHERE: "everywhere", _NOT_OPEN: "all but open feeds and dataset site"}
    places = named.get(where, ", ".join(where))
    return f"item at {places}" if issubclass(kind, errors.OrderItemError) else places


def endpoint_of(verb: str, path: str) -> str | None:
    """The name of an endpoint of the API; None for any other path."""
    for (known_verb, route), name in ENDPOINTS.items():
        if verb == known_verb and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route), path):
            return name
    return None


def settings_page() -> str:
    """The text of docs/settings.md."""
    return "\n".join(
        [
            "# Settings",
            "",
            "Made from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Each is an environment variable, read when it is first needed. A value that cannot be used keeps the service from answering anything but an error, and the log says which it is.",
            "",
            "| Variable | Default | Meaning |",
            "|---|---|---|",
            *(
                f"| `{item.name.upper()}` | {_default(item.default)} | {item.metadata['meaning']} |"
                for item in fields(Settings)
            ),
            "",
        ]
    )


def error_classes() -> Iterator[type[OpenBookingError]]:
    """Every class that can be an answer, in the order in which the code has them."""
    abstract = (errors.OpenBookingError, errors.OrderItemError)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, OpenBookingError) and kind not in abstract:
            yield kind


def shown_by(tests: Path = TESTS) -> dict[str, str]:
    """The test of each error, by the name of its class: the one that is marked `shows` with it.

    The tests are read, not imported. Raises ValueError where two show the same error.
    """
    shown: dict[str, str] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for function, error in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            node = f"tests/{path.relative_to(tests).as_posix()}::{function}"
            if error in shown:
                raise ValueError(f"Both {shown[error]} and {node} are marked with {error}.")
            shown[error] = node
    return shown


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    """The functions of a module that are marked `shows`, each with the errors it is marked with."""
    for statement in module.body:
        for mark in getattr(statement, "decorator_list", ()):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.shows":
                assert isinstance(statement, ast.FunctionDef), "a class shows nothing by itself"
                for argument in mark.args:
                    yield statement.name, ast.literal_eval(argument)


def limits_page() -> str:
    """The text of docs/limits.md."""
    return "\n".join(
        [
            "# Limits",
            "",
            "Made from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Sizes are bytes of compact JSON in UTF-8, unless the unit says otherwise. A refusal names the property and its",
            "bound, and changes nothing. Why these, and what an Order leaves out where space is short:",
            "[decision 14](decisions/0014-how-large-an-order-may-be.md).",
            "",
            "| What | At most | Beyond it |",
            "|---|---|---|",
            *(f"| {limit.of} | {limit.most:,} {limit.unit} | {limit.beyond} |" for limit in LIMITS),
            "",
        ]
    )


PAGES = {"errors.md": errors_page, "limits.md": limits_page, "settings.md": settings_page}


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else ""


def main() -> None:
    """Write the pages."""
    if not TESTS.is_dir():
        raise SystemExit("The pages are made in a checkout: here are no tests that show the errors.")
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
