"""OAuth 2 and OpenID Connect for partners: one module for each of Authlib's extension points.

Only the endpoints under /auth load this package; booking does not need it.
"""
