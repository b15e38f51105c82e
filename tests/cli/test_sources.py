"""`openbooking sources`, and imports into a stage: on a simulated AWS, from a site on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importing.site import SELLER, OperatorSite, series, served, session
from tests.support.terminal import Terminal

REGION = "eu-west-2"
PRIVATE = "--allow-private-addresses"


@pytest.fixture
def site() -> Iterator[OperatorSite]:
    site = OperatorSite()
    site.publish(series(1), session(1, of=1), session(2, of=1))
    with served(site):
        yield site


def on_sale(stage: Terminal, site: OperatorSite) -> int:
    return sum(not each.deleted for each in stage.system.store.imported_from(site.url))


def test_a_source_is_added_shown_run_and_removed(stage: Terminal, site: OperatorSite, tmp_path: Path) -> None:
    defaults = tmp_path / "acme.toml"
    defaults.write_text('counter = "shared"\nmax_leaving = 0.5\n')
    added = stage.says(
        "sources", "add", "acme", site.url, "--defaults", str(defaults), PRIVATE, "--every", "30"
    )
    assert (
        added == f"Source acme: the schedule imports {site.url} every 30 minutes, at first within a minute.\n"
    )
    assert "not imported yet" in stage.says("sources", "list")
    report = stage.says("sources", "run", "acme")
    assert "Reading ScheduledSession: 2" in report and "Updating the inventory: 3" in report
    assert on_sale(stage, site) == 3
    site.publish(session(3, of=1))
    site.delete(session(1, of=1))
    stage.says("sources", "run", "acme")
    (row,) = json.loads(stage.says("sources", "list", "--json"))
    assert (row["name"], row["every"]) == ("acme", "30 min")
    assert {"1 added", "1 withdrawn", "2 unchanged"} <= set(row["result"].split(", "))
    shown = json.loads(stage.says("sources", "show", "acme", "--json"))
    assert shown["counter"] == "shared"
    lines = stage.says("sources", "show", "acme").splitlines()
    assert ["counter:", "shared"] in [line.split() for line in lines]
    assert "The source has nothing new." in stage.says("sources", "run", "acme")
    again = stage.says("sources", "add", "acme", site.url, PRIVATE, "--every", "1")
    assert f"imports {site.url} every minute, at first" in again
    assert json.loads(stage.says("sources", "show", "acme", "--json"))["counter"] == "ours"
    stage.says("sources", "remove", "acme")
    assert stage.says("sources", "list") == "There are no sources.\n"
    assert on_sale(stage, site) == 3


def test_too_much_that_leaves_needs_a_confirmation(stage: Terminal, site: OperatorSite) -> None:
    stage.says("sources", "add", "acme", site.url, PRIVATE)
    stage.says("sources", "run", "acme")
    site.delete(session(1, of=1))
    assert "1 of the 2 opportunities on sale (50 %) would leave sale" in stage.refuses(
        "sources", "run", "acme"
    )
    assert "would leave sale" in stage.says("sources", "list", "--json")
    stage.says("sources", "run", "acme", "--confirm-leaving")
    assert on_sale(stage, site) == 2


def test_what_is_unknown_or_invalid_is_refused(stage: Terminal, site: OperatorSite, tmp_path: Path) -> None:
    assert "There is no source other" in stage.refuses("sources", "run", "other")
    assert "There is no source other" in stage.refuses("sources", "remove", "other")
    assert "is not an http or https URL" in stage.refuses("sources", "add", "acme", "ftp://site")
    assert "must be a fraction" in stage.refuses("sources", "add", "acme", site.url, "--vat-rate", "20")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("counter = 1")
    assert "counter is one of ours, shared, source" in stage.refuses(
        "sources", "add", "acme", site.url, "--defaults", str(wrong)
    )


def test_a_site_is_imported_into_a_stage_with_progress(stage: Terminal, site: OperatorSite) -> None:
    preview = stage.says("import", "rpde", site.url, PRIVATE, "--dry-run")
    assert "Dry run: nothing was written." in preview and on_sale(stage, site) == 0
    report = stage.says("import", "rpde", site.url, PRIVATE)
    assert "Updating the inventory: 3" in report
    assert on_sale(stage, site) == 3
    assert stage.system.store.seller(SELLER["@id"]) is not None


def test_following_excludes_what_only_one_import_can_have(stage: Terminal, site: OperatorSite) -> None:
    assert "--follow cannot be combined" in stage.refuses("import", "rpde", site.url, "--follow", "--dry-run")
