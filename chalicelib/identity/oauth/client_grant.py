"""The client credentials grant: what a partner may do without a login (RFC 6749, section 4.4)."""

from authlib.oauth2.rfc6749 import InvalidScopeError, grants

from chalicelib.identity.consent import Consent
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.oauth.metadata import CLIENT_AUTHENTICATION
from chalicelib.identity.scopes import BOOKING, ORDERS_FEED


class ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION


def allowed_without_login(
    client: Client, scope: str | None, consent: Consent
) -> tuple[str | None, tuple[str, ...]]:
    """The Seller and the scopes: a partner may read its feeds, and act for the Seller it is assigned to, if any.

    Raises InvalidScopeError if none of the requested scopes is allowed.
    """
    partner = client.partner
    seller_id = partner.seller_id
    if seller_id is not None:
        current = consent.authorisation(partner.id, seller_id)
        seller_id = seller_id if current is not None and BOOKING in current.scopes else None
    allowed = (client.get_allowed_scope(scope) or "").split()
    possible = {ORDERS_FEED, BOOKING} if seller_id is not None else {ORDERS_FEED}
    scopes = tuple(each for each in allowed if each in possible)
    if not scopes:
        raise InvalidScopeError("Without a login only openactive-ordersfeed is available.")
    return (seller_id if BOOKING in scopes else None), scopes
