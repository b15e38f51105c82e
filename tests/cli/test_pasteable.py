"""Printed commands: they start the program as it was started, on the installation that the command has worked on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openbooking.cli.pasteable import as_started, command, on_installation, program

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("started_as", "words"),
    [
        (".venv/bin/openbooking", (".venv/bin/openbooking",)),
        ("/opt/booking system/bin/openbooking", ("/opt/booking system/bin/openbooking",)),
        ("/x/openbooking/__main__.py", ("python3.12", "-m", "openbooking")),
        ("/x/pytest", ("openbooking",)),
    ],
)
def test_a_program_is_started_again_as_it_was(started_as: str, words: tuple[str, ...]) -> None:
    assert tuple(program(started_as, "python3.12")) == words


def test_one_that_the_shell_finds_is_called_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "openbooking"
    script.touch(mode=0o755)
    assert tuple(program(str(script), "python")) == (str(script),)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tuple(program(str(script), "python")) == ("openbooking",)


def test_what_is_odd_is_quoted() -> None:
    assert command("sessions", "cancel", "https://x/a b'c") == (
        """openbooking sessions cancel 'https://x/a b'"'"'c'"""
    )


def test_a_command_works_on_the_same_installation() -> None:
    with on_installation("prod", None):
        assert command("sources", "list") == "openbooking sources list --stage prod"
        assert as_started("See `openbooking sources list`.") == "See `openbooking sources list --stage prod`."
        assert as_started("`openbooking timetable template` writes one.").startswith(
            "`openbooking timetable template` "
        )
    with on_installation(None, "http://localhost:8002"):
        assert command("sources", "list").endswith(" --dynamodb-url http://localhost:8002")
    assert command("sources", "list") == "openbooking sources list"


def test_a_refusal_names_the_program_as_it_was_started() -> None:
    script = Path(sys.executable).parent / "openbooking"
    code = (
        f"import sys; sys.argv[0] = {str(script)!r};"
        "from openbooking.cli.terminal import refuse; refuse('See `openbooking sources list`.')"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.startswith("See `")) == (1, True)
    assert ran.stderr.splitlines()[0].endswith("openbooking sources list`.")
