"""What a stage chooses in .chalice/config.json, and what becomes of it in the project that Chalice gets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from openbooking.deployment import project
from openbooking.deployment.packaging import MACHINES, _runs_on_lambda
from openbooking.infra.templates import FUNCTIONS, ROOT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The settings and policies of this project, to change."""
    shutil.copytree(
        ROOT / ".chalice", tmp_path / "source" / ".chalice", ignore=shutil.ignore_patterns("deployed")
    )
    (tmp_path / "source" / "chalicelib").mkdir()
    for name in project.SHIPPED:
        (tmp_path / "source" / name).write_text("")
    return tmp_path / "source"


def choose(source: Path, **settings: Any) -> None:
    path = source / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"]["dev"] |= settings
    path.write_text(json.dumps(config))


def assembled(source: Path, tmp_path: Path) -> Path:
    return project.assemble(tmp_path / "build", "dev", source=source)


def statements(built: Path) -> dict[str, list[str]]:
    return {
        path.stem: [each["Sid"] for each in json.loads(path.read_text())["Statement"]]
        for path in (built / ".chalice").glob("policy-*.json")
    }


def test_without_choices_a_stage_has_the_usual_ones(source: Path) -> None:
    assert project.options_of("dev", source) == project.Options()
    assert project.architecture_of("dev", source) == "x86_64"
    assert set(project.concurrency_of("dev", source).values()) == {None}
    assert project.concurrency_of("prod", source)["orders_stream"] == 10


def test_an_unknown_option_is_refused_with_those_that_exist(source: Path) -> None:
    choose(source, options={"snapstart": True})
    with pytest.raises(
        project.UnknownOptionError,
        match=r"snapstart; there are: access_logs, backup_days, cached_feeds, domain, firewall, gradual, http_api",
    ):
        project.options_of("dev", source)


def test_options_do_not_reach_chalice(source: Path, tmp_path: Path) -> None:
    choose(source, options={"access_logs": True})
    assert project.options_of("dev", source).access_logs
    built = assembled(source, tmp_path)
    assert "options" not in json.loads((built / ".chalice" / "config.json").read_text())["stages"]["dev"]


def test_only_with_x_ray_may_every_function_send_traces(source: Path, tmp_path: Path) -> None:
    assert not any("Trace" in each for each in statements(assembled(source, tmp_path)).values())
    choose(source, xray=True)
    with_traces = statements(assembled(source, tmp_path))
    assert len(with_traces) == len(FUNCTIONS)
    assert all(each[-1] == "Trace" for each in with_traces.values())


def test_concurrency_is_chosen_for_a_function_in_a_stage(source: Path, tmp_path: Path) -> None:
    choose(source, lambda_functions={"orders_stream": {"reserved_concurrency": 3, "lambda_timeout": 9}})
    assert project.concurrency_of("dev", source)["orders_stream"] == 3
    built = assembled(source, tmp_path)
    project.set_concurrency(built, "dev", {"orders_stream": None, "lease_sweep": 2})
    config = json.loads((built / ".chalice" / "config.json").read_text())
    assert config["stages"]["dev"]["lambda_functions"] == {
        "orders_stream": {"lambda_timeout": 9},
        "lease_sweep": {"reserved_concurrency": 2},
    }
    assert config["lambda_functions"]["orders_stream"] == {"iam_policy_file": "policy-orders_stream.json"}


@pytest.mark.parametrize(
    ("platform", "architecture", "runs"),
    [
        ("manylinux2014_x86_64", "x86_64", True),
        ("manylinux2014_aarch64", "arm64", True),
        ("manylinux2014_aarch64", "x86_64", False),
        ("manylinux2014_x86_64", "arm64", False),
        ("any", "arm64", True),
        ("manylinux_2_99_aarch64", "arm64", False),
    ],
)
def test_libraries_must_be_of_the_architecture_of_the_stage(
    source: Path, platform: str, architecture: str, runs: bool
) -> None:
    choose(source, lambda_architecture=architecture)
    assert _runs_on_lambda(platform, MACHINES[project.architecture_of("dev", source)]) is runs


CERTIFICATE = "arn:aws:acm:eu-west-2:123456789012:certificate/1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"firewall": "yes"}, "firewall is 'yes'; write true or false"),
        ({"firewall": True, "http_api": True}, "firewall and http_api. AWS WAF cannot protect an HTTP API"),
        ({"backup_days": 35}, "backup_days is 35; write a number from 36 to 36500"),
        ({"backup_days": True}, "backup_days is True"),
        ({"backup_days": "400"}, "backup_days is '400'"),
        ({"domain": {"name": "a.example"}}, "domain has no certificate"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_with_the_reason(
    source: Path, options: Any, says: str
) -> None:
    choose(source, options=options)
    with pytest.raises(project.BadOptionError, match=says):
        project.options_of("dev", source)


@pytest.mark.parametrize("days", [36, 36_500, 0])
def test_backups_may_be_kept_for_longer_than_recovery_reaches_or_end(source: Path, days: int) -> None:
    choose(source, options={"backup_days": days})
    assert project.options_of("dev", source).backup_days == days


def test_the_domain_sets_the_base_url_unless_the_stage_does(source: Path, tmp_path: Path) -> None:
    choose(source, options={"domain": {"name": "a.example", "certificate": CERTIFICATE, "base_path": "b"}})
    assert project.variables_of("dev", source)["BASE_URL"] == "https://a.example/b"
    assert project.variables_in(assembled(source, tmp_path), "dev")["BASE_URL"] == "https://a.example/b"
    assert "BASE_URL" not in project.variables_of("prod", source)
    variables = {**project.variables_of("dev", source), "BASE_URL": "https://old.example"}
    choose(source, environment_variables=variables)
    assert project.variables_of("dev", source)["BASE_URL"] == "https://old.example"


def test_a_place_is_an_account_and_a_region_and_does_not_reach_chalice(source: Path, tmp_path: Path) -> None:
    assert project.place_of("dev", source) == project.Place()
    choose(source, account="123456789012", region="eu-west-2")
    assert project.place_of("dev", source) == project.Place("123456789012", "eu-west-2")
    config = json.loads((assembled(source, tmp_path) / ".chalice" / "config.json").read_text())
    assert not config["stages"]["dev"].keys() & {"account", "region", "options"}
    for wrong in ({"account": "1234"}, {"region": "London"}):
        choose(source, **{"account": "123456789012", "region": "eu-west-2"} | wrong)
        with pytest.raises(project.BadOptionError, match=f"{next(iter(wrong))} is '"):
            project.place_of("dev", source)
