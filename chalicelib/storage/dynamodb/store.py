"""The store on DynamoDB: one BatchGetItem for a snapshot, one TransactWriteItems for a commit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DeleteError, PutError

from chalicelib.booking.decisions import Change, OpportunitySnapshot, Snapshot, Wanted
from chalicelib.booking.opportunity_changes import OpportunityChange
from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.parties import Seller
from chalicelib.storage import codec
from chalicelib.storage.dynamodb import leases, rows
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults
from chalicelib.storage.dynamodb.changes import add_changes
from chalicelib.storage.dynamodb.tables import CAPACITY, CHANGES, CLEARINGS, DETAILS, HOLD_PREFIX, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import OpportunityChanged
from chalicelib.storage.store import Clearing, Listing

_SELLER = "seller"


class DynamoStore:
    """Inventory, orders and sellers in DynamoDB. See `storage.store.Store` for what each method promises."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._inventory = tables.name("inventory")
        self._orders = tables.name("orders")
        self._identity = tables.name("identity")

    def snapshot(self, wanted: Wanted) -> Snapshot:
        keys = [
            (self._inventory, _part(opportunity_id, part))
            for opportunity_id in wanted.opportunity_ids
            for part in (DETAILS, CAPACITY, rows.hold_part(wanted.order))
        ]
        keys.append((self._orders, {"order_key": {"S": str(wanted.order)}}))
        if wanted.seller_id:
            keys.append((self._identity, _seller_key(wanted.seller_id)))
        found = batch_get(self._tables.connection, keys)
        orders, sellers = found.get(self._orders), found.get(self._identity)
        return Snapshot(
            order=rows.read_order(orders[0]) if orders else None,
            seller=_read_seller(sellers[0]) if sellers else None,
            opportunities=_opportunities(found.get(self._inventory, [])),
        )

    def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, Order | DeletedOrder]:
        wanted = [(self._orders, {"order_key": {"S": str(key)}}) for key in dict.fromkeys(keys)]
        found = batch_get(self._tables.connection, wanted).get(self._orders, [])
        return {order.key: order for order in map(rows.read_order, found)}

    def commit(self, changes: Sequence[Change]) -> None:
        transaction = Transaction(self._tables.connection)
        add_changes(transaction, self._tables, changes)
        transaction.write()

    def reclaim(self, opportunity_id: str, now: datetime) -> int:
        return leases.reclaim(self._tables, opportunity_id, now)

    def expired(self, now: datetime, limit: int) -> list[str]:
        return leases.with_expired_leases(self._tables, now, limit)

    def holds(self, opportunity_id: str) -> dict[OrderKey, Hold]:
        holds = self._tables.holds
        with passing_faults():
            found = list(
                holds.query(opportunity_id, holds.part.startswith(HOLD_PREFIX), consistent_read=True)
            )
        return {rows.key_of_hold(row.part): rows.read_hold(row.to_dynamodb_dict()) for row in found}

    def listings(self, opportunity_ids: Sequence[str]) -> dict[str, tuple[Listing, Capacity | None]]:
        keys = [
            (self._inventory, _part(opportunity_id, part))
            for opportunity_id in dict.fromkeys(opportunity_ids)
            for part in (DETAILS, CAPACITY)
        ]
        found = batch_get(self._tables.connection, keys).get(self._inventory, [])
        capacities = {
            raw["opportunity_id"]["S"]: rows.read_capacity(raw)
            for raw in found
            if raw["part"]["S"] == CAPACITY
        }
        return {
            raw["opportunity_id"]["S"]: (rows.read_listing(raw), capacities.get(raw["opportunity_id"]["S"]))
            for raw in found
            if raw["part"]["S"] == DETAILS
        }

    def imported_from(self, source: str) -> Iterator[Listing]:
        details = self._tables.details
        with passing_faults():
            for row in details.scan((details.part == DETAILS) & (details.source == source)):
                yield rows.read_listing(row.to_dynamodb_dict())

    def publish(self, listing: Listing, spaces: int | None, change: OpportunityChange | None = None) -> None:
        transaction = Transaction(self._tables.connection)
        self._add_publication(transaction, listing, spaces)
        if change is not None:
            transaction.put(self._change_row(change))
        transaction.write()

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]]) -> None:
        transaction = Transaction(self._tables.connection)
        for listing, spaces in listings:
            self._add_publication(transaction, listing, spaces)
        transaction.write()

    def _add_publication(self, transaction: Transaction, listing: Listing, spaces: int | None) -> None:
        details, capacity = self._tables.details, self._tables.capacity
        opportunity_id = listing.opportunity.id
        unchanged = (
            details.opportunity_id.does_not_exist()
            if listing.version == 1
            else details.version == listing.version - 1
        )
        row = rows.details_row(self._tables, listing)
        transaction.put(row, unchanged, OpportunityChanged(opportunity_id))
        if spaces is not None:
            actions = [
                capacity.spaces_total.set(capacity.spaces_total | spaces),
                capacity.spaces_left.set(capacity.spaces_left | spaces),
                capacity.spaces_leased.set(capacity.spaces_leased | 0),
                capacity.revision.set(listing.opportunity.revision),
                capacity.open_for_booking.set(listing.is_open),
                capacity.version.add(1),
            ]
            transaction.update(capacity(opportunity_id, CAPACITY), actions)

    def open_changes(self, limit: int) -> list[OpportunityChange]:
        with passing_faults():
            found = list(self._tables.changes.query(CHANGES, consistent_read=True, limit=limit))
        return [codec.from_json(row.document, OpportunityChange) for row in found]

    def open_change(self, opportunity_id: str) -> OpportunityChange | None:
        key = (self._inventory, _part(CHANGES, opportunity_id))
        found = batch_get(self._tables.connection, [key]).get(self._inventory)
        return codec.from_json(found[0]["document"]["S"], OpportunityChange) if found else None

    def note_change(self, change: OpportunityChange) -> None:
        with self._if_still_open(change) as is_open:
            self._change_row(change).save(is_open)

    def close_change(self, change: OpportunityChange) -> None:
        with self._if_still_open(change) as is_open:
            self._change_row(change).delete(is_open)

    @contextmanager
    def _if_still_open(self, change: OpportunityChange) -> Iterator[Any]:
        """The condition that nobody has crossed it off and no later one has come; else nothing is written."""
        try:
            with passing_faults():
                yield self._tables.changes.revision == change.revision
        except (PutError, DeleteError) as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def _change_row(self, change: OpportunityChange) -> Any:
        return self._tables.changes(
            CHANGES, change.opportunity_id, revision=change.revision, document=codec.to_json(change)
        )

    def note_clearing(self, clearing: Clearing, instead_of: Sequence[Clearing] = ()) -> None:
        transaction = Transaction(self._tables.connection)
        for each in instead_of:
            transaction.delete(self._clearing_row(each), None)
        transaction.put(self._clearing_row(clearing))
        transaction.write()

    def clearings(self, limit: int, dataset: str | None = None) -> list[Clearing]:
        found = self._tables.clearings.query(_clearings_of(dataset), consistent_read=True, limit=limit)
        with passing_faults():
            return [codec.from_json(row.document, Clearing) for row in found]

    def close_clearing(self, clearing: Clearing) -> None:
        with passing_faults():
            self._clearing_row(clearing).delete()

    def _clearing_row(self, clearing: Clearing) -> Any:
        partition = _clearings_of(clearing.dataset)
        return self._tables.clearings(partition, clearing.id, document=codec.to_json(clearing))

    def save_seller(self, seller: Seller) -> None:
        with passing_faults():
            self._tables.identity(seller.id, _SELLER, document=codec.to_json(seller)).save()

    def seller(self, seller_id: str) -> Seller | None:
        found = batch_get(self._tables.connection, [(self._identity, _seller_key(seller_id))])
        sellers = found.get(self._identity)
        return _read_seller(sellers[0]) if sellers else None

    def sellers(self) -> list[Seller]:
        identity = self._tables.identity
        with passing_faults():
            return [
                _read_seller(row.to_dynamodb_dict())
                for row in identity.scan(identity.part == _SELLER, consistent_read=True)
            ]


