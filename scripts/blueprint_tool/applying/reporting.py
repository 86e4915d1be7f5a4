"""What the generator says: for people, and with --json for programs."""

import json
from collections import Counter
from collections.abc import Iterator

from blueprint_tool.applying.memory import memory_path
from blueprint_tool.applying.merging import patch
from blueprint_tool.applying.planning import ModulePlan, Verdict
from blueprint_tool.applying.run import Request, Result

_TOLD = (Verdict.MERGED, Verdict.REMOVED, Verdict.ABSENT, Verdict.CONFLICT)


def told(result: Result, request: Request) -> str:
    """The whole report, ending with what to do next."""
    return "\n".join([*_lines(result, request), ""])


def as_json(result: Result, request: Request) -> str:
    """The same as one JSON document."""
    document = {
        "status": status(result, request),
        "modules": {plan.entity.module: _state(plan) for plan in result.plans}
        | dict.fromkeys(result.removed, "removed"),
        "files": {change.path: change.verdict.value for change in result.written},
        "revision": result.revision,
        "notices": list(result.notices),
        "patches": {change.path: change.wish for plan in result.stuck for change in plan.conflicts},
    }
    if request.is_dry_run:
        document["diffs"] = {c.path: patch(c.path, c.before, c.after) for c in result.written}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def status(result: Result, request: Request) -> str:
    """`agrees`, `done`, `would` (a dry run), `differs` (a check), or `stuck` where something could not be merged."""
    if result.stuck:
        return "stuck"
    if request.is_check:
        return "differs" if result.due else "agrees"
    if not (result.due or result.removed):
        return "agrees"
    return "would" if request.is_dry_run else "done"


def _lines(result: Result, request: Request) -> Iterator[str]:
    if request.is_dry_run:
        for change in result.written:
            yield patch(change.path, change.before, change.after).rstrip("\n")
    for plan in result.plans:
        yield f"{plan.entity.module:<23} {_state(plan)}{_counted(plan)}"
        for change in plan.changes:
            if change.verdict in _TOLD:
                hint = f" ({_hint(plan)})" if change.verdict is Verdict.ABSENT else ""
                yield f"    {change.path}: {change.verdict}{hint}"
    for module in result.removed:
        yield f"{module:<23} removed: {sum(module in c.path.split('/') for c in result.written)} files in its folders"
    if result.revision:
        yield f"{'migration':<23} {result.revision}"
    yield from (f"note: {notice}" for notice in result.notices)
    for plan in result.stuck:
        yield from _explained(plan, request)
    yield from _next(result, request)


def _state(plan: ModulePlan) -> str:
    if plan.conflicts:
        return "left as it is: not everything could be merged"
    if not plan.is_due:
        return "as the blueprint says"
    return "new" if plan.memory is None else "changed"


def _counted(plan: ModulePlan) -> str:
    if plan.conflicts:
        return ""
    counts = Counter(change.verdict for change in plan.changes if change.is_written)
    if plan.memory is None:
        return f", {sum(counts.values())} files"
    return "".join(f", {count} {verdict}" for verdict, count in sorted(counts.items()))


def _explained(plan: ModulePlan, request: Request) -> Iterator[str]:
    """The patches of one module, and what to do with them."""
    config = request.config or "entities.json"
    paths = [change.path for change in plan.conflicts]
    yield ""
    yield f"Nothing of {plan.entity.module} was written. What could not be merged into hand-edited files:"
    for change in plan.conflicts:
        yield ""
        yield change.wish.rstrip("\n")
    keeps = " ".join(f"--keep {path}" for path in paths)
    yield ""
    yield "Put them into the files by hand, then say so; the rest follows:"
    yield f"    python3 scripts/generate_entities.py --config {config} {keeps}"


def _next(result: Result, request: Request) -> Iterator[str]:
    """What to do now; the commands work in any clone, whatever is installed there."""
    if request.is_check:
        yield {"agrees": "Blueprint and code agree."}.get(
            status(result, request), "Blueprint and code differ: run the generator without --check."
        )
    elif not (result.due or result.removed):
        if not result.stuck:
            yield "Nothing to do."
    elif request.is_dry_run:
        yield "Nothing was written: this was a dry run."
    elif not result.revision:
        yield "Done."
    else:
        modules = [plan.entity.module for plan in result.plans if plan.is_due and not plan.conflicts]
        if modules:
            tests = " ".join(f"tests/modules/{module}" for module in modules)
            yield f"Try it: python3 scripts/dev.py test {tests}"
        yield "Serve it: python3 scripts/dev.py run"


def _hint(plan: ModulePlan) -> str:
    return f"to have it again, take its line out of {memory_path(plan.entity.module)}"
