"""Prometheus metrics: requests by route, and what goes wrong unseen."""

import os
from collections.abc import Mapping
from typing import Any

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

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

    def observe(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """One request. Paths that matched no route share a label: a client must not be able to make labels."""
        if self._count is None or self._seconds is None:
            return
        route = getattr(scope.get("route"), "template", "none")
        key = (scope["method"] if route != "none" else "any", route, status)
        if key not in self._children:
            self._children[key] = (self._count.labels(*key), self._seconds.labels(*key[:2]))
        count, duration = self._children[key]
        count.inc()
        duration.observe(seconds)


_metrics = RequestMetrics()
enable = _metrics.enable
observe = _metrics.observe


def exposition() -> bytes:
    """All metrics as text; those of every worker where `PROMETHEUS_MULTIPROC_DIR` is set."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    collect: Any = multiprocess.MultiProcessCollector  # has no annotations
    collect(registry)
    return generate_latest(registry)
