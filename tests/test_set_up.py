"""scripts/set-up.sh, with interpreters and installers that only write down how they were called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
USED = ("sh", "cat", "chmod", "cksum", "cp", "grep", "mkdir", "rm", "touch")

# Python: gives its version and its path, makes an environment that holds a copy of itself, and has a pip in it
# once ensurepip has run. pip brings uv, unless NO_UV is set, and fails altogether if NO_PIP is.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo {version}; exit ;;
    *realpath*) echo "$0"; exit ;;
    "-m pip --version") [ -e .venv/has-pip ]; exit ;;
esac
echo "python{version} $*" >>calls
case "$*" in
    "-m venv --without-pip .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m ensurepip") touch .venv/has-pip ;;
    *requirements-uv.lock) [ -z "$NO_UV" ] && cp uv-to-install .venv/bin/uv ;;
    *requirements-*.lock) [ -z "$NO_PIP" ] ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>calls
[ -z "$NO_UV" ]
"""
VENV = "python{} -m venv --without-pip .venv"
UV_LOCK = "uv pip install --python .venv/bin/python --no-deps --require-hashes -r requirements-{}.lock"
UV_PROJECT = "uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable ."
PIP = "python{} -m pip install --disable-pip-version-check --no-deps "


class Folder:
    """A checkout with nothing in it but what setting up reads, and a PATH with nothing but stubs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.programs = path / "programs"
        self.programs.mkdir()
        for name in USED:
            found = shutil.which(name)
            assert found is not None
            (self.programs / name).symlink_to(found)
        (path / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "set-up.sh", path / "scripts")
        for name in ("requirements-run.lock", "requirements-dev.lock", "pyproject.toml"):
            (path / name).write_text(name)
        self._write(path / "uv-to-install", UV)

    def has_python(self, version: str, name: str | None = None) -> None:
        self._write(self.programs / (name or f"python{version}"), PYTHON.format(version=version))

    def has_uv(self) -> None:
        self._write(self.programs / "uv", UV)

    def set_up(self, group: str = "run", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/set-up.sh", group],
            cwd=self.path,
            env={"PATH": str(self.programs), "NO_UV": "", "NO_PIP": ""} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """Since this was asked last."""
        file = self.path / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def ready(folder: Folder) -> Folder:
    """With uv and three supported Pythons, set up for running with the middle one."""
    for version in ("3.11", "3.12", "3.13"):
        folder.has_python(version)
    folder.has_uv()
    assert folder.set_up(PYTHON="python3.12").returncode == 0
    folder.calls()
    return folder


def test_uv_of_the_path_installs_what_running_needs_with_hashes(folder: Folder) -> None:
    folder.has_python("3.12")
    folder.has_uv()
    assert folder.set_up().returncode == 0
    assert folder.calls() == [VENV.format("3.12"), UV_LOCK.format("run"), UV_PROJECT]


def test_without_uv_pip_installs_uv_with_hashes_and_uv_the_rest(folder: Folder) -> None:
    folder.has_python("3.12")
    assert folder.set_up().returncode == 0
    assert folder.calls() == [
        VENV.format("3.12"),
        "python3.12 -m ensurepip",
        PIP.format("3.12") + "--quiet --require-hashes -r requirements-uv.lock",
        UV_LOCK.format("run"),
        UV_PROJECT,
    ]


@pytest.mark.parametrize("on_path", [True, False])
def test_where_uv_fails_pip_installs_the_same_and_shows_its_progress(folder: Folder, on_path: bool) -> None:
    folder.has_python("3.12")
    if on_path:
        folder.has_uv()
    done = folder.set_up("dev", NO_UV="yes")
    assert (done.returncode, done.stderr) == (
        0,
        "uv could not install the packages; pip does it now, which takes longer ...\n",
    )
    assert folder.calls()[-2:] == [
        PIP.format("3.12") + "--require-hashes -r requirements-dev.lock",
        PIP.format("3.12") + "--quiet --no-build-isolation --editable .",
    ]


def test_where_nothing_can_be_installed_it_fails_and_tries_again(folder: Folder) -> None:
    folder.has_python("3.12")
    done = folder.set_up(NO_UV="yes", NO_PIP="yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "The packages could not be installed; the lines above say why."
    folder.calls()
    assert folder.set_up().returncode == 0
    assert UV_LOCK.format("run") in folder.calls()


def test_what_is_set_up_is_left_alone_without_a_word(ready: Folder) -> None:
    done = ready.set_up()
    assert (done.returncode, done.stdout, done.stderr, ready.calls()) == (0, "", "", [])


def test_tests_need_more_than_running_and_running_nothing_more_than_tests(ready: Folder) -> None:
    ready.set_up("dev")
    assert ready.calls() == [UV_LOCK.format("dev"), UV_PROJECT]
    ready.set_up("run")
    ready.set_up("dev")
    assert ready.calls() == []


@pytest.mark.parametrize("changed", ["requirements-run.lock", "pyproject.toml"])
def test_a_change_of_what_is_needed_is_installed(ready: Folder, changed: str) -> None:
    (ready.path / changed).write_text("changed")
    ready.set_up()
    assert ready.calls() == [UV_LOCK.format("run"), UV_PROJECT]
    ready.set_up()
    assert ready.calls() == []


def test_going_back_to_an_earlier_commit_installs_its_packages_anew(ready: Folder) -> None:
    ready.set_up("dev")
    for name in ("run", "dev"):
        (ready.path / f"requirements-{name}.lock").write_text("later")
    ready.set_up("run")
    for name in ("run", "dev"):
        (ready.path / f"requirements-{name}.lock").write_text(f"requirements-{name}.lock")
    ready.calls()
    ready.set_up("dev")
    assert ready.calls() == [UV_LOCK.format("dev"), UV_PROJECT]


def test_the_newest_supported_python_is_taken(folder: Folder) -> None:
    folder.has_uv()
    folder.has_python("3.11")
    folder.has_python("3.13")
    folder.has_python("3.14", "python3")
    folder.set_up()
    assert folder.calls()[0] == VENV.format("3.13")


def test_a_supported_environment_stays_although_there_is_a_newer_python(ready: Folder) -> None:
    ready.set_up()
    ready.set_up(PYTHON="python3.12")
    assert ready.calls() == []


def test_an_environment_of_another_python_than_the_chosen_one_is_replaced(ready: Folder) -> None:
    (ready.path / ".venv" / "old").touch()
    done = ready.set_up(PYTHON="python3.11")
    assert "Replacing .venv (Python 3.12) by one of Python 3.11 ...\n" in done.stdout
    assert ready.calls() == [VENV.format("3.11"), UV_LOCK.format("run"), UV_PROJECT]
    assert not (ready.path / ".venv" / "old").exists()


@pytest.mark.parametrize("found", ["3.10", "3.14", "unusable"])
def test_an_environment_that_cannot_be_used_is_replaced(ready: Folder, found: str) -> None:
    python = ready.path / ".venv" / "bin" / "python"
    if found == "unusable":
        python.unlink()
        python.symlink_to("/nowhere/python")
    else:
        python.write_text(PYTHON.format(version=found))
    ready.set_up()
    assert ready.calls() == [VENV.format("3.13"), UV_LOCK.format("run"), UV_PROJECT]


def test_an_environment_that_was_copied_from_another_folder_is_replaced(ready: Folder) -> None:
    script = ready.path / ".venv" / "bin" / "openbooking"
    script.write_text(f"#!{ready.path}/.venv/bin/python\n")
    ready.set_up()
    assert ready.calls() == []
    script.write_text("#!/elsewhere/.venv/bin/python\n")
    ready.set_up()
    assert ready.calls() == [VENV.format("3.13"), UV_LOCK.format("run"), UV_PROJECT]


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("python3.9", "PYTHON=python3.9 is Python 3.9: Open Booking needs Python 3.11, 3.12 or 3.13."),
        ("python4", "PYTHON=python4 cannot be run: Open Booking needs Python 3.11, 3.12 or 3.13."),
    ],
)
def test_a_wrong_python_is_named_in_one_sentence_and_nothing_is_touched(
    ready: Folder, chosen: str, sentence: str
) -> None:
    ready.has_python("3.9")
    done = ready.set_up(PYTHON=chosen)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sentence}\n")
    assert ready.calls() == []


def test_without_any_supported_python_that_is_one_sentence(folder: Folder) -> None:
    folder.has_python("3.9", "python3")
    done = folder.set_up()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "No supported Python is on the PATH: Open Booking needs Python 3.11, 3.12 or 3.13; "
        "PYTHON=/path/to/python make run names one elsewhere.\n"
    )
