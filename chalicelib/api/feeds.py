"""The open feeds, and each booking partner's Orders feed."""

from collections.abc import Callable

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, register
from chalicelib.domain import identifiers
from chalicelib.domain.errors import UnknownOrIncorrectEndpointError
from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.feeds.pages import FeedPage, read_page
from chalicelib.identity.scopes import ORDERS_FEED
from chalicelib.wire.jsonld import BOOKING_MEDIA_TYPE
from chalicelib.wire.rpde import OPEN_FEED_MEDIA_TYPE, read_after, read_limit

blueprint = Blueprint(__name__)


def open_feed(call: Call) -> Reply:
    """One of the open feeds; no authentication is needed (AUTH-01)."""
    name = call.params["name"]
    if name not in OPEN_FEEDS:
        raise UnknownOrIncorrectEndpointError("There is no such feed.")
    base = call.system.settings.open_feeds_url or identifiers.BASE
    page = _page(call, name, f"{base}/feeds/{name}", is_open=True)
    return _page_reply(page, OPEN_FEED_MEDIA_TYPE)


def orders_rpde(call: Call) -> Reply:
    """The caller's own Orders feed, for all Sellers (OFEED-01)."""
    return _own_feed(call, orders_feed, "orders-rpde")


def order_proposals_rpde(call: Call) -> Reply:
    """The caller's own OrderProposals feed (T3)."""
    return _own_feed(call, proposals_feed, "order-proposals-rpde")


def _own_feed(call: Call, feed_of: Callable[[str], str], path: str) -> Reply:
    caller = call.caller()
    caller.needs(ORDERS_FEED)
    page = _page(call, feed_of(caller.partner_id), f"{identifiers.API}/{path}", is_open=False)
    return _page_reply(page, BOOKING_MEDIA_TYPE)


def _page_reply(page: FeedPage, media_type: str) -> Reply:
    headers = {"Cache-Control": page.cache_control}
    if page.continues_at is not None:
        return Reply(307, None, headers | {"Location": page.continues_at})
    return Reply(200, page.text, headers, media_type)


def _page(call: Call, feed_id: str, feed_url: str, *, is_open: bool) -> FeedPage:
    """The page that the query asks for. Raises InvalidParameterError."""
    after, limit, system = read_after(call.query), read_limit(call.query), call.system
    return read_page(
        system.feeds,
        feed_id,
        feed_url,
        after,
        system.clock(),
        is_open=is_open,
        asked_limit=limit,
        with_prepayment=system.settings.prepayment,
    )


for _resource in (
    Resource("/feeds/{name}", {"GET": open_feed}, any_origin=True),
    Resource("/api/openbooking/orders-rpde", {"GET": orders_rpde}),
    Resource("/api/openbooking/order-proposals-rpde", {"GET": order_proposals_rpde}),
):
    register(blueprint, _resource)
