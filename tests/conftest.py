"""What all tests share: whatever would call AWS by mistake has no credentials, and looks for none."""

import functools
import os
import sys
from collections.abc import Generator

import botocore.loaders
import botocore.session
import pytest
from hypothesis import HealthCheck, settings

from openbooking.infra.templates import RUNTIME_PYTHON
from tests.support import errors_seen

os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_DEFAULT_REGION="eu-west-2",
    AWS_EC2_METADATA_DISABLED="true",
)

# Each of the many clients that tests make has a session of its own, which would look for the models of AWS's services and
# parse them anew: a third of the time of a test of a command.
botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)

# How long an example takes says more about what else the machine is doing than about the code.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")


def pytest_report_header() -> str | None:
    """Says so where these tests package for another Python than that of the functions."""
    if sys.version_info[:2] == RUNTIME_PYTHON:
        return None
    this, wanted = (f"{major}.{minor}" for major, minor in (sys.version_info[:2], RUNTIME_PYTHON))
    return f"package: made and rehearsed for Python {this} here; functions run on Python {wanted}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test marked `shows` fails where no answer in it has held that error: docs/errors.md names it."""
    errors_seen.forget()
    yield
    claimed = [name for mark in item.iter_markers("shows") for name in mark.args]
    missing = errors_seen.not_seen(claimed)
    assert not missing, f"no answer in this test has shown {', '.join(missing)}"
