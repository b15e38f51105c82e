"""Authorization codes and refresh tokens: what each is for, how often it may be used, and what ends it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.identity.consent import Consent, Note
from chalicelib.identity.entries import Authorisation, AuthorisationCode, Grant
from chalicelib.identity.hashing import digest, mark, new_secret, same
from chalicelib.identity.register import Register
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import dataclass, replace

_CODE_LIVES = timedelta(minutes=2)
_LEEWAY = timedelta(seconds=30)
_REMEMBERED_AFTER_USE = timedelta(days=1)


@dataclass(frozen=True)
class Grants:
    """The codes and grants of one installation. `live` is how long an unused refresh token is valid."""

    register: Register
    consent: Consent
    live: timedelta
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    note: Note

    def keep_code(
        self,
        code: str,
        partner_id: str,
        authorisation: Authorisation,
        scopes: tuple[str, ...],
        redirect_uri: str,
        code_challenge: str,
        nonce: str | None,
        signed_in_at: datetime,
    ) -> None:
        """Store a new code by its digest. The partner can redeem it once, within two minutes."""
        self.register.save(
            AuthorisationCode(
                digest(code),
                partner_id,
                authorisation.seller_id,
                authorisation.id,
                scopes,
                redirect_uri,
                code_challenge,
                nonce,
                signed_in_at=signed_in_at,
                ends_at=self.clock() + _CODE_LIVES,
            )
        )

    def redeem(self, code: str, partner_id: str) -> AuthorisationCode | None:
        """Use a code and return its data; None if it is invalid.

        A second use ends the grant of the first (RFC 6749, section 4.1.2).
        """
        now = self.clock()
        found = self.register.find(AuthorisationCode, AuthorisationCode.key_of(digest(code)))
        if found is None or found.partner_id != partner_id:
            return None
        if found.grant_id is not None:
            self.note("code used twice", partner=partner_id)
            with suppress(RecordChanged):
                self.register.save(found)  # so that a request that is opening the grant now fails
            self.end(found.grant_id)
            return None
        if found.ends_at <= now or not self._is_authorised(found):
            return None
        try:
            # Kept for a day, so that a second use is detected.
            used = replace(found, grant_id=self.new_id(), ends_at=now + _REMEMBERED_AFTER_USE)
            return self.register.save(used)
        except RecordChanged:
            return None

    def open(self, code: AuthorisationCode) -> str | None:
        """The first refresh token for a redeemed code; None if the code has been used again since."""
        if code.grant_id is None:
            raise ValueError("The code was not redeemed.")
        marker, now = new_secret(), self.clock()
        secret = _refresh_secret(marker)
        grant = Grant(
            code.grant_id,
            code.partner_id,
            code.seller_id,
            code.authorisation_id,
            code.scopes,
            made_at=now,
            ends_at=now + self.live,
            current=digest(secret),
            marker=marker,
        )
        try:
            self.register.save(grant, code)
        except RecordChanged:
            return None
        return f"{grant.id}.{secret}"

    def issued(self, refresh_token: str) -> Grant | None:
        """The grant that a refresh token was issued for, even if the token is no longer valid.

        None for a token that was never issued, such as a grant's id with a guessed secret. Changes nothing.
        """
        grant_id, _, secret = refresh_token.partition(".")
        found = self.register.find(Grant, Grant.key_of(grant_id)) if secret else None
        if found is None:
            return None
        known = [each for each in (found.current, found.earlier) if each is not None]
        matches = [same(digest(secret), each) for each in known]
        return found if any(matches) or _is_marked(found, secret) else None

    def find(self, refresh_token: str, partner_id: str) -> Grant | None:
        """The grant of a refresh token, if this partner may use it.

        A token that was replaced more than 30 seconds ago ends the grant: two parties are using it, and one may
        have stolen it (RFC 9700, section 4.14.2). An unknown token, or another partner's, ends nothing.
        """
        found = self.issued(refresh_token)
        if found is None or found.partner_id != partner_id:
            return None
        if found.ends_at <= self.clock() or not self._is_authorised(found):
            return None
        presented = digest(refresh_token.partition(".")[2])
        if same(presented, found.current):
            return found
        in_time = found.leeway_ends_at is not None and self.clock() < found.leeway_ends_at
        if in_time and found.earlier is not None and same(presented, found.earlier):
            return found
        self.note("refresh token used again", partner=found.partner_id, seller=found.seller_id)
        self.end(found.id)
        return None

    def renew(self, grant: Grant) -> str | None:
        """The next refresh token of a grant; None if another request has just renewed it."""
        marker, now = grant.marker or new_secret(), self.clock()
        secret = _refresh_secret(marker)
        renewed = replace(
            grant,
            earlier=grant.current,
            current=digest(secret),
            leeway_ends_at=now + _LEEWAY,
            renewed_at=now,
            ends_at=now + self.live,
            marker=marker,
        )
        try:
            self.register.save(renewed)
        except RecordChanged:
            return None
        return f"{grant.id}.{secret}"

    def end(self, grant_id: str) -> None:
        """Make all refresh tokens of a grant invalid."""
        found = self.register.find(Grant, Grant.key_of(grant_id))
        if found is not None:
            self.register.remove(found)

    def _is_authorised(self, given: AuthorisationCode | Grant) -> bool:
        current = self.consent.authorisation(given.partner_id, given.seller_id)
        return current is not None and current.id == given.authorisation_id


def _refresh_secret(marker: str) -> str:
    """A random secret with the mark of its grant.

    Only the digest of the secret is stored. The mark does not make a token valid: with a marker read from the
    table, an attacker could at most make a token that looks replaced.
    """
    secret = new_secret()
    return f"{secret}.{mark(marker, secret)}"


def _is_marked(grant: Grant, secret: str) -> bool:
    text, _, made = secret.partition(".")
    return grant.marker is not None and same(made, mark(grant.marker, text))
