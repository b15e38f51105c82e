"""The configuration for the official test suite agrees with itself and with this system's settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.identifiers import outward
from chalicelib.runtime.settings import Settings, read_settings
from chalicelib.runtime.system import install
from chalicelib.values import fields
from openbooking.conformance.profiles import PROFILES, UnknownOverlayError, add_identities, overlays, profile
from tests.support.oauth import CHEAP
from tests.support.world import World

URL = "http://localhost:8000"
EVERY = [[], *([name] for name in overlays())]


def built(names: list[str], tmp_path: Path) -> Any:
    return profile(names, url=URL, output=tmp_path)


def test_there_are_overlays() -> None:
    assert {"simple-flow", "approval-flow", "random", "change-of-logistics"} <= set(overlays())


@pytest.mark.parametrize("names", EVERY, ids=lambda names: "+".join(names) or "base")
def test_each_profile_sets_only_settings_there_are_and_leaves_no_mark(
    names: list[str], tmp_path: Path
) -> None:
    made = built(names, tmp_path)
    assert set(made.server) <= {item.name.upper() for item in fields(Settings)}
    settings = read_settings(made.server)
    assert settings.test_interface
    text = json.dumps(made.suite)
    assert "{url}" not in text
    assert "{output}" not in text


@pytest.mark.parametrize("names", EVERY, ids=lambda names: "+".join(names) or "base")
def test_suite_and_server_agree_about_payments(names: list[str], tmp_path: Path) -> None:
    made = built(names, tmp_path)
    features = made.suite["integrationTests"]["implementedFeatures"]
    details = made.suite["sellers"]["primary"]["paymentReconciliationDetails"]
    assert details
    is_checked = features.get("payment-reconciliation-detail-validation", True)  # the suite's default
    assert read_settings(made.server).reconciliation == (details if is_checked else {})


def test_without_reconciliation_the_suite_sends_details_that_are_ignored(tmp_path: Path) -> None:
    """A test of the suite sends them to see that they are ignored, and cannot run without."""
    made = built(["no-payment-reconciliation"], tmp_path)
    assert made.suite["sellers"] == built([], tmp_path).suite["sellers"]
    assert read_settings(made.server).reconciliation == {}


def test_without_tax_calculation_no_feature_of_tax_is_claimed(tmp_path: Path) -> None:
    made = built(["no-tax-calculation"], tmp_path)
    features = made.suite["integrationTests"]["implementedFeatures"]
    taxed = {name: claimed for name, claimed in features.items() if "tax-calculation" in name}
    assert taxed == {
        f"business-to-{customer}-tax-calculation-{mode}": False
        for customer in ("consumer", "business")
        for mode in ("net", "gross")
    }
    assert not read_settings(made.server).business_tax


def test_the_types_in_scope_are_those_the_suite_books(tmp_path: Path) -> None:
    assert built([], tmp_path).types_in_scope == {"ScheduledSession", "IndividualFacilityUseSlot"}
    assert built(["facility-use-slots"], tmp_path).types_in_scope == {"ScheduledSession", "FacilityUseSlot"}


@pytest.mark.parametrize("names", EVERY, ids=lambda names: "+".join(names) or "base")
def test_approval_is_claimed_exactly_where_it_is_in_scope(names: list[str], tmp_path: Path) -> None:
    tests = built(names, tmp_path).suite["integrationTests"]
    claimed = tests["implementedFeatures"].get("minimal-proposal", True)  # the suite's default
    assert claimed is tests["bookingFlowsInScope"]["OpenBookingApprovalFlow"]


def test_what_authenticates_a_partner_otherwise_is_switched_off_and_not_left_out(tmp_path: Path) -> None:
    partners = built([], tmp_path).suite["broker"]["bookingPartners"]
    for partner in partners.values():
        authentication = partner["authentication"]
        assert authentication["initialAccessToken"] is authentication["clientCredentials"] is None
        assert authentication["ordersFeedRequestHeaders"]


def test_reports_go_where_they_are_wanted_whatever_the_suites_directory(tmp_path: Path) -> None:
    suite = built([], tmp_path).suite
    for part in ("broker", "integrationTests"):
        assert Path(suite[part]["outputPath"]).is_absolute()
        assert suite[part]["outputPath"].endswith("/")


def test_the_url_may_end_in_a_slash(tmp_path: Path) -> None:
    suite = profile([], url=f"{URL}/", output=tmp_path).suite
    assert suite["broker"]["datasetSiteUrl"] == f"{URL}/openactive"


def test_an_overlay_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    base, over = built([], tmp_path).suite, built(["single-seller"], tmp_path).suite
    assert over["sellers"]["secondary"] is None
    assert over["sellers"]["primary"] == base["sellers"]["primary"]
    assert over["broker"] == base["broker"]


def test_a_later_overlay_wins(tmp_path: Path) -> None:
    def leased_at_c2(*names: str) -> str:
        server: dict[str, str] = built(list(names), tmp_path).server
        return server.get("NAMED_LEASING", "true")

    assert leased_at_c2("named-leasing", "no-leasing") == "false"
    assert built(["base"], tmp_path) == built([], tmp_path)


def test_an_unknown_overlay_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownOverlayError, match="approval-flow"):
        built(["no-such-thing"], tmp_path)


def test_each_file_says_what_it_is_for() -> None:
    for path in PROFILES.glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        assert {"about", "server", "suite"} <= set(document) <= {"about", "server", "suite", "identities"}
        assert document["about"].endswith(".")


def test_with_openid_those_are_known_whom_the_suite_calls_as(tmp_path: Path) -> None:
    made = built(["openid"], tmp_path)
    world = World()
    world.set(authentication="openid")
    system = world.system
    system.passwords = CHEAP
    for _ in range(2):  # an engine that keeps data is seeded at every start
        add_identities(made, system)
    install(None)
    partners = made.suite["broker"]["bookingPartners"]
    credentials = partners["secondary"]["authentication"]["clientCredentials"]
    partner = system.credentials.partner(credentials["clientId"])
    assert partner is not None
    assert system.credentials.has_secret(partner, credentials["clientSecret"])
    assert system.credentials.invitation(partners["primary"]["authentication"]["initialAccessToken"])
    for seller in made.suite["sellers"].values():
        login = system.logins.sign_in(**seller["authentication"]["loginCredentials"], address="127.0.0.1")
        (allowed,) = login.seller_ids
        assert outward(allowed, URL) == seller["@id"]
