"""Makes the zip that Lambda runs, for both ways of deploying, and checks its content.

For deployment by pipeline it also makes the templates, and of the zip one for each function, with only what this function
can import (`contents`). The whole zip is `dist/openbooking.zip`, for other ways to create Lambda functions.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import re
import shutil
import sys
import uuid
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from openbooking.deployment import project
from openbooking.deployment.bytecode import add_bytecode, bytecode_faults, write_zip
from openbooking.deployment.contents import Whole, normal
from openbooking.deployment.descriptions import as_shipped
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.pipeline import gradual
from openbooking.infra.alarms import WATCHED_OPTIONS, alarms_template
from openbooking.infra.backups import backups_template
from openbooking.infra.templates import FUNCTIONS, ROOT, RUNTIME_PYTHON, gateway_template

# The current interpreter. Chalice derives the functions' runtime from it.
PYTHON = (sys.version_info[0], sys.version_info[1])

# Lambda's name of an architecture -> that of wheels.
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
# The one that tests can run on most CI machines.
MACHINE = "x86_64"
# The version of the C library on Lambda: Amazon Linux 2 for Python 3.11, otherwise Amazon Linux 2023.
GLIBC = (2, 26) if PYTHON < (3, 12) else (2, 34)
_NAMED_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
# Chalice's packager always adds two files of the Chalice version that builds the package.
CHALICE_VERSION = "1.34.0"
# Building a package does not call AWS, but needs a region.
FALLBACK_REGION = "eu-west-2"
# Every package with the hashes of its files. requirements.txt has none, which Chalice hands to pip.
LOCK = ROOT / "requirements-run.lock"
# Libraries that do not run without a file for the platform, and that file.
_COMPILED = {
    "msgspec": "msgspec/_core{suffix}",
    "cffi": "_cffi_backend{suffix}",
    "cryptography": "cryptography/hazmat/bindings/_rust.abi3.so",
}
# Lambda's limit for the unpacked size.
UNPACKED_LIMIT = 250 * 1024 * 1024


class BadPackageError(DeploymentError):
    sentence = "The package lacks files, or contains files that do not belong in it."


class WrongPythonError(DeploymentError):
    sentence = "Packaging and deploying need"


@dataclass(frozen=True)
class Package:
    """The files for a pipeline."""

    template: Path
    zips: Mapping[str, Path]
    """Of each function, by its name in FUNCTIONS: what it can import."""
    zip: Path
    """The whole project."""
    alarms: Path
    bill: Path
    """What the whole zip contains (CycloneDX)."""


def require_python(python: tuple[int, int], command: str) -> None:
    """Check that this is `python`, the version of the functions.

    `command` is the `make` command to run with the correct version. Raises WrongPythonError.
    """
    if python != PYTHON:
        right, this = (f"{major}.{minor}" for major, minor in (python, PYTHON))
        raise WrongPythonError(
            f"Python {right}, which the functions run on, not {this}: PYTHON=python{right} make {command}"
        )


def package(
    stage: str,
    *,
    source: Path = ROOT,
    build: Path | None = None,
    out: Path | None = None,
    python: tuple[int, int] = RUNTIME_PYTHON,
) -> Package:
    """Packages `stage` into `out`: a folder for the pipeline, and the whole zip. An error leaves what was there.

    `python` is the Python version of the functions; tests pass another one.
    """
    build = build or source / "build" / f"{stage}-package"
    out = out or source / "dist"
    project.require_stage(stage, source)
    require_python(python, f"package STAGE={stage}")
    options = project.options_of(stage, source)
    pinned = partial(_pinned_to, stage, project.place_of(stage, source))
    project.assemble(build, stage, source=source)
    merge = build / "merge.json"
    merge.write_text(json.dumps(pinned(gateway_template())))
    fresh = build.with_name(f"{build.name}-dist")
    made = build_zip(
        build, stage, fresh / stage, "--merge-template", str(merge), source=source, environment=os.environ
    )
    template = fresh / stage / "sam.json"
    document = gradual(json.loads(template.read_text()), options)
    template.write_text(json.dumps(document, indent=2) + "\n")
    (fresh / stage / "deployment.zip").unlink()  # Chalice's
    machine = MACHINES[project.architecture_of(stage, source)]
    split(made, fresh / stage, (source / "requirements.txt").read_text(), machine)
    watched = [name for name in sorted(WATCHED_OPTIONS) if getattr(options, name)]
    documents = {"alarms.json": pinned(alarms_template(watched)), "sbom.json": bill_of_materials(made)}
    if options.backup_days is not None:
        documents["backups.json"] = pinned(backups_template(options.backup_days))
    for name, content in documents.items():
        (fresh / stage / name).write_text(json.dumps(content, indent=2) + "\n")
    shutil.rmtree(out / stage, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    shutil.move(fresh / stage, out / stage)
    whole = out / "openbooking.zip"
    shutil.copyfile(made, whole)
    return Package(
        template=out / stage / "sam.json",
        zips={function.name: out / stage / function.zip_name for function in FUNCTIONS},
        zip=whole,
        alarms=out / stage / "alarms.json",
        bill=out / stage / "sbom.json",
    )


def split(whole: Path, out: Path, requirements: str, machine: str = MACHINE) -> None:
    """Makes of the whole zip one for each function, in `out`. Raises UnknownContentsError, BadPackageError."""
    with zipfile.ZipFile(whole) as archive:
        code = Whole(archive)
        for function in FUNCTIONS:
            contents = code.contents(function.handler)
            write_zip(out / function.zip_name, contents.files, archive.read)
            check(out / function.zip_name, requirements, machine, only=contents.distributions)


def build_zip(
    build: Path,
    stage: str,
    out: Path,
    *options: str,
    source: Path,
    environment: Mapping[str, str],
    lock: Path = LOCK,
) -> Path:
    """Makes the zip of the project in `build` and returns it; Chalice's templates go to `out`.

    Chalice names zips by a hash of their input and reuses existing ones. So the zip is completed where
    Chalice stored it, and `chalice deploy` in the same project uploads it. pip refuses a package whose hash is not
    in `lock`.
    """
    if version("chalice") != CHALICE_VERSION:
        raise BadPackageError(f"built with Chalice {version('chalice')}, not {CHALICE_VERSION}")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    project.run_chalice(
        build, "package", "--stage", stage, *options, str(out),
        environment={"AWS_DEFAULT_REGION": FALLBACK_REGION, **environment, "PIP_CONSTRAINT": str(lock)},
    )  # fmt: skip
    copied = out / "deployment.zip"
    (made,) = (each for each in zips(build) if filecmp.cmp(each, copied, shallow=False))
    for outdated in set(zips(build)) - {made}:
        outdated.unlink()
    add_bytecode(made, as_shipped=as_shipped)
    machine = MACHINES[project.architecture_of(stage, source)]
    check(made, (source / "requirements.txt").read_text(), machine)
    return made


def zips(build: Path) -> list[Path]:
    """The zips that Chalice has made from the project in `build`."""
    return list((build / ".chalice" / "deployments").glob("*.zip"))


def check(
    package: Path, requirements: str, machine: str = MACHINE, *, only: Collection[str] | None = None
) -> None:
    """Check that Lambda can run a zip on `machine`, and that it contains no unexpected files. Raises BadPackageError.

    `only` are the distributions that it should have; by default all of the requirements. Chalice only warns if a wheel
    for the target is missing, and builds an incomplete zip.
    """
    wanted = {name: number for name, number in pins(requirements).items() if only is None or name in only}
    compiled = [name for name in _COMPILED if only is None or name in only]
    with zipfile.ZipFile(package) as archive:
        faults = list(_faults(archive, wanted, compiled, machine))
    if faults:
        raise BadPackageError("; ".join(faults))


def bill_of_materials(package: Path) -> dict[str, Any]:
    """The distributions in a zip, as a CycloneDX document (https://cyclonedx.org/docs/1.5/json/).

    Read from the zip, not from a list of what should be in it. The same zip makes the same document.
    """
    with zipfile.ZipFile(package) as archive:
        components = [
            _component(archive.read(name).decode())
            for name in sorted(archive.namelist())
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
        ]
    chalice = {"type": "library", "name": "chalice", "version": CHALICE_VERSION}
    components.append({**chalice, "bom-ref": (purl := f"pkg:pypi/chalice@{CHALICE_VERSION}"), "purl": purl})
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "openbooking",
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": components,
    }


def _component(metadata: str) -> dict[str, Any]:
    fields = message_from_string(metadata)
    name, number = normal(fields["Name"]), fields["Version"]
    purl = f"pkg:pypi/{name}@{number}"
    component = {"type": "library", "name": name, "version": number, "bom-ref": purl, "purl": purl}
    named = fields["License-Expression"] or (fields["License"] or "").partition("\n")[0]
    return {**component, "licenses": [{"license": {"name": named}}]} if named else component


def pins(requirements: str) -> dict[str, str]:
    """Distribution -> version, of a requirements.txt in which every version is pinned."""
    lines = [line.partition("#")[0].strip() for line in requirements.splitlines()]
    pinned = dict(line.split("==") for line in lines if line)
    return {normal(name): number for name, number in pinned.items()}


def _pinned_to(stage: str, place: project.Place, template: dict[str, Any]) -> dict[str, Any]:
    # A package contains the names and the environment of its stage. A mistake in the pipeline's parameters must
    # not deploy it as another stage, and one in its credentials not to the account of another.
    template["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    rules = {
        name: {
            "Assertions": [
                {
                    "Assert": {"Fn::Equals": [{"Ref": reference}, wanted]},
                    "AssertDescription": f"The stage {stage} is in {wanted} (.chalice/config.json).",
                }
            ]
        }
        for name, reference, wanted in (
            ("RightAccount", "AWS::AccountId", place.account),
            ("RightRegion", "AWS::Region", place.region),
        )
        if wanted
    }
    return {**template, "Rules": rules} if rules else template


def _faults(
    archive: zipfile.ZipFile, wanted: Mapping[str, str], compiled: Collection[str], machine: str
) -> Iterator[str]:
    names = archive.namelist()
    shipped: dict[str, str] = {}
    owned = {"app.py", "__pycache__", "chalicelib", "chalice"}
    for record in (name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)):
        directory = record.partition("/")[0]
        name, _, number = directory.removesuffix(".dist-info").rpartition("-")
        shipped[normal(name)] = number
        owned |= {directory, directory.replace(".dist-info", ".data")}
        files = archive.read(f"{directory}/RECORD").decode().splitlines()
        owned |= {file.partition(",")[0].partition("/")[0] for file in files}
        yield from _platform_faults(normal(name), archive.read(f"{directory}/WHEEL").decode(), machine)

    for name, number in wanted.items():
        if shipped.get(name) != number:
            yield f"{name} {number} is not in the package ({shipped.get(name, 'nothing')} is)"
    for name in shipped.keys() - wanted.keys():
        yield (
            f"{name} {shipped[name]} is in the package and not in requirements.txt: name it there, if a library "
            "needs it, and run `make lock`"
        )
    for top in sorted({name.partition("/")[0] for name in names} - owned):
        yield f"{top} is not a part of anything that the package should contain"
    yield from bytecode_faults(archive)
    for needed in ("app.py", "chalicelib/__init__.py", "chalice/app.py"):
        if needed not in names:
            yield f"{needed} is missing"
    suffix = f".cpython-{PYTHON[0]}{PYTHON[1]}-{machine}-linux-gnu.so"
    for library in compiled:
        if _COMPILED[library].format(suffix=suffix) not in names:
            yield f"{library} is not compiled for {suffix}"
    if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_LIMIT:
        yield "the unpacked package is larger than Lambda allows"


def _platform_faults(name: str, wheel: str, machine: str) -> Iterator[str]:
    # A wheel with several tags runs on each of these platforms.
    platforms = [tag.rpartition("-")[2] for tag in re.findall(r"^Tag: (\S+)$", wheel, re.MULTILINE)]
    if platforms and not any(_runs_on_lambda(platform, machine) for platform in platforms):
        yield f"{name} is built for {', '.join(platforms)}"


def _runs_on_lambda(platform: str, machine: str) -> bool:
    if platform == "any":
        return True
    kind, _, rest = platform.partition(f"_{machine}")
    numbered = re.fullmatch(r"manylinux_(\d+)_(\d+)", kind)
    needs = (int(numbered[1]), int(numbered[2])) if numbered else _NAMED_GLIBC.get(kind)
    return not rest and platform != kind and needs is not None and needs <= GLIBC
