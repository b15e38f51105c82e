"""What an action has changed about a session or an Order, for its journal and its result: `old → new` by name.

It names no person and repeats nothing that a person wrote: of notices, messages and notes, and of codes, passes and
channels, only that they were given or replaced.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.services.desk.rows import money, name_of, place_of, status_of
from chalicelib.services.seller_ids import SellerIds

Differences = dict[str, str]


def of_session(before: Opportunity, after: Opportunity) -> Differences:
    """What is different about a session or slot."""
    return {
        **_values(
            {
                "name": (name_of(before), name_of(after)),
                "start": (_instant(before.starts_at), _instant(after.starts_at)),
                "end": (_instant(before.ends_at), _instant(after.ends_at)),
                "place": (place_of(before), place_of(after)),
            }
        ),
        **_secrets({"channel": (before.access_channel, after.access_channel)}),
    }


def of_order(before: Order, after: Order, ids: SellerIds) -> Differences:
    """What is different about an Order or OrderProposal."""
    pairs = _pairs(before, after)
    was, now = before.proposal, after.proposal
    answered = {
        "proposal": (was.status.value if was else "", now.status.value if now else ""),
    }
    return {
        **_values(
            {
                **(answered if was and now else {}),
                "status": (status_of(before.items), status_of(after.items)),
                "session": (_sessions(before, ids), _sessions(after, ids)),
                "offer": (_offers(before, _name), _offers(after, _name)),
                "due": (money(before), money(after)),
                "prepayment": (_offers(before, _prepayment), _offers(after, _prepayment)),
                "refund": (_offers(before, _refund), _offers(after, _refund)),
            }
        ),
        **_counted("code", pairs, lambda item: item.access_codes),
        **_counted("pass", pairs, lambda item: item.access_passes),
        **_counted("channel", pairs, lambda item: item.access_channel),
        **_secrets(
            {
                "note": (was and was.seller_note, now and now.seller_note),
                "notice": (_texts(before, _notice), _texts(after, _notice)),
                "message": (_texts(before, _message), _texts(after, _message)),
            }
        ),
    }


def counted_bookings(number: int) -> str:
    """Of how many bookings something is different."""
    return f"{number} booking" if number == 1 else f"{number} bookings"


def _values(pairs: Mapping[str, tuple[str, str]]) -> Differences:
    return {name: f"{was or 'none'} → {now or 'none'}" for name, (was, now) in pairs.items() if was != now}


def _secrets(pairs: Mapping[str, tuple[object, object]]) -> Differences:
    """The same for what is not repeated."""
    changed = {name: (was, now) for name, (was, now) in pairs.items() if was != now}
    return {
        name: "given" if not was else "replaced" if now else "removed" for name, (was, now) in changed.items()
    }


def _counted(
    name: str, pairs: Iterable[tuple[OrderItem, OrderItem]], of: Callable[[OrderItem], object]
) -> Differences:
    """How many items got it, and how many another."""
    changed = [(of(was), of(now)) for was, now in pairs if of(was) != of(now)]
    counts = {
        "added": sum(not was for was, _ in changed),
        "replaced": sum(bool(was and now) for was, now in changed),
        "removed": sum(not now for _, now in changed),
    }
    counted = ", ".join(f"{count} {verb}" for verb, count in counts.items() if count)
    return {name: counted} if counted else {}


def _pairs(before: Order, after: Order) -> list[tuple[OrderItem, OrderItem]]:
    known = {item.id: item for item in before.items}
    return [(known[item.id], item) for item in after.items if item.id in known]


def _sessions(order: Order, ids: SellerIds) -> str:
    held = (item.opportunity_id for item in order.items if item.opportunity_id)
    return ", ".join(ids.short(each, order.seller_id) for each in dict.fromkeys(held))


def _offers(order: Order, of: Callable[[Offer], str]) -> str:
    """What differs between the Offers of an Order; that of each in turn."""
    return ", ".join(dict.fromkeys(of(item.offer) for item in order.items if item.offer))


def _name(offer: Offer) -> str:
    return str(offer.document.get("name") or "")


def _prepayment(offer: Offer) -> str:
    return offer.effective_prepayment().value.lower()


def _refund(offer: Offer) -> str:
    if not offer.allows_cancellation:
        return "no refund"
    before = offer.cancellable_until_before
    if not before:
        return "until the start"
    hours, minutes = divmod(int(before.total_seconds()) // 60, 60)
    parts = [f"{number} {unit}" for number, unit in ((hours, "hours"), (minutes, "minutes")) if number]
    return f"until {' '.join(parts)} before the start"


def _texts(order: Order, of: Callable[[OrderItem], str | None]) -> tuple[str | None, ...]:
    texts = tuple(of(item) for item in order.items)
    return texts if any(texts) else ()


def _notice(item: OrderItem) -> str | None:
    return item.customer_notice


def _message(item: OrderItem) -> str | None:
    return item.cancellation_message


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
