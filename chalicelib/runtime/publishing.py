"""The part of an installation that publishes feeds from the records of streams. Wiring only."""

from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.runtime.installation import Installation
from chalicelib.storage.records import Record

if TYPE_CHECKING:
    from chalicelib.feeds.ledger import Ledger
    from chalicelib.feeds.parked import ParkedRecords
    from chalicelib.feeds.streams import Stream


class Publishing(Installation):
    """What the handlers of streams need."""

    @property
    def ledger(self) -> "Ledger":
        from chalicelib.feeds.ledger import Ledger

        return Ledger(self.feeds, self.retry)

    @property
    def parked(self) -> "ParkedRecords":
        """Stream records that cannot be published."""
        from chalicelib.feeds.parked import ParkedRecords

        return ParkedRecords(self.pending, timedelta(days=self.settings.parked_days))

    @property
    def streams(self) -> "dict[str, Stream]":
        """The handlers of the tables' streams, by the stream's name."""
        from chalicelib.feeds.batches import Outlet
        from chalicelib.feeds.streams import InventoryStream, OrdersStream
        from chalicelib.storage.dynamodb.records import DynamoRecords

        outlet = Outlet(self.ledger, self.parked, DynamoRecords(), self.retry, self.now, self.telemetry)
        return {
            "orders": OrdersStream(outlet, self._is_revoked),
            "inventory": InventoryStream(outlet, self.store),
        }

    def _is_revoked(self, partner_id: str, seller_id: str) -> bool:
        # The inventory stream does not load what knows it.
        return self.consent.is_revoked(partner_id, seller_id)

    def seconds_since(self, record: Record) -> float | None:
        """The age of the change in a record of a stream, if the record contains its time."""
        from chalicelib.storage.dynamodb.records import DynamoRecords

        written_at = DynamoRecords().written_at(record)
        return None if written_at is None else (self.now() - written_at).total_seconds()
