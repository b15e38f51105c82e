"""The steps of docs/runbook.md, typed as they are written on a simulated stage after the fault of their section.

Only the placeholders in capitals and the name of the stage are replaced. Logs and graphs cannot be followed here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import jmespath
import pytest
from botocore import xform_name

from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import from_environment
from chalicelib.services import following
from chalicelib.storage.dynamodb.tables import FORMAT
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, with_logistics
from openbooking.infra.templates import FUNCTIONS, ROOT, stack_name, tables_template
from openbooking.local.stack import environment_variables
from tests.cli.test_parked_commands import handle, mend
from tests.importing.site import OperatorSite, series, served, session
from tests.support.builders import NOW
from tests.support.engines import REGION, clear
from tests.support.inventory import Bookable
from tests.support.terminal import Terminal
from tests.support.world import Broker, World, order_record

STAGE = "dev"
_TEXT = (
    (ROOT / "docs" / "runbook.md")
    .read_text(encoding="utf-8")
    .replace("openbooking-prod", f"openbooking-{STAGE}")
)
SECTIONS = {part.partition("\n")[0]: part for part in _TEXT.split("\n## ")[1:]}
_INSIDE = re.compile(r'"\$\(([^)]*)\)"')


def steps(section: str) -> list[str]:
    """The commands of a section, in the order of its text."""
    return re.findall(r"`((?:openbooking|aws) [^`]+)`", " ".join(SECTIONS[section].split()))


def aws(typed: str) -> Any:
    """What `aws SERVICE OPERATION --option value` answers; parameters are checked as the real command does."""
    service, operation, *words = shlex.split(
        _INSIDE.sub(lambda found: str(aws(found[1].removeprefix("aws "))), typed)
    )
    client = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
    try:
        (method,) = (
            name for name in client.meta.service_model.operation_names if xform_name(name, "-") == operation
        )
        members = client.meta.service_model.operation_model(method).input_shape.members
        names = {xform_name(name, "-"): name for name in members}
        given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
        given.pop("output", None)
        query = given.pop("query", "@")
        parameters = {
            names[option]: int(value) if members[names[option]].type_name == "integer" else value
            for option, value in given.items()
        }
        answer = getattr(client, xform_name(method))(**parameters)
        return jmespath.search(query, answer)
    finally:
        client.close()


@dataclass
class Operator:
    """Follows a section of the runbook."""

    stage: Terminal
    typed: list[str] = field(default_factory=list)

    def types(self, step: str, *, exits: int = 0, **placeholders: str) -> Any:
        """The answer to a step of the section."""
        self.typed.append(step)
        for name, value in placeholders.items():
            assert name in step
            step = step.replace(name, value)
        program, _, words = step.partition(" ")
        if program == "aws":
            return aws(words)
        pause = ["--pause", "0"] if words.startswith("check") else []
        result = self.stage.run(*shlex.split(words.replace(" --stage prod", "")), *pause, typed="y\n")
        assert result.exit_code == exits, result.output
        return result.output


@contextmanager
def following_section(section: str, stage: Terminal) -> Iterator[Operator]:
    """Fails if a step of the section was left out, or if damage is left at the end."""
    operator = Operator(stage)
    yield operator
    assert sorted(operator.typed) == sorted(steps(section))
    assert "no damage" in stage.says("check", "--pause", "0")


@pytest.fixture(scope="module")
def deployed(empty_aws: None) -> None:
    """The data stack of a stage."""
    client = boto3.client("cloudformation", region_name=REGION)
    client.create_stack(
        StackName=stack_name(STAGE),
        TemplateBody=json.dumps(tables_template()),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": STAGE}],
    )
    client.close()


@pytest.fixture
def stage(deployed: None) -> Iterator[Terminal]:
    key = aws(f"kms describe-key --key-id alias/openbooking-{STAGE}-signing --query KeyMetadata.Arn")
    here = {"TABLE_PREFIX": f"openbooking-{STAGE}", "LOG_LEVEL": "CRITICAL", "SIGNING_KMS_KEY": key}
    with environment_variables(here):
        system = from_environment()
    yield Terminal(system, ["--stage", STAGE])
    clear(system.identities._tables)  # type: ignore[attr-defined]


@dataclass
class Booked:
    """A session with an Order, as the feeds show them."""

    world: World
    session: Bookable
    key: OrderKey

    @property
    def order(self) -> Order:
        order = self.world.store.orders([self.key])[self.key]
        assert isinstance(order, Order)
        return order

    def rename(self) -> PendingWork:
        """What is left to do after a change of the session."""
        change = Logistics(name="Pilates")
        self.world.system.inventory.change(self.session.id, lambda current: with_logistics(current, change))
        (work,) = self.world.pending.entries(following.KIND, 10)
        return work


@pytest.fixture
def booked(stage: Terminal) -> Booked:
    system = stage.system
    world = World(
        store=system.store, feeds=system.feeds, identities=system.identities, pending=system.pending
    )
    broker, yoga = Broker(world), world.session(starts_in=timedelta(hours=1))
    uuid = "10000000-0000-4000-8000-000000000001"
    assert broker.b(uuid, yoga.item()).status == 201
    stage.says("feeds", "rebuild", "--all")
    return Booked(world, yoga, OrderKey(broker.partner, uuid))


def test_records_that_cannot_be_published(stage: Terminal, booked: Booked) -> None:
    stage.says("register", "attended", booked.session.id, "--all", "--seller", "1")
    for number in (7, 8):
        record = order_record(booked.order, str(number))
        record["dynamodb"]["NewImage"]["row_format"] = {"N": str(FORMAT + 1)}
        handle(stage, record)
    with following_section("records-parked", stage) as operator:
        assert "LaterFormat" in operator.types("openbooking feeds parked --stage prod")
        first, second = (row["record"] for row in stage.rows("feeds", "parked"))
        mend(stage, first)  # the fix is deployed
        replayed = operator.types("openbooking feeds replay RECORD --stage prod", RECORD=first)
        assert "Replayed: 1." in replayed
        operator.types("openbooking feeds discard RECORD --stage prod", RECORD=second)
        assert stage.rows("feeds", "parked") == []


def test_work_that_was_set_aside(stage: Terminal, booked: Booked) -> None:
    work = booked.rename()
    aside = replace(work, kind=SET_ASIDE + work.kind, attempts=5, error="KeyError()", failed_at=NOW)
    booked.world.pending.exchange([work], [aside, replace(aside, id="no-longer-needed")])
    with following_section("pending-work-set-aside", stage) as operator:
        assert "KeyError" in operator.types("openbooking pending list --stage prod")
        operator.types("openbooking pending replay ENTRY --stage prod", ENTRY=work.id)
        operator.types("openbooking pending discard ENTRY --stage prod", ENTRY="no-longer-needed")
        assert stage.rows("pending", "list") == []
        stage.system.sweep()
        assert booked.order.items[0].opportunity.name == "Pilates"
        stage.says("feeds", "rebuild", "--all")  # as the streams would


def test_a_source_from_which_too_much_leaves(stage: Terminal) -> None:
    site = OperatorSite()
    site.publish(series(1), session(1, of=1), session(2, of=1))
    with served(site):
        stage.says("sources", "add", "acme", site.url, "--allow-private-addresses")
        stage.says("sources", "run", "acme")
        site.delete(session(1, of=1))
        stage.refuses("sources", "run", "acme")
        with following_section("source-overdue", stage) as operator:
            listed = operator.types("openbooking sources list --stage prod")
            assert "would leave" in " ".join(listed.split())
            why = operator.types(
                "openbooking import rpde URL --dry-run --stage prod",
                exits=1,
                URL=f"{site.url} --allow-private-addresses",
            )
            assert "1 of the 2 opportunities on sale (50 %) would leave sale" in " ".join(why.split())
            operator.types("openbooking sources run NAME --confirm-leaving --stage prod", NAME="acme")
            (row,) = stage.rows("sources", "list")
            assert "1 withdrawn" in row["result"]
            stage.says("feeds", "rebuild", "--all")  # as the streams would


def test_changes_that_were_not_published_for_a_day(stage: Terminal, booked: Booked) -> None:
    """No handler has read the streams: the feeds show neither the Order's attendance nor a new session."""
    booked.world.session()
    stage.says("register", "attended", booked.session.id, "--all", "--seller", "1")
    queue = f"openbooking-{STAGE}-stream-failures"
    find = f"aws sqs get-queue-url --queue-name {queue} --query QueueUrl --output text"
    aws(f'sqs send-message --queue-url "$({find})" --message-body lost')
    with following_section("stream-failures", stage) as operator:
        read, *_, empty = steps("stream-failures")
        assert [message["Body"] for message in operator.types(read)["Messages"]] == ["lost"]
        assert "3 findings" in operator.types("openbooking check --stage prod", exits=1)
        operator.types("openbooking check --repair --stage prod")
        operator.types("openbooking feeds rebuild --all --stage prod")
        operator.types(empty)
        assert "Messages" not in operator.types(read)
        operator.typed.remove(read)


