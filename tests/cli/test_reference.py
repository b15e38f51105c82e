"""The reference of the commands, completion, and what is the same in all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from openbooking.cli.main import COMMANDS, app, load
from openbooking.cli.reference import PAGE, commands_page


def every_command() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load(name)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())
        else:
            yield name, command


ALL = dict(every_command())


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), "run python -m openbooking.cli.reference"


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_is_explained(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"# openbooking {name}\n" in text
    assert ALL[name].help
    without = [
        each.name for each in ALL[name].params if not getattr(each, "help", None) and each.name != "help"
    ]
    assert without == []


@pytest.mark.parametrize("name", ALL)
def test_commands_on_an_installation_work_on_stages_too(name: str) -> None:
    options = {option for each in ALL[name].params for option in each.opts}
    if "--dynamodb-url" in options and name.split()[0] not in (
        "serve",
        "demo",
        "import",
        "sandbox",
        "timetable",
    ):
        assert "--stage" in options


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("openbooking pe", {"people", "pending"}),
        ("openbooking people er", {"erase"}),
        ("openbooking people erase --em", {"--email"}),
        ("openbooking reports sales --group-by a", {"activity"}),
    ],
)
def test_the_shell_completes_commands_options_and_values(typed: str, offered: set[str]) -> None:
    words = typed.split()
    completed = subprocess.run(
        [sys.executable, "-m", "openbooking"],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "_OPENBOOKING_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(completed.stdout.split()) == offered, completed.stderr


def test_what_cannot_be_parsed_is_exit_code_2() -> None:
    for typed in (["people", "find", "--no-such-option"], ["people", "export"], ["reports", "nothing"]):
        assert CliRunner().invoke(app, typed).exit_code == 2
