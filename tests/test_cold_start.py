"""What a fresh process loads before it is asked anything; tests/test_package.py has what it loads after."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(("chalicelib", "test_interface", *(() if each.stem == "__init__" else (each.stem,))))
    for each in (ROOT / "chalicelib" / "test_interface").glob("*.py")
)


def test_libraries_that_only_some_requests_need_wait_for_them() -> None:
    code = (
        "import sys, app; "
        "late = {'authlib', 'cryptography', 'jinja2', 'joserfc', 'markupsafe', 'segno'} & set(sys.modules); "
        "print(*sorted(late))"
    )
    checked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "\n", "")


@pytest.mark.parametrize(("is_on", "status", "loaded"), [("false", 404, []), ("true", 403, list(MODULES))])
def test_the_test_interface_is_loaded_by_its_first_request_and_only_where_it_is_on(
    is_on: str, status: int, loaded: list[str]
) -> None:
    """TESTIF-07. A request without credentials is refused by the Test Interface itself."""
    code = (
        "import json, sys, app\n"
        "from chalice.test import Client\n"
        "found = lambda: sorted(each for each in sys.modules if each.startswith('chalicelib.test_interface'))\n"
        "before = found()\n"
        "with Client(app.app) as client:\n"
        "    path = '/api/openbooking/test-interface/actions'\n"
        "    headers = {'Content-Type': 'application/json', 'Host': 'booking.example'}\n"
        "    answer = client.http.post(path, headers=headers, body=b'{}')\n"
        "print(json.dumps([before, answer.status_code, found()]))"
    )
    settings = {
        "TEST_INTERFACE": is_on,
        "AUTHENTICATION": "headers",
        "LOG_LEVEL": "CRITICAL",
        "METRICS": "false",
    }
    checked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stderr == ""
    assert json.loads(checked.stdout) == [[], status, loaded]
