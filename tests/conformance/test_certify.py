"""`openbooking certify` on a checkout that the test makes: what it checks, starts, keeps and reports."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from openbooking.cli.main import app
from openbooking.conformance.certification import Certification, free_port, is_free, process, wait
from openbooking.conformance.checkout import (
    BROKER,
    COMMIT,
    TESTS,
    CertificationError,
    read_checkout,
    seed_vocabularies,
)
from openbooking.conformance.results import Run, chosen

# Takes the place of Node.js: says its version, and otherwise acts as start.js of the suite. It reads the dataset
# site as the suite does, and leaves what the tests look at.
NODE = """#!{python}
import json, os, sys, urllib.request
if sys.argv[1] == "--version":
    print("{version}")
    raise SystemExit
config = json.loads(os.environ["NODE_CONFIG"])
site = urllib.request.urlopen(config["broker"]["datasetSiteUrl"]).read().decode()
tests = config["integrationTests"]
seen = {{
    "arguments": sys.argv[1:],
    "strict": os.environ.get("RUN_TESTS_WHICH_FAIL_REFIMPL"),
    "port": os.environ["PORT"],
    "certificate": tests["conformanceCertificateId"] in site,
    "generates": tests["generateConformanceCertificate"],
}}
with open("seen.jsonl", "a") as file:
    file.write(json.dumps(seen) + "\\n")
if tests["generateConformanceCertificate"]:
    os.makedirs(tests["conformanceCertificatePath"])
    open(tests["conformanceCertificatePath"] + "index.html", "w").close()
if os.path.exists("waits"):
    print("waits for", config["broker"]["datasetSiteUrl"], flush=True)
    import select
    select.select([], [], [], 300)
failing = os.path.exists("fails")
print("Ran 12 tests in 1.000s")
print("✅ 11 passing\\n❌ 1 failing" if failing else "✅ 12 passing")
raise SystemExit(1 if failing else 0)
"""


def git(directory: Path, *arguments: str) -> None:
    names = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(directory), *names, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the folders of the real one, at a commit of its own."""
    made = tmp_path_factory.mktemp("suite")
    for package in (BROKER, TESTS):
        (made / package / "node_modules").mkdir(parents=True)
    (made / TESTS / "test" / "features" / "core").mkdir(parents=True)
    (made / "start.js").write_text("// The suite's entry point.\n")
    (made / ".nvmrc").write_text("v18.17.1\n")
    git(made, "init", "--quiet")
    git(made, "add", "start.js")
    git(made, "commit", "--quiet", "-m", "Add the suite")
    return made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def made(version: str = "v18.17.1") -> Path:
        file = tmp_path_factory.mktemp("node") / "node"
        file.write_text(NODE.format(python=sys.executable, version=version))
        file.chmod(0o755)
        return file

    return made


@pytest.fixture(autouse=True)
def clean(suite: Path) -> None:
    for name in ("fails", "waits", "seen.jsonl"):
        (suite / name).unlink(missing_ok=True)


