"""The rows of the five tables, as PynamoDB models bound to one engine.

The tables are created from `infra/tables.json`, not here. Models are made for a set of names and an
endpoint at run time, so that importing uses neither the environment nor AWS.
"""

from typing import Any, ClassVar, TypeVar

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.connection import Connection
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model

from chalicelib.storage.dynamodb.client import RowConnection
from chalicelib.values import dataclass

DETAILS = "details"
CAPACITY = "capacity"
HOLD_PREFIX = "hold#"

# Attributes of a capacity row, one for each partner: the spaces that it leases, and those without a Customer.
SHARE_PREFIX = "l#"
ANONYMOUS_PREFIX = "a#"

# The format of the rows that this release writes. Rows of release 0.1.0 name none; they have format 1.
# A release reads every format up to its own, so that it can take over an installation that exists.
FORMAT = 2

# Expired leases are found through an index; its partition is split so that leases on different Opportunities
# do not contend (one partition takes 1,000 writes a second).
EXPIRY_SHARDS = 8


class WholeNumber(NumberAttribute):
    """A whole number. PynamoDB would call the JSON encoder for each, of which a booking has twenty."""

    def serialize(self, value: int) -> str:
        return str(value)


class _Row(Model):
    row_format = WholeNumber(null=True, default_for_new=FORMAT)


