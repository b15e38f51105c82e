"""Plain technical English in code, docs and messages: words to avoid, and what to write instead.

Comments, docstrings, texts and names are checked. `CHECKED` lists the files for which the test applies; add a package
when its words have been revised. `ALLOWED` lists exceptions, each with its reason.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

CHECKED = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "app.py",
    "bench",
    "chalicelib/api",
    "chalicelib/booking",
    "chalicelib/domain",
    "chalicelib/feeds",
    "chalicelib/identity",
    "chalicelib/pages",
    "chalicelib/runtime",
    "chalicelib/sandbox",
    "chalicelib/services",
    "chalicelib/storage",
    "chalicelib/test_interface",
    "chalicelib/wire",
    "openbooking/broker",
    "openbooking/cli",
    "openbooking/conformance",
    "openbooking/deployment",
    "chalicelib/importing",
    "openbooking/infra",
    "openbooking/local",
    "openbooking/reference",
    "openbooking/samples",
    "openbooking/timetable",
    "tests/booking",
    "tests/broker",
    "tests/cli",
    "tests/domain",
    "tests/local",
    "tests/pages",
    "tests/reference",
    "tests/runtime",
    "tests/samples",
    "tests/sandbox",
    "tests/test_interface",
    "tests/timetable",
    "tests/wire",
)

# A word as a regular expression, and what to write instead.
WORDS = {
    r"told|tells": "returned, reported, shown, passed in",
    r"whoever|whomever": "the caller, any reader, the user",
    r"(?:no|any|some)body(?:s)?": "no caller, any caller, a person",
    r"stands?(?! for\b| alone\b)|standing": "is, exists, applies",
    r"house|rooms?(?! (?:for|in)\b)|doors?|walls?": "architecture, package, entry point, import contract",
    r"believes?|believed": "accepts without a check",
    r"(?:no|own|its|their|reader's) business(?! use)": "not handled here",
    r"(?:goes|go|going|went) on": "continues",
    r"has it": "contains, knows",
    r"comes? across|came across": "finds",
    r"(?:has|have) yet to": "must",
    r"(?:makes?|made) up": "generates, consists of",
    r"beforehand": "before",
    r"by (?:itself|themselves)": "automatically, separately",
    r"of (?:its|their|our) own(?! accord)": "its own, separate",
    r"refuses? to know": "does not know",
    r"(?:be|was|are|were|is) had": "available, issued",
    r"(?:gives?|given|gave|puts?|put) back": "releases, returns, restores",
    r"puts? right|set right": "corrects",
    r"anew": "again, newly",
    r"dearer": "more expensive",
    r"quarter of an hour": "15 minutes",
    r"for good": "permanently",
    r"for want of": "for lack of",
    r"what (?:becomes|became) of": "what happens to",
    r"hands? (?:back|over|on)|handed (?:back|over|on)": "returns, passes",
    r"whole way|all the way": "all steps",
    r"as it stands|as they stand": "unchanged, current",
}
PATTERNS = {re.compile(rf"\b(?:{word})\b", re.IGNORECASE): plain for word, plain in WORDS.items()}

# (file, text of the line that is allowed): reason.
ALLOWED: dict[tuple[str, str], str] = {
    ("chalicelib/api/authority.py", "authorisation.stands"): "a property of identity",
    ("chalicelib/services/inventory.py", "def standing"): "a method that other packages call",
    ("chalicelib/services/partners.py", ".stands"): "a property of identity",
    ("chalicelib/services/sellers.py", ".stands"): "a property of identity",
    ("chalicelib/services/tokens.py", ".stands"): "a property of identity",
    ("chalicelib/identity/callers.py", "given.stands"): "a property of entries",
    ("chalicelib/identity/consent.py", "found.stands"): "a property of entries",
    ("chalicelib/identity/entries.py", "def stands"): "used by services and api",
    ("chalicelib/identity/entries.py", 'KIND: ClassVar[str] = "standing"'): "a key of stored rows",
    ("openbooking/cli/import_files.py", "changes.standing"): "a property of importing",
    ("openbooking/cli/import_files.py", '"orders stand"'): "a word of the report",
    ("openbooking/cli/import_report.py", "standing"): "a property of importing",
    ("chalicelib/importing/gone.py", "Standing"): "used by the report of an import",
    ("chalicelib/importing/gone.py", "inventory.standing"): "a method of services",
    ("chalicelib/importing/update.py", "Standing"): "used by the report of an import",
    ("chalicelib/importing/update.py", "changes.standing"): "used by the report of an import",
    ("chalicelib/services/timetables/timetable.py", "inventory.standing"): "a method of services",
    ("docs/timetable-columns.md", "room"): "a real room",
    ("openbooking/timetable/columns.py", "room"): "a real room",
    ("openbooking/timetable/columns.py", "ROOM"): "a real room",
    ("openbooking/timetable/places.py", "room"): "a real room",
    ("openbooking/timetable/planning.py", "room"): "a real room",
    ("openbooking/timetable/planning.py", "ROOM"): "a real room",
    ("openbooking/timetable/series.py", "room"): "a real room",
    ("tests/timetable/test_planning.py", "room"): "a real room",
    ("tests/cli/test_timetable_commands.py", "room"): "a real room",
    ("chalicelib/services/desk/places.py", "room"): "a real room",
    ("chalicelib/services/desk/sessions.py", "room"): "a real room",
    ("chalicelib/runtime/administration.py", "rooms of a Seller"): "a real room",
    ("docs/sellers.md", "room"): "a real room",
    ("CHANGELOG.md", "site or room"): "a real room",
    ("chalicelib/services/desk/sessions.py", "inventory.standing"): "a method of services",
    ("tests/cli/test_check.py", "put_back"): "a function of tests.support",
    ("openbooking/samples/inventory.py", "Climbing Wall"): "a real wall",
    ("openbooking/samples/programme.py", "wall"): "a real wall",
    ("openbooking/samples/programme.py", "Wall"): "a real wall",
}

# The tests that a page names keep their names; a link's target is not text.
_CODE_IN_PAGES = re.compile(r"`tests/[^`]*`|\]\([^)]*\)")


def test_words_to_avoid_are_not_used() -> None:
    found = [
        f"{file}:{number}: {match[0]!r}: write {plain}"
        for file in checked_files()
        for number, line in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines(), 1)
        if not any(file == path and text in line for path, text in ALLOWED)
        for pattern, plain in PATTERNS.items()
        for match in pattern.finditer(words_of(file, line))
    ]
    assert not found, "\n".join(["Words to avoid:", *found])


def test_every_exception_is_needed() -> None:
    for path, text in ALLOWED:
        lines = [line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if text in line]
        assert any(p.search(words_of(path, line)) for line in lines for p in PATTERNS), (path, text)


@pytest.mark.parametrize(
    "line",
    [
        "# whoever asks first",
        "def test_nobody_waits() -> None:",
        "told = {}",
        '"""It stands in the row."""',
        "The rest goes on.",
        "Nobody's row",
    ],
)
def test_a_word_to_avoid_is_found_in_texts_and_names(line: str) -> None:
    assert any(pattern.search(words_of("x.py", line)) for pattern in PATTERNS)


def test_every_checked_path_has_files() -> None:
    files = checked_files()
    assert [
        path for path in CHECKED if not any(file == path or file.startswith(f"{path}/") for file in files)
    ] == []


def checked_files() -> list[str]:
    """The text files below CHECKED, as paths from the root of the project."""
    found = [
        path
        for each in CHECKED
        for path in ((ROOT / each).rglob("*") if (ROOT / each).is_dir() else [ROOT / each])
    ]
    names = [path.relative_to(ROOT).as_posix() for path in found if path.suffix in (".py", ".md", ".html")]
    return sorted(name for name in names if "__pycache__" not in name)


def words_of(file: str, line: str) -> str:
    """The line with the parts of its names as single words."""
    if file.endswith(".md"):
        line = _CODE_IN_PAGES.sub("", line)
    return line.replace("_", " ").replace("'", " ")
