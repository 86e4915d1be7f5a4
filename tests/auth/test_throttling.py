"""The arithmetic of pauses: whatever the order of failures and waits, guessing is slow and nobody is locked out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.throttling import Rule, Tally, after_failure, pause_left, pause_seconds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
RULE = Rule(10, WINDOW)
TICK = timedelta(microseconds=1)

rules = st.builds(Rule, st.integers(1, 100), st.integers(1, 24 * 60).map(lambda n: timedelta(minutes=n)))
# Down to the microsecond, as clocks tell; around the pauses and windows, and far beyond them.
waits = st.one_of(
    st.timedeltas(timedelta(0), timedelta(seconds=12)),
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.sampled_from([timedelta(0), TICK, timedelta(seconds=5), timedelta(seconds=900), WINDOW]),
)
moments = st.integers(-(10**13), 10**13).map(lambda n: NOON + timedelta(microseconds=n))
tallies = st.builds(Tally, st.integers(1, 10**6), moments, moments)


class Guesser:
    """Fails whenever it is let in, and keeps a diary."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.moment = NOON
        self.tally: Tally | None = None
        self.free: list[datetime] = []
        self.paused: list[datetime] = []

    @property
    def left(self) -> float:
        return pause_left(self.tally, self.rule, self.moment)

    def wait(self, wait: timedelta) -> None:
        self.moment += wait

    def guess(self) -> bool:
        """Whether it was let in."""
        if self.left > 0:
            return False
        self.tally = after_failure(self.tally, self.rule, self.moment)
        (self.paused if self.left > 0 else self.free).append(self.moment)
        return True


def guess_often(guesser: Guesser, times: int) -> int:
    return sum(guesser.guess() for _ in range(times))


def test_pauses_begin_at_the_limit_double_and_end_at_a_quarter_of_an_hour() -> None:
    pauses = [pause_seconds(count, RULE) for count in range(1, 22)]
    assert pauses == [0] * 9 + [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]
    assert pause_seconds(10**9, RULE) == 900


def test_limit_of_one_pauses_after_the_first_failure() -> None:
    assert [pause_seconds(count, Rule(1, WINDOW)) for count in (1, 2, 3)] == [5, 10, 20]


def test_refused_tries_do_not_count() -> None:
    guesser = Guesser(RULE)
    assert guess_often(guesser, 1000) == 10
    assert guesser.left == 5.0
    guesser.wait(timedelta(seconds=5) - TICK)
    assert not guesser.guess()
    guesser.wait(TICK)
    assert guess_often(guesser, 1000) == 1
    assert guesser.left == 10.0


def test_window_begins_with_the_first_failure() -> None:
    guesser = Guesser(RULE)
    guesser.guess()
    guesser.wait(WINDOW - TICK)
    assert guess_often(guesser, 8) == 8
    guesser.wait(TICK)
    assert guess_often(guesser, 9) == 9
    assert guesser.left == 0
    assert guess_often(guesser, 5) == 1
    assert guesser.left == 5.0


def test_beyond_the_limit_only_quiet_forgets() -> None:
    guesser = Guesser(RULE)
    guess_often(guesser, 10)
    for pause in (10, 20, 40, 80, 160, 320, 640, 900, 900):
        guesser.wait(timedelta(seconds=guesser.left) + WINDOW - TICK)
        assert guesser.guess()
        assert guesser.left == pause
    guesser.wait(timedelta(seconds=900) + WINDOW)
    assert guess_often(guesser, 20) == 10


def test_nobody_without_a_failure_waits() -> None:
    assert pause_left(None, RULE, NOON) == 0.0


@given(rules, st.lists(waits, max_size=60))
def test_only_so_many_failures_are_free(rule: Rule, given_waits: list[timedelta]) -> None:
    guesser = Guesser(rule)
    for wait in given_waits:
        guesser.wait(wait)
        guess_often(guesser, rule.limit + 1)
        tally = guesser.tally
        assert tally is not None
        # Since the tally began: the limit, and one more for each pause that went by.
        began = tally.started_at
        let_in = [at for at in (*guesser.free, *guesser.paused) if at >= began]
        ended = [at for at in guesser.paused if at >= began and at < tally.last_at]
        assert len(let_in) <= rule.limit + len(ended)
    # Two windows may meet within the length of one.
    for since in guesser.free:
        assert sum(since <= at < since + rule.window for at in guesser.free) <= 2 * (rule.limit - 1)


@given(rules, st.lists(waits, max_size=60))
def test_each_failure_over_the_limit_costs_a_pause_and_waiting_it_out_lets_in(
    rule: Rule, given_waits: list[timedelta]
) -> None:
    guesser = Guesser(rule)
    for wait in given_waits:
        guesser.wait(wait)
        left = guesser.left
        assert 0 <= left <= 900
        guesser.wait(timedelta(seconds=left))
        assert guesser.left == 0
        assert guesser.guess()
    gaps = [later - earlier for earlier, later in zip(guesser.paused, guesser.paused[1:], strict=False)]
    assert all(gap >= timedelta(seconds=5) for gap in gaps)


@given(tallies, rules, moments)
def test_pause_is_bounded_whatever_the_clock_and_the_tally_say(
    tally: Tally, rule: Rule, moment: datetime
) -> None:
    left = pause_left(tally, rule, moment)
    assert 0 <= left <= pause_seconds(tally.count, rule) <= 900
    assert pause_left(tally, rule, moment + timedelta(seconds=left)) == 0


@given(tallies, rules, moments, st.integers(0, 100))
def test_more_failures_never_mean_a_shorter_pause(
    tally: Tally, rule: Rule, moment: datetime, more: int
) -> None:
    worse = Tally(tally.count + more, tally.started_at, tally.last_at)
    assert pause_left(worse, rule, moment) >= pause_left(tally, rule, moment)


@pytest.mark.parametrize("jump", [TICK, timedelta(seconds=3), timedelta(hours=1), timedelta(days=365)])
def test_clock_set_back_keeps_nobody_waiting_for_it_to_catch_up(jump: timedelta) -> None:
    guesser = Guesser(RULE)
    while guesser.left < 900:
        guesser.wait(timedelta(seconds=guesser.left))
        guesser.guess()
    guesser.wait(-jump)
    assert guess_often(guesser, 1000) == 1, "the guess that follows is counted by the clock as it is now"
    assert guesser.left == 900
    guesser.wait(timedelta(seconds=900))
    assert guesser.guess()