class BySeller(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """A Seller's rows in the order of a list, eventually consistent; keys only. See `storage.lists`."""

    class Meta:
        index_name = "by_seller"
        projection = KeysOnlyProjection()

    seller_list = UnicodeAttribute(hash_key=True)
    listed_at = UnicodeAttribute(range_key=True)


class _InventoryRow(_Row):
    opportunity_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    # Of details only. PynamoDB knows the indexes of a table from the model that is bound last.
    seller_list = UnicodeAttribute(null=True)
    listed_at = UnicodeAttribute(null=True)
    by_seller = BySeller()


class DetailsRow(_InventoryRow):
    """An Opportunity as published; `version` counts its changes.

    `document` is the whole value as compressed JSON. Release 0.1.0 wrote it as a string, which may be read instead.
    """

    document = BinaryAttribute(legacy_encoding=False)
    version = WholeNumber()
    deleted = BooleanAttribute(default=False)
    source = UnicodeAttribute(null=True)
    source_digest = UnicodeAttribute(null=True)
    closed = BooleanAttribute(null=True)


class CapacityRow(_InventoryRow):
    """The counters of one Opportunity: the hot row, kept under 1 KB. Also the `shares` of partners."""

    spaces_total = WholeNumber()
    spaces_left = WholeNumber()
    spaces_leased = WholeNumber(default=0)
    revision = WholeNumber()
    version = WholeNumber()
    open_for_booking = BooleanAttribute()
    next_expiry_at = WholeNumber(null=True)
    spaces_requested = WholeNumber(null=True)
    # Of an Opportunity that an import has brought in: see `domain.capacity.SourceCount`.
    source_stated = WholeNumber(null=True)
    source_unknown = WholeNumber(null=True)
    oversold = WholeNumber(null=True)


class ByExpiry(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The leases of all Opportunities by their end, eventually consistent; for the sweep."""

    class Meta:
        index_name = "by_expiry"
        projection = AllProjection()

    expiry_shard = UnicodeAttribute(hash_key=True)
    lease_expires_at = WholeNumber(range_key=True)


class ByLeaseEnd(LocalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The leases of one Opportunity by their end, read consistently."""

    class Meta:
        index_name = "by_lease_end"
        projection = AllProjection()

    opportunity_id = UnicodeAttribute(hash_key=True)
    lease_expires_at = WholeNumber(range_key=True)


class HoldRow(_InventoryRow):
    """Who holds how many spaces, and in which state. Only a lease has an end and is in the two indexes."""

    spaces = WholeNumber()
    state = UnicodeAttribute()
    lease_expires_at = WholeNumber(null=True)
    lease_kind = UnicodeAttribute(null=True)
    expiry_shard = UnicodeAttribute(null=True)
    by_expiry = ByExpiry()
    by_lease_end = ByLeaseEnd()


class OrderRow(_Row):
    """Everything under one Order UUID of one booking partner. `document` is compressed JSON."""

    order_key = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute()
    version = WholeNumber()
    published = BooleanAttribute()
    seller_id = UnicodeAttribute()
    document = BinaryAttribute(legacy_encoding=False, null=True)
    expires_at = WholeNumber(null=True)  # TTL; it only removes what readers already ignore
    seller_list = UnicodeAttribute(null=True)
    listed_at = UnicodeAttribute(null=True)
    by_seller = BySeller()


class FeedRow(_Row):
    """An item of a feed, the pointer to it, or the feed's counter, as `entry` shows."""

    feed_id = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    # Of an item: its text, compressed, until the item moves. Release 0.1.0 wrote it as a string.
    item = BinaryAttribute(legacy_encoding=False, null=True)
    written_at = WholeNumber(null=True)  # of an item
    change_number = WholeNumber(null=True)  # of a pointer and of the counter
    version = WholeNumber(null=True)  # of a pointer
    turn_of = UnicodeAttribute(null=True)  # of the counter
    turn_ends_at = WholeNumber(null=True)  # of the counter, in milliseconds
    expires_at = WholeNumber(null=True)  # TTL


class IdentityRow(_Row):
    """A Seller, an entry about a caller, or a counter; also the counters of a partner (`shares`)."""

    principal = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute(null=True)  # of all but a counter
    source = UnicodeAttribute(null=True)  # of a Seller: the import that owns it
    version = WholeNumber(null=True)  # of an entry about a caller
    counted = WholeNumber(null=True)  # of a counter
    expires_at = WholeNumber(null=True)  # TTL


class PendingRow(_Row):
    """One entry of unfinished work; see `storage.pending`."""

    kind = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    progress = UnicodeAttribute()
    attempts = WholeNumber()
    revision = WholeNumber(null=True)
    error = UnicodeAttribute(null=True)
    failed_at = WholeNumber(null=True)
    expires_at = WholeNumber(null=True)  # TTL


_M = TypeVar("_M", bound=Model)


@dataclass(frozen=True)
class Engine:
    """Where the tables are. An `endpoint` of None is DynamoDB in `region`."""

    prefix: str
    region: str
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class Tables:
    """The models of one engine, and their shared connection."""

    # API Gateway ends a request after 29 s; a call that hangs must leave time to try again.
    CONNECT_SECONDS: ClassVar[float] = 1
    READ_SECONDS: ClassVar[float] = 3
    # An engine on this machine has one process for everything, and is slow when it is busy.
    LOCAL_READ_SECONDS: ClassVar[float] = 20
    RETRIES: ClassVar[int] = 1

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._shared = RowConnection(
            engine.region,
            engine.endpoint,
            self.LOCAL_READ_SECONDS if engine.endpoint else self.READ_SECONDS,
            self.CONNECT_SECONDS,
            self.RETRIES,
            aws_access_key_id=engine.access_key,
            aws_secret_access_key=engine.secret_key,
        )
        self.details = self._bind(DetailsRow, "inventory")
        self.capacity = self._bind(CapacityRow, "inventory")
        self.holds = self._bind(HoldRow, "inventory")
        self.orders = self._bind(OrderRow, "orders")
        self.feeds = self._bind(FeedRow, "feeds")
        self.identity = self._bind(IdentityRow, "identity")
        self.pending = self._bind(PendingRow, "pending")

    def name(self, table: str) -> str:
        return f"{self.engine.prefix}-{table}"

    def _bind(self, row: type[_M], table: str) -> type[_M]:
        meta = {"table_name": self.name(table), "region": self.engine.region, "host": self.engine.endpoint}
        bound: type[_M] = type(row)(row.__name__, (row,), {"Meta": type("Meta", (), meta)})  # type: ignore[misc]
        # PynamoDB creates a client for each model; a shared one saves most of a cold start.
        own = bound._get_connection()
        self._shared._tables |= own.connection._tables
        own.connection = self._shared
        return bound

    @property
    def connection(self) -> Connection:
        """The one connection, for calls across tables."""
        return self._shared
