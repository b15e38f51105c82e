"""The stores in memory, for tests of what uses them. They check every condition that the real ones check."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from threading import RLock
from typing import TypeVar

from chalicelib.booking.decisions import (
    Change,
    MoveHold,
    OpportunitySnapshot,
    RemoveOrder,
    SaveOrder,
    Snapshot,
    Wanted,
)
from chalicelib.domain.capacity import Capacity, Hold, Share, SourceCount, share_key
from chalicelib.domain.limits import MAX_PAGE_BYTES, carried_bytes
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.domain.parties import Seller
from chalicelib.domain.partner_limits import PartnerCounters, shard_of
from chalicelib.storage.errors import (
    CommitRefused,
    FeedMoved,
    HoldChanged,
    LeaseEndsEarlier,
    LeasesLimited,
    OpportunityChanged,
    OrderChanged,
    OrderTooLarge,
    Reason,
    RecordChanged,
    SellerChanged,
    TooFewSpaces,
)
from chalicelib.storage.feeds import FeedEntry, FeedState, PageRows, Pointer, StoredItem
from chalicelib.storage.identities import Record
from chalicelib.storage.lists import (
    OPPORTUNITIES,
    ListPage,
    OrderList,
    Place,
    instant,
    list_key,
    place_of_opportunity,
    place_of_order,
)
from chalicelib.storage.order_documents import pack_order, unpack_order
from chalicelib.storage.pending import PendingWork, proposal_end
from chalicelib.storage.scans import WHOLE, BrokenRow, Part, ScanPage
from chalicelib.storage.store import (
    MAX_ACTIONS,
    HoldCorrection,
    ImportedPage,
    Listing,
    Reclaimed,
    SellerEntry,
    StoredProposal,
)
from chalicelib.values import replace


class MemoryStore:
    """Inventory, orders and sellers in dictionaries. See `storage.store.Store` for what each method promises."""

    def __init__(self, pending: "MemoryPending | None" = None) -> None:
        self._lock = RLock()
        self._listings: dict[str, Listing] = {}
        self._capacities: dict[str, Capacity] = {}
        self._holds: dict[str, dict[OrderKey, Hold]] = {}
        self._orders: dict[OrderKey, Order | DeletedOrder] = {}
        self._sellers: dict[str, SellerEntry] = {}
        self._counters: dict[str, dict[int, dict[str, int]]] = {}
        self.pending = pending or MemoryPending()

    def snapshot(self, wanted: Wanted) -> Snapshot:
        with self._lock:
            return Snapshot(
                order=self._orders.get(wanted.order),
                seller=self.seller(wanted.seller_id or ""),
                opportunities=self._read(wanted, deleted=False),
                withdrawn=self._read(wanted, deleted=True),
                other_offers=frozenset(
                    offer.id
                    for key in wanted.offers_of
                    if key in self._listings
                    and not self._listings[key].deleted
                    and key not in wanted.opportunity_ids
                    for offer in self._listings[key].opportunity.offers
                ),
                counters=PartnerCounters(
                    {
                        shard: dict(counters)
                        for shard, counters in self._counters.get(wanted.order.partner_id, {}).items()
                        if wanted.counters
                    }
                ),
                absent=frozenset(
                    key
                    for key in wanted.opportunity_ids
                    if key not in self._listings or self._listings[key].deleted
                ),
            )

    def _read(self, wanted: Wanted, *, deleted: bool) -> dict[str, OpportunitySnapshot]:
        return {
            key: OpportunitySnapshot(
                self._listings[key].opportunity,
                self._capacities.get(key, Capacity(0, 0)),
                self._holds.get(key, {}).get(wanted.order),
            )
            for key in wanted.opportunity_ids
            if key in self._listings and self._listings[key].deleted is deleted
        }

    def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, Order | DeletedOrder]:
        with self._lock:
            return {key: self._orders[key] for key in keys if key in self._orders}

    def commit(self, changes: Sequence[Change]) -> None:
        _check_size(changes)
        with self._lock:
            reasons = [reason for change in changes if (reason := self._why_not(change))]
            if reasons:
                raise CommitRefused(reasons)
            for change in changes:
                self._apply(change)

    def _why_not(self, change: Change) -> Reason | None:
        match change:
            case SaveOrder():
                return self._why_not_version(change.order.key, change.replaces)
            case RemoveOrder():
                return self._why_not_version(change.key, change.replaces)
            case MoveHold():
                return self._why_not_move(change)

    def _why_not_version(self, key: OrderKey, version: int | None) -> Reason | None:
        order = self._orders.get(key)
        return None if (order.version if order else None) == version else OrderChanged(key)

    def _why_not_move(self, move: MoveHold) -> Reason | None:
        key = move.opportunity_id
        if self._holds.get(key, {}).get(move.order) != move.before:
            return HoldChanged(key)
        if not move.moves_counters and move.revision is None:
            return None
        capacity = self._capacities.get(key)
        if capacity is None:
            return OpportunityChanged(key)
        if move.revision is not None and (
            capacity.revision != move.revision or not (capacity.open_for_booking or move.may_be_closed)
        ):
            return OpportunityChanged(key)
        if capacity.spaces_left < move.spaces_needed:
            return TooFewSpaces(key, capacity.spaces_left, capacity.spaces_leased)
        if not move.is_within_limits(capacity.share_of(move.order.partner_id)):
            return LeasesLimited(key)
        ends_at, mark = move.after.expires_at if move.after else None, capacity.next_expiry_at
        if ends_at and mark and (mark < ends_at if move.ends_before_others else mark > ends_at):
            return LeaseEndsEarlier(key)
        return None

    def _apply(self, change: Change) -> None:
        match change:
            case SaveOrder():
                # As its row keeps it: perhaps with less detail.
                self._orders[change.order.key] = (
                    unpack_order(pack_order(change.order))
                    if isinstance(change.order, Order)
                    else change.order
                )
                self._count_for_partner(change.order.key, change.counts, change.outdated)
                self._schedule(change)
            case RemoveOrder():
                del self._orders[change.key]
                self._count_for_partner(change.key, change.counts)
            case MoveHold():
                holds = self._holds.setdefault(change.opportunity_id, {})
                holds.pop(change.order, None)
                if change.after is not None:
                    holds[change.order] = change.after
                if change.moves_counters:
                    self._count(change)

    def _count_for_partner(
        self, key: OrderKey, counts: Mapping[str, int], outdated: Sequence[str] = ()
    ) -> None:
        counters = self._counters.setdefault(key.partner_id, {}).setdefault(shard_of(key.uuid), {})
        for name in set(outdated) - set(counts) if counts else ():
            counters.pop(name, None)
        for name, number in counts.items():
            counters[name] = counters.get(name, 0) + number

    def _schedule(self, change: SaveOrder) -> None:
        if change.ended_at == change.ends_at:
            return
        if change.ended_at is not None:
            self.pending.finish(proposal_end(change.order.key, change.ended_at))
        if change.ends_at is not None:
            self.pending.exchange((), [proposal_end(change.order.key, change.ends_at)])

    def _count(self, move: MoveHold) -> None:
        capacity = self._capacities[move.opportunity_id]
        ends_at = move.after.expires_at if move.after else None
        mark = capacity.next_expiry_at
        self._capacities[move.opportunity_id] = replace(
            capacity,
            spaces_left=capacity.spaces_left - move.spaces_taken,
            spaces_leased=capacity.spaces_leased + move.leased_more,
            spaces_requested=capacity.spaces_requested + move.requested_more,
            version=capacity.version + (1 if move.is_new_version else 0),
            next_expiry_at=ends_at if ends_at and (move.ends_before_others or not mark) else mark,
            shares=_added(capacity.shares, share_key(move.order.partner_id), move.share_more),
        )

    def reclaim(
        self, opportunity_id: str, now: datetime, *, set_aside: bool = False, at_most: int | None = None
    ) -> Reclaimed:
        with self._lock:
            holds = self._holds.get(opportunity_id, {})
            over = [key for key, hold in holds.items() if hold.has_expired(now)]
            expired = over if at_most is None else over[: at_most * (MAX_ACTIONS - 1)]
            ended = {key: holds.pop(key) for key in expired}
            spaces = sum(hold.spaces for hold in ended.values())
            if opportunity_id in self._capacities:
                capacity = self._capacities[opportunity_id]
                ends = [hold.expires_at for hold in holds.values() if hold.expires_at]
                shares = capacity.shares
                for key, hold in ended.items():
                    shares = _added(shares, share_key(key.partner_id), Share() - hold.share)
                self._capacities[opportunity_id] = replace(
                    capacity,
                    spaces_left=capacity.spaces_left + spaces,
                    spaces_leased=capacity.spaces_leased - spaces,
                    version=capacity.version + (1 if expired else 0),
                    next_expiry_at=min(ends, default=None),
                    shares={key: share for key, share in shares.items() if share and ends},
                )
            return Reclaimed(len(expired), more=len(over) > len(expired))

    def expired(self, now: datetime, limit: int) -> list[str]:
        with self._lock:
            over = [
                key for key, holds in self._holds.items() if any(h.has_expired(now) for h in holds.values())
            ]
            return over[:limit]

    def holds(
        self, opportunity_id: str, *, after: str = "", limit: int | None = None
    ) -> dict[OrderKey, Hold]:
        with self._lock:
            ordered = sorted(self._holds.get(opportunity_id, {}).items(), key=lambda each: str(each[0]))
            return dict([each for each in ordered if str(each[0]) > after][:limit])

    def listings(self, opportunity_ids: Sequence[str]) -> dict[str, tuple[Listing, Capacity | None]]:
        with self._lock:
            return {
                key: (self._listings[key], self._capacities.get(key))
                for key in opportunity_ids
                if key in self._listings
            }

    def imported_page(self, source: str, after: str | None = None) -> ImportedPage:
        with self._lock:
            found = sorted(key for key, listing in self._listings.items() if listing.source == source)
            start = int(after or 0)
            shown = found[start : start + 10]
            more = start + 10 < len(found)
            return ImportedPage(
                tuple(self._listings[key] for key in shown), str(start + 10) if more else None
            )

    def imported_from(self, source: str) -> Iterator[Listing]:
        page = self.imported_page(source)
        yield from page.listings
        while page.following:
            page = self.imported_page(source, page.following)
            yield from page.listings

    def proposals(self) -> Iterator[StoredProposal]:
        with self._lock:
            orders = list(self._orders.values())
        for order in orders:
            if isinstance(order, Order) and order.kind is OrderKind.OrderProposal:
                yield StoredProposal(order.key, order)

    def publish(
        self,
        listing: Listing,
        spaces: int | None,
        pending: PendingWork | None = None,
        *,
        if_unheld: bool = False,
    ) -> None:
        with self._lock:
            capacity = self._capacities.get(listing.opportunity.id)
            if if_unheld and capacity is not None and capacity.has_holds:
                raise CommitRefused([OpportunityChanged(listing.opportunity.id)])
            self.publish_together([(listing, spaces)])
            if pending is not None:
                self.pending.exchange((), [pending])

    def publish_together(
        self, listings: Sequence[tuple[Listing, int | None]], *, if_unheld: bool = False
    ) -> None:
        with self._lock:
            refused = [
                OpportunityChanged(listing.opportunity.id)
                for listing, _ in listings
                if self._version(listing.opportunity.id) != listing.version - 1
                or (
                    if_unheld
                    and (capacity := self._capacities.get(listing.opportunity.id)) is not None
                    and capacity.has_holds
                )
            ]
            if refused:
                raise CommitRefused(refused)
            for listing, spaces in listings:
                key = listing.opportunity.id
                if spaces is not None:
                    stated = (
                        SourceCount(spaces) if listing.version == 1 and listing.source is not None else None
                    )
                    capacity = self._capacities.get(
                        key, Capacity(spaces, spaces, version=0, source_count=stated)
                    )
                    self._capacities[key] = replace(
                        capacity,
                        revision=listing.opportunity.revision,
                        open_for_booking=listing.is_open,
                        version=capacity.version + 1,
                    )
                self._listings[key] = listing

    def _version(self, opportunity_id: str) -> int:
        known = self._listings.get(opportunity_id)
        return known.version if known else 0

    def save_seller(self, seller: Seller) -> None:
        with self._lock:
            self._sellers[seller.id] = SellerEntry(seller)

    def import_seller(self, seller: Seller, source: str) -> None:
        with self._lock:
            known = self._sellers.get(seller.id)
            if known is not None and known.source != source:
                raise CommitRefused([SellerChanged(seller.id)])
            self._sellers[seller.id] = SellerEntry(seller, source)

    def seller(self, seller_id: str) -> Seller | None:
        entry = self.seller_entry(seller_id)
        return entry.seller if entry else None

    def seller_entry(self, seller_id: str) -> SellerEntry | None:
        with self._lock:
            return self._sellers.get(seller_id)

    def sellers(self) -> list[Seller]:
        with self._lock:
            return [entry.seller for entry in self._sellers.values()]

    def scan_orders(
        self, cursor: str = "", *, part: Part = WHOLE, limit: int = 500, partner_id: str | None = None
    ) -> ScanPage[Order | DeletedOrder | BrokenRow]:
        with self._lock:
            found = {
                str(key): order
                for key, order in self._orders.items()
                if partner_id is None or key.partner_id == partner_id
            }
            return _scanned(found, cursor, part, limit)

    def scan_opportunities(self, cursor: str = "", *, part: Part = WHOLE, limit: int = 1000) -> ScanPage[str]:
        with self._lock:
            found = {key: key for key in (*self._listings, *self._capacities, *self._holds)}
            return _scanned(found, cursor, part, limit)

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
        with self._lock:
            places = {key: place_of_order(order) for key, order in self._orders.items()}
        return _listed(places, list_key(which, seller_id), since, until, after, limit, newest_first)

    def listed_opportunities(
        self,
        seller_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
    ) -> ListPage[str]:
        with self._lock:
            places = {key: place_of_opportunity(each.opportunity) for key, each in self._listings.items()}
        return _listed(places, list_key(OPPORTUNITIES, seller_id), since, until, after, limit, False)

    def unlisted_orders(self, keys: Sequence[OrderKey]) -> list[OrderKey]:
        return []

    def unlisted_opportunities(self, opportunity_ids: Sequence[str]) -> list[str]:
        return []

    def list_orders(self, keys: Sequence[OrderKey]) -> int:
        return 0

    def list_opportunities(self, opportunity_ids: Sequence[str]) -> int:
        return 0

    def hold_rows(self, keys: Sequence[tuple[str, OrderKey]]) -> dict[tuple[str, OrderKey], Hold | BrokenRow]:
        with self._lock:
            return {
                (opportunity_id, key): hold
                for opportunity_id, key in keys
                if (hold := self._holds.get(opportunity_id, {}).get(key))
            }

    def resize(
        self, opportunity_id: str, read: Capacity, spaces_total: int, count: SourceCount | None = None
    ) -> None:
        with self._lock:
            current = self._capacities[opportunity_id]
            if current.version != read.version:
                raise CommitRefused([OpportunityChanged(opportunity_id)])
            self._capacities[opportunity_id] = replace(
                current,
                spaces_total=spaces_total,
                spaces_left=current.spaces_left + spaces_total - read.spaces_total,
                version=current.version + 1,
                source_count=count or current.source_count,
            )

    def correct(
        self, opportunity_id: str, read: Capacity, corrected: Capacity, holds: Sequence[HoldCorrection] = ()
    ) -> None:
        with self._lock:
            current = self._holds.setdefault(opportunity_id, {})
            reasons: list[Reason] = []
            if self._capacities[opportunity_id].version != read.version:
                reasons.append(OpportunityChanged(opportunity_id))
            for each in holds:
                if current.get(each.order) != each.before:
                    reasons.append(HoldChanged(opportunity_id))
                if reason := self._why_not_version(each.order, each.order_version):
                    reasons.append(reason)
            if reasons:
                raise CommitRefused(reasons)
            for each in holds:
                current.pop(each.order, None)
                if each.after is not None:
                    current[each.order] = each.after
            self._capacities[opportunity_id] = replace(corrected, version=read.version + 1)


_T = TypeVar("_T")


def _added(shares: Mapping[str, Share], key: str, more: Share) -> Mapping[str, Share]:
    return {**shares, key: shares.get(key, Share()) + more} if more else shares


def _listed(
    places: Mapping[_T, Place | None],
    key: str,
    since: datetime | None,
    until: datetime | None,
    after: str,
    limit: int,
    newest_first: bool,
) -> ListPage[_T]:
    found = sorted(
        (
            (place.place, each)
            for each, place in places.items()
            if place is not None
            and place.list_key == key
            and (since is None or place.place >= instant(since))
            and (until is None or place.place < instant(until))
            and (not after or (place.place < after if newest_first else place.place > after))
        ),
        key=lambda one: one[0],
        reverse=newest_first,
    )
    page = found[:limit]
    return ListPage(tuple(each for _, each in page), page[-1][0] if len(found) > limit else None)


def _scanned(found: Mapping[str, _T], cursor: str, part: Part, limit: int) -> ScanPage[_T]:
    keys = sorted(key for key in found if key > cursor and zlib.crc32(key.encode()) % part.of == part.number)
    page = keys[:limit]
    return ScanPage(tuple(found[key] for key in page), page[-1] if len(keys) > limit else None)


def _check_size(changes: Sequence[Change]) -> None:
    actions = sum(map(_actions, changes))
    if actions > MAX_ACTIONS:
        raise OrderTooLarge(f"{actions} rows do not fit one transaction")
    for change in changes:
        if isinstance(change, SaveOrder) and isinstance(change.order, Order):
            pack_order(change.order)


def _actions(change: Change) -> int:
    match change:
        case MoveHold():
            return 2 if change.moves_counters or change.revision is not None else 1
        case SaveOrder() if change.ended_at != change.ends_at:
            return 1 + (change.ended_at is not None) + (change.ends_at is not None)
    return 1


class MemoryFeeds:
    """The same in memory, for tests of what stands on it."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._counters: dict[str, int] = {}
        self._items: dict[str, dict[int, str | None]] = {}
        self._pointers: dict[str, dict[str, Pointer]] = {}
        self._turns: dict[str, tuple[str, datetime]] = {}

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        with self._lock:
            pointers = self._pointers.get(feed_id, {})
            return FeedState(
                self._counters.get(feed_id, 0),
                {item_id: pointers[item_id] for item_id in item_ids if item_id in pointers},
                *self._turns.get(feed_id, ()),
            )

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        with self._lock:
            items = self._items.setdefault(feed_id, {})
            pointers = self._pointers.setdefault(feed_id, {})
            moved = any(pointers.get(entry.item_id) != entry.replaces for entry in entries)
            if moved or self._counters.get(feed_id, 0) != counter:
                raise FeedMoved(feed_id)
            for entry in entries:
                if entry.vacates:
                    items[entry.vacates] = None
                if entry.text is not None:
                    items[entry.change_number] = entry.text
                pointers[entry.item_id] = Pointer(entry.change_number, entry.version)
            self._counters[feed_id] = max(counter, *(entry.change_number for entry in entries))
            self._turns.pop(feed_id, None)

    def take_turn(self, feed_id: str, writer: str, now: datetime, until: datetime) -> None:
        with self._lock:
            turn = self._turns.get(feed_id)
            if feed_id in self._counters and (turn is None or turn[1] <= now):
                self._turns[feed_id] = (writer, until)

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        with self._lock:
            items = self._items.get(feed_id, {})
            following = sorted(number for number in items if number > after)
            first = next((place for place, number in enumerate(following) if items[number] is not None), None)
            if first is None:
                return PageRows((), None, more=False)
            shown = following[: max(limit, first + 1)]
            more, size = len(shown) >= limit, 0
            texts: list[str] = []
            for place, number in enumerate(shown):
                text = items[number]
                if text is None:
                    continue
                size += carried_bytes(text)
                if texts and size > MAX_PAGE_BYTES:
                    shown, more = shown[:place], True
                    break
                texts.append(text)
            return PageRows(tuple(texts), shown[-1], more)

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        with self._lock:
            return sorted(item for item in self._pointers.get(feed_id, {}) if item > after)[:limit]

    def feed_ids(self) -> Iterator[str]:
        with self._lock:
            return iter(sorted({*self._counters, *self._items, *self._pointers}))

    def pointers(self, feed_id: str, after: str, limit: int) -> dict[str, Pointer]:
        with self._lock:
            return {item: self._pointers[feed_id][item] for item in self.items(feed_id, after, limit)}

    def walk(self, feed_id: str, after: int, limit: int) -> list[StoredItem]:
        with self._lock:
            items = self._items.get(feed_id, {})
            return [StoredItem(n, items[n]) for n in sorted(n for n in items if n > after)[:limit]]

    def stored(self, feed_id: str, change_numbers: Sequence[int]) -> dict[int, StoredItem]:
        with self._lock:
            items = self._items.get(feed_id, {})
            return {n: StoredItem(n, items[n]) for n in change_numbers if n in items}

    def last(self, feed_id: str) -> int:
        with self._lock:
            return max(self._items.get(feed_id, {}), default=0)

    def raise_counter(self, feed_id: str, counter: int, to: int, now: datetime) -> None:
        with self._lock:
            if self._counters.get(feed_id, 0) != counter:
                raise FeedMoved(feed_id)
            self._counters[feed_id] = to

    def adopt(self, feed_id: str, pointers: Mapping[str, Pointer]) -> None:
        with self._lock:
            known = self._pointers.setdefault(feed_id, {})
            for item_id, pointer in pointers.items():
                known.setdefault(item_id, pointer)

    def vacate(self, feed_id: str, change_number: int, item_id: str, now: datetime) -> bool:
        with self._lock:
            pointer = self._pointers.get(feed_id, {}).get(item_id)
            if pointer is not None and pointer.change_number == change_number:
                return False
            self._items[feed_id][change_number] = None
            return True


