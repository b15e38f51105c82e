"""Adds bytecode to a package, so that functions do not compile modules at each cold start.

On Lambda the package is read-only: without bytecode, every cold start compiles every module that it imports. The
bytecode is of the kind `unchecked-hash`, which does not depend on the files' times. The zip depends only on its
files: order, times and permissions are always the same.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from openbooking.deployment.errors import DeploymentError

# The directory into which Lambda unpacks, as tracebacks show it.
TASK_ROOT = "/var/task"
# Of a .pyc file (PEP 552): magic number, flags, hash of the source.
_HEADER = 16
_UNCHECKED_HASH = 0b01
# The earliest time that a zip can contain.
_TIME = (1980, 1, 1, 0, 0, 0)
_PERMISSIONS = 0o100644


class UncompilableError(DeploymentError):
    sentence = "A module of the package cannot be compiled."


def add_bytecode(
    package: Path, *, as_shipped: Callable[[str, bytes], bytes | None] = lambda name, data: data
) -> None:
    """Rewrites the zip with bytecode for every module, for the current Python.

    `as_shipped` returns the new content of a file, or None for one to leave out. Does nothing if the zip already has
    valid bytecode. Raises UncompilableError.
    """
    with zipfile.ZipFile(package) as archive:
        if not any(bytecode_faults(archive)):
            return
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name in archive.namelist():
                if _is_compiled(name) or name.endswith("/"):
                    continue
                shipped = as_shipped(name, archive.read(name))
                if shipped is not None:
                    path = root / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(shipped)
            _compile(root)
            finished = package.with_suffix(".tmp")
            written = {each.relative_to(root).as_posix(): each for each in root.rglob("*") if each.is_file()}
            write_zip(finished, written, lambda name: written[name].read_bytes())
    finished.replace(package)


def bytecode_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    """A message for each module without valid bytecode, and for each compiled file without a module."""
    names = set(archive.namelist())
    modules = {name for name in names if name.endswith(".py")}
    for module in sorted(modules):
        compiled = compiled_name(module)
        if compiled not in names:
            yield f"{module} is not compiled"
        elif fault := _fault(archive.read(compiled), archive.read(module)):
            yield f"{compiled} {fault}"
    for name in sorted(names - {compiled_name(module) for module in modules}):
        if _is_compiled(name):
            yield f"{name} is compiled from a file that is not in the package"


def _fault(compiled: bytes, source: bytes) -> str | None:
    magic, flags, digest = compiled[:4], compiled[4:8], compiled[8:_HEADER]
    if magic != importlib.util.MAGIC_NUMBER:
        return "is compiled for another Python"
    if int.from_bytes(flags, "little") != _UNCHECKED_HASH:
        return "is checked against its source at each import"
    if digest != importlib.util.source_hash(source):
        return "is compiled from another source"
    return None


def _is_compiled(name: str) -> bool:
    return name.endswith(".pyc") or "__pycache__" in PurePosixPath(name).parts


def compiled_name(module: str) -> str:
    """The file with a module's bytecode, by the file with its source."""
    path = PurePosixPath(module)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _compile(directory: Path) -> None:
    # In a separate process with a fixed hash seed: otherwise loaded modules and the order of sets would change
    # the bytes.
    options = ("--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", TASK_ROOT)
    done = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-m", "compileall", "-q", *options, str(directory)],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UncompilableError("; ".join(_faults_of(done.stdout)) or done.stdout.strip())


def _faults_of(output: str) -> Iterator[str]:
    """File, line and error, of what `compileall` prints for each module: a traceback without its first lines."""
    place = ""
    for line in output.splitlines():
        if found := re.match(rf'\s*File "(?:{TASK_ROOT}/)?(.+)", line (\d+)', line):
            place = f"{found[1]}, line {found[2]}"
        elif place and (found := re.match(r"(?:\*\*\* )?(\w+Error: .+)", line)):
            yield f"{place}: {found[1]}"
            place = ""


def write_zip(package: Path, names: Iterable[str], read: Callable[[str], bytes]) -> None:
    """Writes a zip of the files that have these names; the same files make the same zip."""
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(names, key=PurePosixPath):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _PERMISSIONS << 16
            entry.create_system = 3  # Unix, on every platform
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, read(name))
