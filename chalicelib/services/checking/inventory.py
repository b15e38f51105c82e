"""Check Opportunities and Orders: counters, leases, holds, Sellers and parents."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from chalicelib.domain.capacity import Capacity, Hold, HoldState, Share, share_key
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import OPPORTUNITY_TYPES, UNIT_TYPES
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.services.checking.findings import Damage, Finding, Subject
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.scans import BrokenRow
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass, field
from chalicelib.wire.documents import types_of

StoredOrder = Order | DeletedOrder

HOLDS_AT_ONCE = 500
# Attempts to read an Opportunity's counters and holds without a change in between.
_READINGS = 5


@dataclass
class HoldTotals:
    """The totals of the holds of one Opportunity."""

    spaces: int = 0
    leased: int = 0
    requested: int = 0
    first_end: datetime | None = None
    shares: dict[str, Share] = field(default_factory=dict)

    def add(self, key: OrderKey, hold: Hold) -> None:
        self.spaces += hold.taken_spaces
        if hold.share:
            partner = share_key(key.partner_id)
            self.shares[partner] = self.shares.get(partner, Share()) + hold.share
        self.leased += hold.leased_spaces
        self.requested += hold.requested_spaces
        if hold.state is HoldState.leased and hold.expires_at is not None:
            self.first_end = min(self.first_end or hold.expires_at, hold.expires_at)


@dataclass
class InventoryLook:
    """Checks some rows, strongly consistent, and reports differences. Every method may raise StoreBusy."""

    store: Store
    now: datetime
    restless: set[str] = field(default_factory=set)
    """Opportunities that changed in each reading, so that their counters could not be checked."""
    _sellers: set[str] = field(default_factory=set)

    def opportunities(self, ids: Sequence[str]) -> Iterator[Finding]:
        """All checks of these Opportunities except those of their feed."""
        listings, broken = read_listings(self.store, ids)
        yield from broken
        unreadable = {finding.subject.id for finding in broken}
        for opportunity_id in ids:
            if opportunity_id in unreadable:
                continue
            if opportunity_id not in listings:
                yield _finding(Damage.DETAILS_MISSING, f"inventory {opportunity_id} details", opportunity_id)
                yield from self._holds_and_counters(opportunity_id, None)
                continue
            listing, capacity = listings[opportunity_id]
            yield from self._holds_and_counters(opportunity_id, capacity)
            if not listing.deleted:
                yield from self._seller(listing.opportunity)
        yield from self._parents(listings)

    def orders(self, orders: Sequence[StoredOrder]) -> Iterator[Finding]:
        """Whether each Order has the holds that it should have."""
        wanted = [
            (opportunity_id, order.key, hold)
            for order in orders
            if isinstance(order, Order) and not order.has_lapsed(self.now)
            for opportunity_id, hold in order.holds().items()
        ]
        found = self.store.hold_rows([(opportunity_id, key) for opportunity_id, key, _ in wanted])
        for opportunity_id, key, hold in wanted:
            if (opportunity_id, key) not in found:
                yield Finding(
                    Damage.HOLD_MISSING,
                    hold_row(opportunity_id, key),
                    f"{hold.spaces} {hold.state}",
                    Subject("order", str(key)),
                )

    def _holds_and_counters(self, opportunity_id: str, capacity: Capacity | None) -> Iterator[Finding]:
        for _ in range(_READINGS):
            totals, findings = self._holds(opportunity_id)
            wrong = list(counters_wrong(opportunity_id, capacity, totals))
            if not wrong:
                yield from findings
                return
            # Every move of spaces changes the counters: if they are the same before and after, nothing moved.
            after = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))[1]
            if after == capacity:
                yield from (*findings, *wrong)
                return
            capacity = after
        self.restless.add(opportunity_id)
        yield from findings

    def _holds(self, opportunity_id: str) -> tuple[HoldTotals, list[Finding]]:
        totals, findings, after = HoldTotals(), list[Finding](), ""
        while True:
            try:
                page = self.store.holds(opportunity_id, after=after, limit=HOLDS_AT_ONCE)
            except StoreBusy:
                raise
            except Exception as error:  # any error: the row is named and the others are checked
                row = f"inventory {opportunity_id} hold# after {after!r}"
                return totals, [_finding(Damage.UNREADABLE, row, opportunity_id, type(error).__name__)]
            orders, broken = read_orders(self.store, list(page))
            for key, hold in page.items():
                totals.add(key, hold)
                if key not in broken and (
                    damage := damage_of(hold, orders.get(key), opportunity_id, self.now)
                ):
                    detail = f"{hold.spaces} {hold.state}"
                    findings.append(_finding(damage, hold_row(opportunity_id, key), opportunity_id, detail))
            if len(page) < HOLDS_AT_ONCE:
                return totals, findings
            after = str(list(page)[-1])

    def _seller(self, opportunity: Opportunity) -> Iterator[Finding]:
        seller_id = opportunity.seller_id
        if seller_id in self._sellers:
            return
        if self.store.seller(seller_id) is None:
            yield _finding(Damage.SELLER_MISSING, f"identity {seller_id} seller", opportunity.id)
        else:
            self._sellers.add(seller_id)

    def _parents(self, listings: Mapping[str, tuple[Listing, Capacity | None]]) -> Iterator[Finding]:
        """Only of future Opportunities: past ones may outlive their series."""
        children = {
            parent_id: opportunity_id
            for opportunity_id, (listing, _) in listings.items()
            if not listing.deleted
            and (listing.opportunity.starts_at is None or listing.opportunity.starts_at > self.now)
            and (parent_id := parent_of(listing.opportunity))
        }
        parents = read_listings(self.store, list(children))[0]
        for parent_id, opportunity_id in children.items():
            if parent_id not in parents or parents[parent_id][0].deleted:
                yield _finding(Damage.PARENT_MISSING, f"inventory {parent_id} details", opportunity_id)


def counters_wrong(opportunity_id: str, capacity: Capacity | None, totals: HoldTotals) -> Iterator[Finding]:
    """How the counters differ from the holds."""
    row = f"inventory {opportunity_id} capacity"
    if capacity is None:
        if totals.spaces or totals.requested:
            yield _finding(Damage.SPACES_DO_NOT_ADD_UP, row, opportunity_id, "the row is missing")
        return
    if excess := capacity.spaces_left + totals.spaces - capacity.spaces_total:
        detail = f"spaces_left is {abs(excess)} too {'high' if excess > 0 else 'low'}"
        yield _finding(Damage.SPACES_DO_NOT_ADD_UP, row, opportunity_id, detail)
    if excess := capacity.spaces_leased - totals.leased:
        detail = f"spaces_leased is {abs(excess)} too {'high' if excess > 0 else 'low'}"
        yield _finding(Damage.LEASED_SPACES_WRONG, row, opportunity_id, detail)
    for partner in sorted({*totals.shares, *capacity.shares}):
        counted, leased = capacity.shares.get(partner, Share()), totals.shares.get(partner, Share())
        if counted != leased:
            detail = f"{counted.spaces}/{counted.anonymous} instead of {leased.spaces}/{leased.anonymous}"
            yield _finding(Damage.SHARE_WRONG, f"{row} l#{partner}", opportunity_id, detail)
    if excess := capacity.spaces_requested - totals.requested:
        detail = f"spaces_requested is {abs(excess)} too {'high' if excess > 0 else 'low'}"
        yield _finding(Damage.REQUESTED_SPACES_WRONG, row, opportunity_id, detail)
    first, mark = totals.first_end, capacity.next_expiry_at
    if first is not None and (mark is None or mark > first):
        detail = f"a lease ends at {first:%Y-%m-%dT%H:%M:%SZ}, before next_expiry_at"
        yield _finding(Damage.LEASE_END_UNNOTICED, row, opportunity_id, detail)


def damage_of(hold: Hold, order: StoredOrder | None, opportunity_id: str, now: datetime) -> Damage | None:
    """The damage between a hold and the Order that it names."""
    if hold.has_expired(now):
        return None  # the sweep ends it, in any state of its quote
    if hold.state is HoldState.leased and is_released(order):
        return None  # a lease that is not renewed and expires
    expected = order.holds().get(opportunity_id) if isinstance(order, Order) else None
    if expected is None:
        return Damage.HOLD_WITHOUT_ORDER
    return None if hold == expected else Damage.HOLD_DIFFERS


def is_released(order: StoredOrder | None) -> bool:
    """Whether the Order's holds may stay as leases for a while: a rejected proposal, also if deleted since."""
    if isinstance(order, Order):
        return (
            order.kind is OrderKind.OrderProposal
            and order.proposal is not None
            and order.proposal.is_rejected
        )
    return isinstance(order, DeletedOrder)


