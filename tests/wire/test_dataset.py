"""The dataset site's document."""

import json
from collections.abc import Iterator

import pytest

from chalicelib.values import replace
from chalicelib.wire.dataset import FEEDS, DatasetDetails, dataset_document
from tests.support.validator import Validator, start_or_skip

BASE_URL = "http://localhost:8000"

DETAILS = DatasetDetails(
    name="Avonmead and Porter Valley: sessions and facilities",
    description="Classes, courts and climbing of two leisure operators, with live availability.",
    publisher_name="Open Leisure Cooperative",
    publisher_legal_name="Open Leisure Cooperative Limited",
    publisher_url="https://open-leisure.example/",
    publisher_logo_url="https://open-leisure.example/logo.png",
    publisher_email="data@open-leisure.example",
    booking_service_name="Open Booking",
    discussion_url="https://github.com/open-leisure-example/data/issues",
)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


def full_details() -> DatasetDetails:
    return replace(
        DETAILS,
        booking_service_url="https://booking.example/",
        booking_service_version="1.0.0",
        booking_terms_url="https://booking.example/terms",
        certificate_url="https://booking.example/certificate/",
        booking_access_url="https://booking.example/access",
        authentication_authority="https://login.example",
    )


@pytest.mark.parametrize("details", [DETAILS, full_details()], ids=["least", "everything"])
def test_document_passes_the_official_validator(validator: Validator, details: DatasetDetails) -> None:
    assert validator.failures(dataset_document(BASE_URL, details), "DatasetSite") == []


def test_document_names_the_booking_api_without_a_trailing_slash() -> None:
    service = dataset_document(BASE_URL, DETAILS)["accessService"]
    assert service["endpointUrl"] == "http://localhost:8000/api/openbooking"


def test_authentication_authority_is_shown_only_if_there_is_one() -> None:
    assert "authenticationAuthority" not in dataset_document(BASE_URL, DETAILS)["accessService"]
    access = dataset_document(BASE_URL, full_details())["accessService"]
    assert access["authenticationAuthority"] == "https://login.example"


def test_certificate_is_linked_only_if_there_is_one() -> None:
    assert "hasCredential" not in dataset_document(BASE_URL, DETAILS)["bookingService"]
    service = dataset_document(BASE_URL, full_details())["bookingService"]
    assert service["hasCredential"] == "https://booking.example/certificate/"


def test_each_feed_has_its_own_identifier_name_and_address() -> None:
    distribution = dataset_document(BASE_URL, DETAILS)["distribution"]
    assert [(d["additionalType"], d["contentUrl"]) for d in distribution] == [
        ("https://openactive.io/SessionSeries", f"{BASE_URL}/feeds/session-series"),
        ("https://openactive.io/ScheduledSession", f"{BASE_URL}/feeds/scheduled-sessions"),
        ("https://openactive.io/FacilityUse", f"{BASE_URL}/feeds/facility-uses"),
        ("https://openactive.io/Slot", f"{BASE_URL}/feeds/slots"),
        ("https://openactive.io/HeadlineEvent", f"{BASE_URL}/feeds/headline-events"),
        ("https://openactive.io/CourseInstance", f"{BASE_URL}/feeds/course-instances"),
        ("https://schema.org/Event", f"{BASE_URL}/feeds/events"),
        ("https://schema.org/OnDemandEvent", f"{BASE_URL}/feeds/on-demand-events"),
    ]
    for term in ("identifier", "name", "contentUrl"):
        assert len({feed[term] for feed in distribution}) == len(FEEDS)


def test_absent_details_leave_no_property_behind() -> None:
    text = json.dumps(dataset_document(BASE_URL, replace(DETAILS, publisher_email=None)))
    assert "null" not in text
    assert '""' not in text
