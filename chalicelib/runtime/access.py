"""The part of an installation that knows who calls: credentials, rates, and our own OpenID provider. Wiring only."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.runtime.installation import Installation

if TYPE_CHECKING:
    from chalicelib.identity.callers import Ways
    from chalicelib.identity.credentials import Credentials
    from chalicelib.identity.grants import Grants
    from chalicelib.identity.issuing import TokenIssuer
    from chalicelib.identity.keys import KeyRing
    from chalicelib.identity.limits import RateLimiter
    from chalicelib.identity.logins import Logins
    from chalicelib.identity.passwords import Passwords


class Access(Installation):
    """How booking partners and people are recognised."""

    @cached_property
    def callers(self) -> "Ways":
        """How callers authenticate."""
        from chalicelib.identity.callers import (
            ApiKeys,
            Authenticator,
            BearerTokens,
            DevelopmentHeaders,
            TokenReader,
            Ways,
        )

        settings = self.settings
        ways: list[Authenticator] = []
        readers: list[TokenReader] = []
        if "openid" in settings.ways:
            from chalicelib.identity.issuers import OwnTokens

            readers.append(OwnTokens(self.keys, self.now))
        if "issuer" in settings.ways:
            from functools import partial

            from chalicelib.identity.fetching import fetch
            from chalicelib.identity.issuers import ExternalTokens

            readers.append(
                ExternalTokens(
                    settings.issuer,
                    settings.issuer_audience,
                    self.now,
                    fetch=partial(fetch, http_on_this_machine=not settings.production),
                    audience_claim=settings.issuer_audience_claim,
                    client_claim=settings.issuer_client_claim,
                    seller_claim=settings.issuer_seller_claim,
                    scope_claim=settings.issuer_scope_claim,
                )
            )
        if readers:
            ways.append(BearerTokens(readers))
        if "api-keys" in settings.ways:
            ways.append(ApiKeys(self.register, self.now))
        if "headers" in settings.ways:
            ways.append(DevelopmentHeaders())
        return Ways(ways)

    @cached_property
    def rates(self) -> "RateLimiter":
        """How many requests each booking partner may make."""
        from chalicelib.identity.limits import RateLimiter

        settings = self.settings
        return RateLimiter(self.identities, self.now, settings.rate_limit, settings.rate_exceptions)

    # --- our own OpenID provider, which the commands manage even if its tokens are not accepted ---

    @cached_property
    def keys(self) -> "KeyRing":
        """The signing keys of our tokens."""
        from chalicelib.identity.keys import KeyRing
        from chalicelib.storage.vault import KmsVault, OpenVault

        settings = self.settings
        sealed = bool(settings.signing_kms_key)
        return KeyRing(
            self.register,
            KmsVault(settings.signing_kms_key, settings.aws_region, self.telemetry.key_failed)
            if sealed
            else OpenVault(),
            self.now,
            self.new_id,
            timedelta(seconds=settings.access_token_seconds),
            self.retry,
        )

    @cached_property
    def issuer(self) -> "TokenIssuer":
        """Access tokens and ID tokens."""
        from chalicelib.identity.issuing import TokenIssuer

        live = timedelta(seconds=self.settings.access_token_seconds)
        return TokenIssuer(self.keys, live, self.now, self.new_id, self.store.seller)

    @cached_property
    def grants(self) -> "Grants":
        """Codes and refresh tokens."""
        from chalicelib.identity.grants import Grants

        live = timedelta(days=self.settings.refresh_token_days)
        return Grants(self.register, self.consent, live, self.now, self.new_id, self.telemetry.info)

    @cached_property
    def credentials(self) -> "Credentials":
        """Booking partners by their secrets."""
        from chalicelib.identity.credentials import Credentials

        return Credentials(self.register, self.now)

    @cached_property
    def passwords(self) -> "Passwords":
        from chalicelib.identity.passwords import Passwords

        return Passwords()

    @cached_property
    def logins(self) -> "Logins":
        """Logins of people who may act for Sellers."""
        from chalicelib.identity.limits import AttemptLimit
        from chalicelib.identity.logins import Logins, SignInLimits

        return Logins(
            self.register,
            self.consent,
            self.passwords,
            SignInLimits(
                per_place=AttemptLimit(self.identities, self.now, 10),
                per_network=AttemptLimit(self.identities, self.now, 50),
                per_name=AttemptLimit(self.identities, self.now, 100),
                per_browser=AttemptLimit(self.identities, self.now, 10),
            ),
            seller=self.store.seller,
            note=self.telemetry.info,
            now=self.now,
        )
