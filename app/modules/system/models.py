"""Value objects; this module has no tables."""

from enum import StrEnum


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


def worst(states: list[State]) -> State:
    """The worst of several states."""
    order = list(State)
    return max(states, key=order.index, default=State.OK)
