"""What all tests share: whatever would call AWS by mistake has no credentials, and looks for none."""

import functools
import os
import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any

import botocore.loaders
import botocore.session
import pytest
from hypothesis import HealthCheck, settings
from moto.core.botocore_stubber import BotocoreStubber
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from openbooking.deployment import imitation
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

# Coverage follows each line of every library too, which takes a third of the time of all tests. So it looks away while moto
# answers, and in processes that run nothing of the checkout: the simulated AWS, and Chalice on an assembled project.
_without_aws = imitation.without_aws


def _untraced(answer: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(answer)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        trace = sys.gettrace()
        sys.settrace(None)
        try:
            return answer(*arguments, **options)
        finally:
            sys.settrace(trace)

    return wrapper


def _without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in _without_aws(environment).items() if "COVERAGE" not in name}


for _kind in (BotocoreStubber, DomainDispatcherApplication):
    _kind.__call__ = _untraced(_kind.__call__)
imitation.without_aws = _without_coverage

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
