"""The requirements, the lock files and pyproject.toml agree."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "run": ("requirements.txt", "requirements-run.txt"),
    "dev": ("requirements.txt", "requirements-run.txt", "requirements-dev.txt"),
}
ENTRY = re.compile(
    r"(?P<pin>[^\s;]+==[^\s;]+)(?: ; (?P<marker>[^\\]+?))?(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def wanted(*names: str) -> dict[str, Requirement]:
    """Distribution -> what requirements*.txt say of it; every line pins exactly, in one file only."""
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert [str(each) for each in found if not re.fullmatch(r"==[\w.]+", str(each.specifier))] == []
    pins: dict[str, Requirement] = {}
    for each in found:
        # moto is in two: for its one service that runs here, and for all that tests imitate.
        assert pins.setdefault(canonicalize_name(each.name), each).specifier == each.specifier
        pins[canonicalize_name(each.name)] = each
    return pins


def locked(group: str) -> dict[str, str]:
    """Distribution -> its whole entry in a lock file that consists of such entries alone."""
    text = (ROOT / f"requirements-{group}.lock").read_text()
    assert ENTRY.sub("", text) == ""
    return {canonicalize_name(Requirement(entry["pin"]).name): entry[0] for entry in ENTRY.finditer(text)}


def needed(*roots: Requirement) -> Iterator[str]:
    """All distributions that these need in this interpreter, by what the installed ones say themselves."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        yield key[0]
        try:
            lines = requires(requirement.name) or []
        except PackageNotFoundError:
            pytest.fail(f"{requirement} is not installed")
        for line in lines:
            inner = Requirement(line)
            extras = requirement.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(inner)


@pytest.mark.parametrize("group", SOURCES)
def test_a_lock_has_what_the_requirements_name_and_all_that_these_need(group: str) -> None:
    requirements = wanted(*SOURCES[group])
    lock = locked(group)
    for name, requirement in requirements.items():
        assert lock[name].startswith(
            (f"{name}{requirement.specifier} \\", f"{name}{requirement.specifier} ;")
        )
    assert set(needed(*requirements.values())) - lock.keys() == set()


def test_what_runs_is_what_is_tested() -> None:
    run, dev = locked("run"), locked("dev")
    assert {name: dev.get(name) for name in run} == run


def test_running_needs_none_of_the_tools() -> None:
    assert locked("run").keys() & (wanted("requirements-dev.txt").keys() - {"moto"}) == set()


def test_the_installer_has_hashes_too_and_is_alone_in_its_file() -> None:
    assert locked("uv").keys() == {"uv"}
    (version,) = re.findall(r"^uv_version=(.+)$", (ROOT / "scripts" / "lock.sh").read_text(), re.MULTILINE)
    assert locked("uv")["uv"].startswith(f"uv=={version} \\\n")


def test_the_project_names_the_same_files_and_is_built_by_what_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dynamic = project["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"]["file"] == list(SOURCES["run"])
    assert dynamic["optional-dependencies"]["dev"]["file"] == ["requirements-dev.txt"]
    assert [Requirement(line) for line in project["build-system"]["requires"]] == [
        wanted("requirements-run.txt")["setuptools"]
    ]
