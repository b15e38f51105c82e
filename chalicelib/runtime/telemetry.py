"""Logs and metrics: what happened to which request, by ids, never with personal data."""

import logging
from collections.abc import Mapping
from traceback import format_tb
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

if TYPE_CHECKING:
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


class Telemetry:
    """One line a request in the log, and counts for the dashboard."""

    def __init__(self, *, level: str = "INFO", metrics: bool = True, stage: str = "local") -> None:
        self._logger = Logger(service=SERVICE, level=level)
        self._logger.setLevel(level)  # an earlier logger of this process may have another level
        for library, threshold in _SILENCED.items():
            logging.getLogger(library).setLevel(threshold)
        # Not `Metrics`, whose dimensions are shared by all instances in a process.
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE) if metrics else None
        if self._metrics is not None:
            # Stages of one account share the namespace; each has its own metrics and alarms (infra/alarms.json).
            self._metrics.set_default_dimensions(stage=stage)

    def request(self, *, status: int, milliseconds: float, **ids: Any) -> None:
        """Log a request that was answered. `ids` may contain ids and names of types only."""
        details = {key: value for key, value in ids.items() if value is not None}
        self._logger.info("request", status=status, milliseconds=round(milliseconds, 1), **details)
        self.count("Requests")
        if status >= 500 and details.get("error", "").startswith(("Internal", "Temporarily")):
            self.count("Faults")

    def count(self, metric: str, value: int = 1) -> None:
        """Add to a count."""
        if self._metrics is not None:
            self._metrics.add_metric(metric, MetricUnit.Count, value)

    def refused(self, reasons: tuple[object, ...]) -> None:
        """Log a commit that lost a race and is retried."""
        self._logger.info("commit refused", reasons=[type(reason).__name__ for reason in reasons])
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
            self._logger.info("partner at limit", **details)
            self.count("PartnerAtLimit")
        else:
            self._logger.info("partner near limit", **details)
            self.count("PartnerNearLimit")

    def failure(self, what: str, error: BaseException, **ids: Any) -> None:
        """Log an unexpected error, with its stack trace."""
        self._logger.error(what, exc_info=error, **ids)
        self.count("Failures")

    def work_failed(self, kind: str, entry_id: str, error: BaseException) -> None:
        """Log pending work that failed and is retried. Without an id, a whole kind of work."""
        self._logger.error("pending work failed", exc_info=error, kind=kind, entry=entry_id)
        self.count("PendingWorkFailed")

    def work_set_aside(self, kind: str, entry_id: str, error: BaseException) -> None:
        """Log pending work that was set aside, until an operator replays it."""
        self._logger.error("pending work set aside", exc_info=error, kind=kind, entry=entry_id)
        self.count("PendingWorkSetAside")

    def record_parked(self, parked: "ParkedRecord", error: BaseException) -> None:
        """Log a stream record that was parked, until an operator replays it.

        Without the error's message, which may quote the contents of the record.
        """
        self._logger.error(
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
        self._logger.warning("stream records not handled yet", stream=stream, position=position)
        self.count("BatchesRetried")

    def work_waiting(self, waiting: Mapping[str, int]) -> None:
        """Log how many entries of pending work are left after a run, by kind of work."""
        if any(waiting.values()):
            self._logger.info("pending work waiting", kinds=dict(waiting))
        self.count("PendingWorkWaiting", sum(waiting.values()))

    def info(self, what: str, **ids: Any) -> None:
        """Write one line to the log."""
        self._logger.info(what, **ids)

    def flush(self) -> None:
        """Write the counts, once for each invocation."""
        if self._metrics is not None and self._metrics.metric_set:
            self._metrics.flush_metrics()