def _clearings_of(dataset: str | None) -> str:
    return CLEARINGS if dataset is None else f"{CLEARINGS}#{dataset}"


def _part(opportunity_id: str, part: str) -> Raw:
    return {"opportunity_id": {"S": opportunity_id}, "part": {"S": part}}


def _seller_key(seller_id: str) -> Raw:
    return {"principal": {"S": seller_id}, "part": {"S": _SELLER}}


def _read_seller(raw: Raw) -> Seller:
    return codec.from_json(raw["document"]["S"], Seller)


def _opportunities(found: list[Raw]) -> dict[str, OpportunitySnapshot]:
    """The rows of a snapshot put together; one Order has at most one hold on an Opportunity."""
    parts: dict[str, dict[str, Raw]] = {}
    for raw in found:
        part = raw["part"]["S"]
        kind = HOLD_PREFIX if part.startswith(HOLD_PREFIX) else part
        parts.setdefault(raw["opportunity_id"]["S"], {})[kind] = raw
    return {
        opportunity_id: OpportunitySnapshot(
            opportunity=codec.from_json(raws[DETAILS]["document"]["S"], Opportunity),
            capacity=rows.read_capacity(raws[CAPACITY]) if CAPACITY in raws else Capacity(0, 0),
            hold=rows.read_hold(raws[HOLD_PREFIX]) if HOLD_PREFIX in raws else None,
        )
        for opportunity_id, raws in parts.items()
        if DETAILS in raws and not rows.is_deleted(raws[DETAILS])
    }
