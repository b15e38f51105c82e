"""Our own OpenID provider: who may be given which token, and until when. Knows nothing of HTTP.

`provider` speaks the protocol, `pages` shows the forms; the decisions are made here (AUTH-05 to AUTH-09).
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.parties import Seller
from chalicelib.identity.callers import BOOKING, ORDERS_FEED
from chalicelib.identity.hashing import Passwords, digest, same
from chalicelib.identity.issuers import CLIENT_ID, SELLER_ID, audience, authority_url
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.limits import AttemptLimit
from chalicelib.identity.register import (
    Authorisation,
    AuthorisationCode,
    FeedReview,
    Grant,
    Invitation,
    Login,
    Partner,
    RecordChanged,
    Register,
    Secret,
    SellerStanding,
)
from chalicelib.identity.tokens import ACCESS_TOKEN, Claims
from chalicelib.storage.pending import PendingWork

OPENID = "openid"
OFFLINE = "offline_access"
IDENTITY = "openactive-identity"
SCOPES = (OPENID, BOOKING, ORDERS_FEED, IDENTITY, OFFLINE)
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")

_CODE_LIVES = timedelta(minutes=2)
_LEEWAY = timedelta(seconds=30)
_REMEMBERED_AFTER_USE = timedelta(days=1)


class SignInRefused(Exception):
    """User name and password are not those of a login that may be used."""


class TooManyAttempts(SignInRefused):
    """There have been so many that nobody may try for some minutes."""


@dataclass(frozen=True)
class Lifetimes:
    """How long what is given out is good."""

    access_token: timedelta = timedelta(minutes=15)
    refresh_token: timedelta = timedelta(days=180)


Note = Callable[..., None]


@dataclass(frozen=True)
class Authority:
    """The provider of one installation. `note` writes what was done into the log, by ids alone.

    `outward` gives an id the base URL that it has for those outside.
    """

    register: Register
    ring: KeyRing
    passwords: Passwords
    lifetimes: Lifetimes
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    seller: Callable[[str], Seller | None]
    outward: Callable[[str, str], str]
    by_username: AttemptLimit
    by_address: AttemptLimit
    note: Note

    # --- people ---------------------------------------------------------------------------

    def sign_in(self, username: str, password: str, address: str) -> Login:
        """The login of a user name and password. Raises SignInRefused, TooManyAttempts.

        `address` is the network address it comes from. An attempt counts before it is made, so that many at
        once count as well; one that succeeds is taken off again.
        """
        name = f"user#{digest(username.casefold())}"
        if not (self.by_address.take(f"address#{digest(address)}") and self.by_username.take(name)):
            self.note("sign-in refused", reason="too many attempts")
            raise TooManyAttempts
        login = self.register.find(Login, Login.key_of(username)) if username else None
        right = self.passwords.check(password, login.password if login else None)
        if login is None or not right or login.suspended:
            self.note(
                "sign-in refused", reason="wrong" if not right else "suspended", login=login and login.id
            )
            raise SignInRefused
        self.by_username.give_back(name)
        self.by_address.give_back(f"address#{digest(address)}")
        self.note("signed in", login=login.id)
        return login

    def sellers_of(self, login: Login) -> list[Seller]:
        """The Sellers for whom this login may speak, as far as they may be acted for."""
        found = (self.seller(each) for each in login.seller_ids)
        return [seller for seller in found if seller is not None and self.may_be_acted_for(seller.id)]

    def may_be_acted_for(self, seller_id: str) -> bool:
        standing = self.register.find(SellerStanding, SellerStanding.key_of(seller_id))
        return standing is None or not standing.suspended

    # --- what a Seller allows a partner ---------------------------------------------------

    def authorisation(self, partner_id: str, seller_id: str) -> Authorisation | None:
        """What stands; None where nothing was ever allowed, or it is suspended or revoked."""
        found = self.register.find(Authorisation, Authorisation.key_of(partner_id, seller_id))
        return found if found is not None and found.stands and self.may_be_acted_for(seller_id) else None

    def has_consent(self, partner_id: str, seller_id: str, scopes: Iterable[str]) -> bool:
        """Whether the Seller has allowed all this before."""
        standing = self.authorisation(partner_id, seller_id)
        return standing is not None and set(scopes) <= set(standing.scopes)

    def authorise(
        self, partner_id: str, seller_id: str, scopes: Iterable[str], given_by: str
    ) -> Authorisation:
        """Allow a partner so much more; after a revocation it begins anew. `given_by` is the id of a login."""
        while True:
            found = self.register.find(Authorisation, Authorisation.key_of(partner_id, seller_id))
            if found is None or found.revoked_at is not None:
                new = Authorisation(
                    self.new_id(),
                    partner_id,
                    seller_id,
                    tuple(sorted(set(scopes))),
                    self.clock(),
                    given_by,
                    version=found.version if found else 0,
                )
            else:
                new = replace(found, scopes=tuple(sorted({*found.scopes, *scopes})))
            if new == found:
                return found
            back = found is not None and found.revoked_at is not None
            try:
                saved = self.register.save(new, pending=[self._review(new)] if back else [])
            except RecordChanged:
                continue
            self.note("authorised", partner=partner_id, seller=seller_id, by=given_by)
            return saved

    def revoke(self, partner_id: str, seller_id: str, by: str) -> Authorisation | None:
        """End what a Seller has allowed a partner, and with it all that hangs on it; None if nothing stood.

        No refresh token of it is good any more. Access tokens end by themselves, soon. That the Seller's
        Orders go from the partner's feed is noted in the same write, for `feeds.reviews` to do (OFEED-15).
        """
        while True:
            found = self.register.find(Authorisation, Authorisation.key_of(partner_id, seller_id))
            if found is None or found.revoked_at is not None:
                return None
            try:
                saved = self.register.save(
                    replace(found, revoked_at=self.clock()), pending=[self._review(found)]
                )
            except RecordChanged:
                continue
            self.note("authorisation revoked", partner=partner_id, seller=seller_id, by=by)
            return saved

    def is_revoked(self, partner_id: str, seller_id: str) -> bool:
        """Whether a partner may no longer see a Seller's Orders. One that was only suspended still may."""
        found = self.register.find(Authorisation, Authorisation.key_of(partner_id, seller_id))
        return found is not None and found.revoked_at is not None

    def _review(self, authorisation: Authorisation) -> PendingWork:
        return FeedReview(authorisation.partner_id, authorisation.seller_id).pending(self.new_id())

    # --- codes and refresh tokens ---------------------------------------------------------

    def keep_code(
        self,
        code: str,
        partner_id: str,
        authorisation: Authorisation,
        scopes: tuple[str, ...],
        redirect_uri: str,
        code_challenge: str,
        nonce: str | None,
    ) -> None:
        """Keep what a new code stands for; the partner can redeem it once, within two minutes."""
        now = self.clock()
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
                signed_in_at=now,
                ends_at=now + _CODE_LIVES,
            )
        )

    def redeem(self, code: str, partner_id: str) -> AuthorisationCode | None:
        """What a code stands for. One used before ends what came of it (RFC 6749, section 4.1.2)."""
        now = self.clock()
        found = self.register.find(AuthorisationCode, AuthorisationCode.key_of(digest(code)))
        if found is None or found.partner_id != partner_id:
            return None
        if found.grant_id is not None:
            self.note("code used twice", partner=partner_id)
            with suppress(RecordChanged):
                self.register.save(found)  # who is just opening the grant finds the code changed
            self.end_grant(found.grant_id)
            return None
        if found.ends_at <= now or not self._still_stands(found):
            return None
        try:
            # Kept a while, so that its second use is noticed.
            used = replace(found, grant_id=self.new_id(), ends_at=now + _REMEMBERED_AFTER_USE)
            return self.register.save(used)
        except RecordChanged:
            return None

    def open_grant(self, code: AuthorisationCode) -> str | None:
        """The first refresh token of what was redeemed; None where the code has been used again meanwhile."""
        assert code.grant_id is not None
        secret, now = self.new_secret(), self.clock()
        grant = Grant(
            code.grant_id,
            code.partner_id,
            code.seller_id,
            code.authorisation_id,
            code.scopes,
            made_at=now,
            ends_at=now + self.lifetimes.refresh_token,
            current=digest(secret),
        )
        try:
            self.register.save(grant, code)
        except RecordChanged:
            return None
        return f"{grant.id}.{secret}"

    def grant(self, refresh_token: str) -> Grant | None:
        """The grant that a refresh token belongs to, if it may be used.

        One that was replaced long enough ago ends the grant: two are using it, and one of them is a thief
        (RFC 9700, section 4.14.2).
        """
        grant_id, _, secret = refresh_token.partition(".")
        found = self.register.find(Grant, Grant.key_of(grant_id)) if secret else None
        if found is None or found.ends_at <= self.clock() or not self._still_stands(found):
            return None
        presented = digest(secret)
        if same(presented, found.current):
            return found
        if found.earlier is None or not same(presented, found.earlier):
            if found.earlier is not None:
                self.note("refresh token used again", partner=found.partner_id, seller=found.seller_id)
                self.end_grant(found.id)
            return None
        if found.leeway_ends_at is not None and self.clock() < found.leeway_ends_at:
            return found
        self.note("refresh token used again", partner=found.partner_id, seller=found.seller_id)
        self.end_grant(found.id)
        return None

    def renew(self, grant: Grant) -> str | None:
        """The next refresh token of a grant; None where another request has just had it."""
        secret, now = self.new_secret(), self.clock()
        renewed = replace(
            grant,
            earlier=grant.current,
            current=digest(secret),
            leeway_ends_at=now + _LEEWAY,
            renewed_at=now,
            ends_at=now + self.lifetimes.refresh_token,
        )
        try:
            self.register.save(renewed)
        except RecordChanged:
            return None
        return f"{grant.id}.{secret}"

    def end_grant(self, grant_id: str) -> None:
        """No refresh token of it is good any more."""
        found = self.register.find(Grant, Grant.key_of(grant_id))
        if found is not None:
            self.register.remove(found)

    def _still_stands(self, given: AuthorisationCode | Grant) -> bool:
        standing = self.authorisation(given.partner_id, given.seller_id)
        return standing is not None and standing.id == given.authorisation_id

    # --- tokens ---------------------------------------------------------------------------

    def access_token(
        self, base_url: str, partner_id: str, seller_id: str | None, scopes: Iterable[str]
    ) -> str:
        """A signed access token (RFC 9068)."""
        now = int(self.clock().timestamp())
        claims: Claims = {
            "iss": authority_url(base_url),
            "aud": audience(base_url),
            "sub": self.outward(seller_id, base_url) if seller_id else partner_id,
            "client_id": partner_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + int(self.lifetimes.access_token.total_seconds()),
            "jti": self.new_id(),
            CLIENT_ID: partner_id,
        }
        if seller_id is not None:
            claims[SELLER_ID] = self.outward(seller_id, base_url)
        return self.ring.signer().sign(claims, ACCESS_TOKEN)

    def seller_claims(
        self, base_url: str, seller_id: str, scopes: Iterable[str], service: Mapping[str, Any]
    ) -> Claims:
        """What an ID token says of the Seller and of this booking service (AUTH-09)."""
        claims: Claims = {
            "sub": self.outward(seller_id, base_url),
            SELLER_ID: self.outward(seller_id, base_url),
        }
        seller = self.seller(seller_id)
        if IDENTITY in scopes and seller is not None:
            document = seller.document
            logo = document.get("logo")
            told = {
                "sellerName": document.get("name"),
                "sellerUrl": document.get("url"),
                "sellerLogo": logo.get("url") if isinstance(logo, dict) else logo,
                "bookingServiceName": service.get("name"),
                "bookingServiceUrl": service.get("url"),
            }
            claims |= {f"https://openactive.io/{name}": value for name, value in told.items() if value}
        return claims

    # --- partners -------------------------------------------------------------------------

    def partner(self, partner_id: str) -> Partner | None:
        """A booking partner that may be given tokens."""
        found = self.register.find(Partner, Partner.key_of(partner_id))
        return None if found is None or found.suspended else found

    def has_secret(self, partner: Partner, secret: str) -> bool:
        """Whether this is one of the partner's secrets that are good now."""
        now, presented = self.clock(), digest(secret)
        matches = [same(presented, each.digest) and each.is_good(now) for each in partner.secrets]
        return any(matches)

    def invitation(self, initial_access_token: str) -> Invitation | None:
        """The invitation that an initial access token stands for, if it may be used."""
        found = self.register.find(Invitation, Invitation.key_of(digest(initial_access_token)))
        if found is None or (found.ends_at is not None and found.ends_at <= self.clock()):
            return None
        return None if found.uses_left == 0 else found

    def use(self, invitation: Invitation) -> bool:
        """Take one use of an invitation; False if somebody else has just had the last."""
        if invitation.uses_left is None:
            return True
        try:
            self.register.save(replace(invitation, uses_left=invitation.uses_left - 1))
        except RecordChanged:
            return False
        return True

    def add_partner(
        self,
        name: str,
        secret: str,
        *,
        partner_id: str | None = None,
        redirect_uris: Iterable[str] = (),
        grant_types: Iterable[str] = GRANT_TYPES,
        scopes: Iterable[str] = SCOPES,
        url: str | None = None,
        seller_id: str | None = None,
        invited_with: str | None = None,
    ) -> Partner:
        """A new booking partner with its first secret. Raises RecordChanged where the id is taken."""
        now = self.clock()
        partner = Partner(
            partner_id or self.new_id(),
            name,
            now,
            secrets=(Secret(digest(secret), now),),
            redirect_uris=tuple(redirect_uris),
            grant_types=tuple(grant_types),
            scopes=tuple(scopes),
            url=url,
            seller_id=seller_id,
            invited_with=invited_with,
        )
        saved = self.register.save(partner)
        self.note("partner added", partner=saved.id)
        return saved
