"""Assembles the project that Chalice deploys or packages: only what Lambda gets.

Chalice ships every file under chalicelib/, including compiled files, and reads policies as plain
documents. It therefore gets a clean copy, with the policies and the environment of one stage.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from openbooking.deployment.errors import DeploymentError
from openbooking.infra.backups import LONGEST_DAYS, RECOVERY_DAYS
from openbooking.infra.domain import Domain, domain_from
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
    """The environment variables that .chalice/config.json sets for `stage`, and BASE_URL by its domain.

    Raises UnknownStageError, BadOptionError.
    """
    variables: dict[str, str] = _config(source, stage)["stages"][stage].get("environment_variables", {})
    domain = options_of(stage, source).domain
    return variables if domain is None else {"BASE_URL": domain.url} | variables


def is_production(stage: str, source: Path = ROOT) -> bool:
    """Whether .chalice/config.json sets PRODUCTION for `stage`. Raises UnknownStageError."""
    return variables_of(stage, source).get("PRODUCTION", "false").lower() == "true"


@dataclass(frozen=True)
class Options:
    """What a stage chooses beside Chalice's own settings: `options` of its entry in .chalice/config.json."""

    access_logs: bool = False
    """API Gateway writes a line for each request."""
    snap_start: bool = False
    """By pipeline only: new instances of the API start from a snapshot."""
    http_api: bool = False
    """By pipeline only: an HTTP API, which costs a third of the REST API, beside it."""
    cached_feeds: bool = False
    """By pipeline only: a CloudFront distribution that keeps pages of the open feeds."""
    platform_logs: bool = True
    """By pipeline only: Lambda writes its three lines for each invocation."""
    gradual: str = "Canary10Percent5Minutes"
    """By pipeline only: how traffic moves to a new version; `AllAtOnce` to move it at once."""
    firewall: bool = False
    """AWS WAF refuses addresses that send too many requests."""
    backup_days: int | None = None
    """How long weekly backups are kept; 0: no more are made; None: there never were any."""
    domain: Domain | None = None
    """The stage's own domain name."""


class UnknownOptionError(DeploymentError):
    sentence = "A stage of .chalice/config.json has an unknown option:"


class BadOptionError(DeploymentError):
    sentence = "A stage of .chalice/config.json has an option that cannot be used:"


def options_of(stage: str, source: Path = ROOT) -> Options:
    """Raises UnknownStageError, UnknownOptionError, BadOptionError."""
    chosen = dict(_config(source, stage)["stages"][stage].get("options", {}))
    known = {each.name: each for each in fields(Options)}
    if unknown := sorted(chosen.keys() - known.keys()):
        raise UnknownOptionError(f"{stage} has {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    for name, value in chosen.items():
        if isinstance(known[name].default, bool) and not isinstance(value, bool):
            raise BadOptionError(f"{stage}: {name} is {value!r}; write true or false.")
    if chosen.get("domain") is not None:
        try:
            chosen["domain"] = domain_from(chosen["domain"])
        except ValueError as fault:
            raise BadOptionError(f"{stage}: domain {fault}.") from None
    options = Options(**chosen)
    days = options.backup_days
    if days is not None and days != 0 and not (type(days) is int and RECOVERY_DAYS < days <= LONGEST_DAYS):
        raise BadOptionError(
            f"{stage}: backup_days is {days!r}; write a number from {RECOVERY_DAYS + 1} to {LONGEST_DAYS} (the last "
            f"{RECOVERY_DAYS} days can be restored without it), or 0 to make no more."
        )
    if options.firewall and options.http_api:
        raise BadOptionError(
            f"{stage}: firewall and http_api. AWS WAF cannot protect an HTTP API, and its requests would not pass the firewall "
            "of the REST API: choose one of them."
        )
    return options


@dataclass(frozen=True)
class Place:
    """The AWS account and the region that a stage belongs to; empty where its entry names none."""

    account: str = ""
    region: str = ""


def place_of(stage: str, source: Path = ROOT) -> Place:
    """Raises UnknownStageError, BadOptionError."""
    entry = _config(source, stage)["stages"][stage]
    place = Place(str(entry.get("account", "")), str(entry.get("region", "")))
    if place.account and not re.fullmatch(r"\d{12}", place.account):
        raise BadOptionError(
            f"{stage}: account is {place.account!r}; write the 12 digits of its id, in quotes."
        )
    if place.region and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", place.region):
        raise BadOptionError(f"{stage}: region is {place.region!r}, which does not read like eu-west-2.")
    return place


def api_stage_of(stage: str, source: Path = ROOT) -> str:
    """The name of the API's stage. Raises UnknownStageError."""
    return str(_config(source, stage)["stages"][stage]["api_gateway_stage"])


def chosen(config: Mapping[str, Any], stage: str, name: str, default: Any = None, function: str = "") -> Any:
    """A setting of Chalice, where Chalice looks for it: first for the function in the stage."""
    of_stage = config["stages"][stage]
    for place in (
        of_stage.get("lambda_functions", {}).get(function, {}),
        of_stage,
        config.get("lambda_functions", {}).get(function, {}),
        config,
    ):
        if name in place:
            return place[name]
    return default


def concurrency_of(stage: str, source: Path = ROOT) -> dict[str, int | None]:
    """Function -> reserved concurrency that .chalice/config.json sets, None for none."""
    config = _config(source, stage)
    return {
        function: chosen(config, stage, "reserved_concurrency", function=function)
        for function in config["lambda_functions"]
    }


def architecture_of(stage: str, source: Path = ROOT) -> str:
    """`x86_64` or `arm64`, as .chalice/config.json says."""
    return str(chosen(_config(source, stage), stage, "lambda_architecture", "x86_64"))


def set_concurrency(project: Path, stage: str, concurrency: Mapping[str, int | None]) -> None:
    """Set the reserved concurrency of an assembled project. Chalice removes it where the project has none."""
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    of_stage = config["stages"][stage].setdefault("lambda_functions", {})
    for function, value in concurrency.items():
        settings = of_stage.setdefault(function, {})
        settings.pop("reserved_concurrency", None)
        if value is not None:
            settings["reserved_concurrency"] = value
    _write(path, config)


def variables_in(project: Path, stage: str) -> dict[str, str]:
    """The environment variables of an assembled project."""
    config = json.loads((project / ".chalice" / "config.json").read_text())
    variables: dict[str, str] = config["stages"][stage]["environment_variables"]
    return variables


def _config(source: Path, stage: str) -> Any:
    require_stage(stage, source)
    return json.loads((source / ".chalice" / "config.json").read_text())


# X-Ray has no resources that a policy could name.
_TRACE = {
    "Sid": "Trace",
    "Effect": "Allow",
    "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
    "Resource": ["*"],
}


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
    config = _config(source, stage)
    config["stages"] = {stage: config["stages"][stage]}
    config["stages"][stage]["environment_variables"] = variables_of(stage, source) | dict(environment or {})
    for ours in ("options", "account", "region"):  # unknown to Chalice
        config["stages"][stage].pop(ours, None)
    traced = chosen(config, stage, "xray", default=False)

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
        statements = policy(json.loads(document.read_text()))
        if traced:
            statements["Statement"].append(_TRACE)
        _write(settings / document.name, statements)
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
