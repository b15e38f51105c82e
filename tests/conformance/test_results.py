"""The runs of a certification, the suite's counts, and the table of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openbooking.conformance.profiles import profile
from openbooking.conformance.results import (
    PROFILES,
    RUNS,
    Result,
    Run,
    as_markdown,
    as_text,
    chosen,
    counts,
    finished,
    is_same,
    save,
)

OUTPUT = """
OrdersFeed | 3 items | Status: Harvesting Complete
\x1b[32m.\x1b[39m\x1b[31mF\x1b[39m

\x1b[37mRan 1203 tests in 8m 4.220s\x1b[39m
\x1b[32m✅ 1199 passing\x1b[39m
\x1b[31m❌ 3 failing\x1b[39m
\x1b[33m– 1 pending\x1b[39m
"""


def a_result(**changes: object) -> Result:
    return Result(
        **{
            "run": "random.no-auth",
            "date": "2026-11-26",
            "commit": "995cb492",
            "strict": True,
            "checks": 23_027,
            "passed": 23_027,
            "failed": 0,
            "pending": 0,
            "minutes": 8.4,
            "exit_code": 0,
            "certificate": True,
            "substitutes": False,
            "engine": "Dynoxide",
            **changes,
        }  # type: ignore[arg-type]
    )


def test_there_are_the_fourteen_runs_of_the_references_ci() -> None:
    profiles = {
        "all-features",
        "single-seller",
        "no-payment-reconciliation",
        "no-auth",
        "no-tax-calculation",
        "prepayment-always-required",
        "facilityuse-has-slots",
    }
    assert {run.name for run in RUNS} == {
        f"{mode}.{each}" for mode in ("random", "controlled") for each in profiles
    }
    assert set(PROFILES) == profiles


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_each_run_has_its_mode_and_its_way_of_authentication(run: Run, tmp_path: Path) -> None:
    made = profile(run.overlays, url="http://localhost:8000", output=tmp_path)
    assert made.suite["integrationTests"]["useRandomOpportunities"] is (run.mode == "random")
    uses_openid = run.profile not in ("single-seller", "no-auth")
    assert (made.server["AUTHENTICATION"] == "openid") is uses_openid is run.uses_openid


def test_runs_are_chosen_by_name_mode_or_profile() -> None:
    assert chosen([]) == list(RUNS)
    assert [run.name for run in chosen(["random.no-auth"])] == ["random.no-auth"]
    assert len(chosen(["random"])) == 7
    assert {run.name for run in chosen(["no-auth"])} == {"random.no-auth", "controlled.no-auth"}
    assert len(chosen(["random", "random.no-auth"])) == 7
    with pytest.raises(KeyError, match="no-such-run"):
        chosen(["no-such-run"])


def test_the_suites_counts_are_read_from_its_last_lines() -> None:
    assert counts(OUTPUT) == {"checks": 1203, "passed": 1199, "failed": 3, "pending": 1}


def test_output_that_ends_early_counts_as_nothing() -> None:
    assert counts(OUTPUT.partition("Ran")[0]) == {"checks": 0, "passed": 0, "failed": 0, "pending": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"passed": 23_026, "failed": 1},
        {"passed": 23_026, "pending": 1},
        {"exit_code": 1},
        {"checks": 0, "passed": 0},
    ],
)
def test_only_a_whole_run_in_which_all_passed_is_a_success(changes: dict[str, int]) -> None:
    assert a_result().is_success
    assert not a_result(**changes).is_success


def test_a_result_is_read_as_it_was_saved(tmp_path: Path) -> None:
    assert finished(tmp_path) is None
    save(a_result(features=("core",)), tmp_path)
    assert finished(tmp_path) == a_result(features=("core",))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"features": [], "run": "x"})])
def test_a_damaged_result_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert finished(tmp_path) is None


def test_a_result_of_another_commit_strictness_or_part_is_another_run() -> None:
    asked = {"commit": "995cb492", "strict": True, "features": ()}
    assert is_same(a_result(), **asked)  # type: ignore[arg-type]
    for other in ({"commit": "1"}, {"strict": False}, {"features": ("core",)}):
        assert not is_same(a_result(), **(asked | other))  # type: ignore[arg-type]


def test_the_table_as_markdown() -> None:
    table = as_markdown(
        [a_result(), a_result(run="random.x", features=("core",), certificate=False, strict=False)]
    )
    assert table.splitlines()[2:] == [
        "| 2026-11-26 | random.no-auth | yes | 23,027 | 23,027 | 0 | 0 | 8.4 | valid |",
        "| 2026-11-26 | random.x (core) |  | 23,027 | 23,027 | 0 | 0 | 8.4 |  |",
    ]


def test_the_table_as_text_has_columns() -> None:
    head, line = as_text([a_result()]).splitlines()
    assert head.index("Checks") == line.index("23,027")
    assert head.index("Minutes") == line.index("8.4")
