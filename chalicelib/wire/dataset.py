"""The dataset in JSON-LD: what is published here and where, for programs (DATASET).

Decides its shape; the publisher is passed in as `DatasetDetails`. Knows nothing of settings, requests
or feeds except their addresses.
"""

from chalicelib.domain.opportunity_types import OPENACTIVE, OPPORTUNITY_TYPES
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass
from chalicelib.wire.rpde import LICENSE, OPEN_FEED_MEDIA_TYPE

SPECIFICATION = "https://openactive.io/open-booking-api/EditorsDraft/1.0CR3/"
ENDPOINT_DESCRIPTION = "https://www.openactive.io/open-booking-api/EditorsDraft/swagger.json"
OPEN_DATA_GUIDE = "https://permalink.openactive.io/dataset-site/open-data-documentation"
BOOKING_GUIDE = "https://permalink.openactive.io/dataset-site/open-booking-api-documentation"


@dataclass(frozen=True)
class DatasetDetails:
    """The publisher and its Booking System; every URL absolute.

    `publisher_logo_url` and `publisher_legal_name` are not optional because the OpenActive
    validator rejects a dataset without them. `feeds_url` is the base of the open feeds, if it is another one. `discussion_url` should be the issues page of a
    public repository. `booking_access_url` is where a Broker requests access; None stands for the
    dataset site itself.
    """

    name: str
    description: str
    publisher_name: str
    publisher_legal_name: str
    publisher_url: str
    publisher_logo_url: str
    booking_service_name: str
    discussion_url: str
    publisher_email: str | None = None
    booking_service_url: str | None = None
    booking_service_version: str | None = None
    booking_terms_url: str | None = None
    booking_access_url: str | None = None
    certificate_url: str | None = None
    authentication_authority: str | None = None
    feeds_url: str | None = None
    license_url: str = LICENSE
    language: str = "en-GB"
    keywords: tuple[str, ...] = (
        "Sessions",
        "Facilities",
        "Activities",
        "Sports",
        "Physical Activity",
        "OpenActive",
    )


@dataclass(frozen=True)
class DatasetFeed:
    """One open feed: its path under /feeds, the type of its items, and its name for people."""

    path: str
    item_type: str
    title: str
    namespace: str = OPENACTIVE


FEEDS = tuple(
    DatasetFeed(traits.feed, kind.value, traits.title, traits.namespace)
    for kind, traits in OPPORTUNITY_TYPES.items()
)


def dataset_document(base_url: str, details: DatasetDetails, feeds: tuple[DatasetFeed, ...] = FEEDS) -> Json:
    """The dataset as JSON-LD, for a system at `base_url` (without a trailing slash)."""
    site = f"{base_url}/openactive"
    return {
        # schema.org is first in this document only, because search engines read it too.
        "@context": ["https://schema.org/", "https://openactive.io/"],
        "@type": "Dataset",
        "@id": site,
        "url": site,
        "name": details.name,
        "description": details.description,
        "keywords": list(details.keywords),
        "license": details.license_url,
        "inLanguage": [details.language],
        "schemaVersion": "https://openactive.io/modelling-opportunity-data/2.0/",
        "documentation": OPEN_DATA_GUIDE,
        "discussionUrl": details.discussion_url,
        "publisher": _without_none(
            {
                "@type": "Organization",
                "name": details.publisher_name,
                "legalName": details.publisher_legal_name,
                "url": details.publisher_url,
                "email": details.publisher_email,
                "logo": {"@type": "ImageObject", "url": details.publisher_logo_url},
            }
        ),
        "bookingService": _without_none(
            {
                "@type": "BookingService",
                "name": details.booking_service_name,
                "url": details.booking_service_url,
                "softwareVersion": details.booking_service_version,
                # The conformance certificate of the official test suite.
                "hasCredential": details.certificate_url,
            }
        ),
        "accessService": _without_none(
            {
                "@type": "WebAPI",
                "name": "Open Booking API",
                "description": f"Book what {details.publisher_name} publishes here.",
                "conformsTo": [SPECIFICATION],
                "documentation": BOOKING_GUIDE,
                "endpointDescription": ENDPOINT_DESCRIPTION,
                "endpointUrl": f"{base_url}/api/openbooking",
                "landingPage": details.booking_access_url or site,
                "termsOfService": details.booking_terms_url,
                # If it is present, Brokers authenticate with OpenID Connect.
                "authenticationAuthority": details.authentication_authority,
            }
        ),
        "distribution": [
            {
                "@type": "DataDownload",
                "identifier": feed.item_type,
                "name": feed.item_type,
                "additionalType": f"{feed.namespace}{feed.item_type}",
                "encodingFormat": OPEN_FEED_MEDIA_TYPE,
                "contentUrl": f"{details.feeds_url or base_url}/feeds/{feed.path}",
            }
            for feed in feeds
        ],
    }


def _without_none(properties: Json) -> Json:
    return {name: value for name, value in properties.items() if value is not None}
