"""The page docs/limits.md: the table of sizes, and what one booking partner can hold."""

from collections.abc import Iterator

from chalicelib.domain.limits import LIMITS
from chalicelib.domain.partner_limits import LimitName, PartnerLimits

_EXACT, _APPROXIMATE = "exactly", "approximately"
_NO_LEASE = "C1 and C2 answer without `lease`; nothing is held"

# For each limit: what it is for, the unit of its default (or the whole default), how exactly it is kept, and what
# happens beyond it.
PARTNER_LIMITS: dict[LimitName, tuple[str, str, str, str]] = {
    LimitName.anonymous_lease_spaces: (
        "Spaces of one Opportunity, leased at C1 without a Customer",
        "spaces",
        _EXACT,
        _NO_LEASE,
    ),
    LimitName.lease_spaces: (
        "Spaces of one Opportunity, leased altogether",
        "spaces",
        _EXACT,
        f"{_NO_LEASE}; the spaces of a rejected proposal are released at once",
    ),
    LimitName.lease_longest: (
        "Life of a lease from the first one under its Order UUID, renewals included",
        "twice `LEASE_SECONDS`",
        _EXACT,
        f"The lease ends; {_NO_LEASE}",
    ),
    LimitName.partner_leases: ("Order UUIDs with a lease", "Order UUIDs", _APPROXIMATE, _NO_LEASE),
    LimitName.partner_proposals: (
        "OrderProposals that wait for the Seller",
        "proposals",
        _APPROXIMATE,
        "P answers 429 `TooManyRequestsError`",
    ),
    LimitName.partner_spaces: (
        "Spaces of all of these leases and proposals",
        "spaces",
        _APPROXIMATE,
        f"{_NO_LEASE}. P answers 429 `TooManyRequestsError`",
    ),
}

HOARDED = """
A UUID for which C2 has leased counts as one with a Customer until its lease ends, also if C1 is repeated for it.

*Approximately*: each request that is in progress at the same moment can exceed the limit by one lease or proposal. A
lease counts until the end of the minute in which it ends, a proposal at most until the end of the day on which it ends.

**What this amounts to.** `python -m bench.hoarding`: one partner leases all it can at C1 and C2 and proposes all it can,
with the default limits; then another partner books a place of every session that needs no approval.

| inventory | held by the partner | at most of one session | sessions that another partner could book |
|---|---|---|---|
| 60 sessions of 16 spaces, 6 of them with approval; leases first | 500 of 960 spaces (52%) | 12 of 16 | 54 of 54 |
| the same; proposals first | 500 of 960 spaces (52%) | 12 of 16; 16 of those with approval | 54 of 54 |
| 200 sessions of 40 spaces, 20 of them with approval | 500 of 8,000 spaces (6%) | 12 of 40 | 180 of 180 |

It can hold all spaces of a session that has no more than `LEASE_SPACES`, such as a court: for 30 minutes under one Order
UUID (with the default `LEASE_SECONDS`), and afterwards only if it is faster than all others. Proposals hold all spaces of
a session with approval until the Seller answers; the Seller sees them. An installation with fewer than 1,000 spaces
should lower `PARTNER_SPACES`, a partner that sells thousands of places an hour needs a higher one.

**What the limits cost a request.** No round trip. With one OrderItem, rows read and written, before and after:

| request | read | written |
|---|---|---|
| C1 | 6, now 10 | 3, now 4 |
| C2 after C1 | 6, now 10 | 2, now 3: the lease becomes a named one |
| C2 again, within two minutes | 6, now 10 | 2, now 1 |
| B after C2 | 6 | 3, now 4 |
| B without a lease | 6 | 3 |
| P | 6, now 10 | 4, now 5 |

The four rows that C1, C2 and P read in addition are counters of the partner. Each is smaller than 2 KB. A lease that ends
in the same minute as before writes no counter of the partner, nor does one that keeps its end.

Against the commit before, in one run on a busy machine, the CPU time of the handler is 1.05 times that at C1, 1.11 at C2
and 1.02 at B after C2 (medians of 600 requests each, in units of a GetItem with boto3).
"""


def limits_page() -> str:
    """The text of docs/limits.md."""
    return "\n".join(
        [
            "# Limits",
            "",
            "Generated from the code by `python -m openbooking.reference.pages`; do not edit.",
            "",
            "Sizes are bytes of compact JSON in UTF-8, unless the unit says otherwise. A refusal names the property and its",
            "bound, and changes nothing. Why these, and what an Order leaves out where space is short:",
            "[decision 14](decisions/0014-how-large-an-order-may-be.md).",
            "",
            "| What | At most | Beyond it |",
            "|---|---|---|",
            *(f"| {limit.of} | {limit.most:,} {limit.unit} | {limit.beyond} |" for limit in LIMITS),
            "",
            *_partner_limits(),
        ]
    )


def _partner_limits() -> Iterator[str]:
    """The section about what one booking partner can hold."""
    yield "## What one booking partner can hold"
    yield ""
    yield "Without a booking, by leases and by OrderProposals that wait for the Seller. Each limit is a setting"
    yield "([settings.md](settings.md)); 0 is no limit. How they are counted:"
    yield "[decision 21](decisions/0021-what-one-partner-can-hold.md)."
    yield ""
    yield "| What | Setting | Default | Kept | Beyond it |"
    yield "|---|---|---|---|---|"
    for name, (what, unit, kept, beyond) in PARTNER_LIMITS.items():
        default = getattr(PartnerLimits(), name.name, None)
        shown = f"{default:,} {unit}" if default is not None else unit
        yield f"| {what} | `{name.value}` | {shown} | {kept} | {beyond} |"
    yield ""
    yield from HOARDED.strip().splitlines()
    yield ""
