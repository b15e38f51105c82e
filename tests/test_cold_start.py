"""What a fresh process loads before it is asked anything; tests/test_package.py has what it loads after."""

import subprocess
import sys
from pathlib import Path


def test_libraries_that_only_some_requests_need_wait_for_them() -> None:
    code = (
        "import sys, app; "
        "late = {'authlib', 'cryptography', 'jinja2', 'joserfc', 'markupsafe', 'segno'} & set(sys.modules); "
        "print(*sorted(late))"
    )
    checked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "\n", "")
