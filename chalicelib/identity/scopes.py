"""The scopes that a booking partner can have, and the grant types for its tokens (AUTH-08)."""

OPENID = "openid"
BOOKING = "openactive-openbooking"
ORDERS_FEED = "openactive-ordersfeed"
IDENTITY = "openactive-identity"
OFFLINE = "offline_access"
SCOPES = (OPENID, BOOKING, ORDERS_FEED, IDENTITY, OFFLINE)

GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
