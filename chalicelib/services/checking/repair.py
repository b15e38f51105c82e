"""Repair the findings of a check if that is safe: each write requires that the rows are as they were read."""

from collections.abc import Sequence

from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.contents import partner_of
from chalicelib.feeds.republishing import Republisher
from chalicelib.services.checking.check import Check
from chalicelib.services.checking.feeds import read_item
from chalicelib.services.checking.findings import Damage, Finding, Subject
from chalicelib.services.checking.inventory import HOLDS_AT_ONCE, HoldTotals, damage_of
from chalicelib.services.proposals import scheduled_end
from chalicelib.services.rebuilding import note_shown
from chalicelib.storage.errors import CommitRefused, OrderTooLarge, StillBusy, StoreBusy
from chalicelib.storage.store import HoldCorrection
from chalicelib.values import dataclass, replace

# Two rows each in a transaction of 100, with the counters.
_AT_ONCE = 40

_COUNTERS = {
    Damage.SPACES_DO_NOT_ADD_UP,
    Damage.LEASED_SPACES_WRONG,
    Damage.SHARE_WRONG,
    Damage.REQUESTED_SPACES_WRONG,
    Damage.LEASE_END_UNNOTICED,
    Damage.HOLD_WITHOUT_ORDER,
    Damage.HOLD_DIFFERS,
    Damage.HOLD_MISSING,
}
_ITEMS = {
    Damage.ITEM_MISSING,
    Damage.ITEM_OUTDATED,
    Damage.ITEM_AHEAD,
    Damage.ITEM_NOT_DELETED,
    Damage.ITEM_UNKNOWN,
    Damage.ITEM_ROW_MISSING,
}


class Oversold(Exception):
    """More spaces are held than there are: the Seller must decide which order to cancel."""


