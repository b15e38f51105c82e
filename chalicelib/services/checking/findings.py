"""The kinds of damage that a check names: what each means for people, and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Damage(StrEnum):
    """One kind of damage."""

    SPACES_DO_NOT_ADD_UP = "spaces-do-not-add-up"
    LEASED_SPACES_WRONG = "leased-spaces-wrong"
    LEASE_END_UNNOTICED = "lease-end-unnoticed"
    LEASE_OVERDUE = "lease-overdue"
    HOLD_MISSING = "hold-missing"
    HOLD_WITHOUT_ORDER = "hold-without-order"
    HOLD_DIFFERS = "hold-differs"
    DETAILS_MISSING = "details-missing"
    SELLER_MISSING = "seller-missing"
    PARENT_MISSING = "parent-missing"
    ITEM_MISSING = "feed-item-missing"
    ITEM_OUTDATED = "feed-item-outdated"
    ITEM_AHEAD = "feed-item-ahead"
    ITEM_NOT_DELETED = "feed-item-not-deleted"
    ITEM_UNKNOWN = "feed-item-unknown"
    ITEM_ROW_MISSING = "feed-row-missing"
    ITEM_TWICE = "feed-item-twice"
    POINTER_MISSING = "feed-pointer-missing"
    COUNTER_TOO_LOW = "feed-counter-too-low"
    WORK_STUCK = "work-stuck"
    WORK_SET_ASIDE = "work-set-aside"
    RECORD_PARKED = "record-parked"
    UNREADABLE = "unreadable-row"


@dataclass(frozen=True)
class Explanation:
    """What a kind of damage is called, means for people, and is mended by; whether `--repair` does it."""

    title: str
    meaning: str
    remedy: str
    is_repaired: bool = True


_REPAIR = "openbooking check --repair"
_REBUILD = "openbooking feeds rebuild"

EXPLANATIONS: Mapping[Damage, Explanation] = MappingProxyType(
    {
        Damage.SPACES_DO_NOT_ADD_UP: Explanation(
            "Spaces do not add up",
            "The spaces left and the spaces held differ from the total: places stay unsold, or are sold twice.",
            f"{_REPAIR} counts the spaces left anew. Where more are held than there are, it changes nothing: "
            "the Seller has to find room or cancel an order.",
        ),
        Damage.LEASED_SPACES_WRONG: Explanation(
            "The count of leased spaces is wrong",
            "Customers read that spaces are reserved by others when they are sold, or the other way round.",
            f"{_REPAIR} counts them anew.",
        ),
        Damage.LEASE_END_UNNOTICED: Explanation(
            "A lease would end unnoticed",
            "The spaces of the lease are not given back when it ends, until the sweep finds them.",
            f"{_REPAIR} sets the time of the next end anew.",
        ),
        Damage.LEASE_OVERDUE: Explanation(
            "Leases that have ended are still there",
            "The feed shows fewer spaces than there are. The scheduled sweep does not run, or fails.",
            f"{_REPAIR} gives the spaces back; see why the sweep does not (function lease_sweep).",
        ),
        Damage.HOLD_MISSING: Explanation(
            "An order holds no spaces",
            "Somebody has booked, and their place can be sold to another.",
            f"{_REPAIR} takes the spaces for the order, as far as there are any left; otherwise the Seller "
            "has to find room or cancel the order.",
        ),
        Damage.HOLD_WITHOUT_ORDER: Explanation(
            "Spaces are held for no order",
            "Places stay unsold that nobody has booked.",
            f"{_REPAIR} gives the spaces back.",
        ),
        Damage.HOLD_DIFFERS: Explanation(
            "Spaces are held otherwise than the order says",
            "More or fewer spaces are held than were booked, or a booking is held as a lease that ends.",
            f"{_REPAIR} makes the hold as the order has it, as far as there are spaces left.",
        ),
        Damage.DETAILS_MISSING: Explanation(
            "Counters or holds of an opportunity that is not there",
            "What was booked cannot be looked up, changed or cancelled by the Seller.",
            "Restore the row (docs/restoring.md), or import the opportunity again.",
            is_repaired=False,
        ),
        Damage.SELLER_MISSING: Explanation(
            "A Seller is missing",
            "Nobody can book what this Seller offers.",
            "Import from the source again, which brings its Sellers, or restore the row (docs/restoring.md).",
            is_repaired=False,
        ),
        Damage.PARENT_MISSING: Explanation(
            "A series or facility is missing that sessions or slots refer to",
            "Brokers find a session without its series, or a slot without its facility, and leave it out.",
            "Import from the source again.",
            is_repaired=False,
        ),
        Damage.ITEM_MISSING: Explanation(
            "An item is not in its feed",
            "The Broker does not learn of this change; of an open feed: nobody finds what is for sale.",
            f"{_REPAIR} publishes it.",
        ),
        Damage.ITEM_OUTDATED: Explanation(
            "An item in a feed is outdated",
            "The Broker knows an earlier state: an old time, place, price or status.",
            f"{_REPAIR} publishes it as it is now.",
        ),
        Damage.ITEM_AHEAD: Explanation(
            "A feed is ahead of the store",
            "Tables were restored to an earlier time; coming changes of this item would not be published.",
            f"{_REPAIR} publishes it as it is now. For many: {_REBUILD} (docs/restoring.md).",
        ),
        Damage.ITEM_NOT_DELETED: Explanation(
            "An item is shown that should be deleted",
            "The Broker shows an order or an opportunity that is gone or that it may no longer see.",
            f"{_REPAIR} publishes it as deleted.",
        ),
        Damage.ITEM_UNKNOWN: Explanation(
            "An item is shown that the store does not have",
            "The Broker shows an order or an opportunity that does not exist.",
            f"{_REPAIR} publishes it as deleted.",
        ),
        Damage.ITEM_ROW_MISSING: Explanation(
            "The row of an item is lost",
            "Brokers that had not read it yet never learn of this change; new Brokers never see the item.",
            f"{_REPAIR} publishes it again. For many: {_REBUILD}.",
        ),
        Damage.ITEM_TWICE: Explanation(
            "An item is in its feed twice",
            "New Brokers read an outdated state first.",
            f"{_REPAIR} empties the older row.",
        ),
        Damage.POINTER_MISSING: Explanation(
            "An item in a feed is not registered",
            "When it changes, it is in its feed twice.",
            f"{_REPAIR} publishes it again and empties the older row.",
        ),
        Damage.COUNTER_TOO_LOW: Explanation(
            "The counter of a feed is lower than its change numbers",
            "Changes are published at numbers that Brokers have passed already: they never read them.",
            f"{_REBUILD} --feed FEED, at once.",
            is_repaired=False,
        ),
        Damage.WORK_STUCK: Explanation(
            "Unfinished work does not move",
            "Changes that were accepted do not reach those whom they concern.",
            "See why the sweep does not work on it (function lease_sweep). A feed rebuild continues when the "
            "same command is given again.",
            is_repaired=False,
        ),
        Damage.WORK_SET_ASIDE: Explanation(
            "Work was set aside",
            "A change has not reached everybody: it failed every time it was tried.",
            "Mend the cause that the log names, then `openbooking pending replay`.",
            is_repaired=False,
        ),
        Damage.RECORD_PARKED: Explanation(
            "A change is parked that could not be published",
            "Brokers do not learn of this change.",
            "Mend the cause that the log names, then `openbooking feeds replay`.",
            is_repaired=False,
        ),
        Damage.UNREADABLE: Explanation(
            "A row cannot be read",
            "Requests that need it fail.",
            "Restore the row (docs/restoring.md); a later release may have written it.",
            is_repaired=False,
        ),
    }
)


@dataclass(frozen=True)
class Subject:
    """What is looked at again as one: `kind` says by which look, `within` a feed's or work's name."""

    kind: str
    id: str
    within: str = ""


@dataclass(frozen=True)
class Finding:
    """One damaged row. `detail` is what was found, in ids and numbers that change only if the damage does."""

    damage: Damage
    row: str
    detail: str = ""
    subject: Subject = field(default=Subject("", ""), compare=False)

    @property
    def explanation(self) -> Explanation:
        return EXPLANATIONS[self.damage]
