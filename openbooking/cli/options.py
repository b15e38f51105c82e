"""Options that many commands have in common, gathered in dataclasses.

A command marked `with_options` names such a dataclass as the type of a parameter. Each field becomes an option of the
command, and the command gets their values as one object.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its dataclasses as options, which are listed after its own."""
    hints = get_type_hints(function, include_extras=True)
    own: list[inspect.Parameter] = []
    common: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind))
            continue
        groups[name] = kind
        types = get_type_hints(kind, include_extras=True)
        common += [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=each.default,
                annotation=types[each.name],
            )
            for each in fields(kind)
        ]

    @wraps(function)
    def command(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{each.name: given.pop(each.name) for each in fields(kind)})
        function(**given)

    # Typer reads the parameters from these; the function behind the wrapper has others.
    del command.__wrapped__
    command.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (*own, *common)}
    return command
