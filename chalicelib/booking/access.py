"""How a Customer gets access: codes and passes for a place, a channel for an online session (ACCESS).

Codes and passes are created here. A channel never is: only the Seller knows where an online session is held.
"""

from chalicelib.booking.decisions import Moment
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.parties import AccessMethod, Json
from chalicelib.values import replace

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without letters and digits that look alike

# The notice for the Customer until the Seller has given a channel (ACCESS-06).
CHANNEL_FOLLOWS = "The seller will send the details for joining online before the activity starts."


def with_access(
    item: OrderItem,
    methods: tuple[AccessMethod, ...],
    moment: Moment,
    *,
    codes: bool = True,
    passes: bool = True,
) -> OrderItem:
    """The item with new codes and passes, where they apply to it and are requested.

    Each is unique to the item. Barcodes that the Broker supplied are kept (ACCESS-05).
    """
    if (not methods and not item.broker_passes) or not _opportunity_of(item).is_physical:
        return item
    if codes and AccessMethod.code in methods:
        item = with_code(item, _secret(moment, 6))
    if passes:
        own = tuple(_pass(method, moment) for method in methods if method is not AccessMethod.code)
        item = replace(item, access_passes=(*item.broker_passes, *own))
    return item


def gets_access(
    order: Order, opportunity_id: str, *, codes: bool = False, passes: bool = False, code: str | None = None
) -> bool:
    """Whether these would be new for an item of the Order on an Opportunity: random codes or passes, or this code."""
    methods = set(order.access_methods)
    is_made = (codes and AccessMethod.code in methods) or (passes and bool(methods - {AccessMethod.code}))
    return any(
        item.holds_a_space and item.opportunity is not None and item.opportunity.is_physical
        for item in order.items
        if item.opportunity_id == opportunity_id and (is_made or code is not None)
    )


def with_code(item: OrderItem, code: str) -> OrderItem:
    """The item with this code, if it takes place somewhere that one can enter."""
    if not _opportunity_of(item).is_physical:
        return item
    shown: Json = {"@type": "PropertyValue", "name": "Access code", "description": code}
    return replace(item, access_codes=(shown,))


def with_channel(item: OrderItem, channel: Json | None) -> OrderItem:
    """The item with the Seller's channel, or with a notice that the channel follows (ACCESS-06).

    An item that is not online has no channel. Another notice of the Seller stays.
    """
    if not _opportunity_of(item).is_online:
        return replace(item, access_channel=None) if item.access_channel else item
    if not channel:
        return replace(item, access_channel=None, customer_notice=item.customer_notice or CHANNEL_FOLLOWS)
    notice = None if item.customer_notice == CHANNEL_FOLLOWS else item.customer_notice
    return replace(item, access_channel={**channel, "@type": "VirtualLocation"}, customer_notice=notice)


def with_all_access(item: OrderItem, methods: tuple[AccessMethod, ...], moment: Moment) -> OrderItem:
    """The item as booked: with codes, passes, and the channel of its Opportunity."""
    return with_channel(with_access(item, methods, moment), _opportunity_of(item).access_channel)


def with_access_after_replacement(
    item: OrderItem, before: Opportunity, methods: tuple[AccessMethod, ...], moment: Moment
) -> OrderItem:
    """The item with access to its new Opportunity.

    Codes and passes stay valid. They are created if only the new Opportunity has a place, and removed if only
    the Opportunity `before` had one.
    """
    opportunity = _opportunity_of(item)
    if not opportunity.is_physical:
        item = replace(item, access_codes=(), access_passes=())
    elif not before.is_physical:
        item = with_access(item, methods, moment)
    return with_channel(item, opportunity.access_channel)


def _opportunity_of(item: OrderItem) -> Opportunity:
    assert item.opportunity is not None
    return item.opportunity


def _pass(method: AccessMethod, moment: Moment) -> Json:
    text = _secret(moment, 12)
    url = f"{moment.policy.pass_url}/{text}.svg"
    if method is AccessMethod.image:
        return {"@type": "ImageObject", "url": url}
    return {"@type": "Barcode", "text": text, "url": url, "beta:codeType": "qrcode"}


def _secret(moment: Moment, length: int) -> str:
    """Letters and digits that cannot be guessed, from a new id."""
    number = int(moment.new_id().replace("-", ""), 16)
    return "".join(_LETTERS[(number >> (5 * place)) % 32] for place in range(length))
