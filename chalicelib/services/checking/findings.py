"""The kinds of damage that a check reports: what each means for users, and how to repair it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from chalicelib.values import dataclass, field


class Damage(StrEnum):
    """One kind of damage."""

    SPACES_DO_NOT_ADD_UP = "spaces-do-not-add-up"
    LEASED_SPACES_WRONG = "leased-spaces-wrong"
    SHARE_WRONG = "share-wrong"
    REQUESTED_SPACES_WRONG = "requested-spaces-wrong"
    LEASE_END_UNNOTICED = "lease-end-unnoticed"
    LEASE_OVERDUE = "lease-overdue"
    HOLD_MISSING = "hold-missing"
    HOLD_WITHOUT_ORDER = "hold-without-order"
    HOLD_DIFFERS = "hold-differs"
    DETAILS_MISSING = "details-missing"
    SELLER_MISSING = "seller-missing"
    PARENT_MISSING = "parent-missing"
    END_MISSING = "proposal-end-missing"
    UNLISTED = "not-in-list"
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
    """The name of a kind of damage, its effect on users, how to repair it, and whether `--repair` does."""

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
            f"{_REPAIR} counts the spaces left again. If more are held than there are, it changes nothing: "
            "the Seller has to add spaces or cancel an order.",
        ),
        Damage.LEASED_SPACES_WRONG: Explanation(
            "The count of leased spaces is wrong",
            "Customers see spaces as reserved by others when they are sold, or as sold when they are reserved.",
            f"{_REPAIR} counts them again.",
        ),
        Damage.SHARE_WRONG: Explanation(
            "The leases of a booking partner on an opportunity are counted wrongly",
            "The partner can lease more or fewer spaces than its limits allow, until no lease on it is left.",
            f"{_REPAIR} counts again.",
        ),
        Damage.REQUESTED_SPACES_WRONG: Explanation(
            "The count of requested spaces is wrong",
            "A change of the session may not reach proposals that take no space before they are booked.",
            f"{_REPAIR} counts them again.",
        ),
        Damage.LEASE_END_UNNOTICED: Explanation(
            "The end of a lease would not be noticed",
            "The spaces of the lease are not released when it ends, until the sweep finds them.",
            f"{_REPAIR} sets the time of the next end again.",
        ),
        Damage.LEASE_OVERDUE: Explanation(
            "Ended leases were not removed",
            "The feed shows fewer spaces than there are. The scheduled sweep does not run, or fails.",
            f"{_REPAIR} releases the spaces; find out why the sweep does not (function lease_sweep).",
        ),
        Damage.HOLD_MISSING: Explanation(
            "An order holds no spaces",
            "A customer has booked, and the place can be sold to another.",
            f"{_REPAIR} takes the spaces for the order if there are enough left; otherwise the Seller "
            "has to add spaces or cancel the order.",
        ),
        Damage.HOLD_WITHOUT_ORDER: Explanation(
            "Spaces are held for no order",
            "Places that are not booked stay unsold.",
            f"{_REPAIR} releases the spaces.",
        ),
        Damage.HOLD_DIFFERS: Explanation(
            "The held spaces differ from the order",
            "More or fewer spaces are held than were booked, or a booking is held as a lease that ends.",
            f"{_REPAIR} corrects the hold to match the order if there are enough spaces left.",
        ),
        Damage.DETAILS_MISSING: Explanation(
            "Counters or holds of a missing opportunity",
            "The Seller cannot look up, change or cancel these bookings.",
            "Restore the row (docs/restoring.md), or import the opportunity again.",
            is_repaired=False,
        ),
        Damage.SELLER_MISSING: Explanation(
            "A Seller is missing",
            "The Seller's opportunities cannot be booked.",
            "Import from the source again, which includes its Sellers, or restore the row (docs/restoring.md).",
            is_repaired=False,
        ),
        Damage.PARENT_MISSING: Explanation(
            "The series of a session or the facility of a slot is missing",
            "Brokers find a session without its series, or a slot without its facility, and leave it out.",
            "Import from the source again.",
            is_repaired=False,
        ),
        Damage.END_MISSING: Explanation(
            "A proposal is not scheduled to end",
            "Without an answer or a booking it keeps its spaces until a request reads it.",
            f"{_REPAIR} schedules it.",
        ),
        Damage.UNLISTED: Explanation(
            "Not in the list of its Seller",
            "The Seller does not see it in `sessions list`, `bookings list` or `proposals list`. An earlier release "
            "has written it.",
            "openbooking upgrade adds all of them; openbooking check --repair those that are named.",
        ),
        Damage.ITEM_MISSING: Explanation(
            "An item is not in its feed",
            "Brokers do not receive this change; in an open feed, they do not find the opportunity.",
            f"{_REPAIR} publishes it.",
        ),
        Damage.ITEM_OUTDATED: Explanation(
            "An item in a feed is outdated",
            "The Broker has an earlier state: an old time, place, price or status.",
            f"{_REPAIR} publishes it as it is now.",
        ),
        Damage.ITEM_AHEAD: Explanation(
            "A feed is ahead of the store",
            "Tables were restored to an earlier time; future changes of this item would not be published.",
            f"{_REPAIR} publishes it as it is now. For many: {_REBUILD} (docs/restoring.md).",
        ),
        Damage.ITEM_NOT_DELETED: Explanation(
            "An item is shown that should be deleted",
            "The Broker shows an order or an opportunity that was deleted or that it may no longer see.",
            f"{_REPAIR} publishes it as deleted.",
        ),
        Damage.ITEM_UNKNOWN: Explanation(
            "An item is shown that the store does not have",
            "The Broker shows an order or an opportunity that does not exist.",
            f"{_REPAIR} publishes it as deleted.",
        ),
        Damage.ITEM_ROW_MISSING: Explanation(
            "The row of an item is lost",
            "Brokers that had not read it yet never receive this change; new Brokers never see the item.",
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
            "Changes are published at numbers that Brokers have already passed, so Brokers never read them.",
            f"{_REBUILD} --feed FEED, at once.",
            is_repaired=False,
        ),
        Damage.WORK_STUCK: Explanation(
            "Unfinished work makes no progress",
            "Accepted changes do not reach the orders and feeds that they affect.",
            "Find out why the sweep does not work on it (function lease_sweep). To continue a feed rebuild, run "
            "the same command again.",
            is_repaired=False,
        ),
        Damage.WORK_SET_ASIDE: Explanation(
            "Work was set aside",
            "A change was not applied everywhere: every attempt failed.",
            "Fix the cause that the log names, then run `openbooking pending replay`.",
            is_repaired=False,
        ),
        Damage.RECORD_PARKED: Explanation(
            "A change that could not be published is parked",
            "Brokers do not receive this change.",
            "Fix the cause that the log names, then run `openbooking feeds replay`.",
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
    """What is checked again as one: `kind` selects the check, `within` is the name of a feed or kind of work."""

    kind: str
    id: str
    within: str = ""


@dataclass(frozen=True)
class Finding:
    """One damaged row. `detail` describes it in ids and numbers that change only if the damage does."""

    damage: Damage
    row: str
    detail: str = ""
    subject: Subject = field(default=Subject("", ""), compare=False)

    @property
    def explanation(self) -> Explanation:
        return EXPLANATIONS[self.damage]
