"""What the pages refer to is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NODE = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_tests_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
    missing = [f"{file}::{test}" for file, test in NODE.findall(text) if not _is_there(ROOT / file, test)]
    assert missing == []


def test_every_threat_names_the_test_that_shows_its_defence() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("## What is defended")
    rows = [line for line in rest.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if not NODE.search(row.rsplit("|", 2)[1])] == []


# What applies to an OpenID provider that only confidential clients use. Sections that ask nothing of it, such as
# those on clients, on the implicit flow and on signing requests, are left out.
SECTIONS = {
    "RFC 9700": (
        "2.1 2.1.1 2.1.2 2.2.1 2.2.2 2.3 2.4 2.5 2.6 4.1 4.2 4.3.1 4.3.2 4.4 4.5 4.6 4.7 4.8 4.9 4.10 4.11 4.12 "
        "4.13 4.14 4.15 4.16 4.17"
    ),
    "OpenID Connect Core 1.0": (
        "2 3.1.2.1 3.1.2.3 3.1.2.4 3.1.2.5 3.1.2.6 3.1.3.1 3.1.3.2 3.1.3.3 3.1.3.4 3.1.3.6 5.3 5.5 6 7.2.1 8 9 10.1 "
        "11 12 15.1 15.2"
    ),
}


@pytest.mark.parametrize("specification", SECTIONS)
def test_every_section_for_the_openid_provider_is_covered(specification: str) -> None:
    text = (ROOT / "docs" / "openid.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"## {specification}")
    rows = [line.split(" | ") for line in rest.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert {row[0].removeprefix("| ") for row in rows} == set(SECTIONS[specification].split())


def test_every_requirement_for_the_openid_provider_names_a_test() -> None:
    text = (ROOT / "docs" / "openid.md").read_text(encoding="utf-8")
    tables = text.partition("## RFC 9700")[2]
    rows = [
        line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| Section")
    ]
    assert len(rows) > 60
    # Its existence is checked above, for every page.
    assert [row for row in rows if not NODE.search(row.rsplit(" | ", 1)[1])] == []


def _is_there(file: Path, test: str) -> bool:
    if not file.exists():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    return not test or test in names
