"""The part of an installation that imports operators' sites. Wiring only."""

from typing import TYPE_CHECKING

from chalicelib.runtime.installation import Installation
from chalicelib.storage.pending import IMPORT

if TYPE_CHECKING:
    from chalicelib.importing.sources import Sources
    from chalicelib.services.pending import TakeStep


class Imports(Installation):
    """What the schedule of imports needs."""

    @property
    def sources(self) -> "Sources":
        """Operators' sites that are imported again and again."""
        from chalicelib.importing.sources import Sources

        return Sources(
            self.register,
            self.pending,
            self.inventory,
            self.retry,
            self.now,
            self.new_id,
            self.settings.base_url or None,
        )

    def import_sources(self, seconds: float) -> dict[str, int]:
        """One run of the schedule of imports, of about so many seconds: how many items were handled, and how many sources are overdue."""
        from chalicelib.services.pending import Worker

        ends_at = self.retry.clock() + seconds
        sources = self.sources
        steps: dict[str, TakeStep] = {
            IMPORT: lambda work: sources.take_step(work, lambda: self.retry.clock() < ends_at)
        }
        worker = Worker(self.pending, steps, self.retry, self.now, self.telemetry)
        handled = worker.run({IMPORT: seconds})[IMPORT]
        overdue = sources.overdue()
        if overdue:
            self.telemetry.info("sources overdue", sources=overdue)
        self.telemetry.count("SourcesOverdue", len(overdue))
        return {"handled": handled, "overdue": len(overdue)}
