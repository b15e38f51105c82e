"""The runs of a certification, and what each has found: kept in files, so that a finished run is not repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# The profiles of the reference implementation's CI, with our overlays for them (tests/suite). As there, callers
# authenticate with OpenID except in the two profiles without it.
PROFILES: dict[str, tuple[str, ...]] = {
    "all-features": ("openid", "change-of-logistics"),
    "single-seller": ("single-seller",),
    "no-payment-reconciliation": ("openid", "no-payment-reconciliation"),
    "no-auth": (),
    "no-tax-calculation": ("openid", "no-tax-calculation"),
    "prepayment-always-required": ("openid", "prepayment-always-required"),
    "facilityuse-has-slots": ("openid", "facility-use-slots"),
}
# Further profiles, in controlled mode and only where they are named: in random mode the suite would need a surplus of
# each type.
MORE_PROFILES: dict[str, tuple[str, ...]] = {"every-type": ("every-type",)}
MODES = ("controlled", "random")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RAN = re.compile(r"^Ran (\d+) tests in", re.MULTILINE)
_COUNTS = {
    "passed": re.compile(r"(\d+) passing$", re.MULTILINE),
    "failed": re.compile(r"(\d+) failing$", re.MULTILINE),
    "pending": re.compile(r"(\d+) pending$", re.MULTILINE),
}


@dataclass(frozen=True)
class Run:
    """One run of the suite: a mode, and a profile with its overlays."""

    mode: str
    profile: str

    @property
    def name(self) -> str:
        return f"{self.mode}.{self.profile}"

    @property
    def overlays(self) -> tuple[str, ...]:
        return (*(PROFILES | MORE_PROFILES)[self.profile], *(["random"] if self.is_random else []))

    @property
    def is_random(self) -> bool:
        return self.mode == "random"

    @property
    def uses_openid(self) -> bool:
        return "openid" in self.overlays


RUNS = tuple(Run(mode, profile) for profile in PROFILES for mode in MODES)
NAMED_RUNS = (*RUNS, *(Run("controlled", profile) for profile in MORE_PROFILES))


@dataclass(frozen=True)
class Result:
    """What a run has found. `features` are the paths that it was limited to; with them there is no certificate."""

    run: str
    date: str
    commit: str
    strict: bool
    checks: int
    passed: int
    failed: int
    pending: int
    minutes: float
    exit_code: int
    certificate: bool
    substitutes: bool
    engine: str
    features: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Every check was made and passed, and the suite itself agrees."""
        return self.exit_code == 0 and self.checks > 0 and self.passed == self.checks


def chosen(names: Sequence[str]) -> list[Run]:
    """The runs with these names; a mode or a profile alone means all its runs, those of the reference only.

    Raises KeyError with an unknown name.
    """
    if not names:
        return list(RUNS)
    found = []
    for name in names:
        matching = [run for run in RUNS if name in (run.name, run.mode, run.profile)] or [
            run for run in NAMED_RUNS if name in (run.name, run.profile)
        ]
        if not matching:
            raise KeyError(name)
        found += matching
    return list(dict.fromkeys(found))


def counts(output: str) -> dict[str, int]:
    """The suite's own counts, from its last lines; zeros if it did not get that far."""
    text = _COLOUR.sub("", output)
    ran = _RAN.search(text)
    found = {name: pattern.search(text) for name, pattern in _COUNTS.items()}
    return {
        "checks": int(ran[1]) if ran else 0,
        **{name: int(match[1]) if match else 0 for name, match in found.items()},
    }


def save(result: Result, folder: Path) -> None:
    """Write the result, whole or not at all."""
    file = folder / "result.json"
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(result), indent=2) + "\n", "utf-8")
    part.replace(file)


def finished(folder: Path) -> Result | None:
    """The result of a run that has finished, whether its checks passed or not; None: it has to run."""
    try:
        document = json.loads((folder / "result.json").read_text("utf-8"))
        return Result(**{**document, "features": tuple(document["features"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_same(result: Result, *, commit: str, strict: bool, features: Sequence[str]) -> bool:
    """Whether a result is of the run that is asked for now."""
    return (result.commit, result.strict, result.features) == (commit, strict, tuple(features))


_COLUMNS = ("Date", "Run", "Strict", "Checks", "Passed", "Failed", "Pending", "Minutes", "Certificate")


def rows(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """The table of the results, as text."""
    return [
        (
            each.date,
            each.run + (f" ({', '.join(each.features)})" if each.features else ""),
            "yes" if each.strict else "",
            f"{each.checks:,}",
            f"{each.passed:,}",
            f"{each.failed:,}",
            f"{each.pending:,}",
            f"{each.minutes:.1f}",
            "valid" if each.certificate else "",
        )
        for each in results
    ]


def as_text(results: Sequence[Result]) -> str:
    """The table for a terminal."""
    lines = [_COLUMNS, *rows(results)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown(results: Sequence[Result]) -> str:
    """The table for docs/conformance.md."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *rows(results)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
