"""The contract of `IdentityStore`, kept by every one of them; and what only DynamoDB's has to see to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.identities import IdentityStore, Record
from chalicelib.values import replace
from tests.support.builders import NOW
from tests.support.engines import Calls, clear, throttled, timed_out
from tests.support.memory import MemoryIdentities

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def identities(engine_tables: Tables | None) -> IdentityStore:
    if engine_tables is None:
        return MemoryIdentities()
    clear(engine_tables)
    return DynamoIdentities(engine_tables)


def record(principal: str = "partner#a", part: str = "partner", document: str = "{}") -> Record:
    return Record(principal, part, document)


class TestRecords:
    def test_nothing_is_there_to_begin_with(self, identities: IdentityStore) -> None:
        assert identities.get("partner#a", "partner") is None
        assert identities.parts("partner#a") == []
        assert list(identities.all("partner")) == []

    def test_record_is_read_as_it_was_saved(self, identities: IdentityStore) -> None:
        written = identities.save(replace(record(document='{"name":"Zoë 🚣"}'), expires_at=LATER))
        assert written.version == 1
        assert identities.get("partner#a", "partner") == written
        again = identities.save(replace(written, document='{"x":1}', expires_at=None))
        assert again.version == 2
        assert identities.get("partner#a", "partner") == again

    def test_parts_are_read_from_the_end(self, identities: IdentityStore) -> None:
        for part in ("a", "b", "c", "d"):
            identities.save(record("journal#2026-06", part))
        identities.save(record("journal#2026-07", "e"))

        def read(before: str, limit: int) -> list[str]:
            return [each.part for each in identities.parts_before("journal#2026-06", before, limit)]

        assert read("", 3) == ["d", "c", "b"]
        assert read("b", 3) == ["a"]
        assert read("c", 1) == ["b"]
        assert read("a", 3) == []

    def test_who_has_read_an_older_version_is_refused(self, identities: IdentityStore) -> None:
        first = identities.save(record())
        second = identities.save(replace(first, document="second"))
        for stale in (record(document="x"), first, replace(first, version=3)):
            with pytest.raises(RecordChanged):
                identities.save(stale)
        assert identities.get("partner#a", "partner") == second

    def test_record_that_has_gone_is_not_changed(self, identities: IdentityStore) -> None:
        written = identities.save(record())
        identities.delete(written)
        with pytest.raises(RecordChanged):
            identities.save(written)
        assert identities.get("partner#a", "partner") is None
        assert identities.save(record()).version == 1

    def test_deleting_takes_whatever_has_become_of_it(self, identities: IdentityStore) -> None:
        first = identities.save(record())
        identities.save(first)
        identities.delete(first)
        identities.delete(first)
        assert identities.get("partner#a", "partner") is None

    def test_of_many_who_write_the_same_version_one_does(self, identities: IdentityStore) -> None:
        def write(number: int) -> bool:
            try:
                identities.save(record(document=str(number)))
            except RecordChanged:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(write, range(24))) == 1
        found = identities.get("partner#a", "partner")
        assert found is not None and found.version == 1

    def test_parts_of_one_principal_come_in_order(self, identities: IdentityStore) -> None:
        for part in ("c", "a", "b"):
            identities.save(record("authorisation#p", part))
        identities.save(record("authorisation#p2", "d"))
        assert [each.part for each in identities.parts("authorisation#p")] == ["a", "b", "c"]

    def test_kinds_are_told_apart(self, identities: IdentityStore) -> None:
        for principal in ("login#b", "login#a", "login2#a", "grant#login#a"):
            identities.save(record(principal))
        assert sorted(each.principal for each in identities.all("login")) == ["login#a", "login#b"]

    def test_more_than_a_page_is_read_to_its_end(self, identities: IdentityStore) -> None:
        for number in range(6):
            identities.save(record("authorisation#p", str(number), "x" * 300_000))
        assert len(identities.parts("authorisation#p")) == 6
        assert len(list(identities.all("authorisation"))) == 6

    def test_counters_are_no_records(self, identities: IdentityStore) -> None:
        identities.count("rate#a", "minute", 1, 10, LATER)
        assert list(identities.all("partner")) == []


class TestCounters:
    def test_count_up_to_the_limit(self, identities: IdentityStore) -> None:
        assert [identities.count("c", "p", 1, 3, LATER) for _ in range(5)] == [True] * 3 + [False] * 2

    def test_take_all_of_an_amount_or_nothing(self, identities: IdentityStore) -> None:
        assert identities.count("c", "p", 4, 5, LATER)
        assert not identities.count("c", "p", 2, 5, LATER)
        assert identities.count("c", "p", 1, 5, LATER)
        assert not identities.count("c", "p", 1, 5, LATER)

    def test_more_than_the_limit_at_once_is_refused(self, identities: IdentityStore) -> None:
        assert not identities.count("c", "p", 6, 5, LATER)
        assert identities.count("c", "p", 5, 5, LATER)

    def test_give_back(self, identities: IdentityStore) -> None:
        assert identities.count("c", "p", 1, 1, LATER)
        assert not identities.count("c", "p", 1, 1, LATER)
        assert identities.count("c", "p", -1, 1, LATER)
        assert identities.count("c", "p", 1, 1, LATER)
        assert not identities.count("c", "p", 1, 1, LATER)

    def test_know_nothing_of_each_other(self, identities: IdentityStore) -> None:
        assert identities.count("c", "p", 1, 1, LATER)
        assert identities.count("c", "q", 1, 1, LATER)
        assert identities.count("d", "p", 1, 1, LATER)

    def test_many_threads_never_pass_the_limit(self, identities: IdentityStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            through = sum(pool.map(lambda _: identities.count("c", "p", 3, 50, LATER), range(40)))
        assert through == 16


class TestOnDynamo:
    @pytest.fixture
    def identities(self, tables: Tables) -> DynamoIdentities:
        return DynamoIdentities(tables)

    def test_rows_expire_by_ttl(self, identities: DynamoIdentities, tables: Tables) -> None:
        identities.save(replace(record(), expires_at=LATER))
        identities.count("rate#a", "p", 1, 1, LATER)
        rows = tables.connection.client.scan(TableName=tables.name("identity"))["Items"]
        assert [row["expires_at"] for row in rows] == [{"N": str(int(LATER.timestamp()))}] * 2

    def test_reads_are_consistent_and_each_is_one_call(
        self, identities: DynamoIdentities, calls: Calls
    ) -> None:
        identities.get("partner#a", "partner")
        identities.parts("authorisation#a")
        assert dict(calls.made) == {"BatchGetItem": 1, "Query": 1}
        assert '"ConsistentRead": true' in str(calls.requests).replace("'", '"').replace("True", "true")
        assert calls.requests[1][1]["ConsistentRead"] is True

    @pytest.mark.parametrize("fault", [throttled, timed_out])
    def test_faults_that_pass_are_told_as_busy(
        self, identities: DynamoIdentities, calls: Calls, fault: object
    ) -> None:
        for operation, act in (
            ("BatchGetItem", lambda: identities.get("a", "p")),
            ("TransactWriteItems", lambda: identities.save(record())),
            ("DeleteItem", lambda: identities.delete(record())),
            ("Query", lambda: identities.parts("a")),
            ("Scan", lambda: list(identities.all("a"))),
            ("UpdateItem", lambda: identities.count("a", "p", 1, 1, LATER)),
        ):
            calls.before(operation, fault)  # type: ignore[arg-type]
            with pytest.raises(StoreBusy):
                act()
