"""How an installation presents itself on its dataset site, according to its settings."""

from chalicelib.identity.claims import authority_url
from chalicelib.runtime.settings import Settings
from chalicelib.wire.dataset import DatasetDetails


def dataset_details(settings: Settings, base_url: str) -> DatasetDetails:
    """The details of the dataset site, served at `base_url`."""
    name = settings.publisher_name or settings.service_name
    issuers = {"openid": authority_url(base_url), "issuer": settings.issuer}
    return DatasetDetails(
        name=settings.dataset_name,
        description=settings.dataset_description,
        publisher_name=name,
        publisher_legal_name=settings.publisher_legal_name or name,
        # Required by the validators: settings that are empty get a value from the others.
        publisher_url=settings.publisher_url or settings.service_url or base_url,
        publisher_logo_url=settings.publisher_logo_url or f"{base_url}/favicon.svg",
        publisher_email=settings.publisher_email or None,
        discussion_url=settings.discussion_url,
        booking_service_name=settings.service_name,
        booking_service_url=settings.service_url or None,
        booking_terms_url=settings.service_terms_url or None,
        feeds_url=settings.open_feeds_url or None,
        certificate_url=settings.certificate_url or None,
        authentication_authority=next((issuers[way] for way in settings.ways if way in issuers), None),
    )
