"""The one place that asks for the time, so that tests can move it."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, in UTC, with microseconds."""
    return datetime.now(UTC)
