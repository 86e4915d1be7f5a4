"""The program starts in a time that grows no faster than its modules: nothing is called more often than that."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.core.counted_start import Spelled, count
from tests.forks import FORKS

SMALL, LARGE = 8, 16
# Twice the modules may cause twice the calls, and a little more where something is sorted.
GROWTH, SLACK = 2.1, 25
SECONDS = 120
Counts = Mapping[str, int]


def counts(folder: Path, *, is_planted: bool) -> list[Counts]:
    """Of a start without, with some and with twice as many further modules."""
    folder.mkdir()
    processes = {
        number: FORKS.Process(target=count, args=(number, folder), kwargs={"is_planted": is_planted})
        for number in (0, SMALL, LARGE)
    }
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join(SECONDS)
        assert process.exitcode == 0
    return [json.loads((folder / f"{number}.json").read_text()) for number in processes]


def too_many(bare: Counts, small: Counts, large: Counts) -> list[str]:
    """What is called more often than its share: a line for each."""
    added = {
        name: (small.get(name, 0) - bare.get(name, 0), times - bare.get(name, 0))
        for name, times in large.items()
    }
    return [
        f"{name}: {few} calls for {SMALL} modules, {many} for {LARGE}"
        for name, (few, many) in added.items()
        if many > GROWTH * few + SLACK
    ]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> list[Counts]:
    return counts(tmp_path_factory.mktemp("counted") / "starts", is_planted=False)


def test_twice_the_modules_call_nothing_more_than_twice_as_often(started: list[Counts]) -> None:
    assert too_many(*started) == []


def test_all_calls_together_grow_as_the_modules_do(started: list[Counts]) -> None:
    bare, small, large = (sum(each.values()) for each in started)
    assert small - bare > 1000 * SMALL, "the modules were not part of what was counted"
    assert large - bare < GROWTH * (small - bare)


def test_planted_walks_over_all_routes_for_each_route_are_told(tmp_path: Path) -> None:
    """One calls a function for each pair; the other counts in a list, where only names are compared."""
    told = too_many(*counts(tmp_path / "starts", is_planted=True))
    assert [line for line in told if "_is_hidden:" in line]
    assert [line for line in told if f"{Spelled.__qualname__}.__eq__:" in line]
