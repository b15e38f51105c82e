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
        match=r"snapstart; there are: access_logs, cached_feeds, gradual, http_api, platform_logs, snap_start",
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
