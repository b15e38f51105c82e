"""What goes into the zip has the hashes of the lock file, or there is no zip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from openbooking.deployment import packaging, project
from openbooking.infra.templates import ROOT

SIX = "six==1.17.0"


def test_a_wheel_with_another_hash_than_that_of_the_lock_stops_the_packaging(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "deploy*"))
    shutil.copyfile(ROOT / "app.py", source / "app.py")
    (source / "requirements.txt").write_text(f"{SIX}\n")
    build = project.assemble(tmp_path / "build", "dev", source=source)
    lock = tmp_path / "lock"

    def build_zip() -> Path:
        return packaging.build_zip(
            build, "dev", tmp_path / "out", source=source, environment=os.environ, lock=lock
        )

    lock.write_text(f"{SIX} --hash=sha256:{'0' * 64}\n")
    with pytest.raises(project.ChaliceFailedError):
        build_zip()
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err.upper()
    # With the right one Chalice makes the zip; it has too little in it, which our own check says.
    lock.write_text(packaging.LOCK.read_text())
    with pytest.raises(packaging.BadPackageError, match="is not compiled for"):
        build_zip()
