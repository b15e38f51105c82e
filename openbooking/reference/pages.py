"""Writes docs/errors.md, docs/settings.md and others from the code, so that they are always accurate.

`python -m openbooking.reference.pages` writes all, in a checkout; a test fails where one is out of date.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any, get_type_hints

from chalicelib.domain import errors
from chalicelib.domain.errors import OpenBookingError
from chalicelib.runtime.settings import Settings
from chalicelib.values import fields
from openbooking.reference.columns import columns_page
from openbooking.reference.limits import limits_page

_ROOT = Path(__file__).resolve().parents[2]
DOCS, TESTS = _ROOT / "docs", _ROOT / "tests"

_API = "/api/openbooking"

# The endpoints that answer with errors of the Open Booking API, by method and route, with their usual names.
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
    ("POST", f"{_API}/test-interface/datasets/{{dataset}}/opportunities"): "Test Interface",
    ("POST", f"{_API}/test-interface/actions"): "Test Interface",
}
_QUOTES = ("C1", "C2")
_BOOKINGS = ("P", "B")
_WITH_ITEMS = (*_QUOTES, *_BOOKINGS)
_PATCHES = ("OrderProposal Update", "Order Cancellation")
_WITH_BODY = (*_WITH_ITEMS, *_PATCHES)
_OPEN = ("open feeds", "dataset site")
_FEEDS = ("Orders feed", "OrderProposals feed", "open feeds")
_TEST_INTERFACE = "Test Interface"
EVERYWHERE = tuple(dict.fromkeys(ENDPOINTS.values()))
_NOT_OPEN = tuple(name for name in EVERYWHERE if name not in _OPEN)

NOT_YET: tuple[str, ...] = ()

# Where each error occurs, and when. An error that cannot occur has NOT_YET for places, and the reason.
# Tests fail if an answer has an error at an endpoint that is not listed with it.
OCCASIONS: dict[type[OpenBookingError], tuple[tuple[str, ...], str]] = {
    errors.MalformedRequestError: (
        (*_WITH_BODY, *_FEEDS, _TEST_INTERFACE),
        "The body is not JSON in UTF-8, not an object, nested too deeply, or has no `orderedItem`; a number in it is not finite; the Host header is invalid.",
    ),
    errors.TestInterfaceRefusedError: (
        (_TEST_INTERFACE,),
        "An Opportunity of this type or Seller cannot meet the criteria (such as a TaxGross one of a TaxNet Seller), or the criteria, the flow, the action or its object are unknown; or the state of the Order does not allow the action. The description says which. The type is this system's own.",
    ),
    errors.InvalidParameterError: (
        _FEEDS,
        "`afterChangeNumber` is not from a page of the feed, or `limit` is not a whole number of at least 1.",
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
        "The path does not support the method; `Allow` lists those it supports.",
    ),
    errors.UnauthenticatedError: (
        _NOT_OPEN,
        "The request has no credentials.",
    ),
    errors.NoAPITokenError: (
        _NOT_OPEN,
        "API keys are required (`AUTHENTICATION=api-keys`), and `X-API-Key` is missing or empty.",
    ),
    errors.InvalidAPITokenError: (
        _NOT_OPEN,
        "The key in `X-API-Key` is malformed, unknown, revoked or expired, or its partner is suspended.",
    ),
    errors.InvalidAuthorizationDetailsError: (
        _NOT_OPEN,
        "The token is malformed, forged, expired, of another issuer or for another audience; it lacks the "
        "required scope; it has no Seller where one is required, or another Seller than the Order.",
    ),
    errors.TooManyRequestsError: (
        EVERYWHERE,
        "The booking partner has exceeded its requests for this minute (`RATE_LIMIT`); at P, it has too many "
        "OrderProposals that wait for their Sellers (`PARTNER_PROPOSALS`), or would hold too many spaces that are "
        "not booked (`PARTNER_SPACES`); or API Gateway throttles the request (`infra/gateway.json`). `Retry-After` "
        "says when to try again.",
    ),
    errors.UnexpectedOrderTypeError: (_WITH_BODY, "`@type` is not the one that the endpoint accepts."),
    errors.SellerNotFoundError: (_WITH_ITEMS, "`seller` is missing, or is not a Seller of this system."),
    errors.SellerMismatchError: (_WITH_ITEMS, "An OrderItem is an Opportunity of another Seller."),
    errors.IncompleteBrokerDetailsError: (
        _WITH_ITEMS,
        "`brokerRole` is missing or not one of the three; `broker` is missing, is not an Organization or has no name; or `broker` is present although `brokerRole` is NoBroker.",
    ),
    errors.IncompleteCustomerDetailsError: (
        ("C2", *_BOOKINGS),
        "`customer` is missing (optional for a ResellerBroker), is neither Person nor Organization, or has no email.",
    ),
    errors.MissingPaymentDetailsError: (_BOOKINGS, "A payment is due and `payment` is missing."),
    errors.UnnecessaryPaymentDetailsError: (
        _BOOKINGS,
        "`payment` is present although nothing is to be paid through the Broker.",
    ),
    errors.IncompletePaymentDetailsError: (
        _BOOKINGS,
        "`payment` has no `identifier`, or one that is not text.",
    ),
    errors.InvalidPaymentDetailsError: (
        _WITH_ITEMS,
        "`payment` differs from the settings for reconciliation, is not of the type `Payment`, or has a detail that is not text.",
    ),
    errors.TotalPaymentDueMismatchError: (
        _BOOKINGS,
        "`totalPaymentDue` is missing, is not a number in the digits 0 to 9, or differs in price or currency from the price of the items: the one in the quote while its lease is active, otherwise the current one. B of an OrderProposal need not state it; if it does, it must be the accepted one. A lease stays.",
    ),
    errors.OrderAlreadyExistsError: (
        _WITH_ITEMS,
        "The UUID belongs to an Order, which may be deleted. A repeated B with the same items and customer gets the first answer instead.",
    ),
    errors.OrderCreationFailedError: (
        _BOOKINGS,
        "At B an item requires the Seller's approval and the request names no `orderProposalVersion`, or the OrderProposal is not accepted, has ended, or can no longer be honoured; at P no item requires approval.",
    ),
    errors.OrderProposalVersionOutdatedError: (
        ("B",),
        "`orderProposalVersion` is not the latest version of the OrderProposal under this UUID, or is no version of it at all.",
    ),
    errors.UnableToProcessOrderItemError: (
        NOT_YET,
        "Errors of items at B are answered as at C2: 409 with the whole Order, each error in its item.",
    ),
    errors.UnknownOrderError: (
        ("B", "Order Status", *_PATCHES, "Order Deletion", _TEST_INTERFACE),
        "This booking partner has no such Order; a quote whose lease has ended does not count.",
    ),
    errors.NotFoundError: (
        NOT_YET,
        "The more specific UnknownOrderError and UnknownOrIncorrectEndpointError are used.",
    ),
    errors.GoneError: (("Order Status", *_PATCHES, _TEST_INTERFACE), "The Order has been deleted."),
    errors.PatchContainsExcessivePropertiesError: (
        _PATCHES,
        "A property that is not allowed: an Order may have `@context`, `@type` and `orderedItem`, its items `@type`, `@id` and `orderItemStatus`; an OrderProposal `@context`, `@type`, `orderProposalStatus` and `orderCustomerNote`. Properties of other namespaces are ignored.",
    ),
    errors.PatchNotAllowedOnPropertyError: (
        _PATCHES,
        "`orderItemStatus` is not `https://openactive.io/CustomerCancelled`, `orderProposalStatus` not `https://openactive.io/CustomerRejected`; or the Seller has already rejected the OrderProposal, or it has ended. `orderCustomerNote` without a rejection: no Offer exchanges messages, or the Seller has decided.",
    ),
    errors.CancellationNotPermittedError: (
        ("Order Cancellation",),
        "The booked Offer does not allow cancellation, it is too late to cancel, or the activity was attended. No item is cancelled.",
    ),
    errors.OrderItemNotWithinOrderError: (
        ("Order Cancellation",),
        "The item belongs to another Order UUID.",
    ),
    errors.OrderItemIdInvalidError: (
        ("Order Cancellation",),
        "The id is not the id of an OrderItem of this system, or the Order has no such item.",
    ),
    errors.IncompleteOrderItemError: (
        _WITH_ITEMS,
        "`orderedItem` or `acceptedOffer` is missing; `position` is missing, is not a whole number or is used twice.",
    ),
    errors.InvalidOpportunityOrOfferIdError: (
        _WITH_ITEMS,
        "The id has an invalid format.",
    ),
    errors.UnknownOpportunityError: (
        _WITH_ITEMS,
        "There is no such Opportunity, or it has been withdrawn.",
    ),
    errors.UnknownOfferError: (
        _WITH_ITEMS,
        "Neither the Opportunity nor any other in the Order has such an Offer.",
    ),
    errors.UnacceptableOfferError: (
        _WITH_ITEMS,
        "The Offer belongs to another Opportunity in the Order, or is an OfferOverride.",
    ),
    errors.OpportunityOfferPairNotBookableError: (
        _WITH_ITEMS,
        "The Opportunity is over, cancelled, postponed, closed, or not of a bookable type; it has started, and the Order needs the Seller's approval; the Offer cannot be booked in advance or through this API, or its booking window is not open; or the Seller takes no bookings.",
    ),
    errors.OpportunityIsFullError: (_WITH_ITEMS, "No space is left, and none is leased."),
    errors.OpportunityHasInsufficientCapacityError: (
        _WITH_ITEMS,
        "There are more items than spaces; on the items in excess. At B of an OrderProposal that took no space at P because leasing is off, it is the whole answer: too few are left, and the OrderProposal is rejected.",
    ),
    errors.OpportunityCapacityIsReservedByLeaseError: (
        _WITH_ITEMS,
        "There are more items than spaces; on as many of the items in excess as there are spaces leased by others.",
    ),
    errors.OpportunityIsInConflictError: (
        _WITH_ITEMS,
        "Items whose payment is required and items whose payment is unavailable; several currencies; more different Opportunities than fit one transaction (24).",
    ),
    errors.OpportunityIntractableError: (
        NOT_YET,
        "No reachable state of an Opportunity leads to it.",
    ),
    errors.IncompleteAttendeeDetailsError: (
        ("C2", *_BOOKINGS),
        "A required property of the attendee is missing; one error for each.",
    ),
    errors.IncompleteIntakeFormError: (("C2", *_BOOKINGS), "A required answer is missing."),
    errors.InvalidIntakeFormError: (
        ("C2", *_BOOKINGS),
        "An answer does not match the type of its field, or is not one of its options.",
    ),
    errors.TemporarilyUnableToProduceOrderQuoteError: (_QUOTES, "The tables were busy in all attempts."),
    errors.TemporarilyUnableToCreateOrderError: (_BOOKINGS, "The tables were busy in all attempts."),
    errors.TemporarilyUnableToUpdateOrderError: (_PATCHES, "The tables were busy in all attempts."),
    errors.TemporarilyUnableToDeleteOrderError: (
        ("OrderQuote Deletion", "Order Deletion"),
        "The tables were busy in all attempts.",
    ),
    errors.TemporarilyUnavailableError: (("Order Status", *_FEEDS), "The tables were busy in all attempts."),
    errors.InternalApplicationError: (
        EVERYWHERE,
        "An internal error. The stack trace is in the log, not in the answer.",
    ),
    errors.InternalLibraryError: (NOT_YET, "An error in a library is returned as InternalApplicationError."),
    errors.InternalLibraryConfigurationError: (EVERYWHERE, "A setting is invalid; the log says which."),
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
            "Generated from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Every error is an Open Booking error in JSON-LD, of media type `application/vnd.openactive.booking+json; version=1`.",
            "Errors of an OrderItem are in its `error` property, with status 409; any other error is the whole body.",
            "The test in the last column fails unless one of its answers contains that error. Every test fails in which an answer has",
            "an error at an endpoint that is not listed with it.",
            "",
            "| `@type` | Status | Where | `name` | When | Shown by |",
            "|---|---|---|---|---|---|",
            *arising,
            "",
            "¹ The specification has no type for this. The nearest one is used, with the HTTP status of the case and without `statusCode`.",
            "",
            "## In the specification, but not used",
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


def _settings() -> Iterator[tuple[Field[Any], str]]:
    annotations = get_type_hints(Settings, include_extras=True)
    for item in fields(Settings):
        (meaning,) = annotations[item.name].__metadata__
        yield item, meaning


def settings_page() -> str:
    """The text of docs/settings.md."""
    return "\n".join(
        [
            "# Settings",
            "",
            "Generated from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Each setting is an environment variable, read on first use. With an invalid value the service answers every request with an error, and the log says which value it is.",
            "",
            "| Variable | Default | Meaning |",
            "|---|---|---|",
            *(
                f"| `{item.name.upper()}` | {_default(item.default)} | {meaning} |"
                for item, meaning in _settings()
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

    The tests are parsed, not imported. Raises ValueError if two show the same error.
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
                assert isinstance(statement, ast.FunctionDef), "only functions can be marked"
                for argument in mark.args:
                    yield statement.name, ast.literal_eval(argument)


PAGES = {
    "errors.md": errors_page,
    "limits.md": limits_page,
    "settings.md": settings_page,
    "timetable-columns.md": columns_page,
}


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else ""


def main() -> None:
    """Write the pages."""
    if not TESTS.is_dir():
        raise SystemExit("The pages can only be generated in a checkout with tests.")
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
