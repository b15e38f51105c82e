"""Whose counter counts where the source of an Opportunity sells spaces, too: how many spaces there are in total.

The result is never less than what is held here; what is missing then was oversold by the source.
"""

from enum import StrEnum

from chalicelib.domain.capacity import Capacity, SourceCount


class CounterMode(StrEnum):
    """What the spaces that a source states mean for our counter."""

    ours = "ours"  # we alone sell: the source's number is only the start
    shared = "shared"  # the source sells, too, and does not know our bookings: its changes move our total
    source = (
        "source"  # the source knows our bookings: its number is what is left, less what it does not know yet
    )


def recount(mode: CounterMode, capacity: Capacity, stated: int, unknown: int = 0) -> tuple[int, SourceCount]:
    """The total of spaces where the source now states `stated` spaces left, and what is remembered of it.

    `unknown` are the held spaces that the source does not know yet: for the mode `source` only.
    """
    held = capacity.spaces_total - capacity.spaces_left
    before = capacity.source_count
    if mode is CounterMode.ours:
        return capacity.spaces_total, SourceCount(stated)
    if mode is CounterMode.source:
        wanted = held - unknown + stated
    else:
        # A total that was kept up for what is held here is no number of the source's: the difference counts from
        # the total that the source allows.
        unknown = 0
        wanted = capacity.spaces_total
        if before is not None:
            wanted += stated - before.stated - before.oversold
    return max(wanted, held), SourceCount(stated, unknown, max(held - wanted, 0))


def needs_holds(mode: CounterMode, capacity: Capacity) -> bool:
    """Whether the source may not know all that is held here."""
    return mode is CounterMode.source and capacity.spaces_left != capacity.spaces_total


def must_recount(mode: CounterMode, capacity: Capacity, stated: int) -> bool:
    """Whether `stated` spaces left at the source, or what was open before, may change the total."""
    before = capacity.source_count
    if mode is CounterMode.ours:
        return False
    return before is None or before.stated != stated or not before.is_settled
