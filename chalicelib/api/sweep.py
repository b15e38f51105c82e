"""The handler that runs once a minute for all work without a caller."""

from contextlib import suppress

from chalicelib.runtime import installation
from chalicelib.runtime.installation import installed
from chalicelib.runtime.work import Work
from chalicelib.storage.errors import StoreBusy


def prepare() -> None:
    """Make what the first run would otherwise wait for."""
    installation.prepare(Work)


def sweep(request_id: str = "") -> dict[str, int]:
    """Once a minute: end leases and continue pending work."""
    from chalicelib.services.leases import KIND as LEASES

    system = installed(Work)
    system.telemetry.begin(request_id)
    handled = system.sweep()
    if handled[LEASES]:
        system.telemetry.info("leases ended", count=handled[LEASES])
        system.telemetry.count("LeasesEnded", handled[LEASES])
    with suppress(StoreBusy):  # the next run counts again
        system.telemetry.work_waiting(system.worker.waiting())
    system.telemetry.count("Sweeps")
    system.telemetry.flush()
    return handled
