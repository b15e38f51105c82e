"""The stacks that options add, on a simulated AWS: made, changed, protected again, and taken away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openbooking.deployment import observation, rehearsal
from openbooking.deployment.deploy import Aws, Stage
from openbooking.deployment.executor import Executor
from openbooking.deployment.imitation import imitation_of_aws
from openbooking.deployment.place import OtherAccountError, OtherRegionError, require_place
from openbooking.deployment.planner import Step
from openbooking.deployment.project import Place
from openbooking.deployment.stacks import Stacks
from openbooking.infra.templates import ROOT

MOTO_ACCOUNT = "123456789012"
CERTIFICATE = f"arn:aws:acm:{rehearsal.REGION}:{MOTO_ACCOUNT}:certificate/1"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with imitation_of_aws() as url:
        yield rehearsal.aws_at(url)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / ".chalice", tmp_path / ".chalice", ignore=shutil.ignore_patterns("deployed"))
    return tmp_path


def choose(source: Path, **entry: Any) -> None:
    path = source / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"]["dev"] |= entry
    path.write_text(json.dumps(config))


class Laptop:
    """Takes the steps to all stacks of `dev`, and notes them."""

    def __init__(self, aws: Aws, source: Path) -> None:
        self._executor = Executor(aws.client, lambda line: None)
        self.stacks = Stacks("dev", aws.client("cloudformation"), source)
        self.cloudformation = aws.client("cloudformation")

    def deploy(self) -> list[str]:
        taken: list[Step] = []
        for plan in (
            self.stacks.releases,
            lambda: self.stacks.data({}),
            self.stacks.backups,
            lambda: self.stacks.front("abc", "dev"),
            lambda: self.stacks.alarms({}),
        ):
            steps = plan()
            self._executor.execute(steps)
            taken += steps
        return [str(each).replace("openbooking-dev-", "") for each in taken]

    def template(self, name: str) -> Any:
        found = observation.found_stack(self.cloudformation, f"openbooking-dev-{name}")
        return found and json.loads(found.template)


def test_options_make_stacks_of_their_own_and_are_taken_back(aws: Aws, source: Path) -> None:
    laptop = Laptop(aws, source)
    assert laptop.deploy() == [
        "create the stack releases",
        "create the stack data",
        "create the stack alarms",
    ]
    zone = aws.client("route53").create_hosted_zone(Name="example.org", CallerReference="1")
    domain = {
        "name": "booking.example.org",
        "certificate": CERTIFICATE,
        "base_path": "sports",
        "hosted_zone": zone["HostedZone"]["Id"].rpartition("/")[2],
    }
    choose(source, options={"firewall": True, "backup_days": 400, "domain": domain})
    assert laptop.deploy() == [
        "create the stack backups",
        "create the stack front",
        "update the stack alarms",
    ]
    assert laptop.deploy() == []
    assert "FirewallBlocking" in laptop.template("alarms")["Resources"]
    assert laptop.template("front")["Resources"].keys() == {
        *("Firewall", "FirewallOfApi", "Domain", "DomainMapping", "DomainRecord")
    }
    assert observation.found_stack(laptop.cloudformation, "openbooking-dev-backups").protected  # type: ignore[union-attr]

    # Without the option the backups are left alone: only 0 ends them.
    choose(source, options={"domain": {**domain, "base_path": ""}})
    assert laptop.deploy() == ["update the stack front", "update the stack alarms"]
    choose(source, options={"backup_days": 0})
    assert laptop.deploy() == ["update the stack backups", "delete the stack front"]
    assert laptop.template("backups")["Resources"].keys() == {"BackupVault", "BackupRole"}
    assert laptop.template("front") is None
    choose(source, options={"backup_days": 90})
    assert laptop.deploy() == ["update the stack backups"]


def test_a_protection_that_somebody_has_switched_off_is_set_again(aws: Aws, source: Path) -> None:
    laptop = Laptop(aws, source)
    laptop.deploy()
    laptop.cloudformation.update_termination_protection(
        StackName="openbooking-dev-data", EnableTerminationProtection=False
    )
    assert laptop.deploy() == ["protect the stack data from being deleted"]
    assert laptop.deploy() == []


# --- accounts and regions ---------------------------------------------------------------------


def test_a_stage_without_a_place_may_be_anywhere_and_nothing_is_asked() -> None:
    require_place("dev", Place(), lambda service: pytest.fail(f"{service} is asked"))


def test_a_stage_is_worked_on_in_its_own_account_and_region_only(aws: Aws) -> None:
    require_place("dev", Place(MOTO_ACCOUNT, rehearsal.REGION), aws.client)
    with pytest.raises(OtherAccountError) as other:
        require_place("dev", Place("210987654321"), aws.client)
    assert str(other.value) == (
        "These AWS credentials belong to another account than the stage: dev is in 210987654321, and they are of "
        "123456789012: set AWS_PROFILE to a profile of 210987654321, or correct `account` in .chalice/config.json."
    )
    with pytest.raises(
        OtherRegionError, match="dev is in eu-west-1, not in eu-west-2: set AWS_REGION=eu-west-1"
    ):
        require_place("dev", Place(region="eu-west-1"), aws.client)


@pytest.mark.parametrize("command", ["deploy", "plan", "rollback", "releases", "unlock"])
def test_every_command_on_a_stage_refuses_another_account(aws: Aws, source: Path, command: str) -> None:
    choose(source, account="210987654321")
    stage = Stage("dev", aws, source=source, build=source / "build", python=rehearsal.PYTHON)
    with pytest.raises(OtherAccountError):
        getattr(stage, command)()
    assert not (source / "build").exists()


def test_a_stage_of_another_account_is_not_removed(aws: Aws, source: Path) -> None:
    from openbooking.deployment.removal import remove

    choose(source, account="210987654321")
    stage = Stage("dev", aws, source=source, build=source / "build", python=rehearsal.PYTHON)
    with pytest.raises(OtherAccountError):
        remove(stage, with_data=True)
