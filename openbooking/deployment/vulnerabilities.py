"""Checks the packages that run for known vulnerabilities, with pip-audit; `make audit` runs it, and so does the pipeline.

It asks the advisory database of PyPI, so it needs the network. Waivers are in infra/pipeline/waived-vulnerabilities.json:
the id of each, the reason, and the day until which it holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from openbooking.deployment.errors import DeploymentError
from openbooking.infra.templates import ROOT

WAIVERS = ROOT / "infra" / "pipeline" / "waived-vulnerabilities.json"
# Every package with its version and hashes, so that nothing is resolved and nothing is installed.
LOCK = ROOT / "requirements-run.lock"
PIP_AUDIT = ROOT / ".venv-audit" / "bin" / "pip-audit"


class BadWaiverError(DeploymentError):
    sentence = "A waiver of infra/pipeline/waived-vulnerabilities.json is invalid:"


class AuditFailedError(DeploymentError):
    sentence = "The packages could not be checked for vulnerabilities."


@dataclass(frozen=True)
class Waiver:
    """A vulnerability that does not stop a deployment, until a day."""

    id: str
    """Of the advisory, or one of its other names: PYSEC-..., GHSA-..., CVE-..."""
    reason: str
    until: date
    """The last day on which it holds."""


def waivers_in(document: Any) -> list[Waiver]:
    """The waivers of a document: a list of objects with `id`, `reason` and `until`. Raises BadWaiverError."""
    if not isinstance(document, list):
        raise BadWaiverError("it is not a list")
    return [_waiver(each) for each in document]


def _waiver(entry: Any) -> Waiver:
    if not isinstance(entry, dict) or entry.keys() != {"id", "reason", "until"}:
        raise BadWaiverError(f"{entry} needs id, reason and until, and nothing else")
    if not all(isinstance(value, str) and value.strip() for value in entry.values()):
        raise BadWaiverError(f"{entry} needs a text for each of id, reason and until")
    try:
        return Waiver(entry["id"], entry["reason"], date.fromisoformat(entry["until"]))
    except ValueError:
        raise BadWaiverError(f"{entry['until']} of {entry['id']} is not a day, such as 2027-01-31") from None


def faults(report: Any, waivers: Iterable[Waiver], today: date) -> Iterator[str]:
    """A line for each vulnerability in pip-audit's report (JSON) that no waiver covers today, and for waivers to remove.

    A package that could not be checked is a fault, too.
    """
    skipped = [each for each in report["dependencies"] if "skip_reason" in each]
    if len(skipped) == len(report["dependencies"]):
        reason = skipped[0]["skip_reason"] if skipped else "the lock file names none"
        yield f"No package could be checked: {reason}"
        return
    known = {each.id: each for each in waivers}
    used: set[str] = set()
    for package in report["dependencies"]:
        if "skip_reason" in package:
            yield f"{package['name']} could not be checked: {package['skip_reason']}"
        for found in package.get("vulns", ()):
            names = [found["id"], *found.get("aliases", ())]
            waiver = next((known[name] for name in names if name in known), None)
            if waiver is not None:
                used.add(waiver.id)
            if waiver is None or waiver.until < today:
                yield f"{package['name']} {package['version']}: {_described(found, names)}" + (
                    f"; its waiver ended on {waiver.until}" if waiver else ""
                )
    for name in known.keys() - used:
        yield f"{name} is waived, but no package needs that: remove the waiver"


def _described(found: Any, names: list[str]) -> str:
    fixed = ", ".join(found.get("fix_versions", ()))
    return f"{names[0]}" + (f" ({', '.join(names[1:])})" if names[1:] else "") + (
        f", fixed in {fixed}" if fixed else ", not fixed yet"
    )  # fmt: skip


def audit(pip_audit: Path = PIP_AUDIT, lock: Path = LOCK) -> Any:
    """pip-audit's report on the packages of a lock file. Raises AuditFailedError."""
    if not pip_audit.exists():
        raise AuditFailedError("pip-audit is not installed: make .venv-audit/.set-up")
    done = subprocess.run(
        [
            *(str(pip_audit), "--requirement", str(lock), "--require-hashes", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    # 1: something was found. The report says what.
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        raise AuditFailedError((done.stderr.strip().splitlines() or ["pip-audit said nothing."])[-1])
    return json.loads(done.stdout)


def main() -> None:
    """Print what was found; end with 1 if that is anything."""
    try:
        waivers = waivers_in(json.loads(WAIVERS.read_text(encoding="utf-8")))
        report = audit()
    except DeploymentError as error:
        sys.exit(str(error))
    lines = list(faults(report, waivers, datetime.now().astimezone().date()))
    if lines:
        sys.exit("\n".join([*lines, "docs/deploying.md#vulnerable-packages says what to do."]))
    sys.stdout.write(f"No known vulnerability in {len(report['dependencies'])} packages.\n")


if __name__ == "__main__":
    main()
