"""The contract of `storage.store.Store`, kept by every store."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from chalicelib.booking.decisions import (
    Change,
    MoveHold,
    RemoveOrder,
    SaveOrder,
    Snapshot,
    Wanted,
    remove_order,
    save_order,
)
from chalicelib.booking.quote import quote
from chalicelib.domain.capacity import Capacity, Hold, HoldState, LeaseKind, Share, SourceCount, share_key
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind, Proposal
from chalicelib.domain.partner_limits import SHARDS, Held, PartnerLimits, held_by, shard_of
from chalicelib.services.leases import sweep
from chalicelib.storage.errors import (
    CommitRefused,
    HoldChanged,
    LeaseEndsEarlier,
    LeasesLimited,
    OpportunityChanged,
    OrderChanged,
    OrderTooLarge,
    Reason,
    SellerChanged,
    StoreBusy,
    TooFewSpaces,
)
from chalicelib.storage.pending import PROPOSAL_END, PendingWork, proposal_end
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, SellerEntry, Store, StoredProposal
from chalicelib.values import replace
from tests.storage.conftest import Stores
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    SESSION_ID,
    Observed,
    a_moment,
    a_request,
    a_seller,
    a_snapshot,
    an_opportunity,
)

OTHER_ID = f"{SESSION_ID}2"
WHOLE = Wanted(KEY, SELLER_ID, (SESSION_ID,))
BOOKED = Hold(1, HoldState.booked)
LATER = NOW + timedelta(minutes=15)


def key(number: int) -> OrderKey:
    return OrderKey("partner-1", f"10000000-0000-4000-8000-{number:012d}")


def leased(spaces: int = 1, ends_in: int = 15) -> Hold:
    return Hold(spaces, HoldState.leased, NOW + timedelta(minutes=ends_in))


def taken(hold: Hold, order: OrderKey = KEY, opportunity_id: str = SESSION_ID, **more: object) -> MoveHold:
    return MoveHold(opportunity_id, order, None, hold, **more)  # type: ignore[arg-type]


def an_order(order_key: OrderKey = KEY, **changes: object) -> Order:
    request = replace(a_request(), key=order_key, total_payment_due=None)
    decided = quote(request, a_snapshot(), a_moment(), with_customer=True)
    return replace(decided.answer.order, **changes)  # type: ignore[arg-type]


def retry() -> RetryPolicy:
    return RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5)


def publish(store: Store, spaces: int = 10, opportunity_id: str = SESSION_ID) -> None:
    store.publish(Listing(an_opportunity(opportunity_id)), spaces)


def capacity(store: Store, opportunity_id: str = SESSION_ID) -> Capacity:
    found = store.listings([opportunity_id])[opportunity_id][1]
    assert found is not None
    return found


def counts(store: Store, opportunity_id: str = SESSION_ID) -> tuple[int, int]:
    """Spaces left and spaces leased, once the invariant holds."""
    found = capacity(store, opportunity_id)
    held = store.holds(opportunity_id).values()
    assert found.spaces_total == found.spaces_left + sum(hold.spaces for hold in held)
    assert found.spaces_leased == sum(hold.leased_spaces for hold in held)
    return found.spaces_left, found.spaces_leased


def refused(store: Store, *changes: Change) -> list[Reason]:
    with pytest.raises(CommitRefused) as refusal:
        store.commit(changes)
    return sorted(refusal.value.reasons, key=repr)


class TestSnapshot:
    def test_of_what_is_not_there_is_empty(self, store: Store) -> None:
        assert store.snapshot(WHOLE) == Snapshot(absent=frozenset({SESSION_ID}))

    def test_has_order_seller_opportunity_counters_and_the_orders_own_hold(self, store: Store) -> None:
        publish(store)
        store.save_seller(a_seller())
        order = an_order()
        store.commit([SaveOrder(order, None), taken(BOOKED)])
        store.commit([taken(BOOKED, key(2))])
        found = store.snapshot(WHOLE)
        assert (found.order, found.seller) == (order, a_seller())
        known = found.opportunities[SESSION_ID]
        assert known.opportunity == an_opportunity()
        assert known.hold == BOOKED
        assert known.capacity == Capacity(10, 8, revision=1, version=3)

    def test_takes_24_opportunities(self, store: Store) -> None:
        ids = tuple(f"{SESSION_ID}{number:03d}" for number in range(24))
        for opportunity_id in ids:
            publish(store, 1, opportunity_id)
        assert set(store.snapshot(Wanted(KEY, SELLER_ID, ids)).opportunities) == set(ids)

    def test_a_parent_has_no_spaces(self, store: Store) -> None:
        store.publish(Listing(an_opportunity()), None)
        assert store.snapshot(WHOLE).opportunities[SESSION_ID].capacity == Capacity(0, 0)


class TestCommit:
    def test_writes_all_changes(self, store: Store) -> None:
        publish(store)
        publish(store, 3, OTHER_ID)
        store.commit([SaveOrder(an_order(), None), taken(leased(2)), taken(BOOKED, opportunity_id=OTHER_ID)])
        assert (counts(store), counts(store, OTHER_ID)) == ((8, 2), (2, 0))
        assert capacity(store).next_expiry_at == LATER

    def test_writes_none_where_one_is_refused(self, store: Store) -> None:
        publish(store)
        publish(store, 0, OTHER_ID)
        before = store.listings([SESSION_ID, OTHER_ID])
        reasons = refused(
            store, SaveOrder(an_order(), None), taken(BOOKED), taken(BOOKED, opportunity_id=OTHER_ID)
        )
        assert reasons == [TooFewSpaces(OTHER_ID, 0, 0)]
        assert store.snapshot(WHOLE).order is None
        assert store.listings([SESSION_ID, OTHER_ID]) == before
        assert store.holds(SESSION_ID) == {}

    def test_turns_a_lease_into_a_booking(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(2))])
        store.commit([MoveHold(SESSION_ID, KEY, leased(2), Hold(2, HoldState.booked), revision=1)])
        assert counts(store) == (8, 0)
        assert store.holds(SESSION_ID) == {KEY: Hold(2, HoldState.booked)}

    def test_gives_spaces_back(self, store: Store) -> None:
        publish(store)
        store.commit([taken(Hold(3, HoldState.booked))])
        store.commit([MoveHold(SESSION_ID, KEY, Hold(3, HoldState.booked), BOOKED)])
        assert counts(store) == (9, 0)
        store.commit([MoveHold(SESSION_ID, KEY, BOOKED, None)])
        assert counts(store) == (10, 0)
        assert store.holds(SESSION_ID) == {}

    def test_a_prolonged_lease_leaves_the_counters_alone(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(2))])
        before = capacity(store)
        store.commit([MoveHold(SESSION_ID, KEY, leased(2), leased(2, ends_in=20))])
        assert capacity(store) == before
        assert store.holds(SESSION_ID) == {KEY: leased(2, ends_in=20)}

    def test_a_lease_that_is_cut_short_lowers_the_mark(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(2))])
        sooner = leased(2, ends_in=5)
        assert refused(store, MoveHold(SESSION_ID, KEY, leased(2), sooner)) == [LeaseEndsEarlier(SESSION_ID)]
        store.commit([MoveHold(SESSION_ID, KEY, leased(2), sooner, ends_before_others=True)])
        assert capacity(store).next_expiry_at == sooner.expires_at

    def test_keeps_an_order_and_removes_it(self, store: Store) -> None:
        store.commit([SaveOrder(an_order(), None)])
        assert store.snapshot(Wanted(KEY)).order == an_order()
        store.commit([SaveOrder(an_order(version=2, published=True), 1)])
        assert store.snapshot(Wanted(KEY)).order == an_order(version=2, published=True)
        store.commit([RemoveOrder(KEY, 2)])
        assert store.snapshot(Wanted(KEY)).order is None

    def test_keeps_the_stub_of_a_deleted_order(self, store: Store) -> None:
        stub = DeletedOrder(KEY, SELLER_ID, published=True, version=2)
        store.commit([SaveOrder(an_order(), None)])
        store.commit([SaveOrder(stub, 1)])
        assert store.snapshot(Wanted(KEY)).order == stub

    def test_the_same_uuid_of_two_partners_is_two_orders(self, store: Store) -> None:
        other = replace(KEY, partner_id="partner-2")
        store.commit([SaveOrder(an_order(), None)])
        store.commit([SaveOrder(an_order(other), None)])
        assert store.snapshot(Wanted(other)).order == an_order(other)

    def test_reads_many_orders_at_once(self, store: Store) -> None:
        keys = [replace(KEY, partner_id=f"partner-{number}") for number in range(120)]
        for key in keys[:110]:
            store.commit([SaveOrder(an_order(key), None)])
        assert store.orders([*keys, keys[0]]) == {key: an_order(key) for key in keys[:110]}
        assert store.orders([]) == {}

    def test_refuses_an_order_that_fits_no_row_before_anything_is_written(self, store: Store) -> None:
        publish(store)
        # Hexadecimal digits of numbers far apart: text that hardly compresses.
        text = "".join(f"{pow(3, n, 2**61 - 1):x}" for n in range(60_000))
        with pytest.raises(OrderTooLarge):
            store.commit([SaveOrder(an_order(answer=text), None), taken(BOOKED)])
        assert (counts(store), store.snapshot(WHOLE).order) == ((10, 0), None)

    def test_refuses_what_fits_no_transaction_before_anything_is_written(self, store: Store) -> None:
        publish(store)
        with pytest.raises(OrderTooLarge):
            store.commit([taken(BOOKED, key(number)) for number in range(51)])
        assert counts(store) == (10, 0)


class TestRefusal:
    def test_too_few_spaces_tells_what_is_left(self, store: Store) -> None:
        publish(store, 3)
        store.commit([taken(leased(2), key(2))])
        assert refused(store, taken(Hold(2, HoldState.booked))) == [TooFewSpaces(SESSION_ID, 1, 2)]

    def test_another_revision_than_the_one_that_was_priced(self, store: Store) -> None:
        publish(store)
        store.publish(Listing(an_opportunity(revision=2), version=2), 99)
        assert refused(store, taken(BOOKED, revision=1)) == [OpportunityChanged(SESSION_ID)]
        store.commit([taken(BOOKED, revision=2)])
        assert counts(store) == (9, 0)

    def test_a_withdrawn_opportunity(self, store: Store) -> None:
        publish(store)
        store.publish(Listing(an_opportunity(revision=2), version=2, deleted=True), 10)
        assert store.snapshot(WHOLE).opportunities == {}
        assert refused(store, taken(BOOKED, revision=2)) == [OpportunityChanged(SESSION_ID)]

    def test_an_opportunity_without_counters(self, store: Store) -> None:
        store.publish(Listing(an_opportunity()), None)
        assert refused(store, taken(BOOKED, revision=1)) == [OpportunityChanged(SESSION_ID)]

    def test_spaces_are_given_back_whatever_the_seller_has_changed(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED, revision=1)])
        store.publish(Listing(an_opportunity(revision=2), version=2, deleted=True), 10)
        store.commit([MoveHold(SESSION_ID, KEY, BOOKED, None)])
        assert counts(store) == (10, 0)

    def test_a_lease_that_ends_before_the_mark_has_to_say_so(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(ends_in=15), key(1))])
        sooner = leased(ends_in=10)
        assert refused(store, taken(sooner, key(2))) == [LeaseEndsEarlier(SESSION_ID)]
        store.commit([taken(sooner, key(2), ends_before_others=True)])
        assert capacity(store).next_expiry_at == sooner.expires_at
        store.commit([taken(leased(ends_in=20), key(3))])
        assert capacity(store).next_expiry_at == sooner.expires_at

    def test_a_lease_that_claims_to_end_first_and_does_not(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(ends_in=5), key(1))])
        late = taken(leased(ends_in=10), key(2), ends_before_others=True)
        assert refused(store, late) == [LeaseEndsEarlier(SESSION_ID)]

    @pytest.mark.parametrize(
        "move",
        [
            pytest.param(taken(leased(3)), id="already there"),
            pytest.param(MoveHold(SESSION_ID, KEY, leased(3), BOOKED), id="other number of spaces"),
            pytest.param(MoveHold(SESSION_ID, KEY, Hold(2, HoldState.proposed), BOOKED), id="other state"),
            pytest.param(MoveHold(SESSION_ID, KEY, leased(2, 14), BOOKED), id="other end"),
            pytest.param(MoveHold(SESSION_ID, key(2), leased(2), None), id="gone"),
        ],
    )
    def test_a_hold_that_is_not_as_it_was_read(self, store: Store, move: MoveHold) -> None:
        publish(store)
        store.commit([taken(leased(2))])
        assert refused(store, move) == [HoldChanged(SESSION_ID)]
        assert counts(store) == (8, 2)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(SaveOrder(an_order(version=3), 1), id="older version"),
            pytest.param(SaveOrder(an_order(), None), id="not the first"),
            pytest.param(RemoveOrder(KEY, 1), id="remove older"),
            pytest.param(SaveOrder(an_order(key(2), version=2), 1), id="gone"),
        ],
    )
    def test_an_order_that_is_not_the_version_that_was_read(
        self, store: Store, change: SaveOrder | RemoveOrder
    ) -> None:
        order = an_order()
        store.commit([SaveOrder(order, None)])
        store.commit([SaveOrder(replace(order, version=2), 1)])
        expected = change.key if isinstance(change, RemoveOrder) else change.order.key
        assert refused(store, change) == [OrderChanged(expected)]

    def test_every_reason_is_told_of_its_own_change(self, store: Store) -> None:
        """PynamoDB sends deletes, puts, updates in this order, whatever the order of the changes."""
        for number in range(1, 6):
            publish(store, 1, f"{SESSION_ID}{number}")
        one, two, three, four, five = (f"{SESSION_ID}{number}" for number in range(1, 6))
        store.commit([taken(BOOKED, key(9), one), taken(BOOKED, KEY, three), taken(leased(), key(9), five)])
        reasons = refused(
            store,
            taken(BOOKED, KEY, one),  # a put that holds, an update that does not
            MoveHold(two, KEY, BOOKED, None),  # a delete that does not hold, an update that does
            MoveHold(three, KEY, BOOKED, None),  # both hold
            SaveOrder(an_order(), 7),  # a put that does not hold
            taken(BOOKED, KEY, four, revision=5),  # an update that does not hold, for another reason
            RemoveOrder(key(8), 1),  # a delete that does not hold
            taken(BOOKED, KEY, five),
        )
        assert set(reasons) == {
            TooFewSpaces(one, 0, 0),
            HoldChanged(two),
            OrderChanged(KEY),
            OpportunityChanged(four),
            OrderChanged(key(8)),
            TooFewSpaces(five, 0, 1),
        }


class TestLeases:
    def test_those_that_have_ended_give_their_spaces_back(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(2, ends_in=5), key(1))])
        store.commit([taken(leased(3, ends_in=6), key(2))])
        store.commit([taken(leased(1, ends_in=9), key(3))])
        store.commit([taken(BOOKED, key(4))])
        assert store.reclaim(SESSION_ID, NOW + timedelta(minutes=6)).ended == 2
        assert counts(store) == (8, 1)
        assert set(store.holds(SESSION_ID)) == {key(3), key(4)}
        assert capacity(store).next_expiry_at == NOW + timedelta(minutes=9)

    def test_the_mark_goes_with_the_last_lease(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased())])
        assert store.reclaim(SESSION_ID, LATER - timedelta(seconds=1)).ended == 0
        assert capacity(store).next_expiry_at == LATER
        assert store.reclaim(SESSION_ID, LATER).ended == 1
        assert capacity(store).next_expiry_at is None
        assert store.reclaim(SESSION_ID, LATER).ended == 0

    def test_a_mark_that_is_too_low_is_raised(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased(ends_in=5), key(1))])
        store.commit([taken(leased(ends_in=9), key(2))])
        store.commit([MoveHold(SESSION_ID, key(1), leased(ends_in=5), None)])
        assert capacity(store).next_expiry_at == NOW + timedelta(minutes=5)
        assert store.reclaim(SESSION_ID, NOW + timedelta(minutes=6)).ended == 0
        assert capacity(store).next_expiry_at == NOW + timedelta(minutes=9)

    def test_of_an_opportunity_without_counters_there_are_none(self, store: Store) -> None:
        assert store.reclaim(SESSION_ID, NOW).ended == 0

    def test_more_than_fit_one_transaction(self, store: Store) -> None:
        publish(store, 105)
        for number in range(101):
            store.commit([taken(leased(ends_in=5), key(number))])
        assert counts(store) == (4, 101)
        assert store.reclaim(SESSION_ID, LATER).ended == 101
        assert counts(store) == (105, 0)
        assert capacity(store).next_expiry_at is None

    def test_are_found_by_their_end(self, store: Store) -> None:
        ids = [f"{SESSION_ID}{number}" for number in range(12)]
        for number, opportunity_id in enumerate(ids):
            publish(store, 1, opportunity_id)
            store.commit([taken(leased(ends_in=1 + number), KEY, opportunity_id)])
        now = NOW + timedelta(minutes=6)
        assert set(store.expired(now, 100)) == set(ids[:6])
        assert len(store.expired(now, 4)) == 4
        assert sweep(store, now, Observed()) == 6
        assert store.expired(now, 100) == []
        assert counts(store, ids[0]) == (1, 0)
        assert counts(store, ids[6]) == (0, 1)

    def test_one_that_was_booked_does_not_end(self, store: Store) -> None:
        publish(store)
        store.commit([taken(leased())])
        store.commit([MoveHold(SESSION_ID, KEY, leased(), BOOKED)])
        assert store.expired(LATER, 10) == []
        assert store.reclaim(SESSION_ID, LATER).ended == 0
        assert counts(store) == (9, 0)

    def test_readers_who_come_at_once_give_back_once(self, store: Store) -> None:
        publish(store, 40)
        for number in range(30):
            store.commit([taken(leased(ends_in=5), key(number))])

        def look(_: int) -> int:
            for _ in retry().tries():
                try:
                    return store.reclaim(SESSION_ID, LATER).ended
                except StoreBusy:
                    continue
            raise AssertionError("never came through")

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(look, range(6))) == 30
        assert counts(store) == (40, 0)
        assert capacity(store).next_expiry_at is None


class TestInventory:
    def test_a_new_version_keeps_the_counters(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED)])
        changed = an_opportunity(revision=2, document={"name": "Later"})
        store.publish(Listing(changed, version=2, source="here", source_digest="2"), 99)
        listing, found = store.listings([SESSION_ID])[SESSION_ID]
        assert listing == Listing(changed, version=2, source="here", source_digest="2")
        assert found is not None
        assert (found.spaces_total, found.spaces_left, found.revision) == (10, 9, 2)
        assert found.open_for_booking

    def test_a_change_of_size_keeps_what_is_held(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED)])
        store.resize(SESSION_ID, capacity(store), 25)
        assert (capacity(store).spaces_total, capacity(store).spaces_left) == (25, 24)
        read = capacity(store)
        store.resize(SESSION_ID, read, 1)
        assert (capacity(store).spaces_total, capacity(store).spaces_left) == (1, 0)
        with pytest.raises(CommitRefused) as refusal:
            store.resize(SESSION_ID, read, 5)  # it has changed since
        assert refusal.value.reasons == (OpportunityChanged(SESSION_ID),)
        assert (capacity(store).spaces_total, capacity(store).spaces_left) == (1, 0)

    def test_new_ones_together_are_as_each_alone(self, store: Store) -> None:
        one, other = an_opportunity(), an_opportunity(f"{SESSION_ID}2")
        store.publish(Listing(one, source="here", source_digest="1"), 3)
        store.publish_together([(Listing(other, source="here", source_digest="1"), 3)], if_unheld=True)
        first, second = store.listings([one.id, other.id]).values()
        assert replace(second[0], opportunity=first[0].opportunity) == first[0]
        assert second[1] == first[1]
        assert second[1] is not None and second[1].source_count == SourceCount(3)

    def test_of_those_written_together_the_refusal_names_who_is_in_the_way(self, store: Store) -> None:
        publish(store)
        other = an_opportunity(f"{SESSION_ID}2")
        for together in ([Listing(an_opportunity())], [Listing(an_opportunity(revision=2), version=2)]):
            store.commit([taken(BOOKED)]) if together[0].version == 2 else None
            with pytest.raises(CommitRefused) as refusal:
                store.publish_together([(each, 3) for each in (Listing(other), *together)], if_unheld=True)
            assert set(refusal.value.reasons) == {OpportunityChanged(SESSION_ID)}
            assert list(store.listings([SESSION_ID, other.id])) == [SESSION_ID]

    def test_what_a_source_stated_is_kept_with_the_total(self, store: Store) -> None:
        publish(store)
        store.resize(SESSION_ID, capacity(store), 7, SourceCount(5, 1, 2))
        assert capacity(store).source_count == SourceCount(5, 1, 2)
        store.resize(SESSION_ID, capacity(store), 8)
        assert capacity(store).source_count == SourceCount(5, 1, 2)

    def test_counters_may_come_later(self, store: Store) -> None:
        store.publish(Listing(an_opportunity()), None)
        store.publish(Listing(an_opportunity(revision=2), version=2), 4)
        assert counts(store) == (4, 0)

    @pytest.mark.parametrize("version", [1, 2, 4])
    def test_any_version_but_the_next_is_refused(self, store: Store, version: int) -> None:
        publish(store)
        store.publish(Listing(an_opportunity(revision=2), version=2), 10)
        before = store.listings([SESSION_ID])
        with pytest.raises(CommitRefused) as refusal:
            store.publish(Listing(an_opportunity(revision=9), version=version), 10)
        assert refusal.value.reasons == (OpportunityChanged(SESSION_ID),)
        assert store.listings([SESSION_ID]) == before

    def test_a_withdrawn_one_is_still_listed_and_can_come_back(self, store: Store) -> None:
        publish(store)
        store.publish(Listing(an_opportunity(revision=2), version=2, deleted=True), 10)
        listing, found = store.listings([SESSION_ID])[SESSION_ID]
        assert listing.deleted and found is not None and not found.open_for_booking
        store.publish(Listing(an_opportunity(revision=3), version=3), 10)
        assert store.snapshot(WHOLE).opportunities[SESSION_ID].capacity.open_for_booking

    def test_each_source_has_its_own(self, store: Store) -> None:
        here, there = (
            Listing(an_opportunity(), source="here"),
            Listing(an_opportunity(OTHER_ID), source="there"),
        )
        store.publish(here, 1)
        store.publish(there, 1)
        assert list(store.imported_from("here")) == [here]
        assert list(store.imported_from("nowhere")) == []

    def test_listings_of_many_are_read_in_parts(self, store: Store) -> None:
        ids = [f"{SESSION_ID}{number}" for number in range(51)]
        for opportunity_id in ids:
            publish(store, 1, opportunity_id)
        assert set(store.listings([*ids, *ids, "unknown"])) == set(ids)

    def test_sellers(self, store: Store) -> None:
        assert store.seller(SELLER_ID) is None
        store.save_seller(a_seller())
        store.save_seller(a_seller(open_booking_allowed=False))
        assert store.seller(SELLER_ID) == a_seller(open_booking_allowed=False)
        assert store.sellers() == [a_seller(open_booking_allowed=False)]


CANCELLED = PendingWork("opportunity-change", SESSION_ID, '{"kind":"cancelled"}', revision=2)


def change(stores: Stores, entry: PendingWork) -> None:
    """Publish the next version of the Opportunity, with what is to follow."""
    version = stores.store.listings([entry.id])[entry.id][0].version + 1
    stores.store.publish(Listing(an_opportunity(entry.id, revision=version), version), 10, entry)


class TestChangesToFollow:
    def test_there_is_none_unless_one_was_published(self, stores: Stores) -> None:
        publish(stores.store)
        stores.store.publish(Listing(an_opportunity(revision=2), version=2), 10)
        assert stores.pending.entries(CANCELLED.kind, 10) == []

    def test_one_is_written_with_the_version_that_it_came_with(self, stores: Stores) -> None:
        publish(stores.store)
        change(stores, CANCELLED)
        assert stores.pending.entries(CANCELLED.kind, 10) == [CANCELLED]
        assert stores.store.listings([SESSION_ID])[SESSION_ID][0].version == 2

    def test_where_the_version_is_refused_nothing_is_written(self, stores: Stores) -> None:
        publish(stores.store)
        with pytest.raises(CommitRefused):
            stores.store.publish(Listing(an_opportunity(revision=9), version=9), 10, CANCELLED)
        assert stores.pending.entries(CANCELLED.kind, 10) == []

    def test_the_next_one_takes_the_place_of_one_that_is_not_finished(self, stores: Stores) -> None:
        publish(stores.store)
        change(stores, CANCELLED)
        change(stores, replace(CANCELLED, revision=3))
        assert stores.pending.entries(CANCELLED.kind, 10) == [replace(CANCELLED, revision=3)]


REQUESTED = Hold(2, HoldState.requested)


class TestRequestedSpaces:
    def test_are_counted_and_stay_available(self, store: Store) -> None:
        publish(store, 2)
        store.commit([taken(REQUESTED, revision=1)])
        store.commit([taken(REQUESTED, key(2), revision=1)])
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (2, 4)
        assert store.holds(SESSION_ID)[KEY] == REQUESTED

    def test_are_taken_by_one_and_refused_to_the_next(self, store: Store) -> None:
        publish(store, 2)
        booked = Hold(2, HoldState.booked)
        store.commit([taken(REQUESTED)])
        store.commit([taken(REQUESTED, key(2))])
        store.commit([MoveHold(SESSION_ID, KEY, REQUESTED, booked, 1)])
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (0, 2)
        second = MoveHold(SESSION_ID, key(2), REQUESTED, booked, 1)
        assert refused(store, second) == [TooFewSpaces(SESSION_ID, 0, 0)]

    def test_must_be_left_if_that_is_asked_for(self, store: Store) -> None:
        """P without leasing takes no spaces of the sessions of a course, and is refused where there are none."""
        publish(store, 3)
        store.commit([taken(Hold(2, HoldState.booked), key(2))])
        if_available = replace(taken(REQUESTED), if_available=True)
        assert refused(store, if_available) == [TooFewSpaces(SESSION_ID, 1, 0)]
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (1, 0)
        store.commit([replace(taken(Hold(1, HoldState.requested)), if_available=True)])
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (1, 1)

    def test_may_be_those_that_the_order_leases(self, store: Store) -> None:
        publish(store, 2)
        lease = leased(2)
        store.commit([taken(lease)])
        store.commit([MoveHold(SESSION_ID, KEY, lease, REQUESTED, if_available=True)])
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (2, 2)

    def test_are_released(self, store: Store) -> None:
        publish(store, 2)
        store.commit([taken(REQUESTED)])
        store.commit([MoveHold(SESSION_ID, KEY, REQUESTED, None)])
        assert (capacity(store).spaces_left, capacity(store).spaces_requested) == (2, 0)
        assert not capacity(store).has_holds

    def test_count_as_a_holder_for_a_change(self, store: Store) -> None:
        publish(store, 2)
        store.commit([taken(REQUESTED)])
        following = Listing(an_opportunity(revision=2), version=2)
        with pytest.raises(CommitRefused):
            store.publish(following, 2, if_unheld=True)
        store.commit([MoveHold(SESSION_ID, KEY, REQUESTED, None)])
        store.publish(following, 2, if_unheld=True)


class TestRevision:
    def test_is_checked_although_no_counter_moves(self, store: Store) -> None:
        """P-17: B of a proposal whose spaces are held already."""
        publish(store)
        proposed = Hold(1, HoldState.proposed)
        store.commit([taken(proposed)])
        before = capacity(store)
        move = MoveHold(SESSION_ID, KEY, proposed, BOOKED, revision=1)
        assert not move.moves_counters
        for listing in (
            Listing(an_opportunity(revision=2), version=2),
            Listing(an_opportunity(revision=3), version=3, deleted=True),
        ):
            store.publish(listing, 10)
            stale = replace(move, revision=1 if listing.version == 2 else 3)
            assert refused(store, stale) == [OpportunityChanged(SESSION_ID)]
        store.publish(Listing(an_opportunity(revision=4), version=4), 10)
        store.commit([replace(move, revision=4)])
        assert store.holds(SESSION_ID)[KEY] == BOOKED
        assert capacity(store).version == before.version + 3  # the three versions, and no more


def a_proposal(ends_at: datetime | None, status: str = "AwaitingSellerConfirmation") -> Order:
    proposal = Proposal("1", ProposalStatus(status), ends_at=ends_at)
    return an_order(kind=OrderKind.OrderProposal, proposal=proposal, lease_expires_at=None)


class TestSchedule:
    """The entry that ends a proposal is written with each of its versions, and with none that is refused."""

    def due(self, stores: Stores) -> list[PendingWork]:
        return stores.pending.entries(PROPOSAL_END, 9)

    def test_follows_the_order(self, stores: Stores) -> None:
        first, second = a_proposal(LATER), a_proposal(LATER + timedelta(hours=1))
        saved = save_order(first, None)
        stores.store.commit([saved])
        assert self.due(stores) == [proposal_end(KEY, LATER)]
        again = save_order(second, saved.order)
        stores.store.commit([again])
        assert self.due(stores) == [proposal_end(KEY, LATER + timedelta(hours=1))]
        with pytest.raises(CommitRefused):
            stores.store.commit([again])
        assert len(self.due(stores)) == 1
        stores.store.commit([save_order(a_proposal(LATER, "SellerRejected"), again.order)])
        assert self.due(stores) == []

    def test_ends_with_a_deleted_order(self, stores: Stores) -> None:
        saved = save_order(a_proposal(LATER), None)
        stores.store.commit([saved])
        stores.store.commit([save_order(DeletedOrder(KEY, SELLER_ID), saved.order)])
        assert self.due(stores) == []

    def test_has_nothing_for_a_row_of_an_earlier_release(self, stores: Stores) -> None:
        saved = save_order(a_proposal(None), None)
        stores.store.commit([saved])
        assert self.due(stores) == []
        stores.store.commit([save_order(a_proposal(LATER), saved.order)])
        assert len(self.due(stores)) == 1


class TestRegister:
    def test_is_read_in_pages_in_the_order_of_its_keys(self, store: Store) -> None:
        publish(store, 50)
        keys = sorted((key(number) for number in range(25)), key=str)
        for each in keys:
            store.commit([taken(BOOKED, each)])
        assert list(store.holds(SESSION_ID)) == keys
        seen: list[OrderKey] = []
        while page := list(store.holds(SESSION_ID, after=str(seen[-1]) if seen else "", limit=10)):
            assert len(page) <= 10
            seen += page
        assert seen == keys


class TestChangesOfMany:
    def test_several_orders_give_back_spaces_of_one_opportunity_at_once(self, store: Store) -> None:
        publish(store, 50)
        keys = [key(number) for number in range(30)]
        for each in keys:
            store.commit([SaveOrder(an_order(each), None), taken(BOOKED, each)])
        changes: list[Change] = []
        for each in keys:
            saved = SaveOrder(an_order(each, version=2, published=True), 1)
            changes += [saved, MoveHold(SESSION_ID, each, BOOKED, None)]
        store.commit(changes)
        assert counts(store) == (50, 0)
        assert store.snapshot(Wanted(keys[0])).order == an_order(keys[0], version=2, published=True)

    def test_or_none_of_them_does(self, store: Store) -> None:
        publish(store)
        store.commit([taken(BOOKED, key(1))])
        gone = MoveHold(SESSION_ID, key(2), BOOKED, None)
        assert refused(store, MoveHold(SESSION_ID, key(1), BOOKED, None), gone) == [HoldChanged(SESSION_ID)]
        assert counts(store) == (9, 0)


class TestWhereNobodyHoldsASpace:
    def test_a_version_may_ask_for_it(self, store: Store) -> None:
        publish(store)
        second, third = (Listing(an_opportunity(revision=n), version=n) for n in (2, 3))
        store.publish(second, 10, if_unheld=True)
        store.commit([taken(leased())])
        with pytest.raises(CommitRefused) as refusal:
            store.publish(third, 10, if_unheld=True)
        assert refusal.value.reasons == (OpportunityChanged(SESSION_ID),)
        assert store.listings([SESSION_ID])[SESSION_ID][0] == second
        store.publish(third, 10)

    def test_so_may_what_has_no_counters_yet(self, store: Store) -> None:
        store.publish(Listing(an_opportunity()), None)
        store.publish(Listing(an_opportunity(revision=2), version=2), 4, if_unheld=True)
        assert counts(store) == (4, 0)


class TestReclaimingAFew:
    def test_ends_so_many_transactions_worth_and_says_that_there_are_more(self, store: Store) -> None:
        publish(store, 250)
        for number in range(201):
            store.commit([taken(leased(ends_in=5), key(number))])
        first = store.reclaim(SESSION_ID, LATER, at_most=1)
        assert (first.ended, first.more) == (99, True)
        assert counts(store) == (148, 102)
        assert capacity(store).has_expired_leases(LATER)  # the next reader continues
        second = store.reclaim(SESSION_ID, LATER, at_most=2)
        assert (second.ended, second.more) == (102, False)
        assert counts(store) == (250, 0)
        assert capacity(store).next_expiry_at is None

    @pytest.mark.proof
    def test_the_sweep_ends_all_of_them(self, store: Store) -> None:
        publish(store, 1100)
        for number in range(1050):
            store.commit([taken(leased(ends_in=5), key(number))])
        assert sweep(store, LATER, Observed()) == 1050
        assert counts(store) == (1100, 0)


class TestPages:
    def test_of_what_a_source_has_brought_in_cover_everything_once(self, store: Store) -> None:
        ids = {f"{SESSION_ID}{number}" for number in range(25)}
        for each in ids:
            store.publish(Listing(an_opportunity(each), source="here"), 1)
        store.publish(Listing(an_opportunity(OTHER_ID + "x"), source="there"), 1)
        page, found = store.imported_page("here"), []
        while True:
            found += [listing.opportunity.id for listing in page.listings]
            if page.following is None:
                break
            page = store.imported_page("here", page.following)
        assert sorted(found) == sorted(ids)

    def test_proposals_are_found_among_other_orders(self, store: Store) -> None:
        proposed = an_order(key(1), kind=OrderKind.OrderProposal)
        store.commit([SaveOrder(proposed, None)])
        store.commit([SaveOrder(an_order(key(2)), None)])
        assert list(store.proposals()) == [StoredProposal(key(1), proposed)]


class TestSellersOfImports:
    def test_who_was_first_owns_it(self, store: Store) -> None:
        store.import_seller(a_seller(), "here")
        assert store.seller_entry(SELLER_ID) == SellerEntry(a_seller(), "here")
        with pytest.raises(CommitRefused) as refusal:
            store.import_seller(a_seller(open_booking_allowed=False), "there")
        assert refusal.value.reasons == (SellerChanged(SELLER_ID),)
        assert store.seller(SELLER_ID) == a_seller()
        store.import_seller(a_seller(open_booking_allowed=False), "here")
        assert store.seller(SELLER_ID) == a_seller(open_booking_allowed=False)

    def test_one_that_a_command_has_put_is_no_imports(self, store: Store) -> None:
        store.import_seller(a_seller(), "here")
        store.save_seller(a_seller())
        assert store.seller_entry(SELLER_ID) == SellerEntry(a_seller())
        with pytest.raises(CommitRefused):
            store.import_seller(a_seller(open_booking_allowed=False), "here")

    def test_there_may_be_none(self, store: Store) -> None:
        assert store.seller_entry(SELLER_ID) is None


NAMED, ANONYMOUS = LeaseKind.named, LeaseKind.anonymous
THREE = PartnerLimits(anonymous_lease_spaces=2, lease_spaces=3)


def of_kind(kind: LeaseKind | None, spaces: int = 1, ends_in: int = 15) -> Hold:
    return replace(leased(spaces, ends_in), lease_kind=kind)


def limited(hold: Hold | None, order: OrderKey = KEY, before: Hold | None = None) -> MoveHold:
    return MoveHold(SESSION_ID, order, before, hold, limits=THREE)


def share(store: Store, partner_id: str = "partner-1") -> Share:
    return capacity(store).share_of(partner_id)


def one_by_one(store: Store, *moves: MoveHold) -> None:
    """Requests take spaces of an Opportunity in one transaction each."""
    for move in moves:
        store.commit([move])


class TestSharesOfPartners:
    """Decision 21: what one partner leases of an Opportunity is counted, and limited exactly."""

    def test_leases_are_counted_for_their_partner(self, store: Store) -> None:
        publish(store)
        one_by_one(store, limited(of_kind(ANONYMOUS)), limited(of_kind(NAMED, 2), key(2)))
        store.commit([limited(of_kind(NAMED, 3), OrderKey("partner-2", KEY.uuid))])
        assert (share(store), share(store, "partner-2")) == (Share(3, 1), Share(3, 0))
        assert share(store, "partner-3") == Share()

    @pytest.mark.parametrize(
        "hold", [of_kind(NAMED, 2), of_kind(ANONYMOUS, 2)], ids=["all leases", "leases without a customer"]
    )
    def test_limit_is_a_condition_of_the_commit(self, store: Store, hold: Hold) -> None:
        """The decision was made before another request of the partner was committed."""
        publish(store)
        one_by_one(store, limited(of_kind(ANONYMOUS), key(2)), limited(of_kind(NAMED), key(3)))
        assert refused(store, SaveOrder(an_order(), None), limited(hold)) == [LeasesLimited(SESSION_ID)]
        assert (share(store), counts(store)) == (Share(2, 1), (8, 2))
        assert store.orders([KEY]) == {}
        store.commit([limited(replace(hold, spaces=1))])
        assert share(store).spaces == 3

    def test_limit_does_not_concern_other_partners_or_what_is_released(self, store: Store) -> None:
        publish(store)
        hold = of_kind(NAMED, 3)
        store.commit([limited(hold)])
        store.commit([limited(hold, OrderKey("partner-2", KEY.uuid))])
        store.commit([limited(of_kind(NAMED, 3, 20), before=hold)])  # extended
        store.commit([limited(of_kind(NAMED, 1, 20), before=of_kind(NAMED, 3, 20))])
        assert share(store) == Share(1, 0)

    @pytest.mark.parametrize("after", [None, BOOKED, Hold(1, HoldState.proposed)])
    def test_what_is_released_or_booked_is_no_longer_counted(self, store: Store, after: Hold | None) -> None:
        publish(store)
        store.commit([limited(of_kind(ANONYMOUS))])
        store.commit([limited(after, before=of_kind(ANONYMOUS))])
        assert share(store) == Share()

    def test_lease_becomes_named_without_another_space(self, store: Store) -> None:
        """C2-06."""
        publish(store)
        store.commit([limited(of_kind(ANONYMOUS, 2))])
        assert refused(store, limited(of_kind(NAMED, 2), before=of_kind(NAMED, 2))) == [
            HoldChanged(SESSION_ID)
        ]
        store.commit([limited(of_kind(NAMED, 2), before=of_kind(ANONYMOUS, 2))])
        assert (share(store), counts(store)) == (Share(2, 0), (8, 2))

    def test_lease_that_has_ended_is_no_longer_counted(self, store: Store) -> None:
        publish(store)
        one_by_one(store, limited(of_kind(ANONYMOUS, 1, 5)), limited(of_kind(NAMED, 1), key(2)))
        store.commit([limited(of_kind(NAMED, 2, 5), OrderKey("partner-2", KEY.uuid))])
        store.reclaim(SESSION_ID, NOW + timedelta(minutes=5))
        assert dict(capacity(store).shares) == {share_key("partner-1"): Share(1, 0)}
        store.reclaim(SESSION_ID, LATER)
        assert dict(capacity(store).shares) == {}

    def test_counters_of_leases_that_were_booked_are_removed_with_the_last_lease(self, store: Store) -> None:
        """They would make the hot row larger."""
        publish(store)
        store.commit([limited(of_kind(NAMED))])
        store.commit([limited(BOOKED, before=of_kind(NAMED))])
        store.reclaim(SESSION_ID, LATER)
        assert dict(capacity(store).shares) == {}

    def test_lease_of_an_earlier_release_was_not_counted_and_is_not_uncounted(self, store: Store) -> None:
        publish(store)
        earlier = of_kind(None, 2, 5)
        one_by_one(
            store, limited(earlier), limited(of_kind(None, 1, 5), key(2)), limited(of_kind(NAMED), key(3))
        )
        assert share(store) == Share(1, 0)
        store.commit([limited(None, before=earlier)])
        store.reclaim(SESSION_ID, NOW + timedelta(minutes=5))
        assert share(store) == Share(1, 0)

    def test_renewed_lease_of_an_earlier_release_is_counted(self, store: Store) -> None:
        publish(store)
        store.commit([limited(of_kind(None, 2))])
        store.commit([limited(of_kind(NAMED, 2, 20), before=of_kind(None, 2))])
        assert share(store) == Share(2, 0)

    def test_wrong_counter_does_not_outlive_the_last_lease(self, store: Store) -> None:
        """As after a deployment in which release 0.1.0 has booked a lease of this one."""
        publish(store)
        store.commit([limited(of_kind(NAMED))])
        read = capacity(store)
        store.correct(SESSION_ID, read, replace(read, shares={share_key("partner-2"): Share(7, 7)}))
        assert share(store, "partner-2") == Share(7, 7)
        assert share(store) == Share()
        store.reclaim(SESSION_ID, LATER)
        assert dict(capacity(store).shares) == {}

    def test_next_revision_keeps_the_counters(self, store: Store) -> None:
        publish(store)
        store.commit([limited(of_kind(NAMED))])
        store.publish(Listing(replace(an_opportunity(), revision=2), version=2), 10)
        assert share(store) == Share(1, 0)


COUNTERS = Wanted(KEY, counters=True)


def a_quote(number: int, ends_in: int = 15) -> Order:
    return an_order(key(number), lease_expires_at=NOW + timedelta(minutes=ends_in))


class TestCountersOfPartners:
    """Decision 21: the leases and proposals of a partner are counted with its Orders."""

    def test_are_empty_at_first_and_read_only_if_wanted(self, store: Store) -> None:
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held()
        store.commit([save_order(a_quote(1), None)])
        assert store.snapshot(Wanted(KEY)).counters.held(NOW) == Held()
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held(1, 1)
        assert (
            store.snapshot(Wanted(OrderKey("partner-2", KEY.uuid), counters=True)).counters.held(NOW)
            == Held()
        )

    def test_sum_up_all_shards_and_end_by_the_clock(self, store: Store) -> None:
        numbers = range(1, 41)
        assert {shard_of(key(number).uuid) for number in numbers} == set(range(SHARDS))
        for number in numbers:
            store.commit([save_order(a_quote(number, ends_in=10 + number % 2), None)])
        counters = store.snapshot(COUNTERS).counters
        assert counters.held(NOW) == Held(40, 40)
        assert counters.held(NOW + timedelta(minutes=10)) == Held(20, 20)
        assert counters.held(NOW + timedelta(minutes=11)) == Held()

    def test_change_with_the_order_in_one_commit(self, store: Store) -> None:
        first = a_quote(1)
        store.commit([save_order(first, None)])
        renewed = replace(a_quote(1, 20), version=2)
        assert refused(store, save_order(renewed, replace(first, version=5))) == [OrderChanged(KEY)]
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held(1, 1)
        store.commit([save_order(renewed, first)])
        assert store.snapshot(COUNTERS).counters.held(LATER) == Held(1, 1)
        store.commit([remove_order(replace(renewed, version=2))])
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held()

    def test_several_orders_of_one_shard_are_counted_in_one_transaction(self, store: Store) -> None:
        """DynamoDB refuses two actions on one row."""
        same = [n for n in range(1, 60) if shard_of(key(n).uuid) == 0][:3]
        store.commit([save_order(a_quote(number), None) for number in same])
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held(3, 3)

    def test_outdated_ones_are_removed(self, store: Store) -> None:
        first, now = a_quote(1, 5), NOW + timedelta(minutes=6)
        store.commit([save_order(first, None)])
        shard = shard_of(KEY.uuid)
        outdated = store.snapshot(COUNTERS).counters.outdated(shard, now)
        assert len(outdated) == 2
        later = next(n for n in range(2, 60) if shard_of(key(n).uuid) == shard)
        store.commit([save_order(a_quote(later), None, outdated=outdated)])
        counters = store.snapshot(COUNTERS).counters
        assert counters.outdated(shard, now) == ()
        assert counters.held(now) == Held(1, 1)

    def test_what_an_earlier_release_made_is_not_counted_below_zero(self, store: Store) -> None:
        """Its Order is removed here, and was never added; another one of the same minute is not affected."""
        store.commit([SaveOrder(a_quote(1), None)])  # without counting
        store.commit([remove_order(a_quote(1))])
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held()
        store.commit([save_order(a_quote(2, 20), None)])
        assert store.snapshot(COUNTERS).counters.held(NOW) == Held(1, 1)
        assert held_by(a_quote(2, 20), NOW) == Held(1, 1)
