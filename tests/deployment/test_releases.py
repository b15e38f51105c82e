"""What a team shares of a stage: the lock, Chalice's record, and releases to go back to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from openbooking.deployment.releases import Current, LockedError, NoSuchReleaseError, Release, Releases
from openbooking.deployment.stage_state import StageState, by_others, drift, keeping, state_from, state_to
from openbooking.infra.templates import GatewayResponse, StreamMapping, Throttle

STREAM = StreamMapping("arn:s", "arn:q", -1, 86400, True, True, window=1, filters=("{}",))
ANSWER = GatewayResponse("THROTTLED", 429, {"Retry-After": "1"}, "{}")
STATE = StageState(
    {"THROTTLED": ANSWER},
    {"POST ~1auth": Throttle("~1auth", "POST", 20, 40)},
    {"orders_stream": STREAM},
    {"orders_stream": 10, "api_handler": None},
)
FIRST = Release("0001", "abc", "2026-01-01 09:00 UTC", "kim", "3.13", "00", state_to(STATE))


@pytest.fixture
def releases() -> Iterator[Releases]:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="releases")
        s3.put_bucket_versioning(Bucket="releases", VersioningConfiguration={"Status": "Enabled"})
        yield Releases(s3, "releases")
        s3.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An assembled project, as `chalice deploy` leaves it."""
    files = {
        "app.py": "app",
        "requirements.txt": "",
        "chalicelib/__init__.py": "",
        ".chalice/config.json": "{}",
        ".chalice/deployments/1.zip": "zip",
        ".chalice/deployed/dev.json": "record",
        "templates/sam.json": "not of the project",
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def test_only_one_command_at_a_time_has_the_lock_and_the_other_is_told_whose_it_is(
    releases: Releases,
) -> None:
    with (
        releases.locked("kim", "09:00", "deploy"),
        pytest.raises(LockedError, match="kim began to deploy at 09:00"),
        releases.locked("alex", "09:01", "roll back"),
    ):
        pytest.fail("two have the lock")
    with releases.locked("alex", "09:02", "roll back"):
        assert (releases.holder() or {})["by"] == "alex"
    assert releases.holder() is None


def test_the_lock_is_released_after_a_failure(releases: Releases) -> None:
    with pytest.raises(ZeroDivisionError), releases.locked("kim", "09:00", "deploy"):
        raise ZeroDivisionError
    assert releases.holder() is None


def test_a_lock_that_was_left_can_be_released(releases: Releases) -> None:
    left = releases.locked("kim", "09:00", "deploy")
    left.__enter__()
    releases.unlock()
    with releases.locked("alex", "09:02", "deploy"):
        pass


def test_a_release_comes_back_as_it_was_and_without_chalices_record(
    releases: Releases, project: Path, tmp_path: Path
) -> None:
    releases.add(FIRST, project)
    assert releases.listed() == [FIRST]
    back = tmp_path / "back"
    releases.unpack(FIRST, back)
    files = {path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file()}
    assert files == {
        "app.py",
        "requirements.txt",
        "chalicelib/__init__.py",
        ".chalice/config.json",
        ".chalice/deployments/1.zip",
    }


def test_ids_count_up_and_the_release_before_is_found(releases: Releases, project: Path) -> None:
    assert releases.next_id() == "0001"
    releases.add(FIRST, project)
    second = replace(FIRST, id=releases.next_id())
    releases.add(second, project)
    assert second.id == "0002"
    assert releases.before("0002") == FIRST
    assert releases.named("0002") == second
    with pytest.raises(NoSuchReleaseError, match=r"older than 0001"):
        releases.before("0001")
    with pytest.raises(NoSuchReleaseError, match=r"0009; there are: 0001, 0002"):
        releases.named("0009")


def test_a_release_that_was_not_completed_is_not_listed(releases: Releases) -> None:
    releases.s3.put_object(Bucket="releases", Key="releases/0001.zip", Body=b"")
    assert releases.listed() == []


def test_what_was_set_is_remembered(releases: Releases) -> None:
    assert releases.current() is None
    current = Current("0001", STATE, frozenset({("mappings", "orders_stream")}))
    releases.set_current(current)
    assert releases.current() == current
    releases.keep_record({"resources": []})
    releases.forget()
    assert (releases.current(), releases.record()) == (None, None)


def test_everything_can_be_deleted_with_former_versions(releases: Releases) -> None:
    for _ in range(2):
        releases.set_current(Current("0001", STATE))
    releases.delete_all()
    releases.s3.delete_bucket(Bucket="releases")


# --- what others have changed --------------------------------------------------------------------


def test_a_state_comes_back_from_its_text() -> None:
    assert state_from(state_to(STATE)) == STATE


def test_a_state_of_an_earlier_release_can_be_read() -> None:
    old = state_to(STATE)
    for name in ("window", "filters", "enabled"):
        del old["mappings"]["orders_stream"][name]
    assert state_from(old).mappings["orders_stream"] == replace(STREAM, window=0, filters=())


def test_nothing_changed_is_no_drift() -> None:
    assert drift(STATE, STATE) == []


CHANGED = StageState(
    {"THROTTLED": replace(ANSWER, status=418)},
    {"POST ~1auth": Throttle("~1auth", "POST", 1, 40)},
    {"orders_stream": replace(STREAM, enabled=False)},
    {"orders_stream": 7, "api_handler": 50},
)


def test_every_kind_of_change_is_named_with_its_values() -> None:
    assert sorted(map(str, drift(STATE, CHANGED))) == [
        "gateway response THROTTLED: status was 429, is 418",
        "reserved concurrency of api_handler: was not set, is 50",
        "reserved concurrency of orders_stream: was 10, is 7",
        "stream mapping of orders_stream: enabled was True, is False",
        "throttle POST ~1auth: rate was 20, is 1",
    ]


def test_what_was_deleted_or_added_by_hand_is_drift() -> None:
    added = {"WAF_FILTERED": replace(ANSWER, response_type="WAF_FILTERED")}
    assert sorted(map(str, drift(STATE, replace(STATE, responses=added)))) == [
        "gateway response THROTTLED: was set, is not set",
        "gateway response WAF_FILTERED: was not set, is set",
    ]
    assert str(drift(STATE, replace(STATE, mappings={}))[0]) == (
        "stream mapping of orders_stream: was set, is not set"
    )


def test_what_is_kept_is_as_it_was_found_and_new_wishes_still_hold() -> None:
    wanted = replace(STATE, concurrency={"orders_stream": 20, "api_handler": None, "lease_sweep": 1})
    kept = keeping(wanted, drift(STATE, CHANGED))
    assert kept == replace(CHANGED, concurrency={**CHANGED.concurrency, "lease_sweep": 1})
    assert keeping(wanted, []) == wanted


def test_what_was_kept_stays_in_later_deployments_which_change_the_rest() -> None:
    found = replace(STATE, mappings={"orders_stream": replace(STREAM, enabled=False)}, responses={})
    kept = frozenset({("mappings", "orders_stream"), ("responses", "THROTTLED")})
    later = replace(STATE, concurrency={"orders_stream": 99, "api_handler": None})
    assert Current("0001", found, kept).keeping(later) == replace(found, concurrency=later.concurrency)
    assert Current("0001", found).keeping(later) == later


def test_a_deleted_response_stays_deleted_when_it_is_kept() -> None:
    assert keeping(STATE, drift(STATE, replace(STATE, responses={}))).responses == {}


# --- deployments that were cut off -----------------------------------------------------------------


def test_what_deployments_were_going_to_set_is_known_until_one_has_finished(releases: Releases) -> None:
    assert releases.attempts() == []
    for wanted in (STATE, CHANGED, STATE):
        releases.begin(wanted)
    assert releases.attempts() == [STATE, CHANGED]
    releases.set_current(Current("0002", CHANGED))
    assert releases.attempts() == []
    releases.begin(STATE)
    releases.forget()
    assert releases.attempts() == []


def test_what_a_deployment_has_set_before_it_was_cut_off_is_no_change_by_others() -> None:
    concurrency = {"orders_stream": 20, "api_handler": None}
    wanted = replace(STATE, concurrency=concurrency)
    for found in (
        replace(STATE, concurrency=concurrency),
        # Chalice has removed both, and was cut off before they were set again.
        replace(STATE, concurrency={"orders_stream": None, "api_handler": None}, responses={}),
    ):
        assert drift(STATE, found) != []
        assert by_others(drift(STATE, found), [wanted]) == []
    # Anything else is: a person has set 7, and has changed a response.
    assert len(by_others(drift(STATE, CHANGED), [wanted])) == len(drift(STATE, CHANGED))
    found = replace(STATE, concurrency=concurrency)
    assert by_others(drift(STATE, found), []) == drift(STATE, found)
