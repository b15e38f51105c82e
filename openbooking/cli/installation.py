"""Checks that the installation can be reached, and explains errors of its services."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.identity.entries import SellerStanding
from chalicelib.runtime.system import System
from chalicelib.services.errors import AdministrationError, NotFound, NotUnique
from chalicelib.storage.errors import StoreBusy

# The command that lists the existing entries of a kind.
_LISTS = {
    "booking partner": "partners list",
    "Seller": "sellers list",
    "login": "logins list",
    "session or slot": "sessions list",
    "booking": "bookings list",
    "booking of this session": "register show",
    "item of this booking": "bookings show",
    "proposal": "proposals list",
    "grant": "tokens list",
    "signing key": "tokens keys",
    "parked record": "feeds parked",
    "set-aside entry": "pending list",
}


# The option that names an entry of a kind.
_OPTIONS = {"booking partner": "--partner", "Seller": "--seller"}


class Unreachable(AdministrationError):
    """The tables do not exist or cannot be reached."""


def check_reachable(system: System) -> None:
    """Read one row, so that a command fails before it prompts for input. Raises Unreachable."""
    try:
        system.register.find(SellerStanding, SellerStanding.key_of("unknown"))
    except (StoreBusy, BotoCoreError, ClientError, PynamoDBException) as error:
        table = f"{system.settings.table_prefix}-identity"
        where = system.settings.dynamodb_url or system.settings.aws_region
        if "ResourceNotFoundException" in str(error):
            prefix = system.settings.table_prefix
            stage = prefix.removeprefix("openbooking-")
            made_by = (
                "`make run` makes them"
                if system.settings.dynamodb_url
                else f"`make deploy STAGE={stage}` makes them, and AWS_REGION names another region"
            )
            raise Unreachable(f"There are no tables {prefix}-* at {where}: {made_by}.") from None
        raise Unreachable(f"The table {table} at {where} cannot be read: {error}.") from None


def explained(error: AdministrationError) -> str:
    """The sentence for the terminal, with the command that lists the existing entries if one was not found."""
    listed_by = _LISTS.get(error.kind) if isinstance(error, NotFound) else None
    if isinstance(error, NotUnique):
        return f"{str(error).removesuffix('.')}: name one with {_OPTIONS[error.chosen_by]}."
    return f"{str(error).removesuffix('.')}: see `openbooking {listed_by}`." if listed_by else str(error)