def certify(suite: Path, node: Path, output: Path, *arguments: str) -> Result:
    # The vocabularies are there, so that nothing is looked for on the network.
    seed_vocabularies(read_checkout(suite, node=str(node), any_commit=True), lambda url: False)
    options = ["--suite", str(suite), "--node", str(node), "--output", str(output), "--dynoxide", ""]
    result = CliRunner().invoke(app, ["certify", *options, "--any-commit", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def seen(suite: Path) -> list[dict[str, object]]:
    file = suite / "seen.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_run_is_made_once_and_its_result_kept(
    suite: Path, node: Callable[[str], Path], tmp_path: Path
) -> None:
    """With the real server, which ends with the run."""
    given = node("v18.17.1")
    first = certify(suite, given, tmp_path, "--run", "controlled.no-auth")
    assert first.exit_code == 0, first.output
    assert "controlled.no-auth: 12 of 12 passed" in first.stdout
    (made,) = seen(suite)
    assert made["arguments"] == ["start.js"]
    assert made["strict"] == "true"
    assert made["generates"] is made["certificate"] is True  # the dataset site links it
    assert (tmp_path / "controlled.no-auth" / "certificate" / "index.html").exists()
    table = (tmp_path / "results.md").read_text()
    assert "| controlled.no-auth | yes | 12 | 12 | 0 | 0 |" in table
    assert "substitutes" in first.stdout
    log = (tmp_path / "controlled.no-auth" / "server.log").read_text()
    assert log.rstrip().endswith("Stopped.")

    second = certify(suite, given, tmp_path, "--run", "controlled.no-auth")
    assert second.exit_code == 0
    assert "controlled.no-auth: finished on" in second.stdout
    assert len(seen(suite)) == 1


@contextmanager
def page_only(run: Run, folder: Path, engine_url: str | None) -> Iterator[str]:
    """In place of the server: a file that the suite can read."""
    (folder / "openactive").write_text("a dataset site")
    yield folder.as_uri()


@dataclass
class Certifier:
    """Runs without a server: what is looked at is what becomes of results."""

    certification: Certification
    said: list[str] = field(default_factory=list)

    def run(self, *names: str, again: bool = False, **changes: Any) -> list[bool]:
        self.said.clear()
        results = replace(self.certification, **changes).run(chosen(names), self.said.append, again=again)
        return [result.is_success for result in results]


@pytest.fixture
def certifier(suite: Path, node: Callable[[str], Path], tmp_path: Path) -> Certifier:
    checkout = read_checkout(suite, node=str(node("v18.17.1")), any_commit=True)
    return Certifier(Certification(checkout, tmp_path, "https://booking.example/", serve=page_only))


def test_interrupted_after_some_runs_it_continues_with_the_next(
    suite: Path, certifier: Certifier, tmp_path: Path
) -> None:
    (tmp_path / "controlled.single-seller").mkdir()
    (tmp_path / "controlled.single-seller" / "result.part").write_text("{")  # ended while it was written
    assert certifier.run("controlled.no-auth") == [True]
    assert certifier.run("controlled.no-auth", "controlled.single-seller") == [True, True]
    assert len(seen(suite)) == 2
    assert certifier.said[0].startswith("controlled.no-auth: finished on")
    assert certifier.said[2].startswith("controlled.single-seller: 12 of 12 passed")


def test_a_run_that_failed_is_finished_too_until_it_is_repeated(suite: Path, certifier: Certifier) -> None:
    (suite / "fails").touch()
    assert certifier.run("controlled.no-auth") == [False]
    (suite / "fails").unlink()
    assert certifier.run("controlled.no-auth") == [False]
    assert len(seen(suite)) == 1
    assert certifier.run("controlled.no-auth", again=True) == [True]


def test_a_part_of_the_suite_gets_no_certificate_and_is_another_result(
    suite: Path, certifier: Certifier
) -> None:
    assert certifier.run("controlled.no-auth", features=("core",), strict=False) == [True]
    (made,) = seen(suite)
    assert made["arguments"] == ["start.js", "test/features/core/"]
    assert (made["strict"], made["generates"]) == (None, False)
    assert certifier.run("controlled.no-auth") == [True]
    assert len(seen(suite)) == 2


def test_a_suite_that_does_not_end_is_ended_and_no_success(certifier: Certifier, suite: Path) -> None:
    assert certifier.run("controlled.no-auth", minutes_at_most=0.0) == [False]


def test_each_run_has_its_own_address_for_its_certificate(certifier: Certifier) -> None:
    addresses = {certifier.certification.certificate_url(run) for run in chosen([])}
    assert len(addresses) == 14
    assert "https://booking.example/random.no-auth/" in addresses


def test_every_type_is_tested_where_it_is_named() -> None:
    every_type = Run("controlled", "every-type")
    assert every_type not in chosen([]) + chosen(["controlled"])
    assert chosen(["every-type"]) == chosen(["controlled.every-type"]) == [every_type]
    assert every_type.overlays == ("every-type",)
    with pytest.raises(KeyError):
        chosen(["random.every-type"])


def test_openid_needs_its_port(suite: Path, node: Callable[[str], Path], tmp_path: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # it is in use already
            taken.bind(("127.0.0.1", 3000))
            taken.listen()
        refused = certify(suite, node("v18.17.1"), tmp_path, "--run", "controlled.all-features")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Port 3000 is in use; the suite needs it for controlled.all-features.\n",
    )


# --- what is checked first --------------------------------------------------------------------


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path, node: Callable[[str], Path]) -> None:
    with pytest.raises(CertificationError, match="is not a checkout of the OpenActive Test Suite"):
        read_checkout(tmp_path, node=str(node("v18.17.1")))


def test_another_commit_is_refused_unless_it_is_wanted(suite: Path, node: Callable[[str], Path]) -> None:
    given = str(node("v18.17.1"))
    with pytest.raises(CertificationError, match=f"not at {COMMIT[:8]}, with which .* add --any-commit"):
        read_checkout(suite, node=given)
    assert read_checkout(suite, node=given, any_commit=True).directory == suite.resolve()


def test_another_version_of_node_is_refused(suite: Path, node: Callable[[str], Path]) -> None:
    with pytest.raises(CertificationError, match=r"needs Node.js 18\.17\.1, and .* is 22\.1\.0"):
        read_checkout(suite, node=str(node("v22.1.0")), any_commit=True)


