"""Measures what bytecode in the package saves: processor time of a cold start's imports, with and without it.

`python -m bench.cold_start` packages a stage for the Python that runs it, unpacks the zip twice, and removes the
bytecode from one copy. As on Lambda, no bytecode can be written, so modules are compiled again each time.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from openbooking.deployment.packaging import PYTHON, package

REPEATS = 15

_IMPORT = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import app
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


def cold_start(repeats: int = REPEATS) -> tuple[float, float]:
    """Seconds of processor time from the start of an interpreter to the imported app: with, and without.

    Medians of fresh interpreters, interleaved.
    """
    with tempfile.TemporaryDirectory() as scratch:
        made = package("prod", build=Path(scratch) / "build", out=Path(scratch) / "dist", python=PYTHON)
        ways = [Path(scratch) / name for name in ("with", "without")]
        with zipfile.ZipFile(made.zip) as archive:
            sources = [name for name in archive.namelist() if not name.endswith(".pyc")]
            archive.extractall(ways[0])
            archive.extractall(ways[1], sources)
        used: dict[Path, list[float]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way in ways:
                used[way].append(_import_in(way))
    return median(used[ways[0]]), median(used[ways[1]])


def _import_in(task_root: Path) -> float:
    done = subprocess.run(
        # -B: write no bytecode, as on Lambda.
        [sys.executable, "-I", "-S", "-B", "-c", _IMPORT, str(task_root)],
        cwd=task_root,
        env={"PATH": os.environ["PATH"], "TABLE_PREFIX": "openbooking-prod"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    compiled, from_source = cold_start()
    print(f"Python {PYTHON[0]}.{PYTHON[1]}: with bytecode 1.00, without {from_source / compiled:.2f}")


if __name__ == "__main__":
    main()
