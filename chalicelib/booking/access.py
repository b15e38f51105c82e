"""How a Customer gets access: codes and passes for a place, a channel for an online session (ACCESS)."""

from dataclasses import replace

from chalicelib.booking.decisions import Moment
from chalicelib.domain.orders import OrderItem
from chalicelib.domain.parties import AccessMethod, Json

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without letters and digits that look alike


def with_access(
    item: OrderItem,
    methods: tuple[AccessMethod, ...],
    moment: Moment,
    *,
    codes: bool = True,
    passes: bool = True,
    channel: bool = True,
) -> OrderItem:
    """The item with new codes, passes and channel, where they apply to it and are requested.

    Each is unique to the item. Barcodes that the Broker supplied are kept (ACCESS-05).
    """
    opportunity = item.opportunity
    assert opportunity is not None
    if channel and opportunity.is_online:
        item = replace(item, access_channel=_channel(item, moment))
    if not opportunity.is_physical:
        return item
    if codes and AccessMethod.code in methods:
        code: Json = {"@type": "PropertyValue", "name": "Access code", "description": _secret(moment, 6)}
        item = replace(item, access_codes=(code,))
    if passes:
        own = tuple(_pass(method, moment) for method in methods if method is not AccessMethod.code)
        item = replace(item, access_passes=(*item.broker_passes, *own))
    return item


def _pass(method: AccessMethod, moment: Moment) -> Json:
    text = _secret(moment, 12)
    url = f"{moment.policy.pass_url}/{text}.svg"
    if method is AccessMethod.image:
        return {"@type": "ImageObject", "url": url}
    return {"@type": "Barcode", "text": text, "url": url, "beta:codeType": "qrcode"}


def _channel(item: OrderItem, moment: Moment) -> Json:
    assert item.opportunity is not None
    published: Json = item.opportunity.access_channel or {
        "name": "Online session",
        "description": "The seller will tell you how to join before the start.",
    }
    return {
        "@type": "VirtualLocation",
        **published,
        "accessId": _secret(moment, 9),
        "accessCode": _secret(moment, 6),
    }


def _secret(moment: Moment, length: int) -> str:
    """Letters and digits that cannot be guessed, from a new id."""
    number = int(moment.new_id().replace("-", ""), 16)
    return "".join(_LETTERS[(number >> (5 * place)) % 32] for place in range(length))
