"""Settings from an environment."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.domain.partner_limits import PartnerLimits
from chalicelib.runtime.settings import Settings, SettingsError, read_settings

ROOT = Path(__file__).resolve().parents[2]


def test_empty_environment_is_a_safe_installation() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert settings.ways == ("openid",)
    assert settings.anonymous_leasing
    assert settings.named_leasing
    assert settings.lease_for == timedelta(minutes=15)
    assert settings.reconciliation == {}


def test_each_setting_is_read_from_its_variable() -> None:
    settings = read_settings(
        {
            "TABLE_PREFIX": "openbooking-test",
            "AUTHENTICATION": " headers, api-keys ",
            "TEST_INTERFACE": " TRUE ",
            "RATE_LIMITS": "one=60, two=6000",
            "LEASE_SECONDS": "60",
            "BASE_URL": "https://booking.example/dev",
            "DYNAMODB_URL": "http://127.0.0.1:8000/",
            "RECONCILIATION_NAME": "AcmeBroker Points",
            "RECONCILIATION_ACCOUNT_ID": "SN1593",
            "SOMETHING_ELSE": "ignored",
        }
    )
    assert settings.table_prefix == "openbooking-test"
    assert settings.ways == ("api-keys", "headers")
    assert settings.test_interface
    assert settings.rate_exceptions == {"one": 60, "two": 6000}
    assert settings.lease_for == timedelta(minutes=1)
    assert settings.base_url == "https://booking.example/dev"
    assert settings.reconciliation == {"name": "AcmeBroker Points", "accountId": "SN1593"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEST_INTERFACE", "yes"),
        ("TEST_INTERFACE", ""),
        ("AUTHENTICATION", "passport"),
        ("AUTHENTICATION", ""),
        ("AUTHENTICATION", "issuer"),
        ("ISSUER", "issuer.example"),
        ("ISSUER", "http://issuer.example"),
        ("ISSUER", "file:///etc/issuer"),
        ("ACCESS_TOKEN_SECONDS", "0"),
        ("REFRESH_TOKEN_DAYS", "0"),
        ("RATE_LIMIT", "-1"),
        ("RATE_LIMITS", "partner"),
        ("RATE_LIMITS", "partner=many"),
        ("RATE_LIMITS", "partner=-1"),
        ("LEASE_SECONDS", "a minute"),
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "-1"),
        ("LEASE_LONGEST_SECONDS", "5"),  # LEASE_SECONDS has its default
        ("BASE_URL", "booking.example"),
        ("BASE_URL", "ftp://booking.example"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "http://["),
        ("BASE_URL", "https://booking.example/"),
        ("DYNAMODB_URL", "127.0.0.1:8000"),
        ("SERVICE_TERMS_DATE", "31 January 2026"),
        ("SERVICE_TERMS_DATE", "20260131"),
        ("SERVICE_TERMS_DATE", "2026-02-30"),
        ("SERVICE_TERMS_CONSENT", "true"),
    ],
)
def test_value_that_cannot_be_used_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_consent_to_terms_needs_the_terms_and_their_date() -> None:
    """TERMS-02."""
    terms = {"SERVICE_TERMS_URL": "https://a.example/terms", "SERVICE_TERMS_DATE": "2026-01-31"}
    assert read_settings(terms | {"SERVICE_TERMS_CONSENT": "true"}).service_terms_consent
    for missing in terms:
        with pytest.raises(SettingsError, match="SERVICE_TERMS_CONSENT needs"):
            read_settings(terms | {"SERVICE_TERMS_CONSENT": "true", missing: ""})


@pytest.mark.parametrize(
    "unsafe",
    [
        {"TEST_INTERFACE": "true"},
        {"AUTHENTICATION": "openid,headers"},
        {"SIGNING_KMS_KEY": ""},
        {"AUTHENTICATION": "issuer", "ISSUER": "http://localhost:9000", "ISSUER_AUDIENCE": "booking"},
    ],
    ids="+".join,
)
def test_production_refuses_what_belongs_to_development(unsafe: dict[str, str]) -> None:
    """TESTIF-07, AUTH-10: and the same is good elsewhere."""
    safe = {"PRODUCTION": "true", "SIGNING_KMS_KEY": "arn:aws:kms:eu-west-2:000000000000:key/1"}
    assert read_settings(safe).production
    with pytest.raises(SettingsError):
        read_settings(safe | unsafe)
    assert read_settings(safe | unsafe | {"PRODUCTION": "false"})


def test_limits_of_partners_have_defaults_and_can_be_turned_off() -> None:
    assert read_settings({}).partner_limits == PartnerLimits()
    off = dict.fromkeys(("ANONYMOUS_LEASE_SPACES", "LEASE_SPACES", "PARTNER_LEASES", "PARTNER_SPACES"), "0")
    assert read_settings(off).partner_limits == PartnerLimits(0, 0, 0, PartnerLimits().partner_proposals, 0)
    assert read_settings({"LEASE_SECONDS": "60"}).lease_longest == timedelta(seconds=120)
    longest = {"LEASE_SECONDS": "60", "LEASE_LONGEST_SECONDS": "90"}
    assert read_settings(longest).lease_longest == timedelta(seconds=90)


@pytest.mark.parametrize("name", ["LEASE_SPACES", "PARTNER_PROPOSALS", "LEASE_LONGEST_SECONDS"])
def test_limits_of_partners_must_not_be_negative(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: "-1"})


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_code_starts_with_the_settings_of_the_release_before_and_of_the_one_after(stage: str) -> None:
    """While a stage is deployed: Chalice updates a function's code before its settings."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    given = config["stages"][stage]["environment_variables"] | {"SIGNING_KMS_KEY": "key"}
    later = given | {"A_SETTING_OF_A_LATER_RELEASE": "1"}
    assert read_settings(later) == read_settings(given)
    # What every release of a stage has set: which tables are its own, and the key without which it does not start.
    for name in given.keys() - {"TABLE_PREFIX", "SIGNING_KMS_KEY"}:
        earlier = {key: value for key, value in given.items() if key != name}
        assert read_settings(earlier).stage == stage
