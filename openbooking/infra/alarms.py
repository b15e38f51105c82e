"""The alarms and the budget of a stage: one table, from which their CloudFormation template is made.

`infra/alarms.json` contains what they need (the topic, its key, its subscription); a new function or table gets
its alarms from the tables in `templates` and `infra/tables.json`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openbooking.infra import dashboard, firewall, templates
from openbooking.infra.templates import APP_NAME, FUNCTIONS, Function

STAGE = "${Stage}"
# The export of the packaged template for the id of the HTTP API, by which alone AWS names its metrics.
HTTP_API_ID = "HttpApiId"
OWN = "OpenBooking"
# Of every metric that the functions write.
OWN_DIMENSIONS = {"service": "open-booking", "stage": STAGE}

MINUTES = 60
FIVE_MINUTES = 5 * MINUTES
HOUR = 60 * MINUTES

# The rule by which CloudWatch shows a sum of several metrics.
_TOTAL = "SUM(METRICS())"


@dataclass(frozen=True)
class Watched:
    """One metric of CloudWatch. `${Stage}` in a dimension is replaced."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Alarm:
    """When people are called. `metrics` are added up.

    It is triggered if `of` of the last `checks` periods are above the threshold, or below it if `below`. With
    `silence`, a period without data counts as one of these. Without `reports_end`, no message says that it is over.
    """

    name: str
    section: str
    """Of docs/runbook.md."""
    says: str
    metrics: tuple[Watched, ...]
    threshold: float = 0
    statistic: str = "Sum"
    period: int = FIVE_MINUTES
    checks: int | str = 1
    """A number, or the name of a parameter of the template."""
    of: int | str | None = None
    """None: all of them."""
    below: bool = False
    silence: bool = False
    reports_end: bool = True
    condition: str | None = None
    option: str = ""
    """The option of a stage that makes what is watched; empty: it exists in every stage."""

    @property
    def logical_id(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("-"))


def own(name: str) -> tuple[Watched, ...]:
    """A metric that the functions write."""
    return (Watched(OWN, name, OWN_DIMENSIONS),)


def _of_function(name: str, function: Function) -> tuple[Watched, ...]:
    return (Watched("AWS/Lambda", name, {"FunctionName": function.deployed_name(STAGE)}),)


def _of_api(name: str) -> tuple[Watched, ...]:
    return (Watched("AWS/ApiGateway", name, {"ApiName": APP_NAME, "Stage": STAGE}),)


def _of_http_api(name: str) -> tuple[Watched, ...]:
    return (Watched("AWS/ApiGateway", name, {"ApiId": f"${{{HTTP_API_ID}}}"}),)


def _of_firewall() -> tuple[Watched, ...]:
    dimensions = {"WebACL": firewall.NAME, "Region": "${AWS::Region}", "Rule": "ALL"}
    return (Watched("AWS/WAFV2", "BlockedRequests", dimensions),)


def _of_functions() -> Iterator[Alarm]:
    for function in FUNCTIONS:
        title = "API" if function.is_api else function.name
        label = "api" if function.is_api else function.name.replace("_", "-")
        yield Alarm(
            f"{label}-errors",
            "function-errors",
            f"The function {title} keeps ending with errors.",
            _of_function("Errors", function),
            checks=3,
            of=2,
        )
        yield Alarm(
            f"{label}-throttles",
            "function-throttles",
            f"Lambda keeps refusing to run the function {title}: too many run at once.",
            _of_function("Throttles", function),
            checks=3,
            of=2,
        )
        if function.stream:
            yield Alarm(
                f"{label}-behind",
                "stream-behind",
                f"{title} is more than ten minutes behind: Brokers see changes late.",
                _of_function("IteratorAge", function),
                statistic="Maximum",
                threshold=600_000,
                checks=2,
            )