class MemoryIdentities:
    """The same in memory, for tests of what stands on it."""

    def __init__(self, pending: "MemoryPending | None" = None) -> None:
        self._lock = RLock()
        self.pending = pending or MemoryPending()
        self._records: dict[tuple[str, str], Record] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.calls = 0

    def get(self, principal: str, part: str) -> Record | None:
        self.calls += 1
        return self._records.get((principal, part))

    def save(self, record: Record, *others: Record, pending: Sequence[PendingWork] = ()) -> Record:
        with self._lock:
            self.calls += 1
            for each in (record, *others):
                stored = self._records.get((each.principal, each.part))
                if (stored.version if stored else 0) != each.version:
                    raise RecordChanged(f"{each.principal} {each.part}")
            for each in (record, *others):
                self._records[each.principal, each.part] = replace(each, version=each.version + 1)
            self.pending.exchange((), pending)
        return replace(record, version=record.version + 1)

    def delete(self, record: Record) -> None:
        with self._lock:
            self.calls += 1
            self._records.pop((record.principal, record.part), None)

    def parts(self, principal: str) -> list[Record]:
        with self._lock:
            self.calls += 1
            return [record for key, record in sorted(self._records.items()) if key[0] == principal]

    def parts_before(self, principal: str, before: str, limit: int) -> list[Record]:
        found = [each for each in self.parts(principal) if not before or each.part < before]
        return found[::-1][:limit]

    def all(self, kind: str) -> Iterator[Record]:
        with self._lock:
            self.calls += 1
            found = [r for key, r in sorted(self._records.items()) if key[0].startswith(f"{kind}#")]
        return iter(found)

    def count(self, principal: str, part: str, amount: int, limit: int, expires_at: datetime) -> bool:
        with self._lock:
            self.calls += 1
            counted = self._counts.get((principal, part), 0) + amount
            if counted > limit:
                return False
            self._counts[principal, part] = counted
        return True


