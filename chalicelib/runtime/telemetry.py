"""Logs and metrics: what happened to which request, by ids, never with personal data.

A metric is written as a part of a log line, in CloudWatch's embedded metric format. The counts of a request are
written in its own line, so that metrics cost no line.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from traceback import format_tb
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.domain.orders import Order
    from chalicelib.domain.partner_limits import Usage
    from chalicelib.feeds.parked import ParkedRecord

# Libraries log what they process, at levels that may be enabled for all loggers: tokens and user names,
# whole rows, the answers of KMS. The first two log nothing else of use.
_SILENCED = {
    "authlib": logging.CRITICAL + 1,
    "joserfc": logging.CRITICAL + 1,
    "botocore": logging.WARNING,
    "pynamodb": logging.WARNING,
    "urllib3": logging.WARNING,
}

NAMESPACE = "OpenBooking"
# Not the name of a package: Powertools changes all loggers below this name.
SERVICE = "open-booking"


@dataclass(frozen=True)
class Metric:
    """What a metric measures. `by` are keys of its line that are dimensions, besides the service and the stage."""

    meaning: str
    by: tuple[str, ...] = ()
    unit: str = "Count"


# Every combination of values of its dimensions is a metric that CloudWatch charges for: nothing here may have
# more than some dozens of values.
METRICS = {
    "Requests": Metric("Requests that were answered."),
    "milliseconds": Metric("Time to answer a request, by route.", ("verb", "path"), "Milliseconds"),
    "Faults": Metric("Requests that were answered with status 500 or above."),
    "Refusals": Metric("Requests that were refused, by the first error.", ("error",)),
    "Bookings": Metric("Orders that were made by B, without repeated requests."),
    "Takings": Metric(
        "Total payment due of these Orders, in hundredths of the currency.", ("currency",), "None"
    ),
    "Cancellations": Metric("Requests of Brokers that cancelled items of an Order."),
    "LeasesMade": Metric("Answers to C1 and C2 with a lease."),
    "LeasesEnded": Metric("Leases that the sweep ended."),
    "CommitsRefused": Metric("Commits that lost a race and were retried."),
    "PartnerNearLimit": Metric("Requests of partners near one of their limits."),
    "PartnerAtLimit": Metric("Requests of partners that one of their limits applied to."),
    "Failures": Metric("Unexpected errors."),
    "KeyFailures": Metric("Calls to KMS that failed."),
    "FeedAge": Metric("Age of the oldest change when it was published, by stream.", ("stream",), "Seconds"),
    "RecordsParked": Metric("Stream records that can never be published."),
    "BatchesRetried": Metric("Stream batches that will be delivered again."),
    "Sweeps": Metric("Completed runs of the sweep."),
    "PendingWorkWaiting": Metric("Entries of pending work that were left after a sweep."),
    "PendingWorkFailed": Metric("Entries of pending work that failed."),
    "SourcesOverdue": Metric("Sources that were not imported for the time of their setting."),
    "PendingWorkSetAside": Metric("Entries of pending work that were set aside."),
}


@lru_cache(maxsize=256)
def _directives(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """How CloudWatch reads the metrics of one line: for each set of dimensions, its metrics."""
    by_dimensions: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        by_dimensions.setdefault(("service", "stage", *METRICS[name].by), []).append(name)
    return [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [dimensions],
            "Metrics": [{"Name": name, "Unit": METRICS[name].unit} for name in metrics],
        }
        for dimensions, metrics in by_dimensions.items()
    ]


class Telemetry:
    """One line a request in the log, with its counts for alarms and the dashboard."""

    def __init__(self, *, level: str = "INFO", metrics: bool = True, stage: str = "local") -> None:
        self._logger = Logger(service=SERVICE, level=level)
        self._logger.setLevel(level)  # an earlier logger of this process may have another level
        for library, threshold in _SILENCED.items():
            logging.getLogger(library).setLevel(threshold)
        self._with_metrics = metrics
        self._logs_requests = logging.getLogger(SERVICE).isEnabledFor(logging.INFO)
        # Stages of one account share the namespace; each has its own metrics and alarms.
        self._stage = stage
        self._counts: dict[str, float] = {}
        self._dimensions: dict[str, str] = {}
        self._request: dict[str, str] = {}

    def begin(self, request_id: str) -> None:
        """Start an invocation: every line until the next one names this request.

        Of an HTTP request it is the id that API Gateway returns to the caller (`x-amzn-RequestId`), otherwise
        the id of the function's invocation.
        """
        self._request = {"request_id": request_id} if request_id else {}

    def request(self, *, status: int, milliseconds: float, **ids: Any) -> None:
        """Log a request that was answered, with all its counts. `ids` may contain ids and names of types only."""
        details = {key: value for key, value in ids.items() if value is not None}
        error = details.get("error", "")
        duration = round(milliseconds, 1)
        self.count("Requests")
        if "path" in details:
            self.count("milliseconds", duration, verb=details.get("verb", ""), path=details["path"])
        if error:
            self.count("Refusals", error=error)
        if status >= 500 and error.startswith(("Internal", "Temporarily")):
            self.count("Faults")
        if self._logs_requests:
            line = {"status": status, "milliseconds": duration, **details, **self._taken_metrics()}
            self._logger.info("request", **(self._request | line))

    def count(self, metric: str, value: float = 1, **dimensions: str) -> None:
        """Add to a count; `dimensions` are the values of those that METRICS names for it.

        They are kept once for each invocation: it handles one request, or one stream.
        """
        if self._with_metrics:
            self._counts[metric] = self._counts.get(metric, 0) + value
            self._dimensions |= dimensions

    def _taken_metrics(self) -> dict[str, Any]:
        """What makes a line one with metrics; the counts start again at nothing."""
        if not self._counts:
            return {}
        counts, dimensions = self._counts, self._dimensions
        self._counts, self._dimensions = {}, {}
        metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": _directives(tuple(counts))}
        return {"_aws": metadata, "stage": self._stage, **dimensions, **counts}

    def booked(self, order: "Order") -> None:
        """Count a new Order, and what is paid for it."""
        self.count("Bookings")
        if order.totals.currency:
            self.count("Takings", int(order.totals.due * 100), currency=order.totals.currency)

    def published(self, stream: str, seconds: float | None) -> None:
        """Measure how old the oldest change of a batch was when it was in its feed."""
        if seconds is not None:
            self.count("FeedAge", round(seconds, 1), stream=stream)

    def key_failed(self, error: BaseException) -> None:
        """Log a call to KMS that failed: without its message, which may quote what was to be decrypted."""
        self._log(logging.ERROR, "signing key cannot be used", error=type(error).__name__)
        self.count("KeyFailures")

    def _log(self, level: int, message: str, **details: Any) -> None:
        write = {logging.INFO: self._logger.info, logging.WARNING: self._logger.warning}
        write.get(level, self._logger.error)(message, **(self._request | details))

    def refused(self, reasons: tuple[object, ...]) -> None:
        """Log a commit that lost a race and is retried."""
        self._log(logging.INFO, "commit refused", reasons=[type(reason).__name__ for reason in reasons])
        self.count("CommitsRefused")

    def partner_usage(self, partner_id: str, usage: "Usage") -> None:
        """Log a partner that is near to one of its limits, or was limited by it."""
        details: dict[str, Any] = {
            "partner": partner_id,
            "limit": usage.limit.value,
            "used": usage.used,
            "most": usage.most,
        }
        if usage.is_exceeded:
            self._log(logging.INFO, "partner at limit", **details)
            self.count("PartnerAtLimit")
        else:
            self._log(logging.INFO, "partner near limit", **details)
            self.count("PartnerNearLimit")

    def failure(self, what: str, error: BaseException, **ids: Any) -> None:
        """Log an unexpected error, with its stack trace."""
        self._log(logging.ERROR, what, exc_info=error, **ids)
        self.count("Failures")

    def work_failed(self, kind: str, entry_id: str, error: BaseException) -> None:
        """Log pending work that failed and is retried. Without an id, a whole kind of work."""
        self._log(logging.ERROR, "pending work failed", exc_info=error, kind=kind, entry=entry_id)
        self.count("PendingWorkFailed")

    def work_set_aside(self, kind: str, entry_id: str, error: BaseException) -> None:
        """Log pending work that was set aside, until an operator replays it."""
        self._log(logging.ERROR, "pending work set aside", exc_info=error, kind=kind, entry=entry_id)
        self.count("PendingWorkSetAside")

    def record_parked(self, parked: "ParkedRecord", error: BaseException) -> None:
        """Log a stream record that was parked, until an operator replays it.

        Without the error's message, which may quote the contents of the record.
        """
        self._log(
            logging.ERROR,
            "stream record parked",
            stream=parked.stream,
            record=parked.id,
            row=parked.row,
            error=parked.error,
            trace=format_tb(error.__traceback__),
        )
        self.count("RecordsParked")

    def batch_retried(self, stream: str, position: str, error: BaseException, *, busy: bool) -> None:
        """Log stream records that will be delivered again; `busy` if the cause should be temporary."""
        if not busy:
            self.failure("stream records not handled", error, stream=stream, position=position)
            return
        self._log(logging.WARNING, "stream records not handled yet", stream=stream, position=position)
        self.count("BatchesRetried")

    def work_waiting(self, waiting: Mapping[str, int]) -> None:
        """Log how many entries of pending work are left after a run, by kind of work."""
        if any(waiting.values()):
            self._log(logging.INFO, "pending work waiting", kinds=dict(waiting))
        self.count("PendingWorkWaiting", sum(waiting.values()))

    def info(self, what: str, **ids: Any) -> None:
        """Write one line to the log."""
        self._log(logging.INFO, what, **ids)

    def flush(self) -> None:
        """Write the counts that no line of a request contains; once for each invocation."""
        if self._counts:
            line = {"service": SERVICE, **self._request, **self._taken_metrics()}
            sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
            sys.stdout.flush()
