"""Orders as JSON-LD: the answers of each stage, and the items of the Orders feed (requirements 3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib.domain.errors import OrderItemError
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.limits import MAX_POSITION, is_carried
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKind
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.domain.pricing import TaxCharge, Totals, UnitPrice
from chalicelib.domain.shared_text import SHARED_FROM, again, first, whole
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.values import replace
from chalicelib.wire.errors import item_error
from chalicelib.wire.jsonld import (
    BETA_CONTEXT,
    CONTEXT,
    as_text,
    number,
    term_iri,
    without_empty,
    without_prepayment,
    write,
)
from chalicelib.wire.links import order_id, order_item_id, proposal_version_id
from chalicelib.wire.opportunities import accepted_offer, ordered_item, ordered_item_in_feed

# What stands for the id and the position of any item: neither an id nor a position can be this.
_ANY_ID = "any-id"
_ANY_POSITION = MAX_POSITION + 1
_ANY_POSITION_WRITTEN = str(_ANY_POSITION)

# The answer of so few items is never so long that its values are written once.
_FEW_ITEMS = 8


def order_document(
    order: Order,
    booking_service: Json,
    errors: Mapping[int, tuple[OrderItemError, ...]] | None = None,
    *,
    with_positions: bool = True,
    with_prepayment: bool = True,
) -> Json:
    """The answer to C1, C2, P, B, or with `with_positions` off to Order Status (STATUS-03).

    `errors` are those of the items by their index. An Order with errors was not created, so its items
    have neither id nor status. Without `with_prepayment` the answer contains no `openBookingPrepayment`
    (PAY-02).
    """
    shown = _Shown(with_prepayment=with_prepayment)
    return _document(order, booking_service, errors or {}, shown, with_positions=with_positions)


def _document(
    order: Order,
    booking_service: Json,
    errors: Mapping[int, tuple[OrderItemError, ...]],
    shown: "_Shown",
    *,
    with_positions: bool,
) -> Json:
    is_made = order.kind is not OrderKind.OrderQuote and not errors
    before: Json = {
        "@context": _context(order),
        "@type": order.kind.value,
        "@id": order_id(order.kind, order.key.uuid),
        "brokerRole": term_iri(order.broker_role),
        "broker": order.broker if order.broker_role is not BrokerRole.NoBroker else None,
        "seller": order.seller,
        "customer": order.customer,
        "bookingService": booking_service,
    }
    items = _items(order, errors, shown, is_made=is_made, with_position=with_positions)
    after: Json = {
        "totalPaymentDue": _total(order.totals),
        "totalPaymentTax": [_tax(charge) for charge in order.totals.taxes],
        "taxCalculationExcluded": order.totals.tax_excluded,
        "payment": _payment(order),
    }
    if order.kind is OrderKind.OrderQuote:
        after["orderRequiresApproval"] = order.requires_approval
        if order.lease_expires_at is not None:
            after["lease"] = {"@type": "Lease", "leaseExpires": instant(order.lease_expires_at)}
    if is_made:
        after |= _proposal(order)
    return {**shown.pruned(before), "orderedItem": items, **shown.pruned(after)}


def order_text(
    order: Order,
    booking_service: Json,
    errors: Mapping[int, tuple[OrderItemError, ...]] | None = None,
    *,
    with_positions: bool = True,
    with_prepayment: bool = True,
) -> str:
    """The same as text, with as much detail of its Opportunities as an answer can carry.

    A long text of many items has each Opportunity and Offer once (`domain.shared_text`).
    """
    text = ""
    for detail in Detail:
        shown = _Shown(with_prepayment=with_prepayment, once=len(order.items) > _FEW_ITEMS)
        text = write(
            _document(
                trimmed(order, detail), booking_service, errors or {}, shown, with_positions=with_positions
            )
        )
        as_sent = whole(text)
        if is_carried(as_sent):
            return text if len(as_sent) > SHARED_FROM else as_sent
    return text


def feed_document(order: Order) -> Json:
    """The `data` of an Order or OrderProposal in its partner's feed (OFEED-07 to OFEED-10)."""
    is_order = order.kind is OrderKind.Order
    shown = _Shown(with_prepayment=True)
    before: Json = {
        "@context": _context(order),
        "@type": order.kind.value,
        "@id": order_id(order.kind, order.key.uuid),
        "identifier": order.key.uuid,
        **_proposal(order, in_feed=True),
    }
    after: Json = {
        "totalPaymentDue": _total(order.totals),
        "totalPaymentTax": [_tax(charge) for charge in order.totals.taxes],
        "taxCalculationExcluded": order.totals.tax_excluded or None,
    }
    items = [_feed_item(order, item, shown, is_order=is_order) for item in order.items]
    return {**shown.pruned(before), "orderedItem": items, **shown.pruned(after)}


