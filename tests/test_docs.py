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


def _is_there(file: Path, test: str) -> bool:
    if not file.exists():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    return not test or test in names
