"""The records of the tables' streams: what can be read from one, whichever engine has written it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from chalicelib.domain.orders import DeletedOrder, Order

# One change of one row, as JSON. Its shape is known to the implementation only.
Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class OrderChange:
    """An Order as its row has it after a change, and whether it was an OrderProposal before."""

    order: Order | DeletedOrder
    was_proposal: bool


class RecordReader(Protocol):
    """How records are read. What a record lacks or has in another form raises LookupError, ValueError or TypeError."""

    def position(self, record: Record) -> str:
        """Where it is in its stream: its sequence number."""

    def written_at(self, record: Record) -> datetime | None:
        """When the row was changed, None where the record does not say."""

    def row_key(self, record: Record) -> str:
        """The key of its row, for people; empty where it has none."""

    def order_change(self, record: Record) -> OrderChange | None:
        """What a record of the Orders stream says; None where the row was removed.

        Raises UnreadableRow as well.
        """

    def opportunity_id(self, record: Record) -> str | None:
        """The Opportunity whose listing a record of the Inventory stream has changed; None for a hold."""
