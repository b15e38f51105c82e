"""The store on DynamoDB: one BatchGetItem for a snapshot, one TransactWriteItems for a commit."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pynamodb.exceptions import PutError

from chalicelib.booking.decisions import Change, OpportunitySnapshot, Snapshot, Wanted
from chalicelib.domain.capacity import Capacity, Hold, SourceCount
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.domain.parties import Seller
from chalicelib.storage import codec
from chalicelib.storage.dynamodb import corrections, leases, lists, rows, scans, shares
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults, row_name
from chalicelib.storage.dynamodb.changes import add_changes
from chalicelib.storage.dynamodb.pending import pending_row
from chalicelib.storage.dynamodb.tables import CAPACITY, DETAILS, FORMAT, HOLD_PREFIX, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import (
    CommitRefused,
    OpportunityChanged,
    OrderTooLarge,
    SellerChanged,
    UnreadableRow,
)
from chalicelib.storage.lists import ListPage, OrderList
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.scans import WHOLE, BrokenRow, Part, ScanPage
from chalicelib.storage.store import (
    HoldCorrection,
    ImportedPage,
    Listing,
    Reclaimed,
    SellerEntry,
    StoredProposal,
)

_SELLER = "seller"

# Rows that one call of a scan reads; it never returns more than 1 MB.
_PAGE = 1000

# DynamoDB takes 4 MB in one transaction, with the keys and conditions.
_MAX_TRANSACTION_BYTES = 3_000_000


class DynamoStore:
    """Inventory, orders and sellers in DynamoDB. `storage.store.Store` describes each method."""

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
        others = [each for each in wanted.offers_of if each not in wanted.opportunity_ids]
        keys += [(self._inventory, _part(each, DETAILS)) for each in others]
        keys.append((self._orders, {"order_key": {"S": str(wanted.order)}}))
        if wanted.seller_id:
            keys.append((self._identity, _seller_key(wanted.seller_id)))
        if wanted.counters:
            keys += [(self._identity, key) for key in shares.counter_keys(wanted.order.partner_id)]
        found = batch_get(self._tables.connection, keys)
        orders, identities = found.get(self._orders), found.get(self._identity, [])
        sellers = [raw for raw in identities if not shares.is_counters(raw)]
        inventory, withdrawn = _opportunities(found.get(self._inventory, []))
        return Snapshot(
            order=rows.read_order(orders[0]) if orders else None,
            seller=_read_seller(sellers[0]) if sellers else None,
            opportunities={key: inventory[key] for key in wanted.opportunity_ids if key in inventory},
            other_offers=frozenset(
                offer.id for key in others if key in inventory for offer in inventory[key].opportunity.offers
            ),
            absent=frozenset(wanted.opportunity_ids) - inventory.keys(),
            counters=shares.read_counters(raw for raw in identities if shares.is_counters(raw)),
            withdrawn={key: withdrawn[key] for key in wanted.opportunity_ids if key in withdrawn},
        )

    def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, Order | DeletedOrder]:
        wanted = [(self._orders, {"order_key": {"S": str(key)}}) for key in dict.fromkeys(keys)]
        found = batch_get(self._tables.connection, wanted).get(self._orders, [])
        return {order.key: order for order in map(rows.read_order, found)}

    def commit(self, changes: Sequence[Change]) -> None:
        transaction = Transaction(self._tables.connection)
        add_changes(transaction, self._tables, changes)
        transaction.write()

    def reclaim(
        self, opportunity_id: str, now: datetime, *, set_aside: bool = False, at_most: int | None = None
    ) -> Reclaimed:
        return leases.reclaim(self._tables, opportunity_id, now, set_aside=set_aside, at_most=at_most)

    def expired(self, now: datetime, limit: int) -> list[str]:
        return leases.with_expired_leases(self._tables, now, limit)

    def holds(
        self, opportunity_id: str, *, after: str = "", limit: int | None = None
    ) -> dict[OrderKey, Hold]:
        holds = self._tables.holds
        following = (
            # From the least text after `after` up to the end of the holds ($ follows #).
            holds.part.between(f"{HOLD_PREFIX}{after}\0", HOLD_PREFIX.replace("#", "$"))
            if after
            else holds.part.startswith(HOLD_PREFIX)
        )
        with passing_faults(row_name(self._inventory, opportunity_id)):
            found = list(holds.query(opportunity_id, following, consistent_read=True, limit=limit))
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

    def imported_page(self, source: str, after: str | None = None) -> ImportedPage:
        details = self._tables.details
        of_source = (details.part == DETAILS) & (details.source == source)
        found, reached = self._scan(self._inventory, of_source, json.loads(after) if after else None)
        following = json.dumps(reached) if reached else None
        return ImportedPage(tuple(map(rows.read_listing, found)), following)

    def imported_from(self, source: str) -> Iterator[Listing]:
        page = self.imported_page(source)
        yield from page.listings
        while page.following is not None:
            page = self.imported_page(source, page.following)
            yield from page.listings

    def proposals(self) -> Iterator[StoredProposal]:
        is_proposal = self._tables.orders.kind == OrderKind.OrderProposal.value
        yield from map(_stored_proposal, self._scan_all(self._orders, is_proposal))

    def _scan_all(self, table: str, condition: Any) -> Iterator[Raw]:
        found, reached = self._scan(table, condition)
        yield from found
        while reached:
            found, reached = self._scan(table, condition, reached)
            yield from found

    def _scan(self, table: str, condition: Any, start: Any = None) -> tuple[list[Raw], Any]:
        """The rows of one page that meet the condition, and the key of the last one looked at."""
        with passing_faults(table):
            answer: dict[str, Any] = self._tables.connection.scan(
                table, condition, consistent_read=True, limit=_PAGE, exclusive_start_key=start
            )
        return answer["Items"], answer.get("LastEvaluatedKey")

    def publish(
        self,
        listing: Listing,
        spaces: int | None,
        pending: PendingWork | None = None,
        *,
        if_unheld: bool = False,
    ) -> None:
        transaction = Transaction(self._tables.connection)
        self._add_publication(transaction, listing, spaces, if_unheld=if_unheld)
        if pending is not None:
            transaction.put(pending_row(self._tables, pending))
        transaction.write()

    def publish_together(
        self, listings: Sequence[tuple[Listing, int | None]], *, if_unheld: bool = False
    ) -> None:
        transaction = Transaction(self._tables.connection)
        size = 0
        for listing, spaces in listings:
            if if_unheld and listing.version == 1:
                size += self._add_new(transaction, listing, spaces)
            else:
                size += self._add_publication(transaction, listing, spaces, if_unheld=if_unheld)
        if size > _MAX_TRANSACTION_BYTES:
            raise OrderTooLarge(f"{len(listings)} opportunities do not fit one transaction")
        transaction.write()

    def _add_new(self, transaction: Transaction, listing: Listing, spaces: int | None) -> int:
        """Add the rows of an Opportunity of which there is no row yet; the size of the document in bytes."""
        found = rows.new_rows(listing, spaces)
        for row in found:
            transaction.put_new(self._tables.details, row, OpportunityChanged(listing.opportunity.id))
        return len(found[0]["document"]["B"])

    def _add_publication(
        self, transaction: Transaction, listing: Listing, spaces: int | None, *, if_unheld: bool = False
    ) -> int:
        """Add what `publish` writes; the size of the document in bytes."""
        details, capacity = self._tables.details, self._tables.capacity
        opportunity_id = listing.opportunity.id
        unchanged = (
            details.opportunity_id.does_not_exist()
            if listing.version == 1
            else details.version == listing.version - 1
        )
        row = rows.details_row(listing)
        transaction.put_row(details, row, unchanged, OpportunityChanged(opportunity_id))
        if spaces is not None:
            actions = [
                capacity.spaces_total.set(capacity.spaces_total | spaces),
                capacity.spaces_left.set(capacity.spaces_left | spaces),
                capacity.spaces_leased.set(capacity.spaces_leased | 0),
                capacity.revision.set(listing.opportunity.revision),
                capacity.open_for_booking.set(listing.is_open),
                capacity.version.add(1),
                capacity.row_format.set(FORMAT),
            ]
            if listing.version == 1 and listing.source is not None:
                actions.append(capacity.source_stated.set(spaces))
            unheld = (
                capacity.opportunity_id.does_not_exist()
                | (
                    (capacity.spaces_left == capacity.spaces_total)
                    & (capacity.spaces_requested.does_not_exist() | (capacity.spaces_requested == 0))
                )
                if if_unheld
                else None
            )
            transaction.update(
                capacity(opportunity_id, CAPACITY),
                actions,
                unheld,
                lambda _: OpportunityChanged(opportunity_id),
            )
        return len(row["document"]["B"])

    def resize(
        self, opportunity_id: str, read: Capacity, spaces_total: int, count: SourceCount | None = None
    ) -> None:
        corrections.resize(self._tables, opportunity_id, read, spaces_total, count)

    def save_seller(self, seller: Seller) -> None:
        with passing_faults(self._identity):
            self._tables.identity(seller.id, _SELLER, document=codec.to_json(seller)).save()

    def import_seller(self, seller: Seller, source: str) -> None:
        identity = self._tables.identity
        row = identity(seller.id, _SELLER, document=codec.to_json(seller), source=source)
        may_be_put = (
            identity.principal.does_not_exist()
            | (identity.source == source)
            | identity.row_format.does_not_exist()
        )
        try:
            with passing_faults(self._identity):
                row.save(may_be_put)
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            raise CommitRefused([SellerChanged(seller.id)]) from error

    def seller(self, seller_id: str) -> Seller | None:
        entry = self.seller_entry(seller_id)
        return entry.seller if entry else None

    def seller_entry(self, seller_id: str) -> SellerEntry | None:
        found = batch_get(self._tables.connection, [(self._identity, _seller_key(seller_id))])
        for raw in found.get(self._identity, ()):
            source = raw["source"]["S"] if "S" in raw.get("source", {}) else None
            return SellerEntry(_read_seller(raw), source, is_of_0_1_0="row_format" not in raw)
        return None

    def sellers(self) -> list[Seller]:
        is_seller = self._tables.identity.part == _SELLER
        return [_read_seller(raw) for raw in self._scan_all(self._identity, is_seller)]

    def scan_orders(
        self, cursor: str = "", *, part: Part = WHOLE, limit: int = 500, partner_id: str | None = None
    ) -> ScanPage[Order | DeletedOrder | BrokenRow]:
        return scans.scan_orders(self._tables, cursor, part, limit, partner_id)

    def scan_opportunities(self, cursor: str = "", *, part: Part = WHOLE, limit: int = 1000) -> ScanPage[str]:
        return scans.scan_opportunities(self._tables, cursor, part, limit)

    def listed_orders(
        self,
        which: OrderList,
        seller_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> ListPage[OrderKey]:
        return lists.orders(
            self._tables,
            which,
            seller_id,
            since=since,
            until=until,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )

    def listed_opportunities(
        self,
        seller_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
    ) -> ListPage[str]:
        return lists.opportunities(
            self._tables, seller_id, since=since, until=until, after=after, limit=limit
        )

    def unlisted_orders(self, keys: Sequence[OrderKey]) -> list[OrderKey]:
        return lists.unlisted_orders(self._tables, keys)

    def unlisted_opportunities(self, opportunity_ids: Sequence[str]) -> list[str]:
        return lists.unlisted_opportunities(self._tables, opportunity_ids)

    def list_orders(self, keys: Sequence[OrderKey]) -> int:
        return lists.list_orders(self._tables, keys)

    def list_opportunities(self, opportunity_ids: Sequence[str]) -> int:
        return lists.list_opportunities(self._tables, opportunity_ids)

    def hold_rows(self, keys: Sequence[tuple[str, OrderKey]]) -> dict[tuple[str, OrderKey], Hold | BrokenRow]:
        return scans.hold_rows(self._tables, keys)

    def correct(
        self, opportunity_id: str, read: Capacity, corrected: Capacity, holds: Sequence[HoldCorrection] = ()
    ) -> None:
        corrections.correct(self._tables, opportunity_id, read, corrected, holds)


def _part(opportunity_id: str, part: str) -> Raw:
    return {"opportunity_id": {"S": opportunity_id}, "part": {"S": part}}


def _seller_key(seller_id: str) -> Raw:
    return {"principal": {"S": seller_id}, "part": {"S": _SELLER}}


def _read_seller(raw: Raw) -> Seller:
    return codec.from_json(raw["document"]["S"], Seller)


def _stored_proposal(raw: Raw) -> StoredProposal:
    partner_id, uuid = raw["order_key"]["S"].rsplit("#", 1)
    try:
        order = rows.read_order(raw)
    except (codec.Undecodable, UnreadableRow):
        order = None
    return StoredProposal(OrderKey(partner_id, uuid), order if isinstance(order, Order) else None)


def _opportunities(
    found: list[Raw],
) -> tuple[dict[str, OpportunitySnapshot], dict[str, OpportunitySnapshot]]:
    """The rows of a snapshot, combined, and those of withdrawn Opportunities apart.

    One Order has at most one hold on an Opportunity.
    """
    parts: dict[str, dict[str, Raw]] = {}
    for raw in found:
        part = raw["part"]["S"]
        kind = HOLD_PREFIX if part.startswith(HOLD_PREFIX) else part
        parts.setdefault(raw["opportunity_id"]["S"], {})[kind] = raw
    current: dict[str, OpportunitySnapshot] = {}
    withdrawn: dict[str, OpportunitySnapshot] = {}
    for opportunity_id, raws in parts.items():
        if DETAILS not in raws:
            continue
        one = OpportunitySnapshot(
            opportunity=rows.read_opportunity(raws[DETAILS]),
            capacity=rows.read_capacity(raws[CAPACITY]) if CAPACITY in raws else Capacity(0, 0),
            hold=rows.read_hold(raws[HOLD_PREFIX]) if HOLD_PREFIX in raws else None,
        )
        (withdrawn if rows.is_deleted(raws[DETAILS]) else current)[opportunity_id] = one
    return current, withdrawn
