"""Reads the body of a request into values. The rules are checked in `booking`."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from chalicelib.booking.requests import (
    CancellationRequest,
    OrderRequest,
    ProposalBookingRequest,
    ProposalUpdateRequest,
    RequestedItem,
)
from chalicelib.domain.errors import (
    IncompleteOrderItemError,
    InvalidOpportunityOrOfferIdError,
    MalformedRequestError,
    OrderItemError,
    OrderItemIdInvalidError,
    OrderItemNotWithinOrderError,
    PatchContainsExcessivePropertiesError,
    PatchNotAllowedOnPropertyError,
    RequestTooLargeError,
    UnacceptableOfferError,
    UnexpectedOrderTypeError,
)
from chalicelib.domain.identifiers import inward
from chalicelib.domain.lifecycle import OrderItemStatus, ProposalStatus
from chalicelib.domain.limits import (
    MAX_ANSWERS_BYTES,
    MAX_ATTENDEE_BYTES,
    MAX_BROKER_BYTES,
    MAX_CUSTOMER_BYTES,
    MAX_DETAILS_BYTES,
    MAX_ITEMS,
    MAX_PASSES_BYTES,
    MAX_PAYMENT_BYTES,
    MAX_POSITION,
    check_bytes,
    check_text,
)
from chalicelib.domain.orders import OrderKey, OrderKind
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.wire.jsonld import (
    CONTEXT,
    is_extension,
    only,
    read_amount,
    reference,
    size,
    term_iri,
    without_extensions,
)
from chalicelib.wire.links import is_identifier, order_id, parse_order_item_id, parse_proposal_version

# What an error names of the properties it refuses.
_NAMED_PROPERTIES = 10
_NAMED_LENGTH = 60

# Far above what so many places can cost. A total that is larger is not the one due, whatever that is.
MAX_TOTAL = Decimal(10) ** 12

_PARTY_TERMS = (
    *("@type", "@id", "identifier", "name", "givenName", "familyName", "legalName", "email"),
    *("telephone", "url", "logo", "description", "address", "gender", "jobTitle", "sameAs", "vatID"),
    *("emergencyContact", "termsOfService", "hasAccount"),
)
_PAYMENT_TERMS = ("@type", "identifier", "name", "accountId", "paymentProviderId")  # PAY-06


def read_order(body: Json, key: OrderKey, expected: OrderKind, base_url: str) -> OrderRequest:
    """The request in the body of C1, C2, P or B.

    Raises UnexpectedOrderTypeError, MalformedRequestError, RequestTooLargeError.
    """
    check_type(body, expected)
    items = body.get("orderedItem")
    if not isinstance(items, list) or not items:
        raise MalformedRequestError("orderedItem must be a list of at least one OrderItem.")
    if len(items) > MAX_ITEMS:
        raise RequestTooLargeError(f"An order may have at most {MAX_ITEMS} items.")
    seller = reference(body.get("seller"))
    total = body.get("totalPaymentDue")
    request = OrderRequest(
        key=key,
        seller_id=inward(seller, base_url) if seller else None,
        items=_read_items(items, base_url),
        broker_role=_broker_role(body.get("brokerRole")),
        broker=_party(body.get("broker")),
        customer=_party(body.get("customer")),
        payment=_payment(body),
        total_payment_due=_total(total),
        total_currency=_currency(total),
        customer_note=_note(body),
    )
    check_sizes(request)
    return request


def check_sizes(request: OrderRequest) -> None:
    """Refuse details that are larger than their bounds, each alone or all together.

    Raises RequestTooLargeError, which names the property and its bound.
    """
    whole = 0
    for name, value, most in _details(request):
        found = size(value)
        check_bytes(name, found, most)
        whole += found
    if whole > MAX_DETAILS_BYTES:
        raise RequestTooLargeError(
            f"The details of the customer, the broker and {len(request.items)} items have {whole:,} bytes together; "
            f"they may have at most {MAX_DETAILS_BYTES:,}."
        )


def _details(request: OrderRequest) -> Iterator[tuple[str, Any, int]]:
    """Name, value and bound of each part of the request that says who takes part."""
    if request.customer:
        yield "customer", request.customer, MAX_CUSTOMER_BYTES
    if request.broker:
        yield "broker", request.broker, MAX_BROKER_BYTES
    for n, item in enumerate(request.items):
        if item.attendee:
            yield f"orderedItem[{n}].attendee", item.attendee, MAX_ATTENDEE_BYTES
        if item.intake_answers:
            yield f"orderedItem[{n}].orderItemIntakeFormResponse", item.intake_answers, MAX_ANSWERS_BYTES
        if item.access_passes:
            yield f"orderedItem[{n}].accessPass", item.access_passes, MAX_PASSES_BYTES


def read_booking(body: Json, key: OrderKey, base_url: str) -> OrderRequest | ProposalBookingRequest:
    """The request in the body of B: a whole Order, or an accepted proposal by its version (T23).

    Raises UnexpectedOrderTypeError, MalformedRequestError, RequestTooLargeError.
    """
    if "orderProposalVersion" not in body:
        return read_order(body, key, OrderKind.Order, base_url)
    check_type(body, OrderKind.Order)
    version = body["orderProposalVersion"]
    parsed = parse_proposal_version(inward(version, base_url)) if isinstance(version, str) else None
    return ProposalBookingRequest(
        key=key,
        # The version of another proposal is not a version of this one.
        version=parsed[1] if parsed and parsed[0] == key.uuid else None,
        payment=_payment(body),
        states_total="totalPaymentDue" in body,
        total_payment_due=_total(body.get("totalPaymentDue")),
        total_currency=_currency(body.get("totalPaymentDue")),
    )


def read_proposal_update(body: Json, key: OrderKey) -> ProposalUpdateRequest:
    """The update in the body of a PATCH of an OrderProposal (PUPD-01 to PUPD-06).

    Raises UnexpectedOrderTypeError, PatchContainsExcessivePropertiesError,
    PatchNotAllowedOnPropertyError, MalformedRequestError, RequestTooLargeError.
    """
    check_type(body, OrderKind.OrderProposal)
    check_properties(body, {"@context", "@type", "orderProposalStatus", "orderCustomerNote"})
    status = body.get("orderProposalStatus")
    if status not in (None, term_iri(ProposalStatus.CustomerRejected)):
        raise PatchNotAllowedOnPropertyError(
            "orderProposalStatus can only be set to https://openactive.io/CustomerRejected."
        )
    if not isinstance(body.get("orderCustomerNote", ""), str):
        raise MalformedRequestError("orderCustomerNote must be text.")
    note = _note(body)
    if status is None and note is None:
        raise MalformedRequestError("orderProposalStatus or orderCustomerNote is required.")
    return ProposalUpdateRequest(key, rejects=status is not None, customer_note=note)


def read_cancellation(body: Json, key: OrderKey, base_url: str) -> CancellationRequest:
    """The items that the body of a PATCH of an Order asks to cancel.

    The checks run in the order of CANCEL-15. Raises UnexpectedOrderTypeError,
    PatchContainsExcessivePropertiesError, PatchNotAllowedOnPropertyError, OrderItemIdInvalidError,
    OrderItemNotWithinOrderError, MalformedRequestError.
    """
    check_type(body, OrderKind.Order)
    check_properties(body, {"@context", "@type", "@id", "orderedItem"})
    if "@id" in body and not _is_id_of(body["@id"], key, base_url):
        raise PatchContainsExcessivePropertiesError("@id can only be that of this Order.")
    items = body.get("orderedItem")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise MalformedRequestError("orderedItem must be a list of at least one OrderItem.")
    for item in items:
        check_properties(item, {"@type", "@id", "orderItemStatus"})
    for item in items:
        if item.get("orderItemStatus") != term_iri(OrderItemStatus.CustomerCancelled):
            raise PatchNotAllowedOnPropertyError(
                "orderItemStatus can only be set to https://openactive.io/CustomerCancelled."
            )
    parsed = [_read_item_id(item.get("@id"), base_url) for item in items]
    if any(order_uuid != key.uuid for order_uuid, _ in parsed):
        raise OrderItemNotWithinOrderError("The item belongs to another order.")  # CANCEL-10
    return CancellationRequest(key, tuple(dict.fromkeys(item_id for _, item_id in parsed)))


def check_type(body: Json, expected: OrderKind) -> None:
    """Raises UnexpectedOrderTypeError (C1-01, B-01)."""
    if body.get("@type") != expected.value:
        raise UnexpectedOrderTypeError(f"The @type must be {expected}.")


def check_properties(document: Json, allowed: set[str]) -> None:
    """Raises PatchContainsExcessivePropertiesError (CANCEL-05); other namespaces are ignored."""
    excessive = [term for term in document if term not in allowed and not is_extension(term)]
    if not excessive:
        return
    if len(excessive) > _NAMED_PROPERTIES or max(map(len, excessive)) > _NAMED_LENGTH:
        # An answer that repeats all of them could be as large as the request.
        raise PatchContainsExcessivePropertiesError(
            f"{len(excessive)} properties cannot be changed. Allowed here: {', '.join(sorted(allowed))}."
        )
    raise PatchContainsExcessivePropertiesError(
        f"These properties cannot be changed: {', '.join(sorted(excessive))}."
    )


def _is_id_of(iri: Any, key: OrderKey, base_url: str) -> bool:
    return isinstance(iri, str) and inward(iri, base_url) == order_id(OrderKind.Order, key.uuid)


def _read_item_id(iri: Any, base_url: str) -> tuple[str, str]:
    parsed = parse_order_item_id(inward(iri, base_url)) if isinstance(iri, str) else None
    if parsed is None:
        raise OrderItemIdInvalidError("This is not the id of an OrderItem of this system.")
    return parsed


def _read_items(items: list[Any], base_url: str) -> tuple[RequestedItem, ...]:
    documents: list[Json] = [item if isinstance(item, dict) else {} for item in items]
    positions = [_position(document) for document in documents]
    uses = Counter(positions)
    return tuple(
        _read_item(document, position, uses[position], base_url)
        for document, position in zip(documents, positions, strict=True)
    )


def _read_item(document: Json, position: int | None, uses: int, base_url: str) -> RequestedItem:
    """`uses` is in how many items this position is."""
    opportunity_id = _inward_reference(document.get("orderedItem"), base_url)
    offer_id = _inward_reference(offer := document.get("acceptedOffer"), base_url)
    errors: list[OrderItemError] = []
    if position is None:
        errors.append(IncompleteOrderItemError("position must be a whole number."))
    elif uses > 1:
        errors.append(IncompleteOrderItemError(f"position {position} is used more than once."))
    for term, iri in (("orderedItem", opportunity_id), ("acceptedOffer", offer_id)):
        if iri is None:
            errors.append(IncompleteOrderItemError(f"{term} is missing."))
    if isinstance(offer, dict) and offer.get("@type") == "OfferOverride":
        # Prices are the Seller's; a Broker cannot set them here (OVR is optional).
        errors = [UnacceptableOfferError("OfferOverride is not supported.")]
    if not errors:
        for term, iri in (("orderedItem", opportunity_id), ("acceptedOffer", offer_id)):
            if iri is not None and not is_identifier(iri):
                errors.append(InvalidOpportunityOrOfferIdError(f"{term} is not a valid identifier."))
    attendee, answers = document.get("attendee"), document.get("orderItemIntakeFormResponse")
    return RequestedItem(
        position=position,
        opportunity_id=opportunity_id,
        offer_id=offer_id,
        # A Seller may require any property of an attendee, so all are read (DETAILS-03).
        attendee=without_extensions(attendee) if isinstance(attendee, dict) else None,
        intake_answers=tuple(_read_answer(answer, base_url) for answer in answers if isinstance(answer, dict))
        if isinstance(answers, list)
        else (),
        access_passes=_barcodes(passes) if isinstance(passes := document.get("accessPass"), list) else (),
        errors=tuple(errors),
    )


def _inward_reference(value: Any, base_url: str) -> str | None:
    iri = reference(value)
    return inward(iri, base_url) if iri else None


# What a scanner needs to know of a Barcode besides its text: in the beta namespace, which our own passes use,
# and as CR3 names it (ACCESS-04).
_CODE_TYPES = ("beta:codeType", "ext:codeType")


def _barcodes(passes: list[Any]) -> tuple[Json, ...]:
    """The passes that the Broker supplies (ACCESS-05)."""
    return tuple(
        only(each, ("@type", "text", "url", *_CODE_TYPES))
        for each in passes
        if isinstance(each, dict) and each.get("@type") == "Barcode" and isinstance(each.get("text"), str)
    )


def _note(body: Json) -> str | None:
    note = body.get("orderCustomerNote")
    if not isinstance(note, str):
        return None
    check_text("orderCustomerNote", note)
    return note


def _payment(body: Json) -> Json | None:
    payment = body.get("payment")
    if not isinstance(payment, dict):
        return None
    payment = only(payment, _PAYMENT_TERMS)
    check_bytes("payment", size(payment), MAX_PAYMENT_BYTES)
    return payment


def _read_answer(document: Json, base_url: str) -> Json:
    """An answer to an intake form; the id of its field may be one of ours."""
    answer: Json = without_extensions(document)
    field_id = answer.get("propertyID")
    return answer | {"propertyID": inward(field_id, base_url)} if isinstance(field_id, str) else answer


def _position(document: Json) -> int | None:
    """A whole number, also where JSON writes it as 0.0 (JSON knows one kind of number)."""
    value = document.get("position")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_POSITION:
        return None
    return int(value) if value == int(value) else None


def _broker_role(value: Any) -> BrokerRole | None:
    return next((role for role in BrokerRole if value == CONTEXT + role.value), None)


def _party(value: Any) -> Any:
    """A party as sent, with the properties that the specification defines (GEN-10)."""
    return only(value, _PARTY_TERMS) if isinstance(value, dict) else value


def _total(specification: Any) -> Decimal | None:
    amount = read_amount(specification.get("price")) if isinstance(specification, dict) else None
    return amount if amount is not None and abs(amount) < MAX_TOTAL else None


def _currency(specification: Any) -> str | None:
    """What `priceCurrency` says, also where it is no text and so no currency that an Offer has."""
    currency = specification.get("priceCurrency") if isinstance(specification, dict) else None
    return None if currency is None else str(currency)
