"""Finds the modules and checks them: adding a folder adds a module, and what is wrong with it stops the start."""

import pkgutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

import app.modules
from app.auth.dependencies import AnyGuard, guards_of
from app.core.collector import undisturbed
from app.core.entity import table_of
from app.core.module import Catalog, Module
from app.core.repository import BaseRepository
from app.core.shape import plan_of

API_PREFIX = "/api/v1"


class FaultyModules(Exception):
    """Modules that can't be started; `faults` has a line for each thing that is wrong."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Keeps the lines."""
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


@cache
@undisturbed()
def discover() -> Catalog:
    """Every `app/modules/*/module.py`, lowest first. Raises FaultyModules."""
    return catalog_of([_module_in(folder) for folder in _folders()])


def loadable() -> tuple[list[Module], list[str]]:
    """The modules that can be imported, and a line for each that can't: for whoever looks what is wrong."""
    found, faults = [], []
    for folder in _folders():
        try:
            found.append(_module_in(folder))
        except Exception as error:  # noqa: BLE001  whatever the code of a module raises
            faults.append(f"{folder}: does not load: {type(error).__name__}: {error}")
    return found, faults


def _folders() -> list[str]:
    return [info.name for info in pkgutil.iter_modules(app.modules.__path__) if info.ispkg]


def _module_in(folder: str) -> Module:
    module: Module = import_module(f"app.modules.{folder}.module").MODULE
    return module


def catalog_of(modules: Sequence[Module]) -> Catalog:
    """The modules, checked and in order. Raises FaultyModules."""
    names = Counter(module.name for module in modules)
    faults = [fault for module in modules for fault in declaration_faults(module, names)]
    if faults:
        raise FaultyModules(faults)
    by_name = {module.name: module for module in modules}
    try:
        order = list(TopologicalSorter({m.name: sorted(m.depends_on) for m in modules}).static_order())
    except CycleError as error:
        raise FaultyModules(
            [f"modules depend on each other in a circle: {' -> '.join(error.args[1])}"]
        ) from None
    return Catalog(tuple(by_name[name] for name in order))


def declaration_faults(module: Module, names: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with one declaration; `names` counts those of all modules."""
    codes = Counter(privilege.code for privilege in module.privileges)
    if names[module.name] > 1:
        yield f"{module.name}: another module has the same name"
    for name in module.depends_on:
        if name not in names:
            yield f"{module.name}: depends on {name}, which is not there"
    for code in codes.elements():
        if code.partition(":")[0] != module.name:
            yield f"{module.name}: declares {code}, which is not in its name"
        if codes[code] > 1:
            yield f"{module.name}: declares {code} twice"
    for code in {code for granted in module.grants.values() for code in granted} - codes.keys():
        yield f"{module.name}: grants {code}, which it does not declare"
    yield from route_faults(module)


def route_faults(module: Module) -> Iterator[str]:
    """Routes without exactly one guard, guards that ask for what is not declared, privileges nobody asks for."""
    declared = {privilege.code for privilege in module.privileges}
    asked: set[str] = set()
    for router in module.routers:
        for context in iter_route_contexts(router.routes):
            name = f"{module.name}: {label(context)}"
            guards = guards_at(context)
            if len(guards) != 1:
                yield f"{name} has {len(guards)} guards instead of one"
            for code in (code for guard in guards for code in guard.privileges):
                asked.add(code)
                if code not in declared:
                    yield f"{name} asks for {code}, which the module does not declare"
    for code in sorted(declared - asked - {p.code for p in module.privileges if p.reserved}):
        yield f"{module.name}: no route asks for {code}"


def guards_at(context: RouteContext) -> list[AnyGuard]:
    """The guards of a route; none for what is no route of FastAPI's."""
    return list(guards_of(getattr(context, "dependant", None)))


def label(context: RouteContext) -> str:
    """`GET /users/{user_id}`."""
    return f"{','.join(sorted(context.methods or ()))} {context.path}".strip()


def naked_routes(routes: Sequence[BaseRoute], allowed: Iterable[str]) -> list[str]:
    """Routes of the whole app that have no guard and are not on the list of those that may have none."""
    may = set(allowed)
    return [
        label(context)
        for context in iter_route_contexts(routes)
        if context.path not in may and len(guards_at(context)) != 1
    ]


def repeated_names(routes: Sequence[BaseRoute]) -> list[str]:
    """Endpoint functions of the same name: the name is the operation's id in the OpenAPI document."""
    contexts = [context for context in iter_route_contexts(routes) if guards_at(context)]
    names = Counter(str(context.name) for context in contexts)
    return [
        f"{label(c)}: another endpoint is called {c.name} too" for c in contexts if names[str(c.name)] > 1
    ]


def repositories(root: type[BaseRepository[Any]] = BaseRepository) -> Iterator[type[BaseRepository[Any]]]:
    """Every repository of the program."""
    for repository in root.__subclasses__():
        yield repository
        yield from repositories(repository)


def shape_faults(among: Iterable[type[BaseRepository[Any]]]) -> list[str]:
    """Lists whose columns don't fit the shape that they promise; their values go out without another look."""
    faults = []
    for repository in among:
        for shape in repository.summaries:
            try:
                misfits = list(plan_of(table_of(repository.model), shape).misfits(shape))
            except KeyError as error:
                misfits = [str(error)]
            faults += [
                f"{repository.__name__}: {shape.__name__} does not fit its columns: {m}" for m in misfits
            ]
    return faults