@dataclass(frozen=True)
class Repair:
    """Repairs the findings of `check`."""

    check: Check

    def run(self, findings: Sequence[Finding]) -> list[Finding]:
        """Repair what is safe to repair; the findings that are left. Raises StillBusy."""
        for opportunity_id, missing in self._opportunities(findings).items():
            try:
                self._recount(opportunity_id, missing)
            except (Oversold, OrderTooLarge, StillBusy):
                continue  # it is found again
        self._publish(findings)
        for finding in findings:
            match finding.damage:
                case Damage.ITEM_TWICE | Damage.POINTER_MISSING:
                    self._empty_row(finding)
                case Damage.LEASE_OVERDUE:
                    self._end_leases(finding.subject.id)
                case Damage.UNLISTED:
                    self._list(finding.subject)
                case Damage.END_MISSING:
                    self._schedule_end(OrderKey(*finding.subject.id.rsplit("#", 1)))
        left = set(self.check.look_again(finding.subject for finding in findings))
        return [finding for finding in findings if finding in left]

    def _opportunities(self, findings: Sequence[Finding]) -> dict[str, list[OrderKey]]:
        """The Opportunities to recount, and the Orders whose holds of them are missing."""
        found: dict[str, list[OrderKey]] = {}
        for finding in findings:
            if finding.damage not in _COUNTERS:
                continue
            if finding.damage is Damage.HOLD_MISSING:
                opportunity_id, part = finding.row.removeprefix("inventory ").rsplit(" hold#", 1)
                found.setdefault(opportunity_id, []).append(OrderKey(*part.rsplit("#", 1)))
            else:
                found.setdefault(finding.subject.id, [])
        return found

    def _recount(self, opportunity_id: str, missing: Sequence[OrderKey]) -> None:
        """Correct holds to match their Orders, and the counters to match the holds. Raises Oversold."""
        left = True
        while left:
            left = self.check.retry.run(
                lambda: self._correct(opportunity_id, missing), on=(CommitRefused, StoreBusy)
            )

    def _correct(self, opportunity_id: str, missing: Sequence[OrderKey]) -> bool:
        """Write one transaction of corrections; whether there may be more to correct."""
        store = self.check.store
        # Read before the holds: the counters are written only if nothing has moved them since.
        read = store.listings([opportunity_id]).get(opportunity_id, (None, None))[1]
        if read is None:
            return False
        totals, corrections = HoldTotals(), self._missing(opportunity_id, missing)
        after = ""
        while True:
            page = store.holds(opportunity_id, after=after, limit=HOLDS_AT_ONCE)
            orders = store.orders(list(page))
            for key, hold in page.items():
                order = orders.get(key)
                damage = damage_of(hold, order, opportunity_id, self.check.clock())
                expected = order.holds().get(opportunity_id) if isinstance(order, Order) else None
                if damage and len(corrections) < _AT_ONCE:
                    corrections.append(
                        HoldCorrection(key, hold, expected, order_version=order.version if order else None)
                    )
                else:
                    totals.add(key, hold)
            if len(page) < HOLDS_AT_ONCE:
                break
            after = str(list(page)[-1])
        for each in corrections:
            if each.after is not None:
                totals.add(each.order, each.after)
        store.correct(opportunity_id, read, _counted(read, totals), corrections)
        return len(corrections) >= _AT_ONCE

    def _missing(self, opportunity_id: str, keys: Sequence[OrderKey]) -> list[HoldCorrection]:
        if not keys:
            return []
        now, store = self.check.clock(), self.check.store
        held = store.hold_rows([(opportunity_id, key) for key in keys])
        corrections: list[HoldCorrection] = []
        for key, order in store.orders([key for key in keys if (opportunity_id, key) not in held]).items():
            if not isinstance(order, Order) or order.has_lapsed(now):
                continue
            expected: Hold | None = order.holds().get(opportunity_id)
            if expected is not None and len(corrections) < _AT_ONCE:
                corrections.append(HoldCorrection(key, None, expected, order_version=order.version))
        return corrections

    def _publish(self, findings: Sequence[Finding]) -> None:
        owed: dict[str, list[str]] = {}
        for finding in findings:
            if finding.damage in _ITEMS:
                owed.setdefault(finding.subject.within, []).append(finding.subject.id)
            elif finding.damage is Damage.POINTER_MISSING:
                owed.setdefault(finding.subject.within, []).append(finding.detail)
        check = self.check
        for finding in findings:
            partner_id = partner_of(finding.subject.within)
            if finding.damage is Damage.ITEM_AHEAD and partner_id:
                key = OrderKey(partner_id, finding.subject.id)
                note_shown(check.store, key, check.clock(), check.retry)
        publisher = Republisher(check.feeds, check.contents, check.retry)
        for feed_id, ids in owed.items():
            publisher.publish(feed_id, ids, check.clock())

    def _empty_row(self, finding: Finding) -> None:
        feeds, feed_id, number = self.check.feeds, finding.subject.within, int(finding.subject.id)
        row = feeds.stored(feed_id, [number]).get(number)
        item = read_item(row) if row is not None else None
        if item is not None:
            feeds.vacate(feed_id, number, item.id, self.check.clock())

    def _schedule_end(self, key: OrderKey) -> None:
        check = self.check
        order = check.retry.run(lambda: check.store.orders([key]), on=(StoreBusy,)).get(key)
        entry = scheduled_end(order) if isinstance(order, Order) else None
        if entry is not None:
            check.retry.run(lambda: check.pending.exchange((), [entry]), on=(StoreBusy,))

    def _list(self, subject: Subject) -> None:
        check = self.check
        if subject.within == "orders":
            key = OrderKey(*subject.id.rsplit("#", 1))
            check.retry.run(lambda: check.store.list_orders([key]), on=(StoreBusy,))
        else:
            check.retry.run(lambda: check.store.list_opportunities([subject.id]), on=(StoreBusy,))

    def _end_leases(self, opportunity_id: str) -> None:
        check = self.check
        check.retry.run(
            lambda: check.store.reclaim(opportunity_id, check.clock(), set_aside=True), on=(StoreBusy,)
        )


def _counted(read: Capacity, totals: HoldTotals) -> Capacity:
    """The counters that match the holds. Raises Oversold."""
    spaces_left = read.spaces_total - totals.spaces
    if spaces_left < 0:
        raise Oversold
    return replace(
        read,
        spaces_left=spaces_left,
        spaces_leased=totals.leased,
        spaces_requested=totals.requested,
        next_expiry_at=totals.first_end,
        shares=totals.shares,
    )