def test_without_node_it_says_which_is_needed(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_git = tmp_path / "bin"
    only_git.mkdir()
    (only_git / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(only_git))
    with pytest.raises(CertificationError, match=r"Node.js was not found: install version 18\.17\.1"):
        read_checkout(suite, any_commit=True)


def test_something_else_than_node_is_refused(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(CertificationError, match=r"is not Node\.js"):
        read_checkout(suite, node=str(tmp_path / "missing"), any_commit=True)


def test_packages_that_are_not_installed_are_named(suite: Path, node: Callable[[str], Path]) -> None:
    (suite / TESTS / "node_modules").rename(suite / "away")
    try:
        with pytest.raises(CertificationError, match="run `npm install` in"):
            read_checkout(suite, node=str(node("v18.17.1")), any_commit=True)
    finally:
        (suite / "away").rename(suite / TESTS / "node_modules")


def test_an_unknown_run_or_part_is_refused(suite: Path, node: Callable[[str], Path], tmp_path: Path) -> None:
    given = node("v18.17.1")
    assert (
        "There is no run 'x'. Choose from: controlled.all-features,"
        in certify(suite, given, tmp_path, "--run", "x").stderr
    )
    assert "The suite has no part 'no-such'" in certify(suite, given, tmp_path, "--feature", "no-such").stderr


# --- vocabularies -------------------------------------------------------------------------------


def test_substitutes_are_used_only_where_the_vocabularies_cannot_be_reached(
    suite: Path, node: Callable[[str], Path]
) -> None:
    caches = [suite / package / "tmp" for package in (BROKER, TESTS)]
    for cache in caches:
        for file in cache.glob("*.json"):
            file.unlink()
    checkout = read_checkout(suite, node=str(node("v18.17.1")), any_commit=True)
    assert not seed_vocabularies(checkout, lambda url: True).has_substitutes
    assert not any(list(cache.glob("*")) for cache in caches)
    assert seed_vocabularies(checkout, lambda url: "activity" not in url).has_substitutes
    for cache in caches:
        found = {
            json.loads(file.read_text())["url"]: json.loads(file.read_text()) for file in cache.glob("*")
        }
        assert set(found) == {
            "https://openactive.io/activity-list",
            "https://openactive.io/facility-types",
            "https://openactive.io/ns-beta",
        }
        concepts = found["https://openactive.io/activity-list"]["data"]["concept"]
        assert all(set(each) == {"id", "type", "prefLabel"} for each in concepts)


def test_what_the_suite_has_downloaded_is_kept(suite: Path, node: Callable[[str], Path]) -> None:
    checkout = read_checkout(suite, node=str(node("v18.17.1")), any_commit=True)
    seed_vocabularies(checkout, lambda url: False)
    file = next((suite / BROKER / "tmp").glob("*.json"))
    file.write_text("downloaded")
    seed_vocabularies(checkout, lambda url: False)
    assert file.read_text() == "downloaded"
    file.unlink()


# --- processes ----------------------------------------------------------------------------------


def test_a_process_ends_with_all_its_children(tmp_path: Path) -> None:
    port = free_port()
    child = f"import socket; s = socket.create_server(('127.0.0.1', {port})); s.accept()"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    with process([sys.executable, "-c", parent], tmp_path / "log") as running:
        wait(running, lambda: not is_free(port), 30, "It", tmp_path / "log")
    # The kernel closes its socket a moment after it was killed.
    assert any(is_free(port) for _ in range(20_000))


def test_a_process_does_not_inherit_settings_of_this_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLE_PREFIX", "openbooking-other")
    monkeypatch.setenv("DYNAMODB_URL", "http://other.example")
    code = "import os; print(sorted({'TABLE_PREFIX', 'DYNAMODB_URL', 'PORT'} & set(os.environ)))"
    with process([sys.executable, "-c", code], tmp_path / "log", environment={"PORT": "1"}) as running:
        running.wait(30)
    assert (tmp_path / "log").read_text() == "['PORT']\n"


def test_a_server_that_does_not_start_is_reported_with_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        process([sys.executable, "-c", "raise SystemExit(3)"], log) as running,
        pytest.raises(CertificationError, match=f"The server did not start; its output is in {log}"),
    ):
        wait(running, lambda: False, 30, "The server", log)


def test_a_server_that_does_not_answer_in_time_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        process(
            [sys.executable, "-c", "import sys; sys.stdin.read(); import time; time.sleep(60)"], log
        ) as running,
        pytest.raises(CertificationError, match="did not answer in 0 s"),
    ):
        wait(running, lambda: False, 0, "The server", log)


@pytest.mark.proof
def test_a_command_that_is_ended_ends_what_it_has_started(
    suite: Path, node: Callable[[str], Path], tmp_path: Path
) -> None:
    """With SIGTERM, as a pipeline ends it."""
    given = node("v18.17.1")
    seed_vocabularies(read_checkout(suite, node=str(given), any_commit=True), lambda url: False)
    (suite / "waits").touch()
    command = [sys.executable, "-m", "openbooking", "certify", "--any-commit", "--run", "controlled.no-auth"]
    command += ["--suite", str(suite), "--node", str(given), "--output", str(tmp_path), "--dynoxide", ""]
    log = tmp_path / "controlled.no-auth" / "suite.log"
    with process(command, tmp_path / "log") as running:
        wait(running, lambda: log.exists() and "waits" in log.read_text(), 120, "It", tmp_path / "log")
        site = re.search(r"http://localhost:(\d+)", log.read_text())
        assert site is not None
        assert not is_free(int(site[1]))
        running.terminate()
        assert running.wait(60) == 128 + 15
        assert any(is_free(int(site[1])) for _ in range(20_000))
