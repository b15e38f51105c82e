"""The part of an installation that answers requests of the API. Wiring only."""

from typing import TYPE_CHECKING

from chalicelib.domain.parties import Json
from chalicelib.runtime import installation
from chalicelib.runtime.access import Access
from chalicelib.runtime.work import Work

if TYPE_CHECKING:
    from chalicelib.services.bookings import Bookings
    from chalicelib.wire.dataset import DatasetDetails


class Serving(Access, Work):
    """What the API needs: who calls, what callers may do, and how the installation presents itself."""

    @property
    def bookings(self) -> "Bookings":
        """The Broker's actions."""
        from chalicelib.services.bookings import Bookings

        return Bookings(self.attempts, self.moment, self.telemetry.partner_usage)

    def booking_service(self) -> Json:
        """The `bookingService` of every answer (MODEL-03)."""
        from chalicelib.wire.orders import booking_service

        settings = self.settings
        return booking_service(
            settings.service_name,
            settings.service_url,
            settings.service_terms_url,
            terms_date=settings.service_terms_date,
            needs_consent=settings.service_terms_consent,
        )

    def dataset_details(self, base_url: str) -> "DatasetDetails":
        """The details of the dataset site, served at `base_url`."""
        from chalicelib.runtime.presentation import dataset_details

        return dataset_details(self.settings, base_url)


def prepare() -> None:
    """Make what the first request would otherwise wait for, with what verifies tokens."""
    made = installation.prepare(Serving)
    if made and made.callers.reads_tokens:
        from chalicelib.identity import tokens

        tokens.load()
