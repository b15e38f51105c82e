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


def loaded_of(modules: set[str], code: str) -> set[str]:
    """Which of these are loaded in a fresh process after it has run `code`."""
    checked = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*({modules!r} & set(sys.modules)))"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    return set(checked.stdout.split())


def test_libraries_that_only_some_requests_need_wait_for_them() -> None:
    assert (
        loaded_of({"authlib", "cryptography", "jinja2", "joserfc", "markupsafe", "segno"}, "import app")
        == set()
    )


LATE = {
    f"chalicelib.identity.{module}"
    for module in (
        "credentials", "fetching", "grants", "issuers", "issuing", "keys", "limits", "logins", "oauth", "passwords",
        "sign_in", "tokens",
    )
}  # fmt: skip


def test_what_only_some_requests_ask_of_identity_waits_for_them() -> None:
    assert loaded_of(LATE, "import app") == set()


def test_whether_an_authorisation_is_revoked_is_asked_without_the_rest_of_identity() -> None:
    """What the Orders stream does with each partner and Seller (OFEED-15)."""
    asked = (
        "from chalicelib.api.streams import orders_changed; "
        "from tests.support.world import World; "
        "assert not World().system.consent.is_revoked('partner-1', 'seller-1'); "
        "assert orders_changed([]) == {'batchItemFailures': []}"
    )
    assert loaded_of(LATE | {"authlib", "cryptography", "joserfc", "chalicelib.identity.callers"}, asked) <= {
        "chalicelib.identity.callers"  # of the API's own module, which the app imports
    }
    alone = "import chalicelib.identity.consent"
    others = LATE | {"chalicelib.identity.callers", "chalicelib.identity.hashing"}
    assert loaded_of(others | {"authlib", "cryptography", "joserfc"}, alone) == set()


REQUESTS = {
    f"chalicelib.{module}"
    for module in (
        "api.authority", "api.boundary", "api.feeds", "api.orders", "api.site", "identity.callers", "pages.rendering",
        "services.attempts", "services.bookings", "wire.dataset", "wire.requests",
    )
}  # fmt: skip
KINDS_OF_WORK = {
    f"chalicelib.services.{module}"
    for module in ("clearing", "following", "informing", "proposals", "reviews", "timetables.extending")
}
LIBRARIES = {"authlib", "cryptography", "jinja2", "joserfc", "markupsafe", "segno"}


PUBLISHES = "from chalicelib.runtime.publishing import Publishing; installed(Publishing).streams"
WORKS = "from chalicelib.runtime.work import Work; installed(Work).worker; import chalicelib.services.sweep"
IMPORTS = "from chalicelib.runtime.imports import Imports; installed(Imports)"


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        ("orders_stream", PUBLISHES),
        ("inventory_stream", PUBLISHES),
        ("lease_sweep", WORKS),
        ("import_sources", IMPORTS),
    ],
)
def test_functions_without_requests_load_no_routes(function: str, asked: str) -> None:
    code = (
        f"import os; os.environ['_HANDLER'] = 'app.{function}'; import app; "
        f"from chalicelib.runtime.installation import installed; {asked}"
    )
    assert loaded_of(REQUESTS | KINDS_OF_WORK | LIBRARIES, code) == set()


PARTS = {
    f"chalicelib.runtime.{module}"
    for module in ("access", "imports", "installation", "publishing", "serving", "system", "work")
}


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        ("app", {"access", "serving", "work"}),
        ("orders_stream", {"publishing"}),
        ("inventory_stream", {"publishing"}),
        ("lease_sweep", {"work"}),
        ("import_sources", {"imports"}),
    ],
)
def test_each_function_makes_its_own_part_when_it_is_loaded(function: str, parts: set[str]) -> None:
    code = (
        f"import os; os.environ['_HANDLER'] = 'app.{function}'; import app; "
        "from chalicelib.runtime import installation; assert installation._installed is not None"
    )
    assert loaded_of(PARTS, code) == {f"chalicelib.runtime.{part}" for part in {*parts, "installation"}}


def test_each_function_is_ready_when_it_is_loaded() -> None:
    """Lambda gives a function more processor while it starts: the API makes there what verifies tokens, and the client."""
    code = (
        "import os; os.environ |= {'_HANDLER': 'app.app', 'AUTHENTICATION': 'openid'}; import app; "
        "from chalicelib.runtime import installation; assert installation._installed is not None"
    )
    ready = {"chalicelib.identity.tokens", "joserfc"}
    assert loaded_of(ready | {"authlib", "jinja2"}, code) == ready


def test_unusable_settings_are_reported_by_the_first_invocation() -> None:
    code = (
        "import os; os.environ |= {'_HANDLER': 'app.app', 'LEASE_SECONDS': 'never'}; import app; "
        "from chalicelib.runtime import installation; assert installation._installed is None"
    )
    assert loaded_of(set(), code) == set()


def test_modules_in_these_lists_exist() -> None:
    names = REQUESTS | KINDS_OF_WORK
    assert loaded_of(names, "; ".join(f"import {module}" for module in sorted(names))) == names


def test_what_waits_is_there_when_it_is_asked_for() -> None:
    """The list above names modules that exist."""
    assert loaded_of(LATE, "; ".join(f"import {module}" for module in sorted(LATE))) == LATE


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
