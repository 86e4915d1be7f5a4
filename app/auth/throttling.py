"""How guessing is slowed down: pure arithmetic over a tally of failures (NIST SP 800-63B 3.2.2).

Up to the limit within the window nothing happens. From then on each failure is followed by a pause, twice as
long as the last one, and never longer than a quarter of an hour: nobody is locked out for good.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How many failures are free within the window."""

    limit: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Tally:
    """Failures counted so far: how many, since when, and when the last one was."""

    count: int
    started_at: datetime
    last_at: datetime


def pause_seconds(count: int, rule: Rule) -> float:
    """How long a pause follows the failure that made the count what it is; 0 below the limit."""
    over = count - rule.limit
    if over < 0:
        return 0.0
    return LONGEST_PAUSE_SECONDS if over > 32 else min(FIRST_PAUSE_SECONDS * 2.0**over, LONGEST_PAUSE_SECONDS)  # noqa: PLR2004


def pause_left(tally: Tally | None, rule: Rule, moment: datetime) -> float:
    """Seconds until the next try is let in; 0 for now.

    A failure in the future means that the clock was set back: nobody waits for it to catch up.
    """
    if tally is None or moment < tally.last_at:
        return 0.0
    return max(0.0, pause_seconds(tally.count, rule) - (moment - tally.last_at).total_seconds())


def after_failure(tally: Tally | None, rule: Rule, moment: datetime) -> Tally:
    """The tally with one failure more; it begins anew where the former ones no longer count."""
    if tally is None or _is_forgotten(tally, rule, moment):
        return Tally(1, moment, moment)
    return Tally(tally.count + 1, tally.started_at, moment)


def _is_forgotten(tally: Tally, rule: Rule, moment: datetime) -> bool:
    """Below the limit a window counts from its first failure; beyond it only quiet after the pause helps."""
    if tally.count < rule.limit:
        return moment - tally.started_at >= rule.window
    quiet = timedelta(seconds=pause_seconds(tally.count, rule)) + rule.window
    return moment - tally.last_at >= quiet
