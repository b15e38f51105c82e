"""What a Seller allows a booking partner: given, ended, and whether it stands (AUTH-06, AUTH-03).

Streams load this module to ask whether an authorisation is revoked, so it imports nothing that signs or hashes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, TypeAlias

from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.identity.register import Register
from chalicelib.storage import codec
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.retry import RetryPolicy

# Writes what was done into the log, by ids alone: a text, and the ids by keyword.
Note: TypeAlias = Callable[..., None]


@dataclass(frozen=True)
class FeedReview:
    """A partner's feeds have yet to follow that a Seller has allowed it, or does so no more (OFEED-15)."""

    KIND: ClassVar[str] = "feed-review"

    partner_id: str
    seller_id: str

    def pending(self, review_id: str) -> PendingWork:
        """The entry that has to be followed; `review_id` tells it from a later one of the same."""
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
        """What stands; None where nothing was ever allowed, or it is suspended or revoked."""
        found = self._find(partner_id, seller_id)
        return found if found is not None and found.stands and self.may_be_acted_for(seller_id) else None

    def has_consent(self, partner_id: str, seller_id: str, scopes: Iterable[str]) -> bool:
        """Whether the Seller has allowed all this before."""
        standing = self.authorisation(partner_id, seller_id)
        return standing is not None and set(scopes) <= set(standing.scopes)

    def may_be_acted_for(self, seller_id: str) -> bool:
        """Whether anybody may act for this Seller: the operator has not suspended it."""
        standing = self.register.find(SellerStanding, SellerStanding.key_of(seller_id))
        return standing is None or not standing.suspended

    def is_revoked(self, partner_id: str, seller_id: str) -> bool:
        """Whether a partner may no longer see a Seller's Orders. One that was only suspended still may."""
        found = self._find(partner_id, seller_id)
        return found is not None and found.revoked_at is not None

    def authorise(
        self, partner_id: str, seller_id: str, scopes: Iterable[str], given_by: str
    ) -> Authorisation:
        """Add to what a partner is allowed; after a revocation, start again. `given_by` is the id of a login."""
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
        """End what a Seller has allowed a partner, and with it all that hangs on it; None if nothing stood.

        No refresh token of it is good any more. Access tokens end by themselves, soon. That the Seller's
        Orders leave the partner's feed is noted in the same write, for `services.reviews` to do (OFEED-15).
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
