"""The dashboard of a stage: what is sold, what is refused, how fast, and what it costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from openbooking.infra import firewall, templates
from openbooking.infra.templates import APP_NAME, FUNCTIONS

# Replaced by CloudFormation. Nothing else in the dashboard may contain `${`.
_STAGE = "${Stage}"
_REGION = "${AWS::Region}"
_OWN = ["OpenBooking", "{name}", "service", "open-booking", "stage", _STAGE]

_HALF, _HEIGHT = 12, 6


def body(alarms: Sequence[str], options: Collection[str] = ()) -> dict[str, Any]:
    """The dashboard's body, with `${Stage}`, `${HttpApiId}` and the pseudo parameters of CloudFormation in its texts.

    `options` are those of the stage that have separate graphs.
    """
    widgets = [_alarms(alarms), *_graphs(), *_graphs_of(options), *_causes()]
    return {"start": "-P1D", "periodOverride": "auto", "widgets": list(_placed(widgets))}


def _graphs() -> Iterator[dict[str, Any]]:
    yield _graph("Bookings", [_own("Bookings"), _own("Cancellations")])
    takings = _search("currency", "Takings", "Sum")
    yield _graph("Takings", [[{"expression": f"{takings}/100", "label": ""}]])
    yield _graph("Refusals by reason", [[{"expression": _search("error", "Refusals", "Sum"), "label": ""}]])
    yield _graph("Lost races", [_own("CommitsRefused")])
    yield _graph("Leases", [_own("LeasesMade"), _own("LeasesEnded")])
    behind = [
        ["AWS/Lambda", "IteratorAge", "FunctionName", each.deployed_name(_STAGE), {"stat": "Maximum"}]
        for each in FUNCTIONS
        if each.stream
    ]
    age = _search("stream", "FeedAge", "Maximum")
    yield _graph("Feeds: age of changes (s) when published", [[{"expression": age, "label": ""}]])
    yield _graph("Streams: age of the oldest change not published (ms)", behind)
    for statistic in ("p50", "p99"):
        routes = _search("verb,path", "milliseconds", statistic)
        yield _graph(f"Latency by route, {statistic} (ms)", [[{"expression": routes, "label": ""}]])
    api = ["ApiName", APP_NAME, "Stage", _STAGE]
    yield _graph(
        "Requests, and those with errors",
        [["AWS/ApiGateway", each, *api] for each in ("Count", "4XXError", "5XXError")],
    )
    functions = [["FunctionName", each.deployed_name(_STAGE)] for each in FUNCTIONS]
    yield _graph(
        "Functions: errors and throttles",
        [["AWS/Lambda", name, *each] for each in functions for name in ("Errors", "Throttles")],
    )
    waiting = ("PendingWorkWaiting", "PendingWorkFailed", "PendingWorkSetAside", "RecordsParked")
    yield _graph("Unfinished work", [_own(each) for each in waiting])
    yield _graph(
        "Cost: functions (ms)", [["AWS/Lambda", "Duration", *each, {"stat": "Sum"}] for each in functions]
    )
    yield _graph("Cost: invocations", [["AWS/Lambda", "Invocations", *each] for each in functions])
    tables = [each.name for each in templates.table_definitions(f"{APP_NAME}-{_STAGE}")]
    for kind in ("Write", "Read"):
        yield _graph(
            f"Cost: {kind.lower()} units of the tables",
            [["AWS/DynamoDB", f"Consumed{kind}CapacityUnits", "TableName", each] for each in tables],
        )
    yield _graph(
        "Cost: bytes logged",
        [
            ["AWS/Logs", "IncomingBytes", "LogGroupName", f"/aws/lambda/{each.deployed_name(_STAGE)}"]
            for each in FUNCTIONS
        ],
    )


def _graphs_of(options: Collection[str]) -> Iterator[dict[str, Any]]:
    if "http_api" in options:
        api = ["ApiId", "${HttpApiId}"]
        yield _graph(
            "HTTP API: requests, and those with errors",
            [["AWS/ApiGateway", each, *api] for each in ("Count", "4xx", "5xx")],
        )
        yield _graph(
            "HTTP API: latency (ms)",
            [["AWS/ApiGateway", "Latency", *api, {"stat": each}] for each in ("p50", "p99")],
        )
    if "firewall" in options:
        of_all = ["WebACL", firewall.NAME, "Region", _REGION]
        rules = ["ALL", *(each.name for each in firewall.LIMITS)]
        yield _graph(
            "Firewall: refused requests",
            [["AWS/WAFV2", "BlockedRequests", *of_all, "Rule", each] for each in rules],
        )


def _causes() -> Iterator[dict[str, Any]]:
    source = f"SOURCE '/aws/lambda/{APP_NAME}-{_STAGE}' | "
    for title, query in (
        (
            "Causes of 503",
            "filter status = 503 | parse busy '*:*' as cause, rows | stats count(*) by error, cause, path",
        ),
        ("Slowest requests", "filter ispresent(milliseconds) | sort milliseconds desc | limit 20"
         " | display @timestamp, milliseconds, status, verb, path, request_id"),
    ):  # fmt: skip
        properties = {"title": title, "region": _REGION, "view": "table", "query": source + query}
        yield {"type": "log", "properties": properties}


def _alarms(names: Sequence[str]) -> dict[str, Any]:
    arn = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:"
    return {
        "type": "alarm",
        "properties": {
            "title": "Alarms (docs/runbook.md)",
            "alarms": [f"{arn}{APP_NAME}-{_STAGE}-{name}" for name in names],
        },
    }


def _graph(title: str, metrics: list[Any]) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": _REGION,
            "view": "timeSeries",
            "stat": "Sum",
            "period": 300,
            "metrics": metrics,
        },
    }


def _own(name: str) -> list[str]:
    return [each.format(name=name) if each == "{name}" else each for each in _OWN]


def _search(by: str, metric: str, statistic: str) -> str:
    """All metrics of that name, one for each value of the dimensions `by`."""
    dimensions = ",".join(sorted([*by.split(","), "service", "stage"]))
    return f"SEARCH('{{OpenBooking,{dimensions}}} MetricName=\"{metric}\" stage=\"{_STAGE}\"', '{statistic}', 300)"


def _placed(widgets: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Two in a row."""
    for number, widget in enumerate(widgets):
        place = {"x": (number % 2) * _HALF, "y": number // 2 * _HEIGHT, "width": _HALF, "height": _HEIGHT}
        yield {**place, **widget}
