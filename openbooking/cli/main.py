"""The `openbooking` command: the list of commands. Each is in its own module in this package.

A command's module is imported when the command runs. It can therefore import what it needs at the top, and
`openbooking --help` imports none of it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

# Name -> the module with its `app`, and its line in the list of commands.
COMMANDS = {
    "serve": ("serve", "Run the whole system on this machine until Ctrl-C."),
    "demo": (
        "demo",
        "Act as a Broker: find a session, book it, cancel it, and find the change in the Orders feed.",
    ),
    "import": ("imports", "Import an operator's data into the inventory."),
    "sources": ("sources", "Operators' sites that are imported by schedule."),
    "timetable": (
        "timetable",
        "A Seller's sessions, courses and facilities, loaded from CSV, JSON or XLSX files.",
    ),
    "sessions": ("sessions", "Sessions and slots, and the orders on them."),
    "bookings": ("bookings", "Bookings, and changes of single ones."),
    "register": ("register", "Who has booked a session, and who came."),
    "proposals": ("proposals", "Order proposals that wait for an answer."),
    "desk": ("desk", "Sales at a Seller's own desk."),
    "access": ("access", "Codes, passes and online channels."),
    "reports": ("reports", "What was booked, how full sessions are, and whether payments agree."),
    "people": ("people", "What is stored about a person: find, export and erase it."),
    "partners": ("partners", "Booking partners: their credentials, and what Sellers allow them."),
    "sellers": ("sellers", "Sellers, and which booking partners they allow."),
    "logins": ("logins", "Logins of people who may act for Sellers."),
    "tokens": ("tokens", "Refresh tokens and signing keys."),
    "pending": ("pending", "Pending work that failed too often and was set aside."),
    "audit": (
        "audit",
        "List who did what to which order, session, partner or login, from where, and what has changed.",
    ),
    "check": ("check", "Verify that spaces, orders, feeds and pending work agree, while the system runs."),
    "upgrade": ("upgrade", "Complete the rows of earlier releases, once after an upgrade."),
    "feeds": ("feeds", "Changes that could not be published, and rebuilding of feeds."),
    "restore": (
        "restore",
        "Copy restored rows into the original tables, and delete rows that were added since.",
    ),
    "stage": ("stage", "Package, rehearse and deploy a stage."),
    "sandbox": ("sandbox", "Opportunities for tests, which are kept filled; never in production."),
    "certify": ("certify", "Run the official test suite in all configurations, and list the results."),
    "suite-config": ("suite_config", "Print the official test suite's configuration."),
}


class _LazyGroup(TyperGroup):
    """Lists every command by its line in COMMANDS, and imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=line, short_help=line) for name, (_, line) in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else None, rest


def load(name: str) -> Any:
    """Import the command or group of this name."""
    module, _ = COMMANDS[name]
    found = typer.main.get_command(import_module(f"openbooking.cli.{module}").app)
    for each in getattr(found, "commands", {}).values():
        # The whole first paragraph in the list of commands, where it would be cut.
        each.short_help = each.short_help or " ".join((each.help or "").partition("\n\n")[0].split())
    return found


# With completion for bash, zsh, fish and PowerShell (docs/commands.md).
app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openbooking {version('openbooking')}")
        raise typer.Exit


@app.callback()
def openbooking(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run the booking system on this machine, and administer an installation."""


def main() -> None:
    """The console script."""
    app(prog_name="openbooking")  # the same under `python -m`, for completion
