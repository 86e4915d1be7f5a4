"""The garbage collector rests while the program is put together, and is as it was before afterwards."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.collector import settle, undisturbed
from app.main import create_app
from tests.conftest import settings_for


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    yield
    (gc.freeze if frozen else gc.unfreeze)()
    gc.set_threshold(*thresholds)
    gc.enable()


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that are collected from now on."""
    found: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def litter() -> list[list[int]]:
    """More objects than the collector lets pass by itself."""
    return [[number] for number in range(3 * gc.get_threshold()[0])]


def test_nothing_is_collected_meanwhile(collections: list[int]) -> None:
    kept = litter()
    assert collections, "the collector does not work here at all"
    with undisturbed():
        collections.clear()
        kept += litter()
        assert collections == []
    assert gc.isenabled()


def test_what_was_made_is_not_walked_as_if_it_were_new() -> None:
    gc.unfreeze()
    with undisturbed():
        kept = litter()
    old = {id(one) for one in gc.get_objects(generation=2)}
    assert all(id(one) in old for one in kept)
    assert gc.get_freeze_count() == 0, "what was made could never be collected"


def test_what_was_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with undisturbed():
        kept = litter()
    assert kept
    assert gc.get_freeze_count() == frozen > 0


def test_collector_is_on_again_after_a_failure() -> None:
    with pytest.raises(RuntimeError), undisturbed():
        raise RuntimeError
    assert gc.isenabled()


def test_collector_that_was_off_stays_off() -> None:
    with undisturbed():
        with undisturbed():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the inner one does not end the outer one"
    gc.disable()
    with undisturbed():
        pass
    assert not gc.isenabled()


def test_making_the_app_is_undisturbed(collections: list[int]) -> None:
    settings = settings_for("sqlite+aiosqlite:///./never-opened.db", "")
    gc.collect()  # so that none is due
    collections.clear()
    create_app(settings)
    assert collections == []


def test_settled_objects_are_out_of_sight() -> None:
    gc.unfreeze()
    kept = litter()
    settle()
    assert gc.get_freeze_count() >= len(kept)
    assert gc.get_threshold()[0] > 10_000