class MemoryPending:
    """Unfinished work in memory. See `storage.pending.PendingStore` for what each method promises."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._entries: dict[tuple[str, str], PendingWork] = {}

    def entries(self, kind: str, limit: int, after: str = "", *, before: str = "") -> list[PendingWork]:
        with self._lock:
            found = sorted(
                key
                for key in self._entries
                if key[0] == kind and key[1] > after and (not before or key[1] < before)
            )
            return [self._entries[key] for key in found[:limit]]

    def entry(self, kind: str, entry_id: str) -> PendingWork | None:
        with self._lock:
            return self._entries.get((kind, entry_id))

    def count(self, kind: str, at_most: int, *, before: str = "") -> int:
        return len(self.entries(kind, at_most, before=before))

    def exchange(self, finished: Sequence[PendingWork], added: Sequence[PendingWork]) -> None:
        with self._lock:
            if not all(self._is_there(entry) for entry in finished):
                raise CommitRefused(())
            for entry in finished:
                del self._entries[entry.kind, entry.id]
            for entry in added:
                self._entries[entry.kind, entry.id] = entry

    def save(self, entry: PendingWork) -> None:
        with self._lock:
            if self._is_there(entry):
                self._entries[entry.kind, entry.id] = entry

    def finish(self, entry: PendingWork) -> None:
        with self._lock:
            if self._is_there(entry):
                del self._entries[entry.kind, entry.id]

    def take_over(self, dataset: str | None = None) -> int:
        return 0

    def kinds(self) -> list[str]:
        with self._lock:
            return sorted({kind for kind, _ in self._entries})

    def _is_there(self, entry: PendingWork) -> bool:
        known = self._entries.get((entry.kind, entry.id))
        return known is not None and (entry.revision is None or known.revision == entry.revision)