def parent_of(opportunity: Opportunity) -> str | None:
    """The id of what it belongs to; None if that is not published, as an EventSeries."""
    parent = opportunity.parent or {}
    types = set(types_of(parent))
    if not types & (UNIT_TYPES | set(OPPORTUNITY_TYPES)):
        return None
    if types & UNIT_TYPES:
        parent = parent.get("aggregateFacilityUse") or {}
    parent_id = parent.get("@id") if isinstance(parent, dict) else parent
    return parent_id if isinstance(parent_id, str) else None


def read_listings(
    store: Store, ids: Sequence[str]
) -> tuple[dict[str, tuple[Listing, Capacity | None]], list[Finding]]:
    """The listings of these Opportunities, and a finding for each that cannot be read."""
    try:
        return store.listings(ids), []
    except StoreBusy:
        raise
    except Exception as error:  # find out which one cannot be read
        if len(ids) == 1:
            row = f"inventory {ids[0]} details or capacity"
            return {}, [_finding(Damage.UNREADABLE, row, ids[0], type(error).__name__)]
    found: dict[str, tuple[Listing, Capacity | None]] = {}
    broken: list[Finding] = []
    for opportunity_id in ids:
        listings, unreadable = read_listings(store, [opportunity_id])
        found |= listings
        broken += unreadable
    return found, broken


def read_orders(
    store: Store, keys: Sequence[OrderKey]
) -> tuple[dict[OrderKey, StoredOrder], dict[OrderKey, Finding]]:
    """The Orders under these keys, and a finding for each whose row cannot be read."""
    try:
        return store.orders(keys), {}
    except StoreBusy:
        raise
    except Exception as error:  # as above
        if len(keys) == 1:
            return {}, {keys[0]: unreadable_order(BrokenRow(str(keys[0]), type(error).__name__))}
    found: dict[OrderKey, StoredOrder] = {}
    broken: dict[OrderKey, Finding] = {}
    for key in keys:
        orders, unreadable = read_orders(store, [key])
        found |= orders
        broken |= unreadable
    return found, broken


def unreadable_order(row: BrokenRow) -> Finding:
    """The finding for an Order's row that cannot be read."""
    return Finding(Damage.UNREADABLE, f"orders {row.key}", row.error, Subject("order", row.key))


def hold_row(opportunity_id: str, key: OrderKey) -> str:
    return f"inventory {opportunity_id} hold#{key}"


def _finding(damage: Damage, row: str, opportunity_id: str, detail: str = "") -> Finding:
    return Finding(damage, row, detail, Subject("opportunity", opportunity_id))