def _of_tables() -> Iterator[Alarm]:
    for definition in templates.table_definitions(f"{APP_NAME}-{STAGE}"):
        indexes = [each["IndexName"] for each in definition.create.get("GlobalSecondaryIndexes", ())]
        places = [{"TableName": definition.name}]
        places += [{"TableName": definition.name, "GlobalSecondaryIndexName": index} for index in indexes]
        label = definition.name.rpartition("-")[2]
        yield Alarm(
            f"{label}-table-throttled",
            "table-throttled",
            f"DynamoDB keeps refusing requests to the table {label}, or to its indexes.",
            tuple(
                Watched("AWS/DynamoDB", f"{kind}ThrottleEvents", place)
                for place in places
                for kind in ("Read", "Write")
            ),
            threshold=10,
            checks=3,
            of=2,
        )


ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "records-parked",
        "records-parked",
        "A stream record could not be handled and is parked: a change is missing from a feed.",
        own("RecordsParked"),
        reports_end=False,
    ),
    Alarm(
        "stream-failures",
        "stream-failures",
        "Stream records became a day old without being handled: changes are missing from a feed.",
        (
            Watched(
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": f"{APP_NAME}-{STAGE}-stream-failures"},
            ),
        ),
        statistic="Maximum",
    ),
    *_of_functions(),
    *_of_tables(),
    Alarm(
        "api-faults",
        "api-faults",
        "The API keeps answering with status 500 or above.",
        _of_api("5XXError"),
        threshold=4,
        checks=3,
        of=2,
    ),
    Alarm(
        "api-slow",
        "api-slow",
        "One in a hundred requests takes longer than three seconds.",
        _of_api("Latency"),
        statistic="p99",
        threshold=3000,
        checks=3,
    ),
    Alarm(
        "http-api-faults",
        "api-faults",
        "The HTTP API keeps answering with status 500 or above.",
        _of_http_api("5xx"),
        threshold=4,
        checks=3,
        of=2,
        option="http_api",
    ),
    Alarm(
        "http-api-slow",
        "api-slow",
        "One in a hundred requests to the HTTP API takes longer than three seconds.",
        _of_http_api("Latency"),
        statistic="p99",
        threshold=3000,
        checks=3,
        option="http_api",
    ),
    Alarm(
        "firewall-blocking",
        "firewall-blocking",
        "The firewall keeps refusing requests of addresses that send too many.",
        _of_firewall(),
        threshold=100,
        checks=3,
        of=2,
        option="firewall",
    ),
    Alarm(
        "sweep-missing",
        "sweep-missing",
        "The sweep has not run for ten minutes: ended leases and unfinished work wait.",
        own("Sweeps"),
        threshold=1,
        below=True,
        checks=2,
        silence=True,
    ),
    Alarm(
        "bookings-stopped",
        "bookings-stopped",
        "Nothing was booked for as long as QuietHours says.",
        own("Bookings"),
        threshold=1,
        below=True,
        period=HOUR,
        checks="QuietHours",
        silence=True,
        condition="ExpectsBookings",
    ),
    Alarm(
        "signing-key-failing",
        "signing-key-failing",
        "KMS keeps refusing to use the key of the signing keys: no tokens can be issued.",
        own("KeyFailures"),
        checks=3,
        of=2,
    ),
    Alarm(
        "pending-work-stuck",
        "pending-work-stuck",
        "Every sweep of the last half hour has left pending work: Brokers do not know of a change yet.",
        own("PendingWorkWaiting"),
        statistic="Minimum",
        checks=6,
    ),
    Alarm(
        "pending-work-failing",
        "pending-work-failing",
        "Pending work keeps failing; it is tried again every minute.",
        own("PendingWorkFailed"),
        checks=3,
    ),
    Alarm(
        "pending-work-set-aside",
        "pending-work-set-aside",
        "Pending work is set aside after failing five times: it does not continue until it is replayed.",
        own("PendingWorkSetAside"),
        reports_end=False,
    ),
    Alarm(
        "source-overdue",
        "source-overdue",
        "A source has not been imported successfully for the time of its setting: its sessions may be out of date.",
        own("SourcesOverdue"),
        statistic="Minimum",
        checks=3,
    ),
    Alarm(
        "partner-at-limit",
        "partner-at-limit",
        "A booking partner keeps reaching a limit of what it may hold: its quotes have no lease, or its proposals "
        "are refused.",
        own("PartnerAtLimit"),
        threshold=10,
        checks=3,
    ),
)


