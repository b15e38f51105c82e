"""The booking endpoints: C1, C2, OrderQuote Deletion, P and its update, B, Order Cancellation, Deletion, Status."""

from collections.abc import Mapping

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, register
from chalicelib.booking.book import Render
from chalicelib.booking.decisions import Answer
from chalicelib.booking.requests import OrderRequest, ProposalBookingRequest
from chalicelib.domain.errors import (
    CancellationNotPermittedError,
    OrderItemError,
    OrderItemIdInvalidError,
    TemporarilyUnableToCreateOrderError,
    TemporarilyUnableToDeleteOrderError,
    TemporarilyUnableToProduceOrderQuoteError,
    TemporarilyUnableToUpdateOrderError,
)
from chalicelib.domain.identifiers import outward
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.domain.shared_text import whole
from chalicelib.wire import links
from chalicelib.wire.jsonld import read_body
from chalicelib.wire.orders import order_text
from chalicelib.wire.requests import read_booking, read_cancellation, read_order, read_proposal_update

blueprint = Blueprint(__name__)


def c1(call: Call) -> Reply:
    """C1: prices and availability, without a Customer."""
    return _quote(call, with_customer=False)


def c2(call: Call) -> Reply:
    """C2: the same with a Customer, exactly as it would be booked."""
    return _quote(call, with_customer=True)


def _quote(call: Call, *, with_customer: bool) -> Reply:
    request = _read_order(call, OrderKind.OrderQuote)
    answer = call.system.bookings.quote(request, with_customer=with_customer)
    _note_errors(call, answer)
    if answer.order.lease_expires_at is not None:
        call.system.telemetry.count("LeasesMade")
    return Reply(409 if answer.errors else 200, whole(_text(call, answer.order, answer.errors)))


def delete_order_quote(call: Call) -> Reply:
    """OrderQuote Deletion: 204 whether or not there was a quote (QDEL-01)."""
    caller = call.caller()
    seller_id = caller.authorised_seller()
    call.system.bookings.delete_quote(call.order_key(caller), seller_id=seller_id)
    return Reply(204)


def p(call: Call) -> Reply:
    """P: a proposal, which the Seller decides on. A repeated request gets the first answer again (P-12)."""
    request = _read_order(call, OrderKind.OrderProposal)
    answer = call.system.bookings.propose(request, _renderer(call))
    return _made(call, answer, answer.order.proposal_answer or answer.order.answer, OrderKind.OrderProposal)


def b(call: Call) -> Reply:
    """B: the booking. A repeated request gets the first answer again, byte for byte (B-08)."""
    caller = call.caller()
    key = call.order_key(caller)
    request = read_booking(read_body(call.body()), key, call.base_url)
    bookings, render = call.system.bookings, _renderer(call)
    if isinstance(request, ProposalBookingRequest):
        answer = bookings.book_proposal(request, render, seller_id=caller.authorised_seller())
    else:
        call.log_ids["seller"] = caller.acting_for(request.seller_id)
        answer = bookings.book(request, render)
    if not answer.errors and not answer.is_repeat:
        call.system.telemetry.booked(answer.order)
    return _made(call, answer, answer.order.answer, OrderKind.Order)


def _renderer(call: Call) -> Render:
    """What makes the body of an answer as it is stored: a long one has its values once."""
    return lambda order: _text(call, order)


def _text(
    call: Call,
    order: Order,
    errors: Mapping[int, tuple[OrderItemError, ...]] | None = None,
    *,
    with_positions: bool = True,
) -> str:
    return order_text(
        order,
        call.system.booking_service(),
        errors,
        with_positions=with_positions,
        with_prepayment=call.system.settings.prepayment,
    )


def _made(call: Call, answer: Answer, body: str | None, kind: OrderKind) -> Reply:
    if answer.errors:
        _note_errors(call, answer)
        return Reply(409, whole(_text(call, answer.order, answer.errors)))
    # Translated while its values are there once.
    body = whole(outward(body or "", call.base_url))
    return Reply(201, body, {"Location": links.order_id(kind, answer.order.key.uuid)})


def _note_errors(call: Call, answer: Answer) -> None:
    """The first error of an OrderItem is the reason in the log."""
    first = next((errors[0] for errors in answer.errors.values() if errors), None)
    if first is not None:
        call.log_ids["error"] = first.term


def update(call: Call) -> Reply:
    """OrderProposal Update: the Customer rejects, or adds a note."""
    caller = call.caller()
    seller_id, key = caller.authorised_seller(), call.order_key(caller)
    request = read_proposal_update(read_body(call.body()), key)
    call.system.bookings.update_proposal(request, seller_id=seller_id)
    return Reply(204)


def cancel(call: Call) -> Reply:
    """Order Cancellation: all items in the request, or none (CANCEL-02)."""
    caller = call.caller()
    seller_id, key = caller.authorised_seller(), call.order_key(caller)
    request = read_cancellation(read_body(call.body()), key, call.base_url)
    try:
        call.system.bookings.cancel(request, seller_id=seller_id)
    except (CancellationNotPermittedError, OrderItemIdInvalidError) as refusal:
        # Internally an OrderItem has a short id; the Broker knows it by its IRI (ERR-01).
        if refusal.instance is not None:
            refusal.instance = links.order_item_id(key.uuid, refusal.instance)
        raise
    call.system.telemetry.count("Cancellations")
    return Reply(204)


def delete(call: Call) -> Reply:
    """Order Deletion: the booking is reversed; repeating it changes nothing (DEL-06)."""
    caller = call.caller()
    seller_id = caller.authorised_seller()
    call.system.bookings.delete(call.order_key(caller), seller_id=seller_id)
    return Reply(204)


def status(call: Call) -> Reply:
    """Order Status: the current state of the Order."""
    caller = call.caller()
    seller_id = caller.authorised_seller()
    order = call.system.bookings.status(call.order_key(caller), seller_id=seller_id)
    return Reply(200, whole(_text(call, order, with_positions=False)))


def _read_order(call: Call, kind: OrderKind) -> OrderRequest:
    """Authenticate, parse, authorise: in the order of ERR-09."""
    caller = call.caller()
    key: OrderKey = call.order_key(caller)
    request = read_order(read_body(call.body()), key, kind, call.base_url)
    call.log_ids["seller"] = caller.acting_for(request.seller_id)
    return request


_QUOTE_BUSY = TemporarilyUnableToProduceOrderQuoteError

RESOURCES = (
    Resource("/api/openbooking/order-quote-templates/{uuid}", {"PUT": c1}, {"PUT": _QUOTE_BUSY}),
    Resource(
        "/api/openbooking/order-quotes/{uuid}",
        {"PUT": c2, "DELETE": delete_order_quote},
        {"PUT": _QUOTE_BUSY, "DELETE": TemporarilyUnableToDeleteOrderError},
    ),
    Resource(
        "/api/openbooking/order-proposals/{uuid}",
        {"PUT": p, "PATCH": update},
        {"PUT": TemporarilyUnableToCreateOrderError, "PATCH": TemporarilyUnableToUpdateOrderError},
    ),
    Resource(
        "/api/openbooking/orders/{uuid}",
        {"GET": status, "PUT": b, "PATCH": cancel, "DELETE": delete},
        {
            "PUT": TemporarilyUnableToCreateOrderError,
            "PATCH": TemporarilyUnableToUpdateOrderError,
            "DELETE": TemporarilyUnableToDeleteOrderError,
        },
    ),
)
for _resource in RESOURCES:
    register(blueprint, _resource)
