"""The walls between modules: who may use what of a neighbour. A line for each violation."""

import ast
from collections.abc import Iterator

from app.doctor.sources import Source, Sources


def neighbours_by_the_door(sources: Sources) -> Iterator[str]:
    """Whoever uses a module from outside uses its services and schemas, nothing else of it."""
    for source in sources.below("app"):
        for target in sorted(sources.targets(source)):
            module = module_of(target)
            if module is None or module == module_of(source.name):
                continue
            part = target.split(".")[3:4]
            if not part or not (
                part[0] == "schemas" or part[0] == "service" or part[0].startswith("service_")
            ):
                yield f"{source.path} imports {target}: only services and schemas of {module} are for others"


def listed_is_used(sources: Sources) -> Iterator[str]:
    """`depends_on` names exactly the modules that a module imports from."""
    targets: dict[str | None, set[str]] = {}
    for source in sources.below("app/modules"):
        targets.setdefault(module_of(source.name), set()).update(sources.targets(source))
    for folder, module in modules(sources).items():
        used = {module_of(target) for target in targets[module]} - {None, module}
        listed = depends_on(sources[f"{folder}/module.py"])
        for name in sorted(str(name) for name in used - listed):
            yield f"{module} uses {name} without listing it in depends_on"
        for name in sorted(listed - used):
            yield f"{module} lists {name} in depends_on without using it"


def modules(sources: Sources) -> dict[str, str]:
    """Folders of modules with their names."""
    found = [
        s.folder for s in sources.values() if s.file == "module.py" and s.folder.startswith("app/modules/")
    ]
    return {folder: folder.rpartition("/")[2] for folder in found}


def depends_on(declaration: Source) -> set[str]:
    """What `MODULE = Module(…, depends_on=(…))` lists."""
    given = [keyword.value for keyword in declaration.nodes(ast.keyword) if keyword.arg == "depends_on"]
    return {name for value in given for name in ast.literal_eval(value)}


def module_of(name: str) -> str | None:
    """`users` for `app.modules.users.service`; None outside of the modules."""
    inside = name.removeprefix("app.modules.")
    return inside.partition(".")[0] if inside != name else None
