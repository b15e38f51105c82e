"""What a Seller allows a booking partner: giving it, ending it, and whether it is valid (AUTH-06, AUTH-03).

The stream handlers load this module to check for revoked authorisations, so it imports nothing that signs or hashes.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import ClassVar, TypeAlias

from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.identity.register import Register
from chalicelib.storage import codec
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.pending import FEED_REVIEW, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace

# Logs what was done: a text, and ids as keyword arguments.
Note: TypeAlias = Callable[..., None]


@dataclass(frozen=True)
class FeedReview:
    """A partner's feeds must be updated after a Seller has authorised it or revoked this (OFEED-15)."""

    KIND: ClassVar[str] = FEED_REVIEW

    partner_id: str
    seller_id: str

    def pending(self, review_id: str) -> PendingWork:
        """The review as pending work; `review_id` distinguishes it from a later one of the same pair."""
        entry_id = f"{self.partner_id}#{self.seller_id}#{review_id}"
        return PendingWork(self.KIND, entry_id, codec.to_json(self))


@dataclass(frozen=True)
class Consent:
    """The authorisations of one installation. Methods that write raise StillBusy."""

    register: Register
    retry: RetryPolicy
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    note: Note

    def authorisation(self, partner_id: str, seller_id: str) -> Authorisation | None:
        """The valid authorisation; None if there was never one, or it is suspended or revoked."""
        found = self._find(partner_id, seller_id)
        return found if found is not None and found.stands and self.may_be_acted_for(seller_id) else None

    def has_consent(self, partner_id: str, seller_id: str, scopes: Iterable[str]) -> bool:
        """Whether the Seller has already allowed all these scopes."""
        current = self.authorisation(partner_id, seller_id)
        return current is not None and set(scopes) <= set(current.scopes)

    def may_be_acted_for(self, seller_id: str) -> bool:
        """Whether partners may act for this Seller: the operator has not suspended it."""
        seller = self.register.find(SellerStanding, SellerStanding.key_of(seller_id))
        return seller is None or not seller.suspended

    def is_revoked(self, partner_id: str, seller_id: str) -> bool:
        """Whether a partner may no longer see a Seller's Orders. A suspended partner may still see them."""
        found = self._find(partner_id, seller_id)
        return found is not None and found.revoked_at is not None

    def authorise(
        self, partner_id: str, seller_id: str, scopes: Iterable[str], given_by: str
    ) -> Authorisation:
        """Add scopes to what a partner is allowed; after a revocation, start with these. `given_by` is a login's id."""
        wanted = tuple(sorted(set(scopes)))
        authorisation, changed = self.retry.run(
            lambda: self._authorise(partner_id, seller_id, wanted, given_by), on=(RecordChanged, StoreBusy)
        )
        if changed:
            self.note("authorised", partner=partner_id, seller=seller_id, by=given_by)
        return authorisation

    def _authorise(
        self, partner_id: str, seller_id: str, scopes: tuple[str, ...], given_by: str
    ) -> tuple[Authorisation, bool]:
        """The authorisation as it is now, and whether anything was written."""
        found = self._find(partner_id, seller_id)
        back = found is not None and found.revoked_at is not None
        if found is None or back:
            version = found.version if found else 0
            new = Authorisation(
                self.new_id(), partner_id, seller_id, scopes, self.clock(), given_by, version=version
            )
        else:
            new = replace(found, scopes=tuple(sorted({*found.scopes, *scopes})))
        if new == found:
            return new, False
        return self.register.save(new, pending=[self._review(new)] if back else []), True

    def revoke(self, partner_id: str, seller_id: str, by: str) -> Authorisation | None:
        """End what a Seller has allowed a partner, and all that depends on it; None if there was nothing to end.

        Its refresh tokens become invalid. Access tokens expire soon. The same write adds pending work for
        `services.reviews`: the Seller's Orders must leave the partner's feed (OFEED-15).
        """
        revoked = self.retry.run(lambda: self._revoke(partner_id, seller_id), on=(RecordChanged, StoreBusy))
        if revoked is not None:
            self.note("authorisation revoked", partner=partner_id, seller=seller_id, by=by)
        return revoked

    def _revoke(self, partner_id: str, seller_id: str) -> Authorisation | None:
        found = self._find(partner_id, seller_id)
        if found is None or found.revoked_at is not None:
            return None
        return self.register.save(replace(found, revoked_at=self.clock()), pending=[self._review(found)])

    def _find(self, partner_id: str, seller_id: str) -> Authorisation | None:
        return self.register.find(Authorisation, Authorisation.key_of(partner_id, seller_id))

    def _review(self, authorisation: Authorisation) -> PendingWork:
        return FeedReview(authorisation.partner_id, authorisation.seller_id).pending(self.new_id())
