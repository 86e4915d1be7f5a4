"""The examination: every check says what it looked at, and a line for each thing that is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sqlalchemy.engine import URL

from app.core.config import ROOT, RefusedStart, load_settings
from app.core.module import Module
from app.doctor.folders import faults_of_blueprints, faults_of_folders, faults_of_snapshots
from app.doctor.sources import Source, Sources, read_sources
from app.doctor.walls import listed_is_used, neighbours_by_the_door
from app.migrations import differences
from app.registry import (
    FaultyModules,
    catalog_of,
    loadable,
    repeated_names,
    repositories,
    shape_faults,
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check found: nothing, where all is well."""

    check: str
    faults: list[str]


async def examine(root: Path = ROOT) -> list[Diagnosis]:
    """Everything, whatever of the program can be loaded. Writes nothing."""
    modules, unloadable = loadable()
    faults = [*unloadable, *_faults_of_modules(modules)]
    sources, unreadable = _readable(read_sources("app", root=root))
    return [
        Diagnosis("folders", list(faults_of_folders(root))),
        Diagnosis("modules", faults),
        Diagnosis("imports", [*unreadable, *neighbours_by_the_door(sources), *listed_is_used(sources)]),
        Diagnosis("blueprints", list(faults_of_blueprints(root, modules))),
        Diagnosis("snapshots", list(faults_of_snapshots(root, modules))),
        Diagnosis("database", await _faults_of_database(is_comparable=not faults)),
    ]


def _faults_of_modules(modules: list[Module]) -> Iterator[str]:
    try:
        catalog_of(modules)
    except FaultyModules as error:
        yield from error.faults
    yield from repeated_names(list(chain.from_iterable(r.routes for m in modules for r in m.routers)))
    yield from shape_faults(repositories())


def _readable(sources: Sources) -> tuple[Sources, list[str]]:
    """The files that are Python, and a line for each that is not."""
    kept: dict[str, Source] = {}
    faults = []
    for path, source in sources.items():
        try:
            source.tree  # noqa: B018  is worked out here
            kept[path] = source
        except SyntaxError as error:
            faults.append(f"{path}:{error.lineno} is no Python: {error.msg}")
    return Sources(kept), faults


async def _faults_of_database(*, is_comparable: bool) -> list[str]:
    try:
        url = load_settings().database
    except RefusedStart as error:
        return str(error).splitlines()
    if not is_comparable:
        return ["not compared with the models, because the modules above are faulty"]
    if _is_missing_file(url):
        return [f"{url.database} is not there yet: python -m app init-db"]
    try:
        return await differences(url)
    except Exception as error:  # noqa: BLE001  every driver has errors of its own
        return [f"can't be compared: {type(error).__name__}: {str(error).partition(chr(10))[0]}"]


def _is_missing_file(url: URL) -> bool:
    """Whether this is SQLite without its file: asking would make it."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def is_well(diagnoses: Iterable[Diagnosis]) -> bool:
    """Whether nothing was found."""
    return not any(diagnosis.faults for diagnosis in diagnoses)
