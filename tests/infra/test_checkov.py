"""checkov on every template, with the waivers of infra/checkov.yaml and their reasons."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from openbooking.deployment.front import front_template
from openbooking.deployment.project import Options
from openbooking.infra import templates
from openbooking.infra.alarms import WATCHED_OPTIONS, alarms_template
from openbooking.infra.backups import backups_template
from openbooking.infra.domain import Domain

ROOT = Path(__file__).resolve().parents[2]
CHECKOV = ROOT / ".venv-audit" / "bin" / "checkov"
CONFIG = ROOT / "infra" / "checkov.yaml"

installed = pytest.mark.skipif(
    not CHECKOV.exists() and not os.environ.get("CI"),
    reason="checkov is not installed: make .venv-audit/.set-up",
)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """The checks that fail without waivers: id and resource."""
    directory = tmp_path_factory.mktemp("templates")
    by_hand = (ROOT / "infra" / "pipeline" / "role.json", ROOT / "infra" / "deployer.json")
    for path in (templates.TABLES, templates.RELEASES, *by_hand):
        (directory / path.name).write_text(path.read_text())
    domain = Domain("booking.example.org", "arn:aws:acm:eu-west-2:123456789012:certificate/1", "a", "Z12345")
    for name, template in {
        "alarms": alarms_template(WATCHED_OPTIONS),
        "backups": backups_template(400),
        "front": front_template(Options(firewall=True, domain=domain)),
    }.items():
        (directory / f"{name}.json").write_text(json.dumps(template))
    options = ["--framework", "cloudformation", "--compact", "--quiet", "--output", "json"]
    done = subprocess.run(
        [str(CHECKOV), "--directory", str(directory), *options],
        capture_output=True,
        text=True,
        check=False,
        # It must not ask its makers anything.
        env={**os.environ, "BC_SKIP_MAPPING": "TRUE", "CKV_IGNORE_HIDDEN_DIRECTORIES": "false"},
    )
    found: Any = json.loads(done.stdout)
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["resource_count"] > 40
    return {(each["check_id"], each["resource"]) for each in found["results"]["failed_checks"]}


@installed
def test_only_what_is_waived_fails(failed: set[tuple[str, str]]) -> None:
    waived = set(yaml.safe_load(CONFIG.read_text())["skip-check"])
    assert {each for each in failed if each[0] not in waived} == set()


@installed
def test_every_waiver_is_needed(failed: set[tuple[str, str]]) -> None:
    assert set(yaml.safe_load(CONFIG.read_text())["skip-check"]) == {check for check, _ in failed}


def test_every_waiver_has_a_reason() -> None:
    lines = CONFIG.read_text().splitlines()
    waivers = [number for number, line in enumerate(lines) if line.strip().startswith("- CKV")]
    assert waivers
    for number in waivers:
        assert lines[number - 1].strip().startswith("#"), lines[number]
