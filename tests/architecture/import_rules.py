"""Who may import what. Each rule is a function from the sources to a line for each violation."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from app.doctor.walls import listed_is_used, module_of, modules, neighbours_by_the_door
from tests.architecture.sources import Source, Sources

# From below to above; imports go strictly down. What shares a floor doesn't know each other.
FLOORS = (
    ("app.core",),
    ("app.auth", "app.pages", "app.migrations"),
    ("app.modules",),
    ("app.registry",),
    ("app.composition", "app.openapi", "app.doctor"),
    ("app.startup",),
    ("app.main",),
    ("app.commands",),
    ("app.cli",),
    ("app.__main__",),
)
HEIGHTS = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def room(name: str) -> str:
    """`app.core` for `app.core.middleware.head`, `app.main` for itself, `app` for the package."""
    return ".".join(name.split(".")[:2])


def package_of(source_name: str) -> str:
    """The folder of a file, as far as cycles are concerned; files directly in `app` stand for themselves."""
    return source_name.rpartition(".")[0] if source_name.count(".") > 1 else source_name


def _goes_down(importer: str, imported: str) -> bool:
    above, below = room(importer), room(imported)
    if above == below or imported == "app":
        return True
    return above in HEIGHTS and below in HEIGHTS and HEIGHTS[above] > HEIGHTS[below]


def floors(sources: Sources) -> Iterator[str]:
    """Imports only point down, and each file of `app` has a floor."""
    for source in sources.below("app"):
        if source.name != "app" and room(source.name) not in HEIGHTS:
            yield f"{source.path} has no floor: give it one in {__name__}"
            continue
        for target in sorted(sources.targets(source)):
            if not _goes_down(source.name, target):
                yield f"{source.path} imports {target}, which is not below it"


def main_is_for_commands(sources: Sources) -> Iterator[str]:
    """Servers load `app.main` by its name; of ours only the commands import it."""
    for source in sources.below("app"):
        if source.name not in {"app.main", "app.commands"} and "app.main" in sources.targets(source):
            yield f"{source.path} imports app.main"


def no_cycles(sources: Sources) -> Iterator[str]:
    """Neither files nor folders import each other in a circle (what `floors` refuses is left out)."""
    files: dict[str, set[str]] = {}
    for source in sources.below("app"):
        files[source.name] = {t for t in sources.targets(source) if _goes_down(source.name, t)} - {
            source.name
        }
    folders: dict[str, set[str]] = {}
    for name, targets in files.items():
        package = package_of(name)
        folders.setdefault(package, set()).update({package_of(t) for t in targets} - {package})
    for graph in (files, folders):
        if circle := _circle(graph):
            yield f"imported in a circle: {' -> '.join(circle)}"
            return


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def jose_has_one_door(sources: Sources) -> Iterator[str]:
    """python-jose must be told not to trust; one file does that."""
    for source in sources.below("app"):
        if source.path != "app/auth/tokens.py" and any(
            i.module.split(".")[0] == "jose" for i in source.imports
        ):
            yield f"{source.path} imports jose"


def log_has_its_own_driver(sources: Sources) -> Iterator[str]:
    """What goes straight to the driver goes by the guard: only the change log itself may."""
    for source in sources.below("app"):
        if not source.path.startswith("app/core/audit/") and "app.core.audit.driver" in sources.targets(
            source
        ):
            yield f"{source.path} goes by the guard, with app.core.audit.driver"


def no_imports_by_name(sources: Sources) -> Iterator[str]:
    """An import that no rule can see is made in one place only, where modules are found."""
    for source in sources.below("app"):
        names = {node.id for node in source.nodes(ast.Name)}
        attributes = {node.attr for node in source.nodes(ast.Attribute)}
        if source.path != "app/registry.py" and {"import_module", "__import__"} & (names | attributes):
            yield f"{source.path} imports by name"


def routers_stay_outside(sources: Sources) -> Iterator[str]:
    """A router calls services: it knows no repository and no table."""
    for source in _in_modules(sources, "router"):
        for target in sorted(sources.targets(source)):
            if target.split(".")[-1] in {"repository", "models"}:
                yield f"{source.path} imports {target}"


def no_request_in_services(sources: Sources) -> Iterator[str]:
    """A service can be called by a command too: it knows nothing of HTTP."""
    for source in _in_modules(sources, "service"):
        for one in source.imports:
            if one.module.split(".")[0] in {"fastapi", "starlette"}:
                yield f"{source.path} imports {one.name or one.module} of {one.module}"


def no_sql_outside_repositories(sources: Sources) -> Iterator[str]:
    """Services, routers and schemas hand conditions on as opaque values, and write none."""
    for source in _in_modules(sources, "service", "router", "schemas", "permissions"):
        for one in source.imports:
            if one.module.split(".")[0] in {"sqlalchemy", "sqlmodel"} and one.name != "ColumnElement":
                yield f"{source.path} imports {one.name or one.module} of {one.module}"


def removable_modules_stay_alone(sources: Sources) -> Iterator[str]:
    """A module that nothing in `app` imports can be deleted: then nothing else may import it but its tests."""
    removable = set(removable_modules(sources))
    for source in sources.values():
        for target in sorted(sources.targets(source)):
            module = module_of(target)
            own = (f"app/modules/{module}/", f"tests/modules/{module}/")
            if module in removable and not source.path.startswith(own):
                yield f"{source.path} imports {target}"


def removable_modules(sources: Sources) -> list[str]:
    """The modules that no other code of `app` imports, and of which no half is machinery of `core` (`audit`)."""
    used = {
        module_of(target)
        for source in sources.below("app")
        for target in sources.targets(source)
        if module_of(target) != module_of(source.name)
    }
    halves = {source.folder.rpartition("/")[2] for source in sources.below("app/core")}
    return sorted(set(modules(sources).values()) - used - halves)


def _in_modules(sources: Sources, *kinds: str) -> Iterator[Source]:
    """Files of modules by kind: `service.py` and `service_keys.py` are both services."""
    for source in sources.below("app/modules"):
        stem = source.file.removesuffix(".py")
        if any(stem == kind or stem.startswith(f"{kind}_") for kind in kinds):
            yield source


RULES = (
    floors,
    main_is_for_commands,
    no_cycles,
    neighbours_by_the_door,
    listed_is_used,
    jose_has_one_door,
    log_has_its_own_driver,
    no_imports_by_name,
    routers_stay_outside,
    no_request_in_services,
    no_sql_outside_repositories,
    removable_modules_stay_alone,
)
