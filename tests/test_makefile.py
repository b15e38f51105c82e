"""What each `make` command runs, as `make --dry-run` prints it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "run",
    "demo",
    "test",
    "prove",
    "lint",
    "audit",
    "certify",
    "bench",
    "package",
    "rehearse",
    "plan",
    "deploy",
    "rollback",
    "releases",
    "unlock",
    "remove",
    "lock",
    "clean",
)


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = (
        *(
            "PORT",
            "PYTHON",
            "STAGE",
            "ALARM_EMAIL",
            "QUIET_HOURS",
            "MONTHLY_BUDGET",
            "DRIFT",
            "RELEASE",
            "DATA",
        ),
        *("MAKEFLAGS", "MAKELEVEL", "MFLAGS"),
    )
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def plan(*arguments: str, **variables: str) -> list[str]:
    done = make("--dry-run", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_make_alone_lists_the_commands() -> None:
    listed = re.findall(r"^  make (\w+)\t\S.*\.$", make().stdout, re.MULTILINE)
    assert listed == ["help", *COMMANDS]


@pytest.mark.parametrize("command", ["run", "demo"])
def test_what_only_runs_is_set_up_without_the_tools(command: str) -> None:
    assert plan(command)[0] == "sh scripts/set-up.sh run"


@pytest.mark.parametrize("command", ["test", "lint", "bench", "package", "rehearse", "deploy"])
def test_whatever_else_there_is_sets_up_the_tools_first(command: str) -> None:
    planned = plan(command, STAGE="dev")
    assert planned[0] == "sh scripts/set-up.sh dev"
    assert planned.count("sh scripts/set-up.sh dev") == 1


@pytest.mark.parametrize(
    ("command", "variables", "run"),
    [
        ("run", {}, ".venv/bin/openbooking serve --port '8000'"),
        ("run", {"PORT": "9000"}, ".venv/bin/openbooking serve --port '9000'"),
        ("run", {"PORT": "a b"}, ".venv/bin/openbooking serve --port 'a b'"),
        ("demo", {}, ".venv/bin/openbooking demo "),
        ("demo", {"PORT": "8000"}, ".venv/bin/openbooking demo --port '8000'"),
    ],
)
def test_port_is_passed_on(command: str, variables: dict[str, str], run: str) -> None:
    assert plan(command, **variables)[-1] == run
    assert plan(command, *(f"{name}={value}" for name, value in variables.items()))[-1] == run


ON_A_STAGE = ("plan", "deploy", "rollback", "releases", "unlock", "remove")


@pytest.mark.parametrize("command", ON_A_STAGE)
def test_a_command_on_a_stage_without_a_stage_is_refused(command: str) -> None:
    recipe = plan(command)
    assert any(f"Name the stage: make {command} STAGE=dev" in line for line in recipe)
    assert plan(command, "STAGE=dev")[-1].rstrip().endswith(f"openbooking stage {command} --stage dev")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("deploy", "ALARM_EMAIL=alarms@example.org"), "--alarm-email 'alarms@example.org'"),
        (("plan", "QUIET_HOURS=0", "MONTHLY_BUDGET=200"), "--quiet-hours 0 --monthly-budget 200"),
        (("deploy", "DRIFT=keep"), "--drift keep"),
        (("rollback", "RELEASE=0007", "DRIFT=repair"), "--release 0007 --drift repair"),
        (("remove", "DATA=delete"), "--data"),
        (("remove", "DATA=keep"), ""),
    ],
)
def test_what_a_command_on_a_stage_is_given_is_passed_on(arguments: tuple[str, ...], options: str) -> None:
    command = plan(*arguments, "STAGE=dev")[-1].split()
    expected = f".venv/bin/openbooking stage {arguments[0]} --stage dev {options}".split()
    assert command == expected


def test_a_certification_without_a_checkout_is_refused() -> None:
    assert any("Name a checkout of the suite" in line for line in plan("certify"))


def test_runs_and_features_are_passed_on() -> None:
    recipe = plan(
        "certify", "SUITE=there", "RUNS=random controlled.no-auth", "FEATURES=core", "OPTIONS=--again"
    )
    assert recipe[-1].endswith(
        "openbooking certify --suite 'there' --run random --run controlled.no-auth --feature core --again"
    )
