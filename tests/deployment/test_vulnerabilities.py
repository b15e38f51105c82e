"""Known vulnerabilities: what is reported, and what a waiver covers. No test asks the database."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from openbooking.deployment.vulnerabilities import (
    LOCK,
    WAIVERS,
    AuditFailedError,
    BadWaiverError,
    Waiver,
    audit,
    faults,
    waivers_in,
)

TODAY = date(2026, 11, 27)
FOUND = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-12345"], "fix_versions": ["50.0.3"]}
CLEAN: dict[str, Any] = {"dependencies": [{"name": "six", "version": "1.17.0", "vulns": []}]}
# As pip-audit 2.10 writes it.
REPORT = {
    "dependencies": [
        *CLEAN["dependencies"],
        {"name": "cryptography", "version": "50.0.2", "vulns": [FOUND]},
    ],
    "fixes": [],
}


def waiver(id: str = "CVE-2026-12345", until: date = TODAY) -> Waiver:
    return Waiver(id, "Not used.", until)


def test_a_finding_names_the_package_the_advisory_and_the_version_that_fixes_it() -> None:
    assert list(faults(REPORT, [], TODAY)) == [
        "cryptography 50.0.2: PYSEC-2026-1 (CVE-2026-12345), fixed in 50.0.3"
    ]


def test_a_waiver_covers_any_name_of_the_advisory_until_its_last_day() -> None:
    for name in ("CVE-2026-12345", "PYSEC-2026-1"):
        assert list(faults(REPORT, [waiver(name)], TODAY)) == []
    (line,) = faults(REPORT, [waiver(until=date(2026, 11, 26))], TODAY)
    assert line.startswith("cryptography 50.0.2:")
    assert line.endswith("; its waiver ended on 2026-11-26")


def test_a_waiver_of_nothing_is_to_be_removed() -> None:
    assert list(faults(CLEAN, [waiver()], TODAY)) == [
        "CVE-2026-12345 is waived, but no package needs that: remove the waiver"
    ]


def test_a_package_that_was_not_checked_is_a_fault() -> None:
    ours = {"name": "ours", "skip_reason": "not on PyPI"}
    some = {"dependencies": [ours, *CLEAN["dependencies"]]}
    assert list(faults(some, [], TODAY)) == ["ours could not be checked: not on PyPI"]
    # An index without PyPI's advisories: one line, not one for each package.
    assert list(faults({"dependencies": [ours, ours]}, [], TODAY)) == [
        "No package could be checked: not on PyPI"
    ]
    assert list(faults({"dependencies": []}, [], TODAY)) == [
        "No package could be checked: the lock file names none"
    ]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "not a list"),
        ([{"id": "CVE-1", "until": "2027-01-31"}], "needs id, reason and until"),
        ([{"id": "CVE-1", "reason": " ", "until": "2027-01-31"}], "needs a text"),
        ([{"id": "CVE-1", "reason": "Not used.", "until": "soon"}], "soon of CVE-1 is not a day"),
    ],
)
def test_a_waiver_has_a_reason_and_an_end(document: Any, says: str) -> None:
    with pytest.raises(BadWaiverError, match=says):
        waivers_in(document)


def test_the_waivers_of_this_project_are_valid_and_the_lock_is_all_with_hashes() -> None:
    waivers_in(json.loads(WAIVERS.read_text()))
    entries = [line for line in LOCK.read_text().splitlines() if line and not line.startswith(" ")]
    assert all("==" in line and line.endswith("\\") for line in entries)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'Connection refused' >&2; exit 1", "Connection refused"),
        ("exit 2", "pip-audit said nothing"),
    ],
)
def test_a_check_that_did_not_happen_is_not_a_success(tmp_path: Path, script: str, says: str) -> None:
    broken = tmp_path / "pip-audit"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    with pytest.raises(AuditFailedError, match=says):
        audit(broken, LOCK)
    with pytest.raises(AuditFailedError, match="not installed"):
        audit(tmp_path / "nothing", LOCK)


def test_the_report_is_read_also_if_something_was_found(tmp_path: Path) -> None:
    finding = tmp_path / "pip-audit"
    finding.write_text(f"#!/bin/sh\necho '{json.dumps(REPORT)}'\nexit 1\n")
    finding.chmod(0o755)
    assert audit(finding, LOCK) == REPORT
