"""Writes docs/commands.md from the commands themselves, so that it is always accurate.

`python -m openbooking.cli.reference` writes it, in a checkout; a test fails where it is out of date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from openbooking.cli.main import COMMANDS, app, load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"

_INTRODUCTION = """
# Commands

Generated from the code by `python -m openbooking.cli.reference`; do not edit.

Every command of `openbooking`, with its arguments and options. `openbooking COMMAND --help` prints the same.
[sellers.md](sellers.md) and [operating.md](operating.md) explain when to use which.

## In all commands

**Where it works.** Without further options, commands work on the running local stack (`make run`); with
`--dynamodb-url URL` on another engine; with `--stage NAME` on a stage on AWS, with the credentials that boto3 finds.
The tables are printed on stderr. `--stage` needs AWS credentials with which the whole installation is open, to all
Sellers; Sellers themselves are not given them.

**Output.** The result is on stdout, everything else on stderr. `--json` prints JSON for programs: instants in ISO 8601
(UTC), amounts as text. Progress is shown on a terminal only.

**Refusals.** A command that cannot do what it was asked prints one sentence on stderr, which says what is wrong and what
to do, and changes nothing.

**Exit codes.**

| code | meaning |
|---|---|
| 0 | Done. |
| 1 | Refused or failed, as the sentence on stderr says; or a check or a comparison has found differences. |
| 2 | The command, an argument or an option is unknown, missing or malformed. |
| 130 | Interrupted with Ctrl-C. Long work continues where it was when the same command is run again. |

**Completion.** `openbooking --install-completion` sets up completion of commands and options for the current shell (bash,
zsh, fish or PowerShell); `openbooking --show-completion` prints the script instead.
"""


_KINDS: dict[Any, str] = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


def commands_page() -> str:
    """The text of docs/commands.md."""
    root = typer.main.get_command(app)
    loaded = {name: load(name) for name in COMMANDS}
    contents = [
        f"- [`openbooking {name}`](#openbooking-{name}): {line}" for name, (_, line) in COMMANDS.items()
    ]
    parts = [_INTRODUCTION.strip(), *_options(root), "## List", "\n".join(contents)]
    for name, command in loaded.items():
        parts.append(f"## openbooking {name}")
        if isinstance(command, TyperGroup):
            parts.append(_help(command))
            for sub_name, each in command.commands.items():
                parts.append(f"### openbooking {name} {sub_name}")
                parts += _command(each, f"openbooking {name} {sub_name}")
        else:
            parts += _command(command, f"openbooking {name}")
    return "\n\n".join(parts) + "\n"


def _command(command: Any, called: str) -> Iterator[str]:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    shown = " ".join([called, "[OPTIONS]", *(_metavar(each) for each in arguments)])
    yield f"```\n{shown}\n```"
    yield _help(command)
    described = [each for each in arguments if each.help]
    if described:
        yield _table("Argument", [(f"`{_metavar(each)}`", "", "", each.help or "") for each in described])
    yield from _options(command)
    if command.epilog:
        yield _text(command.epilog)


def _options(command: Any) -> Iterator[str]:
    options = [each for each in command.params if isinstance(each, TyperOption) and not each.hidden]
    if options:
        yield _table("Option", [_option(each) for each in options])


def _option(option: TyperOption) -> tuple[str, str, str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f"`{_value(option)}`"
    default = option.default
    shown = "required" if option.required else ""
    if not option.is_flag and default not in (None, "", ()) and not callable(default):
        shown = f"`{getattr(default, 'value', default)}`"
    text = option.help or ""
    variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    if variables:
        text = f"{text} Or the variable {', '.join(f'`{each}`' for each in variables)}."
    return names, value, shown, text.strip()


def _value(option: TyperOption) -> str:
    kind: Any = option.type_descriptor.annotation
    kind = (get_args(kind) or (kind,))[0]  # of a list, what is in it
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " / ".join(each.value for each in kind)
    return option.metavar or _KINDS.get(kind, "TEXT")


def _metavar(argument: TyperArgument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    name = f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _table(first: str, rows: list[tuple[str, str, str, str]]) -> str:
    lines = [f"| {first} | Value | Default | Meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)])


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|").replace("\n", " ")


def _help(command: Any) -> str:
    """The help text: its paragraphs, and examples as code."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or "").replace("\f", ""))
    shown = []
    for paragraph in paragraphs:
        line = " ".join(paragraph.split())
        example = re.fullmatch(r"(Examples?): (.*)", line)
        shown.append(f"{example[1]}:\n\n```\n{example[2]}\n```" if example else _text(line))
    return "\n\n".join(shown)


def _text(text: str) -> str:
    """Words in angle brackets would be taken for HTML."""
    return " ".join(text.split()).replace("<", "&lt;")


def main() -> None:
    """Write the page."""
    PAGE.write_text(commands_page(), encoding="utf-8")
    print("docs/commands.md")


if __name__ == "__main__":
    main()
