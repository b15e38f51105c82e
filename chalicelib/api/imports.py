"""The handler that imports operators' sites, once a minute."""

from chalicelib.runtime import installation
from chalicelib.runtime.imports import Imports
from chalicelib.runtime.installation import installed
from chalicelib.storage.errors import StoreBusy

# Of the 15 minutes that the function has: a step may have to end its page, its comparison or its transactions.
_IMPORT_SECONDS = 600.0


def prepare() -> None:
    """Make what the first run would otherwise wait for."""
    installation.prepare(Imports)


def import_sources(request_id: str = "") -> dict[str, int]:
    """Once a minute: import the sources that are due, and continue what an earlier run has not finished."""
    system = installed(Imports)
    system.telemetry.begin(request_id)
    try:
        return system.import_sources(_IMPORT_SECONDS)
    except StoreBusy:  # the next run starts them
        return {}
    finally:
        system.telemetry.flush()