# The options of a stage that have separate alarms.
WATCHED_OPTIONS = frozenset(each.option for each in ALARMS if each.option)


def alarms_with(options: Collection[str] = ()) -> list[Alarm]:
    """The alarms of a stage with these options."""
    return [each for each in ALARMS if not each.option or each.option in options]


def alarms_template(options: Collection[str] = ()) -> dict[str, Any]:
    """The template of the alarms stack: alarms, the topic that sends them, the dashboard and the budget.

    `options` are those of the stage that have separate alarms.
    """
    template: dict[str, Any] = json.loads(templates.ALARMS.read_text(encoding="utf-8"))
    alarms = alarms_with(options)
    template["Resources"] |= {alarm.logical_id: _resource(alarm) for alarm in alarms}
    body = json.dumps(dashboard.body([each.name for each in alarms], options))
    imported = f"${{{HTTP_API_ID}}}" in body
    template["Resources"]["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": {"Fn::Sub": f"{APP_NAME}-{STAGE}"},
            "DashboardBody": {"Fn::Sub": [body, {HTTP_API_ID: _http_api_id()}] if imported else body},
        },
    }
    return template


def _http_api_id() -> dict[str, Any]:
    return {"Fn::ImportValue": {"Fn::Sub": f"{APP_NAME}-{STAGE}-{HTTP_API_ID}"}}


def _resource(alarm: Alarm) -> dict[str, Any]:
    checks = _number(alarm.checks)
    properties: dict[str, Any] = {
        "AlarmName": {"Fn::Sub": f"{APP_NAME}-{STAGE}-{alarm.name}"},
        "AlarmDescription": f"{alarm.says} See docs/runbook.md#{alarm.section}",
        "EvaluationPeriods": checks,
        "DatapointsToAlarm": checks if alarm.of is None else _number(alarm.of),
        "ComparisonOperator": "LessThanThreshold" if alarm.below else "GreaterThanThreshold",
        "Threshold": alarm.threshold,
        "TreatMissingData": "breaching" if alarm.silence else "notBreaching",
        "AlarmActions": [{"Ref": "AlarmTopic"}],
    }
    if alarm.reports_end:
        properties["OKActions"] = [{"Ref": "AlarmTopic"}]
    if len(alarm.metrics) == 1:
        name = "ExtendedStatistic" if alarm.statistic.startswith("p") else "Statistic"
        properties |= _metric(alarm.metrics[0]) | {name: alarm.statistic, "Period": alarm.period}
    else:
        properties["Metrics"] = [
            {"Id": "total", "Expression": _TOTAL, "Label": alarm.name, "ReturnData": True},
            *(
                {
                    "Id": f"m{number}",
                    "MetricStat": {
                        "Metric": _metric(each),
                        "Period": alarm.period,
                        "Stat": alarm.statistic,
                    },
                    "ReturnData": False,
                }
                for number, each in enumerate(alarm.metrics)
            ),
        ]
    resource = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    return {**resource, "Condition": alarm.condition} if alarm.condition else resource


def _metric(watched: Watched) -> dict[str, Any]:
    return {
        "Namespace": watched.namespace,
        "MetricName": watched.name,
        "Dimensions": [
            {"Name": name, "Value": _dimension(value)} for name, value in watched.dimensions.items()
        ],
    }


def _dimension(value: str) -> Any:
    if value == f"${{{HTTP_API_ID}}}":
        return _http_api_id()
    return {"Fn::Sub": value} if "${" in value else value


def _number(value: int | str) -> Any:
    return {"Ref": value} if isinstance(value, str) else value
