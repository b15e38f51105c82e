"""Each alarm rings by the fault that it is for, and is silent without it.

The metrics of our own come from lines that the handlers print while the fault happens. Those that AWS measures are
given as it measures them. They are evaluated as CloudWatch does.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.api import imports, streams, sweep
from chalicelib.importing.sources import KIND as IMPORT
from chalicelib.runtime.telemetry import SERVICE, Telemetry
from chalicelib.services import following
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.pending import PendingWork, due_at
from chalicelib.values import replace
from openbooking.infra import templates
from openbooking.infra.alarms import ALARMS, OWN, WATCHED_OPTIONS, alarms_template
from openbooking.infra.templates import resolve
from tests.support.alarming import CloudWatch
from tests.support.memory import MemoryPending
from tests.support.world import Broker, World

STAGE = "dev"
QUIET_HOURS = 3
TEMPLATE = alarms_template(WATCHED_OPTIONS)["Resources"]
OF_OURS = [each.name for each in ALARMS if each.metrics[0].namespace == OWN]
OF_AWS = [each.name for each in ALARMS if each.metrics[0].namespace != OWN]


def properties(name: str) -> dict[str, Any]:
    """The alarm as it is in the stage."""

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(each) for each in value]
        if isinstance(value, dict) and value.keys() == {"Ref"}:
            return {"QuietHours": QUIET_HOURS, "AlarmTopic": "topic"}[value["Ref"]]
        if value == {"Fn::Sub": "${AWS::Region}"}:
            return "eu-west-2"
        if isinstance(value, dict) and not value.keys() & {"Fn::Sub", "Fn::ImportValue"}:
            return {key: resolved(each) for key, each in value.items()}
        return resolve(value, STAGE, {f"openbooking-{STAGE}-HttpApiId": "a1b2c3"})

    (alarm,) = (each for each in ALARMS if each.name == name)
    found: dict[str, Any] = resolved(TEMPLATE[alarm.logical_id]["Properties"])
    return found


@dataclass
class Stage:
    """An installation whose lines CloudWatch reads, a period of the alarm at a time."""

    world: World
    broker: Broker
    printed: io.StringIO
    number: int = 0

    def lines(self) -> str:
        """What was printed since the last call."""
        text = self.printed.getvalue()
        self.printed.seek(0)
        self.printed.truncate()
        return text

    def uuid(self) -> str:
        self.number += 1
        return f"10000000-0000-4000-8000-{self.number:012}"

    def install(self, **parts: Any) -> None:
        for name, part in parts.items():
            setattr(self.world.system, name, part)

    def book(self) -> None:
        assert self.broker.b(self.uuid(), self.world.session().item()).status == 201

    def sweep(self) -> None:
        sweep.sweep("invocation-1")

    def import_sources(self) -> None:
        imports.import_sources("invocation-1")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    printed = io.StringIO()
    world = World()
    world.system.telemetry = Telemetry(level="INFO", stage=STAGE)
    for handler in logging.getLogger(SERVICE).handlers:
        # An earlier test may have made it, with the output of that time.
        if isinstance(handler, logging.StreamHandler):
            monkeypatch.setattr(handler, "stream", printed)
    return Stage(world, Broker(world), printed)


# --- faults, each for one period ---------------------------------------------------------------


def park_a_record(stage: Stage) -> None:
    keys = {"partner_id": {"S": "p"}, "uuid": {"S": "u"}}
    unreadable = {"SequenceNumber": str(stage.number), "Keys": keys, "NewImage": {"kind": {"N": "1"}}}
    stage.number += 1
    answer = streams.orders_changed([{"dynamodb": unreadable}], "invocation-1")
    assert answer == {"batchItemFailures": []}


def sweep_nothing(stage: Stage) -> None:
    """The schedule does not start, or its function fails."""


def leave_work(stage: Stage) -> None:
    class Stuck(MemoryPending):
        def entries(self, *_: Any, **__: Any) -> list[PendingWork]:
            raise StoreBusy("busy")

        def count(self, kind: str, at_most: int, *, before: str = "") -> int:
            return int(kind == following.KIND)

    pending = Stuck()
    pending.exchange((), [PendingWork(following.KIND, "a", "{}", attempts=0)])
    stage.install(pending=pending)
    stage.sweep()


def fail_at_work(stage: Stage, *, failed_before: int = 0) -> None:
    pending = MemoryPending()
    pending.exchange((), [PendingWork(following.KIND, "a", "{}", attempts=failed_before)])

    def take_step(entry: PendingWork) -> None:
        raise RuntimeError("a defect")

    worker = stage.world.system.worker
    failing = replace(worker, store=pending, steps=dict.fromkeys(worker.steps, take_step))
    failing.run({following.KIND: 1.0}, {})
    stage.world.system.telemetry.flush()


def set_work_aside(stage: Stage) -> None:
    fail_at_work(stage, failed_before=9)


def quote_beyond_a_limit(stage: Stage) -> None:
    stage.world.set(partner_leases=1)
    yoga = stage.world.session()
    for _ in range(12):
        assert stage.broker.c1(stage.uuid(), yoga.item()).status == 200


def only_quote(stage: Stage) -> None:
    """Quotes are answered, but every booking is refused."""
    yoga = stage.world.session()
    assert stage.broker.c1(stage.uuid(), yoga.item()).status == 200
    assert stage.broker.b(stage.uuid(), yoga.item(), due=1).status == 400


def use_a_deleted_key(stage: Stage) -> None:
    with mock_aws():
        stage.world.set(signing_kms_key="00000000-0000-4000-8000-000000000000")
        vault = stage.world.system.keys.vault
        with pytest.raises(ClientError, match="NotFound"):
            vault.seal(b"key")
        vault._client.close()
    stage.world.system.telemetry.flush()


def leave_a_source_overdue(stage: Stage) -> None:
    """Its next attempt is not due yet, and the last success was too long ago."""
    document = json.dumps({"name": "site", "overdue_at": stage.world.now().isoformat()})
    pending = MemoryPending()
    pending.exchange(
        (), [PendingWork(IMPORT, f"{due_at(stage.world.now() + timedelta(hours=1))} site", document)]
    )
    stage.install(pending=pending)
    stage.import_sources()


Scene = Callable[[Stage], None]

# Alarm -> the fault, and what happens without it.
SCENES: dict[str, tuple[Scene, Scene]] = {
    "records-parked": (park_a_record, Stage.book),
    "sweep-missing": (sweep_nothing, Stage.sweep),
    "bookings-stopped": (only_quote, Stage.book),
    "signing-key-failing": (use_a_deleted_key, Stage.book),
    "pending-work-stuck": (leave_work, Stage.sweep),
    "pending-work-failing": (fail_at_work, Stage.sweep),
    "pending-work-set-aside": (set_work_aside, Stage.sweep),
    "source-overdue": (leave_a_source_overdue, Stage.import_sources),
    "partner-at-limit": (quote_beyond_a_limit, Stage.book),
}


def test_every_alarm_of_ours_has_a_fault() -> None:
    assert SCENES.keys() == set(OF_OURS)


@pytest.mark.parametrize("name", OF_OURS)
def test_an_alarm_rings_by_its_fault_and_ends_with_it(name: str, stage: Stage) -> None:
    alarm, watch = properties(name), CloudWatch()
    fault, usual = SCENES[name]
    checks = alarm["EvaluationPeriods"]

    def pass_period(scene: Scene, period: int) -> None:
        with redirect_stdout(stage.printed):
            scene(stage)
        watch.read(stage.lines(), period)

    for period in range(checks):
        pass_period(usual, period)
    assert not watch.rings(alarm, checks - 1), "rings without a fault"
    for period in range(checks, 2 * checks):
        pass_period(fault, period)
    assert watch.rings(alarm, 2 * checks - 1)


# --- what AWS measures -------------------------------------------------------------------------

# Metric -> a value of one period with the fault, and one without.
MEASURED = {
    "Errors": (1.0, 0.0),
    "Throttles": (1.0, 0.0),
    "IteratorAge": (900_000.0, 2_000.0),
    "ApproximateNumberOfMessagesVisible": (1.0, 0.0),
    "5XXError": (20.0, 1.0),
    "Latency": (9_000.0, 200.0),
    "ReadThrottleEvents": (30.0, 0.0),
    "WriteThrottleEvents": (30.0, 0.0),
    "5xx": (9.0, 2.0),
    "BlockedRequests": (500.0, 20.0),
}


@pytest.mark.parametrize("name", OF_AWS)
def test_an_alarm_on_what_aws_measures_rings(name: str) -> None:
    alarm = properties(name)
    parts = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", [])[1:]] or [alarm]
    checks = alarm["EvaluationPeriods"]
    for part in parts:  # any of them alone
        dimensions = {each["Name"]: each["Value"] for each in part["Dimensions"]}
        faulty, usual = MEASURED[part["MetricName"]]
        ringing, silent = CloudWatch(), CloudWatch()
        for period in range(checks):
            ringing.put(part["Namespace"], part["MetricName"], dimensions, faulty, period)
            silent.put(part["Namespace"], part["MetricName"], dimensions, usual, period)
        assert ringing.rings(alarm, checks - 1)
        assert not silent.rings(alarm, checks - 1)
        assert not CloudWatch().rings(alarm, checks - 1), "rings without data"


def test_one_slow_request_in_a_thousand_is_no_alarm() -> None:
    alarm, watch = properties("api-slow"), CloudWatch()
    for period in range(alarm["EvaluationPeriods"]):
        for number in range(1000):
            watch.put(
                "AWS/ApiGateway",
                "Latency",
                {"ApiName": "openbooking", "Stage": STAGE},
                20_000 if number == 0 else 100,
                period,
            )
    assert not watch.rings(alarm, alarm["EvaluationPeriods"] - 1)


def test_another_stage_does_not_ring() -> None:
    alarm, watch = properties("records-parked"), CloudWatch()
    watch.put(OWN, "RecordsParked", {"service": "open-booking", "stage": "prod"}, 5, 0)
    assert not watch.rings(alarm, 0)


def test_every_table_and_every_index_is_watched_for_throttles() -> None:
    watched = {
        tuple(metric.dimensions.values())
        for each in ALARMS
        if each.section == "table-throttled"
        for metric in each.metrics
    }
    places = set()
    for definition in templates.table_definitions("openbooking-${Stage}"):
        places.add((definition.name,))
        for index in definition.create.get("GlobalSecondaryIndexes", ()):
            places.add((definition.name, index["IndexName"]))
    assert watched == places
