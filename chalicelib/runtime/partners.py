"""The services for booking partners, for one user; the OpenID provider needs them, too. Wiring only."""

from functools import cached_property

from chalicelib.runtime.serving import Serving
from chalicelib.services import reviews
from chalicelib.services.authorisations import Authorisations
from chalicelib.services.entries import Entries
from chalicelib.services.journal import Journal
from chalicelib.services.partners import Partners
from chalicelib.services.seller_ids import SellerIds
from chalicelib.services.sellers import Sellers
from chalicelib.values import dataclass

# Seconds for one run of the feed reviews, while an operator waits.
_REVIEWS_FOR = 60.0


@dataclass
class PartnerAdministration:
    """`by` is the user, for the journal; `base_url` the URL of the installation, if known."""

    system: Serving
    by: str = ""
    base_url: str | None = None

    @cached_property
    def entries(self) -> Entries:
        return Entries(self.system.register, self.system.retry, self.system.now)

    @cached_property
    def journal(self) -> Journal:
        system = self.system
        return Journal(
            self.entries,
            self.seller_ids,
            system.new_id,
            self.by,
            id_of=lambda text: system.fingerprints.digest(f"journal {text}")[:16],
            kept_days=system.settings.journal_days,
        )

    @cached_property
    def seller_ids(self) -> SellerIds:
        return SellerIds(self.base_url)

    @cached_property
    def sellers(self) -> Sellers:
        return Sellers(self.system.store, self.entries, self.journal, self.seller_ids)

    @cached_property
    def authorisations(self) -> Authorisations:
        system = self.system
        return Authorisations(
            self.entries,
            self.journal,
            system.consent,
            self.sellers,
            lambda: system.worker.run_kind(reviews.KIND, _REVIEWS_FOR),
        )

    @cached_property
    def partners(self) -> Partners:
        return Partners(self.entries, self.journal, self.authorisations, self.sellers, self.system.new_id)
