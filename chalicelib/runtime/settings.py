"""All settings in one typed place, from the environment.

Each field's environment variable is its name in capitals; `docs/settings.md` lists them with their
meanings. They are read when first needed, never on import.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from chalicelib.domain.partner_limits import PartnerLimits
from chalicelib.values import dataclass, fields

_LIMITS = PartnerLimits()
WAYS = ("openid", "issuer", "api-keys", "headers")


class SettingsError(Exception):
    """A setting has an invalid value."""


@dataclass(frozen=True)
class Settings:
    """The settings of one installation, each with its meaning."""

    table_prefix: Annotated[str, "Prefix of the tables' names."] = "openbooking-local"
    aws_region: Annotated[str, "The AWS region of the tables. Lambda sets it."] = "eu-west-2"
    dynamodb_url: Annotated[str, "DynamoDB endpoint. If empty, the one of the region."] = ""
    base_url: Annotated[
        str, "Scheme, host and stage of the service's URL. If empty, taken from each request."
    ] = ""
    authentication: Annotated[
        str,
        "How callers authenticate, separated by commas: `openid` (tokens of the built-in provider), `issuer` "
        "(tokens of another provider), `api-keys`, and `headers` (any caller named in "
        "X-OpenActive-Test-Client-Id and -Seller-Id, without a check; never in production).",
    ] = "openid"
    signing_kms_key: Annotated[str, "The KMS key that seals the signing keys. The deployment sets it."] = ""
    access_token_seconds: Annotated[int, "Lifetime of an access token, in seconds."] = 900
    refresh_token_days: Annotated[int, "Lifetime of an unused refresh token, in days."] = 180
    issuer: Annotated[str, "With `issuer`: its URL, as in its tokens and its discovery document."] = ""
    issuer_audience: Annotated[str, "With `issuer`: the audience of its tokens."] = ""
    issuer_audience_claim: Annotated[str, "The claim with the audience; Cognito: `token_use`."] = "aud"
    issuer_client_claim: Annotated[str, "The claim with the booking partner's id."] = "client_id"
    issuer_seller_claim: Annotated[str, "The claim with the Seller's id."] = "https://openactive.io/sellerId"
    issuer_scope_claim: Annotated[str, "The claim with the token's scopes."] = "scope"
    rate_limit: Annotated[int, "Requests a minute for each booking partner; 0: no limit."] = 0
    rate_limits: Annotated[str, "Limits for single partners: `partner-id=number`, separated by commas."] = ""
    anonymous_leasing: Annotated[bool, "Lease spaces at C1."] = True
    named_leasing: Annotated[bool, "Lease spaces at C2."] = True
    lease_seconds: Annotated[int, "Duration of a lease, in seconds."] = 900
    lease_longest_seconds: Annotated[
        int,
        "The longest life of a lease, in seconds from the first one under its Order UUID, however often it is "
        "renewed; at least LEASE_SECONDS. 0: twice LEASE_SECONDS.",
    ] = 0
    anonymous_lease_spaces: Annotated[
        int,
        "Spaces of one Opportunity that one booking partner may lease at C1, without a Customer; 0: no limit.",
    ] = _LIMITS.anonymous_lease_spaces
    lease_spaces: Annotated[
        int, "Spaces of one Opportunity that one booking partner may lease altogether; 0: no limit."
    ] = _LIMITS.lease_spaces
    partner_leases: Annotated[
        int, "Order UUIDs with a lease that one booking partner may have; approximate. 0: no limit."
    ] = _LIMITS.partner_leases
    partner_proposals: Annotated[
        int,
        "OrderProposals of one booking partner that may wait for their Sellers; approximate. 0: no limit.",
    ] = _LIMITS.partner_proposals
    partner_spaces: Annotated[
        int, "Spaces that one booking partner may hold by all of these together; approximate. 0: no limit."
    ] = _LIMITS.partner_spaces
    proposal_answer_seconds: Annotated[
        int,
        "How long a Seller has to answer an OrderProposal, in seconds, and never beyond the start of its earliest "
        "Opportunity. After that it is rejected.",
    ] = 172_800
    proposal_booking_seconds: Annotated[
        int,
        "How long a Broker has to book an accepted OrderProposal, in seconds, and never beyond that start. After "
        "that it is rejected.",
    ] = 86_400
    prepayment: Annotated[
        bool,
        "Support `openBookingPrepayment`: each Offer states whether the Broker takes the payment. If false, no "
        "answer and no feed contains it, and a payment is due for everything that is not free.",
    ] = True
    business_tax: Annotated[bool, "Calculate tax between businesses too."] = True
    reconciliation_name: Annotated[str, "The `name` that every payment must have. If empty, any."] = ""
    reconciliation_account_id: Annotated[
        str, "The `accountId` that every payment must have. If empty, any."
    ] = ""
    reconciliation_payment_provider_id: Annotated[
        str, "The `paymentProviderId` that every payment must have. If empty, any."
    ] = ""
    pass_base_url: Annotated[
        str, "Base URL for images of passes. If empty, the base URL. Customers' phones need https."
    ] = ""
    open_feeds_url: Annotated[
        str,
        "Base URL of the open feeds, where another server such as CloudFront is in front of them. If empty, the base URL.",
    ] = ""
    row_dictionary: Annotated[
        bool,
        "Compress rows with a dictionary, which release 0.1.0 cannot read. false while its functions run beside this release.",
    ] = True
    test_interface: Annotated[bool, "Enable the OpenActive Test Interface. Never in production."] = False
    production: Annotated[bool, "Refuse settings for development and tests."] = False
    service_name: Annotated[str, "Name of the booking service, shown to customers."] = "Open Booking"
    service_url: Annotated[str, "Its website."] = ""
    service_support: Annotated[
        str,
        "Contact for help, shown on the login pages: an email address, a URL, or text such as a phone number. "
        "If empty, PUBLISHER_EMAIL.",
    ] = ""
    service_terms_url: Annotated[str, "Its terms of use (https)."] = ""
    service_terms_consent: Annotated[bool, "Customers must agree to its terms expressly."] = False
    service_terms_date: Annotated[
        str, "The day on which its terms last changed, such as 2026-01-31; needed with SERVICE_TERMS_CONSENT."
    ] = ""
    dataset_name: Annotated[str, "Name of the open dataset."] = "Sessions and facilities"
    dataset_description: Annotated[str, "Description of the open dataset."] = (
        "Sessions and facilities that can be booked."
    )
    publisher_name: Annotated[str, "The publisher of the dataset. If empty, SERVICE_NAME."] = ""
    publisher_legal_name: Annotated[str, "The publisher's legal name. If empty, its name."] = ""
    publisher_url: Annotated[str, "The publisher's website. If empty, SERVICE_URL, or else the base URL."] = (
        ""
    )
    publisher_email: Annotated[str, "Email address for questions about the dataset."] = ""
    publisher_logo_url: Annotated[str, "The publisher's logo. If empty, the icon of this service."] = ""
    discussion_url: Annotated[str, "URL for questions about the dataset."] = (
        "https://github.com/openactive/open-booking-api/issues"
    )
    certificate_url: Annotated[
        str, "URL of the conformance certificate of the OpenActive Test Suite, linked from the dataset site."
    ] = ""
    parked_days: Annotated[
        int, "How many days a stream record that cannot be published is kept, with its content."
    ] = 30
    journal_days: Annotated[int, "How many days the entries of the journal are kept."] = 400
    people_days: Annotated[
        int,
        "How many days after the last of its sessions has ended an Order keeps the details of people. After that they "
        "are erased; what was booked and paid is kept. 0: until they are erased by command.",
    ] = 730
    report_days: Annotated[
        int, "How many days the daily reports of each Seller are kept. 0: none are made."
    ] = 400
    time_zone: Annotated[str, "The time zone of the days in reports, such as Europe/London."] = (
        "Europe/London"
    )
    log_level: Annotated[str, "Lowest level that is logged."] = "INFO"
    metrics: Annotated[bool, "Write metrics to the log in CloudWatch's format."] = True

    @property
    def stage(self) -> str:
        """The stage that metrics name: `prod` for tables named `openbooking-prod-...` (infra/tables.json)."""
        return self.table_prefix.removeprefix("openbooking-") or self.table_prefix

    @property
    def ways(self) -> tuple[str, ...]:
        """How callers authenticate, in the order in which it is tried."""
        named = {way.strip() for way in self.authentication.split(",")}
        return tuple(way for way in WAYS if way in named)

    @property
    def support(self) -> str:
        """The contact for help; empty if there is none."""
        return self.service_support or self.publisher_email

    @property
    def rate_exceptions(self) -> dict[str, int]:
        """Requests a minute for partners that have their own limit."""
        pairs = [pair.partition("=") for pair in self.rate_limits.split(",") if pair.strip()]
        return {partner.strip(): int(number) for partner, _, number in pairs}

    @property
    def lease_for(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def lease_longest(self) -> timedelta:
        return timedelta(seconds=self.lease_longest_seconds or 2 * self.lease_seconds)

    @property
    def partner_limits(self) -> PartnerLimits:
        return PartnerLimits(
            anonymous_lease_spaces=self.anonymous_lease_spaces,
            lease_spaces=self.lease_spaces,
            partner_leases=self.partner_leases,
            partner_proposals=self.partner_proposals,
            partner_spaces=self.partner_spaces,
        )

    @property
    def reconciliation(self) -> dict[str, Any]:
        """The properties of Payment that are checked, with the value each must have (PAY-04)."""
        wanted = {
            "name": self.reconciliation_name,
            "accountId": self.reconciliation_account_id,
            "paymentProviderId": self.reconciliation_payment_provider_id,
        }
        return {name: value for name, value in wanted.items() if value}


# What decides about a booking, in whichever process: commands take these from the server or stage they work on.
RULES = (
    *("anonymous_leasing", "named_leasing", "lease_seconds", "lease_longest_seconds"),
    *("proposal_answer_seconds", "proposal_booking_seconds", "prepayment", "business_tax", "reconciliation"),
    *("anonymous_lease_spaces", "lease_spaces", "partner_leases", "partner_proposals", "partner_spaces"),
)


def rules_in(environment: Mapping[str, str]) -> dict[str, str | None]:
    """The variables in `environment` that set RULES; None for each that is not set and has its default."""
    return {name.upper(): environment.get(name.upper()) for name in RULES}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from `environment`. Raises SettingsError with the variable's name."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        name = item.name.upper()
        if name in environment:
            values[item.name] = _parse(name, environment[name].strip(), type(item.default))
    settings = Settings(**values)
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    named = [way.strip() for way in settings.authentication.split(",")]
    if unknown := [way for way in named if way not in WAYS]:
        raise SettingsError(f"AUTHENTICATION may be any of {', '.join(WAYS)}, not {unknown[0]!r}.")
    if settings.production and (settings.test_interface or "headers" in settings.ways):
        raise SettingsError("TEST_INTERFACE and AUTHENTICATION by headers must be off in production.")
    if settings.production and "openid" in settings.ways and not settings.signing_kms_key:
        raise SettingsError("AUTHENTICATION by openid needs SIGNING_KMS_KEY in production.")
    if "issuer" in settings.ways and not (settings.issuer and settings.issuer_audience):
        raise SettingsError("AUTHENTICATION by issuer needs ISSUER and ISSUER_AUDIENCE.")
    if settings.issuer and not _is_secure(settings.issuer, settings.production):
        raise SettingsError("ISSUER must be an https URL, or http on localhost outside production.")
    if settings.service_terms_date and not _is_date(settings.service_terms_date):
        raise SettingsError("SERVICE_TERMS_DATE must be a date such as 2026-01-31.")
    if settings.service_terms_consent and not (settings.service_terms_url and settings.service_terms_date):
        raise SettingsError("SERVICE_TERMS_CONSENT needs SERVICE_TERMS_URL and SERVICE_TERMS_DATE.")
    for name in (
        "lease_seconds",
        "proposal_answer_seconds",
        "proposal_booking_seconds",
        "access_token_seconds",
        "refresh_token_days",
        "parked_days",
        "journal_days",
    ):
        if getattr(settings, name) < 1:
            raise SettingsError(f"{name.upper()} must be at least 1.")
    if 0 < settings.lease_longest_seconds < settings.lease_seconds:
        raise SettingsError("LEASE_LONGEST_SECONDS must be at least LEASE_SECONDS, or 0.")
    for name in (
        "lease_longest_seconds",
        "anonymous_lease_spaces",
        "lease_spaces",
        "partner_leases",
        "partner_proposals",
        "partner_spaces",
        "people_days",
        "report_days",
    ):
        if getattr(settings, name) < 0:
            raise SettingsError(f"{name.upper()} must not be below 0.")
    for name in ("base_url", "dynamodb_url", "pass_base_url", "open_feeds_url", "issuer", "certificate_url"):
        if (url := getattr(settings, name)) and not _is_url(url):
            raise SettingsError(f"{name.upper()} must be an http or https URL.")
    for name in ("base_url", "open_feeds_url"):
        if getattr(settings, name).endswith("/"):
            raise SettingsError(f"{name.upper()} must not end with a slash.")
    try:
        limits = [settings.rate_limit, *settings.rate_exceptions.values()]
    except ValueError:
        raise SettingsError("RATE_LIMITS must read like partner-id=600,other-id=60.") from None
    if min(limits) < 0:
        raise SettingsError("RATE_LIMIT and RATE_LIMITS must not be below 0.")


def _is_secure(url: str, production: bool) -> bool:
    """Whether what is fetched from there can be trusted: https, or this machine while it is developed on."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    local = parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (local and not production)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


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
