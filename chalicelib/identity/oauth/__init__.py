"""OAuth 2 and OpenID Connect as partners speak them, one module for each of Authlib's extension points.

Loaded only by the endpoints below /auth: booking needs none of it.
"""
