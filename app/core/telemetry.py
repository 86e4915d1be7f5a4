"""Prometheus metrics: requests by route, and what goes wrong unseen."""

import os
from typing import Any

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RequestMetrics:
    """Counts and times of requests. Off until `enable`, so that nothing is paid for nothing."""

    def __init__(self) -> None:
        """Makes no metric yet: the multi-process mode is chosen by the environment at that moment."""
        self._count: Counter | None = None
        self._seconds: Histogram | None = None
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def enable(self) -> None:
        """Registers the metrics, once for the process."""
        if self._count is None:
            self._count = Counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
            self._seconds = Histogram(
                "http_request_duration_seconds",
                "Time to the last byte.",
                ["method", "route"],
                buckets=_BUCKETS,
            )

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """One request. Paths that matched no route share a label: a client must not be able to make labels."""
        if self._count is None or self._seconds is None:
            return
        key = ("any", "none", status) if route is None else (method, route, status)
        if key not in self._children:
            self._children[key] = (self._count.labels(*key), self._seconds.labels(*key[:2]))
        count, duration = self._children[key]
        count.inc()
        duration.observe(seconds)


class AuditMetrics:
    """How the two logs are. Off until `enable`, like those of requests."""

    def __init__(self) -> None:
        """Makes no metric yet."""
        self._rows: Counter | None = None

    def enable(self) -> None:
        """Registers the metrics, once for the process."""
        if self._rows is not None:
            return
        self._rows = Counter("audit_rows_total", "Rows written to a log.", ["stream"])
        self._seconds = Histogram(
            "audit_write_seconds", "Time to write a batch of the access log.", buckets=_BUCKETS
        )
        self._depth = Gauge("audit_queue_depth", "Rows that wait to be written.", multiprocess_mode="livesum")
        self._spooled = Counter("audit_spooled_total", "Rows that went to a file: the database was away.")
        self._unknown = Counter("audit_unknown_actor_total", "Changes made by nobody knows whom.")
        self._refused = Counter("audit_guard_refused_total", "Statements that the guard refused.")
        self._unsealed = Gauge(
            "audit_unsealed_rows", "Rows behind the newest seal.", ["stream"], multiprocess_mode="mostrecent"
        )
        self._unsealed_age = Gauge(
            "audit_oldest_unsealed_seconds",
            "Age of the oldest row behind the newest seal.",
            ["stream"],
            multiprocess_mode="mostrecent",
        )
        self._unanchored = Counter("audit_anchor_failed_total", "Attempts to reach the anchor that failed.")

    def written(self, stream: str, rows: int, seconds: float | None = None) -> None:
        """Rows of `access` or `changes` that are in the database."""
        if self._rows is not None:
            self._rows.labels(stream).inc(rows)
            if seconds is not None:
                self._seconds.observe(seconds)

    def waiting(self, rows: int) -> None:
        """So many rows are in the queue now."""
        if self._rows is not None:
            self._depth.set(rows)

    def spooled(self, rows: int) -> None:
        """Rows that went to a file."""
        if self._rows is not None:
            self._spooled.inc(rows)

    def unknown_actor(self) -> None:
        """A change outside of requests and of `acting_as`."""
        if self._rows is not None:
            self._unknown.inc()

    def guard_refused(self) -> None:
        """A statement that the change log would not have seen."""
        if self._rows is not None:
            self._refused.inc()

    def unsealed(self, stream: str, rows: int, age_seconds: float) -> None:
        """What waits for a seal."""
        if self._rows is not None:
            self._unsealed.labels(stream).set(rows)
            self._unsealed_age.labels(stream).set(age_seconds)

    def anchor_failed(self) -> None:
        """The heads of the chains could not be told to the anchor."""
        if self._rows is not None:
            self._unanchored.inc()


_metrics = RequestMetrics()
observe = _metrics.observe
audit = AuditMetrics()


def enable() -> None:
    """Registers all metrics, once for the process."""
    _metrics.enable()
    audit.enable()


def exposition() -> bytes:
    """All metrics as text; those of every worker where `PROMETHEUS_MULTIPROC_DIR` is set."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    collect: Any = multiprocess.MultiProcessCollector  # has no annotations
    collect(registry)
    return generate_latest(registry)
