"""A rolling deployment: release 0.1.0 and this one work on the same tables in turn, each with rows of the other."""

import subprocess

import pytest

from bench.side_by_side import NEW, RELEASE, differences, side_by_side
from openbooking.infra.templates import ROOT
from tests.support import engines


def has_history() -> bool:
    found = subprocess.run(["git", "cat-file", "-e", RELEASE], cwd=ROOT, capture_output=True, check=False)
    return found.returncode == 0


@pytest.mark.proof
@pytest.mark.skipif(not engines.DYNOXIDE, reason=engines.WITHOUT_DYNOXIDE)
@pytest.mark.skipif(not has_history(), reason="this checkout lacks the commit of release 0.1.0")
def test_releases_continue_what_the_other_has_written() -> None:
    """This release can do everything; 0.1.0 what docs/deploying.md says."""
    with engines.running_engine() as url:
        found = side_by_side(url)
    assert differences(found) == []
    assert not any(step.wrong for step in found if step.release == NEW)
