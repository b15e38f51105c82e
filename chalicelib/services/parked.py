"""List, replay and discard parked stream records, for operators."""

from collections.abc import Iterator, Mapping

from chalicelib.domain.parties import Json
from chalicelib.feeds.batches import BUSY
from chalicelib.feeds.parked import STREAMS, ParkedRecord, ParkedRecords, where
from chalicelib.feeds.streams import Stream
from chalicelib.services.errors import NotFound, NotPossible
from chalicelib.services.journal import Journal
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import StillBusy
from chalicelib.values import dataclass


@dataclass(frozen=True)
class ParkedAdministration:
    """The parked records of all streams. Every method may raise StoreBusy."""

    parked: ParkedRecords
    streams: Mapping[str, Stream]
    journal: Journal

    def all(self) -> Iterator[ParkedRecord]:
        """The records of all streams."""
        for stream in STREAMS:
            yield from self.parked.listed(stream)

    def listed(self) -> list[Json]:
        """All records as rows to show, without content."""
        return [
            {
                "record": parked.id,
                "stream": parked.stream,
                "row": parked.row,
                "error": parked.error,
                "parked": parked.parked_at,
                "kept_until": parked.expires_at,
            }
            for parked in self.all()
        ]

    def find(self, record_id: str) -> ParkedRecord:
        """One record. Raises NotFound."""
        for stream in STREAMS:
            if parked := self.parked.find(stream, record_id):
                return parked
        raise NotFound("parked record", record_id)

    def replay(self, parked: ParkedRecord) -> None:
        """Handle a record as its stream does, and remove it after it is published.

        A later version in the feed is not replaced. Raises NotPossible if the record still cannot be published,
        and StillBusy.
        """
        try:
            record = self.parked.content(parked)
        except Undecodable:
            raise NotPossible(f"The content of {parked.id} is incomplete.") from None
        handled = self.streams[parked.stream].handle([record])
        if handled.parked:
            raise NotPossible(f"{parked.id} still cannot be published: {handled.parked[0].error}.")
        if isinstance(handled.error, BUSY):
            raise StillBusy("the feeds are busy")
        if handled.error is not None:
            raise NotPossible(f"{parked.id} cannot be published now: {where(handled.error)}.")
        self.parked.discard(parked)
        self.journal.note("stream record replayed", record=parked.id, row=parked.row)

    def discard(self, parked: ParkedRecord) -> None:
        """Remove a record with its content. Raises NotFound if it was removed already."""
        if not self.parked.discard(parked):
            raise NotFound("parked record", parked.id)
        self.journal.note("stream record discarded", record=parked.id, row=parked.row)
