"""The command line as an operator uses it: commands are typed, and what they print and leave behind is looked at."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from chalicelib.runtime.system import System
from openbooking.cli.main import app


@dataclass
class Terminal:
    """Types commands, and looks at what they leave behind."""

    system: System
    options: list[str]

    def run(self, *arguments: str, typed: str = "") -> Result:
        result = CliRunner().invoke(app, [*arguments, *self.options], input=typed)
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def says(self, *arguments: str, typed: str = "") -> str:
        result = self.run(*arguments, typed=typed)
        # On stderr, so that what is printed as JSON stays JSON.
        tables = rf"Tables: {re.escape(self.system.settings.table_prefix)}-\* (at|in) \S+\n"
        assert result.exit_code == 0, result.output
        assert re.fullmatch(tables, result.stderr), result.stderr
        return result.stdout

    def refuses(self, *arguments: str, typed: str = "") -> str:
        """The one sentence on stderr; nothing was changed by it, the journal says."""
        before = self.changes()
        result = self.run(*arguments, typed=typed)
        said = [line for line in result.stderr.splitlines() if not line.startswith("Tables: ")]
        assert (result.exit_code, len(said)) == (1, 1), result.output
        assert self.changes() == before
        return said[0]

    def pasteable(self, command: str) -> str:
        """The command as a sentence names it: it works on the same installation."""
        return f"`openbooking {' '.join([command, *self.options])}`"

    def changes(self) -> int:
        return len(self.system.register.journal(f"{datetime.now(UTC):%Y-%m}"))

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.says(*arguments, "--json"))
        return found

    def page(self, *arguments: str) -> dict[str, Any]:
        """A page of a list: its rows, and the cursor of the next one."""
        found: dict[str, Any] = json.loads(self.says(*arguments, "--json"))
        return found

    def journal(self) -> list[tuple[str, str]]:
        """What was done and by whom, oldest first."""
        shown = json.loads(self.says("audit", "--json", "--limit", "1000"))
        return [(row["what"], row["by"]) for row in reversed(shown["rows"])]
