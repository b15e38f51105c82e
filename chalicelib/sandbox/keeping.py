"""Keeps a sandbox filled: makes what is missing, replaces what is used up, moves dates on, answers proposals.

The places of a sandbox are stored with the pending work, some dozens in each entry. A run of the schedule takes
the entries that were not checked for some time. Every step may be repeated, and may be interrupted anywhere: an
entry contains the numbers of its Opportunities before these are published.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from operator import add

from chalicelib.domain.capacity import Capacity, HoldState
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.lifecycle import ProposalStatus, TransitionRefused
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import Seller
from chalicelib.sandbox.criteria import CRITERIA
from chalicelib.sandbox.opportunities import ids, most_spaces, new_number
from chalicelib.sandbox.plan import Answer, Place, Size, build, places
from chalicelib.services.inventory import withdrawn
from chalicelib.services.seller_actions import SellerActions
from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.pending import SET_ASIDE, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.values import astuple, dataclass, replace
from chalicelib.wire.opportunities import Published

KIND = "sandbox"
# Entries with places whose proposals are answered; looked at in every run.
ANSWERING = "sandbox-answers"
SOURCE = "sandbox"

# Places in an entry: an Opportunity and its parent are four rows at most, and one transaction writes up to 100.
_IN_ENTRY = 25
_ENTRIES = 10

# A place is looked at this often, so that the reads of a large sandbox stay cheap.
CHECKED_EVERY = timedelta(minutes=10)
# Dates move on after this time. Every limit of a criterion is days away when an Opportunity is new.
RENEWED_AFTER = timedelta(days=2)
# One that is used up stays in the feed for this time: who has just booked it, or cancels it, still finds it there.
WITHDRAWN_AFTER = timedelta(hours=2)
# A Broker sees the proposal as waiting for at least this time.
ANSWERED_AFTER = timedelta(seconds=5)

_NOTE = "Answered automatically by the sandbox."


@dataclass(frozen=True)
class Replaced:
    """An Opportunity whose place another one has taken; it is still to be withdrawn."""

    place: Place
    at: datetime


@dataclass(frozen=True)
class Batch:
    """The places in one entry, and what had some of them before."""

    places: tuple[Place, ...]
    replaced: tuple[Replaced, ...] = ()

    @property
    def all(self) -> tuple[Place, ...]:
        """Every Opportunity that is not withdrawn yet, by its place."""
        return (*self.places, *(each.place for each in self.replaced))


@dataclass(frozen=True)
class Kept:
    """What was done: Opportunities made, replaced with others, and moved to later dates; proposals answered."""

    made: int = 0
    replaced: int = 0
    moved: int = 0
    answered: int = 0

    def __add__(self, other: "Kept") -> "Kept":
        return Kept(*map(add, astuple(self), astuple(other)))

    @property
    def total(self) -> int:
        return sum(astuple(self))


@dataclass(frozen=True)
class Sandbox:
    """The sandbox of one installation, which must not be in production. Every method may raise StoreBusy."""

    store: Store
    pending: PendingStore
    actions: SellerActions
    retry: RetryPolicy
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def plan(self, sellers: Sequence[Seller], size: Size) -> int:
        """Add the places that are missing for this size; how many. Publishes nothing yet."""
        known = Counter(place.key for _, batch in self._batches() for place in batch.places)
        open_to_all = [seller for seller in sellers if seller.open_booking_allowed]
        missing = [each for each in places(open_to_all, size, self.now()) if not known[each.key]]
        entries = []
        for kind in (KIND, ANSWERING):
            mine = [each for each in missing if (each.answer is not None) is (kind == ANSWERING)]
            for start in range(0, len(mine), _IN_ENTRY):
                batch = Batch(tuple(map(self._numbered, mine[start : start + _IN_ENTRY])))
                entries.append(PendingWork(kind, self.new_id(), codec.to_json(batch)))
        for start in range(0, len(entries), _ENTRIES):
            self.pending.exchange((), entries[start : start + _ENTRIES])
        return len(missing)

    def fill(self, progress: Callable[[Kept], None] = lambda _: None) -> Kept:
        """Bring every place up to date now; `progress` gets what was done so far. Raises StillBusy."""
        kept = Kept()
        for entry in list(self._entries()):
            kept += self._keep_surely(entry)
            progress(kept)
        return kept

    def run(self, seconds: float) -> int:
        """Answer proposals, and bring places up to date that were not checked for some time; how many changed."""
        ends_at = self.retry.clock() + seconds
        done = Kept()
        for entry in self._entries():
            is_due = self._is_due(entry)
            if (is_due or entry.kind == ANSWERING) and self.retry.clock() > ends_at:
                break
            with suppress(CommitRefused):  # another run works on the same entry
                if entry.kind == ANSWERING:
                    done += Kept(answered=self._answer(entry))
                if is_due:
                    done += self._keep(entry)
        return done.total

    def clear(self) -> int:
        """Withdraw every Opportunity of the sandbox, and forget its places; how many. Orders stay valid."""
        cleared = 0
        for kind in (KIND, ANSWERING):
            while entries := self.pending.entries(kind, _ENTRIES):
                for entry in entries:
                    batch = _read(entry)
                    if batch is not None:
                        self._withdraw_surely(batch.all)
                        cleared += len(batch.places)
                    self.pending.finish(entry)
        return cleared

    def contents(self) -> list[tuple[Place, Listing | None, Capacity | None]]:
        """Every place, with its Opportunity as it is now."""
        found: list[tuple[Place, Listing | None, Capacity | None]] = []
        for _, batch in self._batches():
            known = self.store.listings([_id(place) for place in batch.places])
            for place in batch.places:
                listing, capacity = known.get(_id(place), (None, None))
                found.append((place, listing, capacity))
        return found

    def _keep_surely(self, entry: PendingWork) -> Kept:
        def attempt() -> Kept:
            current = self.pending.entry(entry.kind, entry.id)
            return (
                Kept() if current is None else self._keep(current)
            )  # else a run of the schedule has kept it

        return self.retry.run(attempt, on=(CommitRefused, StoreBusy))

    def _withdraw_surely(self, old: Sequence[Place]) -> None:
        self.retry.run(lambda: self._withdraw(old), on=(CommitRefused, StoreBusy))

    # --- one entry ------------------------------------------------------------------------

    def _keep(self, entry: PendingWork) -> Kept:
        """Bring the places of an entry up to date. Raises CommitRefused if another caller changes them."""
        batch = _read(entry)
        if batch is None:
            self._set_aside(entry)
            return Kept()
        now = self.now()
        known = self.store.listings([_id(place) for place in batch.places])
        old = [
            place for place in batch.places if (at := known.get(_id(place))) and _is_used_up(place, *at, now)
        ]
        ended = [each.place for each in batch.replaced if each.at + WITHDRAWN_AFTER <= now]
        if old or ended:
            self._withdraw(ended)
            following = tuple(self._numbered(place) if place in old else place for place in batch.places)
            waiting = tuple(each for each in batch.replaced if each.place not in ended)
            batch = Batch(following, (*waiting, *(Replaced(place, now) for place in old)))
            changed = replace(entry, id=self.new_id(), document=codec.to_json(batch), progress="")
            self.pending.exchange([entry], [changed])
            entry = changed
        missing = [place for place in batch.places if _id(place) not in known]
        aged = [place for place in batch.places if (at := known.get(_id(place))) and _is_old(place, *at, now)]
        sellers = self._sellers(batch.places)
        made = self._publish([place for place in missing if place.request.seller_id in sellers], sellers, now)
        moved = self._move(
            [place for place in aged if place.request.seller_id in sellers], known, sellers, now
        )
        if made and self.pending.entry(entry.kind, entry.id) is None:  # the sandbox was cleared meanwhile
            self._withdraw(missing)
            return Kept()
        self.pending.save(replace(entry, progress=now.isoformat()))
        replaced = min(len(old), made)
        return Kept(made - replaced, replaced, moved)

    def _publish(self, missing: Sequence[Place], sellers: dict[str, Seller], now: datetime) -> int:
        built = [build(place, sellers[place.request.seller_id].document, now) for place in missing]
        # The parent first: no feed may show an Opportunity without it.
        published = [each for one in built for each in one.published()]
        if published:
            self.store.publish_together(
                [(Listing(each.opportunity, source=SOURCE), each.spaces) for each in published]
            )
        return len(built)

    def _move(
        self,
        aged: Sequence[Place],
        known: dict[str, tuple[Listing, Capacity | None]],
        sellers: dict[str, Seller],
        now: datetime,
    ) -> int:
        """Publish the next version of these Opportunities, at new dates, unless an Order holds one meanwhile."""
        moved = 0
        for place in aged:
            *parents, built = build(place, sellers[place.request.seller_id].document, now).published()
            with suppress(CommitRefused):
                self._publish_next(built, known[_id(place)][0])
                moved += 1
                for parent in parents:
                    if parent.opportunity.type.is_bookable:  # it has dates, too
                        listing, _ = self.store.listings([parent.opportunity.id])[parent.opportunity.id]
                        self._publish_next(parent, listing)
        return moved

    def _publish_next(self, built: Published, listing: Listing) -> None:
        """Raises CommitRefused if an Order holds it."""
        version = listing.version + 1
        opportunity = replace(built.opportunity, revision=version)
        self.store.publish(Listing(opportunity, version=version, source=SOURCE), built.spaces, if_unheld=True)

    def _withdraw(self, old: Iterable[Place]) -> None:
        """Withdraw the Opportunities of these places, and their parents. Their Orders stay valid."""
        all_ids = [each for place in old for each in ids(place.request, place.number) if each is not None]
        listed = [listing for listing, _ in self.store.listings(all_ids).values() if not listing.deleted]
        for start in range(0, len(listed), _IN_ENTRY):
            self.store.publish_together(
                [
                    (withdrawn(each), 0 if each.opportunity.type.is_bookable else None)
                    for each in listed[start : start + _IN_ENTRY]
                ]
            )

    def _answer(self, entry: PendingWork) -> int:
        """Accept or reject the proposals that wait for an answer; how many."""
        answered = 0
        for place in (_read(entry) or Batch(())).places:
            for key, hold in self.store.holds(_id(place)).items():
                if hold.state is not HoldState.proposed or not self._waits(key):
                    continue
                with suppress(TransitionRefused, OpenBookingError, StillBusy):  # it was answered meanwhile
                    answer = self.actions.accept if place.answer is Answer.accepted else self.actions.reject
                    answer(key, note=_NOTE)
                    answered += 1
        return answered

    def _waits(self, key: OrderKey) -> bool:
        order = self.store.orders([key]).get(key)
        return (
            isinstance(order, Order)
            and order.proposal is not None
            and order.proposal.status is ProposalStatus.AwaitingSellerConfirmation
            and (order.created_at is None or order.created_at + ANSWERED_AFTER <= self.now())
        )

    # --- entries --------------------------------------------------------------------------

    def _entries(self) -> Iterator[PendingWork]:
        """All entries; those that are answered first, because a Broker waits for them."""
        for kind in (ANSWERING, KIND):
            after = ""
            while entries := self.pending.entries(kind, _ENTRIES, after):
                after = entries[-1].id
                yield from entries

    def _batches(self) -> Iterator[tuple[PendingWork, Batch]]:
        for entry in self._entries():
            batch = _read(entry)
            if batch is not None:
                yield entry, batch

    def _is_due(self, entry: PendingWork) -> bool:
        return not entry.progress or datetime.fromisoformat(entry.progress) + CHECKED_EVERY <= self.now()

    def _set_aside(self, entry: PendingWork) -> None:
        """Keep an entry that is no list of places for an operator, as any other work that cannot be done."""
        aside = replace(entry, kind=SET_ASIDE + entry.kind, revision=entry.revision or 0)
        self.pending.exchange([entry], [replace(aside, error="Undecodable", failed_at=self.now())])

    def _numbered(self, place: Place) -> Place:
        return replace(place, number=new_number(self.new_id()))

    def _sellers(self, kept: Iterable[Place]) -> dict[str, Seller]:
        wanted = {place.request.seller_id for place in kept}
        found = {seller_id: self.store.seller(seller_id) for seller_id in wanted}
        return {seller_id: seller for seller_id, seller in found.items() if seller is not None}


def _read(entry: PendingWork) -> Batch | None:
    try:
        return codec.from_json(entry.document, Batch)
    except Undecodable:
        return None


def _id(place: Place) -> str:
    return ids(place.request, place.number)[0]


def _is_used_up(place: Place, listing: Listing, capacity: Capacity | None, now: datetime) -> bool:
    """Whether it no longer meets its criterion, and cannot: spaces that are only leased come back."""
    if capacity is None or not listing.is_open:
        return True
    back = capacity.spaces_left + capacity.spaces_leased
    if CRITERIA[place.request.criteria].spaces is not None:
        return back < capacity.spaces_total
    if back < min(2, most_spaces(place.request)):
        return True
    return back < capacity.spaces_total and _is_due_for_new_dates(place, listing, now)


def _is_old(place: Place, listing: Listing, capacity: Capacity | None, now: datetime) -> bool:
    """Whether it needs new dates, and no Order or lease would notice."""
    is_unheld = capacity is not None and capacity.spaces_left == capacity.spaces_total
    return listing.is_open and is_unheld and _is_due_for_new_dates(place, listing, now)


def _is_due_for_new_dates(place: Place, listing: Listing, now: datetime) -> bool:
    starts_in, starts_at = CRITERIA[place.request.criteria].starts_in, listing.opportunity.starts_at
    if starts_in < timedelta() or starts_at is None:
        return False  # what is over stays so
    return starts_at < now + starts_in - RENEWED_AFTER