@pytest.mark.parametrize("disable", ["disable-key", "schedule-key-deletion"])
def test_a_signing_key_that_cannot_be_used(stage: Terminal, disable: str) -> None:
    state, find, cancel, enable = steps("signing-key-failing")
    stage.says("tokens", "rotate-keys")
    aws(f"kms {disable} --key-id {aws(find.removeprefix('aws '))}")
    with following_section("signing-key-failing", stage) as operator:
        assert operator.types(state) == {"disable-key": "Disabled"}.get(disable, "PendingDeletion")
        key = operator.types(find)
        if disable == "disable-key":
            operator.typed.append(cancel)
        else:
            operator.types(cancel, KEY=key)
        operator.types(enable, KEY=key)
        assert aws(state.removeprefix("aws ")) == "Enabled"
        stage.says("tokens", "rotate-keys")


FOLLOWED = (
    "records-parked",
    "pending-work-set-aside",
    "source-overdue",
    "stream-failures",
    "signing-key-failing",
)


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in FOLLOWED and steps(name)])
def test_a_section_that_only_looks(stage: Terminal, section: str) -> None:
    with following_section(section, stage) as operator:
        for step in steps(section):
            if step.startswith("aws logs tail "):  # a command of the terminal's program alone
                function = shlex.split(step)[3].removeprefix("/aws/lambda/")
                assert function in {each.deployed_name(STAGE) for each in FUNCTIONS}
                operator.typed.append(step)
            elif step == "aws lambda get-account-settings":  # it has no options, and moto does not have it
                operator.typed.append(step)
            else:
                operator.types(step)
