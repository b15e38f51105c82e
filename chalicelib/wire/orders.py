"""Orders as JSON-LD: the answers of each stage, and the items of the Orders feed (requirements 3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib.domain.errors import OrderItemError
from chalicelib.domain.limits import MAX_ANSWER_BYTES, carried_bytes
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKind
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.domain.pricing import TaxCharge, Totals, UnitPrice
from chalicelib.domain.trimming import Detail, trimmed
from chalicelib.wire.errors import item_error
from chalicelib.wire.jsonld import (
    BETA_CONTEXT,
    CONTEXT,
    number,
    term_iri,
    without_empty,
    without_prepayment,
    write,
)
from chalicelib.wire.links import order_id, order_item_id, proposal_version_id
from chalicelib.wire.opportunities import accepted_offer, ordered_item, ordered_item_in_feed


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
    is_made = order.kind is not OrderKind.OrderQuote and not errors
    shown = _Shown(with_prepayment=with_prepayment)
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
    items = [
        _item(order, item, (errors or {}).get(n, ()), shown, is_made=is_made, with_position=with_positions)
        for n, item in enumerate(order.items)
    ]
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
    """The same as text, with as much detail of its Opportunities as an answer can carry."""
    text = ""
    for detail in Detail:
        shown = trimmed(order, detail)
        document = order_document(
            shown,
            booking_service,
            errors,
            with_positions=with_positions,
            with_prepayment=with_prepayment,
        )
        text = write(document)
        if carried_bytes(text) <= MAX_ANSWER_BYTES:
            break
    return text


def feed_document(order: Order) -> Json:
    """The `data` of an Order or OrderProposal in its partner's feed (OFEED-07 to OFEED-10)."""
    is_order = order.kind is OrderKind.Order
    document: Json = {
        "@context": _context(order),
        "@type": order.kind.value,
        "@id": order_id(order.kind, order.key.uuid),
        "identifier": order.key.uuid,
        **_proposal(order, in_feed=True),
        "orderedItem": [_feed_item(order, item, is_order=is_order) for item in order.items],
        "totalPaymentDue": _total(order.totals),
        "totalPaymentTax": [_tax(charge) for charge in order.totals.taxes],
        "taxCalculationExcluded": order.totals.tax_excluded or None,
    }
    pruned: Json = without_empty(document)
    return pruned


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
    """What an answer shows of Opportunities and Offers. The items that share one have the same document.

    They are recognised as the same values, so this lives no longer than the Order that it shows.
    """

    def __init__(self, *, with_prepayment: bool) -> None:
        self._with_prepayment = with_prepayment
        self._known: dict[tuple[int, Any], Json] = {}

    def pruned(self, document: Json) -> Json:
        """The document without empty properties, and without all that an answer must not contain."""
        pruned: Json = without_empty(document if self._with_prepayment else without_prepayment(document))
        return pruned

    def opportunity(self, opportunity: Opportunity, spaces_remaining: int | None) -> Json:
        key = id(opportunity), spaces_remaining
        if key not in self._known:
            self._known[key] = self.pruned(ordered_item(opportunity, spaces_remaining))
        return self._known[key]

    def offer(self, offer: Offer, price: UnitPrice | None) -> Json:
        key = id(offer), price and price.amount
        if key not in self._known:
            self._known[key] = self.pruned(accepted_offer(offer, price.amount if price else None))
        return self._known[key]

    def taxes(self, price: UnitPrice) -> list[Json]:
        key = id(price), UnitPrice
        if key not in self._known:
            self._known[key] = self.pruned({"unitTaxSpecification": [_tax(charge) for charge in price.taxes]})
        taxes: list[Json] = self._known[key].get("unitTaxSpecification", [])
        return taxes


def _item(
    order: Order,
    item: OrderItem,
    errors: tuple[OrderItemError, ...],
    shown: _Shown,
    *,
    is_made: bool,
    with_position: bool,
) -> Json:
    opportunity, offer, price = item.opportunity, item.offer, item.price
    document: Json = {"@type": "OrderItem"}
    if is_made and item.id:
        document["@id"] = order_item_id(order.key.uuid, item.id)
        if order.kind is OrderKind.Order and item.status:  # T8: items of a proposal do not show it
            document["orderItemStatus"] = term_iri(item.status)
    if with_position and item.position is not None:
        document["position"] = item.position
    # A reference that could not be resolved is returned as it was received.
    shared = {
        "orderedItem": shown.opportunity(opportunity, item.spaces_remaining)
        if opportunity
        else item.opportunity_id,
        "acceptedOffer": shown.offer(offer, price) if offer else item.offer_id,
        "unitTaxSpecification": shown.taxes(price) if price else None,
    }
    document |= {term: value for term, value in shared.items() if value}
    own = _details(item)
    if is_made:
        own |= _changeable(item)
    own["error"] = [item_error(error) for error in errors]
    return document | shown.pruned(own)


def _feed_item(order: Order, item: OrderItem, *, is_order: bool) -> Json:
    assert item.id is not None and item.opportunity is not None and item.offer is not None
    document: Json = {
        "@type": "OrderItem",
        "@id": order_item_id(order.key.uuid, item.id),
        "orderedItem": ordered_item_in_feed(item.opportunity, order.seller),
        "acceptedOffer": accepted_offer(item.offer, item.price.amount if item.price else None),
        "unitTaxSpecification": [_tax(charge) for charge in item.price.taxes] if item.price else None,
    }
    if is_order:
        document["orderItemStatus"] = term_iri(item.status) if item.status else None
        document |= _changeable(item)
    return document


def _details(item: OrderItem) -> Json:
    """The details that the Seller requires of an attendee, and the answers (DETAILS).

    Not in feeds, although the specification has them in those of proposals (OFEED-09): the official suite
    validates these feeds in the mode for Orders, in which they are a failure.
    """
    opportunity = item.opportunity
    asked: Json = {}
    if opportunity is not None:
        asked["attendeeDetailsRequired"] = list(opportunity.attendee_details_required)
        asked["orderItemIntakeForm"] = list(opportunity.intake_form)
    return {
        **asked,
        "attendee": item.attendee,
        "orderItemIntakeFormResponse": list(item.intake_answers),
    }


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
    return {
        "accessCode": list(item.access_codes),
        "accessPass": list(item.access_passes),
        "accessChannel": item.access_channel,
        "customerNotice": item.customer_notice,
        "cancellationMessage": item.cancellation_message,
    }


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
