"""The records of a DynamoDB stream, as Lambda passes them to a function."""

from datetime import UTC, datetime

from chalicelib.domain.orders import Order, OrderKind
from chalicelib.storage.dynamodb.rows import read_order
from chalicelib.storage.dynamodb.tables import CAPACITY, DETAILS
from chalicelib.storage.records import OrderChange, Record


class DynamoRecords:
    """Reads DynamoDB records. `storage.records.RecordReader` describes each method."""

    def position(self, record: Record) -> str:
        return str(record["dynamodb"]["SequenceNumber"])

    def written_at(self, record: Record) -> datetime | None:
        at = record["dynamodb"].get("ApproximateCreationDateTime")
        return datetime.fromtimestamp(at, UTC) if isinstance(at, (int, float)) else None

    def row_key(self, record: Record) -> str:
        keys = record["dynamodb"].get("Keys") or {}
        return " ".join(str(value.get("S", "")) for _, value in sorted(keys.items()))

    def order_change(self, record: Record) -> OrderChange | None:
        image = record["dynamodb"].get("NewImage")
        if image is None:
            return None
        before = record["dynamodb"].get("OldImage", {}).get("kind", {}).get("S")
        return OrderChange(read_order(image), was_proposal=before == OrderKind.OrderProposal)

    def orders_in(self, record: Record) -> list[Order]:
        images = (record["dynamodb"].get(name) for name in ("OldImage", "NewImage"))
        found = [read_order(image) for image in images if image]
        return [each for each in found if isinstance(each, Order)]

    def opportunity_id(self, record: Record) -> str | None:
        keys = record["dynamodb"]["Keys"]
        opportunity_id, part = keys["opportunity_id"]["S"], keys["part"]["S"]
        return str(opportunity_id) if part in (DETAILS, CAPACITY) else None