def booking_service(
    name: str, url: str = "", terms_url: str = "", *, terms_date: str = "", needs_consent: bool = False
) -> Json:
    """The `bookingService` of every answer, without empty properties (MODEL-03, TERMS-02).

    `terms_date` is the ISO 8601 date on which the terms last changed.
    """
    service: Json = {"@type": "BookingService", "name": name}
    if url:
        service["url"] = url
    if terms_url:
        terms: Json = {
            "@type": "TermsOfUse",
            "name": "Terms of use",
            "url": terms_url,
            "requiresExplicitConsent": needs_consent,
        }
        if terms_date:
            terms["dateModified"] = f"{terms_date}T00:00:00Z"  # the models want an instant
        service["termsOfService"] = [terms]
    return service


def instant(value: datetime) -> str:
    """An instant in the format of W3C-NOTE-datetime, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Shown:
    """What an answer or a feed item shows of Opportunities and Offers. The items that share one have the same document.

    They are recognised as the same values, so this lives no longer than the Order that it shows. With `once` each
    document is text already: written out where it comes first.
    """

    def __init__(self, *, with_prepayment: bool, once: bool = False) -> None:
        self._with_prepayment = with_prepayment
        self.once = once
        self._written = 0
        self._known: dict[tuple[int, Any], Any] = {}

    def pruned(self, document: Json) -> Json:
        """The document without empty properties, and without all that an answer must not contain."""
        pruned: Json = without_empty(document if self._with_prepayment else without_prepayment(document))
        return pruned

    def opportunity(self, opportunity: Opportunity, spaces_remaining: int | None) -> Any:
        key = id(opportunity), spaces_remaining
        return self._known.get(key) or self._new(
            key, self.pruned(ordered_item(opportunity, spaces_remaining))
        )

    def opportunity_in_feed(self, opportunity: Opportunity, seller: Json) -> Any:
        key = id(opportunity), Opportunity
        return self._known.get(key) or self._new(key, self.pruned(ordered_item_in_feed(opportunity, seller)))

    def offer(self, offer: Offer, price: UnitPrice | None) -> Any:
        key = id(offer), price and price.amount
        return self._known.get(key) or self._new(
            key, self.pruned(accepted_offer(offer, price.amount if price else None))
        )

    def taxes(self, price: UnitPrice) -> Any:
        key = id(price), UnitPrice
        return self._known.get(key) or self._new(key, without_empty([_tax(charge) for charge in price.taxes]))

    def status(self, status: OrderItemStatus) -> Any:
        key = 0, status
        return self._known.get(key) or self._new(key, term_iri(status))

    def _new(self, key: tuple[int, Any], document: Any) -> Any:
        if not self.once or not document:
            self._known[key] = document
            return document
        self._known[key] = as_text(again(self._written))
        self._written += 1
        return as_text(first(write(document)))


def _items(
    order: Order,
    errors: Mapping[int, tuple[OrderItemError, ...]],
    shown: _Shown,
    *,
    is_made: bool,
    with_position: bool,
) -> list[Any]:
    texts: dict[tuple[Any, ...], str | None] = {}
    items: list[Any] = []
    for n, item in enumerate(order.items):
        own = _own(item, errors.get(n, ()), shown, is_made=is_made)
        key = _what_is_shared(item) if shown.once else None
        if key is None or key not in texts:
            if key is not None:
                texts[key] = None  # the next one that is alike has the values that this one writes out
            shared = _without_own(order, item, shown, is_made=is_made, with_position=with_position)
            items.append(shared | own)
            continue
        text = texts[key]
        if text is None:
            pattern = replace(item, id=_ANY_ID, position=_ANY_POSITION)
            text = write(_without_own(order, pattern, shown, is_made=is_made, with_position=with_position))
            texts[key] = text
        text = text.replace(_ANY_POSITION_WRITTEN, str(item.position))
        if item.id:
            text = text.replace(_ANY_ID, item.id)
        items.append(as_text(f"{text[:-1]},{write(own)[1:]}" if own else text))
    return items


def _what_is_shared(item: OrderItem) -> tuple[Any, ...] | None:
    """Equal for items that differ in nothing but id, position, and what is their own; None for one unlike any other."""
    if item.opportunity is None or item.offer is None or item.position is None:
        return None
    return id(item.opportunity), id(item.offer), id(item.price), item.status, item.spaces_remaining


def _without_own(order: Order, item: OrderItem, shown: _Shown, *, is_made: bool, with_position: bool) -> Json:
    opportunity, offer, price = item.opportunity, item.offer, item.price
    document: Json = {"@type": "OrderItem"}
    if is_made and item.id:
        document["@id"] = order_item_id(order.key.uuid, item.id)
        if order.kind is OrderKind.Order and item.status:  # T8: items of a proposal do not show it
            document["orderItemStatus"] = shown.status(item.status)
    if with_position and item.position is not None:
        document["position"] = item.position
    # A reference that could not be resolved is returned as it was received.
    ordered = shown.opportunity(opportunity, item.spaces_remaining) if opportunity else item.opportunity_id
    if ordered:
        document["orderedItem"] = ordered
    if accepted := shown.offer(offer, price) if offer else item.offer_id:
        document["acceptedOffer"] = accepted
    if taxes := shown.taxes(price) if price else None:
        document["unitTaxSpecification"] = taxes
    return document


def _own(item: OrderItem, errors: tuple[OrderItemError, ...], shown: _Shown, *, is_made: bool) -> Json:
    """What follows in the document of an item: the details of who comes, what gets them in, what is wrong."""
    own = _details(item)
    if is_made:
        own |= _changeable(item)
    if errors:
        own["error"] = [item_error(error) for error in errors]
    return shown.pruned(own) if own else own


def _feed_item(order: Order, item: OrderItem, shown: _Shown, *, is_order: bool) -> Json:
    assert item.id is not None and item.opportunity is not None and item.offer is not None
    document: Json = {
        "@type": "OrderItem",
        "@id": order_item_id(order.key.uuid, item.id),
        "orderedItem": shown.opportunity_in_feed(item.opportunity, order.seller),
        "acceptedOffer": shown.offer(item.offer, item.price),
    }
    if taxes := shown.taxes(item.price) if item.price else None:
        document["unitTaxSpecification"] = taxes
    if is_order:
        if item.status:
            document["orderItemStatus"] = shown.status(item.status)
        document |= shown.pruned(_changeable(item))
    return document


def _details(item: OrderItem) -> Json:
    """The details that the Seller requires of an attendee, and the answers (DETAILS).

    Not in feeds, although the specification has them in those of proposals (OFEED-09): the official suite
    validates these feeds in the mode for Orders, in which they are a failure.
    """
    details: Json = {}
    if (opportunity := item.opportunity) is not None:
        if opportunity.attendee_details_required:
            details["attendeeDetailsRequired"] = list(opportunity.attendee_details_required)
        if opportunity.intake_form:
            details["orderItemIntakeForm"] = list(opportunity.intake_form)
    if item.attendee:
        details["attendee"] = item.attendee
    if item.intake_answers:
        details["orderItemIntakeFormResponse"] = list(item.intake_answers)
    return details


def _proposal(order: Order, *, in_feed: bool = False) -> Json:
    """The properties of a proposal in addition to its Order; feeds show other notes than answers (3.1, PUPD-05)."""
    proposal = order.proposal
    if proposal is None or order.kind is not OrderKind.OrderProposal:
        return {}
    notes = (
        {"orderSellerNote": proposal.seller_note}
        if in_feed
        else {"orderCustomerNote": proposal.customer_note}
    )
    return {
        "orderProposalStatus": term_iri(proposal.status),
        "orderProposalVersion": proposal_version_id(order.key.uuid, proposal.version),
        **notes,
    }


def _changeable(item: OrderItem) -> Json:
    """What may change after B, and then reaches the Broker through the feed (NOTIF)."""
    changeable: Json = {}
    if item.access_codes:
        changeable["accessCode"] = list(item.access_codes)
    if item.access_passes:
        changeable["accessPass"] = list(item.access_passes)
    if item.access_channel:
        changeable["accessChannel"] = item.access_channel
    if item.customer_notice:
        changeable["customerNotice"] = item.customer_notice
    if item.cancellation_message:
        changeable["cancellationMessage"] = item.cancellation_message
    return changeable


def _total(totals: Totals) -> Json:
    return {
        "@type": "PriceSpecification",
        "price": number(totals.due),
        "priceCurrency": totals.currency,
        "openBookingPrepayment": term_iri(totals.prepayment) if totals.prepayment else None,
    }


def _tax(charge: TaxCharge) -> Json:
    return {
        "@type": "TaxChargeSpecification",
        "name": charge.name,
        "identifier": charge.identifier,
        "price": number(charge.amount),
        "priceCurrency": charge.currency,
        "rate": _rate(charge.rate),
    }


def _rate(rate: Decimal | None) -> float | None:
    return None if rate is None else float(rate)


def _payment(order: Order) -> Json | None:
    """The payment as sent; a quote shows it without `identifier`, and not at all if it has nothing else (T15)."""
    if order.payment is None or order.kind is not OrderKind.OrderQuote:
        return order.payment
    shown = {term: value for term, value in order.payment.items() if term != "identifier"}
    return shown if shown.keys() - {"@type"} else None


def _context(order: Order) -> Any:
    passes = [access_pass for item in order.items for access_pass in item.access_passes]
    if any(term.startswith("beta:") for access_pass in passes for term in access_pass):
        return [CONTEXT, BETA_CONTEXT]
    return CONTEXT
