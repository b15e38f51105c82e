"""Whether an import takes more off sale than a source would at a time, for any reason.

A source that suddenly has nothing, or far less, is more often broken than closed: it must be confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.parties import Seller
from chalicelib.importing.bookability import why_not_bookable
from chalicelib.values import dataclass

MAX_LEAVING = Decimal("0.10")


def is_on_sale(opportunity: Opportunity, sellers: Mapping[str, Seller], now: datetime) -> bool:
    """Whether it can be booked by what is published, now or later; spaces are not looked at."""
    seller = sellers.get(opportunity.seller_id)
    if seller is None or seller.why_no_bookings or not opportunity.type.is_bookable:
        return False
    end = opportunity.ends_at or opportunity.starts_at
    if opportunity.status in NOT_TAKING_PLACE or (end is not None and end <= now):
        return False
    return not why_not_bookable(opportunity)


def stays_on_sale(opportunity: Opportunity, sellers: Mapping[str, Seller], now: datetime) -> bool:
    """The same for the next version of one that was on sale.

    One that its source states to be cancelled or postponed does not count as leaving: that is said of each session,
    and those who have booked must learn it at once.
    """
    return opportunity.status in NOT_TAKING_PLACE or is_on_sale(opportunity, sellers, now)


@dataclass
class Leaving:
    """How many Opportunities were on sale, and how many of them would no longer be."""

    before: int = 0
    leaving: int = 0

    def count(self, was: bool, will_be: bool) -> None:
        self.before += was
        self.leaving += was and not will_be

    def why_refused(self, limit: Decimal) -> str | None:
        """Why the import must be confirmed, or None."""
        if not self.leaving or (self.leaving < self.before and self.leaving <= limit * self.before):
            return None
        share = Decimal(100) * self.leaving / self.before
        return (
            f"{self.leaving} of the {self.before} opportunities on sale ({share:.0f} %) would leave sale,"
            f" more than {Decimal(100) * limit:.0f} %."
        )
