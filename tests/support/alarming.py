"""Evaluates alarms as CloudWatch does, from the metric lines that functions print and from AWS's own metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Dimensions = frozenset[tuple[str, str]]


@dataclass
class CloudWatch:
    """Data points by metric, each in a period of an alarm that is counted from 0."""

    points: dict[tuple[str, str, Dimensions], list[tuple[int, float]]] = field(default_factory=dict)

    def read(self, lines: str, period: int) -> None:
        """What CloudWatch makes of log lines: metrics, where a line says that it contains them."""
        for text in lines.splitlines():
            line = json.loads(text) if text.startswith("{") else {}
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                for names in directive["Dimensions"]:
                    dimensions = {name: line[name] for name in names}
                    for metric in directive["Metrics"]:
                        self.put(
                            directive["Namespace"], metric["Name"], dimensions, line[metric["Name"]], period
                        )

    def put(
        self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, period: int
    ) -> None:
        key = (namespace, name, frozenset(dimensions.items()))
        self.points.setdefault(key, []).append((period, value))

    def rings(self, alarm: Mapping[str, Any], now: int) -> bool:
        """Whether this alarm (the properties of its resource, resolved) is triggered after the period `now`."""
        periods = range(now - alarm["EvaluationPeriods"] + 1, now + 1)
        breaching = [self._breaches(alarm, period) for period in periods]
        return sum(breaching) >= alarm["DatapointsToAlarm"]

    def _breaches(self, alarm: Mapping[str, Any], period: int) -> bool:
        value = self._value(alarm, period)
        if value is None:
            return bool(alarm["TreatMissingData"] == "breaching")
        if alarm["ComparisonOperator"] == "LessThanThreshold":
            return bool(value < alarm["Threshold"])
        return bool(value > alarm["Threshold"])

    def _value(self, alarm: Mapping[str, Any], period: int) -> float | None:
        if "Metrics" not in alarm:
            return self._statistic(alarm, alarm.get("Statistic") or alarm["ExtendedStatistic"], period)
        total, *parts = alarm["Metrics"]
        assert total["Expression"] == "SUM(METRICS())"
        found = [
            self._statistic(part["MetricStat"]["Metric"], part["MetricStat"]["Stat"], period)
            for part in parts
        ]
        values = [value for value in found if value is not None]
        return sum(values) if values else None

    def _statistic(self, metric: Mapping[str, Any], statistic: str, period: int) -> float | None:
        dimensions = frozenset((each["Name"], each["Value"]) for each in metric["Dimensions"])
        points = self.points.get((metric["Namespace"], metric["MetricName"], dimensions), [])
        values = [value for at, value in points if at == period]
        if not values:
            return None
        if statistic.startswith("p"):
            return percentile(values, float(statistic[1:]))
        return {"Sum": sum, "Maximum": max, "Minimum": min}[statistic](values)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]
