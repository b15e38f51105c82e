"""All settings in one typed place, from the environment.

Each field's environment variable is its name in capitals; `docs/settings.md` lists them with their
meanings. They are read when first needed, never on import.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting has a value that cannot be used."""


def _setting(meaning: str, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """How one installation is set up."""

    table_prefix: str = _setting("Names of the tables start with this.", "openbooking-local")
    aws_region: str = _setting("The region of the tables. Lambda sets it.", "eu-west-2")
    dynamodb_url: str = _setting("Another DynamoDB endpoint than that of the region.", "")
    base_url: str = _setting(
        "Scheme, host and stage under which the service is reached; empty: as each request says.", ""
    )
    development_headers: bool = _setting(
        "Believe the headers X-OpenActive-Test-Client-Id and -Seller-Id. Never in production.", False
    )
    anonymous_leasing: bool = _setting("Lease spaces at C1.", True)
    named_leasing: bool = _setting("Lease spaces at C2.", True)
    lease_seconds: int = _setting("How long a lease lasts.", 900)
    prepayment: bool = _setting("Tell per offer whether payment is taken through the Broker.", True)
    business_tax: bool = _setting("Calculate tax also between businesses.", True)
    reconciliation_name: str = _setting("The `name` every payment must have; empty: any.", "")
    reconciliation_account_id: str = _setting("The `accountId` every payment must have.", "")
    reconciliation_payment_provider_id: str = _setting("The `paymentProviderId` every payment must have.", "")
    pass_base_url: str = _setting(
        "Where images of passes are served, if not under the base URL; Customers' phones want https.", ""
    )
    test_interface: bool = _setting("Offer the OpenActive Test Interface. Never in production.", False)
    production: bool = _setting("Refuse settings that belong to development and tests.", False)
    service_name: str = _setting("Name of the booking service, shown to customers.", "Open Booking")
    service_url: str = _setting("Its web site.", "")
    service_terms_url: str = _setting("Its terms of use (https).", "")
    dataset_name: str = _setting("Name of the open dataset.", "Sessions and facilities")
    dataset_description: str = _setting(
        "What the open dataset holds.", "Sessions and facilities that can be booked."
    )
    publisher_name: str = _setting("Who publishes the dataset.", "Open Booking")
    publisher_legal_name: str = _setting("The publisher's legal name.", "Open Booking")
    publisher_url: str = _setting("The publisher's web site.", "https://example.com")
    publisher_email: str = _setting("Where to write about the dataset.", "")
    publisher_logo_url: str = _setting("The publisher's logo.", "https://example.com/logo.png")
    discussion_url: str = _setting(
        "Where questions about the dataset are discussed.",
        "https://github.com/openactive/open-booking-api/issues",
    )
    log_level: str = _setting("Lowest level that is logged.", "INFO")
    metrics: bool = _setting("Write metrics to the log in CloudWatch's format.", True)

    @property
    def lease_for(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def reconciliation(self) -> dict[str, Any]:
        """The properties of Payment that are checked, with the value each must have (PAY-04)."""
        wanted = {
            "name": self.reconciliation_name,
            "accountId": self.reconciliation_account_id,
            "paymentProviderId": self.reconciliation_payment_provider_id,
        }
        return {name: value for name, value in wanted.items() if value}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises SettingsError with the variable's name."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        name = item.name.upper()
        if name in environment:
            values[item.name] = _parse(name, environment[name].strip(), type(item.default))
    settings = Settings(**values)
    if settings.production and (settings.test_interface or settings.development_headers):
        raise SettingsError("TEST_INTERFACE and DEVELOPMENT_HEADERS must be off in production.")
    if settings.lease_seconds < 1:
        raise SettingsError("LEASE_SECONDS must be at least 1.")
    for name in ("base_url", "dynamodb_url", "pass_base_url"):
        if (url := getattr(settings, name)) and not _is_url(url):
            raise SettingsError(f"{name.upper()} must be an http or https URL.")
    if settings.base_url.endswith("/"):
        raise SettingsError("BASE_URL must not end with a slash.")
    return settings


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.netloc)


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SettingsError(f"{name} must be true or false, not {text!r}.")
        return text.lower() == "true"
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name} must be a whole number, not {text!r}.") from None
    return text
