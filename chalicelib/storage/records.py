"""The records of the tables' streams, independent of the engine that wrote them."""

from datetime import datetime
from typing import Any, Protocol, TypeAlias

from chalicelib.domain.orders import DeletedOrder, Order
from chalicelib.values import dataclass

# One change of one row, as JSON. Its shape is known to the implementation only.
Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class OrderChange:
    """An Order as stored after a change, and whether it was an OrderProposal before."""

    order: Order | DeletedOrder
    was_proposal: bool


class RecordReader(Protocol):
    """Reads records. An invalid or missing part of a record raises LookupError, ValueError or TypeError."""

    def position(self, record: Record) -> str:
        """The record's position in its stream: its sequence number."""

    def written_at(self, record: Record) -> datetime | None:
        """When the row was changed, None if the record does not contain that."""

    def row_key(self, record: Record) -> str:
        """The key of its row, to show to people; empty if it has none."""

    def order_change(self, record: Record) -> OrderChange | None:
        """The change in a record of the Orders stream; None if the row was removed.

        Raises UnreadableRow too.
        """

    def orders_in(self, record: Record) -> list[Order]:
        """Every version of an Order in a record of the Orders stream, before and after the change.

        Raises UnreadableRow too.
        """

    def opportunity_id(self, record: Record) -> str | None:
        """The Opportunity whose listing changed in a record of the Inventory stream; None for a hold."""
