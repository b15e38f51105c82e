"""Assembles the project that Chalice deploys or packages: only what Lambda gets.

Chalice ships every file under chalicelib/, including compiled files, and reads policies as plain
documents. It therefore gets a clean copy, with the policies and the environment of one stage.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from openbooking.deployment.errors import DeploymentError
from openbooking.infra.templates import ROOT

SHIPPED = ("app.py", "requirements.txt")
CHALICE = "from chalice.cli import main; raise SystemExit(main())"


class ChaliceFailedError(DeploymentError):
    sentence = "Chalice failed."


class UnknownStageError(DeploymentError):
    sentence = "There is no such stage in .chalice/config.json."


def stages(source: Path = ROOT) -> list[str]:
    """The stages in .chalice/config.json."""
    config = json.loads((source / ".chalice" / "config.json").read_text())
    return list(config["stages"])


def require_stage(stage: str, source: Path = ROOT) -> None:
    """Raises UnknownStageError if .chalice/config.json does not know `stage`."""
    if stage not in (known := stages(source)):
        raise UnknownStageError(f"{stage} is not one of {', '.join(known)}")


def variables_of(stage: str, source: Path = ROOT) -> dict[str, str]:
    """The environment variables that .chalice/config.json sets for `stage`. Raises UnknownStageError."""
    require_stage(stage, source)
    config = json.loads((source / ".chalice" / "config.json").read_text())
    variables: dict[str, str] = config["stages"][stage].get("environment_variables", {})
    return variables


def is_production(stage: str, source: Path = ROOT) -> bool:
    """Whether .chalice/config.json sets PRODUCTION for `stage`. Raises UnknownStageError."""
    return variables_of(stage, source).get("PRODUCTION", "false").lower() == "true"


def assemble(
    target: Path,
    stage: str,
    *,
    source: Path = ROOT,
    policy: Callable[[Any], Any] = lambda document: document,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Assemble a Chalice project for `stage` in `target` and return its path.

    `policy` turns each committed policy document into the one to use; `environment` is added to that of the
    stage's functions. Chalice's own files in `target` (downloaded wheels) are kept, so that a second build
    is quick.
    """
    require_stage(stage, source)
    config = json.loads((source / ".chalice" / "config.json").read_text())
    config["stages"] = {stage: config["stages"][stage]}
    config["stages"][stage]["environment_variables"] |= environment or {}

    target.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        shutil.copyfile(source / name, target / name)
    shutil.rmtree(target / "chalicelib", ignore_errors=True)
    shutil.copytree(
        source / "chalicelib",
        target / "chalicelib",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"),
    )
    settings = target / ".chalice"
    settings.mkdir(exist_ok=True)
    _write(settings / "config.json", config)
    for document in sorted((source / ".chalice").glob("policy-*.json")):
        _write(settings / document.name, policy(json.loads(document.read_text())))
    return target


def run_chalice(project: Path, *arguments: str, environment: Mapping[str, str]) -> None:
    """Run one command of Chalice on `project`, in `environment`. Raises ChaliceFailedError."""
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-c", CHALICE, "--project-dir", str(project), *arguments],
        cwd=project,
        # Chalice imports the app to find its routes: from the copy, never from the checkout, and
        # without compiled files, which would be added to the zip.
        env={**environment, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    if done.returncode:
        raise ChaliceFailedError(f"chalice {' '.join(arguments)} ended with {done.returncode}")


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")
