"""Authorisations of booking partners that an operator gives and revokes in a Seller's name (AUTH-06)."""

from collections.abc import Callable, Sequence

from chalicelib.identity.consent import Consent
from chalicelib.identity.entries import Authorisation, Partner
from chalicelib.identity.scopes import BOOKING, SCOPES
from chalicelib.services.entries import Entries
from chalicelib.services.errors import InvalidValue, NotPossible
from chalicelib.services.journal import Journal
from chalicelib.services.sellers import Sellers
from chalicelib.values import dataclass, replace

# The giver of an authorisation that was not given by a login.
_OPERATOR = "operator"


@dataclass(frozen=True)
class Authorisations:
    """The operator's authorisations. `review_feeds` takes steps on pending reviews; it returns the number of Orders."""

    entries: Entries
    journal: Journal
    consent: Consent
    sellers: Sellers
    review_feeds: Callable[[], int]

    def authorise(self, seller: str, partner_id: str, scopes: Sequence[str] = (BOOKING,)) -> Authorisation:
        """Allow a partner to act for a Seller without a login: it only needs its own credentials.

        A partner can do so for one Seller. Raises NotFound, InvalidValue, NotPossible.
        """
        seller_id, partner = self.check(seller, partner_id, scopes)
        self.entries.change(partner, lambda found: self._acting(found, seller_id))
        given = self.allow(partner.id, seller_id, scopes)
        self.journal.note("partner authorised", partner=partner.id, seller=seller_id)
        return given

    def check(self, seller: str, partner_id: str, scopes: Sequence[str]) -> tuple[str, Partner]:
        """The Seller's id and the partner, if it may be authorised. Raises as `authorise`; nothing is written."""
        seller_id, partner = self.sellers.find(seller).id, self.entries.partner(partner_id)
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise InvalidValue(f"{unknown[0]} is not a scope; the scopes are {', '.join(SCOPES)}.")
        self._acting(partner, seller_id)
        return seller_id, partner

    def _acting(self, partner: Partner, seller_id: str) -> Partner:
        if partner.seller_id not in (None, seller_id):
            raise NotPossible(
                f"Booking partner {partner.id} already acts for another Seller without a login,"
                " and can do so for one Seller only; other Sellers allow it with a login."
            )
        return replace(partner, seller_id=seller_id)

    def allow(self, partner_id: str, seller_id: str, scopes: Sequence[str]) -> Authorisation:
        """Add an authorisation by the operator; the caller enters it in the journal."""
        return self.consent.authorise(partner_id, seller_id, scopes, _OPERATOR)

    def revoke(self, seller: str, partner_id: str | None = None) -> list[Authorisation]:
        """Revoke a Seller's authorisation of a partner, or of all. Raises NotFound; NotPossible if there is none."""
        current = self.current(seller, partner_id)
        for each in current:
            self.end(each.partner_id, each.seller_id)
            self.journal.note("authorisation revoked", partner=each.partner_id, seller=each.seller_id)
        return current

    def current(self, seller: str, partner_id: str | None = None) -> list[Authorisation]:
        """What `revoke` would end. Raises as it does."""
        found = self.sellers.find(seller)
        if partner_id is not None:
            partner = self.entries.partner(partner_id)
            one = self.entries.find(Authorisation, Authorisation.key_of(partner.id, found.id))
            given = [one] if one is not None else []
        else:
            given = [each for each in self.entries.all(Authorisation) if each.seller_id == found.id]
        current = [each for each in given if each.revoked_at is None]
        if not current:
            allowed = f"booking partner {partner_id}" if partner_id is not None else "no booking partner"
            negation = "does not allow" if partner_id is not None else "allows"
            raise NotPossible(f"Seller {self.sellers.ids.shown(found.id)} {negation} {allowed}.")
        return current

    def end(self, partner_id: str, seller_id: str) -> None:
        """Revoke one authorisation: every command and page that does so calls this method."""
        self.consent.revoke(partner_id, seller_id, _OPERATOR)
        # The schedule reviews the feeds too; here the review is done before the operator's call returns (OFEED-15).
        while self.entries.patiently(self.review_feeds):
            pass
