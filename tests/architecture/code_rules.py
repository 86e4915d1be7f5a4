"""How the code inside of a file may look. Each rule is a function from the sources to a line for each violation."""

import ast
from collections.abc import Iterator

from tests.architecture.sources import Source, Sources

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}
METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "websocket", "api_route"}


def commits_in_one_place(sources: Sources) -> Iterator[str]:
    """The outermost transaction commits, nobody else."""
    for source in sources.below("app"):
        called = [call.func for call in source.nodes(ast.Call)]
        found = any(isinstance(one, ast.Attribute) and one.attr == "commit" for one in called)
        if source.path != "app/core/transaction.py" and found:
            yield f"{source.path} commits"


def routers_decide_nothing(sources: Sources) -> Iterator[str]:
    """Path, status, guard, one call: no branches and no handlers of errors."""
    for source in sources.below("app/modules"):
        if source.file == "router.py" and any(source.nodes(kind) for kind in (ast.If, ast.Try, ast.Match)):
            yield f"{source.path} branches"


def models_keep_their_annotations(sources: Sources) -> Iterator[str]:
    """Annotations that became strings make the mapper fail."""
    for source in sources.below("app"):
        tables = any(
            keyword.arg == "table" for node in source.nodes(ast.ClassDef) for keyword in node.keywords
        )
        is_future = any(i.module == "__future__" and i.name == "annotations" for i in source.imports)
        if is_future and (tables or source.file == "models.py"):
            yield f"{source.path} postpones annotations"


def packages_stay_packages(sources: Sources) -> Iterator[str]:
    """`app/modules` lists nothing; `alembic` is no package, or it would hide the installed one."""
    if sources["app/modules/__init__.py"].text:
        yield "app/modules/__init__.py is not empty"
    if "alembic/__init__.py" in sources:
        yield "alembic/__init__.py hides the installed alembic"


def names_say_something(sources: Sources) -> Iterator[str]:
    """A room with a narrow name does not grow."""
    for source in sources.below("app"):
        parts = source.path.removesuffix(".py").split("/")
        if VAGUE & {word for part in parts for word in part.split("_")}:
            yield f"{source.path} has a name that says nothing"


def files_are_short(sources: Sources) -> Iterator[str]:
    """Split by use cases, on purpose."""
    for source in sources.below("app"):
        if (lines := source.text.count("\n")) >= MAX_FILE_LINES:
            yield f"{source.path} has {lines} lines"


def functions_are_short(sources: Sources) -> Iterator[str]:
    """What is longer does two things."""
    for source in sources.below("app"):
        for function in source.functions:
            lines = (function.end_lineno or 0) - function.lineno + 1
            if lines >= MAX_FUNCTION_LINES:
                yield f"{source.path}: {function.name} has {lines} lines"


def relationships_never_load_by_themselves(sources: Sources) -> Iterator[str]:
    """Lazy loading fails in async code, at the worst moment."""
    for source in sources.below("app"):
        for call in source.nodes(ast.Call):
            if _called(call).lower() == "relationship" and not _raises(call):
                yield f'{source.path}: a relationship without lazy="raise"'


def _raises(call: ast.Call) -> bool:
    values = {keyword.arg: keyword.value for keyword in call.keywords}
    inner = values.get("sa_relationship_kwargs")
    if isinstance(inner, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in inner.keys]
        values |= {str(key): value for key, value in zip(keys, inner.values, strict=True)}
    lazy = values.get("lazy")
    return isinstance(lazy, ast.Constant) and lazy.value == "raise"


def middleware_is_pure(sources: Sources) -> Iterator[str]:
    """Starlette's BaseHTTPMiddleware sees no aborts and costs more than a request."""
    for source in sources.below("app"):
        if any(
            one.name == "BaseHTTPMiddleware" or one.module == "starlette.middleware.base"
            for one in source.imports
        ):
            yield f"{source.path} uses BaseHTTPMiddleware"


def endpoints_are_async(sources: Sources) -> Iterator[str]:
    """A plain `def` goes through the thread pool: slower, and out of the request's context."""
    plain = {
        f"{source.name}.{function.name}"
        for source in sources.below("app")
        for function in source.tree.body
        if isinstance(function, ast.FunctionDef)
    }
    for source in sources.below("app"):
        for function in source.functions:
            if isinstance(function, ast.FunctionDef) and any(_is_route(d) for d in function.decorator_list):
                yield f"{source.path}: the endpoint {function.name} is not async"
        for name in _dependencies(source):
            if _origin(source, name) in plain:
                yield f"{source.path}: the dependency {name} is not async"


def _is_route(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in METHODS


def _dependencies(source: Source) -> Iterator[str]:
    """Names that are given to `Depends`."""
    for call in source.nodes(ast.Call):
        if _called(call) == "Depends":
            yield from (argument.id for argument in call.args if isinstance(argument, ast.Name))


def _origin(source: Source, name: str) -> str:
    """Where a name of a file was defined."""
    for one in source.imports:
        if one.name == name:
            return f"{one.module}.{name}"
    return f"{source.name}.{name}"


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


RULES = (
    commits_in_one_place,
    routers_decide_nothing,
    models_keep_their_annotations,
    packages_stay_packages,
    names_say_something,
    files_are_short,
    functions_are_short,
    relationships_never_load_by_themselves,
    middleware_is_pure,
    endpoints_are_async,
)
